"""The client's case, as a study's file states it, and whether a run meets its criteria."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from src.evaluation import stats, thresholds
from src.evaluation.metrics import Scored, confusion, from_frame
from src.evaluation.stats import Estimate
from src.evaluation.thresholds import SortingTarget

Page = Literal[
    "project_summary", "data_visualizer", "model_performance", "image_classifier", "hypotheses"
]
Metric = Literal[
    "accuracy", "weakest_recall", "automation_rate", "automatic_precision", "latency_ms"
]
UNITS = dict.fromkeys(get_args(Metric), "share") | {"latency_ms": "ms"}
CHECKED = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=CHECKED)
class Requirement:
    """What the client asked for; `page` is the url_path of the page that answers it."""

    id: str
    title: str
    text: str
    page: Page


@dataclass(frozen=True, config=CHECKED)
class Criterion:
    """When the project has succeeded or failed; `target` in the metric's unit."""

    id: str
    kind: Literal["success", "failure"]
    statement: str  # with {target} where the number goes
    metric: Metric
    direction: Literal["at least", "at most"]
    target: float

    @model_validator(mode="after")
    def _checked(self) -> Criterion:
        try:
            self.statement.format(target="")
        except (LookupError, ValueError):
            raise ValueError(f"statement may only quote {{target}}: {self.statement!r}") from None
        if self.unit == "share" and not 0 <= self.target <= 1:
            raise ValueError(f"target must be a share from 0 to 1, not {self.target:g}")
        return self

    @property
    def unit(self) -> str:
        """Of the target: share (0 to 1) or ms."""
        return UNITS[self.metric]

    @property
    def text(self) -> str:
        """The statement with its number."""
        number = f"{100 * self.target:g} %" if self.unit == "share" else f"{self.target:,g} ms"
        return self.statement.format(target=number)


@dataclass(frozen=True, config=CHECKED)
class Case:
    """The business case of one study."""

    title: str
    client: str
    problem: str
    goal: str
    sorting: SortingTarget
    requirements: tuple[Requirement, ...]
    criteria: tuple[Criterion, ...]

    @property
    def latency_limit(self) -> float:
        """Milliseconds that success allows one image; infinite where nothing is said."""
        allowed = [
            c.target
            for c in self.criteria
            if (c.kind, c.metric, c.direction) == ("success", "latency_ms", "at most")
        ]
        return min(allowed, default=float("inf"))


# Judging ----------------------------------------------------------------------------------------


def judge(case: Case, metrics: Mapping[str, Any], predictions: pd.DataFrame) -> pd.DataFrame:
    """Every criterion against a model's published metrics.json and predictions.parquet.

    id, kind, criterion (text), metric, direction, target, result, low, high, unit, met (True, False
    or None where the target lies in the interval) and good (met for success, its opposite for
    failure; None likewise). A result that was not measured is NaN and open.
    """
    measured = _measured(case, metrics, predictions)
    rows = [_row(c, measured[c.metric]) for c in case.criteria]
    columns = ["id", "kind", "criterion", "metric", "direction", "target", "result", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "unit", "met", "good"]).astype(
        {"met": object, "good": object}
    )


def _measured(
    case: Case, metrics: Mapping[str, Any], predictions: pd.DataFrame
) -> dict[str, Estimate]:
    validation, test = (from_frame(predictions, s) for s in ("validation", "test"))
    sorting = thresholds.sorting(case.sorting, validation, test)
    latency = metrics.get("cost", {}).get("latency_ms", {}).get("float32")
    return {
        "accuracy": stats.wilson(int(test.correct.sum()), test.n),
        "weakest_recall": _weakest_recall(test),
        "automation_rate": sorting.coverage,
        "automatic_precision": sorting.precision,
        "latency_ms": _published(latency),
    }


def _weakest_recall(scored: Scored) -> Estimate:
    counts = confusion(scored).to_numpy()
    return stats.smallest_share(np.diag(counts), counts.sum(1))


def _published(entry: Mapping[str, float] | None) -> Estimate:
    if entry is None:
        return Estimate(float("nan"), float("-inf"), float("inf"), "not measured")
    return Estimate(entry["value"], entry["low"], entry["high"], "as published")


def _row(c: Criterion, estimate: Estimate) -> list[Any]:
    met = _met(estimate, c)
    good = met if met is None or c.kind == "success" else not met
    numbers = [c.target, estimate.value, estimate.low, estimate.high]
    return [c.id, c.kind, c.text, c.metric, c.direction, *numbers, c.unit, met, good]


def _met(estimate: Estimate, c: Criterion) -> bool | None:
    yes, no = estimate.low >= c.target, estimate.high < c.target
    if c.direction == "at most":
        yes, no = estimate.high <= c.target, estimate.low > c.target
    return yes if yes or no else None
