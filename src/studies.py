"""Studies: where a data set comes from, what it must contain, and how it is split.

`collect` brings the files of a study into `inputs/<study>/`, `load` turns them into arrays.
Every file is checked against its SHA-256 and every data set against the SHA-256 of its pictures,
so that both sources of a study are known to hold the same pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src import config, folders, specifications
from src.formats import DataError, Ids, Integers, Part, Pixels, Raw
from src.specifications import Layout, RemoteFile, StudySpec

LARGEST_GROUP = 0.1  # share of a class; nearly equal pictures that are more are trained on


@dataclass(frozen=True)
class Source:
    """Where the pictures came from."""

    kind: str  # "mirror", "system", "original", "package", "inputs" or "folder"
    detail: str
    layout: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """Some pictures of a data set.

    `ids` (n,): the picture's position in the file it came from (int64), or its relative path (text)
    where each is a file of its own; `images` (n, H, W, C) uint8; `labels` (n,) int64, index into
    the classes.
    """

    name: str
    ids: Ids
    images: Pixels
    labels: Integers

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Dataset:
    """A study's pictures, split once for all."""

    spec: StudySpec
    train: Split
    validation: Split
    test: Split
    subset_ids: Ids  # the stratified training subset, ids into `train`
    source: Source

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        return self.train, self.validation, self.test

    @property
    def subset(self) -> Split:
        """The stratified training subset as a split of its own, in the order of `train`."""
        return take(self.train, np.isin(self.train.ids, self.subset_ids))


def take(split: Split, rows: NDArray[Any]) -> Split:
    """The given rows (boolean mask or positions) of a split."""
    return Split(split.name, split.ids[rows], split.images[rows], split.labels[rows])


# --- which -------------------------------------------------------------------------------------


def names() -> tuple[str, ...]:
    """The studies that can be run: the known ones, default first, then the user's own folders."""
    return (*specifications.KNOWN, *folders.names())


def get(name: str) -> StudySpec:
    """The specification of a study.

    Raises:
        DataError: there is no such study, or its folder cannot be one.
    """
    if name in specifications.KNOWN:
        return specifications.KNOWN[name]
    if name in folders.names():
        return folders.specification(name)
    raise DataError(
        f"There is no study {name!r}; there are: {', '.join(names())}. A folder of your own "
        f"goes to {config.inputs() / name}, with one sub-folder per class."
    )


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
        return Source("folder", "the user's own pictures", "folder", folders.files(spec))
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


# --- loading and splitting ---------------------------------------------------------------------


def load(spec: StudySpec, *, progress: bool = True) -> Dataset:
    """Collect, read, check and split a study.

    Raises:
        DataError: see `collect`; also where a class is missing or the pictures are not the
            published ones.
    """
    source = collect(spec, progress=progress)
    raw = _read(spec, source)
    keys = {name: _keys(part.images, part.labels) for name, part in raw.items()}
    _check_classes(spec, raw)
    _check_content(spec, keys)
    return _split(spec, raw, keys, source)


def _read(spec: StudySpec, source: Source) -> Raw:
    if spec.read_package is not None:
        return spec.read_package()
    if spec.folder is not None:
        return folders.read(spec)
    layout = next(la for la in spec.layouts if la.name == source.layout)
    try:
        return layout.read(folder_of(spec))
    except (OSError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"The files in {folder_of(spec)} cannot be read: {error}.") from error


def _keys(images: Pixels, labels: Integers) -> list[bytes]:
    """A key per picture that depends on its content alone, never on the order of the file."""
    seed = str(config.SEED).encode()
    return [
        hashlib.sha256(seed + _label_bytes(int(label)) + image.tobytes()).digest()
        for image, label in zip(images, labels, strict=True)
    ]


def _label_bytes(label: int) -> bytes:
    return label.to_bytes(1 if label < 256 else 4, "big")


def content_sha256(keys: Iterable[Iterable[bytes]]) -> str:
    """SHA-256 over all picture keys in sorted order, part by part."""
    digest = hashlib.sha256()
    for part in keys:
        digest.update(b"".join(sorted(part)))
    return digest.hexdigest()


def _check_classes(spec: StudySpec, raw: Raw) -> None:
    for name, (images, labels, *_) in raw.items():
        missing = [c for i, c in enumerate(spec.classes) if not np.any(labels == i)]
        if missing:
            raise DataError(f"The {name} set of {spec.name} has no picture of {missing}.")
        if images.shape[1:] != spec.image_shape:
            raise DataError(
                f"The pictures of {spec.name} are {images.shape[1:]}, expected {spec.image_shape}."
            )


def _check_content(spec: StudySpec, keys: dict[str, list[bytes]]) -> None:
    found = content_sha256(keys.values())
    if spec.content_sha256 is not None and found != spec.content_sha256:
        raise DataError(
            f"The pictures of {spec.name} are not the published ones (content hash {found}, "
            f"expected {spec.content_sha256}). Delete {folder_of(spec)} and collect them again."
        )


