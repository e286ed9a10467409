"""Confidence intervals and paired tests, with NumPy and the standard library only.

Every interval is two-sided. Tests and intervals come in pairs that agree: Wilson with the score
test, Tango with McNemar, Student's interval with Student's test. The deployed app imports this
module, so SciPy stays out of it; the tests compare every function with SciPy or with a published
example.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEVEL = 0.95  # of every interval, unless a hypothesis asks for another
_CHUNK = 2**18  # resampled values held at once: small enough for the processor's cache


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and the method that gave the interval."""

    value: float
    low: float
    high: float
    method: str

    def asdict(self) -> dict[str, float | str]:
        """{"value", "low", "high", "method"}, as the published JSON files hold it."""
        return asdict(self)

    def scaled(self, factor: float) -> Estimate:
        """The same estimate in another unit, such as per cent for factor 100."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, self.method)


# Distributions ----------------------------------------------------------------------------------


def normal_quantile(probability: float) -> float:
    """z with P(Z <= z) = probability, 0 < probability < 1."""
    return NormalDist().inv_cdf(probability)


def z_of_level(level: float) -> float:
    """Standard normal quantile of a two-sided interval of this level (0 to 1)."""
    return normal_quantile(0.5 + level / 2)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1.

    Continued fraction of Press et al., Numerical Recipes (3rd ed.), 6.4, by Lentz's method.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast only below the mean
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) * _beta_fraction(a, b, x) / a


def _beta_fraction(a: float, b: float, x: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def binomial_cdf(k: ArrayLike, n: ArrayLike, p: float) -> FloatArray:
    """P(X <= k) of the binomial distribution of n trials with probability 0 < p < 1, elementwise.

    A sum of all terms from the k-th down, 0 <= k <= n: exact, and quick for the few mistakes that
    it is used for.
    """
    most, n = np.broadcast_arrays(np.asarray(k, np.int64), np.asarray(n, np.int64))
    factorials = np.r_[0.0, np.cumsum(np.log(np.arange(1, n.max(initial=0) + 1)))]  # their logs
    total = np.zeros(n.shape)
    for below in range(int(most.max(initial=-1)) + 1):
        i = np.maximum(most - below, 0)
        logs = factorials[n] - factorials[i] - factorials[n - i]
        logs = logs + i * math.log(p) + (n - i) * math.log1p(-p)
        total = total + np.where(most >= below, np.exp(logs), 0)
    return np.asarray(np.minimum(total, 1.0), np.float64)


def t_cdf(t: float, freedom: float) -> float:
    """P(T <= t) of Student's t with `freedom` > 0 degrees of freedom."""
    tail = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    return 1 - tail if t > 0 else tail


def t_quantile(probability: float, freedom: float) -> float:
    """t with P(T <= t) = probability, 0 < probability < 1; inverts `t_cdf` by bisection."""
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    high = 1.0
    while t_cdf(high, freedom) < probability:
        high *= 2
    return _bisect(lambda t: t_cdf(t, freedom) - probability, 0.0, high)


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Root of a function that is <= 0 at `low` and >= 0 at `high`."""
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


# Proportions ------------------------------------------------------------------------------------


def wilson_bounds(
    successes: ArrayLike, n: ArrayLike, level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """Wilson score bounds of successes / n, elementwise; (0, 1) where n is 0.

    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    successes, n = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    z2 = z_of_level(level) ** 2
    share = successes / np.where(n > 0, n, 1)
    centre = (n * share + z2 / 2) / (n + z2)
    half = np.sqrt(z2) / (n + z2) * np.sqrt(n * share * (1 - share) + z2 / 4)
    # Rounding must not leave a bound a hair inside the value it is known to reach.
    low = np.where(successes == 0, 0.0, np.clip(centre - half, 0, 1))
    high = np.where(successes == n, 1.0, np.clip(centre + half, 0, 1))
    return low, high


def wilson(successes: float, n: float, level: float = LEVEL) -> Estimate:
    """Share successes / n with its Wilson interval; NaN between 0 and 1 where n is 0."""
    low, high = wilson_bounds(successes, n, level)
    value = successes / n if n else math.nan
    return Estimate(float(value), float(low), float(high), "Wilson")


