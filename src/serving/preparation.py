"""Uploads → model inputs: photos and drawings, for the page, the canvas and the API alike.

How photos of a study are prepared stands in its file (`Uploads`). Photos for studies of images that
are light on black go the way that the makers of those images describe: `garment`, `ink`, `drawing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from src.data import decoding, images, studies
from src.data.specification import DIGITS, Fit, Uploads
from src.runs import published
from src.serving import drawing, garment, ink

Shape = tuple[int, int, int]
Pixels = NDArray[np.uint8]
FITS: tuple[Fit, ...] = ("crop", "pad")
# Of 141,797 images of Fashion-MNIST, MNIST and the UCI digits, each has at least 31 % of its border
# this dark; inverted, at most 25 %.
BLACK = 32  # of 255
BLACK_BORDER = 0.25  # more of the border is that dark in an image on black


class Preparation(NamedTuple):
    """How an upload becomes a model input; uploads prepared alike can share it.

    shape: (H, W, C) of the model input. fit, ground, placement: see `Uploads`.
    """

    shape: Shape
    fit: Fit = "crop"
    ground: str = "any"
    placement: str = "whole"

    @property
    def padding(self) -> str:
        """The colour around a padded photo: the ground of the study's own images."""
        return "black" if self.ground == "dark" else "white"

    @property
    def fits(self) -> bool:
        """Whether `fit` matters: not where the placement decides what becomes of a photo."""
        return self.placement == "whole"


@dataclass(frozen=True)
class Prepared:
    """A model input, uint8 (H, W, C), and what was done to get it, in words and in order.

    doubt: why the model input may not show what the photo shows; empty where nothing says so.
    """

    pixels: Pixels
    notes: tuple[str, ...]
    doubt: str = ""


def preparation(run: published.Run, fit: Fit | None = None) -> Preparation:
    """How uploads are prepared for the models of a run: as its study's file says.

    Cropped to the centre where there is no such file. Where a version's images are not those that
    the file speaks of, only the fit holds.

    Args:
        run: the run.
        fit: instead of the file's, where the study's placement leaves a choice.

    Raises:
        published.RunError: the run's dataset card cannot be read.
        DataError: the study's file is wrong.
    """
    height, width, channels = run.dataset["image_shape"]
    stated = studies.uploads(run.study)
    if not _possible(stated, (height, width, channels)):
        stated = Uploads(stated.fit)
    chosen = (fit or stated.fit) if stated.placement == "whole" else stated.fit
    return Preparation((height, width, channels), chosen, stated.ground, stated.placement)


def _possible(stated: Uploads, shape: Shape) -> bool:
    if stated.placement == "digit":
        return shape in DIGITS
    return stated.ground == "any" or shape[2] == 1


def ways(run: published.Run) -> tuple[Preparation, ...]:
    """Every preparation that a visitor can choose for a run; raises what `preparation` does."""
    return tuple(dict.fromkeys(preparation(run, fit) for fit in FITS))


def prepare(upload: decoding.DecodedImage | drawing.Strokes, how: Preparation) -> Prepared:
    """The model input of a decoded photo or of the strokes of a drawing.

    Raises:
        drawing.DrawingError: nothing has been drawn.
    """
    if isinstance(upload, Sequence):
        return Prepared(drawing.normalise(upload, how.shape), ())
    if how.ground == "any":
        return _whole(upload.rgb, how)
    return _as_it_is(upload.rgb, how.shape) or PLACEMENTS[how.placement](upload.rgb, how)


# --- the whole photo ---------------------------------------------------------------------------


def _whole(rgb: Pixels, how: Preparation) -> Prepared:
    ground = 0 if how.ground == "dark" else 255
    pixels = images.model_input(rgb, how.shape, how.fit, ground)
    return Prepared(pixels, _notes(rgb.shape, how))


