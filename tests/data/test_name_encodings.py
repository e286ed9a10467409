"""Encodings of file names: which one is taken."""

import os
from pathlib import Path

import pytest

from src.data import image_folders, name_encodings
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
    found = name_encodings.guessed(raw)
    assert [name.decode(found) for name in raw] == names


@pytest.mark.parametrize("encoding", ["cp1252", "cp932"])
def test_names_on_a_disk_that_are_no_utf8_are_read_by_the_same_evidence(
    tmp_path: Path, encoding: str
) -> None:
    shirts, shoes = ("Stühle", "Möbel") if encoding == "cp1252" else ("婦人靴", "帽子とシャツ")
    for number, name in enumerate((f"{shirts}/{shoes}.png", f"{shirts}/2.png", f"{shoes}/3.png")):
        path = tmp_path / os.fsdecode(name.encode(encoding))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(number))
    (tmp_path / "hébé").mkdir()  # one that is UTF-8 stays as it is
    (tmp_path / "hébé" / "1.png").write_bytes(picture(4))
    with image_folders.opened(tmp_path) as tree:
        found = image_folders.arrange(tree)
        assert all(entry.file.read() for entry in found.entries)
    assert {entry.file.path: entry.label for entry in found.entries} == {
        f"{shirts}/{shoes}.png": shirts,
        f"{shirts}/2.png": shirts,
        f"{shoes}/3.png": shoes,
        "hébé/1.png": "hébé",
    }
