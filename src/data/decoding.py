"""Decoding: untrusted bytes → RGB image, one way in for notebooks, app and API.

A file's header says what it is and about how much memory it takes (`image_headers`); then a
process of its own decodes it (`decoders`), with a limit of memory and of time that the system
itself enforces (`decoding_pool`). So no file, however it is built, takes more than its share, ends
the server, or holds up the small photos of others.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.data import image_headers
from src.data.decoding_pool import Lane, WorkerLost
from src.data.image_headers import FORMATS, Header, ImageError, TooLarge, UnknownFormat
from src.data.images import Pixels

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MAX_BYTES",
    "OWN_FOLDER",
    "UPLOAD",
    "DecodedImage",
    "ImageError",
    "Limits",
    "TooLarge",
    "UnknownFormat",
    "check_bytes",
    "decode",
    "limits",
    "pixel_limit",
]

EXTENSIONS = (
    *("jpg", "jpeg", "jfif", "jpe", "png", "webp", "avif", "heic", "heif", "gif", "bmp"),
    *("tif", "tiff"),
)
MAX_BYTES = 25 * 2**20
# Megapixels by kind of file: a little above what cameras and phones name 108, 42 and 24. A kind
# that takes more than the memory of one file has a lower limit.
MEGAPIXELS = {
    **dict.fromkeys(image_headers.BYTES_PER_PIXEL, 43),
    **dict.fromkeys(("AVIF", "AVIF 4:4:4", "deep AVIF", "HEIF"), 25),
    "progressive JPEG": 43,
    "JPEG": 110,
}


@dataclass(frozen=True)
class Limits:
    """What is accepted, and where it is decoded.

    size: bytes of a file. megapixels: by kind of file. small, large: the lanes; a file goes to the
    small one where it and its decoding, by its header, take no more than that lane's memory.
    """

    size: int
    megapixels: Mapping[str, int]
    small: Lane
    large: Lane


# Photos from anyone, on a small server: two everyday photos at a time and one large one.
UPLOAD = Limits(MAX_BYTES, MEGAPIXELS, Lane(2, 40 * 10**6, 0.5), Lane(1, 235 * 10**6, 20))
# A person's own folder, on the machine that trains.
OWN_FOLDER = Limits(
    1000 * 2**20,
    dict.fromkeys(MEGAPIXELS, 200),
    Lane(os.cpu_count() or 1, 400 * 10**6, 10),
    Lane(1, 5 * 10**9, 300),
)


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, upright, opaque, in sRGB and at most 1,024 pixels long.

    rgb: uint8 (H, W, 3), 0–255. format: one of `FORMATS`. size: (width, height) in pixels as
    uploaded, before rotation. notes: what was done to it, in words, in the order it was done.
    """

    rgb: Pixels
    format: str
    size: tuple[int, int]
    notes: tuple[str, ...]


def decode(data: bytes, limits: Limits = UPLOAD) -> DecodedImage:
    """Return the image in `data`, the content of a file from anywhere.

    Raises ImageError for what is empty, too long, too large, damaged, or not one of `FORMATS`.
    Takes no memory in this process beyond `data` and the result; any number of threads may call.
    """
    if not data:
        raise ImageError("The file is empty.")
    check_bytes(len(data), limits)
    header = image_headers.read(data)
    _check_cost(header, limits)
    answer, pixels = _decoded(data, header, limits)
    if "error" in answer:
        raise (TooLarge if answer["too_large"] else ImageError)(answer["error"])
    rgb = np.frombuffer(pixels, np.uint8).reshape(answer["height"], answer["width"], 3)
    width, height = answer["size"]
    return DecodedImage(rgb, header.format, (width, height), tuple(answer["notes"]))


def check_bytes(count: int, limits: Limits = UPLOAD) -> None:
    """TooLarge for a file of more bytes than are accepted."""
    if count > limits.size:
        raise TooLarge(
            f"The file has {count / 2**20:.1f} MB; at most {limits.size // 2**20} MB are accepted."
        )


def pixel_limit(kind: str, of: Limits = UPLOAD) -> int:
    """Return how many pixels an image of this kind (a key of MEGAPIXELS) may have."""
    each = image_headers.BYTES_PER_PIXEL.get(kind, 1)
    return min(of.megapixels[kind] * 10**6, int(of.large.memory / each))


def limits(of: Limits = UPLOAD) -> str:
    """Megapixels that are accepted, in words, for documents."""
    kinds: dict[int, list[str]] = {}
    for kind in (*FORMATS, "progressive JPEG"):
        kinds.setdefault(pixel_limit(kind, of) // 10**6, []).append(kind)
    return "; ".join(
        f"{millions} megapixels ({', '.join(kinds[millions])})"
        for millions in sorted(kinds, reverse=True)
    )


def _check_cost(header: Header, limits: Limits) -> None:
    (width, height), most = header.size, pixel_limit(header.kind, limits)
    if width * height > most:
        raise TooLarge(
            f"The image is too large: {width} × {height} are {width * height / 1e6:.1f} "
            f"megapixels, and at most {most / 1e6:.0f} megapixels are accepted for {header.kind}. "
            "Make it smaller and try again."
        )
    if header.cost > limits.large.memory:
        raise TooLarge(
            f"The image is too large: decoding this kind of {header.format} file takes about "
            f"{header.cost / 1e6:,.0f} MB of memory, and at most "
            f"{limits.large.memory / 1e6:,.0f} MB are given to one. Make it smaller, or save it as "
            "a plain JPEG, and try again."
        )


def _decoded(data: bytes, header: Header, limits: Limits) -> tuple[dict[str, Any], bytearray]:
    """In the lane for its cost; small ones that turn out to be more go to the large ones."""
    if header.cost + len(data) <= limits.small.memory:
        with suppress(WorkerLost):  # its header promised less than it takes
            return limits.small.decode(data)
    try:
        return limits.large.decode(data)
    except WorkerLost as error:
        raise ImageError(
            f"The {header.format} file takes too long or too much memory to decode; it is damaged, "
            "or built to do so. Open it in an image program, save it anew and try that copy."
        ) from error
