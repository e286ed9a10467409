"""Fixtures of the tests that run notebooks."""

from pathlib import Path

import pytest


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outputs and inputs in a folder of their own."""
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path / "inputs"))
    monkeypatch.delenv("DATASET_MIRROR", raising=False)
    return tmp_path
