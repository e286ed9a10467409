"""The sentences that say a finding, on tiny frames."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from src.charts import wording
from src.data import findings
from src.data.findings import Pair
from src.evaluation import metrics, reliability
from src.evaluation.reliability import CalibrationError, Reliability
from src.evaluation.stats import Estimate
from src.runs.overview import OverSeeds
from tests.data.test_findings import duplicates


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"cat": 20, "dog": 20}, "Every category has 20 images"),
        ({"cat": 200, "dog": 210}, "The categories are nearly balanced: 200 to 210 images each"),
        (
            {"cat": 20, "dog": 3000},
            "Dog has 150.0 times as many images as cat: 3,000 and 20",
        ),
    ],
)
def test_balance_names_the_rarest_and_the_most_frequent(
    numbers: dict[str, int], sentence: str
) -> None:
    assert wording.balance(pd.Series(numbers)) == sentence


def test_a_map_of_one_image_is_too_small() -> None:
    alone = pd.DataFrame({"split": ["test"], "id": [1], "label": ["cat"], "x": [0.0], "y": [0.0]})
    assert wording.map_agreement(alone) == "Too few images for a map"


def test_two_categories_are_told_apart_by_the_measure_that_differs_most() -> None:
    frame = pd.DataFrame(
        {
            "label": ["cat", "cat", "dog", "dog"],
            "brightness": [1.0, 3.0, 2.0, 2.0],
            "sharpness": [5.0, 6.0, 1.0, 6.0],
        }
    )
    pair = Pair("cat", "dog")
    measures = findings.pair_measures(frame, pair)
    sentence = "The cat is sharper than the dog in 62\u00a0% of all pairs"
    assert wording.pair_difference(measures, pair) == sentence
    swapped = Pair("dog", "cat")
    assert wording.pair_difference(findings.pair_measures(frame, swapped), swapped) == sentence
    same = "Light and colour hardly tell cat from dog"
    assert wording.pair_difference(measures.head(1), pair) == same


def test_copies_are_counted_in_words() -> None:
    groups = findings.duplicate_groups(duplicates())
    assert wording.duplicates(groups) == (
        "3 images are exact copies of another, 1 group reaches across splits, "
        "1 group has two different labels"
    )
    assert wording.duplicates(groups, brief=True) == "3 images are exact copies of another"
    assert wording.duplicates(findings.duplicate_groups(duplicates().head(0))) == (
        "No image occurs twice"
    )


def _reliability(
    accuracy: Sequence[float], p_value: float, high: float = 0.02, value: float = 0.01
) -> Reliability:
    """Bins of a band from 0.7 to 0.9."""
    table = pd.DataFrame({"accuracy": accuracy, "band_low": 0.7, "band_high": 0.9})
    return Reliability(100, CalibrationError(value, 0.0, high, p_value), table)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (_reliability([0.6, 0.8], 0.001), "Confidence is too high in 1 of 2 ranges of confidence"),
        (_reliability([0.95], 0.001), "Confidence is too low in 1 of 1 range of confidence"),
        (
            _reliability([0.6, 0.95, 0.8], 0.3),
            "Confidence is too high in 1 and too low in 1 of 3 ranges of confidence",
        ),
        (
            _reliability([0.8], 0.049),
            "Confidence is not perfectly calibrated (p = 0.049), but no single range stands out",
        ),
        (
            _reliability([0.8], 0.5, high=0.2, value=0.2),
            "Too few images to tell whether confidence is calibrated (p = 0.5)",
        ),
        (_reliability([0.8], 0.5), "Consistent with perfect calibration (p = 0.5)"),
    ],
)
def test_calibration_is_judged_by_the_bins_outside_their_band(
    found: Reliability, sentence: str
) -> None:
    assert wording.calibration(found) == sentence


@pytest.mark.parametrize("n", [10, 30, 300, 3_000])
def test_an_error_of_twenty_points_is_never_called_calibrated(n: int) -> None:
    """Half of the answers too sure, half too unsure: the mean gap is nil, the error is not."""
    sure = np.where(np.arange(n) % 2, 0.9, 0.6)
    right = np.where(np.arange(n) % 2, np.arange(n) % 10 < 7, np.arange(n) % 5 < 4)
    probabilities = np.column_stack([sure, 1 - sure])
    scored = metrics.score(np.where(right, 0, 1), probabilities, ["a", "b"])
    found = reliability.measure(scored, 499)
    assert found.error.value == pytest.approx(0.2, abs=0.07)
    assert "onsistent" not in wording.calibration(found)


def test_a_calibration_error_stands_beside_what_chance_would_show() -> None:
    found = _reliability([0.8], 0.5)
    classwise = CalibrationError(0.004, 0.001, 0.002, 0.0005)
    assert wording.calibration_error(found, classwise) == (
        "Calibration error 1.00\u00a0% (perfectly calibrated: 0.00–2.00\u00a0%, p = 0.5). "
        "It is the mean distance of confidence and accuracy; a perfectly calibrated model shows "
        "one too, by chance. "
        "Class by class 0.40\u00a0% (perfectly calibrated: 0.10–0.20\u00a0%, p = 0.0005). "
        "Measured on 100 images."
    )


def test_a_mean_over_seeds_says_what_its_interval_and_its_spread_are_of() -> None:
    found = OverSeeds(3, Estimate(0.8995, 0.8566, 0.9307, "seeds and images"), 0.0147, 0.916)
    assert wording.over_seeds("Plain", found) == (
        "Plain: mean test accuracy of 3 trainings 90.0\u00a0% "
        "(85.7–93.1\u00a0% for other seeds and other images); "
        "standard deviation of the trainings 1.5 points"
    )


def test_no_mistake_is_no_confusion() -> None:
    right = pd.DataFrame(np.diag([4, 4]), index=["a", "b"], columns=["a", "b"])
    assert wording.confusion(right) == "Every image is classified correctly"


def test_two_mistakes_name_no_pair() -> None:
    counts = pd.DataFrame([[9, 1], [1, 9]], index=["2", "7"], columns=["2", "7"])
    assert wording.confusion(counts) == "2 mistakes; no two categories stand out"
    counts.iloc[0, 1] = 9
    assert wording.confusion(counts) == "2 and 7 are confused most: 100\u00a0% of all mistakes"


def test_pairs_that_are_confused_equally_often_name_no_pair() -> None:
    counts = pd.DataFrame([[9, 9, 0], [0, 9, 9], [0, 0, 9]], index=list("abc"), columns=list("abc"))
    assert wording.confusion(counts) == "18 mistakes; no two categories stand out"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([0.5, 0.95], "A is hardest (50.0\u00a0%), b easiest (95.0\u00a0%)"),
        ([0.9, 0.95], "From 90.0\u00a0% to 95.0\u00a0%; the intervals of categories overlap"),
        ([1.0, 1.0], "Every category reaches 100.0\u00a0%"),
        ([np.nan, 0.9], "Every category reaches 90.0\u00a0%"),
        ([np.nan, np.nan], "No category was tested"),
    ],
)
def test_a_category_is_hardest_only_where_intervals_do_not_overlap(
    values: list[float], sentence: str
) -> None:
    scores = pd.DataFrame({"value": values}, index=["a", "b"])
    scores = scores.assign(low=scores["value"] - 0.04, high=scores["value"] + 0.04)
    assert wording.class_scores(scores) == sentence


def test_models_of_equal_accuracy_share_the_first_place() -> None:
    accuracies = pd.Series({"A": 0.9, "B": 0.8, "C": 0.9})
    assert wording.most_accurate(accuracies) == "A and C have the highest accuracy: 90.0\u00a0%"
    assert wording.most_accurate(accuracies.head(2)) == "A has the highest accuracy: 90.0\u00a0%"


@pytest.mark.parametrize(
    ("areas", "sentence"),
    [
        ({"a": 0.9, "b": 0.8}, "A is best found (area 0.900), b worst (0.800)"),
        ({"a": 0.9999, "b": 1.0}, "All classes are equally well found (area 1.000)"),
        ({"a": 0.9}, "A is found (area 0.900)"),
        ({}, "No class can be drawn"),
    ],
)
def test_curves_that_enclose_the_same_area_have_no_best(
    areas: dict[str, float], sentence: str
) -> None:
    assert wording.class_areas(pd.Series(areas, dtype=float), "found", "area") == sentence


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[0.5, 0.9], [0.6, 0.7]], "Every model finds a the hardest"),
        ([[0.5, 0.9]], "Lowest on average: a (50.0\u00a0%)"),  # one model is not every model
        ([[0.5, 0.9], [0.9, 0.7]], "Lowest on average: a (70.0\u00a0%)"),
        ([[0.5, 0.5], [0.6, 0.6]], "Lowest on average: a and b (55.0\u00a0%)"),
        ([[0.5, np.nan], [0.6, np.nan]], "Every model finds a the hardest"),
    ],
)
def test_a_class_is_the_hardest_of_all_models_only_where_it_is_each_ones_alone(
    rows: list[list[float]], sentence: str
) -> None:
    assert wording.lowest_class(pd.DataFrame(rows, columns=["a", "b"])) == sentence
