"""Trees: what lies in a folder or a zip, before anybody asks what it is.

Nothing is ever unpacked onto the disk. Links in a folder are followed, inside and outside of it,
but no folder is read twice: a link to one that was read already ends there, and so does every
circle. What a system leaves behind is skipped with everything in it, and counted.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.data import name_encodings, naming, zip_names
from src.data.formats import DataError

# What the project itself looks for beside the images.
SETTINGS, TABLE = "study.toml", "labels.csv"
OWN_FILES = {SETTINGS, TABLE}

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
    system: dict[str, int] = field(default_factory=dict)  # hidden file or folder → files in it
    own: dict[str, File] = field(default_factory=dict)  # of `OWN_FILES`, by name

    def add(self, file: File) -> None:
        """Take a file in."""
        if file.path in OWN_FILES:
            self.own[file.path] = file
        else:
            self.files.append(file)


REASONS = {
    "link": "a link inside a zip, which cannot be followed",
    "special": "no regular file",
    "unsafe name": "its name leads out of the folder or cannot be written",
    "encrypted": "protected by a password",
    "oversized": f"unpacks to more than {MAX_RATIO} times its size",
}


@contextmanager
def opened(path: Path) -> Iterator[Tree]:
    """The files of a folder or zip, readable until the end of the block.

    Raises:
        DataError: it is neither, it is damaged, or it announces more than is reasonable.
    """
    if path.is_dir():
        yield _sorted(_named(_Walk(path).tree))
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is neither a folder nor a readable zip ({error}).") from error
    with archive:
        yield _sorted(_zip(archive, path.name))


def _sorted(tree: Tree) -> Tree:
    tree.files.sort(key=lambda file: naming.natural(file.path))
    tree.skipped += [Skipped(path, "hidden", _counted(n)) for path, n in tree.system.items()]
    tree.skipped.sort()
    return tree


def _named(tree: Tree) -> Tree:
    """With names that are no UTF-8 in the encoding that they make most sense in."""
    text = name_encodings.readable([*tree.folders, *(file.path for file in tree.files)])
    return dataclasses.replace(
        tree,
        files=[
            dataclasses.replace(file, path=naming.normal(text.get(file.path, file.path)))
            for file in tree.files
        ],
        folders={naming.normal(text.get(name, name)) for name in tree.folders},
    )


def _is_unsafe(name: str) -> bool:
    """Whether a name on disk cannot be used; in which encoding it is, all of them tell later."""
    return naming.is_unsafe(name_encodings.STRAY_BYTE.sub("x", name))


def without(tree: Tree, folder: str) -> Tree:
    """A tree as it is inside one folder that holds everything."""
    start = f"{folder}/"
    inside = Tree(
        folders={name.removeprefix(start) for name in tree.folders} - {folder},
        skipped=[Skipped(s.path.removeprefix(start), s.kind, s.detail) for s in tree.skipped],
        own=dict(tree.own),
    )
    for file in tree.files:
        inside.add(File(file.path.removeprefix(start), file.size, file.stamp, file.read))
    return inside


def _counted(n: int) -> str:
    inside = f", with {n:,} {'file' if n == 1 else 'files'} in it" if n else ""
    return f"hidden, or made by the system{inside}"


def _skip(tree: Tree, name: str, reason: str, detail: str = "") -> None:
    tree.skipped.append(Skipped(naming.shown(name), reason, detail or REASONS[reason]))


# --- folders -----------------------------------------------------------------------------------


class _Walk:
    """One pass through a folder: first what lies in it, then where its links lead."""

    def __init__(self, root: Path) -> None:
        self.tree, self.root = Tree(), root
        self.read: dict[tuple[int, int], str] = {}  # folders that were read, as a system knows them
        self.links: list[Path] = []
        self._folder(root)
        while self.links:
            self._linked_folder(self.links.pop(0))

    def _folder(self, start: Path) -> None:
        for place, folders, files in os.walk(start, onerror=self._unreadable):
            here = Path(place)
            self._note(here)
            for name in sorted(folders):
                if not self._enters(here / name):
                    folders.remove(name)
            for name in sorted(files):
                self._file(here / name)
            if len(self.tree.files) > MAX_MEMBERS:
                raise DataError(f"{self.root} holds more than {MAX_MEMBERS:,} files.")

    def _note(self, folder: Path) -> None:
        found = folder.stat()
        self.read.setdefault((found.st_dev, found.st_ino), self._name(folder))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _enters(self, folder: Path) -> bool:
        """Whether the walk goes on into a folder."""
        name = self._name(folder)
        if naming.system_part(name):
            self.tree.system[naming.shown(name)] = _files_below(folder)
        elif _is_unsafe(name):
            _skip(self.tree, name, "unsafe name")
        elif folder.is_symlink():
            self.links.append(folder)
        else:
            self.tree.folders.add(naming.normal(name))
            return True
        return False

    def _linked_folder(self, link: Path) -> None:
        found, name = link.stat(), self._name(link)
        before = self.read.get((found.st_dev, found.st_ino))
        if before is not None:
            there = "the whole folder" if before == "." else naming.shown(before)
            _skip(self.tree, name, "link", f"a link to {there}, which is read already")
        else:
            self.tree.folders.add(naming.normal(name))
            self._folder(link)

    def _file(self, path: Path) -> None:
        name = self._name(path)
        if naming.system_part(name):
            self.tree.system[naming.shown(name)] = 0
        elif _is_unsafe(name):
            _skip(self.tree, name, "unsafe name")
        else:
            self._usable(path, name)

    def _usable(self, path: Path, name: str) -> None:
        try:
            found = path.stat()
        except OSError:
            target = naming.shown(str(path.readlink())) if path.is_symlink() else "nothing"
            _skip(self.tree, name, "dangling link", f"a link to {target}, which cannot be reached")
            return
        if not stat.S_ISREG(found.st_mode):
            _skip(self.tree, name, "special")
        else:
            stamp = found.st_mtime_ns
            self.tree.add(File(naming.normal(name), found.st_size, stamp, path.read_bytes))

    def _unreadable(self, error: OSError) -> None:
        _skip(self.tree, self._name(Path(error.filename)), "unreadable", str(error.strerror))


def _files_below(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


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
    for member, name in zip(members, zip_names.names(members), strict=True):
        _add_member(tree, archive, member, name)
    return tree


def _add_member(tree: Tree, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    is_folder, name = name.endswith("/"), name.removesuffix("/")
    if system := naming.system_part(name):
        inside = not is_folder and system != name
        tree.system[naming.shown(system)] = tree.system.get(naming.shown(system), 0) + inside
    elif naming.is_unsafe(name) or _has_drive(name):
        _skip(tree, name, "unsafe name")
    elif is_folder:
        tree.folders.add(naming.normal(name))
    elif reason := _unusable(member):
        _skip(tree, name, reason)
    else:
        read = _reader(archive, member)
        tree.add(File(naming.normal(name), member.file_size, member.CRC, read))


def _has_drive(name: str) -> bool:
    """Whether a path begins with a drive of Windows, as in "C:/photos"."""
    top = name.partition("/")[0]
    return len(top) == 2 and top[1] == ":" and top[0].isascii() and top[0].isalpha()


def _unusable(member: zipfile.ZipInfo) -> str:
    """Why a member is not read: a key of `REASONS`, or nothing."""
    if stat.S_ISLNK(member.external_attr >> 16):
        return "link"
    if member.flag_bits & 0x1:
        return "encrypted"
    large = member.file_size > 2**20
    return "oversized" if large and member.file_size > MAX_RATIO * member.compress_size else ""


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    return lambda: archive.read(member)  # never more than the announced size
