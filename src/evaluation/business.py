"""The client's case (inputs/business.toml) and whether a run meets its criteria."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from src.evaluation import stats, thresholds
from src.evaluation.metrics import Scored, confusion, from_frame
from src.evaluation.stats import Estimate
from src.evaluation.thresholds import SortingTarget

PAGES = {
    "project_summary",
    "data_visualizer",
    "model_performance",
    "image_classifier",
    "hypotheses",
}
UNITS = {
    "accuracy": "share",
    "weakest_recall": "share",
    "filing_coverage": "share",
    "filing_precision": "share",
    "latency_ms": "ms",
}
TEXTS = ("title", "client", "problem", "goal")
KINDS = ("success", "failure")
DIRECTIONS = ("at least", "at most")
Entry = TypeVar("Entry")


class BusinessError(ValueError):
    """The file cannot be used; the message says which part and why."""


@dataclass(frozen=True)
class Requirement:
    """What the client asked for; `page` is the url_path of the page that answers it."""

    id: str
    title: str
    text: str
    page: str


@dataclass(frozen=True)
class Criterion:
    """When the project has succeeded or failed; `target` in the metric's unit."""

    id: str
    kind: str
    statement: str  # with {target} where the number goes
    metric: str
    direction: str
    target: float

    @property
    def unit(self) -> str:
        """Of the target: share (0 to 1) or ms."""
        return UNITS[self.metric]

    @property
    def text(self) -> str:
        """The statement with its number."""
        number = f"{100 * self.target:g} %" if self.unit == "share" else f"{self.target:,g} ms"
        return self.statement.format(target=number)


@dataclass(frozen=True)
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
        """Milliseconds that success allows one picture; infinite where nothing is said."""
        allowed = [
            c.target
            for c in self.criteria
            if (c.kind, c.metric, c.direction) == ("success", "latency_ms", "at most")
        ]
        return min(allowed, default=float("inf"))


# Reading ----------------------------------------------------------------------------------------


def load(path: Path, study: str) -> Case:
    """A study's case from a TOML file; raises BusinessError where it is not valid."""
    try:
        return parse(tomllib.loads(path.read_text("utf-8")), study)
    except tomllib.TOMLDecodeError as error:
        raise BusinessError(f"{path.name} is not valid TOML: {error}") from error


def parse(data: Mapping[str, Any], study: str) -> Case:
    """A study's case from the file's content, its own [study.<name>.…] applied."""
    changes = data.get("study", {}).get(study, {})
    requirements, criteria = (_by_id(data, kind) for kind in ("requirement", "criterion"))
    if unknown := set(changes) - {"filing", *TEXTS, *requirements, *criteria}:
        raise BusinessError(f"[study.{study}] changes {sorted(unknown)}, which is not there")

    def changed(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        return {**entry, **changes.get(name, {})}

    case = Case(
        **{key: str(changes.get(key, data.get(key, ""))) for key in TEXTS},
        sorting=_build(SortingTarget, changed("filing", data.get("filing", {})), "filing"),
        requirements=tuple(
            _build(Requirement, changed(name, entry), "requirement")
            for name, entry in requirements.items()
        ),
        criteria=tuple(
            _build(Criterion, changed(name, entry), "criterion") for name, entry in criteria.items()
        ),
    )
    _check(case)
    return case


def _by_id(data: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    return {entry.get("id", "?"): entry for entry in data.get(kind, [])}


def _build(kind: type[Entry], entry: Mapping[str, Any], what: str) -> Entry:
    wanted = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if set(entry) != wanted:
        name = entry.get("id", what)
        raise BusinessError(f"{name} needs exactly {sorted(wanted)}, has {sorted(entry)}")
    return kind(**entry)


def _check(case: Case) -> None:
    if not 0 < case.sorting.precision < 1:
        raise BusinessError(f"filing.precision {case.sorting.precision} is not between 0 and 1")
    for requirement in case.requirements:
        if requirement.page not in PAGES:
            raise BusinessError(f"{requirement.id}: {requirement.page!r} is no page: {PAGES}")
    for c in case.criteria:
        for value, known in ((c.kind, KINDS), (c.direction, DIRECTIONS), (c.metric, UNITS)):
            if value not in known:
                raise BusinessError(f"{c.id}: {value!r} is none of {list(known)}")


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
        "filing_coverage": sorting.coverage,
        "filing_precision": sorting.precision,
        "latency_ms": _published(latency),
    }


def _weakest_recall(scored: Scored) -> Estimate:
    counts = confusion(scored).to_numpy()
    per_class = [stats.wilson(row[k], row.sum()) for k, row in enumerate(counts) if row.sum()]
    return min(per_class, key=lambda estimate: estimate.value)


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
