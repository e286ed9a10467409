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

from src import config
from src.runs import published
from tests import albums

NOTEBOOKS = sorted((config.ROOT / "jupyter_notebooks").glob("*.ipynb"))


def _cells(path: Path) -> list[Any]:
    return list(nbformat.read(path, as_version=4).cells)


SERVED = {"plain", "plain_augmented", "best"}
CONTROLS = {"plain_subset", "plain_subset_augmented"}


def _quick_run(study: str, folder: Path) -> tuple[published.Run, list[str]]:
    """A study taken through the notebooks in the quick profile: its run, the executed notebooks."""
    command = [sys.executable, "jupyter_notebooks/run.py", "--study", study]
    command += ["--profile", "quick", "--into", str(folder / "executed")]
    done = subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert published.versions(study) == ["v1"]
    assert published.verify(study, "v1") == []
    run = published.open_run(study, "v1")
    assert run.manifest["profile"] == "quick"
    executed = sorted((folder / "executed").iterdir())
    outputs = [o for path in executed for cell in _cells(path) for o in cell.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error"]
    return run, [path.stem[:2] for path in executed]


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outputs and inputs in a folder of their own."""
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path / "inputs"))
    monkeypatch.delenv("DATASET_MIRROR", raising=False)
    return tmp_path


@pytest.mark.training
@pytest.mark.slow
def test_digits_take_networks_and_classical_models(apart: Path) -> None:
    run, executed = _quick_run("digits", apart)
    assert executed == ["01", "02", "03", "04", "05", "06", "08"]
    assert set(run.served) == {*SERVED, "dense"}
    compared = set(run.models) - set(run.served)
    assert {name for name in compared if run.model(name).is_network} == CONTROLS
    assert {run.model(name).family for name in compared - CONTROLS} == {
        *("baseline", "classical", "ensemble")
    }
    assert [h["id"] for h in run.hypotheses] == ["H1", "H2", "H3"]
    assert run.default_model in run.served
    whole = [path for path in run.manifest["files"] if path.endswith(".keras")]
    assert whole == [f"models/{run.default_model}/model.keras"]


@pytest.mark.training
@pytest.mark.slow
def test_idx_files_take_the_same_way(apart: Path) -> None:
    run, executed = _quick_run("fashion_mnist", apart)
    assert executed == ["01", "02", "03", "04", "05", "08"]
    assert set(run.served) == SERVED
    assert set(run.models) == SERVED | CONTROLS
    assert run.dataset["source"]["kind"] == "system"
    assert run.dataset["totals"] == {
        "train": 54_000,
        "validation": 6_000,
        "test": 10_000,
        "all": 70_000,
    }


@pytest.mark.training
@pytest.mark.slow
def test_a_folder_of_ones_own_takes_frozen_features(apart: Path) -> None:
    counts = {"Blaue Röcke": 14, "caps": 11, "coats/winter": 9}
    albums.fill(apart / "inputs" / "shop", counts, size=(240, 200))
    run, executed = _quick_run("shop", apart)
    assert executed == ["01", "02", "07", "08"]
    assert run.models == ["frozen"]
    assert run.dataset["classes"] == ["Blaue Röcke", "caps", "coats"]
    assert run.has("audit.json")
    assert run.has("cross_validation.csv")
    assert run.hypotheses == []


@pytest.mark.training
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


@pytest.mark.training
@pytest.mark.parametrize(
    ("backbone", "said"),
    [("VGG99", "There is no backbone 'VGG99'"), ("run:mnist/best", "takes images (28, 28, 1)")],
)
def test_a_backbone_that_cannot_serve_is_refused_first(
    tmp_path: Path, backbone: str, said: str
) -> None:
    command = [sys.executable, "jupyter_notebooks/run.py", "--study", "clothing"]
    environment = os.environ | {"BACKBONE": backbone, "INPUTS_DIR": str(tmp_path / "inputs")}
    done = subprocess.run(
        command, cwd=config.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "01_data_collection" not in done.stderr


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


def test_a_base_that_is_not_there_is_refused_first(tmp_path: Path) -> None:
    command = [sys.executable, "jupyter_notebooks/run.py", "--study", "digits", "--base", "v99"]
    environment = os.environ | {"INPUTS_DIR": str(tmp_path / "inputs")}
    done = subprocess.run(
        command, cwd=config.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "digits has no published version v99" in done.stderr
    assert "Traceback" not in done.stderr
    assert "01_data_collection" not in done.stderr
