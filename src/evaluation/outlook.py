"""What few photos leave open, and how many more would settle it: sentences for a person."""

from __future__ import annotations

import math

from src.evaluation import sample_sizes, stats
from src.evaluation.thresholds import ClassSorting, Sorting

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


def sorting(found: Sorting, validation: int, photos: int) -> list[str]:
    """What validation assures of automatic sorting, and what more it would take; a few sentences.

    Args:
        found: automatic sorting with one model.
        validation: validation photos, out of `photos` of the whole study.
    """
    if not found.promise.assured:
        return [_unassured(found)]
    lines = [_assured(found, validation)] if found.threshold is not None else []
    few = [each for each in found.always_checked if each.why == "few"]
    lines += [_few(found, few, validation, photos)] if few else []
    mistaken = [each for each in found.always_checked if each.why == "mistakes"]
    if mistaken and found.threshold is None:
        return [*lines, _none_sorted(found)]
    return [*lines, *map(_mistaken, mistaken)]


def _unassured(found: Sorting) -> str:
    share = _target(found.target)
    if found.threshold is None:
        return f"At no confidence are {share} of the validation photos classified correctly."
    return (
        f"Not assured: {share} of the validation photos at or above the threshold are correct, "
        "but nothing is promised for other photos."
    )


def _assured(found: Sorting, validation: int) -> str:
    return (
        f"The {validation:,} validation photos assure, with {_target(1 - found.promise.delta)} "
        f"confidence, {_target(found.target)} precision of automatic sorting and "
        f"{_target(found.promise.class_precision)} in each category that is sorted."
    )


def _none_sorted(found: Sorting) -> str:
    return (
        f"The surest answers to the validation photos hold too many mistakes to assure "
        f"{_target(found.target)}: a better model, or clearer photos, would help more than further "
        "ones."
    )


def _few(found: Sorting, few: list[ClassSorting], validation: int, photos: int) -> str:
    wanted = max(each.needed or 0 for each in few)
    have = sorted({each.validation for each in few})
    there = f"{have[0]:,}" if len(have) == 1 else f"{have[0]:,} to {have[-1]:,}"
    return (
        f"Always checked, for their validation photos are too few: "
        f"{', '.join(each.label for each in few)}. To assure "
        f"{_target(found.promise.class_precision)} in a category takes at least {wanted:,} "
        f"validation photos of it without a mistake, and there are {there}; that is at least "
        f"about {_share_of_all(wanted, validation, photos):,} labelled photos of a category."
    )


def _mistaken(each: ClassSorting) -> str:
    said = f"Always checked, for its validation photos hold too many mistakes: {each.label}."
    if each.needed is None or each.needed <= each.validation:
        return f"{said} A better model or clearer photos would help more than further photos."
    return (
        f"{said} If mistakes stay as rare, about {each.needed:,} validation photos of it at the "
        "usual threshold would assure it."
    )


def _target(share: float) -> str:
    return f"{100 * share:g}\N{NO-BREAK SPACE}%"


def _share_of_all(more: int, n: int, photos: int) -> int:
    """Photos of the whole study that bring `more` to a part that has n of `photos` now.

    Rounded up to two digits, for it is a guess that the share of right answers stays as it is.
    """
    total = math.ceil(more * photos / n)
    unit = int(10 ** max(0, len(str(total)) - 2))
    return math.ceil(total / unit) * unit


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
