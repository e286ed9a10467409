"""Notebook 1: the dataset card, the ids of every split, and the audit of an own folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from src.data import datasets, folders
from src.data.datasets import Dataset
from src.runs.drafts import Draft

# --- 01: data ----------------------------------------------------------------------------------


def record_dataset(draft: Draft, dataset: Dataset) -> dict[str, Any]:
    """Write the dataset card, the ids of every split, and the audit of somebody's own files.

    Returns the card.
    """
    card = datasets.card(dataset)
    draft.write_json("dataset.json", card)
    draft.write_table("splits.parquet", _split_table(dataset))
    if dataset.spec.folder is not None:
        found, report = folders.audited(dataset.spec)
        draft.write_table("audit.parquet", found)
        draft.write_table("audit_images.parquet", folders.pictured(dataset.spec))
        draft.write_json("audit.json", report)
    return card


def _split_table(dataset: Dataset) -> pd.DataFrame:
    names = np.array(dataset.spec.classes)
    frames = [
        pd.DataFrame(
            {
                "split": split.name,
                "id": split.ids,
                "label": names[split.labels],
                "subset": np.isin(split.ids, dataset.subset_ids) & (split.name == "train"),
            }
        )
        for split in dataset.splits
    ]
    return pd.concat(frames, ignore_index=True)
