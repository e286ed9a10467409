"""Every function against SciPy, a published example, or a value worked out by hand."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from src.evaluation import sample_sizes
from src.evaluation import stats as evaluation_stats
from src.evaluation.stats import Estimate


def rounded(estimate: Estimate, digits: int = 4) -> tuple[float, float, float]:
    return tuple(round(v, digits) for v in (estimate.value, estimate.low, estimate.high))


@pytest.mark.parametrize("a", [0.5, 1, 2.5, 40, 5000])
@pytest.mark.parametrize("b", [0.5, 3, 700])
def test_incomplete_beta_is_scipys(a: float, b: float) -> None:
    x = np.linspace(0, 1, 41)
    ours = [evaluation_stats.incomplete_beta(a, b, v) for v in x]
    np.testing.assert_allclose(ours, special.betainc(a, b, x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 30, 9_999])
def test_student_is_scipys(freedom: int) -> None:
    for t in (-30, -2.1, -0.3, 0, 0.3, 2.1, 30):
        expected = stats.t.cdf(t, freedom)
        assert evaluation_stats.t_cdf(t, freedom) == pytest.approx(expected, rel=1e-8, abs=1e-14)
    for p in (0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999):
        expected = stats.t.ppf(p, freedom)
        assert evaluation_stats.t_quantile(p, freedom) == pytest.approx(
            expected, rel=1e-8, abs=1e-9
        )


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (1, 3), (29, 32), (7_012, 10_000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_scipys(hits: int, n: int, level: float) -> None:
    ours = evaluation_stats.wilson(hits, n, level)
    theirs = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
    assert (ours.value, ours.method) == (hits / n, "Wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_a_published_example_and_of_nothing() -> None:
    # 29 of 32 is 75.8 to 96.8 % (notes/references.md)
    assert rounded(evaluation_stats.wilson(29, 32), 3) == (0.906, 0.758, 0.968)
    low, high = evaluation_stats.wilson_bounds([0, 5], [0, 5])
    np.testing.assert_allclose(low, [0, 5 / (5 + 1.959964**2)], atol=1e-7)
    assert high.tolist() == [1, 1]
    nothing = evaluation_stats.wilson(0, 0)
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0, 1)


def test_score_test_rejects_exactly_what_wilson_leaves_out() -> None:
    for hits in range(1, 60):
        interval = evaluation_stats.wilson(hits, 60)
        inside = interval.low <= 0.7 <= interval.high
        assert (evaluation_stats.score_test(hits, 60, 0.7) >= 0.05) == inside
    z = (50 / 60 - 0.7) / math.sqrt(0.7 * 0.3 / 60)
    assert evaluation_stats.score_test(50, 60, 0.7) == pytest.approx(2 * stats.norm.sf(z))


def test_binomial_tail_is_scipys() -> None:
    for k in (-1, 0, 3, 9, 10):
        expected = stats.binom.cdf(k, 10, 0.3)
        assert evaluation_stats.binomial_tail(k, 10, 0.3) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 7), (7, 1), (5, 5), (0, 6), (412, 350)])
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert evaluation_stats.mcnemar(b, c) == pytest.approx(expected, rel=1e-9)


def test_tango_of_published_examples() -> None:
    # Airway hyper-responsiveness, Fagerland, Lydersen and Laake (2014), Table 8: 1 and 7 of 21.
    assert rounded(evaluation_stats.paired_difference(1, 7, 21), 3) == (-0.286, -0.517, -0.026)
    assert rounded(evaluation_stats.paired_difference(7, 1, 21), 3) == (0.286, 0.026, 0.517)


def test_tango_at_its_ends() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    same = evaluation_stats.paired_difference(0, 0, 20)
    assert same.value == 0
    assert (same.low, same.high) == pytest.approx((-z2 / (20 + z2), z2 / (20 + z2)))
    always = evaluation_stats.paired_difference(20, 0, 20)
    assert (always.value, always.high) == (1, 1)
    assert 0.6 < always.low < 1


def test_tango_covers_the_true_difference() -> None:
    rng = np.random.default_rng(5)
    draws = rng.multinomial(80, [0.5, 0.2, 0.1, 0.2], 1_500)
    intervals = [evaluation_stats.paired_difference(int(b), int(c), 80) for _, b, c, _ in draws]
    covered = np.mean([i.low <= 0.1 <= i.high for i in intervals])
    assert 0.935 < covered < 0.965


def test_holm_by_hand() -> None:
    adjusted = evaluation_stats.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(evaluation_stats.holm([0.6, 0.9]), [1, 1])
    assert evaluation_stats.holm([]).tolist() == []


def test_mean_interval_and_test_are_scipys() -> None:
    values = [4.1, 5.9, 5.2, 6.6, 3.8]
    expected = stats.ttest_1samp(values, 5.0)
    interval = expected.confidence_interval(0.95)
    ours = evaluation_stats.mean_interval(values)
    assert ours.value == pytest.approx(5.12)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))
    assert evaluation_stats.mean_test(values, 5.0) == pytest.approx(expected.pvalue)


def test_one_seed_has_no_spread() -> None:
    assert evaluation_stats.mean_interval([3.0]) == Estimate(3.0, -math.inf, math.inf, "Student")
    assert evaluation_stats.mean_test([3.0], 0.0) == 1
    assert evaluation_stats.mean_test([3.0, 3.0], 0.0) == 0
    assert evaluation_stats.mean_test([3.0, 3.0], 3.0) == 1


def test_resampled_counts_keep_each_stratum() -> None:
    strata = np.array([0, 1, 0, 2, 1, 0])
    counts = np.concatenate(
        list(evaluation_stats.resampled_counts(strata, 4_000, np.random.default_rng(1)))
    )
    assert counts.shape == (4_000, 6)
    for k, size in ((0, 3), (1, 2), (2, 1)):
        assert set(counts[:, strata == k].sum(1)) == {size}
    np.testing.assert_allclose(counts.mean(0), 1, atol=0.05)
    # Drawing n of n items with replacement: each count has variance 1 - 1/n.
    np.testing.assert_allclose(counts.var(0), [2 / 3, 1 / 2, 2 / 3, 0, 1 / 2, 2 / 3], atol=0.05)


def test_bootstrap_of_a_mean_agrees_with_its_standard_error() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=900)
    weights = np.concatenate(
        list(evaluation_stats.resampled_counts(np.zeros(900, int), 4_000, rng))
    )
    interval = evaluation_stats.percentile_interval(
        values.mean(), weights @ values / 900, "bootstrap"
    )
    half = 1.96 * values.std() / 30
    expected = (values.mean() - half, values.mean() + half)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.005)


def test_ranks_and_spearman_are_scipys() -> None:
    x = [3.0, 1.0, 3.0, 2.0, 9.0, 1.0, 1.0]
    y = [1.0, 5.0, 2.0, 2.0, 0.0, 7.0, 8.0]
    assert evaluation_stats.ranks(x).tolist() == [5.5, 2, 5.5, 4, 7, 2, 2]
    assert evaluation_stats.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert math.isnan(evaluation_stats.spearman(x, [1.0] * 7))


def symmetric(values: list[float], size: int) -> np.ndarray:
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size, 1)] = values
    return matrix + matrix.T


def test_pairs_run_along_the_rows() -> None:
    assert evaluation_stats.pairs(symmetric([1, 2, 3], 3)).tolist() == [1, 2, 3]


def test_mantel_counts_relabelings_of_classes() -> None:
    # With 4 classes and one odd pair in each table, 4 of 24 relabelings leave the pairs matching
    # (correlation 1); every other one gives -0.2.
    x = symmetric([9, 1, 1, 1, 1, 1], 4)
    p = evaluation_stats.mantel_test(x, x, permutations=20_000, seed=3)
    assert p == pytest.approx(4 / 24, abs=0.01)


def test_mantel_does_not_cry_wolf_where_pairs_share_a_class() -> None:
    # One class unlike all others makes nine pairs move together: a test of 45 independent pairs
    # would be sure of a relation, a test of classes knows that there were ten places for it.
    odd = np.zeros((10, 10))
    odd[0] = odd[:, 0] = 5
    assert stats.spearmanr(evaluation_stats.pairs(odd), evaluation_stats.pairs(odd)).pvalue < 1e-9
    assert evaluation_stats.mantel_test(odd, odd, 4_000) == pytest.approx(1 / 10, abs=0.02)


def test_mantel_is_uniform_without_a_relation() -> None:
    rng = np.random.default_rng(4)
    p = [
        evaluation_stats.mantel_test(
            symmetric(list(rng.normal(size=15)), 6), symmetric(list(rng.normal(size=15)), 6), 99
        )
        for _ in range(150)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_pair_correlation_by_hand() -> None:
    rng = np.random.default_rng(6)
    x = symmetric(list(rng.normal(size=15)), 6)
    y = x + symmetric(list(rng.normal(size=15)), 6)
    without = [
        stats.spearmanr(
            evaluation_stats.pairs(np.delete(np.delete(x, k, 0), k, 1)),
            evaluation_stats.pairs(np.delete(np.delete(y, k, 0), k, 1)),
        ).statistic
        for k in range(6)
    ]
    value = stats.spearmanr(evaluation_stats.pairs(x), evaluation_stats.pairs(y)).statistic
    error = math.sqrt(4 / 12 * np.var(np.arctanh(without)) * 6)
    half = stats.t.ppf(0.975, 5) * error
    expected = (value, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half))
    ours = evaluation_stats.pair_correlation(x, y)
    assert (ours.value, ours.low, ours.high) == pytest.approx(expected)
    assert ours.method == "jackknife over classes"


def test_strata_say_which_blocks_a_pair_joins() -> None:
    strata = evaluation_stats.pair_strata([0, 0, 1, 1])
    assert strata.tolist() == [0, 1, 1, 1, 1, 3]  # ab; ac, ad, bc, bd; cd
    assert len(set(evaluation_stats.pair_strata([0, 1, 2]))) == 3


def test_mantel_within_blocks_counts_relabelings_of_one_block() -> None:
    # One odd pair within a block of 4, 2 more classes in another: 4 of 4! · 2! = 48, each twice.
    x = symmetric([9, 1, 1, 5, 5, 1, 1, 5, 5, 1, 5, 5, 5, 5, 9], 6)
    blocks = [0, 0, 0, 0, 1, 1]
    p = evaluation_stats.mantel_test(x, x, 20_000, seed=3, blocks=blocks)
    assert p == pytest.approx(4 / 24, abs=0.01)
    assert evaluation_stats.mantel_test(x, x, 99, blocks=range(6)) == 1  # nothing to exchange


def divided(rng: np.random.Generator, together: float) -> tuple[np.ndarray, np.ndarray]:
    """Ten classes in blocks of 4 and 6; both tables are higher within blocks than between.

    `together`: correlation of the two tables within each kind of pair.
    """
    blocks = np.arange(10) >= 4
    same = 4.0 * (blocks[:, None] == blocks)[np.triu_indices(10, 1)]
    x, rest = rng.normal(size=(2, 45))
    y = together * x + math.sqrt(1 - together**2) * rest
    return symmetric(list(same + x), 10), symmetric(list(same + y), 10)


def test_mantel_within_blocks_is_uniform_where_only_the_blocks_agree() -> None:
    rng, blocks = np.random.default_rng(14), np.arange(10) >= 4
    tables = [divided(rng, 0.0) for _ in range(150)]
    within = [evaluation_stats.mantel_test(x, y, 99, blocks=blocks) for x, y in tables]
    assert stats.kstest(within, "uniform").pvalue > 0.01
    without = [evaluation_stats.mantel_test(x, y, 99) for x, y in tables[:30]]
    assert np.mean(np.array(without) <= 0.05) > 0.9  # the division alone is called a relation


@pytest.mark.slow
def test_pair_correlation_within_blocks_covers_none() -> None:
    rng, blocks, repetitions = np.random.default_rng(15), np.arange(10) >= 4, 300
    covered = wrong = 0
    for _ in range(repetitions):
        x, y = divided(rng, 0.0)
        interval = evaluation_stats.pair_correlation(x, y, blocks=blocks)
        covered += interval.low <= 0 <= interval.high
        p = evaluation_stats.pair_correlation_test(x, y, 0.0, blocks)
        wrong += p < 0.05
        assert (p < 0.05) == (not interval.low <= 0 <= interval.high)
    # Three standard deviations of a binomial share of the repetitions at the level.
    tolerance = 3 * math.sqrt(0.95 * 0.05 / repetitions)
    assert covered / repetitions >= 0.95 - tolerance
    assert wrong / repetitions <= 0.05 + tolerance


def test_pair_correlation_without_enough_classes_or_variation() -> None:
    x = symmetric([1, 2, 3, 4, 5, 6], 4)
    assert rounded(evaluation_stats.pair_correlation(x, x)) == (1, -1, 1)
    flat = evaluation_stats.pair_correlation(symmetric(list(range(10)), 5), np.zeros((5, 5)))
    assert math.isnan(flat.value)
    assert (flat.low, flat.high) == (-1, 1)
    assert evaluation_stats.mantel_test(symmetric(list(range(10)), 5), np.zeros((5, 5)), 9) == 1


def test_pair_correlation_covers() -> None:
    """Latent pair values with a common part: the interval holds the expected correlation."""
    rng = np.random.default_rng(12)
    truth = 6 / math.pi * math.asin(0.5 / 2)  # Spearman's of a normal correlation of one half
    covered = 0
    for _ in range(200):
        common, a, b = rng.normal(size=(3, 45))
        x, y = symmetric(list(common + a), 10), symmetric(list(common + b), 10)
        interval = evaluation_stats.pair_correlation(x, y)
        covered += interval.low <= truth <= interval.high
    assert covered > 180


# Two models: a given difference, a ratio of mistakes ---------------------------------------------


def test_the_paired_test_agrees_with_the_interval() -> None:
    estimate = evaluation_stats.paired_difference(25, 5, 100)
    for bound in (estimate.low, estimate.high):
        assert evaluation_stats.paired_test(25, 5, 100, bound) == pytest.approx(0.05)
    assert evaluation_stats.paired_test(25, 5, 100, 0.0) == pytest.approx(
        stats.chi2.sf(400 / 30, 1)
    )


def _most_likely_variance(ratio: float, both: int, first: int, second: int) -> float:
    """ratio * (only first + only second) where the likelihood under the ratio is largest."""
    wrong = both + first + second

    def shares(b: float) -> tuple[float, float, float]:
        return (1 - (1 + ratio) * b) / ratio, (b + ratio - 1) / ratio, b

    def surprise(b: float) -> float:
        counts = (both, first, second)
        return -sum(n * math.log(p) for n, p in zip(counts, shares(b), strict=True) if n)

    low, high = max(0.0, 1 - ratio) + 1e-12, 1 / (1 + ratio) - 1e-12
    best = optimize.minimize_scalar(surprise, bounds=(low, high), method="bounded")
    _, only_first, only_second = shares(best.x)
    return ratio * wrong * (only_first + only_second)


@pytest.mark.parametrize("counts", [(30, 5, 70), (1, 2, 3), (40, 20, 10)])
@pytest.mark.parametrize("ratio", [0.3, 0.9, 1.0, 2.5])
def test_the_ratio_test_against_the_likelihood(counts: tuple[int, int, int], ratio: float) -> None:
    both, first, second = counts
    gap = both + first - ratio * (both + second)
    z = gap / math.sqrt(_most_likely_variance(ratio, *counts))
    assert evaluation_stats.ratio_test(*counts, ratio) == pytest.approx(
        2 * stats.norm.sf(abs(z)), abs=1e-5
    )


def test_a_ratio_of_one_is_mcnemar() -> None:
    assert evaluation_stats.ratio_test(30, 5, 25, 1.0) == pytest.approx(stats.chi2.sf(400 / 30, 1))


def test_the_ratio_interval_holds_what_its_test_keeps() -> None:
    estimate = evaluation_stats.paired_ratio(30, 5, 70)
    assert estimate.value == 0.35
    for bound in (estimate.low, estimate.high):
        assert evaluation_stats.ratio_test(30, 5, 70, bound) == pytest.approx(0.05)


def test_the_ratio_at_its_ends() -> None:
    none = evaluation_stats.paired_ratio(0, 0, 10)
    assert (none.value, none.low) == (0, 0)
    assert evaluation_stats.ratio_test(0, 0, 10, none.high) == pytest.approx(0.05)
    assert evaluation_stats.paired_ratio(0, 4, 0) == Estimate(1.0, 0.0, 4.0, "score")
    assert evaluation_stats.ratio_test(0, 4, 0, 0.5) == 1


def test_the_ratio_interval_covers() -> None:
    """95 % of simulated tables; two independent models that err on 4 % and 10 % of 500 pictures."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        first, second = rng.random(500) < 0.04, rng.random(500) < 0.10
        counts = (first & second).sum(), (first & ~second).sum(), (~first & second).sum()
        estimate = evaluation_stats.paired_ratio(*map(int, counts))
        covered += estimate.low <= 0.4 <= estimate.high
    assert 0.92 <= covered / 300 <= 0.98


