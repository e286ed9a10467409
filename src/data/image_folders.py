"""Folders and zips of images, one sub-folder per class: their contents and their pixels.

    <class>/*.jpg                               split later
    train | validation | test / <class> / *.jpg  split already ("val" and "valid" are understood)

A zip holds either, perhaps inside one more folder. Sub-folders of a class are part of the class.
Names are Unicode-normalised (NFC), so that an accent is the same on every system. Nothing is ever
unpacked onto the disk, and no link is followed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.data import decoding, images
from src.data.formats import DataError, Part, Pixels, Raw

Shape = tuple[int, int, int]

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
ENDINGS = {*decoding.EXTENSIONS, "jpe", "jfif"}  # the last two are JPEG as some systems name it
SYSTEM_FILES = {"__macosx", "thumbs.db", "desktop.ini"}
OWN_FILES = {"study.toml"}  # what the project itself looks for beside the images

# A zip announces what it holds; these are far above any honest collection of photos.
MAX_MEMBERS = 200_000
MAX_TOTAL = 200 * 2**30
MAX_RATIO = 200  # unpacked to packed bytes of one member of more than a megabyte


class Skipped(NamedTuple):
    """A file or folder that is not used, and why."""

    path: str
    kind: str
    detail: str


@dataclass(frozen=True)
class File:
    """One file: its relative POSIX path (NFC), size in bytes, and what tells that it changed."""

    path: str
    size: int
    stamp: int
    read: Callable[[], bytes]


@dataclass
class Tree:
    """All files of a folder or zip, in the order of their paths; folders that hold none too."""

    files: list[File] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    skipped: list[Skipped] = field(default_factory=list)


class Entry(NamedTuple):
    """A file that should be an image, the part it was given to ("train" if none) and its class."""

    file: File
    part: str
    label: str


class Collection(NamedTuple):
    """The images of a folder or zip in the order of their paths, and what is not used."""

    entries: list[Entry]
    skipped: list[Skipped]
    empty: list[str]  # class folders without an image


class Decoded(NamedTuple):
    """An image as the model takes it, uint8 (H, W, C); None where `error` says why there is none.

    size: (width, height) in pixels as stored. sha256: of the file's bytes, in hexadecimal.
    """

    pixels: Pixels | None
    sha256: str
    format: str
    size: tuple[int, int]
    error: str


def read_images(path: Path, shape: Shape) -> Raw:
    """Every image of a folder or zip as uint8 (n, *shape), its centre cropped to the proportions.

    Labels count in the natural order of the class names (`natural`); ids are relative paths.

    Raises:
        DataError: there are no classes, or an image cannot be read.
    """
    with opened(path) as tree:
        entries = arrange(tree).entries
        pixels = np.empty((len(entries), *shape), np.uint8)
        for row, found in enumerate(decode_all(entries, shape)):
            if found.pixels is None:
                raise DataError(f"{entries[row].file.path} cannot be used. {found.error}")
            pixels[row] = found.pixels
    return parts_of(entries, pixels, class_names(entry.label for entry in entries))


def parts_of(entries: Sequence[Entry], pixels: Pixels, classes: tuple[str, ...]) -> Raw:
    """Images (n, H, W, C) by part, in the order of `entries`; labels count in `classes`."""
    parts = np.array([entry.part for entry in entries])
    labels = np.array([classes.index(entry.label) for entry in entries], np.int64)
    ids = np.array([entry.file.path for entry in entries])
    rows = {part: parts == part for part in dict.fromkeys(PARTS.values())}
    return {p: Part(pixels[r], labels[r], ids[r]) for p, r in rows.items() if r.any()}


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The different names in natural order: case ignored, numbers by value."""
    return tuple(sorted(set(labels), key=natural))


def natural(name: str) -> tuple[list[Any], str]:
    """Sort key by which "shelf 9" comes before "Shelf 10"."""
    pieces = re.split(r"(\d+)", name)
    return [int(p) if i % 2 else p.casefold() for i, p in enumerate(pieces)], name


# --- what is there -----------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[Tree]:
    """The files of a folder or zip, readable until the end of the block.

    Raises:
        DataError: it is neither, it is damaged, or it announces more than is reasonable.
    """
    if path.is_dir():
        yield _sorted(_folder(path))
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is neither a folder nor a readable zip ({error}).") from error
    with archive:
        yield _sorted(_unwrapped(_zip(archive, path.name)))


