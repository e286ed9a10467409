"""A visitor's photos: bytes → `Photo` (small, re-encoded) → `Answer` of a model → a table.

Each photo is decoded once and then kept only as a thumbnail and as the inputs of the published
models, so that a list of photos stays small and another model or fit answers at once.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from src.data import decoding, images
from src.serving import inference

Fit = Literal["crop", "pad"]
Shape = tuple[int, int, int]
Pixels = NDArray[np.uint8]
FITS: tuple[Fit, ...] = ("crop", "pad")
THUMBNAIL = 160  # pixels of the longer side
NAME = 60  # characters of a file name


@dataclass(frozen=True)
class Photo:
    """A photo as it is kept.

    sha256: of the file's bytes. thumbnail: PNG, made by us. inputs: uint8 (H, W, C) by the model's
    shape and the fit. size: (width, height) as uploaded. milliseconds: what reading it took. truth:
    its category where it is known. notes: what was done to it, in words.
    """

    sha256: str
    name: str
    thumbnail: bytes
    inputs: Mapping[tuple[Shape, Fit], Pixels]
    format: str
    size: tuple[int, int]
    notes: tuple[str, ...]
    milliseconds: float
    truth: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a model says about one photo.

    probabilities: float32 (K,). activation: float32 (h, w, K), evidence per place. milliseconds:
    the model's time for all photos answered together, divided by their number (`batch`). blank:
    whether there is nothing to see, see `images.blank`.
    """

    probabilities: NDArray[np.float32]
    activation: NDArray[np.float32]
    milliseconds: float
    batch: int
    blank: bool = False

    @property
    def best(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def confidence(self) -> float:
        """Probability of the most probable class, 0 to 1."""
        return float(self.probabilities.max())

    def alone(self, threshold: float | None) -> bool:
        """Whether the photo may be filed without a person; never blank or without a threshold."""
        return threshold is not None and not self.blank and self.confidence >= threshold


def sha256(data: bytes) -> str:
    """What names a photo: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def shown_name(name: str) -> str:
    """A stranger's file name without invisible characters, its middle left out where long."""
    clean = "".join(char for char in name if char.isprintable()).strip() or "unnamed"
    return clean if len(clean) <= NAME else f"{clean[: NAME - 16]}…{clean[-15:]}"


def read(data: bytes, name: str, shapes: Iterable[Shape], truth: str | None = None) -> Photo:
    """Decode a photo and keep what is needed of it.

    Raises:
        images.ImageError: it is no picture, or one that cannot be read; the message says why.
    """
    started = time.perf_counter()
    picture = decoding.decode(data)
    inputs = {
        (shape, fit): images.model_input(picture.rgb, shape, fit)
        for shape in dict.fromkeys(shapes)
        for fit in FITS
    }
    milliseconds = 1000 * (time.perf_counter() - started)
    return Photo(
        sha256(data),
        shown_name(name),
        thumbnail(picture.rgb),
        inputs,
        picture.format,
        picture.size,
        picture.notes,
        milliseconds,
        truth,
    )


def thumbnail(rgb: Pixels) -> bytes:
    """PNG of a picture, uint8 (H, W, 3), at most `THUMBNAIL` long; small ones keep their pixels."""
    image = Image.fromarray(rgb)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return images.to_png(np.asarray(image, np.uint8))


def answer(model: inference.ServedModel, photos: Sequence[Photo], fit: Fit) -> list[Answer]:
    """The answers about some photos, in their order, all classified together.

    Raises:
        KeyError: a photo was read before a model of this shape was known.
    """
    if not photos:
        return []
    pixels = np.stack([photo.inputs[model.image_shape, fit] for photo in photos])
    return ask(model, pixels)


def ask(model: inference.ServedModel, pixels: Pixels) -> list[Answer]:
    """A model's answers about pictures, (n, H, W, C) uint8; they share no memory.

    Raises:
        inference.InferenceError: see `ServedModel.predict`.
    """
    said, n = model.predict(pixels), len(pixels)
    parts = zip(said.probabilities, said.activation, images.blank(pixels), strict=True)
    return [Answer(p.copy(), a.copy(), said.milliseconds / n, n, bool(b)) for p, a, b in parts]


def table(
    photos: Sequence[Photo],
    answers: Sequence[Answer],
    classes: Sequence[str],
    threshold: float | None,
) -> pd.DataFrame:
    """One row per photo: what was answered, how sure, what to do, and every probability."""
    rows = [
        _row(photo, said, classes, threshold) for photo, said in zip(photos, answers, strict=True)
    ]
    columns = ["file", "category", "confidence", "decision", "runner_up", "runner_up_confidence"]
    columns += ["known_category", "read_ms", "model_ms", "width", "height", "format", "notes"]
    columns += ["sha256", *(f"p_{name}" for name in classes)]
    return pd.DataFrame(rows, columns=columns)


def _row(
    photo: Photo, said: Answer, classes: Sequence[str], threshold: float | None
) -> dict[str, Any]:
    order = np.argsort(-said.probabilities, kind="stable")
    second = int(order[1]) if len(order) > 1 else int(order[0])
    row: dict[str, Any] = {
        "file": photo.name,
        "category": classes[said.best],
        "confidence": said.confidence,
        "decision": "file automatically" if said.alone(threshold) else "a person should look",
        "runner_up": classes[second],
        "runner_up_confidence": float(said.probabilities[second]),
        "known_category": photo.truth,
        "read_ms": photo.milliseconds,
        "model_ms": said.milliseconds,
        "width": photo.size[0],
        "height": photo.size[1],
        "format": photo.format,
        "notes": "; ".join(photo.notes),
        "sha256": photo.sha256,
    }
    return row | {
        f"p_{name}": float(p) for name, p in zip(classes, said.probabilities, strict=True)
    }