def test_bootstrap_test() -> None:
    samples = np.arange(99)
    assert evaluation_stats.bootstrap_test(samples, -1) == 2 / 100
    assert evaluation_stats.bootstrap_test(samples, 9) == 2 * 11 / 100
    assert evaluation_stats.bootstrap_test(samples, 49) == 1


def test_pictures_until_an_interval_is_narrow() -> None:
    more = sample_sizes.images_within(0.87, 0.02, 300)
    for total, narrow in ((300 + more, True), (299 + more, False)):
        found = evaluation_stats.wilson(0.87 * total, total)
        assert (found.high - found.low <= 0.04) is narrow
    assert more == 787
    assert sample_sizes.images_within(0.87, 0.02, 5000) == 0


@pytest.mark.parametrize(
    ("share", "level", "expected"), [(0.95, 0.05, 59), (0.99, 0.05, 299), (0.5, 0.25, 2)]
)
def test_pictures_without_a_mistake(share: float, level: float, expected: int) -> None:
    assert sample_sizes.flawless_needed(share, level) == expected
    low = [float(stats.beta.ppf(level, n, 1)) >= share - 1e-12 for n in (expected - 1, expected)]
    assert low == [False, True]  # Clopper and Pearson's lower bound


def test_pictures_for_a_precision_where_mistakes_stay_as_rare() -> None:
    needed = sample_sizes.images_for_precision(0.02, 0.95, 0.05)
    assert needed is not None
    assert stats.binom.cdf(np.ceil(0.02 * needed), needed, 0.05) <= 0.05
    assert stats.binom.cdf(np.ceil(0.02 * (needed - 1)), needed - 1, 0.05) > 0.05
    assert sample_sizes.images_for_precision(0.0, 0.95, 0.05) == 59
    assert sample_sizes.images_for_precision(0.05, 0.95, 0.05) is None
    assert sample_sizes.images_for_precision(0.0499999, 0.95, 0.05) is None  # beyond 100,000


