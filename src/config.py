"""Paths, seeds and notebook parameters: the only module that knows where things are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEED = 20_260
PROFILES = ("full", "quick")
PREFERRED_STUDY = "cifar10"  # where none is named


def inputs() -> Path:
    """Folder of downloaded data."""
    return Path(os.environ.get("INPUTS_DIR", ROOT / "inputs"))


def stated() -> Path:
    """Folder of what was written down beforehand: hypotheses, business case, references."""
    return ROOT / "inputs"


def outputs() -> Path:
    """Folder of the published runs."""
    return Path(os.environ.get("OUTPUTS_DIR", ROOT / "outputs"))


def mirror() -> Path | None:
    """Folder with copies of the data sets, for machines that cannot reach the original hosts."""
    value = os.environ.get("DATASET_MIRROR")
    return Path(value) if value else None


@dataclass(frozen=True)
class Parameters:
    """What a notebook run is about."""

    study: str
    profile: str
    version: str | None  # None: the next free one
    backbone: str | None = None  # of transfer learning; None: the study's usual one


def parameters() -> Parameters:
    """Read `STUDY`, `PROFILE`, `VERSION` and `BACKBONE` from the environment.

    Raises:
        ValueError: the profile is not one of `PROFILES`.
    """
    profile = os.environ.get("PROFILE", "full")
    if profile not in PROFILES:
        raise ValueError(f"PROFILE must be one of {', '.join(PROFILES)}, not {profile!r}.")
    version = os.environ.get("VERSION") or None
    backbone = os.environ.get("BACKBONE") or None
    return Parameters(os.environ.get("STUDY", PREFERRED_STUDY), profile, version, backbone)
