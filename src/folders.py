"""The user's own pictures: a folder (or zip) with one sub-folder per class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.formats import Raw
from src.specifications import StudySpec


def names() -> tuple[str, ...]:
    """The studies that lie in `inputs/` as folders of pictures."""
    return ()


def specification(name: str) -> StudySpec:
    """The specification of a user's folder."""
    raise NotImplementedError(name)


def files(folder: Path) -> dict[str, dict[str, Any]]:
    """Hash and size of every picture."""
    raise NotImplementedError(folder)


def read(folder: Path, spec: StudySpec) -> Raw:
    """All pictures of the folder."""
    raise NotImplementedError(folder)