def exact_bounds(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Clopper-Pearson bounds of successes / n, whose coverage never falls below the level.

    Clopper and Pearson (1934), The use of confidence or fiducial limits illustrated in the case of
    the binomial. (0, 1) where n is 0.
    """
    tail = (1 - level) / 2
    low = high = successes / n if n else 0.0
    if successes:
        low = _bisect(lambda p: 1 - binomial_tail(successes - 1, n, p) - tail, 0.0, low)
    if successes < n or not n:
        high = _bisect(lambda p: tail - binomial_tail(successes, n, p), high, 1.0) if n else 1.0
    return low, high


def smallest_share(successes: ArrayLike, n: ArrayLike, level: float = LEVEL) -> Estimate:
    """The smallest of several shares successes / n (K,), and an interval for the smallest true one.

    Of many shares the smallest observed one is low by chance too, and an interval of it alone
    covers the smallest true one in as few as half of all cases. So the bounds hold for all shares
    at once: exact ones at Šidák's (1967) level, and of these the smallest. Shares with n = 0 do
    not count.
    """
    counts = [(int(s), int(m)) for s, m in zip(*map(np.ravel, (successes, n)), strict=True) if m]
    bounds = [exact_bounds(s, m, level ** (1 / len(counts))) for s, m in counts]
    low, high = min(low for low, _ in bounds), min(high for _, high in bounds)
    return Estimate(min(s / m for s, m in counts), low, high, "Clopper-Pearson, Šidák")


def score_test(successes: float, n: float, share: float) -> float:
    """Two-sided p-value that the true share is `share` (0 < share < 1); agrees with `wilson`."""
    return _two_sided((successes / n - share) / math.sqrt(share * (1 - share) / n))


def _two_sided(z: float) -> float:
    """P(|Z| >= |z|)."""
    return math.erfc(abs(z) / math.sqrt(2))


def binomial_tail(successes: int, n: int, share: float) -> float:
    """P(X <= successes) for X ~ Binomial(n, share)."""
    if successes < 0 or successes >= n:
        return float(successes >= n)
    return incomplete_beta(n - successes, successes + 1, 1 - share)


# Two models on the same images ----------------------------------------------------------------


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test that two models err equally often.

    `only_first` (`only_second`) counts the images that only the first (second) model got right.
    """
    n = only_first + only_second
    return min(2 * binomial_tail(min(only_first, only_second), n, 0.5), 1.0) if n else 1.0


def paired_difference(only_first: int, only_second: int, n: int, level: float = LEVEL) -> Estimate:
    """Accuracy of the first minus that of the second model on the same n images, -1 to 1.

    Score interval of Tango (1998), Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design, Statistics in Medicine 17:891-908.
    """
    value, z = (only_first - only_second) / n, z_of_level(level)
    low = _bisect(lambda d: z - _tango_score(d, only_first, only_second, n), -1.0, value)
    high = _bisect(lambda d: -z - _tango_score(d, only_first, only_second, n), value, 1.0)
    return Estimate(value, low, high, "Tango")


def _tango_score(difference: float, only_first: int, only_second: int, n: int) -> float:
    """Standardised distance of the observed difference from `difference`; falls with it."""
    gap = only_first - only_second - n * difference
    b = -only_first - only_second + (2 * n - only_first + only_second) * difference
    c = -only_second * difference * (1 - difference)
    q = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * q + difference * (1 - difference))
    if variance <= 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)


def paired_test(only_first: int, only_second: int, n: int, difference: float) -> float:
    """Two-sided p-value that the accuracies differ by `difference`; agrees with Tango's interval.

    For a difference of 0 it is McNemar's test without continuity correction.
    """
    return _two_sided(_tango_score(difference, only_first, only_second, n))


