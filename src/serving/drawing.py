"""Drawn digits: from strokes to a model's input, and how well models classify them.

The path of the pen is scaled, drawn with the pen of the training images and placed as they are, so
that neither the width nor the colour of the canvas's pen matters. What a study's images look like
is one line of `STYLES`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from src.data import images
from src.evaluation import stats
from src.serving.ink import thinned

if TYPE_CHECKING:
    import pandas as pd

    from src.serving.inference import ServedModel

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Points = Floats  # (n, 2): x to the right, y down
Strokes = Sequence[Points]
Shape = tuple[int, int, int]

DIGITS = frozenset("0123456789")
CELLS = 8  # a pixel is 8 × 8 cells, of which the inked ones are counted
MAX_POINTS = 20_000  # of one drawing; a slow digit has some hundred


class DrawingError(ValueError):
    """Nothing can be made of a drawing; the message tells a person why."""


@dataclass(frozen=True)
class Style:
    """How a set's images were made; lengths in pixels of the images.

    box: (height, width) that the ink is scaled to. pen: width of the strokes. proportional: whether
    the scaling keeps proportions. place: what moves the scaled path, (n, 2), whose ink begins at
    (0, 0), to its place in an image of the given side. redrawn: whether a photographed digit is
    drawn anew with the pen, not only scaled: in so few pixels a thin line nearly vanishes. told:
    what is done, for a visitor.
    """

    box: tuple[float, float]
    pen: float
    proportional: bool
    place: Callable[[Points, Style, int], Points]
    redrawn: bool
    told: str


def suits(card: Mapping[str, Any]) -> bool:
    """Whether drawing makes sense for a study, by its dataset.json: small grey digits.

    Older ones do not say it, but have the digits as their classes.
    """
    drawn = card.get("drawing", set(card["classes"]) == DIGITS)
    return tuple(card["image_shape"]) in STYLES and bool(drawn)


def normalise(strokes: Strokes, shape: Shape) -> Pixels:
    """The image that a model sees of a drawing.

    Args:
        strokes: each (n, 2), in any unit, x to the right and y down.
        shape: (H, W, 1) of the model's images, a key of `STYLES`.

    Returns:
        uint8 (H, W, 1), strokes bright on black.

    Raises:
        DrawingError: nothing has been drawn.
    """
    return drawn(path(strokes), STYLES[shape], shape[0])


def drawn(points: Points, style: Style, side: int) -> Pixels:
    """A path of the pen, (n, 2) in any unit, as an image of a style, uint8 (side, side, 1)."""
    placed = style.place(_scaled(points, style), style, side)
    covered = inked(placed, side, style.pen)
    return np.rint(255 * covered).astype(np.uint8)[..., np.newaxis]


def photographed(ink: NDArray[np.bool_], shape: Shape) -> Pixels:
    """The image that a model sees of a photographed digit, whose ink is where (h, w) is true.

    As `normalise`; where the style keeps the ink's own width, its pixels are its path and the pen
    is one and a half of them wide.
    """
    style, side = STYLES[shape], shape[0]
    if style.redrawn:
        return drawn(_places(thinned(ink)), style, side)
    points = _places(ink)
    pixel = max(style.box) / (np.ptp(points, axis=0).max() + 1)
    return drawn(points, replace(style, pen=1.5 * pixel), side)


def _places(mask: NDArray[np.bool_]) -> Points:
    y, x = np.nonzero(mask)
    return np.stack([x, y], axis=1).astype(np.float64)


def parse(strokes: object) -> tuple[Points, ...]:
    """Strokes from outside, lists of [x, y] in shares of the canvas; what lies beyond is cut off.

    Raises:
        DrawingError: they are something else, or far too long.
    """
    if not isinstance(strokes, list):
        raise DrawingError("A drawing must be a list of strokes.")
    try:
        parsed = [np.array(stroke, np.float64).reshape(len(stroke), 2) for stroke in strokes]
    except (TypeError, ValueError) as error:
        raise DrawingError("A stroke must be a list of [x, y].") from error
    if sum(map(len, parsed)) > MAX_POINTS:
        raise DrawingError("The drawing is too long. Clear it and draw one digit.")
    if not all(np.isfinite(stroke).all() for stroke in parsed):
        raise DrawingError("The places of a stroke must be numbers.")
    return tuple(np.clip(stroke, 0, 1) for stroke in parsed if len(stroke))


# --- the path of the pen -----------------------------------------------------------------------


def path(strokes: Strokes) -> Points:
    """Where the pen was, (n, 2), close together, in the drawing's own unit.

    Raises:
        DrawingError: nothing has been drawn.
    """
    points = _along(strokes)
    if not len(points):
        raise DrawingError("Nothing has been drawn yet.")
    return points


def _along(strokes: Strokes) -> Points:
    """Points along strokes, at most 1/200 of the drawing's larger side apart."""
    drawn = [np.asarray(stroke, np.float64) for stroke in strokes if len(stroke)]
    if not drawn:
        return np.empty((0, 2))
    step = np.ptp(np.concatenate(drawn), axis=0).max() / 200
    return np.concatenate([_filled(stroke, step) for stroke in drawn])


