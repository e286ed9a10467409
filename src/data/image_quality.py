"""How good a photo is as a photo: light, sharpness and information, one number each.

The checks and their thresholds are those of cleanvision 0.3.7 (github.com/cleanlab/cleanvision),
measured on the pixels that a model sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageStat

# Squared weights of red, green and blue in perceived brightness (HSP, Darel Rex Finley).
RED, GREEN, BLUE = 0.241, 0.691, 0.068
SQUARES = np.arange(256, dtype=np.float32) ** 2 / 255**2
BLUR_SIDE = 64  # pixels of the longer side at which sharpness is measured
BLUR_SCALE, PEAKED = 0.01, 0.18  # a histogram more peaked than this is no sign of blur
ODD_SIZE_RANGES = 3.0  # interquartile ranges beyond the quartiles
ODD_SIZE_FACTOR = 2.0  # and of the median: a folder of equal sizes has no range


class Quality(NamedTuple):
    """Measures of one image; each low value is a fault."""

    light: float  # 99th percentile of the pixels' brightness, 0–1
    shade: float  # 1 minus their 5th percentile, 0–1
    sharpness: float  # strength of the edges, or a peaked histogram, 0–1
    information: float  # entropy of the histogram of all channels as a share of 10 bits, 0–1


# Fault → the measure that tells it, and what that must reach.
FAULTS: Mapping[str, tuple[str, float]] = {
    "dark": ("light", 0.32),
    "bright": ("shade", 0.05),
    "blurred": ("sharpness", 0.29),
    "low information": ("information", 0.3),
}


def quality(pixels: NDArray[np.uint8]) -> Quality:
    """The measures of an image (H, W, 1 or 3)."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    dark, light = np.sqrt(np.percentile(_squared_brightness(pixels), (5, 99)))
    information = min(image.entropy() / 10, 1.0)
    return Quality(float(light), 1 - float(dark), _sharpness(image), information)


def _squared_brightness(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W), 0–1."""
    if pixels.shape[2] == 1:
        return np.asarray(SQUARES[pixels[..., 0]])
    red, green, blue = (SQUARES[pixels[..., channel]] for channel in range(3))
    return np.asarray(RED * red + GREEN * green + BLUE * blue)


def _sharpness(image: Image.Image) -> float:
    ratio = max(image.size) / BLUR_SIDE
    if ratio > 1:
        image = image.resize([max(int(side // ratio), 1) for side in image.size])
    grey = image.convert("L")
    edges = ImageStat.Stat(grey.filter(ImageFilter.FIND_EDGES)).var[0] ** 0.5
    peaks = _saturating(float(np.std(grey.histogram())))
    return min(_saturating(edges) + (peaks if peaks > PEAKED else 0.0), 1.0)


def _saturating(value: float) -> float:
    return float(1 - np.exp(-BLUR_SCALE * value))


def faults(measures: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Which images (n,) have each fault of `FAULTS`; `measures` has the columns of `Quality`."""
    return {fault: np.asarray(measures[name] < least) for fault, (name, least) in FAULTS.items()}


def odd_sizes(sides: pd.Series[float]) -> NDArray[np.bool_]:
    """Which images (n,) are far smaller or larger than most.

    Args:
        sides: the square root of each image's area, in pixels.
    """
    low, median, high = np.percentile(sides, (25, 50, 75)) if len(sides) else (0.0, 0.0, 0.0)
    reach = ODD_SIZE_RANGES * (high - low)
    least = min(low - reach, median / ODD_SIZE_FACTOR)
    most = max(high + reach, median * ODD_SIZE_FACTOR)
    return np.asarray((sides < least) | (sides > most))
