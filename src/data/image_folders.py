"""Folders and zips of images, one sub-folder per class: their contents and their pixels.

    <class>/*.jpg                               split later
    train | validation | test / <class> / *.jpg  split already ("val" and "valid" are understood)

A zip holds either, perhaps inside one more folder. Sub-folders of a class are part of the class.
Where there is a `labels.csv`, it says all that (`label_tables`), and the folders say nothing.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.data import decoding, images, label_tables, naming, trees
from src.data.formats import DataError, Part, Pixels, Raw
from src.data.label_tables import PARTS
from src.data.trees import File, Skipped, Tree

Shape = tuple[int, int, int]

ENDINGS = set(decoding.EXTENSIONS)
POINTER, LARGEST_POINTER = b"version https://git-lfs.github.com/spec/", 1024  # bytes
READ_ERRORS = (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class Entry(NamedTuple):
    """A file that should be an image, the part it was given to ("train" if none) and its class.

    group: what photos of one product have in common; empty where nothing is said.
    """

    file: File
    part: str
    label: str
    group: str = ""


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

    Labels count in the natural order of the class names (`naming.natural`); ids are relative paths.

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
    return tuple(sorted(set(labels), key=naming.natural))


# --- what is there -----------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[Tree]:
    """The files of a folder or zip, readable until the end of the block.

    Raises:
        DataError: it is neither, it is damaged, or it announces more than is reasonable.
    """
    with trees.opened(path) as tree:
        yield tree if path.is_dir() else _unwrapped(tree)


def _unwrapped(tree: Tree) -> Tree:
    """Without the folders around everything that many programs add to a zip."""
    while top := _wrapper(tree):
        tree = trees.without(tree, top)
    return tree


def _wrapper(tree: Tree) -> str:
    """The one folder that everything lies in, if the folders in it can be classes or splits."""
    paths = [file.path for file in tree.files if is_image(file.path)]
    tops = {path.split("/")[0] for path in paths}
    deep = all(path.count("/") >= 2 for path in paths)
    if len(tops) != 1 or trees.TABLE in tree.own:
        return ""
    top = tops.pop()
    listed = any(file.path == f"{top}/{trees.TABLE}" for file in tree.files)
    return top if listed or (deep and not _part(top)) else ""


# --- which image belongs where ----------------------------------------------------------------


def is_image(path: str) -> bool:
    """Whether a file's name ends like an image that can be read."""
    return ending(path) in ENDINGS


def ending(path: str) -> str:
    """What stands after the last dot of a file's name, in small letters."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].casefold() if "." in name else ""


def arrange(tree: Tree) -> Collection:
    """Part and class of every image, by its table if there is one, else by its folders.

    Raises:
        DataError: the table cannot be used, or the folders are not one per class.
    """
    files, skipped = [], list(tree.skipped)
    for file in tree.files:
        if not is_image(file.path):
            skipped.append(Skipped(file.path, "other format", f"a .{ending(file.path)} file"))
        elif _is_pointer(file):
            skipped.append(Skipped(file.path, "LFS pointer", "git lfs pull brings the image"))
        else:
            files.append(file)
    images, again = _first_of_name(files)
    skipped += again
    if trees.TABLE in tree.own:
        return _from_table(label_tables.read(tree.own[trees.TABLE]), images, skipped)
    return _from_folders(tree, images, skipped)


def _first_of_name(files: list[File]) -> tuple[list[File], list[Skipped]]:
    """The first file of each name, and the others under names of their own."""
    seen: Counter[str] = Counter()
    kept, again = [], []
    for file in files:
        seen[file.path] += 1
        if (n := seen[file.path]) == 1:
            kept.append(file)
        else:
            detail = "the first file of this name is used"
            again.append(Skipped(f"{file.path} ({n})", "same name", detail))
    return kept, again


def _from_table(
    rows: list[label_tables.Row], files: list[File], skipped: list[Skipped]
) -> Collection:
    """Part, class and group of every image as a table has them."""
    found, lost = label_tables.matched(rows, [file.path for file in files])
    entries = [
        Entry(file, row.part, row.label, row.group)
        for file in files
        if (row := found.get(file.path)) is not None
    ]
    unlisted = [file.path for file in files if file.path not in found]
    skipped += [Skipped(path, "no label", f"not in {trees.TABLE}") for path in unlisted]
    missing = f"{trees.TABLE} names it, and it is not there or listed already"
    skipped += [Skipped(naming.shown(row.path), "no file", missing) for row in lost]
    return Collection(entries, skipped, [])


def _from_folders(tree: Tree, files: list[File], skipped: list[Skipped]) -> Collection:
    """Part and class of every image by the folders it lies in."""
    depth = 2 if _has_parts(files) else 1  # folders above an image: part and class, or class
    entries = []
    for file in files:
        folders = file.path.split("/")[:-1]
        if len(folders) < depth:
            skipped.append(Skipped(file.path, "no class", "not in a class folder"))
        else:
            part = _part(folders[0]) if depth == 2 else "train"
            entries.append(Entry(file, part, folders[depth - 1]))
    return Collection(entries, skipped, _empty(tree, entries, depth))


def _is_pointer(file: File) -> bool:
    """Whether a file is only Git LFS's note of where the image is."""
    if file.size > LARGEST_POINTER:
        return False
    try:
        return file.read().startswith(POINTER)
    except READ_ERRORS:
        return False


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
    return sorted(
        {name for name in tree.folders if name.count("/") < depth} - used, key=naming.natural
    )


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
    except READ_ERRORS as error:
        raise decoding.ImageError(f"The file cannot be read ({error}).") from error