def _filled(stroke: Points, step: float) -> Points:
    lengths = np.hypot(*np.diff(stroke, axis=0).T)
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    if reached[-1] == 0:  # a dot
        return stroke[:1]
    at = np.linspace(0, reached[-1], int(np.ceil(reached[-1] / step)) + 1)
    return np.stack([np.interp(at, reached, stroke[:, axis]) for axis in (0, 1)], axis=1)


# --- as the training images were made --------------------------------------------------------


def _scaled(points: Points, style: Style) -> Points:
    """The path in pixels of the image, the ink of its pen beginning at (0, 0).

    Scaled as the sets' makers scaled their scans: by the extent of the ink, their pen included.
    """
    extent = np.ptp(points, axis=0)
    longest = max(style.box)
    pen = (extent.max() or 1.0) * style.pen / (longest - style.pen)  # in the drawing's unit
    scale = np.array(style.box[::-1]) / (extent + pen)
    if style.proportional:
        scale[:] = scale.min()
    return np.asarray((points - points.min(axis=0)) * scale + style.pen / 2)


def inked(points: Points, side: int, pen: float, cells: int = CELLS) -> Floats:
    """How much of each pixel, (side, side), a round pen covers that was at all these points, 0–1.

    Args:
        points: (n, 2) in pixels, closer together than the pen is wide.
        side: height and width of the image.
        pen: the pen's width in pixels.
        cells: how finely a pixel is divided.
    """
    radius = pen * cells / 2
    margin = int(np.ceil(radius))
    y, x = np.mgrid[-margin : margin + 1, -margin : margin + 1]
    width = side * cells + 2 * margin  # room for the pen at the very edge
    nib = (y * width + x)[x * x + y * y <= radius * radius]
    at = np.clip(np.floor(points * cells), 0, side * cells - 1).astype(np.int64) + margin
    board = np.zeros(width * width, bool)
    board[np.unique(at[:, 1] * width + at[:, 0])[:, np.newaxis] + nib] = True
    inner = board.reshape(width, width)[margin:-margin, margin:-margin]
    return np.asarray(inner.reshape(side, cells, side, cells).mean(axis=(1, 3)))


def _by_mass(points: Points, style: Style, side: int) -> Points:
    """The ink's centre of mass within half a pixel of pixel (side / 2, side / 2), all inside.

    By whole pixels, as LeCun et al. (1998) moved the 20 × 20 images of MNIST.
    """
    covered = inked(points, side, style.pen)
    weights = np.stack([covered.sum(0), covered.sum(1)])
    mass = (weights * np.arange(side)).sum(1) / covered.sum()
    room = side - np.array([np.flatnonzero(weight)[-1] + 1 for weight in weights])
    return np.asarray(points + np.clip(np.rint(side / 2 - mass), 0, room))


def _upright(points: Points, style: Style, side: int) -> Points:
    """In the middle, slanted so that the ink begins equally far left near its top and its bottom.

    The programs of NIST that made the UCI digits straighten them so (hsfsys, `shear_char`).
    """
    x, y = (points + (side - points.max(axis=0) - style.pen / 2) / 2).T
    near = side / 16  # two of 32 rows: the very edges are rough
    top, bottom = (_left(x, y - row, style.pen / 2) for row in (near, side - near))
    slant = (top - bottom) / (side - 2 * near)
    return np.stack([x + slant * (y - side / 2), y], axis=1)


def _left(x: Floats, y: Floats, radius: float) -> float:
    """Where the ink of a round pen that was at all (x, y) begins in the row y = 0.

    In the middle of all where that row has none: a dash is not straightened.
    """
    near = np.abs(y) <= radius
    if not near.any():
        return float(x.mean())
    return float((x[near] - np.sqrt(radius**2 - y[near] ** 2)).min())


# The box and the place are those of the sets' makers and hold for every training image looked at:
# MNIST's ink is 20 long and its centre of mass half a pixel from (14, 14) at most; the UCI digits
# fill 32 × 20 of 32 × 32 bitmaps, whose 4 × 4 blocks were counted (hsfsys, `norm_2nd_gen`). The pen
# is measured: drawn anew along the middle of their own strokes with this pen, training images keep
# the median width of their strokes. The tests measure all of it again.
STYLES: dict[Shape, Style] = {
    (28, 28, 1): Style(
        (20, 20), 2.40, True, _by_mass, False, "scaled to 20 pixels, centre of mass in the middle"
    ),
    (8, 8, 1): Style(
        (8, 5), 1.40, False, _upright, True, "redrawn with one pen, scaled to 8 × 5, straightened"
    ),
}


# --- how well models read drawings -------------------------------------------------------------

CANVAS = 280  # pixels of the side of a canvas that is only resized
PEN = 0.06  # width of the canvas's pen, as a share of its side


@dataclass(frozen=True)
class Drawing:
    """A drawing whose digit is known; strokes in shares of the canvas's side."""

    label: str
    hand: str
    strokes: tuple[Points, ...]


