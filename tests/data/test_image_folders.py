"""Folders and zips of pictures: what is found in them, and what they cannot do to us."""

from __future__ import annotations

import os
import stat
import unicodedata
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from src.data import decoding, image_folders, images, trees
from src.data.formats import DataError
from tests.albums import fill, packed, picture

SHAPE = (8, 8, 3)


def _found(path: Path) -> image_folders.Collection:
    with image_folders.opened(path) as tree:
        return image_folders.arrange(tree)


def _placed(path: Path) -> dict[str, tuple[str, str]]:
    return {e.file.path: (e.part, e.label) for e in _found(path).entries}


def _skipped(path: Path) -> dict[str, str]:
    return {item.path: item.kind for item in _found(path).skipped}


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_classes_are_the_uppermost_folders_and_nested_ones_belong_to_them(tmp_path: Path) -> None:
    fill(tmp_path, {"hats": 1, "hats/summer/straw": 1, "shoes": 1})
    assert _placed(tmp_path) == {
        "hats/0.png": ("train", "hats"),
        "hats/summer/straw/0.png": ("train", "hats"),
        "shoes/0.png": ("train", "shoes"),
    }


def test_given_splits_under_any_of_their_names(tmp_path: Path) -> None:
    fill(tmp_path, {"Train/a": 1, "train/b/deep": 1, "val/a": 1, "valid/b": 1, "TEST/a": 1})
    assert _placed(tmp_path) == {
        "TEST/a/0.png": ("test", "a"),
        "Train/a/0.png": ("train", "a"),
        "train/b/deep/0.png": ("train", "b"),
        "val/a/0.png": ("validation", "a"),
        "valid/b/0.png": ("validation", "b"),
    }


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    fill(tmp_path, {"bus": 1, "train": 2, "train/steam": 1})
    assert [label for _, label in _placed(tmp_path).values()] == ["bus", "train", "train", "train"]


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("train", "test"), "test, train must hold one sub-folder per class"),
        (("train/a", "test/a", "misc"), r"Beside the splits \(test, train\).*misc"),
        (("test/a", "val/a"), "There is test, val, but no folder train"),
    ],
)
def test_unclear_folders_are_refused(
    tmp_path: Path, folders: tuple[str, ...], message: str
) -> None:
    fill(tmp_path, dict.fromkeys(folders, 1))
    with pytest.raises(DataError, match=message):
        _found(tmp_path)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 1, "b": 1, "b/.thumbs": 1, "empty/deeper": 0})
    for name in ("a/manual.PDF", "a/.DS_Store", "b/film.mp4", "README", "Thumbs.db", "study.toml"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "front.jpg").write_bytes(picture(9))
    assert _skipped(tmp_path) == {
        "README": "other format",
        "Thumbs.db": "hidden",
        "a/.DS_Store": "hidden",
        "a/manual.PDF": "other format",
        "b/.thumbs": "hidden",
        "b/film.mp4": "other format",
        "front.jpg": "no class",
    }
    assert _found(tmp_path).empty == ["empty"]


def test_links_are_followed_inside_and_outside(tmp_path: Path) -> None:
    store = fill(tmp_path / "store", {"blobs": 2, "more": 1})
    album = fill(tmp_path / "album", {"a": 1})
    (album / "a" / "1.png").symlink_to(store / "blobs" / "0.png")
    (album / "a" / "2.png").symlink_to("0.png")
    (album / "b").symlink_to(store / "blobs", target_is_directory=True)
    assert list(_placed(album)) == ["a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png"]
    assert _skipped(album) == {}
    (album / "c").symlink_to(tmp_path / "again", target_is_directory=True)
    (tmp_path / "again").symlink_to(album / "c", target_is_directory=True)
    assert _skipped(album) == {"c": "dangling link"}


