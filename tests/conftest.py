"""Fixtures of all tests, which see the project as a fresh clone has it."""

import gc
import os
from collections.abc import Iterator

import pytest

from tests import live

# What a person may have set for their own runs must not change what the tests see.
for name in ("OUTPUTS_DIR", "INPUTS_DIR", "STUDY", "PROFILE", "VERSION", "BASE", "REASON"):
    os.environ.pop(name, None)
for name in [name for name in os.environ if name.startswith("STREAMLIT_")]:
    os.environ.pop(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no process is left alone with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Streamlit collects garbage after every run of a script: what stays is not looked at again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def server() -> Iterator[live.Server]:
    """The real server on the committed outputs."""
    with live.serve() as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[live.Browser]:
    """A headless Chromium, shared by the tests; each opens its own page."""
    with live.browse() as running:
        yield running
