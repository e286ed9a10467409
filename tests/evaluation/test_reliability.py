"""Calibration errors: by their definition, and beside simulated calibrated models."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from src.evaluation import metrics, reliability
from src.evaluation.metrics import Scored
from src.evaluation.reliability import CalibrationError

REPETITIONS = 400
# Beyond 5 %, what this many repetitions show by chance once in a thousand runs.
AT_MOST = stats.binom.ppf(0.999, REPETITIONS, 0.05) / REPETITIONS


def calibrated(rng: np.random.Generator, n: int, k: int, sharpness: float) -> Scored:
    """Answers of a model whose probabilities are true: labels are drawn from them."""
    p = rng.dirichlet(np.full(k, sharpness), n)
    labels = (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(max=k - 1)
    return metrics.score(labels, p, [f"class {i}" for i in range(k)])


def ece(promised: np.ndarray, happened: np.ndarray) -> float:
    """Calibration error by its definition, one bin after the other."""
    total = 0.0
    for i in range(15):
        inside = (promised > i / 15) & (promised <= (i + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(happened[inside].mean() - promised[inside].mean())
    return total


def test_errors_are_those_of_the_definition() -> None:
    scored = calibrated(np.random.default_rng(0), 500, 4, 0.5)
    found = reliability.measure(scored, 99)
    assert found.error.value == pytest.approx(ece(scored.confidence, scored.correct))
    gap = (found.table["accuracy"] - found.table["confidence"]).abs()
    assert np.average(gap, weights=found.table["n"]) == pytest.approx(found.error.value)
    by_class = [ece(scored.probabilities[:, k], scored.labels == k) for k in range(4)]
    assert reliability.classwise_value(scored) == pytest.approx(np.mean(by_class))
    assert reliability.classwise(scored, 99).value == pytest.approx(np.mean(by_class))


def test_a_table_by_hand() -> None:
    probabilities = [[0.7, 0.3], [0.3, 0.7], [0.35, 0.65], [1.0, 0.0]]
    found = reliability.measure(metrics.score([0, 0, 1, 0], probabilities, ["a", "b"]), 1_999)
    expected = {
        "bin_low": [9 / 15, 10 / 15, 14 / 15],
        "bin_high": [10 / 15, 11 / 15, 1.0],
        "n": [1, 2, 1],
        "confidence": [0.65, 0.7, 1.0],
        "accuracy": [1.0, 0.5, 1.0],
        "band_low": [0.0, 0.0, 1.0],  # who is sure must be right
        "band_high": [1.0, 1.0, 1.0],
    }
    pd.testing.assert_frame_equal(found.table, pd.DataFrame(expected))


def test_a_class_without_images_is_left_out_of_the_classwise_error() -> None:
    probabilities = [[0.8, 0.2, 0.0], [0.2, 0.8, 0.0]]
    scored = metrics.score([0, 1], probabilities, ["a", "b", "never"])
    assert reliability.classwise_value(scored) == pytest.approx(0.2)


def test_a_model_that_is_sure_and_wrong_cannot_be_calibrated() -> None:
    scored = metrics.score([1, 0], [[1.0, 0.0], [1.0, 0.0]], ["a", "b"])
    assert reliability.measure(scored, 99).error == CalibrationError(0.5, 0.0, 0.0, 0.01)
    assert reliability.classwise(scored, 99) == CalibrationError(0.5, 0.0, 0.0, 0.01)


def test_results_are_reproducible_and_seeded() -> None:
    scored = calibrated(np.random.default_rng(1), 200, 3, 0.5)
    assert reliability.for_json(scored) == reliability.for_json(scored)
    first, second = (reliability.measure(scored, 199, seed).error for seed in (1, 2))
    assert (first.value, first.high) != (second.value, second.high)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "k", "sharpness"), [(150, 10, 0.05), (600, 4, 0.5), (40, 2, 1.0)])
def test_calibrated_models_are_refused_in_five_percent_at_most(
    n: int, k: int, sharpness: float
) -> None:
    """By the test of the answers, by the class-wise test, and by a bin outside the bands."""
    rng = np.random.default_rng([n, k])
    refused = np.zeros(3)
    for seed in range(REPETITIONS):
        scored = calibrated(rng, n, k, sharpness)
        found, classes = (
            reliability.measure(scored, 199, seed),
            reliability.classwise(scored, 199, seed),
        )
        table = found.table
        outside = (table["accuracy"] < table["band_low"]) | (table["accuracy"] > table["band_high"])
        refused += [found.error.p_value <= 0.05, classes.p_value <= 0.05, outside.any()]
    assert (refused / REPETITIONS <= AT_MOST).all(), refused


def test_simulated_labels_follow_the_probabilities() -> None:
    probabilities = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0, 0.3, 0.7]]
    scored = metrics.score([0, 1, 2], probabilities, list("abc"))
    draws = 20_000
    drawn = reliability._labels(scored, draws, np.random.default_rng(0)).reshape(draws, 3, 15)
    assert (drawn.sum((1, 2)) == 3).all()
    expected = scored.probabilities.sum(0)
    error = 4 * math.sqrt(0.75 / draws)  # of a sum of three shares, each at most 1 / 4 apart
    np.testing.assert_allclose(drawn.sum(2).mean(0), expected, atol=error)


def test_an_envelope_holds_its_share_of_rows_in_all_columns() -> None:
    drawn = np.random.default_rng(0).poisson([1, 20, 300], (999, 3))
    low, high = reliability.envelope(drawn)
    inside = ((drawn >= low) & (drawn <= high)).all(1)
    assert 0.95 <= inside.mean() < 0.98