def test_links_never_lead_to_what_is_read_already(tmp_path: Path) -> None:
    album = fill(tmp_path / "album", {"a": 1, "a/deep": 1, "z": 1})
    (album / "a" / "deep" / "up").symlink_to(album, target_is_directory=True)
    (album / "b").symlink_to(album / "a", target_is_directory=True)
    assert list(_placed(album)) == ["a/0.png", "a/deep/0.png", "z/0.png"]
    details = {item.path: item.detail for item in _found(album).skipped}
    assert details == {
        "a/deep/up": "a link to the whole folder, which is read already",
        "b": "a link to a, which is read already",
    }


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    album = fill(tmp_path / "album", {"a": 1})
    (album / "a" / "gone.png").symlink_to("nowhere\x07.png")
    (album / "a" / "null.png").symlink_to("/dev/null")
    os.mkfifo(album / "a" / "pipe.png")
    assert list(_placed(album)) == ["a/0.png"]
    assert {item.path: item.detail for item in _found(album).skipped} == {
        "a/gone.png": "a link to nowhere\N{REPLACEMENT CHARACTER}.png, which cannot be reached",
        "a/null.png": "no regular file",
        "a/pipe.png": "no regular file",
    }


SYSTEM = {
    "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": 1,
    "$RECYCLE.BIN/S-1-5/old.jpg": 1,
    "#recycle/a/old.jpg": 1,
    "lost+found/1.jpg": 1,
    "System Volume Information/x.jpg": 1,
    ".thumbnails/1.jpg": 1,
    ".Trash-1000/files/1.jpg": 1,
    "__MACOSX/a/._0.png": 1,
    ".git/objects/1.png": 1,
    "a/._0.png": 0,
    "a/Thumbs.db": 0,
    "a/desktop.ini": 0,
    "a/.DS_Store": 0,
    "a/@eaDir/0.png/thumb.jpg": 1,
}


@pytest.mark.parametrize("zipped", [False, True])
def test_rubbish_of_systems_is_counted_and_no_class(tmp_path: Path, zipped: bool) -> None:
    album = fill(tmp_path / "album", {"a": 2, "b": 1})
    for number, path in enumerate(SYSTEM):
        (album / path).parent.mkdir(parents=True, exist_ok=True)
        (album / path).write_bytes(picture(number))
    place = packed(album, tmp_path / "album.zip") if zipped else album
    assert list(_placed(place)) == ["a/0.png", "a/1.png", "b/0.png"]
    found = _found(place)
    assert not found.empty
    expected = {}
    for path, n in SYSTEM.items():
        top = "a/@eaDir" if path.startswith("a/@") else path if not n else path.split("/")[0]
        expected[top] = n
    assert {item.path: item.kind for item in found.skipped} == dict.fromkeys(expected, "hidden")
    counted = {item.path for item in found.skipped if "with 1 file in it" in item.detail}
    assert counted == {path for path, n in expected.items() if n}