def _notes(given: tuple[int, ...], how: Preparation) -> tuple[str, ...]:
    """What `images.model_input` does to an image of shape (h, w, C)."""
    (rows, columns, channels), (height, width, wanted) = given, how.shape
    notes = []
    centre = images.centred(np.empty((rows, columns, 0), np.uint8), width / height)
    if centre.shape[:2] != (rows, columns):
        crop = how.fit == "crop"
        notes.append("cropped to the centre" if crop else f"padded with {how.padding}")
    if (rows, columns) != (height, width):
        notes.append(f"resized to {width} × {height}")
    return (*notes, "made grey") if wanted < channels else tuple(notes)


# --- light on black ----------------------------------------------------------------------------

INVERTED = "inverted, as the study's images are light on black"


def _as_it_is(rgb: Pixels, shape: Shape) -> Prepared | None:
    """An image of the study's own size in grey: unchanged where it is on black, else inverted.

    None where it is something else, or where neither it nor its negative is on black.
    """
    light = _light_if_grey(rgb)
    if rgb.shape[:2] != shape[:2] or light is None:
        return None
    grey = rgb[..., :1]
    return Prepared(255 - grey, (INVERTED,)) if light else Prepared(grey, ())


def _light_if_grey(rgb: Pixels) -> bool | None:
    """Whether an image without any colour is on white (True) or black; None where on neither."""
    if (rgb != rgb[..., :1]).any():
        return None
    if _on_black(rgb[..., :1]):
        return False
    return True if _on_black(255 - rgb[..., :1]) else None


def _on_black(grey: Pixels) -> bool:
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    return bool((border <= BLACK).mean() > BLACK_BORDER)


def _whole_on_black(rgb: Pixels, how: Preparation) -> Prepared:
    """The whole photo, inverted where its ground is light."""
    if np.median(_grey(rgb)) < 128:
        return _whole(rgb, how)
    whole = _whole(255 - rgb, how)
    return Prepared(whole.pixels, (INVERTED, *whole.notes))


def _garment(rgb: Pixels, how: Preparation) -> Prepared:
    """The garment in a photo, placed as in Fashion-MNIST's images."""
    height, width, _ = how.shape
    found = garment.find(rgb)
    if found is None:
        whole = _whole_on_black(rgb, how)
        notes = ("no garment found, so the whole photo is used", *whole.notes)
        return Prepared(whole.pixels, notes, "no garment found in the photo")
    grey = _grey(rgb)
    black = np.median(_ground(grey, found.mask)) <= BLACK
    pixels = garment.place(grey if black else 255 - grey, found.mask, (height, width))
    notes = (
        "garment found by the colours of the border"
        if found.certain
        else "no plain background found: what differs most from the border is used",
        "made grey",
        *(() if black else (INVERTED,)),
        "background made black",
        f"trimmed, longer side resized to {max(height, width)}",
        "sharpened",
        f"centred in {width} × {height}",
    )
    doubt = "" if found.certain else "no plain background found"
    return Prepared(pixels[..., np.newaxis], notes, doubt)


def _digit(rgb: Pixels, how: Preparation) -> Prepared:
    """The digit in a photo, placed as the makers of the study's images did."""
    height, width, _ = how.shape
    found = ink.find(rgb, _light_if_grey(rgb))
    if found is None:
        whole = _whole_on_black(rgb, how)
        notes = ("no strokes found, so the whole photo is used", *whole.notes)
        return Prepared(whole.pixels, notes, "no strokes found on a plain background")
    notes = (
        f"{'dark' if found.light else 'light'} strokes found",
        *((INVERTED,) if found.light else ()),
        "background made black",
        drawing.STYLES[how.shape].told,
        f"placed in {width} × {height}",
    )
    doubt = "more than one character found" if ink.several(found.mask) else ""
    return Prepared(drawing.photographed(found.mask, how.shape), notes, doubt)


PLACEMENTS = {"whole": _whole_on_black, "garment": _garment, "digit": _digit}


def _grey(rgb: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(rgb).convert("L"))


def _ground(grey: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """The values outside a mask of another size."""
    small = Image.fromarray(grey).resize(mask.shape[::-1], Image.Resampling.BOX)
    return np.asarray(small)[~mask]
