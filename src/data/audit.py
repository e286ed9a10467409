"""What is wrong with somebody's own images, found before anything is trained on them.

The input is one row per file found (`FILES`). Pure: frames in, frames and text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.data import image_quality, naming, near_duplicates

FILES = (
    "path",  # relative, POSIX
    "part",  # train, validation or test; train where the folder is not split
    "label",  # name of the class folder; empty where it lies in none
    "kind",  # empty for an image, else why it is none: a key of KINDS
    "detail",
    "width",  # pixels as stored
    "height",
    "fingerprint",  # hash of the pixels the model sees
    "signature",  # those pixels reduced to `near_duplicates.SIGNATURE`, uint8
    "product",  # what photos of one product have in common; empty where nothing is said
    *image_quality.Quality._fields,
    "near",  # the group of nearly equal images, over all images (`near_duplicates.groups`)
)
COLUMNS = ["path", "class", "kind", "detail", "severity"]

MINIMUM = 5  # training images of a class: one each for test and validation, three to learn from
FEW = 20  # with fewer a class is used, but not known well
MISSHAPEN = 0.35  # shorter to longer side, as cleanvision has it; the model sees the middle alone
TINY_REFUSED, TINY_WARNED = 1 / 7, 1 / 4  # of the model's side: 32 and 56 pixels of 224

# kind → (severity, one, several). What is refused is not used; the order is that of the summary.
KINDS = {
    "damaged": ("refused", "damaged or unreadable image", "damaged or unreadable images"),
    "other format": ("refused", "file that is no image", "files that are no images"),
    "contradiction": ("refused", "image under two classes", "images under two classes"),
    "copy": ("refused", "copy of another image", "copies of other images"),
    "leak": (
        "refused",
        "image that another split holds too",
        "images that another split holds too",
    ),
    "tiny": ("refused", "tiny image", "tiny images"),
    "small class": (
        "refused",
        "image of a class with too few",
        "images of classes with too few",
    ),
    "no label": (
        "refused",
        "image without a line in labels.csv",
        "images without a line in labels.csv",
    ),
    "no file": (
        "refused",
        "line of labels.csv without its image",
        "lines of labels.csv without images",
    ),
    "no class": ("refused", "image outside the class folders", "images outside them"),
    "same name": ("refused", "second file of the same name", "second files of the same name"),
    "encrypted": ("refused", "file protected by a password", "files protected by a password"),
    "oversized": ("refused", "suspiciously packed file", "suspiciously packed files"),
    "unsafe name": ("refused", "file with an unsafe name", "files with unsafe names"),
    "LFS pointer": (
        "refused",
        "Git LFS pointer without its image",
        "Git LFS pointers without images",
    ),
    "dangling link": ("refused", "link to a file that is gone", "links to files that are gone"),
    "link": ("refused", "link that is not followed", "links that are not followed"),
    "special": ("refused", "special file", "special files"),
    "unreadable": ("refused", "folder that may not be read", "folders that may not be read"),
    "hidden": ("refused", "hidden or system file", "hidden or system files"),
    "near leak": (
        "warning",
        "image much like one of another split",
        "images much like one of another split",
    ),
    "near contradiction": (
        "warning",
        "image much like one of another class",
        "images much like one of another class",
    ),
    "near copy": (
        "warning",
        "image much like another of its class",
        "images much like another of their class",
    ),
    "split product": (
        "warning",
        "product with photos in several splits",
        "products with photos in several splits",
    ),
    "product of classes": (
        "warning",
        "product with photos in several classes",
        "products with photos in several classes",
    ),
    "small": ("warning", "small image, enlarged", "small images, enlarged"),
    "misshapen": ("warning", "very long or tall image", "very long or tall images"),
    "untested class": (
        "warning",
        "class without test images: trained, not tested",
        "classes without test images: trained, not tested",
    ),
    "no validation": (
        "warning",
        "class without validation images: some are taken from training",
        "classes without validation images: some are taken from training",
    ),
    "odd size": (
        "warning",
        "image of a very different size from most",
        "images of a very different size from most",
    ),
    "dark": ("warning", "dark image", "dark images"),
    "bright": ("warning", "bright image", "bright images"),
    "blurred": ("warning", "blurred image", "blurred images"),
    "low information": ("warning", "image that shows little", "images that show little"),
    "few photos": (
        "warning",
        f"class with fewer than {FEW} images",
        f"classes with fewer than {FEW} images",
    ),
    "alike names": (
        "warning",
        "class whose name looks like another's",
        "classes whose names look like others'",
    ),
    "merged names": (
        "warning",
        "class merged with others of alike names",
        "classes merged with others of alike names",
    ),
    "empty folder": ("warning", "folder without an image", "folders without an image"),
}

Rows = list[tuple[str, str, str, str]]  # path, class, kind, detail
Frame = pd.DataFrame


def problems(files: Frame, shape: tuple[int, int, int]) -> Frame:
    """Everything wrong with the files found, for a model that takes images of `shape`.

    Columns path, class, kind (of KINDS), detail (words) and severity: what is "refused" is not
    used, a "warning" is. At most one refusal per path. Of equal images in one class the first is
    kept, of those in several splits that of test, then validation, so that a test set given stays
    as it is. Equal images under two classes are all refused: nobody here knows which is right.
    """
    found = files[files["kind"] != ""]
    rows: Rows = list(found[["path", "label", "kind", "detail"]].itertuples(index=False, name=None))
    usable = files[files["kind"] == ""]
    for check in (_tiny, _contradictions, _copies, _small_classes):
        wrong = check(usable, min(shape[:2]))
        rows += wrong
        usable = usable[~usable["path"].isin([row[0] for row in wrong])]
    for look in (
        *(_small, _misshapen, _odd_sizes, _poor, _near_copies, _products),
        *(_untested, _unvalidated, _few_photos),
    ):
        rows += look(usable, min(shape[:2]))
    rows += _alike_names(files[files["kind"] == ""]) + _merged_names(files)
    table = pd.DataFrame(rows, columns=COLUMNS[:-1])
    table["severity"] = table["kind"].map({kind: words[0] for kind, words in KINDS.items()})
    order = table["kind"].map({kind: place for place, kind in enumerate(KINDS)})
    return table.iloc[np.lexsort((np.arange(len(table)), order))].reset_index(drop=True)


def accepted(files: Frame, found: Frame) -> Frame:
    """The images that are used: the rows of `files` that no problem refuses."""
    refused = set(found.loc[found["severity"] == "refused", "path"])
    return files[(files["kind"] == "") & ~files["path"].isin(refused)]


# --- what is refused ---------------------------------------------------------------------------


def _each(files: Frame) -> Iterator[Any]:
    return files.itertuples(index=False)


def _shorter(files: Frame) -> pd.Series:
    return files[["width", "height"]].min(axis=1)


def _tiny(files: Frame, side: int) -> Rows:
    return _sized("tiny", files[_shorter(files) < TINY_REFUSED * side], side)


def _sized(kind: str, files: Frame, side: int) -> Rows:
    return [
        (f.path, f.label, kind, f"{f.width} × {f.height} pixels; the model sees {side} × {side}")
        for f in _each(files)
    ]


def _contradictions(files: Frame, _side: int) -> Rows:
    classes = files.groupby("fingerprint")["label"].transform("nunique")
    rows: Rows = []
    for _, group in files[classes > 1].groupby("fingerprint", sort=False):
        for path, label in zip(group["path"], group["label"], strict=True):
            others = group.loc[group["label"] != label, "path"]
            rows.append((path, label, "contradiction", f"the same as {_list(others)}"))
    return rows


def _copies(files: Frame, _side: int) -> Rows:
    """All but one of every group of equal images."""
    rank = files["part"].map({"test": 0, "validation": 1, "train": 2})
    ordered = files.iloc[np.argsort(rank, kind="stable")]
    kept = ordered.groupby("fingerprint")[["path", "part"]].transform("first")
    ordered = ordered.assign(kept=kept["path"], kept_part=kept["part"])
    return [
        (f.path, f.label, "copy" if f.part == f.kept_part else "leak", f"the same as {f.kept}")
        for f in _each(ordered[ordered["path"] != ordered["kept"]])
    ]


def _small_classes(files: Frame, _side: int) -> Rows:
    """All images of the classes that cannot be learned."""
    where = " for training" if files["part"].nunique() > 1 else ""
    training = (files["part"] == "train").groupby(files["label"], sort=True).sum()
    few = training[training < MINIMUM]
    return [
        (f.path, f.label, "small class", f"{f.label}: {n} usable{where}, {_missing(n)}")
        for label, n in few.items()
        for f in _each(files[files["label"] == label])
    ]


def _missing(n: int) -> str:
    return f"at least {MINIMUM} are needed: {MINIMUM - n} more would keep it"


# --- what is worth a look ----------------------------------------------------------------------


def _small(files: Frame, side: int) -> Rows:
    return _sized("small", files[_shorter(files) < TINY_WARNED * side], side)


def _misshapen(files: Frame, _side: int) -> Rows:
    ratio = _shorter(files) / files[["width", "height"]].max(axis=1)
    return [
        (f.path, f.label, "misshapen", f"{f.width} × {f.height} pixels; only the middle is seen")
        for f in _each(files[ratio < MISSHAPEN])
    ]


def _odd_sizes(files: Frame, _side: int) -> Rows:
    sides = (files["width"] * files["height"]) ** 0.5
    usual = f"most are about {sides.median():.0f} pixels wide and high" if len(files) else ""
    return [
        (f.path, f.label, "odd size", f"{f.width} × {f.height} pixels; {usual}")
        for f in _each(files[image_quality.odd_sizes(sides)])
    ]


def _poor(files: Frame, _side: int) -> Rows:
    """Photos that are poor as photos, by cleanvision's measures."""
    rows: Rows = []
    for fault, found in image_quality.faults(files).items():
        measure, least = image_quality.FAULTS[fault]
        poor = files[found]
        rows += [
            (
                f.path,
                f.label,
                fault,
                f"{measure} {getattr(f, measure):.2f}, usual is {least} or more",
            )
            for f in _each(poor)
        ]
    return rows


