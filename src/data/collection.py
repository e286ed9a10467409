"""Sources: bring a study's files into `inputs/<study>/`, each checked against its SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from src import config
from src.data import folders
from src.data.formats import DataError
from src.data.specification import Layout, RemoteFile, StudySpec


@dataclass(frozen=True)
class Source:
    """Where the images came from."""

    kind: str  # "mirror", "system", "original", "package", "inputs" or "folder"
    detail: str
    layout: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)


# --- collecting --------------------------------------------------------------------------------


def collect(spec: StudySpec, *, progress: bool = True) -> Source:
    """Bring a study's files into `inputs/<study>/`, each checked against its SHA-256.

    Looked for in this order: already in `inputs/`, the folder in `DATASET_MIRROR`, where a Debian
    package puts it, the original host (with a progress bar and three attempts). A file appears
    under its name only when complete.

    Raises:
        DataError: a file is damaged, or no source has it.
    """
    if spec.read_package is not None:
        from importlib.metadata import version

        return Source("package", f"{spec.package} {version(spec.package)}", "package")
    if spec.folder is not None:
        return Source("folder", "the user's own photos", "folder", folders.files(spec))
    return _in_inputs(spec) or _from_copy(spec) or _from_host(spec, progress)


def folder_of(spec: StudySpec) -> Path:
    """Where a study's files are kept."""
    return config.inputs() / spec.name


def _in_inputs(spec: StudySpec) -> Source | None:
    folder = folder_of(spec)
    layout = _layout_in(folder, spec)
    if layout is None:
        return None
    for file in layout.files:
        _check(folder / file.name, file)
    return _recorded_source(folder, layout)


def _layout_in(folder: Path, spec: StudySpec) -> Layout | None:
    """The layout whose files are in a folder, preferably all of the right size."""
    here = [la for la in spec.layouts if all((folder / file.name).is_file() for file in la.files)]
    whole = [la for la in here if all(_fits(folder / file.name, file) for file in la.files)]
    return next(iter((*whole, *here)), None)


def _fits(path: Path, file: RemoteFile) -> bool:
    return file.bytes is None or path.stat().st_size == file.bytes


def _from_copy(spec: StudySpec) -> Source | None:
    mirror = config.mirror()
    places = (
        [("mirror", mirror / spec.name, "a copy in the folder DATASET_MIRROR")] if mirror else []
    )
    if spec.system is not None:
        places.append(("system", spec.system, f"the Debian package {spec.package}"))
    for kind, place, detail in places:
        if layout := _layout_in(place, spec):
            for file in layout.files:
                _copy(place / file.name, folder_of(spec), file)
            return _record_source(spec, kind, detail, layout)
    return None


def _from_host(spec: StudySpec, progress: bool) -> Source:
    layout = next(la for la in spec.layouts if all(file.url for file in la.files))
    for file in layout.files:
        _download(file, folder_of(spec), progress)
    hosts = ", ".join(str(file.url) for file in layout.files)
    return _record_source(spec, "original", hosts, layout)


def _copy(path: Path, folder: Path, file: RemoteFile) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{file.name}.partial"
    try:
        shutil.copyfile(path, partial)
        _check(partial, file, shown=path)
        partial.replace(folder / file.name)
    finally:
        partial.unlink(missing_ok=True)


def _download(file: RemoteFile, folder: Path, progress: bool) -> None:
    import pooch

    if (folder / file.name).is_file():
        return _check(folder / file.name, file)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{file.name}.partial"
    try:
        pooch.create(
            folder,
            base_url="",
            registry={partial.name: file.sha256 and f"sha256:{file.sha256}"},
            urls={partial.name: str(file.url)},
            retry_if_failed=2,
        ).fetch(
            partial.name,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=30),
        )
        partial.replace(folder / file.name)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file.name} could not be fetched from {file.url} ({error}). Check the network and "
            f"run this again, or set DATASET_MIRROR to a folder that holds it, or put the file "
            f"into {folder}."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _check(path: Path, file: RemoteFile, shown: Path | None = None) -> None:
    shown = shown or path
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        kind = "truncated" if size < file.bytes else "too long"
        raise DataError(
            f"{shown} is {kind}: {size:,} bytes instead of {file.bytes:,}. "
            f"Delete it and run this again."
        )
    if file.sha256 is not None and (found := _sha256(path)) != file.sha256:
        raise DataError(
            f"{shown} is not the published file: its SHA-256 is {found}, expected {file.sha256}. "
            f"Delete it and run this again."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _record_source(spec: StudySpec, kind: str, detail: str, layout: Layout) -> Source:
    folder = folder_of(spec)
    source = Source(kind, detail, layout.name, _hashes(folder, layout))
    path = folder / "source.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(source), indent=1))
    os.replace(partial, path)
    return source


def _recorded_source(folder: Path, layout: Layout) -> Source:
    path = folder / "source.json"
    if path.is_file():
        recorded = Source(**json.loads(path.read_text()))
        if recorded.files == _hashes(folder, layout):
            return recorded
    return Source("inputs", "files put into inputs/ by hand", layout.name, _hashes(folder, layout))


def _hashes(folder: Path, layout: Layout) -> dict[str, dict[str, Any]]:
    """Hash and size of each file of a layout: the known ones, else those found in the folder."""
    return {
        file.name: {
            "sha256": file.sha256 or _sha256(folder / file.name),
            "bytes": file.bytes or (folder / file.name).stat().st_size,
        }
        for file in layout.files
    }
