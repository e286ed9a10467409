"""Automatic sorting: the confidence from which a photo is sorted without a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from src.evaluation import stats
from src.evaluation.metrics import Scored
from src.evaluation.stats import Estimate

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


def threshold_for_precision(scored: Scored, target: float, assured: bool = False) -> float | None:
    """Lowest threshold at or above which at least `target` (0 to 1) of the predictions are correct.

    Choose it on validation and report `selective` on test. With `assured`, Wilson's lower bound
    must reach the target, not just the share. None where no threshold does.
    """
    curve = selective(scored, np.unique(scored.confidence))
    reached = curve[curve["accuracy_low" if assured else "accuracy"] >= target]
    return None if reached.empty else float(reached["threshold"].iloc[0])


# Automatic sorting ------------------------------------------------------------------------------


@dataclass(frozen=True)
class SortingTarget:
    """The precision that a shop asks of automatic sorting: see `threshold_for_precision`.

    precision: share that must be correct, 0 to 1. assured: whether Wilson's lower bound must
    reach it on validation, not just the share.
    """

    precision: float
    assured: bool


@dataclass(frozen=True)
class Sorting:
    """How automatic sorting does on a split, at a threshold chosen on another one.

    Without a threshold that reaches the target nothing is sorted automatically: coverage 0,
    precision NaN.
    """

    target: float  # the precision asked for, 0 to 1
    threshold: float | None
    n: int  # images of the split
    accepted: int  # of them sorted automatically
    coverage: Estimate  # the automation rate: accepted / n
    precision: Estimate  # correct among the accepted


def sorting(target: SortingTarget, validation: Scored, test: Scored) -> Sorting:
    """Automatic sorting of `test` at the threshold that reaches the target on `validation`."""
    threshold = threshold_for_precision(validation, target.precision, target.assured)
    accepted = test.confidence >= (2.0 if threshold is None else threshold)
    count, hits = int(accepted.sum()), int(test.correct[accepted].sum())
    return Sorting(
        target=target.precision,
        threshold=threshold,
        n=test.n,
        accepted=count,
        coverage=stats.wilson(count, test.n),
        precision=stats.wilson(hits, count),
    )
