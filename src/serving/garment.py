"""A garment in a photo: found against its background, and placed as Fashion-MNIST's images are.

The background is what has the colours of the border; the garment is what has other colours and lies
rather in the middle. Each is a density over colours, re-estimated in turn from the pixels that are
more likely its own, as in Rother, Kolmogorov and Blake, GrabCut, SIGGRAPH 2004. In place of their
graph cut, what has been found follows the edges of the image by the filter of He, Sun and Tang,
Guided Image Filtering, IEEE TPAMI 35 (2013).

All constants were chosen on training photos of the study `clothing` (`benchmarks/preparation.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from src.serving.regions import Mask, box_mean, filled, heaviest

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

SIDE = 80  # pixels of the longer side in which the garment is looked for
ROUNDS = 6
# Colours in percent: lightness counts less than hue, because shadows change it.
LIGHTNESS = 0.4
CELL = 8.0  # percent; densities are smoothed by a Gaussian as wide
GRID = (6, 27, 27)  # cells of lightness, red against green, yellow against blue
FLOOR = 1e-3  # of a density: a colour seen in neither tells little
FRAME = 0.1  # width of the border, as a share of the image's shorter side
BORDER_WEIGHT = 3.0  # of a border pixel as an example of the background
COLOUR_WEIGHT = 1.5  # of the colours against the place
PLACE_WEIGHT = (2.0, 0.25)  # of the place: in the first round, in the last one
MIDDLE = 0.3  # standard deviation of the place from the middle, in shares of the sides
EDGE = (2, 9.0)  # the filter's radius in pixels, and the variance of lightness that is no edge
EXTENT = (0.03, 0.95)  # of the photo that a garment can cover
# Least difference of the garment's mean probability inside and outside. On plain backgrounds it is
# 0.9 and more; of the training photos above, fewer than 1 in 100 are sorted into a wrong class.
CERTAIN = 0.85
SHARPENED = 60  # percent


class Garment(NamedTuple):
    """Where a garment is: bool (h, w), not the photo's own size. certainty: 0 to 1."""

    mask: Mask
    certainty: float

    @property
    def certain(self) -> bool:
        """Whether garment and background differ clearly."""
        return self.certainty >= CERTAIN


def _gaussian(length: int) -> Floats:
    """A Gaussian, one cell wide, around each of so many cells, (n, n)."""
    distance = np.subtract.outer(np.arange(length), np.arange(length))
    return np.asarray(np.exp(-0.5 * distance**2))


KERNELS = tuple(map(_gaussian, GRID))


def find(rgb: Pixels) -> Garment | None:
    """The garment in a photo, uint8 (H, W, 3); None where next to nothing or all would be it."""
    small = _reduced(rgb)
    probability = _probability(small)
    near = np.exp(PLACE_WEIGHT[1] * _place(probability.shape))
    mask = filled(heaviest(probability > 0.5, near))
    if not EXTENT[0] <= mask.mean() <= EXTENT[1]:
        return None
    certainty = probability[mask].mean() - probability[~mask].mean()
    return Garment(mask, max(0.0, float(certainty)))


def place(grey: Pixels, mask: Mask, shape: tuple[int, int]) -> Pixels:
    """A garment as in Fashion-MNIST's images, uint8 (H, W).

    Trimmed, the rest black, resized until it fills the image's height or width, sharpened, and
    centred: steps 2 to 5 of Xiao, Rasul and Vollgraf (2017), section 2.

    Args:
        grey: uint8 (h, w), as bright as the garment is to be.
        mask: where the garment is, bool, in any size.
        shape: (H, W) of the image.
    """
    fine = np.asarray(_image(mask, grey.shape[::-1]), np.float32) / 255
    left, top, right, bottom = _bounds(mask, grey.shape)
    scale = min(shape[0] / (bottom - top), shape[1] / (right - left))
    height, width = (max(1, round(scale * side)) for side in (bottom - top, right - left))
    resized = Image.fromarray(grey * fine).resize(
        (width, height), Image.Resampling.BICUBIC, (left, top, right, bottom)
    )
    whole = Image.fromarray(np.clip(np.rint(np.asarray(resized)), 0, 255).astype(np.uint8))
    sharp = np.asarray(whole.filter(ImageFilter.UnsharpMask(1.0, SHARPENED, 0)))
    placed = np.zeros(shape, np.uint8)
    y, x = (shape[0] - height) // 2, (shape[1] - width) // 2
    placed[y : y + height, x : x + width] = sharp
    return placed


