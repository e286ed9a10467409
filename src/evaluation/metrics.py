"""Predictions and labels → metrics with intervals, per-class reports and confusion matrices.

Pure: no files, no paths, no state. `Scored` validates once, every other function trusts it.
Shares and metrics are 0 to 1; intervals are 95 % (`stats.LEVEL`); K is the number of classes,
in the model's order; N the number of images.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from src.evaluation import stats
from src.evaluation.stats import Estimate, FloatArray, IntArray

DRAWN = 48  # test images that a run keeps whatever was said about them
RESAMPLES = 1_000
STRATIFIED = "stratified bootstrap"
LARGEST_LOSS = -math.log(np.finfo(np.float32).eps)  # of one image
FEW = 4  # mistakes: below, simulated intervals of log-loss cover less than 93 %


@dataclass(frozen=True)
class Scored:
    """One split as one model answered it; build it with `score` or `from_frame`."""

    split: str
    classes: tuple[str, ...]  # (K,)
    ids: NDArray[Any]  # (N,) positions or relative paths
    labels: IntArray  # (N,) codes into classes
    predicted: IntArray  # (N,)
    probabilities: FloatArray  # (N, K), rows sum to 1

    @property
    def n(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether the answer is the label."""
        return np.asarray(self.labels == self.predicted)

    @property
    def confidence(self) -> FloatArray:
        """(N,) probability of the answer given."""
        return np.asarray(self.probabilities[np.arange(self.n), self.predicted])


# Boundary ---------------------------------------------------------------------------------------


def score(
    labels: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    ids: ArrayLike | None = None,
    split: str = "test",
) -> Scored:
    """Labels (N,) as codes or class names, probabilities (N, K) → Scored.

    Raises ValueError where shapes disagree, a label is unknown, or a row is not a distribution.
    """
    values = np.asarray(probabilities, np.float64)
    codes = _codes(labels, classes)
    if values.shape != (len(codes), len(classes)) or not len(codes):
        expected = f"({len(codes)}, {len(classes)})"
        raise ValueError(f"probabilities are {values.shape}, expected {expected} and not empty")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("probabilities must be finite and not negative")
    if (error := float(np.abs(values.sum(1) - 1).max())) > 1e-3:
        raise ValueError(f"probabilities must sum to 1 in every row; one is off by {error:.2g}")
    order = np.arange(len(codes)) if ids is None else np.asarray(ids)
    return Scored(split, tuple(classes), order, codes, values.argmax(1), values)


def _codes(labels: ArrayLike, classes: Sequence[str]) -> IntArray:
    labels = np.asarray(labels)
    if np.issubdtype(labels.dtype, np.integer):
        codes = labels.astype(np.int64)
    else:
        codes = pd.Index(classes).get_indexer(pd.Index(labels)).astype(np.int64)
    if (outside := (codes < 0) | (codes >= len(classes))).any():
        raise ValueError(f"label {labels[outside].tolist()[0]!r} is none of {list(classes)}")
    return codes


def from_frame(predictions: pd.DataFrame, split: str) -> Scored:
    """Rows of one split of a run's predictions (split, id, label, prediction, p_<class>…)."""
    columns = [str(c) for c in predictions.columns if str(c).startswith("p_")]
    if missing := {"split", "id", "label", "prediction"} - set(predictions.columns):
        raise ValueError(f"predictions lack the columns {sorted(missing)}")
    rows = predictions[predictions["split"] == split]
    if rows.empty:
        known = sorted(predictions["split"].unique())
        raise ValueError(f"predictions have no split {split!r}, only {known}")
    classes = tuple(c.removeprefix("p_") for c in columns)
    names, ids = rows["label"].to_numpy(str), rows["id"].to_numpy()
    scored = score(names, rows[columns].to_numpy(np.float64), classes, ids, split)
    stated = _codes(rows["prediction"].to_numpy(str), classes)
    scored = replace(scored, predicted=stated)  # of two equal probabilities, the one stated
    if (scored.confidence < scored.probabilities.max(1)).any():
        raise ValueError("a stated prediction is not the class of highest probability")
    return scored


def drawn(ids: ArrayLike, n: int) -> NDArray[Any]:
    """n of the ids at random, but always the same: those whose SHA-256 comes first."""
    order = sorted(np.asarray(ids).tolist(), key=lambda i: hashlib.sha256(str(i).encode()).digest())
    return np.array(order[:n])


def to_frame(scored: Scored) -> pd.DataFrame:
    """The published form of `scored`: split, id, label, prediction, p_<class>… as `_rounded`."""
    names = np.array(scored.classes)
    columns = {"split": scored.split, "id": scored.ids}
    columns |= {"label": names[scored.labels], "prediction": names[scored.predicted]}
    frame = pd.DataFrame(columns)
    p = pd.DataFrame(_rounded(scored.probabilities), columns=["p_" + c for c in names])
    return pd.concat([frame, p], axis=1)


