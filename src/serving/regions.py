"""Connected regions of a mask, and box means: what finding a garment or a stroke needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Labels = NDArray[np.int64]
Numbers = NDArray[Any]


def components(mask: Mask) -> Labels:
    """The 4-connected regions of (h, w): a number for each, height × width where there is none.

    Every pixel takes the least number around it and then that of the pixel so numbered, until
    nothing changes: regions of any form are joined in few rounds.
    """
    none = mask.size
    labels = np.where(mask, np.arange(none).reshape(mask.shape), none)
    while True:
        least = np.where(mask, _least_around(labels), none)
        for _ in range(2):
            least = np.append(least.ravel(), none)[least]
        if np.array_equal(least, labels):
            return labels
        labels = least


def _least_around(labels: Labels) -> Labels:
    least = labels.copy()
    for to, beside in (
        (np.s_[1:], np.s_[:-1]),
        (np.s_[:-1], np.s_[1:]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        least[to] = np.minimum(least[to], labels[beside])
    return least


def weights(labels: Labels, weight: Numbers) -> NDArray[np.float64]:
    """How much each region weighs, by its number, from the weight of each pixel (h, w)."""
    inside = labels < labels.size
    found = np.bincount(labels[inside], weight[inside], minlength=labels.size)
    return found.astype(np.float64)


def heaviest(mask: Mask, weight: Numbers) -> Mask:
    """The one region whose pixels weigh most; nothing where there is none."""
    labels = components(mask)
    return np.asarray(mask & (labels == weights(labels, weight).argmax()))


def filled(mask: Mask) -> Mask:
    """With its holes: what no path outside the mask joins to the edge of the image."""
    outside = components(~np.pad(mask, 1))
    return np.asarray((outside != outside[0, 0])[1:-1, 1:-1])


def box_mean(values: Numbers, radius: int) -> NDArray[np.float64]:
    """The mean of (h, w) over squares of 2 × `radius` + 1, cut off at the edge."""
    mean = np.asarray(values, np.float64)
    for _ in range(2):
        length = len(mean)
        sums = np.concatenate([np.zeros((1, mean.shape[1])), mean.cumsum(axis=0)])
        last = np.minimum(np.arange(length) + radius + 1, length)
        first = np.maximum(np.arange(length) - radius, 0)
        mean = ((sums[last] - sums[first]) / (last - first)[:, np.newaxis]).T
    return mean