def _image(mask: Mask, size: tuple[int, ...]) -> Image.Image:
    image = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return image.resize((size[0], size[1]), Image.Resampling.BICUBIC)


def _bounds(mask: Mask, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the mask, in pixels of an image of (h, w)."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    y, x = shape[0] / mask.shape[0], shape[1] / mask.shape[1]
    return columns[0] * x, rows[0] * y, (columns[-1] + 1) * x, (rows[-1] + 1) * y


# --- garment or background ---------------------------------------------------------------------


def _reduced(rgb: Pixels) -> Pixels:
    """At most `SIDE` pixels long, at least 8 high and wide."""
    height, width = rgb.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))


def _probability(rgb: Pixels) -> Floats:
    """How probably each pixel of (h, w, 3) belongs to the garment, 0 to 1."""
    colours = _colours(rgb)
    cells, lightness = _cells(colours), colours[..., 0] / LIGHTNESS
    nearness, border = _place(cells.shape), _border(cells.shape)
    found = np.where(border, 0.0, _sigmoid(PLACE_WEIGHT[0] * nearness))
    for weight in np.linspace(*PLACE_WEIGHT, ROUNDS):
        if weight == PLACE_WEIGHT[-1]:  # the last round: each pixel counts for one of the two
            found = np.where(found > 0.5, 0.99, 0.01)
        own, others = _density(cells, found), _density(cells, 1 - found + BORDER_WEIGHT * border)
        evidence = COLOUR_WEIGHT * np.log((own + FLOOR) / (others + FLOOR)) + weight * nearness
        found = np.clip(_along_edges(lightness, _sigmoid(evidence)), 0.001, 0.999)
    return found


def _colours(rgb: Pixels) -> Floats:
    """(h, w, 3) as weighted lightness, red against green, yellow against blue, in percent."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64) / 2.55, -1, 0)
    lightness = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([LIGHTNESS * lightness, red - green, (red + green) / 2 - blue], axis=-1)


def _cells(colours: Floats) -> Cells:
    """The cell of `GRID` that each pixel's colour lies in, (h, w); no difference is cell 13."""
    at = np.rint(colours / CELL).astype(np.int64) + np.array([0, GRID[1] // 2, GRID[2] // 2])
    return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(at, -1, 0)), GRID))


def _density(cells: Cells, weight: Floats) -> Floats:
    """How common each pixel's colour is among pixels of these weights, (h, w)."""
    counts = np.bincount(cells.ravel(), weight.ravel(), minlength=int(np.prod(GRID)))
    density: Floats = counts.reshape(GRID).astype(np.float64)
    for kernel in KERNELS:  # each takes the first axis and puts it last
        density = np.tensordot(density, kernel, (0, 1))
    return np.asarray(density.ravel()[cells] / weight.sum())


def _place(shape: tuple[int, ...]) -> Floats:
    """Log-odds of a place, (h, w): 1 in the middle, falling outwards."""
    y, x = (((np.arange(side) + 0.5) / side - 0.5) / MIDDLE for side in shape)
    return np.asarray(1 - 0.5 * (y[:, np.newaxis] ** 2 + x**2))


def _border(shape: tuple[int, ...]) -> Mask:
    width = max(1, round(FRAME * min(shape)))
    border = np.ones(shape, bool)
    border[width:-width, width:-width] = False
    return border


def _along_edges(guide: Floats, values: Floats) -> Floats:
    """He, Sun and Tang (2013), equations 5, 6 and 8: smooth, but not across edges of the guide."""
    radius, variance = EDGE
    mean, meant = box_mean(guide, radius), box_mean(values, radius)
    covariance = box_mean(guide * values, radius) - mean * meant
    slope = covariance / (box_mean(guide * guide, radius) - mean * mean + variance)
    offset = meant - slope * mean
    return box_mean(slope, radius) * guide + box_mean(offset, radius)


def _sigmoid(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -8, 8))))
