"""A data set of 70,000 images through all notebooks, from the files of its Debian package."""

from pathlib import Path

import pytest

from tests.publication import notebooks

pytestmark = [pytest.mark.training, pytest.mark.slow]


def test_idx_files_take_the_same_way(apart: Path) -> None:
    run, executed = notebooks.quick_run("fashion_mnist", apart)
    assert executed == ["01", "02", "03", "04", "05", "08"]
    assert set(run.served) == notebooks.SERVED
    assert set(run.models) == notebooks.SERVED | notebooks.ABLATIONS
    assert run.dataset["source"]["kind"] == "system"
    assert run.dataset["totals"] == {
        "train": 54_000,
        "validation": 6_000,
        "test": 10_000,
        "all": 70_000,
    }
