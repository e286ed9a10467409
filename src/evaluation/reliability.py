"""Reliability: confidence against accuracy, beside what a perfectly calibrated model would show.

The calibration error of a perfectly calibrated model is not 0: chance alone moves accuracy away
from confidence in every bin. So the error has no interval here; a resampled one is centred on a
value that is itself too high and misses the truth. It stands beside what a calibrated model of
the same images and the same probabilities would show, by simulation, with a test.

Consistency bands: Bröcker and Smith (2007), Increasing the reliability of reliability diagrams,
Weather and Forecasting 22:651-661. The test: Vaicenavicius et al. (2019), Evaluating model
calibration in classification, AISTATS. Errors and shares are 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from src.evaluation import stats
from src.evaluation.metrics import Scored
from src.evaluation.stats import FloatArray, IntArray

BINS = 15  # of equal width, as in Guo et al. (2017)
DRAWS = 1_999  # simulated test sets: p-values in steps of 1 / 2,000
_CHUNK = 2**19  # random numbers held at once


@dataclass(frozen=True)
class CalibrationError:
    """A calibration error, and what a perfectly calibrated model would show."""

    value: float
    low: float  # 95 % of simulated calibrated models show an error between low and high
    high: float
    p_value: float  # that a calibrated model shows this error or a larger one


@dataclass(frozen=True)
class Reliability:
    """How well the confidence of one model's answers fits what happened on one split.

    error: expected calibration error of the answers' confidence (Naeini et al. 2015). table: one
    row per bin that holds images: bin_low, bin_high ((low, high]), n, confidence (mean), accuracy,
    and the band_low to band_high that the accuracies of 95 % of calibrated models keep in all
    bins at once.
    """

    n: int
    error: CalibrationError
    table: pd.DataFrame


def measure(scored: Scored, draws: int = DRAWS, seed: int = 0) -> Reliability:
    """Confidence against accuracy of `scored`, beside `draws` simulated calibrated models."""
    bins = bin_of(scored.confidence)
    n, hits = np.bincount(bins), np.bincount(bins, scored.correct)
    held = np.flatnonzero(n)
    confidence = np.bincount(bins, scored.confidence)[held]
    simulated = _right(scored, draws, np.random.default_rng(seed))  # (B, held bins)
    error = _error(_gap(hits[held], confidence) / scored.n, _gap(simulated, confidence) / scored.n)
    low, high = envelope(simulated)
    columns = {"bin_low": held / BINS, "bin_high": (held + 1) / BINS, "n": n[held]}
    shares = {"confidence": confidence, "accuracy": hits[held], "band_low": low, "band_high": high}
    columns |= {name: counts / n[held] for name, counts in shares.items()}
    return Reliability(scored.n, error, pd.DataFrame(columns))


def classwise(scored: Scored, draws: int = DRAWS, seed: int = 0) -> CalibrationError:
    """Class-wise calibration error of `scored`, beside `draws` simulated calibrated models.

    The mean, over the classes that have images, of the calibration error of each class's
    probability: Nixon et al. (2019), Measuring calibration in deep learning; Kull et al. (2019),
    Beyond temperature scaling.
    """
    simulated = _labels(scored, draws, np.random.default_rng(seed))
    return _error(classwise_value(scored), _classwise_gap(scored, simulated))


def classwise_value(scored: Scored) -> float:
    """The class-wise calibration error alone, 0 to 1: without simulation it costs nothing."""
    cells = _cells(scored)
    found = np.bincount(_of_label(cells, scored.labels), minlength=BINS * cells.shape[1])
    return float(_classwise_gap(scored, found))


def _classwise_gap(scored: Scored, found: IntArray) -> FloatArray:
    """(...) class-wise errors of counts of labels by cell (..., K * BINS)."""
    tested = np.unique(scored.labels)
    promised = np.bincount(
        _cells(scored).ravel(), scored.probabilities.ravel(), len(scored.classes) * BINS
    )
    gaps = np.abs(found - promised).reshape(*found.shape[:-1], -1, BINS).sum(-1)  # (..., K)
    return np.asarray(gaps[..., tested].mean(-1) / scored.n)


def for_json(scored: Scored) -> dict[str, Any]:
    """{"answer": {value, low, high, p_value}, "classwise": …}, as metrics.json holds it."""
    return {"answer": asdict(measure(scored).error), "classwise": asdict(classwise(scored))}


def bin_of(confidence: FloatArray) -> IntArray:
    """Index of the equally wide bin (low, high] of each confidence; 0 falls into the first."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _cells(scored: Scored) -> IntArray:
    """(N, K) class and bin of every probability, as one number: class * BINS + bin."""
    return bin_of(scored.probabilities) + BINS * np.arange(len(scored.classes))


