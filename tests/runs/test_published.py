"""Published runs: written whole or not at all, never changed, checked as they are read."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.runs import __main__, drafts, ledger
from src.runs import published as runs_published

OF_A_MODEL = (
    *drafts.REQUIRED_OF_A_MODEL,
    *drafts.REQUIRED_OF_A_NETWORK,
    *drafts.REQUIRED_OF_A_SERVED_MODEL,
    "model.keras",
)


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    return tmp_path


def _draft(note: str = "first") -> drafts.Draft:
    draft = drafts.Draft("toy", "full")
    draft.clear()
    for path in drafts.REQUIRED:
        if path.endswith(".parquet"):
            draft.write_table(path, pd.DataFrame({"label": ["0", "1"], "count": [3, 4]}))
        else:
            draft.write(path, json.dumps({"note": note, "classes": ["0", "1"]}).encode())
    for file in OF_A_MODEL:
        draft.write(f"models/best/{file}", b"label,precision\n0,0.5\n1,1.0\n")
    draft.write_json("models/best/config.json", {"family": "network"})
    draft.logs.mkdir(parents=True, exist_ok=True)
    draft.checkpoints.mkdir(parents=True, exist_ok=True)
    return draft


MANIFEST: dict[str, Any] = {
    "default_model": "best",
    "created": "2026-01-01",
    "code_revision": "unknown",
    "data": {"test_ids_sha256": "0" * 64},
    "inherited": {},
}


def test_publishes_one_version_after_another(outputs: Path) -> None:
    assert runs_published.studies() == []
    assert [_draft().publish(MANIFEST), _draft("second").publish(MANIFEST)] == ["v1", "v2"]
    assert runs_published.studies() == ["toy"]
    assert runs_published.versions("toy") == ["v2", "v1"]
    assert [runs_published.open_run("toy", v).dataset["note"] for v in ("v1", "v2")] == [
        "first",
        "second",
    ]
    assert runs_published.verify_all() == []
    beside = [".logs", ".partial", "readings.csv", "v1", "v2"]
    assert sorted(path.name for path in (outputs / "toy").iterdir()) == beside
    assert [ledger.number("toy", version) for version in ("v1", "v2")] == [1, 2]
    assert list((outputs / "toy" / ".partial").iterdir()) == []


def test_classical_models_are_compared_but_not_served(outputs: Path) -> None:
    draft = _draft()
    for file in drafts.REQUIRED_OF_A_MODEL:
        draft.write(f"models/forest/{file}", b"label\n0\n")
    draft.write_json("models/forest/config.json", {"family": "classical"})
    run = runs_published.open_run("toy", draft.publish(MANIFEST))
    assert (run.models, run.served) == (["best", "forest"], ["best"])
    assert (run.model("forest").family, run.model("forest").served) == ("classical", False)


def test_a_control_is_compared_but_not_served(outputs: Path) -> None:
    draft = _draft()
    for file in (*drafts.REQUIRED_OF_A_MODEL, *drafts.REQUIRED_OF_A_NETWORK):
        draft.write(f"models/bare/{file}", b"label\n0\n")
    draft.write_json("models/bare/config.json", {"family": "network", "control": True})
    assert draft.to_serve() == ["best"]
    run = runs_published.open_run("toy", draft.publish(MANIFEST))
    assert (run.models, run.served) == (["best", "bare"], ["best"])
    assert [run.model(name).is_network for name in run.models] == [True, True]


def test_a_network_without_its_served_files_is_not_published() -> None:
    draft = _draft()
    (draft.folder / "models/best/model_int8.tflite").unlink()
    with pytest.raises(runs_published.RunError, match=r"models/best/model_int8\.tflite"):
        draft.publish(MANIFEST)


def test_reads_what_was_written(outputs: Path) -> None:
    _draft().publish(MANIFEST)
    run = runs_published.open_run("toy", "v1")
    assert run.models == ["best"]
    assert run.table("eda/class_counts.parquet").to_dict("list") == {
        "label": ["0", "1"],
        "count": [3, 4],
    }
    assert run.model("best").report["label"].tolist() == ["0", "1"]  # text, not numbers
    assert run.model("best").seeds is None
    manifest = json.loads((outputs / "toy/v1/manifest.json").read_text())
    assert {k: manifest[k] for k in ("schema", "study", "version", "profile", "created")} == {
        "schema": 2,
        "study": "toy",
        "version": "v1",
        "profile": "full",
        "created": "2026-01-01",
    }
    assert len(manifest["files"]) == len(drafts.REQUIRED) + len(OF_A_MODEL)


@pytest.mark.parametrize("step", ["write_json", "_flush", "rename", "_keep_logs", "rmtree"])
def test_kill_at_any_step_leaves_whole_versions_only(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    _draft().publish(MANIFEST)
    draft = _draft("second")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    owner = {"write_json": draft, "_keep_logs": draft, "_flush": drafts, "rename": os}
    with monkeypatch.context() as patch:
        patch.setattr(owner.get(step, shutil), step, killed)
        with pytest.raises(KeyboardInterrupt):
            draft.publish(MANIFEST)
    published = step in {"_keep_logs", "rmtree"}
    assert runs_published.versions("toy") == (["v2", "v1"] if published else ["v1"])
    assert runs_published.verify_all() == []
    if not published:  # and the same draft can still be published
        assert draft.publish(MANIFEST) == "v2"
        assert runs_published.verify_all() == []


def test_incomplete_large_or_repeated_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = _draft()
    (draft.folder / "gallery.parquet").unlink()
    with pytest.raises(runs_published.RunError, match=r"not published: gallery\.parquet"):
        draft.publish(MANIFEST)
    draft = _draft()
    shutil.rmtree(draft.folder / "models")
    with pytest.raises(runs_published.RunError, match="no model"):
        draft.publish(MANIFEST)
    with pytest.raises(runs_published.RunError, match="not 'final'"):
        _draft().publish(MANIFEST, "final")
    _draft().publish(MANIFEST, "v3")
    with pytest.raises(runs_published.RunError, match="v3 is published and never changes"):
        _draft().publish(MANIFEST, "v3")
    monkeypatch.setattr(drafts, "LIMIT_BYTES", 10)
    with pytest.raises(runs_published.RunError, match="more than the 10 allowed"):
        _draft().publish(MANIFEST)
    assert runs_published.versions("toy") == ["v3"]


def test_half_written_file_is_not_published(outputs: Path) -> None:
    draft = _draft()
    (draft.folder / ".gallery.parquet.partial").write_bytes(b"half")
    draft.publish(MANIFEST)
    assert not list(outputs.rglob("*.partial"))[1:]  # the draft's home alone
    assert runs_published.verify_all() == []


def test_altered_missing_and_strange_files_are_named(outputs: Path) -> None:
    _draft().publish(MANIFEST)
    folder = outputs / "toy/v1"
    (folder / "dataset.json").write_text("{}")
    (folder / "hypotheses.json").unlink()
    (folder / "models/best/model.keras").unlink()  # a deployment may leave it out
    (folder / "extra.txt").write_text("?")
    assert runs_published.verify("toy", "v1") == [
        "toy v1: extra.txt is not in the manifest.",
        "toy v1: dataset.json was changed after publication.",
        "toy v1: hypotheses.json is missing.",
    ]
    with pytest.raises(runs_published.RunCorrupt, match="changed after publication"):
        _ = runs_published.open_run("toy", "v1").dataset
    assert __main__.main(["verify"]) == 1


def test_unknown_names_are_clear() -> None:
    _draft().publish(MANIFEST)
    with pytest.raises(
        runs_published.RunNotFound, match=r"no published version v9 \(published: v1\)"
    ):
        runs_published.open_run("toy", "v9")
    with pytest.raises(runs_published.RunNotFound, match=r"no published version \.\./toy/v1"):
        runs_published.open_run("toy", "../toy/v1")
    run = runs_published.open_run("toy", "v1")
    with pytest.raises(runs_published.RunNotFound, match=r"no model other \(it has best\)"):
        run.model("other")
    with pytest.raises(runs_published.RunNotFound, match="no file"):
        run.data("../../secret")


def test_unreadable_manifest_is_corrupt(outputs: Path) -> None:
    _draft().publish(MANIFEST)
    (outputs / "toy/v1/manifest.json").write_text('{"schema": 1')
    with pytest.raises(runs_published.RunCorrupt, match="cannot be read"):
        runs_published.open_run("toy", "v1")
    assert runs_published.verify("toy", "v1") == ["The manifest of toy v1 cannot be read."]


def test_study_names_cannot_leave_the_folder(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(outputs / "studies"))
    _draft().publish(MANIFEST)
    assert runs_published.versions("toy") == ["v1"]
    assert (
        runs_published.versions("../studies/toy")
        == runs_published.versions("..")
        == runs_published.versions("")
        == []
    )


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["list"]) == 0
    assert capsys.readouterr().out == "none published\n"
    _draft().publish(MANIFEST)
    assert __main__.main(["list"]) == __main__.main(["verify"]) == 0
    assert capsys.readouterr().out == "toy v1\n1 published runs, 0 problems.\n"
    assert __main__.main(["what"]) == 2


def test_any_text_may_be_a_class_name() -> None:
    draft = _draft()
    table = pd.DataFrame({"label": ["None", "NA", "007"], "f1": [0.5, float("nan"), 1.0]})
    draft.write_table("report.csv", table)
    read = draft.read_table("report.csv")
    assert read["label"].tolist() == ["None", "NA", "007"]
    assert read["f1"].isna().tolist() == [False, True, False]


def test_tables_come_back_to_the_last_bit_and_ids_take_little(outputs: Path) -> None:
    ids = np.sort(np.random.default_rng(0).permutation(60_000)[:15_000])
    table = pd.DataFrame(
        {
            "split": "test",
            "id": ids,
            "share": np.random.default_rng(1).random(len(ids)).astype(np.float32),
            "exact": np.random.default_rng(2).random(len(ids)),
            "code": ids.astype(np.uint8),
            "kept": ids % 2 == 0,
        }
    )
    draft = _draft()
    draft.write_table("table.parquet", table)
    read = draft.read_table("table.parquet")
    pd.testing.assert_frame_equal(read, table, check_exact=True, check_dtype=True)
    draft.write_table("ids.parquet", table[["id"]])
    assert (draft.folder / "ids.parquet").stat().st_size < len(ids)  # a byte each
