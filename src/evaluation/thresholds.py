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
    """What is answered alone, and how well, where lower confidence goes to a person.

    Per threshold (answered where confidence >= threshold): threshold, accepted (pictures),
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
    """Confidence from which answers are right in at least `target` (0 to 1) of the cases.

    The threshold that accepts most; choose it on validation, report `selective` on test. With
    `assured`, Wilson's lower bound must reach the target, not just the share. None where no
    threshold does.
    """
    curve = selective(scored, np.unique(scored.confidence))
    reached = curve[curve["accuracy_low" if assured else "accuracy"] >= target]
    return None if reached.empty else float(reached["threshold"].iloc[0])


@dataclass(frozen=True)
class Filing:
    """When a photo is filed without a person: see `evaluation.threshold_for_precision`."""

    precision: float
    assured: bool


@dataclass(frozen=True)
class Filed:
    """How automatic filing does on a split, at a threshold chosen on another one.

    Without a threshold that reaches the target nothing is filed: coverage 0, precision NaN.
    """

    target: float
    threshold: float | None
    n: int  # pictures of the split
    accepted: int  # of them filed alone
    coverage: Estimate
    precision: Estimate


# Judging ----------------------------------------------------------------------------------------


def filed(filing: Filing, validation: Scored, test: Scored) -> Filed:
    """Automatic filing on `test` with the threshold that reaches the precision on `validation`."""
    threshold = threshold_for_precision(validation, filing.precision, filing.assured)
    accepted = test.confidence >= (2.0 if threshold is None else threshold)
    count, hits = int(accepted.sum()), int(test.correct[accepted].sum())
    return Filed(
        target=filing.precision,
        threshold=threshold,
        n=test.n,
        accepted=count,
        coverage=stats.wilson(count, test.n),
        precision=stats.wilson(hits, count),
    )
