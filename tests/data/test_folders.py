"""A folder of one's own as a study: from files to splits."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src import config, environment
from src.data import datasets, folders, near_duplicates, studies
from src.data.formats import DataError
from src.data.specification import StudySpec
from tests.albums import fill, packed, picture

pytestmark = pytest.mark.usefixtures("inputs")

SHAPE = (8, 8, 3)


def _spec(name: str = "shop") -> StudySpec:
    return folders.specification(name, SHAPE)


def _counts(spec: StudySpec) -> dict[str, dict[str, int]]:
    dataset = datasets.load(spec)
    return {s.name: datasets.class_counts(s, spec.classes) for s in dataset.splits}


# --- which folders are studies -----------------------------------------------------------------


def test_folders_and_zips_are_studies(inputs: Path, tmp_path: Path) -> None:
    assert folders.names() == ()
    for name in ("shop", "cifar10", ".hidden"):
        fill(inputs / name, {"a": 1})
    packed(inputs / "shop", inputs / "packed.zip")
    (inputs / "inside").mkdir()
    shutil.copy(inputs / "packed.zip", inputs / "inside" / "Photos.ZIP")
    (inputs / "none").mkdir()
    (inputs / "notes.toml").write_text("")
    fill(inputs / "studies", {"a": 1})  # where the studies' own files are
    assert folders.names() == ("inside", "packed", "shop")
    assert set(folders.names()) <= set(studies.names())
    assert folders.location("shop") == inputs / "shop"
    assert folders.location("packed") == inputs / "packed.zip"
    assert folders.location("inside") == inputs / "inside" / "Photos.ZIP"


def test_two_places_of_one_name_are_refused(inputs: Path) -> None:
    packed(fill(inputs / "shop", {"a": 1}), inputs / "shop.zip")
    with pytest.raises(DataError, match=r"There are both .*shop and .*shop.zip. Keep one"):
        folders.location("shop")
    (inputs / "zips").mkdir()
    for name in ("1.zip", "2.zip"):
        shutil.copy(inputs / "shop.zip", inputs / "zips" / name)
    with pytest.raises(DataError, match="holds 2 zips"):
        folders.location("zips")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Été à Paris", "How about ete-a-paris?"),
        ("a/b", "How about a-b?"),
        ("--", "How about my?"),
        ("studies", "studies is the folder of the studies' own files. Call yours my-studies"),
        ("CIFAR10", "CIFAR10 is a study of this project. Call yours differently: my-CIFAR10"),
    ],
)
def test_names_that_a_study_cannot_have(inputs: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        folders.specification(name)


def test_a_folder_with_a_long_name_is_offered_a_plain_one(inputs: Path) -> None:
    fill(inputs / "Meine Möbel 2024", {"a": 1})
    with pytest.raises(DataError, match=r"How about meine-mobel-2024\?"):
        studies.get("Meine Möbel 2024")


def test_a_folder_elsewhere_is_linked_not_copied(inputs: Path, tmp_path: Path) -> None:
    album = fill(tmp_path / "My photos", {"a": 5, "b": 5}, size=(64, 64))
    with pytest.raises(DataError, match=r"How about my-photos\?"):
        folders.adopt(str(album))
    assert folders.adopt(str(album), "shop") == "shop"
    assert (inputs / "shop").is_symlink()
    assert folders.adopt(str(album), "shop") == folders.adopt("shop") == "shop"
    assert len(datasets.load(_spec()).train) == 6
    path = packed(album, tmp_path / "zipped.zip")
    assert folders.adopt(str(path)) == "zipped"
    assert folders.location("zipped").resolve() == path
    with pytest.raises(DataError, match="has a shop already"):
        folders.adopt(str(path), "shop")
    with pytest.raises(DataError, match=r"Which folder\?"):
        folders.adopt("")
    with pytest.raises(DataError, match="There is neither nowhere nor"):
        folders.adopt("nowhere")
    with pytest.raises(DataError, match="digits is a study of this project"):
        folders.adopt("digits")


def test_what_cannot_be_a_study_keeps_no_name(inputs: Path, tmp_path: Path) -> None:
    bad = fill(tmp_path / "bad", {"a": 5})
    with pytest.raises(DataError, match="shop has only one class"):
        folders.adopt(str(bad), "shop")
    assert list(inputs.iterdir()) == []
    good = fill(tmp_path / "good", {"a": 5, "b": 5}, size=(64, 64))
    assert folders.adopt(str(good), "shop") == "shop"


def test_a_folder_that_is_gone_stops_no_other_study(inputs: Path, tmp_path: Path) -> None:
    album = fill(tmp_path / "album", {"a": 5, "b": 5}, size=(64, 64))
    for name in ("first", "second"):
        folders.adopt(str(album), name)
    fill(inputs / "other", {"a": 5, "b": 5})
    os.mkfifo(inputs / "pipe")
    (inputs / "loop").symlink_to("loop")
    shutil.move(album, tmp_path / "moved")
    assert folders.names() == ("other",)
    with pytest.raises(DataError, match=r"The photos of first were linked from .*album, which is"):
        studies.get("first")
    assert folders.adopt(str(tmp_path / "moved"), "first") == "first"
    assert folders.names() == ("first", "other")
    assert len(datasets.load(_spec("first")).train) == 6


def test_a_zip_may_be_called_ZIP(inputs: Path) -> None:  # noqa: N802
    packed(fill(inputs / "album", {"a": 5, "b": 5}), inputs / "Shop.ZIP")
    assert folders.names() == ("Shop", "album")
    assert folders.location("Shop") == inputs / "Shop.ZIP"
    assert len(datasets.load(_spec("Shop")).train) == 6


# --- from folder to splits ---------------------------------------------------------------------


@pytest.mark.slow
def test_twenty_classes_of_very_different_counts(inputs: Path) -> None:
    expected = {f"shelf {n}": 5 + n * n // 4 for n in range(1, 21)}
    fill(inputs / "shop", {"shelf 7/front/étage": 1, **expected}, first=1)
    spec = _spec()
    assert spec.classes == tuple(expected)  # natural order: shelf 2 before shelf 10
    assert (spec.title, spec.image_shape, spec.test_share) == ("Shop", SHAPE, 0.2)
    assert sum(expected.values()) + 1 == 816
    assert spec.description == (
        "816 images of 20 categories from the folder shop, 5 to 105 of each."
    )
    counts = _counts(spec)
    for name, n in (expected | {"shelf 7": 18}).items():
        of = {split: counts[split][name] for split in counts}
        assert sum(of.values()) == n
        assert of["test"] == max(1, round(0.2 * n))
        assert of["validation"] >= 1
        assert of["train"] >= 3


@pytest.mark.slow
def test_every_class_that_is_kept_is_in_every_split(inputs: Path) -> None:
    fill(inputs / "shop", {str(n): n for n in range(5, 40)})
    counts = _counts(_spec())
    assert min(min(count.values()) for count in counts.values()) == 1
    assert counts["train"]["5"] == 3
    subset = datasets.class_counts(datasets.load(_spec()).subset, _spec().classes)
    assert min(subset.values()) == subset["5"] == 2


def test_nearly_equal_pictures_stay_in_one_split(inputs: Path) -> None:
    fill(inputs / "shop", {"bag": 60, "hat": 60})
    for place in range(0, 60, 3):  # every third saved once more, a little darker
        for name in ("bag", "hat"):
            file = inputs / "shop" / name / f"{place}.png"
            darker = np.asarray(Image.open(file)).astype(int) * 99 // 100
            Image.fromarray(darker.astype(np.uint8)).save(file.with_name(f"{place} darker.png"))
    dataset = datasets.load(_spec())
    assert [len(split) for split in dataset.splits] == pytest.approx([104, 24, 32], abs=3)
    split_of = {key: split.name for split in dataset.splits for key in split.ids.tolist()}
    assert len(split_of) == 160
    for place in range(0, 60, 3):
        for name in ("bag", "hat"):
            assert split_of[f"{name}/{place}.png"] == split_of[f"{name}/{place} darker.png"]


def test_given_splits_stay_and_missing_ones_are_drawn(inputs: Path) -> None:
    fill(inputs / "shop", {"train/a": 20, "train/b": 10, "test/a": 2, "test/b": 1})
    assert _spec().test_share is None
    assert _counts(_spec()) == {
        "train": {"a": 17, "b": 8},
        "validation": {"a": 3, "b": 2},
        "test": {"a": 2, "b": 1},
    }
    shutil.move(inputs / "shop" / "test", inputs / "shop" / "val")
    assert _counts(_spec()) == {
        "train": {"a": 16, "b": 8},
        "validation": {"a": 2, "b": 1},
        "test": {"a": 4, "b": 2},
    }


def test_a_class_keeps_its_photos_though_other_splits_have_none(inputs: Path) -> None:
    counts = {f"{part}/a": n for part, n in (("train", 20), ("val", 4), ("test", 5))}
    fill(inputs / "shop", {**counts, "train/b": 12, "test/b": 2, "train/c": 5, "train/few": 3})
    assert _counts(_spec()) == {
        "train": {"a": 20, "b": 10, "c": 4},
        "validation": {"a": 4, "b": 2, "c": 1},
        "test": {"a": 5, "b": 2, "c": 0},
    }
    found, summary = folders.audited(_spec())
    told = found[found["path"] == ""].groupby("kind", sort=False)["class"].agg(list).to_dict()
    assert told["untested class"] == ["c"]
    assert told["no validation"] == ["b", "c"]
    assert summary["left_out"] == [
        "few: 3 images, 3 usable for training, at least 5 are needed: 2 more would keep it"
    ]
    dataset = datasets.load(_spec())
    ids = [key for split in dataset.splits for key in split.ids.tolist()]
    assert len(set(ids)) == len(ids) == summary["used"]


def test_ids_are_paths_and_files_are_hashed(inputs: Path) -> None:
    fill(inputs / "shop", {"été": 5, "b c/deep": 5})
    dataset = datasets.load(_spec())
    ids = np.concatenate([split.ids for split in dataset.splits])
    assert sorted(ids) == sorted(
        [f"b c/deep/{n}.png" for n in range(5)] + [f"été/{n}.png" for n in range(5)]
    )
    assert dataset.source.kind == "folder"
    assert dataset.source.files["été/0.png"] == {
        "sha256": hashlib.sha256(picture(0)).hexdigest(),
        "bytes": len(picture(0)),
    }
    assert datasets.card(dataset)["totals"] == {"train": 6, "validation": 2, "test": 2, "all": 10}


def test_a_zip_gives_the_same_study_as_its_folder(inputs: Path) -> None:
    packed(fill(inputs / "shop", {"a": 9, "b": 6}), inputs / "packed.zip", "wrapped/")
    first, second = datasets.load(_spec("shop")), datasets.load(_spec("packed"))
    for one, other in zip(first.splits, second.splits, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert np.array_equal(one.images, other.images)


def test_what_the_audit_refuses_is_not_in_the_study(inputs: Path) -> None:
    shop = fill(inputs / "shop", {"a": 8, "b": 8, "few": 4, "none": 0})
    for path, content in {
        "a/broken.png": picture(0)[:60],
        "a/copy.png": picture(1),
        "a/disputed.png": picture(8),  # the same as b/0.png
        "b/photo.jxl": b"x",
        "b/tiny.png": picture(99, (1, 1)),
    }.items():
        (shop / path).write_bytes(content)
    spec = _spec()
    assert spec.classes == ("a", "b")
    found, summary = folders.audited(spec)
    refused = found[found["severity"] == "refused"].set_index("path")["kind"].to_dict()
    assert refused == {
        "a/broken.png": "damaged",
        "a/copy.png": "copy",
        "a/disputed.png": "contradiction",
        "b/0.png": "contradiction",
        "b/photo.jxl": "other format",
        "b/tiny.png": "tiny",
        **{f"few/{n}.png": "small class" for n in range(4)},
    }
    assert summary["classes"] == {"a": 8, "b": 7}
    assert sum(map(len, datasets.load(spec).splits)) == summary["used"] == 15


def test_alike_names_are_apart_until_they_are_merged(
    inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = fill(inputs / "shop", {"Shoes": 6, "Shoes ": 5, "shoes": 2, "bags": 6})
    (shop / "study.toml").write_text('[classes]\nbags = "Bags"\n"Shoes " = "Footwear"\n')
    assert _spec().classes == ("Bags", "Footwear", "Shoes")
    (shop / "study.toml").write_text("")
    assert _spec().classes == ("bags", "Shoes", "Shoes\N{OPEN BOX}")
    monkeypatch.setenv("MERGE_NAMES", "1")
    assert _spec().classes == ("bags", "Shoes")
    counts = _counts(_spec())
    assert sum(count["Shoes"] for count in counts.values()) == 13
    (shop / "study.toml").write_text('[classes]\n"shoes" = "Footwear"\n')
    assert _spec().classes == ("Footwear", "bags")


# --- clear errors ------------------------------------------------------------------------------


def test_one_class_is_refused_before_anything_is_read(inputs: Path) -> None:
    shop = fill(inputs / "shop", {"only/deep": 9, "empty": 0})
    message = r"shop has only one class \(only\). Put each class's.* in only are the classes"
    with pytest.raises(DataError, match=message):
        _spec()
    assert not (inputs / ".prepared").exists()
    shutil.rmtree(shop / "only")
    with pytest.raises(DataError, match="shop has no class folder with images"):
        _spec()


def test_classes_too_small_to_be_one_are_listed(inputs: Path) -> None:
    fill(inputs / "shop", {"a": 30, "b": 4})
    with pytest.raises(
        DataError,
        match="shop cannot be a study. 30 images of 1 class can be used.*\n.*left out: b: 4 im",
    ):
        _spec()


def test_too_many_pictures_for_the_memory(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(inputs / "shop", {"a": 5, "b": 5})
    monkeypatch.setattr(environment, "available_bytes", lambda: 1000)
    with pytest.raises(DataError, match=r"10 images need about 0\.0 GB.*Use about 1 of them"):
        _spec()
    monkeypatch.setattr(environment, "available_bytes", lambda: 10**9)
    assert len(_spec().classes) == 2


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "jupyter_notebooks/run.py", *arguments]
    return subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, check=False)


def test_the_command_says_it_in_one_line(inputs: Path) -> None:
    fill(inputs / "shop", {"only": 9})
    done = _run("--folder", "shop")
    assert done.returncode == 1
    assert done.stderr.startswith("shop has only one class (only).")
    assert len(done.stderr.splitlines()) == 1


def test_the_command_merges_names_when_asked(inputs: Path) -> None:
    fill(inputs / "shop", {"Shoes": 5, "shoes": 5}, size=(64, 64))
    done = _run("--folder", "shop", "--merge-names")
    assert done.returncode == 1
    assert "shop cannot be a study. 10 images of 1 class can be used" in done.stderr
    assert "1 class merged with others of alike names: Shoes: with shoes" in done.stderr


@pytest.mark.slow
def test_so_does_a_notebook(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "outputs"))
    (inputs / "mnist").mkdir()
    for file in studies.get("mnist").layouts[0].files:
        (inputs / "mnist" / file.name).write_bytes(b"short")
    done = _run("--study", "mnist", "--last", "1", "--into", str(tmp_path / "executed"))
    assert done.returncode == 1
    assert "is truncated: 5 bytes instead of" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


# --- study.toml --------------------------------------------------------------------------------


def test_study_toml_says_what_the_folder_cannot(inputs: Path) -> None:
    shop = fill(inputs / "shop", {"a": 5, "b": 6, "c": 7})
    (shop / "study.toml").write_text(
        'title = "Our shop"\nlicence = "CC0"\n[classes]\nc = "Chairs"\na = "Armchairs"\n'
    )
    spec = _spec()
    assert (spec.title, spec.licence) == ("Our shop", "CC0")
    assert spec.classes == ("Chairs", "Armchairs", "b")
    assert sum(_counts(spec)["train"].values()) == 5 + 3 + 4
    assert folders.audited(spec)[1]["classes"] == {"a": 5, "b": 6, "c": 7}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "study.toml is not valid TOML"),
        ('titel = "x"', "titel: is not a key that can stand here"),
        ("title = 3", "title: must be a valid string, not 3"),
        ('classes = "a"', "classes: must be a table, not 'a'"),
        ('[classes]\nz = "Z"', "names classes that shop has not: z"),
        ('[classes]\na = "b"', "gives two classes of shop the same title"),
    ],
)
def test_study_toml_that_cannot_be_meant(inputs: Path, text: str, message: str) -> None:
    shop = fill(inputs / "shop", {"a": 5, "b": 5})
    (shop / "study.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        _spec()


# --- reading once ------------------------------------------------------------------------------


def test_files_are_read_again_only_when_one_changed(
    inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = fill(inputs / "shop", {"a": 5, "b": 5})
    read: list[int] = []
    decode_all = folders.image_folders.decode_all

    def counted(entries, shape):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        read.append(len(entries))
        return decode_all(entries, shape)

    monkeypatch.setattr(folders.image_folders, "decode_all", counted)
    datasets.load(_spec())
    assert read == [10]
    (shop / "b" / "0.png").write_bytes(picture(77))
    os.utime(shop / "b" / "0.png", ns=(1, 1))
    datasets.load(_spec())
    assert read == [10, 10]
    (shop / "b" / "new.png").write_bytes(picture(78))
    datasets.load(_spec())
    assert read == [10, 10, 11]
    assert len(list((inputs / ".prepared" / "shop").iterdir())) == 1


def test_interrupted_reading_leaves_nothing_that_counts(
    inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(inputs / "shop", {"a": 5, "b": 5})

    def stopped(pixels: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(near_duplicates, "signature", stopped)
        with pytest.raises(KeyboardInterrupt):
            _spec()
    assert len(datasets.load(_spec()).train) == 6
