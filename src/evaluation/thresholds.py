"""Automatic sorting: the confidence from which a photo is sorted without a person.

A rule sorts the photos of some classes at one confidence or above; people check all others. It is
assured only where validation shows, at the level delta, that it keeps every promise: the precision
of the whole and that of each of its classes, by predicted class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from src.evaluation import sample_sizes, stats
from src.evaluation.metrics import Scored
from src.evaluation.sample_sizes import flawless_needed
from src.evaluation.stats import Estimate, FloatArray, IntArray

# Confidence -------------------------------------------------------------------------------------


def selective(scored: Scored, thresholds: ArrayLike | None = None) -> pd.DataFrame:
    """How much is sorted automatically, and how well, at each threshold.

    Per threshold (automatic where confidence >= threshold): threshold, accepted (images),
    coverage and accuracy (of those accepted), each with Wilson's _low and _high. Accuracy is NaN
    between 0 and 1 where nothing is accepted. Default thresholds: 0 to 0.99 by hundredths, 0.995
    and 0.999.
    """
    if thresholds is None:
        thresholds = np.r_[np.arange(100) / 100, 0.995, 0.999]
    limits = np.asarray(thresholds, np.float64)
    order = np.argsort(scored.confidence)
    first = np.searchsorted(scored.confidence[order], limits)  # of the accepted ones
    accepted = scored.n - first
    hits = np.r_[0, np.cumsum(scored.correct[order][::-1])][accepted]
    coverage_low, coverage_high = stats.wilson_bounds(accepted, scored.n)
    low, high = stats.wilson_bounds(hits, accepted)
    accuracy = np.where(accepted > 0, hits / np.maximum(accepted, 1), np.nan)
    columns = {"threshold": limits, "accepted": accepted, "coverage": accepted / scored.n}
    columns |= {"coverage_low": coverage_low, "coverage_high": coverage_high}
    return pd.DataFrame(
        columns | {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}
    )


def threshold_for_precision(scored: Scored, target: float) -> float | None:
    """Lowest threshold at or above which at least `target` (0 to 1) of the predictions are correct.

    The share on these images and no more: it assures nothing for others. None where no threshold
    reaches it.
    """
    curve = selective(scored, np.unique(scored.confidence))
    reached = curve[curve["accuracy"] >= target]
    return None if reached.empty else float(reached["threshold"].iloc[0])


# Targets ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SortingTarget:
    """What a shop asks of automatic sorting.

    precision: share of the photos sorted automatically that must be correct, 0 to 1.
    class_precision: the same within each predicted class. delta: how probable it may be at most
    that any of these promises is broken, 0 to 1. assured: whether all of that must be shown on
    validation; else only the share there must reach `precision`, and nothing is promised.
    """

    precision: float
    class_precision: float
    delta: float
    assured: bool


# Rules ------------------------------------------------------------------------------------------

STEPS = 100  # from strict to lax, each lets in a hundredth of the validation images
STARTS = (1 / 3, 2 / 3)  # shares of the images; each start has a part of the level like its share
ALL_CLASSES = 0.8  # part of the level for the rule that leaves out no class


@dataclass(frozen=True)
class _Counts:
    """Validation images at each step (J,) and in each predicted class (K,).

    limits: (J,) confidences, falling. accepted, wrong: (J, K) images at or above them. p_values:
    (J, K) that the precision of a class misses its target.
    """

    limits: FloatArray
    accepted: IntArray
    wrong: IntArray
    p_values: FloatArray


def choose(target: SortingTarget, validation: Scored) -> FloatArray:
    """Threshold of each predicted class (K,), the same for all that are sorted; else infinite.

    A photo is sorted automatically where its confidence reaches the threshold of its class.
    """
    if target.assured:
        return _assured(target, validation)
    threshold = threshold_for_precision(validation, target.precision)
    return np.full(len(validation.classes), math.inf if threshold is None else threshold)


def _assured(target: SortingTarget, validation: Scored) -> FloatArray:
    """The rule of most accepted images among those that keep all promises at the level delta.

    Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052): rules are hypotheses, the level
    is shared among sets of classes before any answer is looked at, and for each set the steps are
    tested in a fixed order. So the promises of all rules found hold together.
    """
    counts = _count(target, validation)
    fewest = flawless_needed(target.class_precision, ALL_CLASSES * target.delta)
    candidates = [int(k) for k in np.flatnonzero(counts.accepted[-1] >= fewest)]
    best, most, classes = np.full(len(validation.classes), math.inf), 0, candidates
    while classes:
        level = target.delta * _part(len(candidates), len(candidates) - len(classes))
        assured, blocking = _tested(target, counts, classes, level)
        accepted = counts.accepted[:, classes].sum(1)
        if assured.any() and (found := int(accepted[assured].max())) > most:
            most, best = found, np.full_like(best, math.inf)
            best[classes] = counts.limits[np.flatnonzero(assured)[-1]]
        classes = [k for k in classes if k != blocking]
    return best


def _count(target: SortingTarget, validation: Scored) -> _Counts:
    confidence, n = validation.confidence, validation.n
    last = np.unique(np.ceil(np.arange(1, STEPS + 1) / STEPS * n).astype(int)) - 1
    limits = np.unique(np.sort(confidence)[::-1][last])[::-1]
    classes = range(len(validation.classes))
    of_class = [validation.predicted == k for k in classes]
    mistakes = [own & ~validation.correct for own in of_class]
    accepted = np.stack([_at_least(confidence[own], limits) for own in of_class], 1)
    wrong = np.stack([_at_least(confidence[own], limits) for own in mistakes], 1)
    return _Counts(limits, accepted, wrong, _p_values(wrong, accepted, target.class_precision))


def _at_least(values: FloatArray, limits: FloatArray) -> IntArray:
    """How many of the values reach each limit."""
    return np.asarray(len(values) - np.searchsorted(np.sort(values), limits), np.int64)


def _part(candidates: int, left_out: int) -> float:
    """Part of the level for each rule that leaves out so many of the classes that could be in.

    Over all sets of classes the parts add up to less than 1.
    """
    share = ALL_CLASSES * (1 - ALL_CLASSES) ** left_out
    return share / math.comb(candidates, left_out)


def _tested(
    target: SortingTarget, counts: _Counts, classes: Sequence[int], level: float
) -> tuple[NDArray[np.bool_], int]:
    """At which steps a set of classes keeps all promises (J,), and the class that stops it.

    A step has the largest p-value of the whole and of its classes: all must be shown, so none
    needs a correction for the others (intersection-union test, Berger 1982).
    """
    accepted, each = counts.accepted[:, classes], counts.p_values[:, classes]
    able = accepted.min(1) >= flawless_needed(target.class_precision, level)
    able &= accepted.sum(1) >= flawless_needed(target.precision, level)
    parts = _start_parts(accepted.sum(1), able)
    if not able.any():
        return able, classes[int(accepted[-1].argmin())]
    wrong = counts.wrong[:, classes].sum(1)
    whole = _p_values(wrong, accepted.sum(1), target.precision)
    assured = fixed_sequence(np.maximum(whole, each.max(1)), level * parts)
    last = int(np.flatnonzero(assured | (parts > 0))[-1])
    stop = min(last + int(assured[last]), len(assured) - 1)
    return assured, classes[int(each[stop].argmax())]


def _start_parts(accepted: IntArray, able: NDArray[np.bool_]) -> FloatArray:
    """(J,) part of the level that enters at each step: at the starts, once a test can pass there.

    With fewer than log(level) / log(target) images no test can pass, however they are answered.
    """
    parts = np.zeros(len(accepted))
    for share in STARTS:
        late = np.flatnonzero(able & (accepted >= share * accepted[-1]))
        if len(late):
            parts[late[0]] += share
    return np.asarray(parts / max(parts.sum(), 1e-300), np.float64)


def fixed_sequence(p_values: ArrayLike, levels: ArrayLike) -> NDArray[np.bool_]:
    """Which hypotheses (J,), tested in this order, are rejected; family-wise at the sum of levels.

    `levels` (J,) enter where a sequence starts. A rejection hands its level on to the next
    hypothesis, so that one early failure costs only the level spent until then: fixed-sequence
    testing with several starts (Angelopoulos et al. 2021; the fallback procedure of Wiens 2003,
    Pharmaceutical Statistics 2:211-215).
    """
    rejected, held = [], 0.0
    for p_value, level in zip(np.asarray(p_values), np.asarray(levels), strict=True):
        held += float(level)
        rejected.append(bool(p_value <= held) and held > 0)
        held = held if rejected[-1] else 0.0
    return np.array(rejected, bool)


def _p_values(wrong: IntArray, accepted: IntArray, target: float) -> FloatArray:
    """Exact binomial p-values that at most `target` of such answers are correct, elementwise.

    One is under a level exactly where the Clopper-Pearson bound of that level reaches the target.
    """
    values = np.ones(wrong.shape)
    some = wrong < (1 - target) * accepted  # elsewhere nothing can be shown
    values[some] = stats.binomial_cdf(wrong[some], accepted[some], 1 - target)
    return values


# Automatic sorting ------------------------------------------------------------------------------

Why = Literal["", "few", "mistakes"]


@dataclass(frozen=True)
class ClassSorting:
    """Automatic sorting of the images that a model takes for one class.

    why: the reason where people check them all: too few validation images, or too many mistakes in
    them; empty where they do not, or where nothing was to be assured. needed: validation images
    that would assure the class, without a mistake where they are too few, else if mistakes stay as
    rare; None where the class is sorted, or where no number would.
    """

    label: str
    threshold: float | None  # None: people check them all
    why: Why
    validation: (
        int  # validation images taken for the class, at the threshold or above if it has one
    )
    needed: int | None
    n: int  # test images taken for the class
    accepted: int  # of them sorted automatically
    precision: Estimate  # correct among the accepted


@dataclass(frozen=True)
class Sorting:
    """How automatic sorting does on a split, by a rule chosen on another one.

    Without a rule that keeps the promises nothing is sorted automatically: coverage 0, precision
    NaN.
    """

    promise: SortingTarget
    threshold: float | None  # the lowest of the classes
    n: int  # images of the split
    accepted: int  # of them sorted automatically
    coverage: Estimate  # the automation rate: accepted / n
    precision: Estimate  # correct among the accepted
    classes: tuple[ClassSorting, ...]

    @property
    def target(self) -> float:
        """The precision asked for, 0 to 1."""
        return self.promise.precision

    @property
    def always_checked(self) -> tuple[ClassSorting, ...]:
        """The classes whose photos people check, however sure the model is."""
        return tuple(found for found in self.classes if found.threshold is None)

    def of(self, label: str) -> ClassSorting:
        """Sorting of one predicted class. Raises KeyError where there is none of that name."""
        return {found.label: found for found in self.classes}[label]


def sorting(target: SortingTarget, validation: Scored, test: Scored) -> Sorting:
    """Automatic sorting of `test` by the rule that keeps the promises on `validation`."""
    limits = choose(target, validation)
    accepted = test.confidence >= limits[test.predicted]
    count, hits = int(accepted.sum()), int(test.correct[accepted].sum())
    return Sorting(
        promise=target,
        threshold=float(limits.min()) if np.isfinite(limits).any() else None,
        n=test.n,
        accepted=count,
        coverage=stats.wilson(count, test.n),
        precision=stats.wilson(hits, count),
        classes=tuple(
            _class_sorting(target, k, limits, validation, test) for k in range(len(limits))
        ),
    )


def _class_sorting(
    target: SortingTarget, k: int, limits: FloatArray, validation: Scored, test: Scored
) -> ClassSorting:
    threshold = float(limits[k]) if np.isfinite(limits[k]) else None
    own = test.predicted == k
    accepted = own & (test.confidence >= limits[k])
    why, seen, needed = _shortage(target, k, limits, validation)
    count, hits = int(accepted.sum()), int(test.correct[accepted].sum())
    return ClassSorting(
        label=validation.classes[k],
        threshold=threshold,
        why=why,
        validation=seen,
        needed=needed,
        n=int(own.sum()),
        accepted=count,
        precision=stats.wilson(hits, count),
    )


def _shortage(
    target: SortingTarget, k: int, limits: FloatArray, validation: Scored
) -> tuple[Why, int, int | None]:
    """Why a class is not sorted, its validation images, and how many would assure it."""
    own = validation.predicted == k
    if np.isfinite(limits[k]):
        return "", int((own & (validation.confidence >= limits[k])).sum()), None
    level, seen = ALL_CLASSES * target.delta, int(own.sum())
    fewest = flawless_needed(target.class_precision, level)
    if not target.assured:
        return "", seen, None
    if seen < fewest:
        return "few", seen, fewest
    surest = own & (validation.confidence >= _usual(limits, validation))
    share = float((~validation.correct[surest]).mean()) if surest.any() else 1.0
    needed = sample_sizes.images_for_precision(share, target.class_precision, level)
    return "mistakes", seen, needed


def _usual(limits: FloatArray, validation: Scored) -> float:
    """The threshold of the other classes; where no class has one, that of the last start."""
    if np.isfinite(limits).any():
        return float(limits.min())
    return float(np.quantile(validation.confidence, 1 - STARTS[-1]))
