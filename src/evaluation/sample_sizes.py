"""How many images, trainings or classes it would take to settle an open question."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from src.evaluation import stats
from src.evaluation.stats import Estimate

# How much more data would decide ------------------------------------------------------------------


def _smallest(decides: Callable[[int], bool], start: int, limit: int = 10**9) -> int | None:
    """Smallest n >= start that decides, for a condition that stays true once it is."""
    high = max(start, 1)
    while not decides(high):
        high *= 2
        if high > limit:
            return None
    low = max(start, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle + 1, high)
    return high


def images_needed(share: float, margin: float, n: int, level: float = stats.LEVEL) -> int | None:
    """Further images until Wilson's interval leaves `margin` out, if the share stays as it is.

    None where no number under 10^9 would (share equal to the margin).
    """

    def decides(total: int) -> bool:
        low, high = stats.wilson_bounds(share * total, total, level)
        return bool(low > margin or high < margin)

    total = _smallest(decides, n)
    return None if total is None else total - n


def images_for_interval(estimate: Estimate, margin: float, n: int) -> int | None:
    """Further images until an interval leaves `margin` out, if the value stays as it is.

    Its half towards the margin is taken to shrink with the square root of n. None where value and
    margin are equal.
    """
    gap = estimate.value - margin
    if gap == 0:
        return None
    half = estimate.value - estimate.low if gap > 0 else estimate.high - estimate.value
    return max(math.ceil(n * (half / gap) ** 2) - n, 0)


def images_within(share: float, half: float, n: int, level: float = stats.LEVEL) -> int:
    """Further images until Wilson's interval is at most 2 · `half` wide, if the share stays."""

    def narrow(total: int) -> bool:
        low, high = stats.wilson_bounds(share * total, total, level)
        return bool(high - low <= 2 * half)

    return (_smallest(narrow, n) or 10**9) - n


def flawless_needed(target: float, level: float) -> int:
    """Images without a single mistake that show a precision of `target`, 0 to 1 exclusive.

    By the exact binomial test at `level`: n of them have the p-value target ** n.
    """
    return math.ceil(round(math.log(level) / math.log(target), 9))


def images_for_precision(wrong: float, target: float, level: float) -> int | None:
    """Images that show a precision of `target` (0 to 1), if the share of wrong answers stays.

    By the exact binomial test at `level`. None where that share is not under 1 - target, or no
    number under 100,000 would do.
    """
    if wrong >= 1 - target:
        return None

    def shows(n: int) -> bool:
        return bool(stats.binomial_cdf(math.ceil(wrong * n), n, 1 - target) <= level)

    return _smallest(shows, 1, 10**5)


def seeds_needed(values: ArrayLike, margin: float, level: float = stats.LEVEL) -> int | None:
    """Further seeds until Student's interval leaves `margin` out, if mean and spread stay.

    At least one where there is a single value, for that has no spread; None where no number
    under 10^9 would.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return 1
    gap, spread = abs(float(values.mean()) - margin), float(values.std(ddof=1))

    def decides(total: int) -> bool:
        return stats.t_quantile(0.5 + level / 2, total - 1) * spread / math.sqrt(total) < gap

    total = _smallest(decides, len(values))
    return None if total is None else total - len(values)


def classes_needed(estimate: Estimate, margin: float, classes: int) -> int | None:
    """Further classes until a correlation's interval leaves `margin` out, if the correlation stays.

    The interval's width on Fisher's z scale shrinks with the square root of the classes.
    """
    edge = 1 - 1e-9
    value, low, high, margin_z = (
        math.atanh(min(max(v, -edge), edge))
        for v in (estimate.value, estimate.low, estimate.high, margin)
    )
    if value == margin_z:
        return None
    total = math.ceil(classes * ((high - low) / 2 / (value - margin_z)) ** 2)
    return max(total - classes, 0) if total <= 10**9 else None
