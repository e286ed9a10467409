"""The ledger of readings: what is counted, what is said, and what a publication adds."""

from pathlib import Path
from typing import Any

import pytest

from src.runs import ledger, published

MANIFEST: dict[str, Any] = {"code_revision": "0123456789abcdef"}


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    (tmp_path / "toy").mkdir()
    return tmp_path


def note(version: str, images: str, reason: str = "") -> None:
    content = MANIFEST | {"data": {"test_ids_sha256": images}}
    ledger.record("toy", version, content, "best plain", reason)


@pytest.mark.usefixtures("outputs")
def test_only_readings_of_the_same_images_count() -> None:
    for version, images in (("v1", "a"), ("v2", "a"), ("v3", "b"), ("v4", "a"), ("v4", "a")):
        note(version, images)
    numbers = {version: ledger.number("toy", version) for version in ("v1", "v2", "v3", "v4", "v5")}
    assert numbers == {"v1": 1, "v2": 2, "v3": 1, "v4": 4, "v5": None}  # v4 was published twice
    assert (ledger.upcoming("toy", "a"), ledger.upcoming("toy", "c")) == (5, 1)


def test_rows_are_only_ever_added(outputs: Path) -> None:
    note("v1", "a")
    before = (outputs / "toy" / "readings.csv").read_bytes()
    note("v2", "a", 'a "wider" network,\nfor longer')
    assert (outputs / "toy" / "readings.csv").read_bytes().startswith(before)
    first, second = ledger.readings("toy")
    assert (first.reason, first.revision) == ("first publication", "0123456789ab")
    assert (second.reason, second.models) == ('a "wider" network, for longer', "best plain")


@pytest.mark.usefixtures("outputs")
def test_without_a_ledger_nothing_is_said() -> None:
    assert ledger.readings("toy") == []
    assert ledger.sentence(ledger.number("toy", "v1")) == ""


def test_a_damaged_ledger_is_named(outputs: Path) -> None:
    (outputs / "toy" / "readings.csv").write_text("version,date\nv1,2026-01-01\n")
    with pytest.raises(published.RunCorrupt, match=r"toy/readings.csv is no ledger of readings"):
        ledger.readings("toy")


def test_what_is_said_follows_from_the_number() -> None:
    assert "first" in ledger.sentence(1)
    assert "may be a little too good" not in ledger.sentence(1)
    assert "the seventh published reading" in ledger.sentence(7)
    assert "the 12th published reading" in ledger.sentence(12)
    assert "may be a little too good" in ledger.sentence(2)


@pytest.mark.parametrize("study", published.studies())
def test_every_published_version_has_its_row(study: str) -> None:
    for version in published.versions(study):
        run = published.open_run(study, version)
        row = ledger.readings(study)[ledger.number(study, version) - 1]  # type: ignore[operator]
        assert row.version == version
        assert row.date == run.manifest["created"][:10]
        assert run.manifest["code_revision"].startswith(row.revision)
        assert row.test_images == run.manifest["data"]["test_ids_sha256"]
        scored = set(run.models) - set(run.manifest.get("inherited", {}))
        assert set(row.models.split()) == scored
