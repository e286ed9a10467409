"""Paths, seeds and notebook parameters: the only module that knows where things are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEED = 20_260
PROFILES = ("full", "quick")


def inputs() -> Path:
    """Folder of downloaded data."""
    return Path(os.environ.get("INPUTS_DIR", ROOT / "inputs"))


def study_files() -> Path:
    """Folder of the studies' own files, which are part of the project."""
    return ROOT / "inputs" / "studies"


def drawings_file() -> Path:
    """File of the drawings that models of digits are tried with."""
    return ROOT / "inputs" / "drawings.toml"


def verdicts() -> Path:
    """Verdicts on hypotheses: those of all versions, and those of today on published runs."""
    return ROOT / "inputs" / "verdicts"


def outputs() -> Path:
    """Folder of the published runs."""
    return Path(os.environ.get("OUTPUTS_DIR", ROOT / "outputs"))


def mirror() -> Path | None:
    """Folder with copies of the data sets, for machines that cannot reach the original hosts."""
    value = os.environ.get("DATASET_MIRROR")
    return Path(value) if value else None


def child_environment(**more: str) -> dict[str, str]:
    """The environment for a process that this one starts, with more variables."""
    return {**os.environ, **more}


def setting(name: str, default: int) -> int:
    """A whole number of 0 or more that an operator sets in the environment.

    Raises:
        ValueError: it is set to something else.
    """
    value = os.environ.get(name) or str(default)
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"{name} must be a whole number of 0 or more, not {value!r}.")
    return int(value)


def merges_names() -> bool:
    """Whether classes of an own folder whose names look alike are one (`MERGE_NAMES`)."""
    return os.environ.get("MERGE_NAMES", "") not in ("", "0")


def on_heroku() -> bool:
    """Whether this is a Heroku dyno, which has one trusted proxy before it."""
    return "DYNO" in os.environ


@dataclass(frozen=True)
class Parameters:
    """What a notebook run is about."""

    study: str
    profile: str
    version: str | None  # None: the next free one
    backbone: str | None = None  # of transfer learning; None: the study's usual one
    base: str | None = None  # the version whose unchanged networks are taken over
    reason: str = ""  # to read the test images again


def parameters(default_study: str) -> Parameters:
    """Read `STUDY`, `PROFILE`, `VERSION`, `BACKBONE`, `BASE` and `REASON` from the environment.

    Raises:
        ValueError: the profile is not one of `PROFILES`.
    """
    profile = os.environ.get("PROFILE", "full")
    if profile not in PROFILES:
        raise ValueError(f"PROFILE must be one of {', '.join(PROFILES)}, not {profile!r}.")
    study = os.environ.get("STUDY") or default_study
    version, backbone, base = (os.environ.get(n) or None for n in ("VERSION", "BACKBONE", "BASE"))
    reason = os.environ.get("REASON", "")
    return Parameters(study, profile, version, backbone, base, reason)
