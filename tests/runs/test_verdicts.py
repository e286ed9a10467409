"""Verdicts that were published, and those of today on published runs."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from src import config
from src.runs import ledger, published, verdicts
from tests import factories

# The studies whose test images take more than ten seconds to judge again.
LARGE = {"cifar10", "fashion_mnist", "mnist"}
STUDIES = [
    pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else [])
    for name in published.studies()
]


def newest(study: str) -> published.Run:
    return published.open_run(study, published.versions(study)[0])


def alike(found: Any, expected: Any) -> bool:
    """Equal, numbers but for rounding."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(alike(found[k], expected[k]) for k in found)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(alike, found, expected))
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)
    return bool(found == expected)


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_said_today_follows_from_the_run(study: str) -> None:
    run = newest(study)
    path = config.verdicts() / f"{study}_{run.version}.json"
    assert alike(json.loads(verdicts.current(run)), json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("study", published.studies())
def test_every_published_verdict_is_in_the_table(study: str) -> None:
    run = newest(study)
    rows = verdicts.table()
    rows = rows[(rows["study"] == study) & (rows["version"] == run.version)]
    expected = verdicts.rows_of(run)
    assert alike(rows.to_dict("records"), expected.to_dict("records"))


@pytest.mark.parametrize("study", published.studies())
def test_the_verdicts_of_every_reading_are_in_the_table(study: str) -> None:
    """The table and the ledger of readings tell the same story."""
    rows = verdicts.table()
    rows = rows[rows["study"] == study].drop_duplicates("reading")
    versions = [each.version for each in ledger.readings(study)]
    assert rows["version"].tolist() == versions
    assert rows["reading"].tolist() == list(range(1, len(versions) + 1))


def test_earlier_verdicts_of_a_hypothesis_are_listed() -> None:
    rows = verdicts.earlier("fashion_mnist", reading=5)
    told = rows[rows["hypothesis"] == "C1"]
    assert list(zip(told["version"], told["verdict"], strict=True)) == [
        ("v1", "refuted"),
        ("v2", "undecided"),
        ("v3", "undecided"),
        ("v4", "supported"),
    ]
    assert verdicts.earlier("fashion_mnist", reading=1).empty


def test_verdicts_that_turned_are_not_called_supported_again() -> None:
    """What was tested until it turned does not survive the count of the looks."""
    said = {
        (study, h["id"]): h["verdict"]
        for study in ("cifar10", "fashion_mnist")
        for h in verdicts.judged(newest(study))
    }
    turned = [
        ("cifar10", "H4"),
        ("cifar10", "H5"),
        ("fashion_mnist", "C1"),
        ("fashion_mnist", "C3"),
    ]
    assert [said[key] for key in turned] == ["undecided"] * 4


@pytest.mark.slow
def test_a_run_of_somebody_elses_keeps_its_own_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.write_run(tmp_path, study="cifar10", version="v7")
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    run = published.open_run("cifar10", "v7")
    assert verdicts.judged(run) == run.hypotheses


@pytest.mark.slow
def test_a_new_run_is_recorded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / verdicts.PUBLISHED).write_text(",".join(verdicts.COLUMNS) + "\n")
    monkeypatch.setattr(config, "verdicts", lambda: tmp_path / "table")
    factories.write_run(tmp_path, study="cifar10", version="v1")
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    run = published.open_run("cifar10", "v1")
    ledger.record("cifar10", "v1", run.manifest, models="plain", reason="")
    for _ in range(2):
        verdicts.record(run)
    rows = verdicts.table()
    assert rows["hypothesis"].tolist() == [h["id"] for h in run.hypotheses]
    assert rows["reading"].unique().tolist() == [1]
    assert rows["value"].tolist() == pytest.approx([h["effect"]["value"] for h in run.hypotheses])
