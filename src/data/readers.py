"""The readers that a study's file can name: for files in a folder, and for data in a package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from src.data import formats, image_folders
from src.data.formats import DataError, Raw


def image_archive(
    folder: Path, name: str, shape: tuple[int, int, int], counts: Mapping[str, int]
) -> Raw:
    """A zip of images in a folder per class, brought to `shape` (H, W, C).

    Raises:
        DataError: it does not hold as many images of each part as `counts` says.
    """
    raw = image_folders.read_images(folder / name, (shape[0], shape[1], shape[2]))
    found = {part: len(images.labels) for part, images in raw.items()}
    if found != dict(counts):
        raise DataError(f"{name} holds {found} images, expected {dict(counts)}.")
    return raw


# Each takes the folder that holds a layout's files, and the options that the study's file gives.
READERS: Mapping[str, Callable[..., Raw]] = {
    "cifar_parquet": formats.cifar_parquet,
    "cifar_archive": formats.cifar_archive,
    "idx": formats.idx,
    "keras_npz": formats.keras_npz,
    "pixel_csv": formats.pixel_csv,
    "image_archive": image_archive,
}
PACKAGE_READERS: Mapping[str, Callable[[], Raw]] = {"sklearn_digits": formats.sklearn_digits}