def test_binomial_distribution() -> None:
    for n, p in ((1, 0.5), (59, 0.05), (4000, 0.01), (30, 0.9)):
        for k in sorted({0, 1, n // 50, n // 2, n - 1, n}):
            ours = evaluation_stats.binomial_cdf(min(k, n), n, p)
            assert ours == pytest.approx(stats.binom.cdf(min(k, n), n, p), rel=1e-9, abs=1e-15)


# Several trainings on the same images -------------------------------------------------------------


def trainings(
    rng: np.random.Generator, seeds: int, n: int, accuracy: float, spread: float, alike: float
) -> np.ndarray:
    """Right answers (seeds, n): a probit model in which seeds and images differ.

    `spread` is the standard deviation of the seeds' accuracies, `alike` how far two trainings err
    on the same images (0 to 1).
    """
    threshold = stats.norm.ppf(accuracy)
    shift = rng.normal(0, spread / stats.norm.pdf(threshold), (seeds, 1))
    difficulty = math.sqrt(alike) * rng.normal(size=n)
    return threshold + shift + difficulty + math.sqrt(1 - alike) * rng.normal(size=(seeds, n)) > 0


SEED_STUDIES = [  # images, accuracy, spread over seeds, likeness: as the published studies are
    (359, 0.95, 0.01, 0.5),
    (359, 0.98, 0.0, 0.7),
    (2_000, 0.92, 0.002, 0.6),
    (2_000, 0.9, 0.015, 0.4),
    (2_000, 0.6, 0.005, 0.3),
]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("n", "accuracy", "spread", "alike"), SEED_STUDIES)
def test_the_mean_over_seeds_is_covered_for_other_seeds_and_images(
    seeds: int, n: int, accuracy: float, spread: float, alike: float
) -> None:
    rng, repetitions = np.random.default_rng([seeds, n, round(1e4 * accuracy)]), 500
    wide = math.sqrt(1 + (spread / stats.norm.pdf(stats.norm.ppf(accuracy))) ** 2)
    truth = stats.norm.cdf(stats.norm.ppf(accuracy) / wide)  # the mean over all seeds and images
    covered = 0
    for _ in range(repetitions):
        found = evaluation_stats.share_over_seeds(trainings(rng, seeds, n, accuracy, spread, alike))
        covered += found.low <= truth <= found.high
    # At least 93 %; what so many repetitions fall short by chance, once in a thousand runs.
    assert covered >= stats.binom.ppf(0.001 / 10, repetitions, 0.93)


def test_one_seed_alone_does_not_cover_other_seeds() -> None:
    """Why tables show the mean: the interval of the first training knows nothing of the others."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        first = trainings(rng, 1, 2_000, 0.9, 0.015, 0.4)[0]
        found = evaluation_stats.wilson(int(first.sum()), 2_000)
        covered += found.low <= 0.9 <= found.high
    assert covered / 300 < 0.8


def test_mean_squares_are_those_of_the_analysis_of_variance() -> None:
    values = np.array([[1.0, 2.0, 4.0], [3.0, 2.0, 6.0]])
    assert evaluation_stats._mean_squares(values) == pytest.approx((8 / 3, 6.0, 2 / 3))


def test_a_mean_over_seeds_at_its_end() -> None:
    every = evaluation_stats.share_over_seeds(np.ones((3, 50), bool))
    assert (every.value, every.high) == (1, 1)
    assert every.low == evaluation_stats.wilson(50, 50).low
    same = evaluation_stats.share_over_seeds(np.tile(np.arange(100) < 90, (3, 1)))
    assert same.low == pytest.approx(0.825, abs=0.005)  # three times the same says no more than one
    assert same.high == pytest.approx(0.945, abs=0.005)


# The smallest of several shares -------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (3, 7), (7, 7), (412, 500)])
def test_exact_bounds_are_scipys(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="exact")
    assert evaluation_stats.exact_bounds(successes, n) == pytest.approx(
        (expected.low, expected.high), abs=1e-9
    )
    assert evaluation_stats.exact_bounds(0, 0) == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("support", [36, 100, 1_000])
@pytest.mark.parametrize("shares", [[0.99] * 10, [0.9] + [0.95] * 9, [0.6] * 10, [0.7, 0.9]])
def test_the_smallest_share_is_covered(shares: list[float], support: int) -> None:
    """Wilson's interval of the smallest observed one covers in 44 % of cases at worst."""
    repetitions = 1_000
    hits = np.random.default_rng([len(shares), support]).binomial(
        support, shares, (repetitions, len(shares))
    )
    least, often = np.unique(hits.min(1), return_counts=True)  # with equal support, only it decides
    covered = 0
    for worst, times in zip(least, often, strict=True):
        found = evaluation_stats.smallest_share([worst] * len(shares), [support] * len(shares))
        covered += times * (found.low <= min(shares) <= found.high)
    assert covered >= stats.binom.ppf(0.001 / 12, repetitions, 0.95)


def test_the_smallest_share_by_hand() -> None:
    found = evaluation_stats.smallest_share([9, 60, 0], [10, 80, 0])
    level = math.sqrt(0.95)
    nine, sixty = (evaluation_stats.exact_bounds(s, n, level) for s, n in ((9, 10), (60, 80)))
    assert (found.value, found.low, found.high) == (0.75, nine[0], sixty[1])
