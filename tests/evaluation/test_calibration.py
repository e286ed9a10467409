"""From scores to probabilities: the calibration that is fitted on validation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy.special import softmax as scipy_softmax
from sklearn import metrics

from src.evaluation import calibration
from src.evaluation.calibration import Calibration


def test_softmax_is_scipys_and_survives_large_logits() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]])
    np.testing.assert_allclose(calibration.softmax(logits), scipy_softmax(logits, axis=1))
    np.testing.assert_allclose(
        calibration.softmax(logits, temperature=2), scipy_softmax(logits / 2, axis=1)
    )


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 3.0])
def test_fit_temperature_is_the_minimum(true_temperature: float) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4_000, 5)) * 2
    labels = (rng.random((4_000, 1)) > scipy_softmax(z, axis=1).cumsum(1)).sum(1)
    logits = z * true_temperature

    def loss(temperature: float) -> float:
        p = scipy_softmax(logits / temperature, axis=1)
        return metrics.log_loss(labels, p, labels=range(5))

    best = optimize.minimize_scalar(loss, bounds=(0.05, 20), options={"xatol": 1e-9}).x
    fitted = calibration.fit_temperature(logits, labels)
    assert fitted == pytest.approx(best, rel=1e-5)
    assert fitted == pytest.approx(true_temperature, rel=0.1)


def test_fit_temperature_stops_at_its_ends() -> None:
    right, wrong = [[5.0, 0.0]], [[0.0, 5.0]]
    assert calibration.fit_temperature(right, [0]) == 1.0  # no mistake, nothing to fit
    assert calibration.fit_temperature(wrong, [0]) == pytest.approx(20)


def _drawn(n: int = 6_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, 5) that say the truth as they are, and labels drawn from what they say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 5)) * 2
    labels = (rng.random((n, 1)) > scipy_softmax(logits, axis=1).cumsum(1)).sum(1)
    return logits, labels


def test_where_length_says_the_truth_it_counts() -> None:
    fitted = calibration.fit(*_drawn())
    assert fitted.exponent <= 0.1
    assert fitted.temperature == pytest.approx(1, rel=0.15)


def test_where_length_says_nothing_it_does_not_count() -> None:
    """Directions that tell the truth, at lengths drawn at random."""
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(6_000, 5))
    directions -= directions.mean(1, keepdims=True)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    truth = scipy_softmax(5 * directions, axis=1)
    labels = (rng.random((len(truth), 1)) > truth.cumsum(1)).sum(1)
    stretched = directions * rng.uniform(0.5, 20, (len(truth), 1))
    fitted = calibration.fit(stretched, labels)
    assert fitted.exponent >= 0.9
    assert np.abs(fitted.probabilities(stretched) - truth).mean() < 0.02
    loss = metrics.log_loss(labels, fitted.probabilities(stretched))
    plain = Calibration(calibration.fit_temperature(stretched, labels))
    assert loss < metrics.log_loss(labels, plain.probabilities(stretched)) - 0.05


@pytest.mark.parametrize("exponent", [0.0, 0.3, 1.0])
def test_answers_stay_and_rows_sum_to_one(exponent: float) -> None:
    logits, _ = _drawn(500)
    p = Calibration(0.3, exponent).probabilities(logits.astype(np.float32))
    assert (p.argmax(1) == logits.argmax(1)).all()
    np.testing.assert_allclose(p.sum(1), 1)


def test_without_an_exponent_it_is_a_temperature() -> None:
    logits, _ = _drawn(500)
    np.testing.assert_array_equal(
        Calibration(2.0).probabilities(logits), calibration.softmax(logits, 2.0)
    )


def test_at_exponent_one_length_is_gone_and_nothing_stays_nothing() -> None:
    logits, _ = _drawn(50)
    one = Calibration(0.2, 1.0)
    np.testing.assert_allclose(one.probabilities(logits), one.probabilities(7 * logits + 3))
    np.testing.assert_allclose(one.probabilities([[0.0, 0.0], [4.0, 4.0]]), 0.5)


def test_no_mistake_is_nothing_to_fit() -> None:
    assert calibration.fit([[5.0, 0.0], [0.0, 1.0]], [0, 1]) == Calibration()


def test_what_a_run_says_of_it() -> None:
    assert Calibration.of({"temperature": 0.5}) == Calibration(0.5)  # runs of before
    assert Calibration.of({"temperature": 0.5, "exponent": 0.7}) == Calibration(0.5, 0.7)
