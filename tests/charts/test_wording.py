"""The sentences that say a finding, on tiny frames."""

import numpy as np
import pandas as pd
import pytest

from src.charts import wording
from src.data import findings
from src.data.findings import Pair
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


@pytest.mark.parametrize(
    ("accuracy", "sentence"),
    [
        (0.7, "Overconfident by 10.0 points on average"),
        (0.9, "Underconfident by 10.0 points on average"),
        (0.795, "Confidence and accuracy agree on average"),
    ],
)
def test_calibration_says_the_direction(accuracy: float, sentence: str) -> None:
    table = pd.DataFrame({"n": [5, 5], "confidence": 0.8, "accuracy": accuracy})
    assert wording.calibration(table) == sentence


def test_no_mistake_is_no_confusion() -> None:
    right = pd.DataFrame(np.diag([4, 4]), index=["a", "b"], columns=["a", "b"])
    assert wording.confusion(right) == "Every image is classified correctly"
