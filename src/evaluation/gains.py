"""What a treatment adds to accuracy: trainings and test images in one interval.

Both are samples: other seeds would have given other networks, and other images another accuracy.
The answers of an arm are a table of trainings by images, a two-way layout of crossed random
effects with one answer a cell: Searle, Casella and McCulloch (1992), Variance Components, 4.2. Its
degrees of freedom are those of Satterthwaite (1946), An approximate distribution of estimates of
variance components, Biometrics Bulletin 2:110-114, as Hillis (2007) uses them for readers and
cases, Statistics in Medicine 26:596-619. Seeds need not be paired; the images are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.evaluation import stats
from src.evaluation.stats import Estimate, FloatArray

METHOD = "seeds and images, Satterthwaite"


@dataclass(frozen=True)
class Gain:
    """Mean accuracy of one arm minus that of another, and where its variance comes from."""

    value: float  # -1 to 1
    spreads: tuple[float, float]  # of an arm's accuracy over its seeds (variance); NaN for one seed
    trainings: tuple[int, int]
    images: float  # variance that comes from the choice of images
    shared: float  # part of it that is also in `spreads`: images answered by chance of the seed

    @property
    def variance(self) -> float:
        """Of `value`; NaN where an arm was trained once, for that has no spread."""
        over_seeds = sum(self._over_seeds)
        return max(over_seeds + self.images - self.shared, self.images)

    @property
    def _over_seeds(self) -> tuple[float, float]:
        first, second = (s / n for s, n in zip(self.spreads, self.trainings, strict=True))
        return first, second

    def interval(self, level: float = stats.LEVEL) -> Estimate:
        """`value` with its interval, -1 to 1; all of that where an arm was trained once."""
        if math.isnan(self.variance):
            return Estimate(self.value, -1.0, 1.0, METHOD)
        half = self._quantile(0.5 + level / 2) * math.sqrt(self.variance)
        low, high = max(self.value - half, -1.0), min(self.value + half, 1.0)
        return Estimate(self.value, low, high, METHOD)

    def p_value(self, margin: float) -> float:
        """Two-sided, that the true gain is `margin` (-1 to 1); agrees with `interval`."""
        gap = abs(self.value - margin)
        if math.isnan(self.variance) or gap == 0:
            return 1.0
        if self.variance == 0:
            return 0.0
        return 2 * stats.t_cdf(-gap / math.sqrt(self.variance), self._freedom)

    def with_trainings(self, n: int) -> Gain:
        """The same effect and spreads, had both arms been trained n times on the same images."""
        before, main = sum(self._over_seeds), self.images - self.shared
        seeds = self.shared * sum(self.spreads) / n / before if before else 0.0
        return Gain(self.value, self.spreads, (n, n), max(main, 0.0) + seeds, seeds)

    @property
    def _freedom(self) -> float:
        parts = zip(self._over_seeds, self.trainings, strict=True)
        below = sum(part**2 / (n - 1) for part, n in parts)
        return self.variance**2 / below if below else 1e6

    def _quantile(self, probability: float) -> float:
        return stats.t_quantile(probability, min(self._freedom, 1e6))

    def decides(self, margin: float, level: float, power: float) -> bool:
        """Whether a test of `margin` at this level would have that power for the value found."""
        wanted = self._quantile(0.5 + level / 2) + self._quantile(power)
        return wanted * math.sqrt(self.variance) <= abs(self.value - margin)


def gain(with_: NDArray[np.bool_], without: NDArray[np.bool_]) -> Gain:
    """What a treatment adds.

    Args:
        with_: (n, N) whether each of n trainings with it answered each of N images correctly.
        without: (m, N) the same without it, for the same images in the same order.
    """
    arms = [np.asarray(arm, np.float64) for arm in (with_, without)]
    first, second = (arm.mean(1) for arm in arms)  # accuracy of each training
    n_images = arms[0].shape[1]
    per_image = arms[0].mean(0) - arms[1].mean(0)  # (N,)
    return Gain(
        value=float(per_image.mean()),
        spreads=(_variance(first), _variance(second)),
        trainings=(len(first), len(second)),
        images=_variance(per_image) / n_images,
        shared=sum(_residual(arm) / arm.size for arm in arms),
    )


def _variance(values: FloatArray) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else math.nan


def _residual(arm: FloatArray) -> float:
    """Mean square of what neither the training nor the image explains; NaN for one training."""
    n, n_images = arm.shape
    if n < 2:
        return math.nan
    rest = arm - arm.mean(0) - arm.mean(1, keepdims=True) + arm.mean()
    return float((rest**2).sum() / ((n - 1) * max(n_images - 1, 1)))