def _near_copies(files: Frame, _side: int) -> Rows:
    """Each image with the earlier one it is nearly equal to, of another split or class first."""
    alike = files[files["near"].duplicated(keep=False)]
    kinds = np.asarray(alike.groupby(["part", "label"]).ngroup(), np.int64)
    group = alike["near"].to_numpy(np.int64)
    rows: Rows = []
    for place, others in near_duplicates.nearest(signatures(alike), group, kinds).items():
        here = alike.iloc[place]
        found = [(*_nearness(here, alike.iloc[other]), other) for other in others]
        same_part, same_label, other = min(found, key=lambda one: one[:2])
        kind = "near copy" if same_label else "near contradiction"
        kind = kind if same_part else "near leak"
        like = f"much like {alike.iloc[other]['path']}"
        rows.append((here["path"], here["label"], kind, like))
    return rows


def _nearness(one: Any, other: Any) -> tuple[bool, bool]:
    return one["part"] == other["part"], one["label"] == other["label"]


def signatures(files: Frame) -> NDArray[np.uint8]:
    """The column `signature` as uint8 (n, *SIGNATURE)."""
    shape = (-1, *near_duplicates.SIGNATURE)
    return np.frombuffer(b"".join(files["signature"]), np.uint8).reshape(shape)


def with_groups(files: Frame) -> Frame:
    """The files with the column `near`: −1 where there is no image."""
    images = files["signature"].str.len() > 0
    near = np.full(len(files), -1, np.int64)
    near[images] = near_duplicates.groups(signatures(files[images]))
    return files.assign(near=near)


