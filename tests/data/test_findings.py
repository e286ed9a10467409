"""Findings about a data set on tiny frames whose values are known in full."""

import numpy as np
import pandas as pd
import pytest

from src.data import findings
from src.data.findings import Pair
from tests import factories


def test_pair_ends_ignore_the_diagonal() -> None:
    values = {("cat", "dog"): 0.9, ("cat", "ship"): -0.2, ("dog", "ship"): -0.4}
    rows = [(a, b, value) for (a, b), value in values.items()]
    rows += [(b, a, value) for a, b, value in rows] + [("cat", "cat", 1.0), ("dog", "dog", -1.0)]
    pairs = pd.DataFrame(rows, columns=["label_a", "label_b", "similarity"])
    assert findings.pair_ends(pairs, "similarity") == (
        (("dog", "ship"), -0.4),
        (("cat", "dog"), 0.9),
    )


def test_mean_levels_are_the_weighted_middles_of_the_bins() -> None:
    levels = findings.mean_levels(factories.histograms()).set_index(["label", "channel"])["level"]
    assert levels.to_dict() == {
        ("all", "red"): 128.0,
        ("all", "green"): 128.0,
        ("cat", "red"): 64.0,
        ("cat", "green"): 64.0,
        ("dog", "red"): 160.0,
        ("dog", "green"): 160.0,
        ("ship", "red"): 160.0,
        ("ship", "green"): 160.0,
    }


def test_neighbours_of_two_separate_clusters_agree() -> None:
    places = [(0, 0), (0, 1), (1, 0), (9, 9), (9, 8), (8, 9)]
    apart = pd.DataFrame(places, columns=["x", "y"]).assign(label=["cat"] * 3 + ["dog"] * 3)
    assert findings.neighbour_agreement(apart, 2) == (1.0, pytest.approx(0.4))
    mixed = apart.assign(label=["cat", "dog"] * 3)
    share, chance = findings.neighbour_agreement(mixed, 2)
    assert (share, chance) == (pytest.approx(4 / 12), pytest.approx(0.4))


def test_neighbours_are_the_same_in_stripes_as_at_once() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(600, 2)), columns=["x", "y"])
    frame["label"] = np.where(frame["x"] > 0, "cat", "dog")
    square = ((frame[["x", "y"]].to_numpy()[:, None] - frame[["x", "y"]].to_numpy()) ** 2).sum(2)
    np.fill_diagonal(square, np.inf)
    labels = frame["label"].to_numpy()
    expected = (labels[square.argsort(1)[:, :5]] == labels[:, None]).mean()
    assert findings.neighbour_agreement(frame)[0] == pytest.approx(expected)


def test_pair_measures_count_the_pairs_in_which_the_first_has_more() -> None:
    frame = pd.DataFrame(
        {
            "label": ["cat", "cat", "dog", "dog"],
            "brightness": [1.0, 3.0, 2.0, 2.0],
            "sharpness": [5.0, 6.0, 1.0, 6.0],
        }
    )
    measures = findings.pair_measures(frame, Pair("cat", "dog"))
    assert measures.to_dict("records") == [
        {"measure": "brightness", "title": "Brightness", "first": 2.0, "second": 2.0, "lean": 0.5},
        {"measure": "sharpness", "title": "Sharpness", "first": 5.5, "second": 3.5, "lean": 0.625},
    ]


def duplicates() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (0, "train", 1, "cat"),
            (0, "test", 5, "cat"),
            (0, "train", 9, "cat"),
            (4, "train", 2, "dog"),
            (4, "train", 3, "cat"),
        ],
        columns=["group", "split", "id", "label"],
    )


def test_duplicate_groups_tell_leaks_and_different_labels() -> None:
    groups = findings.duplicate_groups(duplicates())
    assert groups.to_dict("records") == [
        {
            "group": 0,
            "images": 3,
            "splits": ("train", "test"),
            "labels": ("cat",),
            "leak": True,
            "mislabelled": False,
        },
        {
            "group": 4,
            "images": 2,
            "splits": ("train",),
            "labels": ("cat", "dog"),
            "leak": False,
            "mislabelled": True,
        },
    ]
    assert findings.copies(groups) == 3
    assert findings.copies(findings.duplicate_groups(duplicates().head(0))) == 0
