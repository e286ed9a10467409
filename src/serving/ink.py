"""A written digit in a photo: its ink found on paper, and the middle of its strokes.

Ink is what is darker (or, on a dark ground, lighter) than everything around it within a window: a
shadow over the paper is wider than that (the black-hat of Serra, Image Analysis and Mathematical
Morphology, 1982; the threshold is that of Otsu, IEEE TSMC 9, 1979).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from src.serving.regions import Mask, components, weights

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

SIDE = 200  # pixels of the longer side in which ink is looked for
BLUR = 1.0  # pixels, against noise
WINDOW = 0.3  # of the longer side: wider than any stroke, narrower than shadows
CONTRAST = 24  # of 255: fainter ink is none
DISTINCT = 3.0  # how many times the spread of the paper the ink differs from it at least
EXTENT = (0.002, 0.4)  # of the photo that ink can cover
INNER = 0.3  # of all ink: with less in regions that do not reach the edge, these count too
SPECK = 0.05  # of the ink: a region with less of it is dirt
# Characters stand apart by more of their height or width than the strokes of one do, and each has
# its share of the ink. Of 1,500 MNIST training images none has such a gap.
APART, SHARE = 0.15, 0.15


class Ink(NamedTuple):
    """Where ink is: bool (h, w), not the photo's own size. light: whether the ground is light."""

    mask: Mask
    light: bool


def find(rgb: Pixels, light: bool | None = None) -> Ink | None:
    """The ink in a photo, uint8 (H, W, 3); None where nothing stands out clearly.

    Args:
        rgb: the photo.
        light: whether its ground is light, where that is known.
    """
    grey = _reduced(rgb)
    light = is_light(grey) if light is None else light
    height = _standing_out(255 - grey if light else grey)
    if height.max() < CONTRAST:
        return None
    mask = height > otsu(height)
    if not _clear(height, mask):
        return None
    kept = _without_specks(mask, height)
    return Ink(kept, light) if EXTENT[0] <= kept.mean() <= EXTENT[1] else None


def several(mask: Mask) -> bool:
    """Whether the ink of (h, w) is more than one character, side by side or one below another."""
    rows, columns = mask.sum(axis=1), mask.sum(axis=0)
    return _parted(columns, _extent(rows)) or _parted(rows, _extent(columns))


def _extent(ink: NDArray[np.int_]) -> int:
    inked = np.flatnonzero(ink)
    return int(inked[-1] - inked[0] + 1)


def _parted(ink: NDArray[np.int_], across: int) -> bool:
    """Whether lines without ink part it; `across` is how long the lines are where ink is."""
    inked = np.flatnonzero(ink)
    gaps = np.diff(inked) - 1
    before = (ink.cumsum() / ink.sum())[inked[:-1]]
    share = np.minimum(before, 1 - before)
    return bool(((gaps > APART * across) & (share > SHARE)).any())


def is_light(grey: NDArray[Any]) -> bool:
    """Whether the ground of (h, w), values 0 to 255, is light: what differs most from it is darker.

    The ground may be lit unevenly: it is a quadratic surface, fitted twice, the second time
    without the quarter of the pixels that differ most.
    """
    y, x = np.mgrid[-1 : 1 : grey.shape[0] * 1j, -1 : 1 : grey.shape[1] * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    values = np.asarray(grey, np.float64).ravel()
    near = np.ones(len(values), bool)
    for _ in range(2):
        surface = np.linalg.lstsq(terms[near], values[near])[0]
        rest = values - terms @ surface
        near = np.abs(rest) <= np.quantile(np.abs(rest), 0.75)
    dark, bright = np.percentile(rest, (0.5, 99.5))
    return bool(-dark >= bright)


def otsu(values: Floats) -> float:
    """The threshold between two groups of values that parts them best (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    middle = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * middle).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][np.nan_to_num(between).argmax()])


def _reduced(rgb: Pixels) -> Floats:
    """Grey, `SIDE` pixels long, without noise."""
    scale = SIDE / max(rgb.shape[:2])
    size = tuple(max(1, round(scale * side)) for side in rgb.shape[1::-1])
    image = Image.fromarray(rgb).convert("L").resize((size[0], size[1]), Image.Resampling.BICUBIC)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(BLUR)), np.float64)


def _standing_out(grey: Floats) -> Floats:
    """How much brighter each pixel is than the ground around it (white top-hat), 0 or more."""
    size = max(3, round(WINDOW * max(grey.shape)) | 1)
    return grey - _largest(-_largest(-grey, size), size)


def _largest(values: Floats, size: int) -> Floats:
    """The largest value in the square of `size` around each place; beyond the edge is nothing."""
    for _ in range(2):
        padded = np.pad(values, ((size // 2, size // 2), (0, 0)), constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=0)
        values = windows.max(axis=-1).T
    return values


def _clear(height: Floats, mask: Mask) -> bool:
    """Whether ink stands out from the paper, and not only from its grain."""
    ink, paper = height[mask], height[~mask]
    return bool(np.median(ink) >= max(CONTRAST, DISTINCT * (paper.mean() + paper.std())))


def _without_specks(mask: Mask, height: Floats) -> Mask:
    """Only regions with much ink; what reaches the edge is no ink, unless nearly all does."""
    labels = components(mask)
    weight = weights(labels, height)
    inner = weight.copy()
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    inner[edge[edge < labels.size]] = 0
    if inner.sum() >= INNER * weight.sum():
        weight = inner
    kept = np.append(weight >= SPECK * weight.sum(), False)
    return np.asarray(mask & kept[labels])


# --- the middle of strokes ---------------------------------------------------------------------


def thinned(ink: Mask) -> Mask:
    """Lines one pixel wide in the middle of the strokes of (h, w).

    Zhang and Suen, A fast parallel algorithm for thinning digital patterns, CACM 27 (1984).
    """
    left = np.pad(ink, 1)
    while True:
        before = int(left.sum())
        for first in (True, False):
            left[1:-1, 1:-1] &= ~_outer(left, first=first)
        if int(left.sum()) == before:
            return left[1:-1, 1:-1]


def _outer(ink: Mask, *, first: bool) -> Mask:
    """Pixels that thinning takes away, without those of the frame."""
    height, width = ink.shape
    clockwise = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))  # from the north
    ring = np.stack([ink[y : y + height - 2, x : x + width - 2] for y, x in clockwise])
    number = ring.sum(0)
    begins = (~ring & np.roll(ring, -1, axis=0)).sum(0)
    north, east, south, west = ring[::2]
    kept = (north & east & south) | (east & south & west)
    if not first:
        kept = (north & east & west) | (north & south & west)
    return np.asarray((number >= 2) & (number <= 6) & (begins == 1) & ~kept)