def test_pointers_of_git_lfs_are_named(tmp_path: Path) -> None:
    album = fill(tmp_path, {"a": 1})
    (album / "a" / "1.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert _skipped(album) == {"a/1.jpg": "LFS pointer"}
    assert list(_placed(album)) == ["a/0.png"]


READABLE = [
    "Screenshot 2026-11-01 at 9.41.00\u202fPM",
    "no\u00a0break",
    "wide\u3000space",
    "family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u200fعربي\u200e",
    "12:30 a:b",
    "é" * 120,
    "trailing ",
    'quote " \\ back',
    "\ue000 private",
]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", READABLE)
def test_names_that_a_person_can_read_are_classes(tmp_path: Path, name: str, zipped: bool) -> None:
    album = fill(tmp_path / "album", {name: 1, "b": 1})
    (album / "b" / f"{name}.png").write_bytes(picture(9))
    place = packed(album, tmp_path / "album.zip") if zipped else album
    assert set(_placed(place)) == {f"{name}/0.png", "b/0.png", f"b/{name}.png"}
    assert _skipped(place) == {}


def test_names_are_normalised_and_clashes_told(tmp_path: Path) -> None:
    composed, apart = "été 1", unicodedata.normalize("NFD", "été 1")
    fill(tmp_path, {composed: 1}, first=1)
    fill(tmp_path, {apart: 2}, first=5)
    assert list(_placed(tmp_path)) == ["été 1/0.png", "été 1/1.png"]
    assert _skipped(tmp_path) == {"été 1/0.png (2)": "same name"}


def test_of_a_zip_with_every_name_twice_the_first_ones_are_used(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in (1, 2, 3, 1, 2, 7):
            archive.writestr(f"{'ab'[number % 2]}/{number % 4}.png", picture(number))
    assert list(_placed(path)) == ["a/2.png", "b/1.png", "b/3.png"]
    assert _skipped(path) == dict.fromkeys(
        ("a/2.png (2)", "b/1.png (2)", "b/3.png (2)"), "same name"
    )
    part = image_folders.read_images(path, SHAPE)["train"]
    expected = images.model_input(decoding.decode(picture(3)).rgb, SHAPE, "crop")
    assert np.array_equal(part.images[2], expected)


def test_names_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 1})
    (tmp_path / "a" / "two\nlines.png").write_bytes(picture(1))
    assert _skipped(tmp_path) == {"a/two\N{REPLACEMENT CHARACTER}lines.png": "unsafe name"}


def test_natural_order() -> None:
    names = ["shelf 10", "Shelf 9", "ärmel", "Zebra", "shelf 9", "10", "9"]
    assert image_folders.class_names(names) == (
        *("9", "10", "Shelf 9", "shelf 9", "shelf 10", "Zebra", "ärmel"),
    )


@pytest.mark.parametrize("inside", ["", "my shop/"])
@pytest.mark.parametrize("above", ["", "train/"])
def test_a_zip_holds_what_its_folder_holds(tmp_path: Path, inside: str, above: str) -> None:
    counts = {f"{above}été": 2, f"{above}b c/deep": 1}
    album = fill(tmp_path / "album", counts | ({"test/b c": 1} if above else {}))
    (album / "notes.txt").write_text("x")
    path = packed(album, tmp_path / "album.zip", inside)
    assert _placed(path) == _placed(album)
    assert _skipped(path) == _skipped(album) == {"notes.txt": "other format"}
    read, same = (image_folders.read_images(place, SHAPE) for place in (path, album))
    for part, (pixels, labels, ids, _) in read.items():
        assert np.array_equal(pixels, same[part].images)
        assert labels.tolist() == same[part].labels.tolist()
        assert list(ids) == list(same[part].ids)


def test_system_files_in_a_zip_do_not_hide_its_one_folder(tmp_path: Path) -> None:
    members = {"shop/a/1.png": picture(1), "__MACOSX/shop/a/._1.png": b"x", "shop/.DS_Store": b"x"}
    path = _zip(tmp_path / "mac.zip", members)
    assert _placed(path) == {"a/1.png": ("train", "a")}
    assert _skipped(path) == {"__MACOSX": "hidden", ".DS_Store": "hidden"}


def test_a_zip_may_have_several_folders_around_everything(tmp_path: Path) -> None:
    album = fill(tmp_path / "album", {"train/a": 1, "train/b": 1, "test/a": 1})
    (album / "study.toml").write_text("")
    path = packed(album, tmp_path / "Album.ZIP", "photos/photos 2/")
    assert _placed(path) == _placed(album)
    assert _skipped(path) == {}


def test_zip_names_in_old_and_in_other_encodings(tmp_path: Path) -> None:
    path = _zip(tmp_path / "names.zip", {"A/1.png": picture(1), "b\\2.png": picture(2)})
    raw = path.read_bytes().replace(b"A/1.png", b"\xc3\xa9/.png")  # UTF-8 that does not say so
    path.write_bytes(raw)
    assert sorted(_skipped(path)) == ["é/.png"]
    assert _placed(path) == {"b/2.png": ("train", "b")}


