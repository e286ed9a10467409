"""Formats in which data sets are distributed, and the functions that read them into arrays.

A reader takes the folder that holds a layout's files and gives `Raw`: per official part (train,
test, sometimes validation) the images, their labels and their ids.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Integers = NDArray[np.int64]
Ids = NDArray[Any]  # int64 positions in the official file, or relative paths (text)


class DataError(Exception):
    """The data of a study is missing or not what it should be; the message says what to do."""


class Part(NamedTuple):
    """One official part of a data set.

    `images` (n, H, W, C) uint8; `labels` (n,) int64; `ids` (n,): relative paths for data that comes
    as single files, else None, and an image is named by its position. `groups` (n,) int64:
    images with the same number are nearly equal and must not be split up; None: none are.
    """

    images: Pixels
    labels: Integers
    ids: Ids | None = None
    groups: Integers | None = None


Raw = dict[str, Part]


def cifar_parquet(folder: Path) -> Raw:
    """CIFAR-10 as two Parquet files of PNG bytes, the layout of `uoft-cs/cifar10`."""
    return {name: _read_image_table(folder / f"{name}.parquet") for name in ("train", "test")}


def _read_image_table(path: Path) -> Part:
    import pyarrow.parquet as pq
    from PIL import Image

    def pixels(cell: dict[str, Any]) -> Pixels:
        return np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB"))

    table = pq.read_table(path)
    with ThreadPoolExecutor() as pool:
        images = np.stack(list(pool.map(pixels, table["img"].to_pylist())))
    return Part(images, table["label"].to_numpy().astype(np.int64))


def cifar_archive(folder: Path) -> Raw:
    """CIFAR-10 as its authors distribute it: an archive of pickled batches."""
    with tarfile.open(folder / "cifar-10-python.tar.gz") as archive:
        batches = [_read_cifar_batch(archive, f"data_batch_{i}") for i in range(1, 6)]
        test = _read_cifar_batch(archive, "test_batch")
    train = Part(
        np.concatenate([b.images for b in batches]), np.concatenate([b.labels for b in batches])
    )
    return {"train": train, "test": test}


def _read_cifar_batch(archive: tarfile.TarFile, name: str) -> Part:
    member = archive.extractfile(f"cifar-10-batches-py/{name}")
    if member is None:
        raise DataError(f"The CIFAR-10 archive has no {name}.")
    # The official archive is a pickle; its SHA-256 was checked before this line is reached.
    batch = pickle.load(member, encoding="bytes")  # noqa: S301
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Part(np.ascontiguousarray(images), np.asarray(batch[b"labels"], np.int64))


def sklearn_digits() -> Raw:
    """The digits inside the scikit-learn wheel, their 17 grey levels stretched to 0–255."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    grey = np.rint(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return {"train": Part(grey, labels.astype(np.int64))}


# --- idx, npz, CSV: the MNIST family -----------------------------------------------------------

IDX_PARTS = {"train": "train", "test": "t10k"}


def idx(folder: Path) -> Raw:
    """Two gzipped idx files a part (images and labels), as MNIST and Fashion-MNIST come."""
    return {
        part: Part(
            _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", 3)[..., None],
            _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", 1).astype(np.int64),
        )
        for part, prefix in IDX_PARTS.items()
    }


def _read_idx(path: Path, dimensions: int) -> Pixels:
    """One idx file of unsigned bytes: magic 0, 0, 8, dimensions; then sizes; then the values."""
    with gzip.open(path) as stream:
        content = stream.read()
    if content[:4] != bytes([0, 0, 8, dimensions]):
        raise DataError(f"{path.name} is not an idx file of {dimensions} dimensions of bytes.")
    shape = np.frombuffer(content, ">u4", dimensions, 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    if values.size != int(shape.prod()):
        raise DataError(f"{path.name} announces {int(shape.prod()):,} values, has {values.size:,}.")
    return values.reshape(shape)


def keras_npz(path: Path) -> Raw:
    """The `mnist.npz` of Keras: x_train, y_train, x_test, y_test."""
    with np.load(path / "mnist.npz", allow_pickle=False) as stored:
        return {
            part: Part(stored[f"x_{part}"][..., None], stored[f"y_{part}"].astype(np.int64))
            for part in ("train", "test")
        }


def pixel_csv(folder: Path, names: dict[str, str], shape: tuple[int, int]) -> Raw:
    """A CSV file a part with the columns label, pixel1 … pixelN, row by row; `names` by part.

    Raises:
        DataError: a column is missing or a value is not a whole number in its range.
    """
    return {part: _read_pixel_csv(folder / name, shape) for part, name in names.items()}


def _read_pixel_csv(path: Path, shape: tuple[int, int]) -> Part:
    import pandas as pd

    frame = pd.read_csv(path)
    pixels = [f"pixel{i + 1}" for i in range(shape[0] * shape[1])]
    missing = [name for name in ("label", *pixels) if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path.name} lacks {len(missing)} columns: {', '.join(missing[:3])} … It must have "
            f"label and pixel1 to pixel{len(pixels)}."
        )
    labels = _whole(frame["label"].to_numpy(), path, "label", 9)
    values = _whole(frame[pixels].to_numpy(), path, "pixel", 255)
    return Part(values.astype(np.uint8).reshape(-1, *shape, 1), labels.astype(np.int64))


def _whole(values: NDArray[Any], path: Path, name: str, highest: int) -> NDArray[Any]:
    numeric = np.issubdtype(values.dtype, np.number)
    wrong = ~((values >= 0) & (values <= highest) & (values % 1 == 0)) if numeric else None
    if wrong is None or wrong.any():
        row = "" if wrong is None else f" (first in data row {int(np.argwhere(wrong)[0][0]) + 1})"
        raise DataError(f"{path.name} has a {name} that is no whole number of 0–{highest}{row}.")
    return values
