"""A visitor's photos: bytes → `Photo` (small, re-encoded) → `Classification` → a table.

Each photo is decoded once and then kept only as a thumbnail and as the inputs of the published
models. So a list of photos stays small, and another model or fit classifies them at once.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from src.data import decoding, images
from src.serving.classifier import Classification, Classifier
from src.serving.preparation import Pixels, Preparation, Prepared, prepare

THUMBNAIL = 160  # pixels of the longer side
NAME = 60  # characters of a file name


@dataclass(frozen=True)
class Photo:
    """A photo as it is kept.

    sha256: of the file's bytes. thumbnail: PNG, made by us. inputs: model inputs by their
    preparation. size: (width, height) as uploaded. milliseconds: what reading it took. truth: its
    category where it is known. notes: what was done to read it, in words.
    """

    sha256: str
    name: str
    thumbnail: bytes
    inputs: Mapping[Preparation, Prepared]
    format: str
    size: tuple[int, int]
    notes: tuple[str, ...]
    milliseconds: float
    truth: str | None = None

    def told(self, how: Preparation) -> tuple[str, ...]:
        """What was done to read and to prepare it, in words and in order."""
        return (*self.notes, *self.inputs[how].notes)


def sha256(data: bytes) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal; it names a photo."""
    return hashlib.sha256(data).hexdigest()


def shown_name(name: str) -> str:
    """A client's file name without invisible characters, its middle left out where long."""
    clean = "".join(char for char in name if char.isprintable()).strip() or "unnamed"
    return clean if len(clean) <= NAME else f"{clean[: NAME - 16]}…{clean[-15:]}"


def read(data: bytes, name: str, ways: Iterable[Preparation], truth: str | None = None) -> Photo:
    """Decode a photo and prepare it in each of these ways.

    Raises:
        decoding.ImageError: it is no image, or one that cannot be read; the message says why.
    """
    started = time.perf_counter()
    decoded = decoding.decode(data)
    inputs = {how: prepare(decoded, how) for how in dict.fromkeys(ways)}
    milliseconds = 1000 * (time.perf_counter() - started)
    return Photo(
        sha256(data),
        shown_name(name),
        thumbnail(decoded.rgb),
        inputs,
        decoded.format,
        decoded.size,
        decoded.notes,
        milliseconds,
        truth,
    )


def thumbnail(rgb: Pixels) -> bytes:
    """PNG of an image, uint8 (H, W, 3), at most `THUMBNAIL` long; small ones keep their pixels."""
    image = Image.fromarray(rgb)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return images.to_png(np.asarray(image, np.uint8))


def classify(
    classifier: Classifier, photos: Sequence[Photo], how: Preparation
) -> list[Classification]:
    """Classify photos together, in their order.

    Raises:
        KeyError: a photo has not been prepared so.
    """
    if not photos:
        return []
    inputs = [photo.inputs[how] for photo in photos]
    return classifier.classify(
        np.stack([one.pixels for one in inputs]), [one.doubt for one in inputs]
    )


DECISIONS = {"automatic": "sort automatically", "check": "needs checking"}


def table(
    photos: Sequence[Photo],
    results: Sequence[Classification],
    classes: Sequence[str],
    how: Preparation,
) -> pd.DataFrame:
    """One row per photo: category, confidence, decision and reason, and every probability."""
    rows = [_row(photo, result, how) for photo, result in zip(photos, results, strict=True)]
    columns = ["file", "category", "confidence", "decision", "reason", "runner_up"]
    columns += ["runner_up_confidence", "known_category", "read_ms", "model_ms", "width", "height"]
    columns += ["format", "notes", "sha256", *(f"p_{name}" for name in classes)]
    return pd.DataFrame(rows, columns=columns)


def _row(photo: Photo, result: Classification, how: Preparation) -> dict[str, Any]:
    order = np.argsort(-result.probabilities, kind="stable")
    second = int(order[1]) if len(order) > 1 else int(order[0])
    row: dict[str, Any] = {
        "file": photo.name,
        "category": result.label,
        "confidence": result.confidence,
        "decision": DECISIONS[result.decision],
        "reason": result.reason,
        "runner_up": result.classes[second],
        "runner_up_confidence": float(result.probabilities[second]),
        "known_category": photo.truth,
        "read_ms": photo.milliseconds,
        "model_ms": result.milliseconds,
        "width": photo.size[0],
        "height": photo.size[1],
        "format": photo.format,
        "notes": "; ".join(photo.told(how)),
        "sha256": photo.sha256,
    }
    shares = zip(result.classes, result.probabilities, strict=True)
    return row | {f"p_{name}": float(share) for name, share in shares}
