"""The benchmarks' own sums: what counts as a promise kept, and how size is counted."""

import math
from pathlib import Path

import pytest

from benchmarks import slug, training
from benchmarks.report import Measure, line


@pytest.mark.parametrize(
    ("value", "target", "at_least", "holds"),
    [
        (250.0, 250, False, True),
        (250.1, 250, False, False),
        (30.0, 30, True, True),
        (29.9, 30, True, False),
        (1e9, None, False, True),
    ],
)
def test_a_promise_is_kept_up_to_its_bound(
    value: float, target: float | None, at_least: bool, holds: bool
) -> None:
    assert Measure("x", value, "MB", target, at_least).holds is holds


def test_a_broken_promise_says_so() -> None:
    assert line(Measure("size", 251.4, "MB", 250)).split() == [
        *("size", "251", "MB", "at", "most", "250", "MISSED"),
    ]
    assert line(Measure("ratio", 1234.5, "×", 30, at_least=True)).split() == [
        *("ratio", "1,234", "×", "at", "least", "30", "ok"),
    ]


def test_size_is_that_of_the_compressed_archive(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(1_000_000))
    assert 0 < slug.compressed([tmp_path / "zeros"]) < 0.01
    assert slug.compressed([]) < slug.compressed([tmp_path / "zeros"])


def test_what_is_measured_is_what_is_deployed() -> None:
    names = {path.relative_to(slug.ROOT).as_posix() for path in slug.project_files()}
    assert {"app.py", "asgi.py", "src/runs/published.py", ".streamlit/config.toml"} <= names
    assert not any(name.startswith(("tests/", "jupyter_notebooks/")) for name in names)
    assert not any(name.endswith(".keras") for name in names)
    assert "streamlit" in slug.packages()
    assert "tensorflow" not in slug.packages()


CURVE = [(10.0, 0.5), (20.0, 0.81), (30.0, 0.78), (40.0, 0.9)]


def test_a_level_is_reached_when_it_is_for_the_first_time() -> None:
    assert training.reaching(CURVE, 0.8) == 20
    assert training.reaching(CURVE, 0.9) == 40
    assert training.reaching(CURVE, 0.95) == math.inf


def test_speeds_are_medians_and_ratios_are_promised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = {"usual": [64.0, 128.0, 32.0], "ours": [8.0, 8.0, 4.0]}  # seconds of the last epoch
    order = []

    def sent(name: str, pictures: int, epochs: int) -> training.Curve:
        assert (pictures, epochs) == (training.IMAGES, 3)
        order.append(name)
        return [(2.0, 0.1), (5.0, 0.2), (5.0 + turns[name].pop(0), 0.3)]

    monkeypatch.setattr(training, "sent", sent)
    measures = {m.name: m for m in training.of_speed(["usual", "ours"], rounds=3)}
    assert order == ["usual", "ours"] * 3
    assert measures["usual: images per second"].value == training.IMAGES / 64
    assert measures["ours: times usual"].value == 8
    assert measures["ours: times usual"].holds
    assert list(measures) == [
        "usual: images per second",
        "ours: images per second",
        "ours: times usual",
    ]


def test_curves_tell_when_each_level_was_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "sent", lambda *_: CURVE)
    measures = {m.name: m.value for m in training.of_curves(["ours"], 0)}
    assert measures == {
        "ours: 75% on validation": 20,
        "ours: 80% on validation": 20,
        "ours: 90% on validation": 40,
        "ours: at the end": 90,
    }


@pytest.mark.parametrize(
    ("seconds", "accuracy", "times"), [(10, 0.91, 2), (40, 0.91, 0.5), (10, 0.89, 0)]
)
def test_ninety_percent_must_come_before_the_usual_has_seventy_five(
    monkeypatch: pytest.MonkeyPatch, seconds: float, accuracy: float, times: float
) -> None:
    def sent(name: str, pictures: int, epochs: int) -> training.Curve:
        assert (pictures, epochs) == (0, {"usual": 2, "brief": 0}[name])
        return [(20, 0.8)] if name == "usual" else [(5, 0.7), (seconds, accuracy)]

    monkeypatch.setattr(training, "sent", sent)
    promise = training.of_curves(["usual", "brief"], 2)[-1]
    assert (promise.value, promise.holds) == (times, times >= 1)