def _products(files: Frame, _side: int) -> Rows:
    """Products that no split or no class holds alone."""
    listed = files[files["product"] != ""].groupby("product")
    parts, labels = listed["part"].unique(), listed["label"].unique()
    rows: Rows = [
        ("", "", "split product", f"product {name}: {', '.join(found)}")
        for name, found in parts.items()
        if len(found) > 1
    ]
    return rows + [
        ("", "", "product of classes", f"product {name}: {', '.join(found)}")
        for name, found in labels.items()
        if len(found) > 1
    ]


def kept_together(files: Frame) -> NDArray[np.int64]:
    """The group (n,) of each image that a split must not take apart.

    Images share one where they are nearly equal or of one product, directly or through others.
    """
    group, listed = files["near"], files["product"] != ""
    while True:  # the lowest number spreads to all that belong together
        wider = group.copy()
        wider[listed] = group[listed].groupby(files["product"][listed]).transform("min")
        wider = wider.groupby(files["near"]).transform("min")
        if wider.equals(group):
            return group.to_numpy(np.int64)
        group = wider


def _untested(files: Frame, _side: int) -> Rows:
    return [
        ("", label, "untested class", f"{label}: {n} training images, none in test")
        for label, n in _lacking(files, "test").items()
    ]


def _unvalidated(files: Frame, _side: int) -> Rows:
    return [
        ("", label, "no validation", f"{label}: some of its {n} training images are taken for it")
        for label, n in _lacking(files, "validation").items()
    ]


def _lacking(files: Frame, part: str) -> dict[str, int]:
    """Training images of the classes that have none in a part which the folder has."""
    counts = pd.crosstab(files["label"], files["part"])
    if part not in counts:
        return {}
    return {str(label): int(n) for label, n in counts.loc[counts[part] == 0, "train"].items()}


def _few_photos(files: Frame, _side: int) -> Rows:
    return [
        ("", str(label), "few photos", f"{label}: {count} images")
        for label, count in files["label"].value_counts(sort=False).items()
        if count < FEW
    ]


def _alike_names(files: Frame) -> Rows:
    """Classes that a person reads as one, used or not: what is lost may be saved by merging."""
    counts = files["label"].value_counts()
    return [
        (
            "",
            name,
            "alike names",
            f"{_named(group, counts)}: merge them with MERGE=1 if they are one",
        )
        for group in naming.look_alikes(counts.index)
        for name in group
    ]


