"""What a data set says, one value each: frames of a run's `eda/` in, findings out.

Charts of pages and of notebooks draw these values and write the same sentences about them
(`src/charts/wording.py`). Values of pixels are 0 to 255, shares 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")
NEIGHBOURS = 5  # of a point on the map


class Measure(NamedTuple):
    """One number of an image: its name, its unit and the words for much and little of it."""

    title: str
    unit: str
    more: str
    less: str


MEASURES: Mapping[str, Measure] = {
    "brightness": Measure("Brightness", "mean of the luma, 0–255", "brighter", "darker"),
    "contrast": Measure("Contrast", "standard deviation of the luma", "richer", "flatter"),
    "sharpness": Measure("Sharpness", "variance of the Laplacian", "sharper", "softer"),
    "colourfulness": Measure(
        "Colourfulness", "Hasler and Süsstrunk's measure", "more colourful", "greyer"
    ),
}


class Pair(NamedTuple):
    """Two classes."""

    first: str
    second: str


class PairValue(NamedTuple):
    """Two classes and a value of theirs."""

    pair: Pair
    value: float


class Agreement(NamedTuple):
    """Share of the nearest neighbours that are of the same class, and what chance would give."""

    share: float
    chance: float


# --- classes -----------------------------------------------------------------------------------


def class_totals(counts: pd.DataFrame) -> pd.Series[int]:
    """Images of each class over all splits (label, count), in the order of `counts`."""
    return counts.groupby("label", sort=False)["count"].sum()


def pair_ends(pairs: pd.DataFrame, value: str) -> tuple[PairValue, PairValue]:
    """The pairs of different classes with the smallest and the largest value.

    `pairs` has label_a, label_b and the column `value`; of equal pairs the first counts.
    """
    different = pairs[pairs["label_a"] != pairs["label_b"]]
    values = different[value].to_numpy(np.float64)
    low, high = (_pair_value(different, value, int(k)) for k in (values.argmin(), values.argmax()))
    return low, high


def _pair_value(pairs: pd.DataFrame, value: str, place: int) -> PairValue:
    row = pairs.iloc[place]
    return PairValue(Pair(str(row["label_a"]), str(row["label_b"])), float(row[value]))


def variability(class_images: pd.DataFrame) -> pd.Series[float]:
    """Mean standard deviation of a pixel within each class (label, kind, values), 0–255."""
    rows = class_images[class_images["kind"] == "variability"]
    return rows.set_index("label")["values"].map(lambda values: float(np.mean(values)))


# --- light and colour --------------------------------------------------------------------------


def mean_levels(histograms: pd.DataFrame) -> pd.DataFrame:
    """Mean intensity per label and channel, from the bins' middles: label, channel, level."""
    middle = (histograms["bin_left"] + histograms["bin_right"]) / 2
    weighted = histograms.assign(level=middle * histograms["share"])
    sums = weighted.groupby(["label", "channel"], sort=False)[["level", "share"]].sum()
    return (sums["level"] / sums["share"]).rename("level").reset_index()


def varying(statistics: pd.DataFrame) -> list[str]:
    """The measures that differ between images at all; grey images have no colourfulness."""
    return [name for name in MEASURES if name in statistics and statistics[name].nunique() > 1]


def medians(statistics: pd.DataFrame, measure: str) -> pd.Series[float]:
    """The median of a measure of each class's images (label, <measure>)."""
    return statistics.groupby("label", sort=False)[measure].median()


def pair_measures(statistics: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    """How two classes differ in each measure.

    measure, title, first and second (medians), lean: the share of all pairs of one image each
    in which the first class has more (ties half); 0.5 is no difference. It is the area under the
    ROC curve, from the rank sum (Mann and Whitney, 1947).
    """
    one, two = (statistics[statistics["label"] == name] for name in pair)
    rows = []
    for measure in varying(statistics):
        ranks = pd.concat([one[measure], two[measure]]).rank().to_numpy()[: len(one)]
        above = ranks.sum() - len(one) * (len(one) + 1) / 2
        rows.append(
            {
                "measure": measure,
                "title": MEASURES[measure].title,
                "first": float(one[measure].median()),
                "second": float(two[measure].median()),
                "lean": float(above / max(len(one) * len(two), 1)),
            }
        )
    return pd.DataFrame(rows)


# --- map ---------------------------------------------------------------------------------------


def neighbour_agreement(points: pd.DataFrame, neighbours: int = NEIGHBOURS) -> Agreement:
    """How often the nearest neighbours of a point are of its class; NaN for a single point.

    Args:
        points: label, x, y; neighbours are found by distance on the map.
        neighbours: how many of each point are looked at; all others where there are fewer.
    """
    labels = pd.factorize(points["label"])[0]
    n = len(labels)
    nearest = min(neighbours, n - 1)
    if nearest < 1:
        return Agreement(math.nan, math.nan)
    places = points[["x", "y"]].to_numpy(np.float32)
    hits = 0
    for start in range(0, n, 256):  # in stripes, so that a map of thousands stays small
        stripe = places[start : start + 256]
        distance = ((stripe[:, np.newaxis] - places) ** 2).sum(axis=2)
        distance[np.arange(len(stripe)), np.arange(start, start + len(stripe))] = np.inf
        close = np.argpartition(distance, nearest - 1, axis=1)[:, :nearest]
        hits += int((labels[close] == labels[start : start + 256, np.newaxis]).sum())
    sizes = np.bincount(labels)
    return Agreement(hits / (n * nearest), float((sizes / n) @ ((sizes - 1) / (n - 1))))


# --- copies ------------------------------------------------------------------------------------


def duplicate_groups(duplicates: pd.DataFrame) -> pd.DataFrame:
    """One row per group of identical images: group, images, splits, labels, leak, mislabelled.

    splits and labels are tuples of names; leak: the same image is in more than one split;
    mislabelled: it has more than one label.
    """
    grouped = duplicates.groupby("group", sort=True)
    return pd.DataFrame(
        {
            "group": [group for group, _ in grouped],
            "images": [len(rows) for _, rows in grouped],
            "splits": [_in_order(rows["split"]) for _, rows in grouped],
            "labels": [tuple(sorted(set(rows["label"]))) for _, rows in grouped],
            "leak": [rows["split"].nunique() > 1 for _, rows in grouped],
            "mislabelled": [rows["label"].nunique() > 1 for _, rows in grouped],
        }
    )


def _in_order(splits: pd.Series[str]) -> tuple[str, ...]:
    present = set(splits)
    return tuple(name for name in SPLITS if name in present)


def copies(groups: pd.DataFrame) -> int:
    """How many images repeat another one (`duplicate_groups`)."""
    return int(groups["images"].sum() - len(groups))
