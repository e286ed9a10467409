"""What is wrong with a data set as data: images that occur more than once."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pandas as pd

from src.data.datasets import Dataset
from src.data.formats import Pixels


def duplicates(dataset: Dataset) -> pd.DataFrame:
    """Images whose pixels are all equal to another's, within a split or across splits.

    Columns group (int64, from 1 in order of first appearance), split, id, label (class name); one
    row per image, at least two per group, splits in the order train, validation, test. Empty
    where every image is unique.
    """
    classes = np.array(dataset.spec.classes)
    rows = pd.concat(
        pd.DataFrame(
            {
                "hash": fingerprints(split.images),
                "split": split.name,
                "id": split.ids,
                "label": classes[split.labels],
            }
        )
        for split in dataset.splits
    )
    repeated = rows[rows.duplicated("hash", keep=False)].reset_index(drop=True)
    group = repeated.groupby("hash", sort=False).ngroup().astype(np.int64) + 1
    repeated.insert(0, "group", group)
    ordered = repeated.sort_values("group", kind="stable", ignore_index=True)
    return ordered[["group", "split", "id", "label"]]


def fingerprints(images: Pixels) -> list[str]:
    """128-bit BLAKE2b of every image of uint8 (n, H, W, C), as hexadecimal digits."""
    return [blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images]