def _named(group: Iterable[str], counts: pd.Series[int]) -> str:
    return ", ".join(f"{naming.distinct(name)} with {_images(counts[name])}" for name in group)


def merged(files: Frame) -> Frame:
    """The files with one label for classes whose names look alike: that of most images.

    The column `folder` keeps the name of the folder.
    """
    counts = files.loc[files["kind"] == "", "label"].value_counts()
    names = naming.merged([(str(name), int(n)) for name, n in counts.items()])
    return files.assign(folder=files["label"], label=files["label"].replace(names))


def _merged_names(files: Frame) -> Rows:
    if "folder" not in files:
        return []
    moved = files[files["folder"] != files["label"]].groupby("label")["folder"].unique()
    return [
        ("", str(label), "merged names", f"{label}: with {', '.join(map(naming.distinct, names))}")
        for label, names in moved.items()
    ]


def _list(names: pd.Series, most: int = 3) -> str:
    shown = ", ".join(names.iloc[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


SHOWN = 12  # images of each kind that a run keeps


def pictured(files: Frame, found: Frame) -> Frame:
    """The first problems of each kind that an image can show, with its place `row` in the pixels.

    Copies look like what they are copies of, and a damaged file has no pixels.
    """
    rows = files[files["kind"] == ""].set_index("path")["row"]
    seen = found[found["path"].isin(rows.index) & ~found["kind"].isin(["small class", "copy"])]
    seen = seen.groupby("kind", sort=False).head(SHOWN).reset_index(drop=True)
    return seen.assign(row=rows.loc[seen["path"]].to_numpy(np.int64))


# --- for a person ------------------------------------------------------------------------------


def summary(files: Frame, found: Frame) -> dict[str, Any]:
    """What audit.json holds: files, used, classes ({name: images used}), left_out, kinds, text.

    `kinds` maps a kind to its number; `left_out` has a line for each class none of whose images is
    used: how many there are, and what would keep it.
    """
    used = accepted(files, found)
    counts = used["label"].value_counts(sort=False)
    kinds = found["kind"].value_counts().reindex(list(KINDS), fill_value=0)
    report = {
        "files": int((files["kind"] != "empty folder").sum()),
        "used": len(used),
        "classes": {str(name): int(n) for name, n in counts.items()},
        "left_out": _left_out(files, found, set(counts.index)),
        "kinds": {kind: int(n) for kind, n in kinds.items() if n},
    }
    return report | {"text": _text(report, found)}


def _left_out(files: Frame, found: Frame, used: set[str]) -> list[str]:
    """The classes without a used image: their photos, and how many more would keep them."""
    otherwise = set(found.loc[found["kind"].map(_lost_alone), "path"])
    left = files[(files["label"] != "") & ~files["label"].isin(used)]
    usable = (left["part"] == "train") & (left["kind"] == "") & ~left["path"].isin(otherwise)
    counts = usable.groupby(left["label"], sort=True).agg(["size", "sum"])
    return [
        f"{label}: {_images(n)}, {kept} usable for training, {_missing(kept)}"
        for label, n, kept in counts.itertuples(name=None)
    ]


def _lost_alone(kind: str) -> bool:
    """Whether an image with this fault is not used, whatever its class."""
    return KINDS[kind][0] == "refused" and kind != "small class"


def _images(n: int) -> str:
    return f"{n:,} {'image' if n == 1 else 'images'}"


def _text(report: dict[str, Any], found: Frame) -> str:
    """The summary for a terminal: a line for each kind of fault, with an example."""
    classes = len(report["classes"])
    of = f"{classes} class" if classes == 1 else f"{classes} classes"
    lines = [f"{_images(report['used'])} of {of} can be used, out of {report['files']:,} files."]
    lines += [f"Class left out: {line}." for line in report["left_out"]]
    for severity, title in (("refused", "Not used:"), ("warning", "Used, but worth a look:")):
        if counted := _counted(report["kinds"], found, severity):
            lines += [title, *counted]
    return "\n".join(lines)


def _counted(kinds: dict[str, int], found: Frame, severity: str) -> list[str]:
    first = {row.kind: row for row in _each(found.drop_duplicates("kind"))}
    return [
        f"{n:>7,} {KINDS[kind][1 if n == 1 else 2]}: {_example(first[kind])}"
        for kind, n in kinds.items()
        if KINDS[kind][0] == severity
    ]


def _example(row: Any) -> str:
    """What a line of the summary names: a file and what is wrong with it."""
    return f"{row.path} ({row.detail})" if row.path else str(row.detail)