def _sorted(tree: Tree) -> Tree:
    tree.files.sort(key=lambda file: natural(file.path))
    tree.skipped.sort()
    return tree


def _folder(root: Path) -> Tree:
    tree = Tree()

    def unreadable(error: OSError) -> None:
        name = Path(error.filename).relative_to(root).as_posix()
        tree.skipped.append(Skipped(shown(name), "unreadable", str(error.strerror)))

    for place, folders, names in os.walk(root, onerror=unreadable):
        here = Path(place)
        for name in sorted(folders):
            _add_folder(tree, root, here / name, folders)
        for name in sorted(names):
            _add_file(tree, root, here / name)
    return tree


def _add_folder(tree: Tree, root: Path, path: Path, walked: list[str]) -> None:
    name = path.relative_to(root).as_posix()
    reason = _unusable(name) or ("link" if path.is_symlink() else "")
    if reason:
        tree.skipped.append(Skipped(shown(name), reason, REASONS[reason]))
        walked.remove(path.name)
    else:
        tree.folders.add(normal(name))


def _add_file(tree: Tree, root: Path, path: Path) -> None:
    name, found = path.relative_to(root).as_posix(), path.lstat()
    reason = _unusable(name)
    if not reason and stat.S_ISLNK(found.st_mode):
        reason = "link"
    if not reason and not stat.S_ISREG(found.st_mode):
        reason = "special"
    _add(tree, name, reason, File(normal(name), found.st_size, found.st_mtime_ns, path.read_bytes))


def _add(tree: Tree, name: str, reason: str, file: File) -> None:
    if reason:
        tree.skipped.append(Skipped(shown(name), reason, REASONS[reason]))
    elif file.path not in OWN_FILES:
        tree.files.append(file)


REASONS = {
    "hidden": "hidden, or made by the system",
    "link": "a link; only files in the folder itself are used",
    "special": "no regular file",
    "unsafe name": "its name leads out of the folder or cannot be written",
    "encrypted": "protected by a password",
    "oversized": f"unpacks to more than {MAX_RATIO} times its size",
}


def _unusable(name: str) -> str:
    """Why a relative path is not used: a key of REASONS, or nothing."""
    pieces = name.split("/")
    if any((p.startswith(".") and p != "..") or p.casefold() in SYSTEM_FILES for p in pieces):
        return "hidden"
    unsafe = ".." in pieces or "" in pieces or ":" in pieces[0] or not name.isprintable()
    return "unsafe name" if unsafe else ""


def normal(name: str) -> str:
    """A name in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", name)


def shown(name: str) -> str:
    """A name that may be printed and stored, whatever bytes it was made of."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)


# --- zips --------------------------------------------------------------------------------------


def _zip(archive: zipfile.ZipFile, title: str) -> Tree:
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or total > MAX_TOTAL:
        raise DataError(
            f"{title} announces {len(members):,} files of {total / 2**30:,.1f} GB; at most "
            f"{MAX_MEMBERS:,} files of {MAX_TOTAL / 2**30:,.0f} GB are read."
        )
    tree = Tree()
    for member in members:
        name = _member_name(member)
        if name.endswith("/"):
            if not _unusable(name[:-1]):
                tree.folders.add(normal(name[:-1]))
            continue
        file = File(normal(name), member.file_size, member.CRC, _member_reader(archive, member))
        _add(tree, name, _unusable(name) or _unusable_member(member), file)
    return tree


def _member_name(member: zipfile.ZipInfo) -> str:
    """The name with slashes, and as UTF-8 where a zip holds that without saying so (macOS)."""
    name = member.filename.replace("\\", "/")
    if not member.flag_bits & 0x800:
        try:
            return name.encode("cp437").decode("utf-8")
        except UnicodeError:
            return name
    return name


