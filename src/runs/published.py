"""Published runs: the only module that knows the inside of `outputs/`.

    outputs/<study>/v<N>/                a published run: complete, hashed, never changed
    outputs/<study>/readings.csv         how often the test images were read (`ledger`)
    outputs/<study>/.partial/<profile>/  a run being made: `run/`, `checkpoints/` and `logs/`
    outputs/<study>/.logs/v<N>/          TensorBoard events of a published run, on this machine only
    outputs/<study>/.estimators/v<N>/    its fitted classical models, on this machine only

A run is published by one rename after its manifest was written as its last file, so whatever
happens, a version is either complete or not there.

Command line: `python -m src.runs verify` checks every published run; `list` names them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from src import config

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"
SCHEMA = 2
READABLE = (1, SCHEMA)  # 1: no answers of int8 files, times of models measured one after another
NETWORKS = ("network", "transfer")  # the families whose models learn by epochs
ABLATION = "control"  # the key of `config.json` that marks a network trained for comparison only
# The deployed app never loads these, so a deployment may leave them out.
NOT_DEPLOYED = (".keras", ".png", "_predictions.parquet")  # see .slugignore


class RunError(Exception):
    """A run cannot be used or published; the message is for a person."""


class RunNotFound(RunError):
    """There is no such published run."""


class RunCorrupt(RunError):
    """A published run is not what its manifest says."""


# --- reading -----------------------------------------------------------------------------------


def studies() -> list[str]:
    """Names of the studies with at least one published version, in alphabetical order."""
    folder = config.outputs()
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(name for name in names if not name.startswith(".") and versions(name))


def versions(study: str) -> list[str]:
    """Published versions of a study, newest first; none where the name is not a plain one."""
    if Path(study).name != study or study.startswith("."):  # it may come from a link
        return []
    folder = config.outputs() / study
    numbers = [
        int(match[1])
        for path in (folder.iterdir() if folder.is_dir() else [])
        if (match := re.fullmatch(r"v([1-9]\d*)", path.name)) and (path / MANIFEST).is_file()
    ]
    return [f"v{number}" for number in sorted(numbers, reverse=True)]


def estimators(study: str, version: str) -> Path:
    """Where the fitted classical models of a run are kept, on the machine that made it."""
    return config.outputs() / study / ".estimators" / version


def open_run(study: str, version: str) -> Run:
    """Open a published run; reads only its manifest.

    Raises:
        RunNotFound: it was never published or is gone.
        RunCorrupt: its manifest cannot be read.
    """
    if version not in versions(study):
        known = ", ".join(versions(study)) or "none"
        raise RunNotFound(f"{study} has no published version {version} (published: {known}).")
    folder = config.outputs() / study / version
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["schema"] not in READABLE:
            raise RunCorrupt(f"{study} {version} was written in another format.")
        return Run(study, version, folder, manifest)
    except (OSError, ValueError, KeyError) as error:
        raise RunCorrupt(f"The manifest of {study} {version} cannot be read.") from error


@dataclass(frozen=True)
class Run:
    """One published run. Files are checked against the manifest's SHA-256 as they are read."""

    study: str
    version: str
    folder: Path
    manifest: dict[str, Any]

    def has(self, path: str) -> bool:
        """Whether the run has this file, and it was not left out of the deployment."""
        return path in self.manifest["files"] and (self.folder / path).is_file()

    def data(self, path: str) -> bytes:
        """The bytes of one of the run's files.

        Raises:
            RunNotFound: the run has no such file.
            RunCorrupt: the file is missing or was changed after publication.
        """
        if path not in self.manifest["files"]:
            raise RunNotFound(f"{self.study} {self.version} has no file {path}.")
        try:
            content = (self.folder / path).read_bytes()
        except OSError as error:
            raise RunCorrupt(f"{self.study} {self.version}: {path} is missing.") from error
        if hashlib.sha256(content).hexdigest() != self.manifest["files"][path]["sha256"]:
            raise RunCorrupt(f"{self.study} {self.version}: {path} was changed after publication.")
        return content

    def json(self, path: str) -> Any:
        """A JSON file of the run."""
        return json.loads(self.data(path))

    def table(self, path: str) -> pd.DataFrame:
        """A Parquet or CSV file of the run."""
        return read_table(path, self.data(path))

    @cached_property
    def dataset(self) -> dict[str, Any]:
        card: dict[str, Any] = self.json("dataset.json")
        return card

    @cached_property
    def untested(self) -> list[str]:
        """The classes without test images: trained, but no figure on test is about them."""
        return [name for name, n in self.dataset["counts"]["test"].items() if not n]

    @cached_property
    def hypotheses(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("hypotheses.json")
        return found

    @cached_property
    def model_card(self) -> str:
        return self.data("MODEL_CARD.md").decode()

    @property
    def default_model(self) -> str:
        return str(self.manifest["default_model"])

    @cached_property
    def models(self) -> list[str]:
        """Names of the models, the default one first, then in alphabetical order."""
        names = {path.split("/")[1] for path in self.manifest["files"] if path[:7] == "models/"}
        return sorted(names, key=lambda name: (name != self.default_model, name))

    @cached_property
    def served(self) -> list[str]:
        """Names of the models that can classify new images, in the order of `models`."""
        return [name for name in self.models if self.model(name).served]

    def model(self, name: str) -> ModelRecord:
        """What was written down about one model.

        Raises:
            RunNotFound: the run has no such model.
        """
        if name not in self.models:
            known = ", ".join(self.models)
            raise RunNotFound(f"{self.study} {self.version} has no model {name} (it has {known}).")
        return ModelRecord(self, name)


@dataclass(frozen=True)
class ModelRecord:
    """The files of one model of a run, read when first asked for."""

    run: Run
    name: str

    def _path(self, file: str) -> str:
        return f"models/{self.name}/{file}"

    @property
    def served(self) -> bool:
        """Whether it can classify new images: not a classical model or an ablation."""
        return self._path("model.tflite") in self.run.manifest["files"]

    @property
    def ablation(self) -> bool:
        """Whether it was trained for comparison only."""
        return bool(self.config.get(ABLATION, False))

    @property
    def family(self) -> str:
        """`network`, `transfer`, `classical`, `ensemble` or `baseline`."""
        return str(self.config.get("family", "network"))

    @property
    def is_network(self) -> bool:
        """Whether it learned by epochs and has a `history`."""
        return self.family in NETWORKS

    def _optional(self, file: str) -> pd.DataFrame | None:
        return self.run.table(self._path(file)) if self.run.has(self._path(file)) else None

    @cached_property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.run.json(self._path("config.json"))
        return found

    @property
    def origin(self) -> dict[str, Any]:
        """Where it was trained: version, created, code_revision, environment (`inheritance`)."""
        found: dict[str, Any] = self.config.get("origin", self.run.manifest)
        return found

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """`metrics.json`, without the calibration error of early versions.

        Its interval missed the truth; `reliability` derives what can be said from `predictions`.
        """
        found: dict[str, Any] = self.run.json(self._path("metrics.json"))
        for part in found["splits"].values():
            part["metrics"].pop("calibration_error", None)
        return found

    def splits(self, precision: str) -> dict[str, Any] | None:
        """Metrics by split of what the file of a precision answers; None where it was not asked.

        Versions of schema 1 asked the float32 files only.
        """
        found: dict[str, Any] = (
            self.metrics if precision == "float32" else self.metrics.get(precision, {})
        )
        return found.get("splits")

    @cached_property
    def history(self) -> pd.DataFrame:
        return self.run.table(self._path("history.csv"))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return self.run.table(self._path("predictions.parquet"))

    @cached_property
    def report(self) -> pd.DataFrame:
        return self.run.table(self._path("report.csv"))

    @cached_property
    def seeds(self) -> pd.DataFrame | None:
        return self._optional("seeds.csv")

    @cached_property
    def seed_predictions(self) -> pd.DataFrame | None:
        return self._optional("seed_predictions.parquet")

    def tflite(self, precision: str) -> bytes:
        """The served model, `float32` or `int8`."""
        return self.run.data(
            self._path("model.tflite" if precision == "float32" else f"model_{precision}.tflite")
        )


def read_table(path: str, content: bytes) -> pd.DataFrame:
    """A Parquet or CSV file as a frame, by its name's ending; class names stay text."""
    import pandas as pd  # here, so that checking the runs before a start does not wait for it

    stream = io.BytesIO(content)
    if path.endswith(".parquet"):
        return pd.read_parquet(stream)
    # Class names are text even where they look like numbers ("0" … "9") or nothing ("None", "NA").
    text = {"label": str, "prediction": str}
    return pd.read_csv(stream, dtype=text, keep_default_na=False, na_values=[""])


# --- checking ----------------------------------------------------------------------------------


def verify(study: str, version: str) -> list[str]:
    """What is wrong with a published run, a sentence each; empty when it is as published."""
    try:
        run = open_run(study, version)
    except RunError as error:
        return [str(error)]
    listed = set(run.manifest["files"])
    present = {p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*") if p.is_file()}
    problems = [
        f"{study} {version}: {path} is not in the manifest."
        for path in sorted(present - listed - {MANIFEST})
    ]
    for path in sorted(listed):
        if path.endswith(NOT_DEPLOYED) and path not in present:
            continue
        try:
            run.data(path)
        except RunError as error:
            problems.append(str(error))
    return problems


def verify_all() -> list[str]:
    """The problems of all published runs."""
    return [p for study in studies() for version in versions(study) for p in verify(study, version)]


MODEL_FILES = {"keras": "model.keras", "float32": "model.tflite", "int8": "model_int8.tflite"}