def _split(spec: StudySpec, raw: Raw, keys: dict[str, list[bytes]], source: Source) -> Dataset:
    """Official parts stay as they are; what is missing is drawn from the training pictures."""
    train = raw["train"]
    groups = np.arange(len(train.labels)) if train.groups is None else train.groups
    order, remaining = _shuffled(train.labels, keys["train"], groups, spec.classes), 1.0
    drawn = {}
    for name, share in (("test", spec.test_share), ("validation", spec.validation_share)):
        if name in raw:
            drawn[name] = _part(name, raw[name], np.arange(len(raw[name].labels)))
            continue
        head, order = _cut(order, groups, (share or 0.0) / remaining)
        drawn[name] = _part(name, train, np.sort(np.concatenate(head)))
        remaining -= share or 0.0
    kept = _part("train", train, np.sort(np.concatenate(order)))
    head, _ = _cut(order, groups, spec.subset_share / remaining)
    subset = _part("train", train, np.sort(np.concatenate(head)))
    return Dataset(spec, kept, drawn["validation"], drawn["test"], subset.ids, source)


def _shuffled(
    labels: Integers, keys: list[bytes], groups: Integers, classes: tuple[str, ...]
) -> list[Integers]:
    """Per class the row numbers in the order of the keys: random, seeded, source-independent.

    Rows of one group stand together; groups too large to be cut off for a test stand at the end.
    """
    rank = np.empty(len(keys), np.int64)
    rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return [
        rows[_gathered(rank[rows], groups[rows])]
        for rows in (np.flatnonzero(labels == label) for label in range(len(classes)))
    ]


def _gathered(rank: Integers, groups: Integers) -> Integers:
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    first = np.full(len(sizes), rank.max(initial=0))
    np.minimum.at(first, group, rank)
    large = sizes > max(1, LARGEST_GROUP * len(rank))
    return np.lexsort((rank, first[group], large[group]))


def _cut(
    order: list[Integers], groups: Integers, share: float
) -> tuple[list[Integers], list[Integers]]:
    """The first share of every class and the rest; as near to it as its groups allow."""
    places = [_place(groups[rows], round(share * len(rows))) for rows in order]
    head = [rows[:place] for rows, place in zip(order, places, strict=True)]
    return head, [rows[place:] for rows, place in zip(order, places, strict=True)]


def _place(groups: Integers, wanted: int) -> int:
    """Where to cut: between two groups and with something on both sides, if that can be."""
    between = 1 + np.flatnonzero(np.diff(groups))
    if wanted in (0, len(groups)) or not len(between):
        return wanted
    return int(between[np.argmin(np.abs(between - wanted))])


def _part(name: str, part: Part, rows: Integers) -> Split:
    ids = rows if part.ids is None else part.ids[rows]
    return Split(name, ids, part.images[rows], part.labels[rows])


def ids_sha256(ids: Ids) -> str:
    """SHA-256 of ordered ids (little-endian int64, or lines of text): the very same rows."""
    if np.issubdtype(ids.dtype, np.integer):
        return hashlib.sha256(np.ascontiguousarray(ids, "<i8").tobytes()).hexdigest()
    return hashlib.sha256("\n".join(ids.tolist()).encode()).hexdigest()


def card(dataset: Dataset) -> dict[str, Any]:
    """The dataset card: what is in the study, where it came from, and how it was split."""
    spec = dataset.spec
    counts = {split.name: class_counts(split, spec.classes) for split in dataset.splits}
    totals = {name: sum(count.values()) for name, count in counts.items()}
    mean, deviation = _channel_moments(dataset.train.images)
    return {
        "study": spec.name,
        "title": spec.title,
        "description": spec.description,
        "licence": spec.licence,
        "citation": spec.citation,
        "homepage": spec.homepage,
        "source": asdict(dataset.source),
        "classes": list(spec.classes),
        "image_shape": list(spec.image_shape),
        "counts": counts,
        "totals": totals | {"all": sum(totals.values())},
        "subset": {
            "n": len(dataset.subset_ids),
            "per_class": class_counts(dataset.subset, spec.classes),
        },
        "disk_bytes": sum(file["bytes"] for file in dataset.source.files.values()),
        "pixel_bytes": sum(split.images.nbytes for split in dataset.splits),
        "split_seed": config.SEED,
        "test_ids_sha256": ids_sha256(dataset.test.ids),
        "channel_mean": mean.tolist(),
        "channel_std": deviation.tolist(),
    }


def _channel_moments(images: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel, from the counts of its 256 values."""
    values = np.arange(256)
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for start in range(0, len(images), 64):  # photos would not fit into memory as float64
        for channel in range(images.shape[-1]):
            some = images[start : start + 64, ..., channel]
            counts[channel] += np.bincount(some.ravel(), minlength=256)
    shares = counts / counts.sum(1, keepdims=True)
    mean = shares @ values
    return mean, np.sqrt((shares * (values - mean[:, None]) ** 2).sum(1))


def class_counts(split: Split, classes: tuple[str, ...]) -> dict[str, int]:
    """Pictures per class, in the order of the classes."""
    found = np.bincount(split.labels, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, found, strict=True)}
