"""The notebooks: run end to end on digits, and committed as they should be."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from src import config
from tests import albums
from tests.publication import notebooks

NOTEBOOKS = sorted((config.ROOT / "jupyter_notebooks").glob("*.ipynb"))


@pytest.mark.training
@pytest.mark.slow
def test_digits_take_networks_and_classical_models(apart: Path) -> None:
    run, executed = notebooks.quick_run("digits", apart)
    assert executed == ["01", "02", "03", "04", "05", "06", "08"]
    assert set(run.served) == {*notebooks.SERVED, "dense"}
    compared = set(run.models) - set(run.served)
    assert {name for name in compared if run.model(name).is_network} == notebooks.ABLATIONS
    assert {run.model(name).family for name in compared - notebooks.ABLATIONS} == {
        *("baseline", "classical", "ensemble")
    }
    assert [h["id"] for h in run.hypotheses] == ["H1", "H2", "H3"]
    assert run.default_model in run.served
    whole = [path for path in run.manifest["files"] if path.endswith(".keras")]
    assert whole == [f"models/{run.default_model}/model.keras"]


@pytest.mark.training
@pytest.mark.slow
def test_a_folder_of_ones_own_takes_frozen_features(apart: Path) -> None:
    counts = {"Blaue Röcke": 14, "caps": 11, "coats/winter": 9}
    albums.fill(apart / "inputs" / "shop", counts, size=(240, 200))
    run, executed = notebooks.quick_run("shop", apart)
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
    cells = notebooks.cells(path)
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
