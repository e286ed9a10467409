"""The notebooks: run end to end on digits, and committed as they should be."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest

from src import config, runs

NOTEBOOKS = sorted((config.ROOT / "jupyter_notebooks").glob("*.ipynb"))


def _cells(path: Path) -> list[Any]:
    return list(nbformat.read(path, as_version=4).cells)


@pytest.mark.slow
def test_quick_run_publishes_a_complete_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "outputs"))
    command = [sys.executable, "jupyter_notebooks/run.py", "--study", "digits"]
    command += ["--profile", "quick", "--into", str(tmp_path / "executed")]
    done = subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert runs.versions("digits") == ["v1"]
    assert runs.verify("digits", "v1") == []
    run = runs.open_run("digits", "v1")
    assert run.manifest["profile"] == "quick"
    assert set(run.models) == {
        *("plain", "plain_augmented", "plain_subset", "plain_subset_augmented", "best")
    }
    assert [h["id"] for h in run.hypotheses] == ["H1", "H2", "H3"]
    executed = sorted((tmp_path / "executed").iterdir())
    assert [path.name for path in executed] == [path.name for path in NOTEBOOKS]
    errors = [o for p in executed for c in _cells(p) for o in c.get("outputs", [])]
    assert not [o for o in errors if o.output_type == "error"]


@pytest.mark.slow
def test_failing_notebook_is_reported_and_nothing_is_published(tmp_path: Path) -> None:
    environment = os.environ | {"OUTPUTS_DIR": str(tmp_path), "INPUTS_DIR": "/nonexistent/folder"}
    environment.pop("DATASET_MIRROR", None)
    command = [sys.executable, "jupyter_notebooks/run.py", "--study", "digits"]
    command += ["--version", "final", "--profile", "quick", "--into", str(tmp_path / "executed")]
    (tmp_path / "digits").write_text("in the way")
    done = subprocess.run(
        command, cwd=config.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "NotADirectoryError" in done.stderr
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_are_executed_in_order_and_explained(path: Path) -> None:
    cells = _cells(path)
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert cells[0].cell_type == "markdown"
    for before, cell in pairwise(cells):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 20
            assert before.cell_type == "markdown", cell.source
    assert not [o for c in code for o in c.outputs if o.output_type == "error"]
    text = path.read_text()
    assert str(config.ROOT) not in text
    assert "os.chdir" not in text


def test_notebooks_are_numbered_without_gaps() -> None:
    assert [path.name[:3] for path in NOTEBOOKS] == [f"0{i}_" for i in range(1, len(NOTEBOOKS) + 1)]
