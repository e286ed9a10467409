"""Studies: where a data set comes from, what it must contain, and how it is split.

`collect` brings the files of a study into `inputs/<study>/`, `load` turns them into arrays.
Every file is checked against its SHA-256 and every data set against the SHA-256 of its pictures,
so that both sources of a study are known to hold the same pictures.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src import config

Pixels = NDArray[np.uint8]
Integers = NDArray[np.int64]
Raw = dict[str, tuple[Pixels, Integers]]


class DataError(Exception):
    """The data of a study is missing or not what it should be; the message says what to do."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of a source: its name, content hash, size in bytes and, if public, its address."""

    name: str
    sha256: str
    bytes: int
    url: str | None = None


@dataclass(frozen=True)
class Layout:
    """One form in which a data set is distributed, and the function that reads it."""

    name: str
    files: tuple[RemoteFile, ...]
    read: Callable[[Path], Raw]


@dataclass(frozen=True)
class Augmentation:
    """Random changes that keep a picture's class: what each picture may become in an epoch."""

    flip: bool = False  # mirror left to right with probability 1/2
    alternate: bool = False  # mirror in every other epoch instead of at random
    shift: float = 0.0  # up to this share of the side, both directions
    rotation: float = 0.0  # up to this many degrees, both directions
    zoom: float = 0.0  # scale between 1 - zoom and 1 + zoom
    cutout: float = 0.0  # a square of this share of the side is greyed out


@dataclass(frozen=True)
class StudySpec:
    """Everything in which one study differs from another."""

    name: str
    title: str
    description: str
    classes: tuple[str, ...]  # in the order of the labels and of every model's outputs
    image_shape: tuple[int, int, int]
    licence: str
    citation: str
    homepage: str
    augmentation: Augmentation
    content_sha256: str  # of all pictures with their labels, in any order
    validation_share: float  # of the official training set
    subset_share: float  # of the official training set
    layouts: tuple[Layout, ...] = ()
    read_package: Callable[[], Raw] | None = None  # data that ships inside a Python package
    package: str = ""
    test_share: float | None = None  # None: the official test set stays the test set


@dataclass(frozen=True)
class Source:
    """Where the pictures came from."""

    kind: str  # "mirror", "original" or "package"
    detail: str
    layout: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """Some pictures of a data set.

    `ids` (n,) int64: the picture's position in the file it came from; `images` (n, H, W, C) uint8;
    `labels` (n,) int64, index into the classes.
    """

    name: str
    ids: Integers
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
    subset_ids: Integers  # the stratified training subset, ids into `train`
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


# --- reading -----------------------------------------------------------------------------------


def _read_cifar_parquet(folder: Path) -> Raw:
    return {name: _read_picture_table(folder / f"{name}.parquet") for name in ("train", "test")}


def _read_picture_table(path: Path) -> tuple[Pixels, Integers]:
    import pyarrow.parquet as pq
    from PIL import Image

    def pixels(cell: dict[str, Any]) -> Pixels:
        return np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB"))

    table = pq.read_table(path)
    with ThreadPoolExecutor() as pool:
        images = np.stack(list(pool.map(pixels, table["img"].to_pylist())))
    return images, table["label"].to_numpy().astype(np.int64)


def _read_cifar_archive(folder: Path) -> Raw:
    with tarfile.open(folder / "cifar-10-python.tar.gz") as archive:
        batches = [_read_cifar_batch(archive, f"data_batch_{i}") for i in range(1, 6)]
        test = _read_cifar_batch(archive, "test_batch")
    train = tuple(np.concatenate(part) for part in zip(*batches, strict=True))
    return {"train": (train[0], train[1]), "test": test}


def _read_cifar_batch(archive: tarfile.TarFile, name: str) -> tuple[Pixels, Integers]:
    member = archive.extractfile(f"cifar-10-batches-py/{name}")
    if member is None:
        raise DataError(f"The CIFAR-10 archive has no {name}.")
    # The official archive is a pickle; its SHA-256 was checked before this line is reached.
    batch = pickle.load(member, encoding="bytes")  # noqa: S301
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.asarray(batch[b"labels"], np.int64)


