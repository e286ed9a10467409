"""The user's own photos: a folder or zip in `inputs/` with one sub-folder per class, as a study.

    inputs/<name>/<class>/*.jpg      or with train, validation and test above the classes
    inputs/<name>.zip                a zip of either, or the only zip in inputs/<name>/
    inputs/<name>/labels.csv         optional: path, label, split and group of every photo
    inputs/<name>/study.toml         optional: title, description, licence, citation, homepage, and
                                     [classes], which gives folders a title and the order

Every file is read once: what it is and what the model sees of it is kept in `inputs/.prepared/`
until a file changes. What the audit refuses is no part of the study.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src import config, environment
from src.data import (
    audit,
    image_folders,
    image_quality,
    images,
    naming,
    near_duplicates,
    study_files,
    trees,
)
from src.data.formats import DataError, Part, Pixels, Raw
from src.data.image_folders import Collection, Decoded, Shape
from src.data.image_quality import Quality
from src.data.specification import StudySpec

SHAPE: Shape = (224, 224, 3)  # what the networks trained on ImageNet take
PREPARATION = 2  # count up when what is kept of an image changes
RESERVED = "studies"  # the folder of the studies' own files
COPIES = 3  # of all images that are in memory at once, at the worst moment

LAYOUT = (
    "Put each class's photos into a sub-folder with its name, at least "
    f"{audit.MINIMUM} of each of at least two classes."
)


@dataclass(frozen=True)
class Prepared:
    """What is known of every file (`audit.FILES`, also size, sha256, format) and the pixels.

    An image's column `row` is its place in `pixels`, uint8 (n, H, W, C), which stays on the disk.
    """

    files: pd.DataFrame
    pixels: Pixels
    problems: pd.DataFrame

    @property
    def used(self) -> pd.DataFrame:
        """The rows of the images that the study is made of."""
        return audit.accepted(self.files, self.problems)


def names() -> tuple[str, ...]:
    """What lies in `inputs/` as folders or zips of photos, in alphabetical order."""
    found = {_name_of(path) for path in _inside(config.inputs())}
    return tuple(sorted(name for name in found if name and not _taken(name)))


def _taken(name: str) -> bool:
    """Whether a folder cannot have this name, because it means something else already."""
    return name.casefold() in (*study_files.names(), RESERVED)


def _name_of(path: Path) -> str:
    """The study that a folder or zip in `inputs/` would be; empty for anything else."""
    if naming.system_part(path.name):
        return ""
    if _is_zip(path):
        return naming.normal(path.stem)
    holds = _subfolders(path) or _zips(path) or (path / trees.TABLE).is_file()
    return naming.normal(path.name) if holds else ""


def _inside(path: Path) -> list[Path]:
    """What a folder holds; nothing where it is none, is gone or may not be read."""
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _subfolders(path: Path) -> list[Path]:
    return [p for p in _inside(path) if p.is_dir() and not naming.system_part(p.name)]


def _zips(path: Path) -> list[Path]:
    return [p for p in _inside(path) if _is_zip(p)]


def _is_zip(path: Path) -> bool:
    return path.suffix.casefold() == ".zip" and path.is_file()


def adopt(where: str, name: str = "") -> str:
    """The study's name of images in `inputs/` or, linked from there and not copied, elsewhere.

    Args:
        where: a name in `inputs/`, or the path of a folder or zip.
        name: what the study shall be called; the folder's own name by default.

    Raises:
        DataError: there is nothing, or the name is taken or no plain one.
    """
    if not where:
        raise DataError(f"Which folder? make study FOLDER=… names or points to it. {LAYOUT}")
    if name in ("", where) and where in names():
        return _checked(where)
    path = Path(where).expanduser()
    study = _checked(name or naming.normal(path.stem if path.is_file() else path.name))
    if not path.exists():
        raise DataError(f"There is neither {path} nor {config.inputs() / where}. {LAYOUT}")
    link = config.inputs() / (f"{study}.zip" if path.is_file() else study)
    if link.exists() and link.samefile(path):
        return study
    if study in names() or link.exists():
        raise DataError(f"{config.inputs()} has a {study} already. Give yours another NAME.")
    link.unlink(missing_ok=True)  # a link whose target is gone keeps no name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(path.resolve(), target_is_directory=path.is_dir())
    try:
        specification(study)
    except DataError:
        link.unlink()  # nor does what cannot be a study
        raise
    return study


def gone(name: str) -> str:
    """Where the folder or zip of a study was before it went away; empty where none did."""
    for link in (config.inputs() / name, config.inputs() / f"{name}.zip"):
        if link.is_symlink() and not link.exists():
            return naming.shown(str(link.readlink()))
    return ""


def _checked(name: str) -> str:
    """The name, if a study may have it: it becomes a folder, a link and a part of commands."""
    if name.casefold() == RESERVED:
        raise DataError(f"{name} is the folder of the studies' own files. Call yours my-{name}.")
    if _taken(name):
        raise DataError(f"{name} is a study of this project. Call yours differently: my-{name}.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
        raise DataError(
            f"A study cannot be called {name!r}: only letters a–z, digits, - and _ are possible, "
            f"at most 40. How about {plain_name(name)}?"
        )
    return name


def plain_name(name: str) -> str:
    """A possible study name that resembles any text: "Été 2024!" gives "ete-2024"."""
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9_]+", "-", ascii_.casefold()).strip("-_")[:40].rstrip("-_")
    return f"my-{plain}".rstrip("-") if not plain or _taken(plain) else plain


def location(name: str) -> Path:
    """The folder or zip that holds a study's images.

    Raises:
        DataError: it is not clear which.
    """
    folder = config.inputs() / name
    places = [folder] if folder.is_dir() else []
    places += [path for path in _zips(config.inputs()) if naming.normal(path.stem) == name]
    if len(places) > 1:
        raise DataError(f"There are both {places[0]} and {places[1]}. Keep one of them.")
    if places and places[0] != folder:
        return places[0]
    zips = _zips(folder)
    if _subfolders(folder) or not zips:
        return folder
    if len(zips) > 1:
        raise DataError(f"{folder} holds {len(zips)} zips. Keep one, or unpack them.")
    return zips[0]


# --- the study ---------------------------------------------------------------------------------


def specification(name: str, shape: Shape = SHAPE) -> StudySpec:
    """The specification of a user's folder, whose images are read and audited first.

    Raises:
        DataError: the name, the folder or its study.toml cannot be used; says what to do.
    """
    prepared = _prepared(_checked(name), shape)
    used, settings = prepared.used, study_files.own_settings(_settings_path(name))
    classes = _classes(name, prepared, settings.classes)
    counts = used["label"].value_counts()
    title = re.sub("[-_]+", " ", name)
    computed = {
        "title": title[:1].upper() + title[1:],
        "description": (
            f"{len(used):,} images of {len(classes)} categories from the folder {name}, "
            f"{counts.min():,} to {counts.max():,} of each."
        ),
    }
    stated = settings.model_dump(exclude={"classes", "case", "hypotheses"}, exclude_none=True)
    spec = study_files.own(name, computed | stated | {"classes": list(classes.values())})
    is_split = (used["part"] == "test").any()
    test_share = None if is_split else spec.test_share
    return replace(spec, image_shape=shape, folder=location(name), test_share=test_share)


def files(spec: StudySpec) -> dict[str, dict[str, Any]]:
    """Hash and size of every image that is used, by its path."""
    used = _prepared(spec.name, spec.image_shape).used
    return {
        path: {"sha256": sha256, "bytes": int(size)}
        for path, sha256, size in zip(used["path"], used["sha256"], used["size"], strict=True)
    }


def read(spec: StudySpec) -> Raw:
    """All images that are used, uint8 (n, H, W, C) by part; their ids are relative paths."""
    prepared = _prepared(spec.name, spec.image_shape)
    used = prepared.used.assign(group=audit.kept_together(prepared.used))
    titles = study_files.own_settings(_settings_path(spec.name)).classes
    order = list(_classes(spec.name, prepared, titles))
    _check_memory(len(used), spec.image_shape)
    labels = used["label"].map({label: place for place, label in enumerate(order)})
    return {
        part: Part(
            prepared.pixels[rows["row"].to_numpy()],
            np.asarray(labels[rows.index], np.int64),
            rows["path"].to_numpy(str),
            rows["group"].to_numpy(np.int64),
        )
        for part in ("train", "validation", "test")
        if len(rows := used[used["part"] == part])
    }


def audited(spec: StudySpec) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What is wrong with a study's files (`audit.problems`), and its `audit.summary`."""
    prepared = _prepared(spec.name, spec.image_shape)
    return prepared.problems, audit.summary(prepared.files, prepared.problems)


