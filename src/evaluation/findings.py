"""What results say, one value each: frames of training and of `metrics` in, findings out.

Charts of pages and of notebooks draw these values and write the same sentences about them
(`src/charts/wording.py`). Shares are 0 to 1.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from src.evaluation import stats


class Entry(NamedTuple):
    """One value and what it belongs to."""

    name: str
    value: float


class Confusion(NamedTuple):
    """Two classes that are taken for each other, and their share of all mistakes."""

    first: str
    second: str
    share: float
    clear: bool  # whether chance would not have put another pair first


class Miscalibrated(NamedTuple):
    """Bins of confidence in which a calibrated model would show another accuracy."""

    over: int  # confidence too high
    under: int  # confidence too low
    bins: int


class Correlation(NamedTuple):
    """Two members of an ensemble and how alike they are, −1 to 1."""

    first: str
    second: str
    value: float


def ends(values: pd.Series[Any]) -> tuple[Entry, Entry]:
    """The smallest and the largest entry of a series; of equal ones the first."""
    numbers = values.to_numpy(np.float64)
    low, high = int(numbers.argmin()), int(numbers.argmax())
    return (
        Entry(str(values.index[low]), float(numbers[low])),
        Entry(str(values.index[high]), float(numbers[high])),
    )


# --- training ----------------------------------------------------------------------------------


def best_epochs(
    history: pd.DataFrame, measure: Literal["accuracy", "loss"] = "accuracy"
) -> pd.DataFrame:
    """Where each training is best on validation: highest accuracy or lowest loss.

    Args:
        history: seed, epoch, validation_<measure>; with several models also model.

    Returns:
        Columns model (where given), seed, epoch and value, one row per training, in the order of
        `history`; of equal epochs the first.
    """
    column, ascending = f"validation_{measure}", measure == "loss"
    keys = [key for key in ("model", "seed") if key in history]
    ordered = history.sort_values(column, ascending=ascending, kind="stable")
    best = ordered.drop_duplicates(keys).sort_index()
    return best[[*keys, "epoch", column]].rename(columns={column: "value"}).reset_index(drop=True)


# --- mistakes ----------------------------------------------------------------------------------


def worst_cell(counts: pd.DataFrame) -> tuple[str, str]:
    """(label, prediction) of the most frequent mistake in a (K, K) square of counts."""
    numbers = counts.to_numpy(float).copy()
    np.fill_diagonal(numbers, -1)
    row, column = divmod(int(numbers.argmax()), len(numbers))
    return str(counts.index[row]), str(counts.columns[column])


def most_confused(counts: pd.DataFrame) -> Confusion | None:
    """The two classes most often taken for each other, both ways; None without a mistake.

    `counts` is (K, K), one row per label, one column per prediction.
    """
    numbers = counts.to_numpy(float).copy()
    np.fill_diagonal(numbers, 0)
    if numbers.sum() == 0:
        return None
    together = np.triu(numbers + numbers.T)
    row, column = divmod(int(together.argmax()), len(together))
    first, second = sorted((str(counts.index[row]), str(counts.columns[column])))
    most, second_most = (int(n) for n in np.sort(together, axis=None)[[-1, -2]])
    clear = stats.mcnemar(most, second_most) < 1 - stats.LEVEL
    return Confusion(first, second, most / float(numbers.sum()), clear)


def extremes(table: pd.DataFrame) -> tuple[Entry, Entry] | None:
    """The lowest and the highest value (index: name; value, low, high), if surely so.

    None where the interval of another one reaches that of the lowest or of the highest, or where
    there is only one.
    """
    low, high = ends(table["value"])
    others_low, others_high = table.drop(low.name), table.drop(high.name)
    if others_low.empty:
        return None
    first = table.loc[low.name, "high"] < others_low["low"].min()
    last = table.loc[high.name, "low"] > others_high["high"].max()
    return (low, high) if first and last else None


def miscalibrated(table: pd.DataFrame) -> Miscalibrated:
    """How many bins of a reliability table lie outside their band (`reliability.measure`)."""
    return Miscalibrated(
        over=int((table["accuracy"] < table["band_low"]).sum()),
        under=int((table["accuracy"] > table["band_high"]).sum()),
        bins=len(table),
    )


# --- classical models --------------------------------------------------------------------------


def components_needed(components: pd.DataFrame, share: float) -> int:
    """How many principal components hold a share of the variance (component, cumulative)."""
    reached = components["cumulative"] >= share - 1e-9  # 0.95 as a sum may be 0.9499999…
    return int(components.loc[reached, "component"].iloc[0])


def most_important(members: pd.DataFrame) -> str:
    """The member whose loss costs a blend most (title, log_loss_rise)."""
    return ends(members.set_index("title")["log_loss_rise"])[1].name


def least_correlated(pairs: pd.DataFrame, measure: str) -> Correlation | None:
    """The two members that are least alike (first, second, <measure>); None where none is known."""
    different = pairs[pairs["first"] != pairs["second"]].dropna(subset=[measure])
    if different.empty:
        return None
    row = different.iloc[int(different[measure].argmin())]
    return Correlation(str(row["first"]), str(row["second"]), float(row[measure]))
