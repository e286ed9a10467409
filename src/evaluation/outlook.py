"""What few photos leave open, and how many more would settle it: sentences for a person."""

from __future__ import annotations

import math

from src.evaluation import sample_sizes, stats

WITHIN = 0.02  # either side of the accuracy: narrow enough to decide by


def accuracy(hits: float, n: int, photos: int, within: float = WITHIN) -> str:
    """How accurate the model is, how sure that is, and how many more would narrow it.

    Args:
        hits: right answers to the n cross-validated photos (their mean where each was answered
            several times).
        n: photos that were cross-validated.
        photos: of the whole study; as many of new ones would again be kept for the test.
        within: how far either side the 95 % interval may reach.
    """
    found = stats.wilson(hits, n)
    more = _share_of_all(sample_sizes.images_within(found.value, within, n), n, photos)
    known = (
        f"Of {n:,} photos, each answered by a model that had not seen it, {_percent(found.value)} "
        f"were classified correctly (95\N{NO-BREAK SPACE}% interval {_percent(found.low)} to "
        f"{_percent(found.high)})."
    )
    points = f"{100 * within:g} percentage points either side"
    if not more:
        return f"{known} That is known to less than {points}."
    return f"{known} About {more:,} more photos would narrow that to {points}."


def sorting(target: float, threshold: float | None, validation: int, photos: int) -> str:
    """What it takes to sort photos automatically at an assured precision.

    Args:
        target: precision whose 95 % lower bound validation must reach, 0 to 1.
        threshold: the confidence that reaches it, if there is one (`thresholds.Sorting.threshold`).
        validation: validation photos, out of `photos` of the whole study.
    """
    share = f"{100 * target:g}\N{NO-BREAK SPACE}%"
    if threshold is not None:
        return (
            f"The {validation:,} validation photos assure {share} precision of automatic sorting."
        )
    wanted = sample_sizes.flawless_needed(target)
    if validation >= wanted:
        return (
            f"The surest answers to the {validation:,} validation photos hold too many mistakes to "
            f"assure {share}: a better model, or clearer photos, would help more than further ones."
        )
    more = _share_of_all(wanted - validation, validation, photos)
    return (
        f"To assure {share} precision of automatic sorting takes {wanted:,} validation photos "
        f"without a mistake, and there are {validation:,}: at least about {more:,} more photos."
    )


def _share_of_all(more: int, n: int, photos: int) -> int:
    """Photos of the whole study that bring `more` to a part that has n of `photos` now.

    Rounded up to two digits, for it is a guess that the share of right answers stays as it is.
    """
    total = math.ceil(more * photos / n)
    unit = int(10 ** max(0, len(str(total)) - 2))
    return math.ceil(total / unit) * unit


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