def _rounded(values: FloatArray) -> NDArray[np.float32]:
    """Non-negative values as float32 whose last 8 bits are zero: off by at most 2**-16 of each.

    Those bits are a quarter of a run's largest tables, and say nothing.
    """
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x80)) & np.uint32(0xFFFFFF00)).view(np.float32)


def accuracy_over_seeds(predictions: pd.DataFrame, split: str) -> Estimate:
    """Mean accuracy of several trainings (seed, split, id, label, prediction), 0 to 1.

    Its interval is for other seeds and other images (`stats.share_over_seeds`).
    """
    rows = predictions[predictions["split"] == split]
    right = (rows["label"] == rows["prediction"]).to_numpy()
    order = np.lexsort((rows["id"].to_numpy(), rows["seed"].to_numpy()))
    return stats.share_over_seeds(right[order].reshape(rows["seed"].nunique(), -1))


# Summary ----------------------------------------------------------------------------------------


def summary(scored: Scored, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """{"n": N, "metrics": {name: {value, low, high, method}}}, as metrics.json holds each split.

    Accuracy has Wilson's interval, the others a bootstrap stratified by label (Efron and Tibshirani
    1993): percentiles (chapter 13), for log-loss a studentised one, for ROC-AUC a logarithmic
    scale, since few mistakes carry both. ROC-AUC is left out where all labels are the same. The
    calibration error has no such interval: see `reliability`.
    """
    rng = np.random.default_rng(seed)
    estimates = {"accuracy": stats.wilson(int(scored.correct.sum()), scored.n)}
    estimates |= _confusion_estimates(scored, resamples, rng)
    estimates |= _probability_estimates(scored, resamples, rng)
    return {"n": scored.n, "metrics": {k: e.asdict() for k, e in estimates.items()}}


def _confusion_estimates(
    scored: Scored, resamples: int, rng: np.random.Generator
) -> dict[str, Estimate]:
    counts = confusion(scored).to_numpy()
    values = _averages(counts)
    samples = _averages(_resampled_confusions(counts, resamples, rng))
    interval = stats.percentile_interval
    return {k: interval(float(v), samples[k], STRATIFIED) for k, v in values.items()}


def _resampled_confusions(counts: IntArray, resamples: int, rng: np.random.Generator) -> IntArray:
    """(B, K, K) confusion matrices of bootstrap resamples.

    Drawing images of a class with replacement *is* drawing its row of counts from a multinomial,
    which takes milliseconds.
    """
    support = counts.sum(1)
    shares = counts / np.maximum(support, 1)[:, None]
    shares[support == 0, 0] = 1  # nothing to draw, but a distribution is required
    return np.stack(
        [rng.multinomial(n, p, resamples) for n, p in zip(support, shares, strict=True)], axis=1
    )


def _rates(counts: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Precision, recall and F1 (..., K) of confusion counts (..., K, K); 0 where undefined."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    support, answers = counts.sum(-1), counts.sum(-2)
    precision = hits / np.maximum(answers, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(answers + support, 1)
    return precision, recall, f1


def _averages(counts: IntArray) -> dict[str, FloatArray]:
    """Macro and weighted precision, recall and F1 of confusion counts (..., K, K).

    A macro average is over the classes that have images, as scikit-learn's balanced accuracy is.
    """
    weights = counts.sum(-1) / counts.sum((-1, -2))[..., None]
    rates = dict(zip(("precision", "recall", "f1"), _rates(counts), strict=True))
    tested = weights.reshape(-1, weights.shape[-1]).any(0)  # the same in every resample
    macro = {f"macro_{name}": rate[..., tested].mean(-1) for name, rate in rates.items()}
    weighted = {f"weighted_{name}": (rate * weights).sum(-1) for name, rate in rates.items()}
    return macro | weighted


def _probability_estimates(
    scored: Scored, resamples: int, rng: np.random.Generator
) -> dict[str, Estimate]:
    losses, rankings = _losses(scored), _rankings(scored)

    def metrics(weights: FloatArray) -> FloatArray:
        """(3, B) mean loss, mean squared loss and ROC-AUC of weighted images (B, N)."""
        loss, square = (weights @ values / scored.n for values in (losses, losses**2))
        return np.stack([loss, square, _weighted_auc(weights, rankings)])

    value = metrics(np.ones((1, scored.n)))
    drawn = stats.resampled_counts(scored.labels, resamples, rng)
    samples = np.concatenate([metrics(weights) for weights in drawn], axis=1)
    estimates = {"log_loss": _log_loss(value[:2, 0], samples[:2], scored)}
    if rankings:
        estimates["roc_auc"] = _roc_auc(float(value[2, 0]), samples[2], scored.n)
    return estimates


def _log_loss(value: FloatArray, samples: FloatArray, scored: Scored) -> Estimate:
    """Mean loss with a bootstrap-t interval (Efron and Tibshirani 1993, 12.5).

    `value` holds the mean loss and mean squared loss (2,), `samples` those of resamples (2, B). Few
    mistakes carry most of the loss: percentiles of their resampled mean end too early.
    """
    error, errors = (
        np.sqrt(np.maximum(square - mean**2, 0) / scored.n) for mean, square in (value, samples)
    )
    varied = errors > 0
    tails = [0.5 + stats.LEVEL / 2, 0.5 - stats.LEVEL / 2]
    t = (samples[0] - value[0])[varied] / errors[varied]
    reach = np.quantile(t, tails) if varied.any() else np.zeros(2)
    low, high = np.clip(value[0] - reach * error, 0, LARGEST_LOSS)
    few = "" if int((~scored.correct).sum()) >= FEW else ", too narrow: hardly a mistake"
    return Estimate(float(value[0]), float(low), float(high), f"stratified bootstrap-t{few}")


def _roc_auc(value: float, samples: FloatArray, n: int) -> Estimate:
    """ROC-AUC, with an interval of what it lacks to 1 on a logarithmic scale.

    Never narrower than the percentiles. Without one wrong order among n images nothing varies:
    then as many may be in the wrong place as Wilson's interval of n right answers leaves.
    """
    method, lacking, z = f"{STRATIFIED}, log scale", 1 - value, stats.z_of_level(stats.LEVEL)
    if lacking <= 0:
        return Estimate(value, stats.wilson(n, n).low, 1.0, method)
    factor = math.exp(min(z * float(samples.std()) / lacking, 50.0))
    percentiles = stats.percentile_interval(value, samples, method)
    low = max(min(1 - lacking * factor, percentiles.low), 0.0)
    return Estimate(value, low, max(1 - lacking / factor, percentiles.high), method)


def _losses(scored: Scored) -> FloatArray:
    """(N,) negative log of the label's probability, which float32 can round to 0."""
    p = scored.probabilities[np.arange(scored.n), scored.labels]
    return np.asarray(-np.log(np.maximum(p, np.finfo(np.float32).eps)))


@dataclass(frozen=True)
class _Ranking:
    """How one class's positives and negatives interleave by score, ready to be reweighted."""

    positives: IntArray  # images of the class
    negatives: IntArray  # the others, by rising score
    starts: IntArray  # of the runs of negatives between neighbouring positive scores
    below: IntArray  # (positives,) number of runs with a lower score
    upto: IntArray  # (positives,) number of runs with a lower or equal score

    def area(self, weights: FloatArray) -> FloatArray:
        """(B,) area under the ROC curve of images weighted by (N, B).

        The share of (positive, negative) pairs in the right order, ties counting half
        (Mann-Whitney). Adding up whole runs keeps a thousand resamples within a second.
        """
        runs = np.add.reduceat(weights[self.negatives], self.starts, axis=0)
        lower = np.vstack([np.zeros(weights.shape[1]), np.cumsum(runs, axis=0)])
        hits = weights[self.positives]
        pairs = np.einsum("nb,nb->b", hits, lower[self.below] + lower[self.upto]) / 2
        return np.asarray(pairs / (hits.sum(0) * lower[-1]))


def _rankings(scored: Scored) -> list[_Ranking]:
    """One per class that has both positives and negatives."""
    present = np.unique(scored.labels)
    return [_ranking(scored, k) for k in present] if len(present) > 1 else []


def _ranking(scored: Scored, k: int) -> _Ranking:
    scores, positive = scored.probabilities[:, k], scored.labels == k
    positives, negatives = np.flatnonzero(positive), np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    left = np.searchsorted(scores[negatives], scores[positives], "left")
    right = np.searchsorted(scores[negatives], scores[positives], "right")
    edges = np.unique(np.r_[0, left, right])
    below, upto = np.searchsorted(edges, left), np.searchsorted(edges, right)
    return _Ranking(positives, negatives, edges[edges < len(negatives)], below, upto)


def _weighted_auc(weights: FloatArray, rankings: list[_Ranking]) -> FloatArray:
    """(B,) mean over classes of the one-vs-rest ROC area of weighted images (B, N)."""
    columns = np.ascontiguousarray(weights.T)  # (N, B): reordering images moves whole rows
    areas = [ranking.area(columns) for ranking in rankings]
    return np.mean(areas, axis=0) if areas else np.full(len(weights), np.nan)


def f1_samples(
    scored: Scored, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """F1 of every class (K,) and of stratified bootstrap resamples (B, K); NaN without images."""
    counts = confusion(scored).to_numpy()
    drawn = _resampled_confusions(counts, resamples, np.random.default_rng(seed))
    known = np.where(counts.sum(1) > 0, 1.0, np.nan)
    return _rates(counts)[2] * known, _rates(drawn)[2] * known


def weakest_gap(
    scored: Scored, k: int, margin: float, level: float = stats.LEVEL, resamples: int = RESAMPLES
) -> tuple[Estimate, float]:
    """By how much F1 of class k lies below that of the next weakest class, and a p-value.

    The gap is the smallest of K - 1 differences, and the smallest observed one is low by chance
    too: percentiles of its bootstrap cover the true gap in as few as half of all cases. So all
    differences get an interval at once, from the largest studentised deviation of each resample
    (Romano and Wolf 2005, Exact and approximate stepdown methods for multiple hypothesis testing),
    and the gap takes the smallest bounds. The p-value that the gap is `margin` (-1 to 1) inverts
    the same intervals.
    """
    values, samples = f1_samples(scored, resamples)
    others = np.flatnonzero(np.isfinite(values) & (np.arange(len(values)) != k))
    gaps, drawn = values[others] - values[k], samples[:, others] - samples[:, [k]]
    errors = np.maximum(drawn.std(0), 1e-9)
    deviations = (np.abs(drawn - gaps) / errors).max(1)
    reach = np.quantile(deviations, level) * errors
    low, high = float((gaps - reach).min()), float((gaps + reach).min())
    beyond = max(((gaps - margin) / errors).min(), ((margin - gaps) / errors).max())
    p_value = (int((deviations >= beyond).sum()) + 1) / (resamples + 1)
    return Estimate(float(gaps.min()), low, high, f"{STRATIFIED}, all classes at once"), p_value


def report(scored: Scored, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Per class: split, label, precision, recall and F1, each with _low and _high, support.

    Precision and recall are shares and have Wilson's interval, F1 the bootstrap's. A class without
    images was not tested: its support is 0 and all else NaN.
    """
    counts = confusion(scored).to_numpy()
    precision, recall, _ = _rates(counts)
    hits, support = np.diagonal(counts), counts.sum(1)
    precision_low, precision_high = stats.wilson_bounds(hits, counts.sum(0))
    recall_low, recall_high = stats.wilson_bounds(hits, support)
    f1, samples = f1_samples(scored, resamples, seed)
    tail = (1 - stats.LEVEL) / 2
    f1_low, f1_high = np.quantile(samples, [tail, 1 - tail], axis=0)
    columns: dict[str, Any] = {"split": scored.split, "label": list(scored.classes)}
    columns |= {"precision": precision, "precision_low": precision_low}
    columns |= {"precision_high": precision_high, "recall": recall}
    columns |= {"recall_low": recall_low, "recall_high": recall_high}
    columns |= {"f1": f1, "f1_low": f1_low, "f1_high": f1_high, "support": support}
    table = pd.DataFrame(columns)
    rates = table.columns.drop(["split", "label", "support"])
    table.loc[support == 0, rates] = np.nan
    return table


# Confusion --------------------------------------------------------------------------------------


def tested(scored: Scored) -> IntArray:
    """The classes that have images, as codes in rising order."""
    return np.unique(scored.labels)


def confusion(scored: Scored) -> pd.DataFrame:
    """(K, K) counts: one row per label, one column per prediction, both in class order."""
    size = len(scored.classes)
    counts = np.bincount(scored.labels * size + scored.predicted, minlength=size * size)
    names = list(scored.classes)
    index, columns = pd.Index(names, name="label"), pd.Index(names, name="prediction")
    return pd.DataFrame(counts.reshape(size, size), index=index, columns=columns)


def confusion_shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Each row of a square of counts divided by its support (rows sum to 1; 0 without support)."""
    return counts.div(counts.sum(axis=1).clip(lower=1), axis=0)


def most_confident_mistakes(scored: Scored, limit: int = 50) -> pd.DataFrame:
    """Wrong answers, most confident first: split, id, label, prediction, confidence, p_label."""
    wrong = np.flatnonzero(~scored.correct)
    rows = wrong[np.argsort(-scored.confidence[wrong], kind="stable")][:limit]
    names = np.array(scored.classes)
    columns = {"split": scored.split, "id": scored.ids[rows], "label": names[scored.labels[rows]]}
    columns |= {"prediction": names[scored.predicted[rows]], "confidence": scored.confidence[rows]}
    return pd.DataFrame(columns | {"p_label": scored.probabilities[rows, scored.labels[rows]]})
