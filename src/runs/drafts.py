"""Drafts: a run that is being made, invisible to the app until it is published.

`outputs/<study>/.partial/<profile>/` holds `run/`, `checkpoints/` and `logs/`. A run is published
by one rename after its manifest was written as its last file, so whatever happens, a version is
either complete or not there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import config
from src.runs import ledger, published
from src.runs.published import RunError

if TYPE_CHECKING:
    import pandas as pd
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
# Networks are served, except ablations; classical models are there to be compared with.
REQUIRED_OF_A_SERVED_MODEL = "model.tflite model_int8.tflite".split()


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
        return published.read_table(path, self._read(path))

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
        return made.get("family", "network") in published.NETWORKS

    def to_serve(self) -> list[str]:
        """Names of the networks that will answer in the app: all except ablations."""
        return [
            name
            for name in filter(self.is_network, self.models())
            if not self.read_json(f"models/{name}/config.json").get(published.ABLATION)
        ]

    def publish(
        self, manifest: dict[str, Any], version: str | None = None, reason: str = ""
    ) -> str:
        """Make the draft a version: hash its files, write the manifest, rename the folder.

        `manifest` holds everything but `schema`, `study`, `version`, `profile` and `files`. The
        ledger of readings gets a row first, with the `reason` to read the test images again.

        Raises:
            RunError: a required file is missing, the run is too large, or the version exists.
        """
        version = version or self._next_version()
        target = config.outputs() / self.study / version
        if not re.fullmatch(r"v[1-9]\d*", version):
            raise RunError(f"A version is called v1, v2, …, not {version!r}.")
        if target.exists():
            raise RunError(f"{self.study} {version} is published and never changes.")
        (self.folder / published.MANIFEST).unlink(missing_ok=True)
        files = _hashes(self.folder)
        self._check_complete(files)
        identity = {
            "schema": published.SCHEMA,
            "study": self.study,
            "version": version,
            "profile": self.profile,
        }
        self.write_json(published.MANIFEST, identity | manifest | {"files": files})
        _flush(self.folder / path for path in (*files, published.MANIFEST))
        anew = [name for name in self.models() if name not in manifest["inherited"]]
        ledger.record(self.study, version, manifest, " ".join(anew), reason)
        os.rename(self.folder, target)
        self._keep_logs(version)
        self._keep_estimators(version)
        shutil.rmtree(self._home)
        return version

    def _next_version(self) -> str:
        newest = next(iter(published.versions(self.study)), "v0")
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
            kept = published.estimators(self.study, version)
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
