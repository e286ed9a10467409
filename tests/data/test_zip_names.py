"""Names of a zip's members in the encodings that systems pack with."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from src.data import image_folders, zip_names
from tests.albums import picture

# Names as shops have them, with the bytes that make it hard: 0x5C inside 表, ソ and 能.
NAMES = {
    "cp932": [
        ["靴", "帽子", "表示"],
        ["ソファ/写真 001.jpg", "テーブル/予定表.jpg"],
        ["ﾃﾞｽｸ", "写真"],
        ["能力", "十分"],
        ["Tシャツ", "ワンピース"],
        ["家具", "椅子", "机"],
        ["ソ"],
    ],
    "gbk": [
        ["鞋子", "帽子"],
        ["沙发/图片001.jpg", "桌子/新建文件夹/2.jpg"],
        ["鞋", "包"],
        ["连衣裙", "衬衫", "裤子"],
        ["T恤", "牛仔裤"],
    ],
    "cp950": [
        ["鞋子", "帽子"],
        ["沙發/圖片001.jpg", "桌子/新增資料夾/2.jpg"],
        ["功能", "許功蓋"],
        ["連衣裙", "襯衫"],
    ],
    "cp949": [["신발", "모자"], ["소파/사진001.jpg"], ["가방"], ["원피스", "셔츠"]],
    "cp1252": [
        ["Möbel", "Stühle"],
        ["été", "hiver"],
        ["Größe", "Schuhe"],
        ["niño", "niña"],
        ["château d\N{RIGHT SINGLE QUOTATION MARK}eau"],
        ["MÖBEL"],
        ["é"],
        ["Œuvre", "façade"],
    ],
    "cp437": [["Möbel", "Stühle"], ["été"], ["Größe"], ["niño"], ["é"], ["MÖBEL"], ["garçon"]],
    "utf-8": [["Möbel"], ["靴"], ["é"], ["신발", "T恤"]],
}


@pytest.mark.parametrize(
    ("encoding", "names"), [(encoding, each) for encoding, all_ in NAMES.items() for each in all_]
)
def test_names_are_read_in_the_encoding_they_were_written_in(
    encoding: str, names: list[str]
) -> None:
    raw = [name.encode(encoding) for name in names]
    found = zip_names.guessed(raw)
    assert [name.decode(found) for name in raw] == names


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
