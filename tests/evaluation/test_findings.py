"""Findings about results on tiny frames whose values are known in full."""

import numpy as np
import pandas as pd
import pytest

from src.evaluation import findings

CLASSES = ["ant", "bee", "cow"]
COUNTS = pd.DataFrame([[8, 2, 0], [3, 7, 0], [0, 1, 9]], index=CLASSES, columns=CLASSES)


def test_ends_are_the_first_of_equal_ones() -> None:
    values = pd.Series({"a": 2, "b": 1, "c": 2, "d": 1})
    assert findings.ends(values) == (("b", 1.0), ("a", 2.0))


def test_best_epochs_of_every_training() -> None:
    history = pd.DataFrame(
        {
            "seed": [1, 1, 1, 2, 2],
            "epoch": [1, 2, 3, 1, 2],
            "validation_accuracy": [0.5, 0.7, 0.7, 0.9, 0.8],
            "validation_loss": [3.0, 2.0, 1.0, 0.5, 0.6],
        }
    )
    assert findings.best_epochs(history).to_dict("list") == {
        "seed": [1, 2],
        "epoch": [2, 1],
        "value": [0.7, 0.9],
    }
    lowest = findings.best_epochs(history.assign(model="A"), "loss")
    assert lowest.to_dict("list") == {
        "model": ["A", "A"],
        "seed": [1, 2],
        "epoch": [3, 1],
        "value": [1.0, 0.5],
    }


def test_the_worst_cell_has_a_direction_and_the_most_confused_pair_has_none() -> None:
    assert findings.worst_cell(COUNTS) == ("bee", "ant")
    assert findings.most_confused(COUNTS) == ("ant", "bee", 5 / 6, False)  # 5 to 1 may be chance
    assert findings.most_confused(3 * COUNTS) == ("ant", "bee", 5 / 6, True)
    assert findings.most_confused(COUNTS * np.eye(3, dtype=int)) is None


def test_miscalibrated_bins_lie_outside_their_band() -> None:
    table = pd.DataFrame(
        {
            "accuracy": [0.4, 0.5, 0.9, 1.0],
            "band_low": [0.5, 0.5, 0.8, 0.8],
            "band_high": [0.7, 0.6, 0.9, 0.9],
        }
    )
    assert findings.miscalibrated(table) == (1, 1, 4)  # a value on the edge is inside
    assert findings.miscalibrated(table.iloc[1:3]) == (0, 0, 2)


def test_components_needed_bears_rounding() -> None:
    rounded = pd.DataFrame({"component": [1, 2, 3], "cumulative": [0.5, 0.95 - 1e-12, 1.0]})
    assert findings.components_needed(rounded, 0.95) == 2


def test_members_of_an_ensemble() -> None:
    members = pd.DataFrame({"title": ["A", "B"], "log_loss_rise": [0.1, 0.2]})
    assert findings.most_important(members) == "B"
    pairs = pd.DataFrame(
        [("A", "A", -1.0), ("A", "B", 0.4), ("A", "C", np.nan), ("B", "C", 0.3)],
        columns=["first", "second", "errors"],
    )
    assert findings.least_correlated(pairs, "errors") == ("B", "C", 0.3)
    assert findings.least_correlated(pairs.head(1), "errors") is None


@pytest.mark.parametrize(
    ("high", "found"),
    [
        ([0.5, 0.8, 1.0], (("a", 0.4), ("c", 0.9))),
        ([0.6, 0.8, 1.0], None),  # the lowest reaches the next
        ([0.5, 0.87, 1.0], None),  # the next reaches the highest
    ],
)
def test_only_what_no_other_interval_reaches_is_extreme(high: list[float], found: object) -> None:
    table = pd.DataFrame(
        {"value": [0.4, 0.7, 0.9], "low": [0.3, 0.6, 0.85], "high": high}, index=list("abc")
    )
    assert findings.extremes(table) == found
    assert findings.extremes(table.head(1)) is None