def pictured(spec: StudySpec) -> pd.DataFrame:
    """Thumbnails of what the audit found: path, class, kind, detail, severity and png.

    See `audit.pictured`.
    """
    prepared = _prepared(spec.name, spec.image_shape)
    shown = audit.pictured(prepared.files, prepared.problems)
    pngs = [images.thumbnail(prepared.pixels[row]) for row in shown["row"]]
    return shown.drop(columns="row").assign(png=pngs)


def _settings_path(name: str) -> Path:
    return config.inputs() / name / "study.toml"


def _classes(name: str, prepared: Prepared, given: dict[str, str]) -> dict[str, str]:
    """Folder → title of each class in the order of the labels: as study.toml has it, then natural.

    Raises:
        DataError: there are fewer than two, or study.toml does not fit them.
    """
    folders = image_folders.class_names(prepared.used["label"])
    if len(folders) < 2:
        report = audit.summary(prepared.files, prepared.problems)
        raise DataError(f"{name} cannot be a study. {report['text']}\n{LAYOUT}")
    standing = _standing(prepared.files)
    folder_titles = {naming.normal(key): title for key, title in given.items()}
    titles = {standing.get(key, key): title for key, title in folder_titles.items()}
    if unknown := set(folder_titles) - set(standing):
        raise DataError(f"study.toml names classes that {name} has not: {', '.join(unknown)}.")
    order = [*(folder for folder in titles if folder in folders), *folders]
    classes = {folder: titles.get(folder) or _title(folder, order) for folder in order}
    if len(set(classes.values())) < len(classes):
        raise DataError(f"study.toml gives two classes of {name} the same title.")
    return classes