def _unusable_member(member: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(member.external_attr >> 16):
        return "link"
    if member.flag_bits & 0x1:
        return "encrypted"
    large = member.file_size > 2**20
    return "oversized" if large and member.file_size > MAX_RATIO * member.compress_size else ""


def _member_reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    return lambda: archive.read(member)  # never more than the announced size


def _unwrapped(tree: Tree) -> Tree:
    """Without the one folder around everything that many programs add to a zip."""
    tops = {file.path.split("/")[0] for file in tree.files if is_image(file.path)}
    deep = all(file.path.count("/") >= 2 for file in tree.files if is_image(file.path))
    if len(tops) != 1 or not deep or _part(*tops):
        return tree
    start = f"{tops.pop()}/"
    files = [
        File(f.path.removeprefix(start), f.size, f.stamp, f.read)
        for f in tree.files
        if f.path.removeprefix(start) not in OWN_FILES
    ]
    skipped = [
        Skipped(item.path.removeprefix(start), item.kind, item.detail) for item in tree.skipped
    ]
    return Tree(files, {name.removeprefix(start) for name in tree.folders} - {start[:-1]}, skipped)


# --- which image belongs where ----------------------------------------------------------------


def is_image(path: str) -> bool:
    """Whether a file's name ends like an image that can be read."""
    return ending(path) in ENDINGS


def ending(path: str) -> str:
    """What stands after the last dot of a file's name, in small letters."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].casefold() if "." in name else ""


def arrange(tree: Tree) -> Collection:
    """Part and class of every image, by the folders it lies in.

    Raises:
        DataError: the folders are not one per class.
    """
    files, skipped = [], list(tree.skipped)
    for file in tree.files:
        if is_image(file.path):
            files.append(file)
        else:
            skipped.append(Skipped(file.path, "other format", f"a .{ending(file.path)} file"))
    depth = 2 if _has_parts(files) else 1  # folders above an image: part and class, or class
    entries, seen = [], set()
    for file in files:
        folders = file.path.split("/")[:-1]
        if len(folders) < depth:
            skipped.append(Skipped(file.path, "no class", "not in a class folder"))
        elif file.path in seen:
            skipped.append(Skipped(file.path, "same name", "another file has this name"))
        else:
            part = _part(folders[0]) if depth == 2 else "train"
            entries.append(Entry(file, part, folders[depth - 1]))
            seen.add(file.path)
    return Collection(entries, skipped, _empty(tree, entries, depth))


def _part(folder: str) -> str:
    return PARTS.get(folder.casefold(), "")


def _has_parts(files: list[File]) -> bool:
    """Whether the uppermost folders are train, validation and test, not classes."""
    tops = {f.path.split("/")[0] for f in files if "/" in f.path}
    named = {top for top in tops if _part(top)}
    direct = {f.path.split("/")[0] for f in files if f.path.count("/") == 1}
    if not named - direct:  # none of them has sub-folders alone, so they are classes by that name
        if named and named == tops:
            raise DataError(
                f"{', '.join(sorted(named))} must hold one sub-folder per class, and there is none."
            )
        return False
    if others := tops - named:
        raise DataError(
            f"Beside the splits ({', '.join(sorted(named))}) there are other folders: "
            f"{', '.join(sorted(others))}. Give every class its folder inside each split, or none."
        )
    if "train" not in {_part(top) for top in tops}:
        raise DataError(f"There is {', '.join(sorted(tops))}, but no folder train.")
    return True


def _empty(tree: Tree, entries: list[Entry], depth: int) -> list[str]:
    """Folders at the depth of the classes, and those above, under which no image lies."""
    used = {"/".join(e.file.path.split("/")[:d]) for e in entries for d in range(1, depth + 1)}
    return sorted({name for name in tree.folders if name.count("/") < depth} - used, key=natural)


# --- decoding ----------------------------------------------------------------------------------


def decode_all(entries: Sequence[Entry], shape: Shape) -> Iterator[Decoded]:
    """The images in order, decoded on all cores, with a progress bar."""
    from tqdm import tqdm

    bar = tqdm(total=len(entries), desc="Reading images", unit="image", mininterval=1.0)
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda entry: _decoded(entry.file, shape), entries):
            bar.update()
            yield found


def _decoded(file: File, shape: Shape) -> Decoded:
    try:
        content = _content(file)
    except decoding.ImageError as error:
        return Decoded(None, "", "", (0, 0), str(error))
    digest = hashlib.sha256(content).hexdigest()
    try:
        decoded = decoding.decode(content, decoding.OWN_FOLDER)
    except decoding.ImageError as error:
        return Decoded(None, digest, "", (0, 0), str(error))
    pixels = images.model_input(decoded.rgb, shape, "crop")
    return Decoded(pixels, digest, decoded.format, decoded.size, "")


def _content(file: File) -> bytes:
    decoding.check_bytes(file.size, decoding.OWN_FOLDER)
    try:
        return file.read()
    except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise decoding.ImageError(f"The file cannot be read ({error}).") from error
