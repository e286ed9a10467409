"""Names of a zip's members in the encodings that systems pack with."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from src.data import image_folders, zip_names
from tests.albums import picture


def _zip(path: Path, names: list[bytes], system: int = 0) -> Path:
    """A zip whose names are these bytes, without a word about their encoding."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, _ in enumerate(names):
            member = zipfile.ZipInfo(f"{number:04}")
            member.create_system = system
            archive.writestr(member, picture(number))
    content = path.read_bytes()
    for number, name in enumerate(names):
        content = _renamed(content, f"{number:04}".encode(), name)
    path.write_bytes(content)
    return path


def _renamed(content: bytes, old: bytes, new: bytes) -> bytes:
    """With a name of the same length in both places where a zip holds it."""
    assert content.count(old) == 2, old
    return content.replace(old, new)


def _paths(path: Path) -> list[str]:
    with image_folders.opened(path) as tree:
        return [file.path for file in tree.files]


def test_a_byte_of_a_character_is_no_backslash(tmp_path: Path) -> None:
    names = ["表/1".encode("cp932"), "靴/2".encode("cp932")]
    assert _paths(_zip(tmp_path / "a.zip", names)) == ["表/1", "靴/2"]


def test_a_backslash_separates_on_windows_and_where_nothing_else_does(tmp_path: Path) -> None:
    windows, unix = 0, 3
    assert _paths(_zip(tmp_path / "a.zip", [b"a\\b1", b"a/b2"], windows)) == ["a/b1", "a/b2"]
    assert _paths(_zip(tmp_path / "b.zip", [b"a\\b1", b"a\\b2"], unix)) == ["a/b1", "a/b2"]
    assert _paths(_zip(tmp_path / "c.zip", [b"/a\\1", b"c/\\2"], unix)) == ["c/\\2"]


def test_what_a_zip_says_of_a_name_counts_most() -> None:
    member = zipfile.ZipInfo("x/1.jpg")
    text = "靴/1.jpg".encode()
    other = struct.pack("<HHI", 0x9999, 4, 0)
    member.extra = other + struct.pack("<HHBI", zip_names.UNICODE_PATH, 5 + len(text), 1, 0) + text
    assert zip_names.names([member]) == ["靴/1.jpg"]
    flagged = zipfile.ZipInfo("été/1.jpg")
    flagged.flag_bits |= zip_names.UTF8_FLAG
    assert zip_names.names([flagged]) == ["été/1.jpg"]
    assert zip_names.names([]) == []
