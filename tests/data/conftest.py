"""Fixtures of the tests of data sets and own folders."""

from pathlib import Path

import pytest


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of inputs, which the project looks into."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    monkeypatch.setenv("INPUTS_DIR", str(folder))
    return folder
