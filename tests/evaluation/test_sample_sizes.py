"""Sizes of samples: the power they promise, and the sentences that say them."""

import math

import numpy as np
import pytest
from scipy import stats

from src.evaluation import sample_sizes
from src.evaluation.gains import Gain
from src.evaluation.sample_sizes import POWER, Need


@pytest.mark.parametrize(("share", "margin"), [(0.75, 0.7), (0.955, 0.95), (0.6, 0.7)])
@pytest.mark.parametrize("level", [0.95, 0.999])
def test_so_many_images_have_the_power_promised(share: float, margin: float, level: float) -> None:
    more = sample_sizes.images_for_share(share, margin, 100, level)
    assert more is not None
    n = 100 + more
    hits = np.arange(n + 1)
    z = (hits / n - margin) / math.sqrt(margin * (1 - margin) / n)
    decided = (np.abs(z) >= stats.norm.ppf(0.5 + level / 2)) & (
        np.sign(z) == np.sign(share - margin)
    )
    power = stats.binom.pmf(hits, n, share)[decided].sum()
    # A count jumps by at most its largest probability; the normal curve is its approximation.
    assert abs(power - POWER) < stats.binom.pmf(hits, n, share).max() + 0.01


def test_images_that_are_enough_and_a_value_on_the_margin() -> None:
    assert sample_sizes.images_for_share(0.8, 0.7, 1_000) == 0
    assert sample_sizes.images_for_share(0.7, 0.7, 1_000) is None
    assert sample_sizes.images_for_value(2.0, 2.0, 1.0, 100) is None
    assert sample_sizes.images_for_value(20.0, 2.0, 1.0, 100) == 0


def test_images_for_a_value() -> None:
    more = sample_sizes.images_for_value(2.0, 1.0, 1.0, 100)
    assert more == math.ceil(100 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2) - 100


def test_trainings_for_a_gain_have_the_power_promised() -> None:
    spread = 1.5e-4
    n = sample_sizes.trainings_for_gain(Gain(0.02, (spread, spread), (3, 3), 0.0, 0.0), 0.0)
    assert n is not None
    powers = []
    for trainings in (n - 1, n):
        freedom = 2 * (trainings - 1)
        shift = 0.02 / math.sqrt(2 * spread / trainings)
        powers.append(stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, shift))
    assert powers[0] < POWER < powers[1] + 0.02


def test_trainings_cannot_make_up_for_too_few_images() -> None:
    found = Gain(0.02, (1e-6, 1e-6), (3, 3), 4e-4, 0.0)
    assert sample_sizes.trainings_for_gain(found, 0.0) is None
    assert sample_sizes.trainings_for_gain(found, 0.02) is None


IF_FOUND = "would settle it if the true value is the one found, and"
THE_NEARER = "at the far end of the interval; the nearer it lies to the margin, the more it takes."


@pytest.mark.parametrize(
    ("found", "least", "sentence"),
    [
        (
            6_225,
            412,
            (
                f"With 80 % power, about 6,300 more test images {IF_FOUND} about 420 if it lies "
                f"{THE_NEARER}"
            ),
        ),
        (
            18_012,
            0,
            (
                f"With 80 % power, about 19,000 more test images {IF_FOUND} none if it lies "
                f"{THE_NEARER}"
            ),
        ),
        (7, None, "With 80 % power, about 7 more test images would settle it."),
    ],
)
def test_more_images_that_can_be_had(found: int, least: int | None, sentence: str) -> None:
    assert str(Need("test images", found, least, 100_000)) == sentence


@pytest.mark.parametrize("found", [408_441, None])
@pytest.mark.parametrize(
    ("least", "end"),
    [
        (95, " Only at the far end of the interval would about 95 do."),
        (0, ""),
        (None, ""),
        (200_000, ""),
    ],
)
def test_more_than_anybody_would_add_is_not_asked_for(
    found: int | None, least: int | None, end: str
) -> None:
    said = str(Need("test images", found, least, 100_000))
    assert said == (
        "More test images will not settle this: for the value found, even 100,000 more would have "
        f"less than 80 % power.{end}"
    )
