"""What a person sees on the terminal while notebooks run, and what goes to the log."""

import importlib.util
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from src import config

NOISY = """
import logging, os, sys
os.write(2, b"E0000 00:00:17.5 99 cuda_dnn.cc:8579] Unable to register cuDNN factory\\n")
os.system("echo from a child process >&2")
logging.warning("a library warns")
print("I0000 00:00:17.5 99 cpu_utils.cc:150] XLA is enabled", file=sys.stderr)
print("\\r 50%|#####     | 1/2", end="", file=sys.stderr)
print("\\n12 groups of duplicates")
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py as a module, whose outputs go to a folder of their own."""
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("STUDY", "digits")
    path = config.ROOT / "jupyter_notebooks" / "run.py"
    spec = importlib.util.spec_from_file_location("notebook_runner", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def notebook(path: Path, *cells: str) -> Path:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(made, path)
    return path


def test_only_progress_and_results_reach_the_terminal(
    runner: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = notebook(tmp_path / "01_noisy.ipynb", NOISY)
    runner.execute(path, tmp_path / "executed")
    shown = "".join(capfd.readouterr())
    assert sorted(shown.split("\n")) == sorted(
        ["\r 50%|#####     | 1/2", "12 groups of duplicates", ""]
    )
    log = runner.log_of(path).read_text()
    kept = nbformat.read(tmp_path / "executed" / path.name, as_version=4).cells[0].outputs
    for told in ("cuDNN factory", "a child process", "a library warns", "XLA is enabled"):
        assert told in log
        assert told not in str(kept)


def test_a_failure_names_the_log(
    runner: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = notebook(tmp_path / "01_failing.ipynb", "import os; os.write(2, b'why')", "1 / 0")
    monkeypatch.setattr(runner, "notebooks", lambda: [path])
    assert runner.main(["--study", "digits", "--into", str(tmp_path / "executed")]) == 1
    shown = capfd.readouterr().err
    assert "ZeroDivisionError" in shown
    assert f"messages are in {runner.log_of(path)}." in shown
    assert "why" in runner.log_of(path).read_text()
