"""Interval and p-value of a paired comparison: one method, its level and its coverage."""

import math
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from src.evaluation import comparison
from src.evaluation import stats as evaluation_stats
from src.evaluation.stats import Estimate

REPETITIONS = 20_000
NULL = list(product((50, 359, 1_000, 10_000), (0.01, 0.05, 0.2, 0.4)))  # images, discordant share
APART = list(product((100, 359, 1_000), ((0.0, 0.02), (0.02, 0.05), (0.05, 0.05), (0.0, 0.1))))
# The score test is approximate: over tables of few discordant images its level reaches 5.3 %, and
# its interval's coverage falls to 93.4 % (Fagerland, Lydersen and Laake 2013 and 2014 find the
# same). What a simulation may show beyond: that many standard errors of all cells together.
LEVEL, COVERAGE = 0.053, 0.934


def _beyond(share: float, cells: int) -> float:
    """How far a simulated share may lie from the true one: exceeded once in a thousand runs."""
    z = stats.norm.ppf(1 - 0.001 / cells)
    return float(z * math.sqrt(share * (1 - share) / REPETITIONS))


@cache
def _p_value(only_first: int, only_second: int, n: int) -> float:
    return evaluation_stats.paired_test(only_first, only_second, n, 0.0)


@cache
def _interval(only_first: int, only_second: int, n: int) -> Estimate:
    return evaluation_stats.paired_difference(only_first, only_second, n)


def _tables(n: int, first: float, second: float) -> list[tuple[int, int]]:
    """(only first, only second) of simulated pairs of models."""
    rng = np.random.default_rng([n, round(1e4 * first), round(1e4 * second)])
    drawn = rng.multinomial(n, [first, second, 1 - first - second], REPETITIONS)
    return [(int(b), int(c)) for b, c, _ in drawn]


@pytest.mark.parametrize(("n", "discordant"), NULL)
def test_equal_models_are_called_different_in_five_percent_at_most(
    n: int, discordant: float
) -> None:
    tables = _tables(n, discordant / 2, discordant / 2)
    rejected = np.mean([_p_value(b, c, n) < 0.05 for b, c in tables])
    assert rejected <= LEVEL + _beyond(LEVEL, len(NULL))
    if n * discordant >= 100:  # where discreteness is gone, it is not idle either
        assert rejected >= 0.047 - _beyond(0.047, len(NULL))


@pytest.mark.parametrize(("n", "rates"), APART)
def test_the_interval_covers_the_true_difference(n: int, rates: tuple[float, float]) -> None:
    truth = rates[0] - rates[1]
    intervals = [_interval(b, c, n) for b, c in _tables(n, *rates)]
    covered = np.mean([i.low - 1e-12 <= truth <= i.high + 1e-12 for i in intervals])
    assert covered >= COVERAGE - _beyond(COVERAGE, len(APART))


def test_the_interval_leaves_zero_out_exactly_where_p_is_below_five_percent() -> None:
    """Every table of up to 24 images, and the digits pairs that contradicted each other."""
    tables = [(b, c, n) for n in range(1, 25) for b in range(n + 1) for c in range(n + 1 - b)] + [
        (b, c, 359) for b in range(12) for c in range(12)
    ]
    for b, c, n in tables:
        found = _interval(b, c, n)
        assert (found.low > 0 or found.high < 0) == (_p_value(b, c, n) < 0.05), (b, c, n)


def test_of_many_equal_pairs_holm_leaves_one_in_twenty_families() -> None:
    """The family-wise error of what is coloured, over 15 pairs of six equal models."""
    rng, families, n = np.random.default_rng(1), 1_000, 400
    correct = rng.random((families, 6, n)) < 0.9
    pairs = [(i, j) for i in range(6) for j in range(i)]
    coloured = 0
    for family in correct:
        p = [
            _p_value(int((family[i] & ~family[j]).sum()), int((family[j] & ~family[i]).sum()), n)
            for i, j in pairs
        ]
        frame = pd.DataFrame({"p_holm": evaluation_stats.holm(p)})
        coloured += bool(comparison.significant(frame).any())
    assert coloured / families <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / families)


def test_what_the_interval_calls_different_holm_may_not() -> None:
    frame = pd.DataFrame({"low": [0.001, 0.01], "high": [0.02, 0.03], "p_holm": [0.06, 0.0499]})
    assert comparison.significant(frame).tolist() == [False, True]
