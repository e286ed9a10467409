"""Two models on the same images: paired difference, its interval and its p-value."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from src.evaluation import stats
from src.evaluation.metrics import Scored

# Two models on the same images ----------------------------------------------------------------


def compare(first: Scored, second: Scored) -> dict[str, Any]:
    """Accuracy of `first` minus `second` on the same images, with interval and p-value.

    Both are of the score test: the interval holds the differences that the test does not reject,
    so it leaves 0 out exactly where p < 0.05 (Tango 1998; at 0 it is McNemar's test without
    continuity correction, whose true level Fagerland, Lydersen and Laake (2013), The McNemar test
    for binary matched-pairs data, BMC Medical Research Methodology 13:91, find close to nominal).

    {split, n, only_first, only_second, both, neither, difference: {value, low, high, method},
    p_value}. Raises ValueError where ids or labels differ.
    """
    order_a, order_b = np.argsort(first.ids, kind="stable"), np.argsort(second.ids, kind="stable")
    if not np.array_equal(first.ids[order_a], second.ids[order_b]):
        raise ValueError("the two models answered different images and cannot be compared")
    label_a = np.array(first.classes)[first.labels[order_a]]
    if not np.array_equal(label_a, np.array(second.classes)[second.labels[order_b]]):
        raise ValueError("the two models were scored against different labels")
    a, b = first.correct[order_a], second.correct[order_b]
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    return {
        "split": first.split,
        "n": first.n,
        "only_first": only_first,
        "only_second": only_second,
        "both": int((a & b).sum()),
        "neither": int((~a & ~b).sum()),
        "difference": stats.paired_difference(only_first, only_second, first.n).asdict(),
        "p_value": stats.paired_test(only_first, only_second, first.n, 0.0),
    }


def compare_all(models: Mapping[str, Scored], reference: str | None = None) -> pd.DataFrame:
    """Every pair of models on the same images, Holm-corrected for their number.

    With a `reference`, only the pairs of it (as the first) and each of the others.

    first, second, n, only_first, only_second, difference, low, high, p_value, p_holm. The intervals
    are of one pair each; what is significant among all pairs is what `significant` says.
    """
    rows = []
    others = [name for name in models if name != reference]
    pairs = combinations(models, 2) if reference is None else product([reference], others)
    for first, second in pairs:
        result = compare(models[first], models[second])
        interval = result.pop("difference")
        row = {"first": first, "second": second, "difference": interval.pop("value")}
        rows.append(row | result | interval)
    columns = ["first", "second", "n", "only_first", "only_second", "difference", "low", "high"]
    frame = pd.DataFrame(rows, columns=[*columns, "p_value"])
    return frame.assign(p_holm=stats.holm(frame["p_value"].to_numpy(np.float64)))


def significant(pairs: pd.DataFrame) -> pd.Series[bool]:
    """Whether each pair differs after Holm's correction (`compare_all`; needs p_holm)."""
    return pairs["p_holm"] < 1 - stats.LEVEL