def load(file: Path) -> list[Drawing]:
    """The drawings of a TOML file with tables `drawing`: label, hand, strokes.

    Raises:
        DrawingError: it is written in another way.
    """
    entries = tomllib.loads(file.read_text("utf-8")).get("drawing", [])
    try:
        return [Drawing(e["label"], e["hand"], parse(e["strokes"])) for e in entries]
    except KeyError as error:
        raise DrawingError(f"A drawing in {file.name} has no {error}.") from error


# What differs between people without changing the digit: (where the middle of the canvas goes to,
# enlargement, width of the pen).
VARIANTS: dict[str, tuple[tuple[float, float], float, float]] = {
    "as drawn": ((0.5, 0.5), 1.0, PEN),
    "off centre": ((0.32, 0.36), 1.0, PEN),
    "small": ((0.5, 0.5), 0.4, PEN),
    "large": ((0.5, 0.5), 1.35, PEN),
    "thin pen": ((0.5, 0.5), 1.0, PEN / 2),
    "thick pen": ((0.5, 0.5), 1.0, 2 * PEN),
}
TREATMENTS = ("strokes", "resized")


def varied(drawing: Drawing, variant: str) -> tuple[Points, ...]:
    """A drawing's strokes as one of the `VARIANTS`."""
    middle, larger, _ = VARIANTS[variant]
    return tuple((stroke - 0.5) * larger + middle for stroke in drawing.strokes)


def canvas(strokes: Strokes, pen: float = PEN) -> Pixels:
    """The canvas as pixels, uint8 (CANVAS, CANVAS, 1): white strokes on black."""
    covered = inked(path(strokes) * CANVAS, CANVAS, pen * CANVAS, cells=1)
    return (255 * covered).astype(np.uint8)[..., np.newaxis]


def treated(drawing: Drawing, variant: str, treatment: str, shape: Shape) -> Pixels:
    """What a model sees of a drawing, uint8 (H, W, 1), with one of the `TREATMENTS`.

    "strokes": `normalise`, as the dashboard does. "resized": the canvas made smaller, nothing else.
    """
    strokes = varied(drawing, variant)
    if treatment == "strokes":
        return normalise(strokes, shape)
    return images.model_input(canvas(strokes, VARIANTS[variant][2]), shape)


def evaluate(
    model: ServedModel, classes: Sequence[str], drawings: Sequence[Drawing]
) -> pd.DataFrame:
    """One row per treatment, variant and drawing, in the orders of those.

    Columns: treatment, variant, label, hand, prediction, confidence (0–1), correct, and png, the
    image that the model saw.
    """
    import pandas as pd

    cases = [(t, v, d) for t in TREATMENTS for v in VARIANTS for d in drawings]
    seen = np.stack([treated(d, v, t, model.image_shape) for t, v, d in cases])
    probabilities = model.predict(seen).probabilities
    frame = pd.DataFrame(
        [(t, v, d.label, d.hand) for t, v, d in cases],
        columns=["treatment", "variant", "label", "hand"],
    )
    frame["prediction"] = np.array(list(classes))[probabilities.argmax(1)]
    frame["confidence"] = probabilities.max(1)
    frame["correct"] = frame["prediction"] == frame["label"]
    frame["png"] = [images.to_png(image) for image in seen]
    return frame


def summary(frame: pd.DataFrame) -> dict[str, Any]:
    """Accuracy of one model by treatment and variant, from `evaluate`.

    {"accuracy": {treatment: {variant: {"value", "low", "high", "method", "n", "right"}}},
    "gain": {variant: paired difference "strokes" minus "resized" with "p"}}. The variants are the
    same drawings again, so they are never counted together.
    """
    groups = frame.groupby(["treatment", "variant"])["correct"]
    right = {case: answers.to_list() for case, answers in groups}
    return {
        "accuracy": {t: {v: _share(right[t, v]) for v in VARIANTS} for t in TREATMENTS},
        "gain": {v: _gain(right["strokes", v], right["resized", v]) for v in VARIANTS},
    }


def _share(right: list[bool]) -> dict[str, Any]:
    found = stats.wilson(sum(right), len(right))
    return found.asdict() | {"n": len(right), "right": sum(right)}


def _gain(first: list[bool], second: list[bool]) -> dict[str, Any]:
    pairs = list(zip(first, second, strict=True))
    only_first, only_second = sum(a > b for a, b in pairs), sum(b > a for a, b in pairs)
    found = stats.paired_difference(only_first, only_second, len(pairs))
    p = stats.paired_test(only_first, only_second, len(pairs), 0.0)
    return found.asdict() | {"n": len(pairs), "p": p}


def record(
    models: Mapping[str, ServedModel], classes: Sequence[str], drawings: Sequence[Drawing]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What a run keeps about drawings: a frame for `drawings.parquet`, a dict for `drawings.json`.

    The frame: `evaluate` of every model, with a column `model` in front. The dict: {"drawings":
    their number, "models": {name: `summary`}}.
    """
    import pandas as pd

    frames = {name: evaluate(model, classes, drawings) for name, model in models.items()}
    joined = pd.concat(frames, names=["model"]).reset_index("model").reset_index(drop=True)
    told = {name: summary(frame) for name, frame in frames.items()}
    return joined, {"drawings": len(drawings), "models": told}
