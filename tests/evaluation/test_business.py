"""The business case: what studies state, and its criteria against a tiny run."""

import math
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from src import config
from src.data import studies
from src.evaluation import business, thresholds
from src.evaluation import metrics as evaluation_metrics
from src.evaluation.business import Case, Criterion
from src.evaluation.thresholds import SortingTarget
from tests import factories

S1: dict[str, Any] = {
    "id": "S1",
    "kind": "success",
    "statement": "At least {target} right",
    "metric": "accuracy",
    "direction": "at least",
    "target": 0.7,
}
PAGES = set(get_args(business.Page))


def criterion(**changes: Any) -> dict[str, Any]:
    return S1 | changes


def split(name: str, confidence: list[float], right: list[int]) -> pd.DataFrame:
    """Pictures of class a; answered a where right, else b, with the confidence given."""
    c, hit = np.array(confidence), np.array(right, bool)
    p = np.stack([np.where(hit, c, 1 - c), np.where(hit, 1 - c, c)], axis=1)
    return evaluation_metrics.to_frame(
        evaluation_metrics.score(["a"] * len(c), p, ["a", "b"], split=name)
    )


def case_of(*criteria: dict[str, Any]) -> Case:
    filing = SortingTarget(0.9, 0.95, 0.05, assured=False)
    return Case(
        "title", "client", "problem", "goal", filing, (), [Criterion(**c) for c in criteria]
    )


@pytest.fixture
def predictions() -> pd.DataFrame:
    validation = split("validation", [0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1])
    test = split("test", [0.95, 0.85, 0.8, 0.75] * 25, [1, 1, 0, 1] * 25)
    return pd.concat([validation, test])


# The file ---------------------------------------------------------------------------------------


PRECISION = {"cifar10": 0.99, "fashion_mnist": 0.99, "mnist": 0.998}


@pytest.mark.parametrize("study", [*PRECISION, "digits", "clothing", "unheard of"])
def test_the_written_down_case_is_valid(study: str) -> None:
    case = studies.case(study)
    assert case.sorting == SortingTarget(PRECISION.get(study, 0.95), 0.95, 0.05, assured=True)
    assert case.sorting.precision == {c.id: c.target for c in case.criteria}["S2"]
    assert {r.page for r in case.requirements} == PAGES
    assert {c.metric for c in case.criteria} == set(business.UNITS)
    assert {c.kind for c in case.criteria} == {"success", "failure"}
    assert all(c.text != c.statement for c in case.criteria)


def test_every_page_exists() -> None:
    for page in PAGES:
        assert (config.ROOT / "app_pages" / f"{page}.py").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "beauty"}, "metric\n.*'accuracy'"),
        ({"kind": "hope"}, "kind\n.*'success' or 'failure'"),
        ({"direction": "near"}, "direction\n.*'at least' or 'at most'"),
        ({"target": 70}, "target must be a share from 0 to 1, not 70"),
        ({"statement": "At least {goal}"}, "statement may only quote {target}"),
        ({"colour": "red"}, "colour\n.*Unexpected"),
    ],
)
def test_a_wrong_criterion_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Criterion(**criterion(**changes))


# The judgement ----------------------------------------------------------------------------------


def test_sorting_by_hand(predictions: pd.DataFrame) -> None:
    validation, test = (
        evaluation_metrics.from_frame(predictions, s) for s in ("validation", "test")
    )
    result = thresholds.sorting(SortingTarget(0.9, 0.95, 0.05, assured=False), validation, test)
    # 2 of 2; below it 2 of 3, then 3 of 4
    assert result.threshold == factories.published(0.8)
    assert (result.target, result.n, result.accepted) == (0.9, 100, 75)
    assert (result.coverage.value, result.precision.value) == (0.75, 50 / 75)


def test_sorting_where_no_threshold_reaches_the_target(predictions: pd.DataFrame) -> None:
    validation, test = (
        evaluation_metrics.from_frame(predictions, s) for s in ("validation", "test")
    )
    result = thresholds.sorting(SortingTarget(0.9, 0.95, 0.05, assured=True), validation, test)
    assert (result.threshold, result.accepted, result.coverage.value) == (None, 0, 0)
    assert math.isnan(result.precision.value)
    assert (result.precision.low, result.precision.high) == (0, 1)


def test_judge_in_full(predictions: pd.DataFrame) -> None:
    share = {"kind": "success", "direction": "at least"}
    latency = {"metric": "latency_ms", "direction": "at most", "statement": "within {target}"}
    failure = {"kind": "failure", "direction": "at most", "statement": "under {target}"}
    case = case_of(
        criterion(id="A", target=0.5),
        criterion(id="B", target=0.7),
        criterion(id="C", target=0.9),
        criterion(id="D", metric="automation_rate", target=0.6, **share),
        criterion(id="E", metric="automatic_precision", target=0.9, **share),
        criterion(id="F", target=20.0, **latency),
        criterion(id="G", target=0.5, **failure),
        criterion(id="H", target=0.9, metric="weakest_recall", **failure),
    )
    metrics = {"cost": {"latency_ms": {"float32": {"value": 9.0, "low": 8.0, "high": 11.0}}}}
    frame = business.judge(case, metrics, predictions)
    assert frame.columns.tolist() == [
        *("id", "kind", "criterion", "metric", "direction", "target"),
        *("result", "low", "high", "unit", "met", "good"),
    ]
    assert frame["criterion"].tolist() == [
        *("At least 50 % right", "At least 70 % right", "At least 90 % right"),
        *("At least 60 % right", "At least 90 % right", "within 20 ms", "under 50 %", "under 90 %"),
    ]
    # Wilson of 75 of 100 is 0.657 to 0.825, of 50 of 75 it is 0.554 to 0.763; the weakest class
    # has Clopper and Pearson's: 0.653 to 0.831
    assert frame["result"].tolist() == [0.75, 0.75, 0.75, 0.75, 50 / 75, 9, 0.75, 0.75]
    assert frame["low"].round(3).tolist() == [0.657] * 4 + [0.554, 8, 0.657, 0.653]
    assert frame["high"].round(3).tolist() == [0.825] * 4 + [0.763, 11, 0.825, 0.831]
    assert frame["unit"].tolist() == ["share"] * 5 + ["ms"] + ["share"] * 2
    assert frame["met"].tolist() == [True, None, False, True, False, True, False, True]
    assert frame["good"].tolist() == [True, None, False, True, False, True, True, False]


def test_what_was_not_measured_is_open(predictions: pd.DataFrame) -> None:
    latency = criterion(metric="latency_ms", direction="at most", target=20)
    case = case_of(latency)
    (row,) = business.judge(case, {}, predictions).to_dict("records")
    assert math.isnan(row["result"])
    assert (row["met"], row["good"]) == (None, None)