def _of_label(cells: IntArray, labels: IntArray) -> IntArray:
    """(N,) the cell of each image's label."""
    return cells[np.arange(len(labels)), labels]


def _gap(hits: ArrayLike, promised: ArrayLike) -> FloatArray:
    """(...) sum over bins of |happened - promised| of counts (..., bins)."""
    return np.asarray(np.abs(np.subtract(hits, promised)).sum(-1))


def _error(value: float | FloatArray, simulated: FloatArray) -> CalibrationError:
    low, high = np.quantile(simulated, [0.5 - stats.LEVEL / 2, 0.5 + stats.LEVEL / 2])
    reached = int((simulated >= value - 1e-12).sum())  # rounding must not lose an equal one
    p_value = (reached + 1) / (len(simulated) + 1)
    return CalibrationError(float(value), float(low), float(high), p_value)


# Simulation -------------------------------------------------------------------------------------
#
# A model is calibrated where each image's label is drawn from the model's own probabilities.


def _right(scored: Scored, draws: int, rng: np.random.Generator) -> IntArray:
    """Right answers of simulated calibrated models by held bin (B, bins).

    Images stand in the order of their bins, so that answers are added up in runs.
    """
    order = np.argsort(scored.confidence)
    starts = np.unique(bin_of(scored.confidence[order]), return_index=True)[1]
    sure = scored.confidence[order].astype(np.float32)
    parts = [
        np.add.reduceat(rng.random((rows, scored.n), np.float32) < sure, starts, 1, np.int64)
        for rows in _chunks(draws, scored.n)
    ]
    return np.concatenate(parts)


def _labels(scored: Scored, draws: int, rng: np.random.Generator) -> IntArray:
    """Labels of simulated calibrated models by cell (B, K * BINS).

    The answer is the label wherever a random number stays below the confidence; only the few
    other images need the distribution of the other classes.
    """
    cells = _cells(scored)
    answers, sure = _of_label(cells, scored.predicted), scored.confidence.astype(np.float32)
    others = scored.probabilities.copy()
    others[np.arange(scored.n), scored.predicted] = 0
    others = others.cumsum(1)  # (N, K)
    counts = []
    for rows in _chunks(draws, scored.n):
        u = rng.random((rows, scored.n), np.float32)
        drawn = np.broadcast_to(answers, u.shape).copy()
        draw, image = np.nonzero(u >= sure)
        rest = (u[draw, image] - sure[image])[:, None]
        label = (others[image] <= rest).sum(1).clip(max=cells.shape[1] - 1)
        drawn[draw, image] = cells[image, label]
        flat = drawn + BINS * cells.shape[1] * np.arange(rows)[:, None]
        counts.append(np.bincount(flat.ravel(), minlength=rows * BINS * cells.shape[1]))
    return np.concatenate(counts).reshape(draws, -1)


def _chunks(draws: int, n: int) -> Iterator[int]:
    """How many draws of n random numbers each are held at once, until all are done."""
    rows = max(1, _CHUNK // n)
    for done in range(0, draws, rows):
        yield min(rows, draws - done)


def envelope(drawn: IntArray) -> tuple[IntArray, IntArray]:
    """Bounds (C,) between which 95 % of the drawn rows (B, C) lie in all columns at once.

    Global rank envelope: Myllymäki et al. (2017), Global envelope tests for spatial processes,
    Journal of the Royal Statistical Society B 79:381-404.
    """
    ordered = np.sort(drawn, axis=0)
    extreme = np.full(len(drawn), len(drawn))
    for column, known in zip(drawn.T, ordered.T, strict=True):
        upto = np.searchsorted(known, column, "right")
        above = len(known) - np.searchsorted(known, column, "left")
        extreme = np.minimum(extreme, np.minimum(upto, above))
    rank = int(np.sort(extreme)[int((1 - stats.LEVEL) * len(drawn))])
    return ordered[rank - 1], ordered[len(drawn) - rank]
