"""Uploads → model inputs: photos and drawings, for the page, the canvas and the API alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.data import decoding, images
from src.runs import published
from src.serving import drawing

Fit = Literal["crop", "pad"]
Shape = tuple[int, int, int]
Pixels = NDArray[np.uint8]
FITS: tuple[Fit, ...] = ("crop", "pad")
FITTED = {"crop": "cropped to the centre", "pad": "padded with white"}


class Preparation(NamedTuple):
    """How an upload becomes a model input; uploads prepared alike can share it.

    shape: (H, W, C) of the model input. fit: what happens to a photo of other proportions.
    """

    shape: Shape
    fit: Fit = "crop"


@dataclass(frozen=True)
class Prepared:
    """A model input, uint8 (H, W, C), and what was done to get it, in words and in order."""

    pixels: Pixels
    notes: tuple[str, ...]


def preparation(run: published.Run, fit: Fit = "crop") -> Preparation:
    """How uploads are prepared for the models of a run.

    Raises:
        published.RunError: the run's dataset card cannot be read.
    """
    height, width, channels = run.dataset["image_shape"]
    return Preparation((height, width, channels), fit)


def prepare(upload: decoding.DecodedImage | drawing.Strokes, how: Preparation) -> Prepared:
    """The model input of a decoded photo or of the strokes of a drawing.

    Raises:
        drawing.DrawingError: nothing has been drawn.
    """
    if isinstance(upload, Sequence):
        return Prepared(drawing.normalise(upload, how.shape), ())
    pixels = images.model_input(upload.rgb, how.shape, how.fit)
    return Prepared(pixels, _notes(upload.rgb.shape, how))


def _notes(given: tuple[int, ...], how: Preparation) -> tuple[str, ...]:
    """What `images.model_input` does to an image of shape (h, w, C)."""
    (rows, columns, channels), (height, width, wanted) = given, how.shape
    notes = []
    centre = images.centred(np.empty((rows, columns, 0), np.uint8), width / height)
    if centre.shape[:2] != (rows, columns):
        notes.append(FITTED[how.fit])
    if (rows, columns) != (height, width):
        notes.append(f"resized to {width} × {height}")
    return (*notes, "made grey") if wanted < channels else tuple(notes)
