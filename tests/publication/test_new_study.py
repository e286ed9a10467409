"""A new study is one new file: from that file through every notebook to a published version."""

import argparse
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from src import config
from src.data import studies
from src.runs import published
from src.serving.classifier import Classifier

pytestmark = [pytest.mark.slow, pytest.mark.training]

STUDY = """
title = "Shapes"
description = "Crosses and frames, 12 pixels wide."
licence = "CC0 1.0"
citation = "Made up."
homepage = "https://example.org"
image_shape = [12, 12, 1]
classes = ["cross", "frame"]

[split]
validation_share = 0.3
subset_share = 0.3

[[source.layouts]]
name = "npz"
reader = "keras_npz"
files = [{ name = "mnist.npz" }]

[augmentation]
shift = 0.1

[augmentation_study]
widths = [4, 8]
subset_epochs = 2
full_epochs = 2
seeds = 1

[networks.best]
architecture = { widths = [8, 8, 8] }

[networks.best.recipe]
epochs = 2
batch_size = 16

[hypotheses.T1]
title = "Better than a coin"
statement = "At least {margin} of the shapes are classified correctly."
stated = 2026-01-02
since_reading = 1
kind = "accuracy"
models = ["best"]
metric = "accuracy"
test = "score test against the margin, with Wilson's interval"
split = "test"
margin = 0.5
direction = "at least"
alpha = 0.05

[hypotheses.T1.meaning]
supported = "{value} ({low} to {high})."
refuted = "Only {value} ({low} to {high})."
undecided = "{value} ({low} to {high}). {needed}"
"""


def shapes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 12, 12) uint8 images with noise, and labels: 0 a cross, 1 a frame."""
    random = np.random.default_rng(seed)
    images, labels = random.integers(0, 60, (n, 12, 12), np.uint8), np.arange(n) % 2
    images[labels == 0, 5:7, 2:10] = images[labels == 0, 2:10, 5:7] = 220
    for side in (2, 9):
        images[labels == 1, side, 2:10] = images[labels == 1, 2:10, side] = 220
    return images, labels.astype(np.uint8)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One study file beside the shared one, its data, and an empty folder of outputs."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "shared.toml").write_text((config.study_files() / "shared.toml").read_text())
    (files / "shapes.toml").write_text(STUDY)
    data = tmp_path / "inputs" / "shapes"
    data.mkdir(parents=True)
    (x_train, y_train), (x_test, y_test) = shapes(160, 1), shapes(60, 2)
    np.savez(data / "mnist.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    monkeypatch.setattr(config, "study_files", lambda: files)
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path / "inputs"))
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("STUDY", "shapes")
    monkeypatch.setenv("PROFILE", "full")
    return tmp_path


def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "notebook_runner", config.ROOT / "jupyter_notebooks" / "run.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(path: Path) -> None:
    """The code cells of a notebook in this process, which sees the changed folders."""
    names = {"display": print}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            code = re.sub(r"^%.*", "", cell.source, flags=re.MULTILINE)
            exec(compile(code, path.name, "exec"), names)  # noqa: S102 - our own notebooks
    plt.close("all")


def test_one_file_is_enough_for_a_study_up_to_its_publication(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.ROOT / "jupyter_notebooks")
    assert "shapes" in studies.names()
    everything = argparse.Namespace(first=1, last=99)
    notebooks = runner().wanted(everything, studies.get("shapes"))
    assert [path.name[:2] for path in notebooks] == ["01", "02", "03", "04", "05", "08"]
    for path in notebooks:
        run(path)
    assert published.versions("shapes") == ["v1"]
    assert published.verify("shapes", "v1") == []
    (verdict,) = published.open_run("shapes", "v1").hypotheses
    assert verdict["id"] == "T1"
    images, labels = shapes(20, 3)
    results = Classifier.open("shapes").classify(images[..., None])
    assert {result.label for result in results} <= {"cross", "frame"}
    assert all(result.decision in {"automatic", "check"} for result in results)
    assert len(results) == len(labels)
