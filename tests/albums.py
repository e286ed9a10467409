"""Small folders and zips of generated pictures, as people have them."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
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


def faulty(root: Path) -> Path:
    """A folder split by somebody, for models that see 64 × 64 pixels, with a fault of every kind.

    Those that only a zip or a table of labels can have are missing.
    """
    size = (80, 70)
    counts = {"train/hats": 24, "val/hats": 4, "test/hats": 4, "train/Shoes": 24, "val/Shoes": 4}
    counts |= {"test/Shoes": 4, "train/shoes ": 6, "train/few": 3, "train/bags": 21}
    counts |= {"train/\u0421oats\u202f2": 5, "train/Coats 2": 5, "test/Coats 2": 1, "val/empty": 0}
    fill(root, counts, size=size)
    hats, bags = root / "train" / "hats", root / "train" / "bags"
    first = (hats / "0.png").read_bytes()
    for path, content in {
        hats / "damaged.png": first[:90],
        hats / "manual.pdf": b"%PDF",
        hats / "copy.png": first,
        root / "val" / "hats" / "leak.png": (hats / "1.png").read_bytes(),
        bags / "disputed.png": (hats / "2.png").read_bytes(),
        hats / "tiny.png": picture(901, (8, 9)),
        hats / "small.png": picture(902, (15, 16)),
        hats / "long.png": picture(903, (400, 100)),
        hats / "large.png": picture(904, (900, 900)),
        hats / "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        root / "train" / "front.png": picture(905, size),
        root / "train" / "bags" / "Thumbs.db": b"x",
        hats / "line\nbreak.png": picture(906, size),
        bags / "dark.png": _changed(picture(907, size), lambda values: values // 8),
        bags / "bright.png": _changed(picture(908, size), lambda values: 250 + values // 60),
        bags / "blurred.png": _saved(_soft(), "PNG"),
        bags / "plain.png": _changed(
            picture(909, (64, 64)), lambda values: values // 128 * 100 + 60
        ),
        bags / "near copy.jpg": _saved(Image.open(io.BytesIO((bags / "3.png").read_bytes()))),
        bags / "near other.jpg": _saved(Image.open(hats / "4.png")),
        root / "val" / "Shoes" / "near leak.jpg": _saved(Image.open(hats / "5.png")),
        root / "@eaDir" / "hats" / "thumb.jpg": first,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (hats / "gone.png").symlink_to("nowhere.png")
    (hats / "again").symlink_to(root, target_is_directory=True)
    os.mkfifo(hats / "pipe.png")
    return root


def _changed(content: bytes, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> bytes:
    return _saved(Image.fromarray(change(np.asarray(Image.open(io.BytesIO(content))))), "PNG")


def _soft() -> Image.Image:
    """An image without an edge."""
    values = np.random.default_rng(1).integers(0, 256, (7, 7, 3), np.uint8)
    return Image.fromarray(values).resize((224, 224), Image.Resampling.BICUBIC)


def _saved(image: Image.Image, kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **({"quality": 60} if kind == "JPEG" else {}))
    return stream.getvalue()
