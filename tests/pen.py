"""The path of the pen in a training image, to measure how wide that pen was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from src.serving import ink

LONG = 160  # pixels that the strokes are enlarged to, as nearly as a whole factor comes

Mask = NDArray[np.bool_]


def middle(image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """The middle of the strokes of a small image, (h, w, 1), bright on black, a dot per point."""
    y, x = np.nonzero(ink.thinned(_ink(image[..., 0].astype(np.float32) / image.max())))
    return [np.array([point], np.float64) for point in zip(x, y, strict=True)]


def _ink(strength: NDArray[np.float32]) -> Mask:
    """Where strokes of strength 0 to 1 are: only their surroundings, enlarged."""
    rows, columns = (np.flatnonzero((strength > 0.5).any(axis)) for axis in (1, 0))
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    part = strength[top : rows[-1] + 2, left : columns[-1] + 2]
    factor = LONG // max(part.shape)
    size = part.shape[1] * factor, part.shape[0] * factor
    larger = Image.fromarray(part).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(larger) > 0.5
