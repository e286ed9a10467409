"""A study's images in memory: read, checked and split into train, validation and test.

Splits are stratified, seeded and drawn by a keyed hash of each image's content, so that every
source of a study gives the same ones.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src import config
from src.data import collection, folders
from src.data.collection import Source
from src.data.formats import DataError, Ids, Integers, Part, Pixels, Raw
from src.data.specification import StudySpec

LARGEST_GROUP = 0.1  # share of a class; nearly equal images that are more are trained on


@dataclass(frozen=True)
class Split:
    """Some images of a data set.

    `ids` (n,): the image's position in the file it came from (int64), or its relative path (text)
    where each is a file of its own; `images` (n, H, W, C) uint8; `labels` (n,) int64, index into
    the classes; `groups` (n,) int64: images that belong together share one, also with those of
    other splits; None: not known.
    """

    name: str
    ids: Ids
    images: Pixels
    labels: Integers
    groups: Integers | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Dataset:
    """A study's images, split once for all."""

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
    groups = None if split.groups is None else split.groups[rows]
    return Split(split.name, split.ids[rows], split.images[rows], split.labels[rows], groups)


# --- loading and splitting ---------------------------------------------------------------------


def load(spec: StudySpec, *, progress: bool = True) -> Dataset:
    """Collect, read, check and split a study.

    Raises:
        DataError: see `collect`; also where a class is missing or the images are not the
            published ones.
    """
    source = collection.collect(spec, progress=progress)
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
        return layout.read(collection.folder_of(spec))
    except (OSError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(
            f"The files in {collection.folder_of(spec)} cannot be read: {error}."
        ) from error


def _keys(images: Pixels, labels: Integers) -> list[bytes]:
    """A key per image that depends on its content alone, never on the order of the file."""
    seed = str(config.SEED).encode()
    return [
        hashlib.sha256(seed + _label_bytes(int(label)) + image.tobytes()).digest()
        for image, label in zip(images, labels, strict=True)
    ]


def _label_bytes(label: int) -> bytes:
    return label.to_bytes(1 if label < 256 else 4, "big")


def content_sha256(keys: Iterable[Iterable[bytes]]) -> str:
    """SHA-256 over all image keys in sorted order, part by part."""
    digest = hashlib.sha256()
    for part in keys:
        digest.update(b"".join(sorted(part)))
    return digest.hexdigest()


def _check_classes(spec: StudySpec, raw: Raw) -> None:
    for name, (images, labels, *_) in raw.items():
        missing = [c for i, c in enumerate(spec.classes) if not np.any(labels == i)]
        if missing and (name == "train" or spec.folder is None):
            raise DataError(f"The {name} set of {spec.name} has no image of {missing}.")
        if images.shape[1:] != spec.image_shape:
            raise DataError(
                f"The images of {spec.name} are {images.shape[1:]}, expected {spec.image_shape}."
            )


def _check_content(spec: StudySpec, keys: dict[str, list[bytes]]) -> None:
    found = content_sha256(keys.values())
    if spec.content_sha256 is not None and found != spec.content_sha256:
        raise DataError(
            f"The images of {spec.name} are not the published ones (content hash {found}, "
            f"expected {spec.content_sha256}). Delete {collection.folder_of(spec)} and collect "
            "them again."
        )


def _split(spec: StudySpec, raw: Raw, keys: dict[str, list[bytes]], source: Source) -> Dataset:
    """Official parts stay as they are; what they lack is drawn from the training images.

    Every class is validated: one without validation images gives some of its training images. A
    class that a given test set lacks stays untested.
    """
    train = raw["train"]
    groups = np.arange(len(train.labels)) if train.groups is None else train.groups
    order = _shuffled(train.labels, keys["train"], groups, spec.classes)
    remaining, drawn = [1.0] * len(order), {}
    for name, share in (("test", spec.test_share), ("validation", spec.validation_share)):
        shares = [0.0 if given else share or 0.0 for given in _given(raw.get(name), len(order))]
        head, order = _cut(order, groups, [s / r for s, r in zip(shares, remaining, strict=True)])
        taken = _part(name, train, np.sort(np.concatenate(head)))
        drawn[name] = _joined(raw[name], taken) if name in raw else taken
        remaining = [r - s for s, r in zip(shares, remaining, strict=True)]
    kept = _part("train", train, np.sort(np.concatenate(order)))
    head, _ = _cut(order, groups, [spec.subset_share / r for r in remaining])
    subset = _part("train", train, np.sort(np.concatenate(head)))
    return Dataset(spec, kept, drawn["validation"], drawn["test"], subset.ids, source)


def _given(part: Part | None, n_classes: int) -> list[bool]:
    """Which classes an official part has images of; none where there is no such part."""
    labels = np.array([], np.int64) if part is None else part.labels
    return [bool(n) for n in np.bincount(labels, minlength=n_classes)]


def _joined(part: Part, taken: Split) -> Split:
    """A whole official part, then what was taken from the training images for it."""
    whole = _part(taken.name, part, np.arange(len(part.labels)))
    if not len(taken):
        return whole
    return Split(
        taken.name,
        np.concatenate([whole.ids, taken.ids]),
        np.concatenate([whole.images, taken.images]),
        np.concatenate([whole.labels, taken.labels]),
        _both(whole.groups, taken.groups),
    )


def _both(one: Integers | None, other: Integers | None) -> Integers | None:
    return None if one is None or other is None else np.concatenate([one, other])


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
    order: list[Integers], groups: Integers, shares: list[float]
) -> tuple[list[Integers], list[Integers]]:
    """The first share of each class and the rest; as near to it as its groups allow."""
    wanted = [round(share * len(rows)) for rows, share in zip(order, shares, strict=True)]
    places = [_place(groups[rows], n) for rows, n in zip(order, wanted, strict=True)]
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
    groups = None if part.groups is None else part.groups[rows]
    return Split(name, ids, part.images[rows], part.labels[rows], groups)


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
        "drawing": spec.drawing,
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
    """Images per class, in the order of the classes."""
    found = np.bincount(split.labels, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, found, strict=True)}
