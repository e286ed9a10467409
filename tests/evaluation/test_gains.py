"""Gains over seeds and images: by hand, and coverage simulated for 3 and 5 seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from src.evaluation import gains
from src.evaluation.stats import Estimate

LEVEL = 0.95


def answers(*words: str) -> np.ndarray:
    return np.array([[letter == "1" for letter in word] for word in words])


def test_the_variance_by_hand() -> None:
    with_, without = answers("1110", "1101"), answers("1000", "1100", "0100")
    found = gains.gain(with_, without)
    # Accuracies .75, .75 and .25, .5, .25; per image 1 - 2/3, 1 - 2/3, .5 - 0, .5 - 0.
    assert found.value == pytest.approx(0.75 - 1 / 3)
    assert found.spreads == (0, pytest.approx(1 / 48))
    assert found.images == pytest.approx(np.var([1 / 3, 1 / 3, 0.5, 0.5], ddof=1) / 4)
    # First arm: image means 1, 1, .5, .5, of which ±.5 in two images is left: 4 · .25 / (1 · 3).
    rest = without - without.mean(0) - without.mean(1, keepdims=True) + without.mean()
    assert found.shared == pytest.approx(1 / 3 / 8 + (rest**2).sum() / 6 / 12)
    assert found.variance == pytest.approx(found.images)  # never less than what the images leave


def test_interval_and_p_value_agree() -> None:
    rng = np.random.default_rng(1)
    found = gains.gain(rng.random((3, 200)) < 0.8, rng.random((5, 200)) < 0.7)
    for level in (0.9, 0.95, 0.999):
        interval = found.interval(level)
        assert found.p_value(interval.low) == pytest.approx(1 - level)
        assert found.p_value(interval.high) == pytest.approx(1 - level)
        assert interval.low < found.value < interval.high


def test_without_noise_of_images_it_is_welchs_test() -> None:
    """Images that every training answers alike carry no information about seeds."""
    found = gains.Gain(0.02, (1e-4, 4e-4), (3, 5), 0.0, 0.0)
    x = np.array([-1, 0, 1]) * 1e-2 + 0.02
    y = np.array([-1, -1, 0, 1, 1]) * math.sqrt(4e-4)
    expected = stats.ttest_ind(x, y, equal_var=False)
    assert found.p_value(0.0) == pytest.approx(expected.pvalue)


def test_an_arm_trained_once_has_no_spread() -> None:
    found = gains.gain(answers("1111"), answers("0011", "0111"))
    assert found.interval() == Estimate(0.375, -1.0, 1.0, gains.METHOD)
    assert found.p_value(0.0) == 1
    same = gains.gain(answers("1111", "1111"), answers("0000", "0000"))
    assert (same.p_value(0.5), same.p_value(1.0)) == (0, 1)


def test_more_trainings_leave_the_noise_of_the_images() -> None:
    found = gains.Gain(0.02, (4e-4, 4e-4), (4, 4), 3e-4, 1e-4)
    assert found.with_trainings(4).variance == pytest.approx(found.variance)
    assert found.with_trainings(10**6).variance == pytest.approx(2e-4, rel=1e-2)


def simulated(
    rng: np.random.Generator, trainings: tuple[int, int], n_images: int, noise: tuple[float, float]
) -> gains.Gain:
    """Logistic model: a difficulty an image, a strength a training and a fresh draw a cell."""
    difficulty = rng.normal(1.5, noise[1], n_images)
    lift = rng.normal(0, noise[1] / 2, n_images)  # images that the treatment helps or harms
    arms = [
        rng.random((n, n_images))
        < 1 / (1 + np.exp(-(difficulty + rng.normal(0, noise[0], (n, 1)) + sign * lift)))
        for n, sign in zip(trainings, (1, -1), strict=True)
    ]
    return gains.gain(*arms)


@pytest.mark.slow
@pytest.mark.parametrize("trainings", [(3, 3), (5, 5), (3, 5)])
@pytest.mark.parametrize("noise", [(0.02, 2.0), (0.1, 1.0), (0.4, 0.5)])
def test_the_interval_covers(trainings: tuple[int, int], noise: tuple[float, float]) -> None:
    """By symmetry the true gain is 0. Coverage may miss 95 % by chance and not by more."""
    rng, repetitions = np.random.default_rng(7), 1_000
    covered = sum(
        found.low <= 0 <= found.high
        for found in (simulated(rng, trainings, 300, noise).interval() for _ in range(repetitions))
    )
    # Three standard deviations of a binomial share of `repetitions` at the level.
    tolerance = 3 * math.sqrt(LEVEL * (1 - LEVEL) / repetitions)
    assert covered / repetitions >= LEVEL - tolerance


def test_students_interval_over_paired_seeds_does_not_cover() -> None:
    """What this replaces: with images' noise of that size it is wrong far too often."""
    rng, repetitions, wrong = np.random.default_rng(8), 400, 0
    for _ in range(repetitions):
        difficulty = rng.normal(1.5, 2.0, 300)
        lift = rng.normal(0, 1.0, 300)
        arms = [
            (rng.random((5, 300)) < 1 / (1 + np.exp(-(difficulty + sign * lift)))).mean(1)
            for sign in (1, -1)
        ]
        wrong += stats.ttest_1samp(arms[0] - arms[1], 0).pvalue < 1 - LEVEL
    assert wrong / repetitions > 0.10