def paired_ratio(both: int, only_first: int, only_second: int, level: float = LEVEL) -> Estimate:
    """How many times as often the first model errs as the second, on the same images.

    The counts are of images that both, only the first, only the second got wrong. Score interval
    of Nam and Blackwelder (2002), Analysis of the ratio of marginal probabilities in a matched-pair
    setting, Statistics in Medicine 21:689-699. Where the second never errs there is no ratio: 1
    between 0 and the number of images that the first got wrong (at least 1).
    """
    first, second, z = both + only_first, both + only_second, z_of_level(level)
    if not second:
        return Estimate(1.0, 0.0, float(max(first, 1)), "score")
    counts, value = (both, only_first, only_second), first / second
    top = max(value, 1.0)
    while _ratio_score(top, *counts) > -z:
        top *= 2
    high = _bisect(lambda r: -z - _ratio_score(r, *counts), value, top)
    low = _bisect(lambda r: z - _ratio_score(r, *counts), 0.0, value) if first else 0.0
    return Estimate(value, low, high, "score")


def ratio_test(both: int, only_first: int, only_second: int, ratio: float) -> float:
    """Two-sided p-value that the first errs `ratio` > 0 times as often; agrees with its interval.

    1 where the second never errs.
    """
    if not both + only_second:
        return 1.0
    return _two_sided(_ratio_score(ratio, both, only_first, only_second))


def _ratio_score(ratio: float, both: int, only_first: int, only_second: int) -> float:
    """Standardised distance of the observed errors from `ratio`; falls with it."""
    first, second, wrong = both + only_first, both + only_second, both + only_first + only_second
    gap = first - ratio * second
    if ratio <= 0:
        return math.inf if gap else 0.0
    # Most likely counts under the ratio: root of a quadratic in the share of `only_second`.
    a = (1 + ratio) * wrong
    b = (ratio * ratio - 1) * second - only_first - only_second
    c = -only_second * (ratio - 1)
    share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = wrong * (share * (1 + ratio) + ratio - 1)
    if variance <= 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Holm's (1979) step-down adjusted p-values, in the order given."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1)
    return result


# Means over seeds -------------------------------------------------------------------------------


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Estimate:
    """Mean of independent values with Student's interval; unbounded for a single value."""
    values = np.asarray(values, np.float64)
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return Estimate(mean, -math.inf, math.inf, "Student")
    half = t_quantile(0.5 + level / 2, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, "Student")


def mean_test(values: ArrayLike, mean: float) -> float:
    """Two-sided p-value of Student's test that the true mean is `mean`; 1 for a single value."""
    values = np.asarray(values, np.float64)
    gap, spread = float(values.mean()) - mean, float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if len(values) < 2 or gap == 0:
        return 1.0
    if spread == 0:
        return 0.0
    return 2 * t_cdf(-abs(gap) * math.sqrt(len(values)) / spread, len(values) - 1)


def share_over_seeds(right: ArrayLike, level: float = LEVEL) -> Estimate:
    """Share of right answers (S, N) of S >= 2 trainings to the same N images.

    The interval is for other seeds and other images: both are random effects, crossed, and the
    variance of the mean has a part of each (Searle, Casella and McCulloch 1992, Variance
    Components, 4.4), with Satterthwaite's (1946) degrees of freedom. It is computed on the logit
    scale, because shares end at 1, and is never narrower than Student's interval of the seeds
    alone. Where all answers are right or all are wrong, Wilson's interval of one training.
    """
    right = np.asarray(right, np.float64)
    seeds, images = right.shape
    mean = float(right.mean())
    if mean in (0, 1):
        bounds = wilson(mean * images, images, level)
        return Estimate(mean, bounds.low, bounds.high, "seeds and images")
    by_seed, by_image, rest = _mean_squares(right)
    variance = max(by_seed + by_image - rest, by_seed, by_image)
    freedom = variance**2 / (by_seed**2 / (seeds - 1) + by_image**2 / (images - 1))
    reach = t_quantile(0.5 + level / 2, max(freedom, 1)) * math.sqrt(variance)
    alone = t_quantile(0.5 + level / 2, seeds - 1) * math.sqrt(by_seed)
    half = max(reach, alone) / math.sqrt(right.size) / (mean * (1 - mean))
    centre = math.log(mean / (1 - mean))
    low, high = (1 / (1 + math.exp(-z)) for z in (centre - half, centre + half))
    return Estimate(mean, low, high, "seeds and images")


