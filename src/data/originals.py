"""Images of a study by id, from its own files where they are on this machine.

A run carries only some of its images. Where the data set was collected too, any other one is read
from it: one group of rows at a time, so that the app stays small however large the data set is.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from src import config
from src.data import studies

SPLITS = ("train", "validation", "test")
PNG = b"\x89PNG\r\n\x1a\n"


def available(dataset: Mapping[str, Any]) -> bool:
    """Whether every image of a run's data set (its dataset.json) can be read here."""
    return all(_file(dataset, split) is not None for split in SPLITS)


def read(
    dataset: Mapping[str, Any], split: str, ids: Iterable[int | str]
) -> dict[int | str, bytes]:
    """PNG bytes of images of one split by id; what cannot be read is left out.

    Args:
        dataset: a run's dataset.json, which names the files and their sizes.
        ids: positions in the file; paths, which other data sets have, are in none.
    """
    path = _file(dataset, split)
    if path is None:
        return {}
    wanted = np.unique(np.array([key for key in ids if not isinstance(key, str)], np.int64))
    found: dict[int | str, bytes] = {}
    with pq.ParquetFile(path, pre_buffer=False) as file:
        start = 0
        for group in range(file.metadata.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = wanted[(wanted >= start) & (wanted < end)]
            if len(inside):
                table = file.read_row_group(group, columns=["img"], use_threads=False)
                cells = table["img"].take(inside - start)
                pngs = (cell["bytes"] for cell in cells.to_pylist())
                found |= dict(zip(inside.tolist(), pngs, strict=True))
            start = end
    pa.default_memory_pool().release_unused()  # else a hundred megabytes stay with the process
    return {key: png for key, png in found.items() if png.startswith(PNG)}


def _file(dataset: Mapping[str, Any], split: str) -> Path | None:
    """The file of a split, if it is here and is the one the run was made from (by its size)."""
    name = studies.images_in(dataset["study"]).get(split, "")
    known = dataset["source"]["files"].get(name)
    path = config.inputs() / dataset["study"] / name
    here = known is not None and path.is_file() and path.stat().st_size == known["bytes"]
    return path if here else None
