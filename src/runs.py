"""Published runs: the only module that knows the inside of `outputs/`.

    outputs/<study>/v<N>/                a published run: complete, hashed, never changed
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
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import config

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"
SCHEMA = 1
LIMIT_BYTES = 40_000_000
# Kind of a column → how Parquet holds it: bytes of floats sorted by their place compress by a
# third, differences of numbers that mostly rise, as ids do, to a quarter.
ENCODINGS = {"f": "BYTE_STREAM_SPLIT", "i": "DELTA_BINARY_PACKED"}
REQUIRED = (
    *("dataset.json", "splits.parquet", "gallery.parquet", "hypotheses.json", "MODEL_CARD.md"),
    *(
        f"eda/{name}.parquet"
        for name in (
            "class_counts class_pictures mean_differences intensity_histogram image_statistics "
            "extremes embedding_map class_similarity duplicates preprocessing augmentation_preview"
        ).split()
    ),
)
REQUIRED_OF_A_MODEL = "config.json predictions.parquet report.csv metrics.json".split()
REQUIRED_OF_A_NETWORK = ["history.csv"]
# Networks are served, but for controls; classical models are there to be compared with.
REQUIRED_OF_A_SERVED_MODEL = "model.tflite model_int8.tflite".split()
NETWORKS = ("network", "transfer")  # the families whose models learn by epochs
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
        if manifest["schema"] != SCHEMA:
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
        return _read_table(path, self.data(path))

    @cached_property
    def dataset(self) -> dict[str, Any]:
        card: dict[str, Any] = self.json("dataset.json")
        return card

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
        """Names of the models that can classify new pictures, in the order of `models`."""
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
        """Whether it can classify new pictures: classical models and controls are only compared."""
        return self._path("model.tflite") in self.run.manifest["files"]

    @property
    def control(self) -> bool:
        """Whether it was trained for comparison only."""
        return bool(self.config.get("control", False))

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
        found: dict[str, Any] = self.run.json(self._path("metrics.json"))
        return found

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


def _read_table(path: str, content: bytes) -> pd.DataFrame:
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


# --- writing -----------------------------------------------------------------------------------


class Draft:
    """A run being made. What is written here is invisible to the app until `publish`."""

    def __init__(self, study: str, profile: str) -> None:
        self.study, self.profile = study, profile
        self._home = config.outputs() / study / ".partial" / profile
        self.folder = self._home / "run"
        self.checkpoints = self._home / "checkpoints"
        self.logs = self._home / "logs"

    def clear(self) -> None:
        """Start over, but keep the checkpoints: finished and interrupted trainings go on."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def write(self, path: str, content: bytes) -> None:
        """Write one file, whole or not at all."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(content)
        os.replace(partial, target)

    def remove(self, path: str) -> None:
        """Take one file back, if it is there."""
        (self.folder / path).unlink(missing_ok=True)

    def write_json(self, path: str, value: Any) -> None:
        self.write(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode())

    def write_table(self, path: str, frame: pd.DataFrame) -> None:
        """Write a frame as Parquet or CSV, by the name's ending, without its index."""
        stream = io.BytesIO()
        if path.endswith(".parquet"):
            encoded = {
                str(name): ENCODINGS[dtype.kind]
                for name, dtype in frame.dtypes.items()
                if dtype.kind in ENCODINGS
            }
            frame.to_parquet(
                stream,
                index=False,
                compression="zstd",
                compression_level=15,
                column_encoding=encoded,
                use_dictionary=[str(name) for name in frame if str(name) not in encoded],
            )
        else:
            frame.to_csv(stream, index=False, float_format="%.6g")
        self.write(path, stream.getvalue())

    def read_json(self, path: str) -> Any:
        return json.loads(self._read(path))

    def read_table(self, path: str) -> pd.DataFrame:
        return _read_table(path, self._read(path))

    def has(self, path: str) -> bool:
        """Whether this file was written already."""
        return (self.folder / path).is_file()

    def _read(self, path: str) -> bytes:
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError as error:
            raise RunError(f"{path} is not there yet: run the earlier notebooks first.") from error

    def seed_model(self, name: str, seed: int) -> Path:
        """Where the float32 file of one seed's network is kept until the draft is published."""
        return self.checkpoints / name / f"seed_{seed}" / "model.tflite"

    def keep_seed_model(self, name: str, seed: int, content: bytes) -> None:
        """Keep that file, for the spread over seeds and for networks that learn from this one."""
        path = self.seed_model(name, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def models(self) -> list[str]:
        """Names of the models written so far, in alphabetical order."""
        return sorted(path.parent.name for path in self.folder.glob("models/*/config.json"))

    def is_network(self, model: str) -> bool:
        """Whether a model learned by epochs and answers through LiteRT."""
        made = self.read_json(f"models/{model}/config.json")
        return made.get("family", "network") in NETWORKS

    def to_serve(self) -> list[str]:
        """Names of the networks that will answer in the app: all but controls."""
        return [
            name
            for name in filter(self.is_network, self.models())
            if not self.read_json(f"models/{name}/config.json").get("control")
        ]

    def publish(self, manifest: dict[str, Any], version: str | None = None) -> str:
        """Make the draft a version: hash its files, write the manifest, rename the folder.

        `manifest` holds everything but `schema`, `study`, `version`, `profile` and `files`.

        Raises:
            RunError: a required file is missing, the run is too large, or the version exists.
        """
        version = version or self._next_version()
        target = config.outputs() / self.study / version
        if not re.fullmatch(r"v[1-9]\d*", version):
            raise RunError(f"A version is called v1, v2, …, not {version!r}.")
        if target.exists():
            raise RunError(f"{self.study} {version} is published and never changes.")
        (self.folder / MANIFEST).unlink(missing_ok=True)
        files = _hashes(self.folder)
        self._check_complete(files)
        identity = {
            "schema": SCHEMA,
            "study": self.study,
            "version": version,
            "profile": self.profile,
        }
        self.write_json(MANIFEST, identity | manifest | {"files": files})
        _flush(self.folder / path for path in (*files, MANIFEST))
        os.rename(self.folder, target)
        self._keep_logs(version)
        self._keep_estimators(version)
        shutil.rmtree(self._home)
        return version

    def _next_version(self) -> str:
        newest = next(iter(versions(self.study)), "v0")
        return f"v{int(newest[1:]) + 1}"

    def _check_complete(self, files: dict[str, dict[str, Any]]) -> None:
        per_model = [f"models/{m}/{f}" for m in self.models() for f in self._required_of(m)]
        missing = [path for path in (*REQUIRED, *per_model) if path not in files]
        if missing or not per_model:
            raise RunError(f"Not complete, so not published: {', '.join(missing) or 'no model'}.")
        size = sum(file["bytes"] for file in files.values())
        if size > LIMIT_BYTES:
            raise RunError(f"The run has {size:,} bytes, more than the {LIMIT_BYTES:,} allowed.")

    def _required_of(self, model: str) -> list[str]:
        trained = REQUIRED_OF_A_NETWORK if self.is_network(model) else []
        served = REQUIRED_OF_A_SERVED_MODEL if model in self.to_serve() else []
        return [*REQUIRED_OF_A_MODEL, *trained, *served]

    def _keep_logs(self, version: str) -> None:
        if self.logs.is_dir():
            kept = config.outputs() / self.study / ".logs" / version
            kept.parent.mkdir(exist_ok=True)
            shutil.rmtree(kept, ignore_errors=True)
            os.rename(self.logs, kept)

    def _keep_estimators(self, version: str) -> None:
        """Fitted classical models: of use to notebooks, too large for a run."""
        for path in sorted(self.checkpoints.glob("*/*.joblib")):
            kept = estimators(self.study, version)
            kept.mkdir(parents=True, exist_ok=True)
            os.replace(path, kept / path.name)


def _hashes(folder: Path) -> dict[str, dict[str, Any]]:
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.name.endswith(".partial"):
            path.unlink()  # left by an interrupted write
            continue
        content = path.read_bytes()
        files[path.relative_to(folder).as_posix()] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    return files


def _flush(paths: Iterable[Path]) -> None:
    """Ask the disk to hold the files before the rename makes them visible."""
    for path in paths:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


# --- command line ------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """`verify`: 1 and a line per problem, else 0. `list`: one line per published run."""
    if arguments == ["list"]:
        print("\n".join(f"{s} {v}" for s in studies() for v in versions(s)) or "none published")
        return 0
    if arguments == ["verify"]:
        problems = verify_all()
        for problem in problems:
            print(problem, file=sys.stderr)
        count = sum(len(versions(study)) for study in studies())
        print(f"{count} published runs, {len(problems)} problems.")
        return 1 if problems else 0
    print("usage: python -m src.runs verify | list", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
