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
