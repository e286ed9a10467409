"""Running the notebooks as a person does, and reading what they leave."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat

from src import config
from src.runs import published

SERVED = {"plain", "plain_augmented", "best"}
ABLATIONS = {"plain_subset", "plain_subset_augmented"}


def cells(path: Path) -> list[Any]:
    """The cells of a notebook, in order."""
    return list(nbformat.read(path, as_version=4).cells)


def quick_run(study: str, folder: Path) -> tuple[published.Run, list[str]]:
    """A study taken through the notebooks in the quick profile: its run, the executed notebooks."""
    command = [sys.executable, "jupyter_notebooks/run.py", "--study", study]
    command += ["--profile", "quick", "--into", str(folder / "executed")]
    done = subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not [noise for noise in ("absl", "oneDNN", "cuda") if noise in done.stderr]
    assert published.versions(study) == ["v1"]
    assert published.verify(study, "v1") == []
    run = published.open_run(study, "v1")
    assert run.manifest["profile"] == "quick"
    executed = sorted((folder / "executed").iterdir())
    outputs = [o for path in executed for cell in cells(path) for o in cell.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error"]
    return run, [path.stem[:2] for path in executed]