def test_a_zip_cannot_reach_out_of_itself(tmp_path: Path) -> None:
    names = ("../a/1.png", "a/../../1.png", "/etc/1.png", "C:/a/1.png", "a//1.png")
    members = {name: picture(place) for place, name in enumerate(names)}
    path = _zip(tmp_path / "evil.zip", members | {"a/1.png": picture(9), "b/1.png": picture(8)})
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert _skipped(path) == dict.fromkeys(names, "unsafe name") | {"a/link.png": "link"}
    image_folders.read_images(path, SHAPE)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["evil.zip"]


def test_zip_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = {"a/1.png": bytes(3 * 2**20), "a/2.png": picture(1), "b/1.png": picture(2)}
    path = _zip(tmp_path / "bomb.zip", bomb)
    assert _skipped(path) == {"a/1.png": "oversized"}
    monkeypatch.setattr(trees, "MAX_TOTAL", 2**20)
    with pytest.raises(DataError, match=r"bomb.zip announces 3 files of 0\.0 GB; at most"):
        _found(path)
    monkeypatch.setattr(trees, "MAX_TOTAL", 2**40)
    monkeypatch.setattr(trees, "MAX_MEMBERS", 2)
    with pytest.raises(DataError, match="at most 2 files"):
        _found(path)


def test_a_zip_that_lies_about_its_sizes_gives_an_unreadable_picture(tmp_path: Path) -> None:
    path = _zip(tmp_path / "lie.zip", {"a/1.bmp": picture(1, (90, 90), "BMP")})
    size = len(picture(1, (90, 90), "BMP"))
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), b"\x10\x00\x00\x00"))
    with pytest.raises(DataError, match=r"a/1.bmp cannot be used. The file"):
        image_folders.read_images(path, SHAPE)


def test_encrypted_and_damaged_zips(tmp_path: Path) -> None:
    path = _zip(tmp_path / "locked.zip", {"a/1.png": picture(1)})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert _skipped(path) == {"a/1.png": "encrypted"}
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match="locked.zip is neither a folder nor a readable zip"):
        _found(path)


def test_all_formats_are_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    kinds = {"jpg": "JPEG", "jfif": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF"}
    kinds |= {"gif": "GIF", "bmp": "BMP", "tif": "TIFF", "JPEG": "JPEG"}
    (tmp_path / "a").mkdir()
    for ending, kind in kinds.items():
        (tmp_path / "a" / f"1.{ending}").write_bytes(picture(1, kind=kind))
    assert image_folders.read_images(tmp_path, SHAPE)["train"].images.shape == (9, *SHAPE)
    (tmp_path / "a" / "1.gif").write_bytes(b"%PDF-1.7")
    with pytest.raises(DataError, match=r"a/1.gif cannot be used. The file is a PDF document"):
        image_folders.read_images(tmp_path, SHAPE)


def test_pixels_are_those_of_the_one_way_in(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 1})
    part = image_folders.read_images(tmp_path, SHAPE)["train"]
    for pixels, number in zip(part.images, range(3), strict=True):
        expected = images.model_input(decoding.decode(picture(number)).rgb, SHAPE, "crop")
        assert np.array_equal(pixels, expected)
    assert part.labels.tolist() == [0, 0, 1]
    assert list(part.ids) == ["a/0.png", "a/1.png", "b/0.png"]


def test_huge_files_are_refused_unread_and_filters_stay_as_they_were(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 1})
    with (tmp_path / "a" / "0.png").open("r+b") as stream:
        stream.truncate(decoding.OWN_FOLDER.size + 1)
    filters = list(warnings.filters)
    with pytest.raises(DataError, match="at most 1000 MB are accepted"):
        image_folders.read_images(tmp_path, SHAPE)
    assert list(warnings.filters) == filters
