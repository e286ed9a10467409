"""Small folders and zips of generated pictures, as people have them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int, size: tuple[int, int] = (24, 20), kind: str = "PNG") -> bytes:
    """A picture file of its own colours, (width, height) pixels; equal numbers, equal pictures."""
    values = np.random.default_rng(number).integers(0, 256, (4, 5, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).resize(size, Image.Resampling.NEAREST).save(stream, kind)
    return stream.getvalue()


def fill(
    root: Path,
    counts: dict[str, int],
    first: int = 0,
    ending: str = "png",
    size: tuple[int, int] = (24, 20),
) -> Path:
    """So many different pictures in each folder; numbers count on from `first`."""
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for place in range(count):
            (root / folder / f"{place}.{ending}").write_bytes(picture(first + place, size))
        first += count
    return root


def packed(root: Path, path: Path, inside: str = "") -> Path:
    """A zip of everything in a folder, perhaps inside one more folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, inside + file.relative_to(root).as_posix())
    return path
