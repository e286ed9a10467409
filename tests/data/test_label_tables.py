"""Labels from a table beside the photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.data import datasets, folders, image_folders, label_tables
from src.data.formats import DataError
from src.data.label_tables import Row
from src.data.trees import File
from tests.albums import fill, packed

pytestmark = pytest.mark.usefixtures("inputs")

SHAPE = (8, 8, 3)


def _read(text: str, encoding: str = "utf-8") -> list[Row]:
    content = text.encode(encoding)
    return label_tables.read(File("labels.csv", len(content), 0, lambda: content))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_as_spreadsheets_write_them(separator: str, encoding: str) -> None:
    lines = ["Label|PATH|group|split|price", 'Möbel|"a 1.jpg"|7|Val|3', "", "Été|./b\\2.jpg|||"]
    assert _read("\r\n".join(lines).replace("|", separator), encoding) == [
        Row("a 1.jpg", "Möbel", "validation", "7"),
        Row("b/2.jpg", "Été", "train", ""),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column path and no column label"),
        ("path,class\n1.jpg,a", "has no column label. Its first line must name"),
        ("path,label\n1.jpg,a\n2.jpg,", "line 3: path or label is empty"),
        ("path,label,split\n1.jpg,a,dev", "line 2: the split is train, validation or test: dev"),
        ("path,label\n1.jpg,a\n1.jpg,b", "has 1.jpg more than once"),
    ],
)
def test_tables_that_cannot_be_meant(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _read(text)


def test_paths_are_found_in_other_case_and_by_the_name_alone() -> None:
    rows = [Row(path, "a", "train", "") for path in ("x/1.JPG", "2.jpg", "3.jpg", "x/1.jpg", "9")]
    paths = ["x/1.jpg", "y/2.jpg", "x/3.jpg", "y/3.jpg"]
    found, lost = label_tables.matched(rows, paths)
    assert {path: row.path for path, row in found.items()} == {
        "x/1.jpg": "x/1.JPG",
        "y/2.jpg": "2.jpg",
    }
    assert [row.path for row in lost] == ["3.jpg", "x/1.jpg", "9"]


def _shop(inputs: Path, name: str = "shop") -> Path:
    shop = fill(inputs / name, {"img": 60})
    lines = [f"{n}.png,{'ab'[n % 2]},{n // 6 * 2 + n % 2}" for n in range(58)]
    (shop / "labels.csv").write_text("\n".join(["path,label,group", *lines, "gone.png,a,1"]))
    return shop


@pytest.mark.parametrize("zipped", [False, True])
def test_photos_of_one_product_stay_in_one_split(inputs: Path, zipped: bool) -> None:
    shop = _shop(inputs, "album")
    if zipped:
        packed(shop, inputs / "shop.zip", "export/")
    spec = folders.specification("shop" if zipped else "album", SHAPE)
    assert spec.classes == ("a", "b")
    dataset = datasets.load(spec)
    assert sum(map(len, dataset.splits)) == 58
    assert min(map(len, dataset.splits)) >= 6
    split_of = {key: split.name for split in dataset.splits for key in split.ids.tolist()}
    for first in range(0, 58, 6):
        for start in (first, first + 1):
            photos = [f"img/{n}.png" for n in range(start, min(first + 6, 58), 2)]
            assert len({split_of[photo] for photo in photos}) == 1
    groups = {
        key: g for s in dataset.splits for key, g in zip(s.ids.tolist(), s.groups, strict=True)
    }
    assert groups["img/0.png"] == groups["img/2.png"] != groups["img/1.png"]
    found, _ = folders.audited(spec)
    told = found[found["path"] != ""].set_index("path")["kind"].to_dict()
    assert told == {"img/58.png": "no label", "img/59.png": "no label", "gone.png": "no file"}


def test_a_table_gives_splits_and_stands_above_folders(inputs: Path) -> None:
    shop = fill(inputs / "shop", {"train/x": 3, "misc": 2})
    lines = ["train/x/0.png,a,test", "train/x/1.png,a,", "misc/0.png,b,train", "misc/1.png,b,val"]
    (shop / "labels.csv").write_text("\n".join(["path,label,split", *lines]))
    with image_folders.opened(shop) as tree:
        entries = image_folders.arrange(tree).entries
    assert {e.file.path: (e.part, e.label) for e in entries} == {
        "train/x/0.png": ("test", "a"),
        "train/x/1.png": ("train", "a"),
        "misc/0.png": ("train", "b"),
        "misc/1.png": ("validation", "b"),
    }


def test_photos_beside_the_table_are_a_study(inputs: Path) -> None:
    shop = fill(inputs / "shop", {".": 12})
    lines = [f"{n}.png;{'ab'[n % 2]}" for n in range(12)]
    (shop / "labels.csv").write_text("\n".join(["path;label", *lines]))
    assert folders.names() == ("shop",)
    assert len(datasets.load(folders.specification("shop", SHAPE)).train) == 8