def _read_digits() -> Raw:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    grey = np.rint(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return {"train": (grey, labels.astype(np.int64))}


# --- specifications ----------------------------------------------------------------------------

CIFAR10 = StudySpec(
    name="cifar10",
    title="CIFAR-10",
    description=(
        "Sixty thousand colour photographs of ten kinds of things, 32 pixels wide: the e-commerce "
        "client's stand-in for a catalogue whose pictures have to be filed into categories."
    ),
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    image_shape=(32, 32, 3),
    licence="No explicit licence; the authors ask to be cited.",
    citation=(
        "Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, "
        "technical report, University of Toronto, 2009."
    ),
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    augmentation=Augmentation(flip=True, shift=0.125, rotation=10.0, zoom=0.1),
    content_sha256="8b1a891abf275a707f37892c50b3ec9b946452e323929c2fe55738f71dbfac5e",
    validation_share=0.1,
    subset_share=0.1,
    layouts=(
        Layout(
            "parquet",
            (
                RemoteFile(
                    "train.parquet",
                    "ac89f39e840145b33aa05caea8cb685f380883dc2c97c13a0edcff820deb06d5",
                    114_977_296,
                ),
                RemoteFile(
                    "test.parquet",
                    "40b92f90eda747425487f6c139ebf9c9ef4efe5bb651272615e24ce705b1ede2",
                    22_997_424,
                ),
            ),
            _read_cifar_parquet,
        ),
        Layout(
            "archive",
            (
                RemoteFile(
                    "cifar-10-python.tar.gz",
                    "6d958be074577803d12ecdefd02955f39262c83c16fe9324329d7fe0b5c001ce",
                    170_498_071,
                    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                ),
            ),
            _read_cifar_archive,
        ),
    ),
)

DIGITS = StudySpec(
    name="digits",
    title="Digits",
    description=(
        "1,797 handwritten digits, 8 pixels wide, inside the scikit-learn wheel: the quick start, "
        "and what the tests run on."
    ),
    classes=tuple("0123456789"),
    image_shape=(8, 8, 1),
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    citation=(
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, "
        "UCI Machine Learning Repository, 1998."
    ),
    homepage="https://archive.ics.uci.edu/dataset/80",
    # A mirrored or strongly turned digit is another digit, so neither is allowed.
    augmentation=Augmentation(flip=False, shift=0.125, rotation=10.0, zoom=0.1),
    content_sha256="fd3c91f0aa0a20c506b724cd9d63fbfdcb866a2d437f24c4647f696d466a8c23",
    validation_share=0.2,
    subset_share=0.3,
    read_package=_read_digits,
    package="scikit-learn",
    test_share=0.2,
)

_STUDIES = {spec.name: spec for spec in (CIFAR10, DIGITS)}


def names() -> tuple[str, ...]:
    """The studies that can be run, default first."""
    return tuple(_STUDIES)


def get(name: str) -> StudySpec:
    """The specification of a study.

    Raises:
        DataError: there is no such study.
    """
    if name not in _STUDIES:
        raise DataError(f"There is no study {name!r}; there are: {', '.join(_STUDIES)}.")
    return _STUDIES[name]


# --- collecting --------------------------------------------------------------------------------


def collect(spec: StudySpec, *, progress: bool = True) -> Source:
    """Bring a study's files into `inputs/<study>/`, each checked against its SHA-256.

    Looked for in this order: already in `inputs/`, the folder in `DATASET_MIRROR`, the original
    host (with a progress bar and three attempts). A file appears under its name only when complete.

    Raises:
        DataError: a file is damaged, or no source has it.
    """
    if spec.read_package is not None:
        from importlib.metadata import version

        return Source("package", f"{spec.package} {version(spec.package)}", "package")
    return _in_inputs(spec) or _from_mirror(spec) or _from_host(spec, progress)


def folder_of(spec: StudySpec) -> Path:
    """Where a study's files are kept."""
    return config.inputs() / spec.name


def _in_inputs(spec: StudySpec) -> Source | None:
    folder = folder_of(spec)
    for layout in spec.layouts:
        if all((folder / file.name).is_file() for file in layout.files):
            for file in layout.files:
                _check(folder / file.name, file)
            return _recorded_source(folder, layout)
    return None


def _from_mirror(spec: StudySpec) -> Source | None:
    mirror = config.mirror()
    if mirror is None:
        return None
    for layout in spec.layouts:
        paths = [mirror / spec.name / file.name for file in layout.files]
        if all(path.is_file() for path in paths):
            for path, file in zip(paths, layout.files, strict=True):
                _copy(path, folder_of(spec), file)
            return _record_source(spec, "mirror", "a copy in the folder DATASET_MIRROR", layout)
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
            registry={partial.name: f"sha256:{file.sha256}"},
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
    if size != file.bytes:
        kind = "truncated" if size < file.bytes else "too long"
        raise DataError(
            f"{shown} is {kind}: {size:,} bytes instead of {file.bytes:,}. "
            f"Delete it and run this again."
        )
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != file.sha256:
        raise DataError(
            f"{shown} is not the published file: its SHA-256 is {found}, expected {file.sha256}. "
            f"Delete it and run this again."
        )


def _record_source(spec: StudySpec, kind: str, detail: str, layout: Layout) -> Source:
    source = Source(kind, detail, layout.name, _hashes(layout))
    path = folder_of(spec) / "source.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(source), indent=1))
    os.replace(partial, path)
    return source


def _recorded_source(folder: Path, layout: Layout) -> Source:
    path = folder / "source.json"
    if path.is_file():
        recorded = Source(**json.loads(path.read_text()))
        if recorded.files == _hashes(layout):
            return recorded
    return Source("inputs", "files put into inputs/ by hand", layout.name, _hashes(layout))


def _hashes(layout: Layout) -> dict[str, dict[str, Any]]:
    return {file.name: {"sha256": file.sha256, "bytes": file.bytes} for file in layout.files}


# --- loading and splitting ---------------------------------------------------------------------


def load(spec: StudySpec, *, progress: bool = True) -> Dataset:
    """Collect, read, check and split a study.

    Raises:
        DataError: see `collect`; also where a class is missing or the pictures are not the
            published ones.
    """
    source = collect(spec, progress=progress)
    raw = _read(spec, source)
    keys = {name: _keys(images, labels) for name, (images, labels) in raw.items()}
    _check_classes(spec, raw)
    _check_content(spec, keys)
    return _split(spec, raw, keys, source)


def _read(spec: StudySpec, source: Source) -> Raw:
    if spec.read_package is not None:
        return spec.read_package()
    layout = next(la for la in spec.layouts if la.name == source.layout)
    try:
        return layout.read(folder_of(spec))
    except (OSError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"The files in {folder_of(spec)} cannot be read: {error}.") from error


def _keys(images: Pixels, labels: Integers) -> list[bytes]:
    """A key per picture that depends on its content alone, never on the order of the file."""
    seed = str(config.SEED).encode()
    return [
        hashlib.sha256(seed + bytes([label]) + image.tobytes()).digest()
        for image, label in zip(images, labels, strict=True)
    ]


def content_sha256(keys: Iterable[Iterable[bytes]]) -> str:
    """SHA-256 over all picture keys in sorted order, part by part."""
    digest = hashlib.sha256()
    for part in keys:
        digest.update(b"".join(sorted(part)))
    return digest.hexdigest()


def _check_classes(spec: StudySpec, raw: Raw) -> None:
    for name, (images, labels) in raw.items():
        missing = [c for i, c in enumerate(spec.classes) if not np.any(labels == i)]
        if missing:
            raise DataError(f"The {name} set of {spec.name} has no picture of {missing}.")
        if images.shape[1:] != spec.image_shape:
            raise DataError(
                f"The pictures of {spec.name} are {images.shape[1:]}, expected {spec.image_shape}."
            )


def _check_content(spec: StudySpec, keys: dict[str, list[bytes]]) -> None:
    found = content_sha256(keys.values())
    if found != spec.content_sha256:
        raise DataError(
            f"The pictures of {spec.name} are not the published ones (content hash {found}, "
            f"expected {spec.content_sha256}). Delete {folder_of(spec)} and collect them again."
        )


def _split(spec: StudySpec, raw: Raw, keys: dict[str, list[bytes]], source: Source) -> Dataset:
    labels = raw["train"][1]
    order = _shuffled(labels, keys["train"], spec.classes)
    if spec.test_share is None:
        test = Split("test", np.arange(len(raw["test"][1])), *raw["test"])
    else:
        test = _part("test", raw["train"], _head(order, spec.test_share))
        order = _tail(order, spec.test_share)
    remaining = 1.0 - (spec.test_share or 0.0)
    validation_ids = _head(order, spec.validation_share / remaining)
    order = _tail(order, spec.validation_share / remaining)
    subset_ids = _head(order, spec.subset_share / (remaining - spec.validation_share))
    train_ids = np.sort(np.concatenate(order))
    return Dataset(
        spec=spec,
        train=_part("train", raw["train"], train_ids),
        validation=_part("validation", raw["train"], validation_ids),
        test=test,
        subset_ids=subset_ids,
        source=source,
    )


def _shuffled(labels: Integers, keys: list[bytes], classes: tuple[str, ...]) -> list[Integers]:
    """Per class the row numbers in the order of the keys: random, seeded, source-independent."""
    rank = np.empty(len(keys), np.int64)
    rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    rows = [np.flatnonzero(labels == label) for label in range(len(classes))]
    return [row[np.argsort(rank[row])] for row in rows]


def _head(order: list[Integers], share: float) -> Integers:
    return np.sort(np.concatenate([rows[: round(share * len(rows))] for rows in order]))


def _tail(order: list[Integers], share: float) -> list[Integers]:
    return [rows[round(share * len(rows)) :] for rows in order]


def _part(name: str, pictures: tuple[Pixels, Integers], ids: Integers) -> Split:
    images, labels = pictures
    return Split(name, ids, images[ids], labels[ids])


def ids_sha256(ids: Integers) -> str:
    """SHA-256 of ordered ids (little-endian int64): equal means the very same rows."""
    return hashlib.sha256(np.ascontiguousarray(ids, "<i8").tobytes()).hexdigest()


def card(dataset: Dataset) -> dict[str, Any]:
    """The dataset card: what is in the study, where it came from, and how it was split."""
    spec = dataset.spec
    counts = {split.name: class_counts(split, spec.classes) for split in dataset.splits}
    totals = {name: sum(count.values()) for name, count in counts.items()}
    pixels = dataset.train.images.reshape(-1, spec.image_shape[-1]).astype(np.float64)
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
        "channel_mean": pixels.mean(0).tolist(),
        "channel_std": pixels.std(0).tolist(),
    }


def class_counts(split: Split, classes: tuple[str, ...]) -> dict[str, int]:
    """Pictures per class, in the order of the classes."""
    found = np.bincount(split.labels, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, found, strict=True)}