def _mean_squares(values: FloatArray) -> tuple[float, float, float]:
    """Mean squares of rows, of columns and of what is left, of a two-way table (S, N)."""
    rows, columns = values.shape
    mean = values.mean()
    by_row = columns * float(((values.mean(1) - mean) ** 2).sum())
    by_column = rows * float(((values.mean(0) - mean) ** 2).sum())
    rest = max(float(((values - mean) ** 2).sum()) - by_row - by_column, 0.0)
    return by_row / (rows - 1), by_column / (columns - 1), rest / ((rows - 1) * (columns - 1))


# Bootstrap --------------------------------------------------------------------------------------


def percentile_interval(
    value: float, samples: ArrayLike, method: str, level: float = LEVEL
) -> Estimate:
    """`value` with the percentiles of its bootstrap samples."""
    low, high = np.quantile(np.asarray(samples), [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(float(value), float(low), float(high), method)


def bootstrap_test(samples: ArrayLike, value: float) -> float:
    """Two-sided p-value that the true value is `value`, from bootstrap samples (B,) of it.

    Twice the smaller tail, counting one more draw so that it is never 0 (Davison and Hinkley 1997,
    Bootstrap Methods and their Application, 4.2).
    """
    drawn = np.asarray(samples, np.float64)
    tail = min(int((drawn <= value).sum()), int((drawn >= value).sum()))
    return min(2 * (tail + 1) / (len(drawn) + 1), 1.0)


def resampled_counts(
    strata: IntArray, resamples: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """How often each item is drawn, for stratified bootstrap resamples, in chunks (b, n).

    `strata` holds each item's stratum (n,); every resample keeps the size of each stratum, as the
    official test sets do. Zeros throughout give the plain bootstrap.
    """
    order = np.argsort(strata, kind="stable")
    _, start, inverse, size = np.unique(
        strata[order], return_index=True, return_inverse=True, return_counts=True
    )
    n = len(strata)
    for done in range(0, resamples, max(1, _CHUNK // n)):
        rows = min(max(1, _CHUNK // n), resamples - done)
        drawn = start[inverse] + (rng.random((rows, n)) * size[inverse]).astype(np.int64)
        flat = order[drawn] + n * np.arange(rows)[:, None]
        yield np.bincount(flat.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


# Correlation of class pairs ---------------------------------------------------------------------


def ranks(values: ArrayLike) -> FloatArray:
    """Ranks from 1, ties at their mean."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], np.float64)


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation, -1 to 1; NaN where one side is constant."""
    return _correlation(ranks(x), ranks(y))


def _correlation(x: FloatArray, y: FloatArray) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale > 0 else math.nan


def pairs(matrix: ArrayLike) -> FloatArray:
    """Values above the diagonal of a symmetric (K, K) matrix, row by row: (K (K - 1) / 2,)."""
    matrix = np.asarray(matrix, np.float64)
    return matrix[np.triu_indices(len(matrix), 1)]


def pair_strata(blocks: ArrayLike) -> IntArray:
    """For the pairs of K classes, in the order of `pairs`, which two blocks a pair joins.

    Args:
        blocks: (K,) each class's block, such as its super-class.

    Returns:
        (K (K - 1) / 2,) the same number for pairs that join the same two blocks.
    """
    blocks = np.asarray(blocks, np.int64)
    low, high = np.minimum.outer(blocks, blocks), np.maximum.outer(blocks, blocks)
    return np.asarray(pairs(low * (blocks.max() + 1) + high), np.int64)


def _centred(values: FloatArray, strata: IntArray) -> FloatArray:
    """Each value less the mean of its stratum."""
    size = np.maximum(np.bincount(strata), 1)
    return np.asarray(values - (np.bincount(strata, values) / size)[strata], np.float64)


def _pair_correlation(x: FloatArray, y: FloatArray, blocks: IntArray) -> float:
    """Rank correlation of the pairs of two (K, K) matrices, differences of strata removed."""
    strata = pair_strata(blocks)
    return _correlation(_centred(ranks(pairs(x)), strata), _centred(ranks(pairs(y)), strata))


def _one_block(x: ArrayLike, blocks: ArrayLike | None) -> IntArray:
    return np.zeros(len(np.asarray(x)), np.int64) if blocks is None else np.asarray(blocks)


def mantel_test(
    x: ArrayLike,
    y: ArrayLike,
    permutations: int = 9_999,
    seed: int = 0,
    blocks: ArrayLike | None = None,
) -> float:
    """Two-sided p-value that two symmetric (K, K) matrices are unrelated (rank correlation).

    1 where one side is constant.
    Pairs that share a class are not independent, so whole classes are permuted, not pairs:
    Mantel (1967), The detection of disease clustering and a generalized regression approach.
    With `blocks` (K,), only classes of one block are exchanged, and what sets the blocks apart
    counts for nothing: the restricted permutation of Legendre and Legendre (2012), Numerical
    Ecology, 10.5.
    """
    x, y, blocks = np.asarray(x, np.float64), np.asarray(y, np.float64), _one_block(x, blocks)
    strata, upper = pair_strata(blocks), np.triu_indices(len(x), 1)
    centred = np.zeros_like(x)
    centred[upper] = _centred(ranks(pairs(x)), strata)
    centred += centred.T
    fixed, rng = _centred(ranks(pairs(y)), strata), np.random.default_rng(seed)
    observed = abs(_correlation(pairs(centred), fixed))
    if math.isnan(observed):
        return 1.0
    members = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    order, extreme = np.arange(len(x)), 0
    for _ in range(permutations):
        for block in members:
            order[block] = rng.permutation(block)
        shuffled = abs(_correlation(pairs(centred[np.ix_(order, order)]), fixed))
        extreme += shuffled >= observed - 1e-12
    return (extreme + 1) / (permutations + 1)


def pair_correlation(
    x: ArrayLike, y: ArrayLike, level: float = LEVEL, blocks: ArrayLike | None = None
) -> Estimate:
    """Spearman correlation of two symmetric (K, K) matrices with a jackknife interval over classes.

    Leaving out one class at a time respects that pairs share classes: Snijders and Borgatti (1999),
    Non-parametric standard errors and tests for network statistics, Connections 22(2):161-170.
    Computed on Fisher's z scale with Student's quantile for K - 1; (-1, 1) where K < 5.
    With `blocks` (K,), ranks are taken relative to the mean of the pairs that join the same blocks.
    """
    value, error = _jackknifed(x, y, blocks)
    method = "jackknife over classes" + (" within blocks" if blocks is not None else "")
    if math.isnan(error):
        return Estimate(value, -1.0, 1.0, method)
    centre, half = _fisher(value), t_quantile(0.5 + level / 2, len(np.asarray(x)) - 1) * error
    return Estimate(value, math.tanh(centre - half), math.tanh(centre + half), method)


def pair_correlation_test(
    x: ArrayLike, y: ArrayLike, correlation: float, blocks: ArrayLike | None = None
) -> float:
    """Two-sided p-value that the true correlation is `correlation`; agrees with the jackknife.

    1 where the classes do not give an interval.
    """
    value, error = _jackknifed(x, y, blocks)
    gap = abs(_fisher(value) - _fisher(correlation)) if math.isfinite(error) else 0.0
    if gap == 0:
        return 1.0
    return 2 * t_cdf(-gap / error, len(np.asarray(x)) - 1) if error else 0.0


def _jackknifed(x: ArrayLike, y: ArrayLike, blocks: ArrayLike | None) -> tuple[float, float]:
    """The correlation, and its standard error on Fisher's scale (NaN where there is none)."""
    x, y, blocks = np.asarray(x, np.float64), np.asarray(y, np.float64), _one_block(x, blocks)
    classes, value = len(x), _pair_correlation(x, y, blocks)
    if classes < 5:
        return value, math.nan
    kept = [np.delete(np.arange(classes), k) for k in range(classes)]
    without = [_pair_correlation(x[np.ix_(k, k)], y[np.ix_(k, k)], blocks[k]) for k in kept]
    if not np.isfinite([value, *without]).all():  # a side without variation bounds nothing
        return value, math.nan
    z = np.array([_fisher(v) for v in without])
    return value, math.sqrt((classes - 2) / (2 * classes) * float(((z - z.mean()) ** 2).sum()))


def _fisher(correlation: float) -> float:
    return math.atanh(min(max(correlation, -1 + 1e-9), 1 - 1e-9))
