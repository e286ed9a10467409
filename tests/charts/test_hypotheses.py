"""Charts of judged hypotheses in every unit, and with many models beside the one tested."""

from typing import Any

import pandas as pd
import pytest

from src.charts import hypotheses
from src.evaluation.hypotheses import KINDS

RATIO: dict[str, Any] = {
    "id": "M2",
    "models": ["svc", "best"],
    "metric": "mistakes",
    "n": 10_000,
    "alpha": 0.05,
    "margin": 0.5,
    "direction": "at most",
    "verdict": "supported",
    "p_value": 0.001,
    "effect": {"value": 0.35, "low": 0.25, "high": 0.48, "unit": "ratio"},
    "details": [],
    "points": [],
}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.7, "share", "70.0\u00a0%"),
        (-0.583, "correlation", "\u22120.58"),
        (4.6, "percentage points", "+4.6 points"),
        (0.354, "ratio", "0.35 times"),
        (0.8531, "F1", "0.853"),
        (12.5, "ms", "12\u00a0ms"),
    ],
)
def test_amounts_have_their_unit(value: float, unit: str, text: str) -> None:
    assert hypotheses.amount(value, unit) == text


def test_every_unit_has_an_axis() -> None:
    assert {kind.unit for kind in KINDS.values()} == set(hypotheses.AXES)


def test_a_ratio_is_drawn_against_its_margin_without_a_line_at_zero() -> None:
    figure = hypotheses.effect(RATIO, {"svc": "Support vectors", "best": "Net"})
    (dot,) = figure.data
    assert (dot.x[0], dot.y[0]) == (0.35, "M2: Support vectors →<br>Net")
    assert dot.customdata[0] == ["0.35 times", "0.25 times to 0.48 times", 10_000]
    assert [shape.x0 for shape in figure.layout.shapes] == [0.5]
    assert figure.layout.annotations[0].text == "at most 0.50 times"
    assert hypotheses.effect_finding(RATIO) == (
        "0.35 times (0.25 times to 0.48 times), clearly below 0.50 times"
    )


def test_of_many_models_the_highest_are_drawn_and_the_number_is_said() -> None:
    details = [
        {"name": f"m{k}", "value": k / 20, "low": 0, "high": 1, "n": 9, "unit": "ratio"}
        for k in range(12)
    ]
    figure = hypotheses.effect(RATIO | {"details": details}, {})
    others = figure.data[0]
    assert others.y.tolist() == [f"m{k}" for k in range(11, 3, -1)]
    assert figure.layout.title.subtitle.text.endswith("beside it the 8 highest of 12 others")


def pairs(confusion: list[float], similarity: list[float]) -> pd.DataFrame:
    names = {"label_a": list("aab"), "label_b": list("bcc")}
    return pd.DataFrame(names | {"confusion": confusion, "similarity": similarity})


@pytest.mark.parametrize(
    ("confusion", "similarity", "said"),
    [
        ([0, 0, 0], [3, 2, 1], "no two categories were confused"),
        ([0.2, 0.2, 0], [3, 2, 1], "2 pairs were confused equally often, and most"),
        (
            [0.2, 0.1, 0],
            [3, 2, 1],
            "a / b is the pair confused most on these images, and the most alike",
        ),
        ([0.2, 0.1, 0], [3, 3, 1], "a / b is the pair confused most on these images"),
        ([0.1, 0.2, 0], [3, 2, 1], "a / c is the pair confused most on these images"),
    ],
)
def test_one_pair_is_named_only_where_one_leads(
    confusion: list[float], similarity: list[float], said: str
) -> None:
    assert hypotheses.pair_finding(pairs(confusion, similarity)) == said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([0.5, 0.6], [0.7, 0.8], "Every training of New is better than every one of Old"),
        ([0.7, 0.8], [0.5, 0.6], "Every training of Old is better than every one of New"),
        ([0.5, 0.6], [0.6, 0.8], "Trainings of Old and New overlap"),
        ([0.5, None], [None, 0.8], "Every training of New is better than every one of Old"),
    ],
)
def test_trainings_are_called_better_only_where_all_are(
    before: list[float], after: list[float], said: str
) -> None:
    frame = pd.DataFrame({"seed": [1, 2], "a": before, "b": after})
    assert hypotheses.seed_finding(frame, {"a": "Old", "b": "New"}) == said


LOOKED = {
    "alpha": 0.05 * 6 / (9 * 9.8696),
    "alpha_of_all_looks": 0.05,
    "look": 3,
    "reading": 4,
    "since_reading": 2,
    "stated": "2026-11-21",
}


def test_the_level_says_how_often_was_looked() -> None:
    assert hypotheses.stated(LOOKED) == (
        "Stated on 2026-11-21. Reading 4 of these test images, look 3 at this hypothesis."
    )
    assert hypotheses.level(LOOKED) == (
        "α = 0.0034 at look 3: 0.05 · 6 / (π · 3)², so that all looks sum to 0.05"
    )
    assert hypotheses.interval_level(LOOKED) == "99.66\u00a0%"
    assert hypotheses.level({"alpha": 0.05}) == "α = 0.05, without regard to earlier looks"
    assert hypotheses.stated({}) == "When this was stated is not recorded in this version."


def test_earlier_verdicts_stand_beside_the_level_that_was_due() -> None:
    row = {"version": "v2", "reading": 3, "verdict": "supported", "value": 0.8, "low": 0.7}
    row |= {"high": 0.9, "unit": "share", "p_value": 0.03, "alpha": 0.05}
    (told,) = hypotheses.earlier(pd.DataFrame([row]), LOOKED).to_dict("records")
    assert told == {
        "Version": "v2",
        "Reading": 3,
        "Verdict": "supported",
        "Found": "80.0\u00a0% (70.0\u00a0% to 90.0\u00a0%)",
        "Chance": "p = 0.03",
        "Judged at": "α = 0.05",
        "Due": "α = 0.0076",  # the second look, for the first one was at reading 2
    }


@pytest.mark.parametrize("value", [-0.0, -0.004, 0.004])
def test_nothing_has_no_sign(value: float) -> None:
    assert hypotheses.amount(value, "correlation") == "0.00"
    assert hypotheses.amount(value, "percentage points") == "0.0 points"


def test_of_two_pairs_close_together_only_the_more_confused_is_named() -> None:
    frame = pd.DataFrame(
        {
            "label_a": list("aaabb"),
            "label_b": list("bcdcd"),
            "similarity": [0.8, 0.5, 0.4, -0.6, 0.1],
            "confusion": [0.15, 0.065, 0.064, 0.063, 0.001],
        }
    )
    named = [trace.text for trace in hypotheses.pair_points(frame).data if "text" in trace.mode]
    assert [list(names) for names in named] == [["a / b", "a / c", "b / c"]]
