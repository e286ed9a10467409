"""Pictures of a data set by id, read from a small file of the same form."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from src.data import images, originals

FILES = {"train": "train.parquet", "validation": "train.parquet", "test": "test.parquet"}


def picture(level: int) -> bytes:
    return images.to_png(np.full((2, 2, 3), level, np.uint8))


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A run's card of a data set with 7 training and 3 test pictures, in groups of 3."""
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path))
    monkeypatch.setattr(originals.studies, "images_in", lambda name: {"small": FILES}.get(name, {}))
    folder = tmp_path / "small"
    folder.mkdir()
    files = {}
    for name, first, n in (("train.parquet", 0, 7), ("test.parquet", 100, 3)):
        cells = [{"bytes": picture(first + i), "path": None} for i in range(n)]
        pq.write_table(pa.table({"img": cells, "label": [0] * n}), folder / name, row_group_size=3)
        files[name] = {"sha256": "", "bytes": (folder / name).stat().st_size}
    return {"study": "small", "source": {"files": files}}


def test_pictures_are_found_by_split_and_id(dataset: dict[str, Any]) -> None:
    assert originals.available(dataset)
    assert originals.read(dataset, "train", [6, 0, 3, 3]) == {
        0: picture(0),
        3: picture(3),
        6: picture(6),
    }
    assert originals.read(dataset, "validation", [1]) == {1: picture(1)}
    assert originals.read(dataset, "test", [2]) == {2: picture(102)}


def test_unknown_ids_and_splits_give_nothing(dataset: dict[str, Any]) -> None:
    assert originals.read(dataset, "train", [7, -1]) == {}
    assert originals.read(dataset, "elsewhere", [1]) == {}
    assert originals.read(dataset, "train", []) == {}


def test_another_file_of_that_name_is_not_trusted(dataset: dict[str, Any]) -> None:
    dataset["source"]["files"]["train.parquet"]["bytes"] += 1
    assert not originals.available(dataset)
    assert originals.read(dataset, "train", [0]) == {}
    assert originals.read(dataset, "test", [0]) == {0: picture(100)}


def test_a_study_without_files_has_none(dataset: dict[str, Any]) -> None:
    assert not originals.available({"study": "digits", "source": {"files": {}}})
