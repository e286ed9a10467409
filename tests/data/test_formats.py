"""Readers: each form of a data set gives the same arrays, and says what is wrong with a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.data import collection, datasets, formats, studies
from src.data.formats import DataError, Part

IMAGES = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2)
LABELS = np.array([2, 0, 1], np.uint8)


def _idx(path: Path, values: np.ndarray, sizes: tuple[int, ...] | None = None) -> None:
    header = bytes([0, 0, 8, values.ndim])
    shape = np.array(sizes or values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + shape + values.tobytes()))


def _idx_folder(folder: Path) -> Path:
    for prefix in ("train", "t10k"):
        _idx(folder / f"{prefix}-images-idx3-ubyte.gz", IMAGES)
        _idx(folder / f"{prefix}-labels-idx1-ubyte.gz", LABELS)
    return folder


def _csv(folder: Path, **changes: list[object]) -> Path:
    columns = {"label": LABELS.tolist()}
    columns |= {f"pixel{i + 1}": IMAGES.reshape(3, 4)[:, i].tolist() for i in range(4)}
    pd.DataFrame(columns | changes).to_csv(folder / "train.csv", index=False)
    return folder


def _same(part: Part) -> None:
    assert part.images.tolist() == IMAGES[..., None].tolist()
    assert (part.images.dtype, part.labels.dtype) == (np.uint8, np.int64)
    assert part.labels.tolist() == [2, 0, 1]
    assert part.ids is None


def test_idx_npz_and_csv_hold_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)
    _idx_folder(tmp_path)
    _csv(tmp_path)
    for raw in (formats.idx(tmp_path), formats.keras_npz(tmp_path)):
        assert list(raw) == ["train", "test"]
        _same(raw["train"])
        _same(raw["test"])
    _same(formats.pixel_csv(tmp_path, {"train": "train.csv"}, (2, 2))["train"])


def test_idx_of_another_kind_is_refused(tmp_path: Path) -> None:
    _idx(_idx_folder(tmp_path) / "train-images-idx3-ubyte.gz", LABELS)
    with pytest.raises(DataError, match="train-images.* is not an idx file of 3 dimensions"):
        formats.idx(tmp_path)


def test_short_idx_is_refused(tmp_path: Path) -> None:
    _idx(_idx_folder(tmp_path) / "t10k-images-idx3-ubyte.gz", IMAGES, (4, 2, 2))
    with pytest.raises(DataError, match="announces 16 values, has 12"):
        formats.idx(tmp_path)


def test_csv_with_missing_columns_is_refused(tmp_path: Path) -> None:
    _csv(tmp_path)
    with pytest.raises(DataError, match="lacks 5 columns: pixel5, pixel6, pixel7 …"):
        formats.pixel_csv(tmp_path, {"train": "train.csv"}, (3, 3))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("pixel2", [0, 256, 1], r"has a pixel that is no whole number of 0–255 .*data row 2"),
        ("pixel4", [0, 1, -1], r"has a pixel that is no whole number of 0–255 .*data row 3"),
        ("pixel1", [0.5, 1, 1], r"has a pixel that is no whole number of 0–255 .*data row 1"),
        ("pixel1", ["a", 1, 1], r"has a pixel that is no whole number of 0–255\."),
        ("label", [0, 10, 1], r"has a label that is no whole number of 0–9 .*data row 2"),
        ("label", [0, None, 1], r"has a label that is no whole number of 0–9 .*data row 2"),
    ],
)
def test_csv_with_values_out_of_range_is_refused(
    tmp_path: Path, column: str, values: list[object], message: str
) -> None:
    _csv(tmp_path, **{column: values})
    with pytest.raises(DataError, match=message):
        formats.pixel_csv(tmp_path, {"train": "train.csv"}, (2, 2))


def test_csv_of_other_pictures_is_refused_as_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path))
    folder = tmp_path / "fashion_mnist"
    folder.mkdir()
    columns = {"label": range(10)} | {f"pixel{i + 1}": [0] * 10 for i in range(784)}
    for name in ("train", "test"):
        pd.DataFrame(columns).to_csv(folder / f"fashion-mnist_{name}.csv", index=False)
    assert collection.collect(studies.get("fashion_mnist")).layout == "csv"
    with pytest.raises(DataError, match="not the published ones"):
        datasets.load(studies.get("fashion_mnist"))
