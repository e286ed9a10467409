"""How many more images or trainings it would take to settle an open question."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from src.evaluation import stats
from src.evaluation.gains import Gain

POWER = 0.8  # chance to settle a question, if things are as they are assumed to be
IMAGES = 100_000  # more than that nobody will label to settle one question
SEEDS = 30  # trainings of each of two arms

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


def images_for_share(share: float, margin: float, n: int, level: float = stats.LEVEL) -> int | None:
    """Further images with which a score test of `margin` has `POWER` to see that it is `share`.

    Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, 2.5. None where
    share and margin are equal; 0 where n images are enough.
    """
    if share == margin:
        return None
    sizes = zip(_quantiles(level), (margin, share), strict=True)
    root = sum(z * math.sqrt(p * (1 - p)) for z, p in sizes) / (share - margin)
    return max(math.ceil(root**2) - n, 0)


def images_for_value(
    value: float, margin: float, error: float, n: int, level: float = stats.LEVEL
) -> int | None:
    """Further images with which a two-sided test of `margin` has `POWER` to see that it is `value`.

    Args:
        error: standard error of the value from n images; it shrinks with the square root of n.
        level: 1 less the level of the test.

    Returns:
        None where value and margin are equal; 0 where n images are enough.
    """
    if value == margin:
        return None
    return max(math.ceil(n * (sum(_quantiles(level)) * error / (value - margin)) ** 2) - n, 0)


def _quantiles(level: float) -> tuple[float, float]:
    """Of the normal distribution, for the level of a test and for `POWER`."""
    return stats.z_of_level(level), stats.normal_quantile(POWER)


def trainings_for_gain(gain: Gain, margin: float, level: float = stats.LEVEL) -> int | None:
    """Trainings of each arm, in all, with which a test of `margin` has `POWER` for the gain found.

    The test images stay the same. None where `SEEDS` trainings would not do.
    """

    def decides(n: int) -> bool:
        return gain.with_trainings(n).decides(margin, level, POWER)

    return next((n for n in range(2, SEEDS + 1) if decides(n)), None)


@dataclass(frozen=True)
class Need:
    """What would settle a question with `POWER`, in units of which more can be had."""

    units: str  # "test images"
    found: int | None  # further ones, if the true value is the one found; None: no number
    least: (
        int | None
    )  # further ones, if it lies at the end of the interval farthest from the margin
    most: int  # more than anybody would add

    def __str__(self) -> str:
        found, least = _within(self.found, self.most), _within(self.least, self.most)
        power = f"With {100 * POWER:g} % power"
        if found is None:
            return self._unsettled(least)
        if least is None or least >= found:
            return f"{power}, {_about(found)} more {self.units} would settle it."
        return (
            f"{power}, {_about(found)} more {self.units} would settle it if the true value "
            f"is the one found, and {_about(least)} if it lies at the far end of the interval; the "
            "nearer it lies to the margin, the more it takes."
        )

    def _unsettled(self, least: int | None) -> str:
        said = f"More {self.units} will not settle this: for the value found, even {self.most:,} "
        said += f"more would have less than {100 * POWER:g} % power."
        if not least:
            return said
        return f"{said} Only at the far end of the interval would {_about(least)} do."


FIXED = "This will not be settled by more of the same: the list of categories is fixed."
ONE_TRAINING = "Each variant needs at least two seeds before anything can be said."


def _within(count: int | None, most: int) -> int | None:
    return None if count is None or count > most else count


def _about(count: int) -> str:
    """Two digits of a number that is a guess."""
    unit = int(10 ** max(0, len(str(count)) - 2))
    return f"about {math.ceil(count / unit) * unit:,}" if count else "none"


def images_within(share: float, half: float, n: int, level: float = stats.LEVEL) -> int:
    """Further images until Wilson's interval is at most 2 · `half` wide, if the share stays."""

    def narrow(total: int) -> bool:
        low, high = stats.wilson_bounds(share * total, total, level)
        return bool(high - low <= 2 * half)

    return (_smallest(narrow, n) or 10**9) - n


def flawless_needed(share: float, level: float = stats.LEVEL) -> int:
    """Images without a single mistake until Wilson's lower bound reaches `share`, 0 to 1."""
    return math.ceil(
        stats.z_of_level(level) ** 2 * share / (1 - share)
    )  # the bound is n / (n + z²)