def _title(folder: str, others: list[str]) -> str:
    """The name without spaces at its ends, or with these made visible where another has it."""
    title = folder.strip()
    return naming.edged(folder) if title in ("", *(o for o in others if o != folder)) else title


def _standing(files: pd.DataFrame) -> dict[str, str]:
    """Name of each class's folder → the class's name, which differs where names were merged."""
    folders = files["folder"] if "folder" in files else files["label"]
    return dict(zip(folders, files["label"], strict=True))


# --- reading once ------------------------------------------------------------------------------


def _prepared(name: str, shape: Shape) -> Prepared:
    with image_folders.opened(location(name)) as tree:
        found = image_folders.arrange(tree)
        _check_labels(name, found)
        place = config.inputs() / ".prepared" / name / _key(found, shape)
        if not place.is_dir():
            _check_memory(len(found.entries), shape)
            _prepare(found, shape, place)
    table = pd.read_parquet(place / "files.parquet")
    pixels = np.load(place / "pixels.npy", mmap_mode="r")
    if config.merges_names():
        table = audit.merged(table)
    return Prepared(table, pixels, audit.problems(table, shape))


def _check_labels(name: str, found: Collection) -> None:
    """Refuse at once what no image could save."""
    labels = image_folders.class_names(entry.label for entry in found.entries)
    if len(labels) < 2:
        there = f"only one class ({labels[0]})" if labels else "no class folder with images"
        deep = labels and any(e.file.path.split("/")[-2] != e.label for e in found.entries)
        hint = f" If the folders in {labels[0]} are the classes, move them up." if deep else ""
        raise DataError(f"{name} has {there}. {LAYOUT}{hint}")


def _key(found: Collection, shape: Shape) -> str:
    """Changes with every name, size and date of a file, and with the shape."""
    listed = [(*e[1:], e.file.path, e.file.size, e.file.stamp) for e in found.entries]
    state = repr((PREPARATION, shape, listed, found.skipped, found.empty))
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def _prepare(found: Collection, shape: Shape, place: Path) -> None:
    """Decode every image and keep what came out, whole or not at all, in place of older ones."""
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(place.parent, ignore_errors=True)
    partial.mkdir(parents=True)
    entries = found.entries
    pixels = np.lib.format.open_memmap(
        partial / "pixels.npy", "w+", np.uint8, (len(entries), *shape)
    )
    rows = []
    for row, decoded in enumerate(image_folders.decode_all(entries, shape)):
        if decoded.pixels is not None:
            pixels[row] = decoded.pixels
        rows.append(_row(entries[row], decoded) | {"row": row})
    pixels.flush()
    rows += [_unused(*skipped) for skipped in found.skipped]
    rows += [_unused(folder, "empty folder", "no image in it") for folder in found.empty]
    table = audit.with_groups(pd.DataFrame(rows, columns=[*rows[0]]))
    table.to_parquet(partial / "files.parquet", index=False)
    os.replace(partial, place)


def _row(entry: image_folders.Entry, decoded: Decoded) -> dict[str, Any]:
    pixels = decoded.pixels
    return {
        "path": entry.file.path,
        "part": entry.part,
        "label": entry.label,
        "product": entry.group,
        "kind": "damaged" if pixels is None else "",
        "detail": decoded.error,
        "width": decoded.size[0],
        "height": decoded.size[1],
        "fingerprint": "" if pixels is None else hashlib.sha256(pixels.tobytes()).hexdigest(),
        "signature": b"" if pixels is None else near_duplicates.signature(pixels).tobytes(),
        **_quality(pixels),
        "size": entry.file.size,
        "sha256": decoded.sha256,
        "format": decoded.format,
    }


def _quality(pixels: Pixels | None) -> dict[str, float]:
    if pixels is None:
        return dict.fromkeys(Quality._fields, float("nan"))
    return image_quality.quality(pixels)._asdict()


def _unused(path: str, kind: str, detail: str) -> dict[str, Any]:
    return {
        "path": path,
        "part": "",
        "label": "",
        "product": "",
        "kind": kind,
        "detail": detail,
        "width": 0,
        "height": 0,
        "fingerprint": "",
        "signature": b"",
        **_quality(None),
        "size": 0,
        "sha256": "",
        "format": "",
        "row": -1,
    }


def _check_memory(n: int, shape: Shape) -> None:
    need, free = COPIES * n * int(np.prod(shape)), environment.available_bytes()
    if need > free:
        raise DataError(
            f"{n:,} images need about {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB "
            f"are free. Use about {int(n * free / need):,} of them, or a machine with more."
        )
