"""The benchmarks' own sums: what counts as a promise kept, and how size is counted."""

from pathlib import Path

import pytest

from benchmarks import slug
from benchmarks.report import Measure, line


@pytest.mark.parametrize(
    ("value", "target", "at_least", "holds"),
    [
        (250.0, 250, False, True),
        (250.1, 250, False, False),
        (30.0, 30, True, True),
        (29.9, 30, True, False),
        (1e9, None, False, True),
    ],
)
def test_a_promise_is_kept_up_to_its_bound(
    value: float, target: float | None, at_least: bool, holds: bool
) -> None:
    assert Measure("x", value, "MB", target, at_least).holds is holds


def test_a_broken_promise_says_so() -> None:
    assert line(Measure("size", 251.4, "MB", 250)).split() == [
        *("size", "251", "MB", "at", "most", "250", "MISSED"),
    ]
    assert line(Measure("ratio", 1234.5, "×", 30, at_least=True)).split() == [
        *("ratio", "1,234", "×", "at", "least", "30", "ok"),
    ]


def test_size_is_that_of_the_compressed_archive(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(1_000_000))
    assert 0 < slug.compressed([tmp_path / "zeros"]) < 0.01
    assert slug.compressed([]) < slug.compressed([tmp_path / "zeros"])


def test_what_is_measured_is_what_is_deployed() -> None:
    names = {path.relative_to(slug.ROOT).as_posix() for path in slug.project_files()}
    assert {"app.py", "asgi.py", "src/runs.py", ".streamlit/config.toml"} <= names
    assert not any(name.startswith(("tests/", "jupyter_notebooks/")) for name in names)
    assert not any(name.endswith(".keras") for name in names)
    assert "streamlit" in slug.packages()
    assert "tensorflow" not in slug.packages()
