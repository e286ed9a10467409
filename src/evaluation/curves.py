"""ROC and precision-recall curves per class (one against the rest)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.evaluation.metrics import Scored
from src.evaluation.stats import FloatArray, IntArray

POINTS = 200  # per published curve: more than a screen can show apart


# Curves -----------------------------------------------------------------------------------------


def roc_curves(scored: Scored, points: int = POINTS) -> pd.DataFrame:
    """One-vs-rest ROC per class: label, threshold, false_positive_rate, true_positive_rate, auc.

    At most `points` rows per class, evenly spaced along the curve, with both ends; the area is that
    of the whole curve. Classes without positives or negatives are left out.
    """
    frames = []
    for k, name in enumerate(scored.classes):
        threshold, hits, false = _cumulative(scored.probabilities[:, k], scored.labels == k)
        if hits[-1] and false[-1]:
            x, y = false / false[-1], hits / hits[-1]
            columns = {"threshold": threshold, "false_positive_rate": x, "true_positive_rate": y}
            curve = pd.DataFrame(columns).iloc[_thinned(x, y, points)]
            frames.append(curve.assign(auc=float(np.trapezoid(y, x))).assign(label=name))
    return _curves(frames, ["threshold", "false_positive_rate", "true_positive_rate", "auc"])


def precision_recall_curves(scored: Scored, points: int = POINTS) -> pd.DataFrame:
    """One-vs-rest precision-recall: label, threshold, recall, precision, average_precision.

    As `roc_curves`; starts at recall 0 and precision 1, where nothing is accepted. Average
    precision is the step-wise sum of precision over recall, without interpolation.
    """
    frames = []
    for k, name in enumerate(scored.classes):
        threshold, hits, false = _cumulative(scored.probabilities[:, k], scored.labels == k)
        if hits[-1]:
            recall = hits / hits[-1]
            precision = np.r_[1.0, hits[1:] / (hits[1:] + false[1:])]
            area = float((np.diff(recall) * precision[1:]).sum())
            columns = {"threshold": threshold, "recall": recall, "precision": precision}
            curve = pd.DataFrame(columns).iloc[_thinned(recall, precision, points)]
            frames.append(curve.assign(average_precision=area).assign(label=name))
    return _curves(frames, ["threshold", "recall", "precision", "average_precision"])


def _curves(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    if not frames:
        return pd.DataFrame(columns=["label", *columns])
    return pd.concat(frames, ignore_index=True)[["label", *columns]]


def _cumulative(
    scores: FloatArray, positive: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Falling distinct thresholds, the positives and the negatives accepted at each.

    The first threshold is infinite and accepts nothing.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])  # of each group of ties
    hits, false = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
    return np.r_[np.inf, scores[order][last]], np.r_[0.0, hits], np.r_[0.0, false]


def _thinned(x: FloatArray, y: FloatArray, points: int) -> IntArray:
    """At most `points` positions along a curve, evenly spaced in city-block length."""
    if len(x) <= points:
        return np.arange(len(x))
    length = np.r_[0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    wanted = np.linspace(0, length[-1], points - 1)
    return np.unique(np.r_[np.searchsorted(length, wanted), len(x) - 1])
