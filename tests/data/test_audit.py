"""What is wrong with images somebody brings, found in small tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from src.data import audit, image_quality, near_duplicates

SHAPE = (224, 224, 3)
Row = tuple[str, str, str, str]


def _files(*rows: dict[str, object]) -> pd.DataFrame:
    """Pictures that differ in everything, but for what is said of them."""
    table = []
    for place, row in enumerate(rows):
        grey = np.random.default_rng(place).integers(0, 256, near_duplicates.SIGNATURE, np.uint8)
        usual = {"part": "train", "label": "a", "kind": "", "detail": "", "width": 400}
        usual |= {
            "product": "",
            "height": 300,
            "fingerprint": str(place),
            "signature": grey.tobytes(),
        }
        usual |= image_quality.Quality(1.0, 1.0, 1.0, 1.0)._asdict() | {"row": place}
        table.append(usual | {"path": f"{place}.jpg"} | row)
    return audit.with_groups(pd.DataFrame(table))


def _class(label: str, count: int, **more: object) -> list[dict[str, object]]:
    return [{"label": label, **more}] * count


def _problems(files: pd.DataFrame) -> list[Row]:
    found = audit.problems(files, SHAPE)
    return list(found[["path", "class", "kind", "severity"]].itertuples(index=False, name=None))


def _serious(files: pd.DataFrame) -> list[Row]:
    return [row for row in _problems(files) if row[2] != "few photos"]


def test_nothing_wrong() -> None:
    files = _files(*_class("a", 20), *_class("b", 20))
    assert audit.problems(files, SHAPE).empty
    assert len(audit.accepted(files, audit.problems(files, SHAPE))) == 40


def test_what_was_found_while_reading_is_passed_on_in_the_order_of_kinds() -> None:
    odd = {"kind": "other format", "label": "", "detail": "a .pdf file", "path": "manual.pdf"}
    broken = {"kind": "damaged", "detail": "The file is empty.", "path": "x.jpg", "width": 0}
    found = audit.problems(_files(odd, *_class("a", 20), broken), SHAPE)
    assert found.to_dict("records") == [
        {
            "path": "x.jpg",
            "class": "a",
            "kind": "damaged",
            "detail": "The file is empty.",
            "severity": "refused",
        },
        {
            "path": "manual.pdf",
            "class": "",
            "kind": "other format",
            "detail": "a .pdf file",
            "severity": "refused",
        },
    ]


def test_tiny_images_are_refused_small_and_long_ones_named() -> None:
    sizes = [(31, 88), (32, 32), (56, 55), (56, 56), (300, 858), (300, 857)]
    odd = [{"width": width, "height": height} for width, height in sizes]
    kinds = [row for row in _serious(_files(*odd, *_class("a", 14))) if row[2] != "odd size"]
    assert kinds == [
        ("0.jpg", "a", "tiny", "refused"),
        ("1.jpg", "a", "small", "warning"),
        ("2.jpg", "a", "small", "warning"),
        ("4.jpg", "a", "misshapen", "warning"),
    ]


def test_images_far_from_the_usual_size_are_named() -> None:
    usual = [{"width": 600 + 20 * n, "height": 600} for n in range(20)]
    odd = [{"width": 3000, "height": 3000}, {"width": 240, "height": 220}]
    found = audit.problems(_files(*usual, *odd), SHAPE)
    assert found[["path", "kind", "detail"]].to_numpy().tolist() == [
        [path, "odd size", f"{size} pixels; most are about 688 pixels wide and high"]
        for path, size in (("20.jpg", "3000 × 3000"), ("21.jpg", "240 × 220"))
    ]


def test_poor_photos_are_named_with_their_measure() -> None:
    poor = [{"light": 0.31}, {"light": 0.32}, {"shade": 0.04}, {"sharpness": 0.2}]
    found = audit.problems(_files(*poor, {"information": 0.1}, *_class("a", 20)), SHAPE)
    assert found[["path", "kind", "detail", "severity"]].to_numpy().tolist() == [
        ["0.jpg", "dark", "light 0.31, usual is 0.32 or more", "warning"],
        ["2.jpg", "bright", "shade 0.04, usual is 0.05 or more", "warning"],
        ["3.jpg", "blurred", "sharpness 0.20, usual is 0.29 or more", "warning"],
        ["4.jpg", "low information", "information 0.10, usual is 0.3 or more", "warning"],
    ]
    files = _files(*poor, *_class("a", 20), *[{"light": 0.1}] * 20, {"kind": "damaged"})
    shown = audit.pictured(files, audit.problems(files, SHAPE))
    assert shown["kind"].value_counts().to_dict() == {
        "dark": audit.SHOWN,
        "bright": 1,
        "blurred": 1,
    }
    assert shown["row"].tolist()[:2] == [0, 24]


def test_equal_images_of_a_class_are_kept_once() -> None:
    same = {"fingerprint": "same"}
    assert _serious(_files(same, {}, same, same, *_class("a", 16))) == [
        ("2.jpg", "a", "copy", "refused"),
        ("3.jpg", "a", "copy", "refused"),
    ]


def test_equal_images_under_two_classes_are_all_left_out() -> None:
    same = {"fingerprint": "same"}
    files = _files(same, same | {"label": "b"}, same, *_class("a", 20), *_class("b", 20))
    found = audit.problems(files, SHAPE)
    assert found["kind"].tolist() == ["contradiction"] * 3
    assert found["detail"].tolist() == [
        "the same as 1.jpg",
        "the same as 0.jpg, 2.jpg",
        "the same as 1.jpg",
    ]


def test_a_given_test_set_keeps_what_training_holds_too() -> None:
    same = {"fingerprint": "same"}
    rows = [same, same | {"part": "validation"}, same | {"part": "test"}, same | {"part": "test"}]
    more = [*_class("a", 20), *_class("a", 3, part="validation"), *_class("a", 3, part="test")]
    assert _serious(_files(*rows, *more)) == [
        ("3.jpg", "a", "copy", "refused"),
        ("1.jpg", "a", "leak", "refused"),
        ("0.jpg", "a", "leak", "refused"),
    ]


def test_classes_that_cannot_be_learned_are_left_out() -> None:
    files = _files(*_class("few", 4), *_class("enough", 5), *_class("many", 20))
    found = audit.problems(files, SHAPE)
    assert set(found["detail"]) == {
        "few: 4 usable, at least 5 are needed: 1 more would keep it",
        "enough: 5 images",
    }
    assert audit.accepted(files, found)["label"].value_counts().to_dict() == {
        "enough": 5,
        "many": 20,
    }


def test_a_class_with_enough_to_learn_from_stays_whatever_the_other_splits_hold() -> None:
    rows = [*_class("both", 20), *_class("both", 1, part="test"), *_class("train only", 20)]
    rows += [*_class("test only", 2, part="test"), *_class("short", 4)]
    rows += [*_class("short", 30, part="test"), *_class("both", 1, part="validation")]
    files = _files(*rows)
    found = audit.problems(files, SHAPE)
    assert found[["kind", "detail"]].drop_duplicates().to_numpy().tolist() == [
        [
            "small class",
            "short: 4 usable for training, at least 5 are needed: 1 more would keep it",
        ],
        [
            "small class",
            "test only: 0 usable for training, at least 5 are needed: 5 more would keep it",
        ],
        ["untested class", "train only: 20 training images, none in test"],
        ["no validation", "train only: some of its 20 training images are taken for it"],
    ]
    assert set(audit.accepted(files, found)["label"]) == {"both", "train only"}
    assert audit.summary(files, found)["left_out"] == [
        "short: 34 images, 4 usable for training, at least 5 are needed: 1 more would keep it",
        "test only: 2 images, 0 usable for training, at least 5 are needed: 5 more would keep it",
    ]


def test_a_class_that_the_other_checks_empty_is_left_out() -> None:
    tiny = _class("b", 3, width=9)
    report = _report(_files(*_class("a", 20), *_class("b", 4), *tiny))
    assert report["left_out"] == [
        "b: 7 images, 4 usable for training, at least 5 are needed: 1 more would keep it"
    ]
    assert report["kinds"] == {"tiny": 3, "small class": 4}


def _report(files: pd.DataFrame) -> dict[str, object]:
    return audit.summary(files, audit.problems(files, SHAPE))


def _shaded(by: int, **more: object) -> dict[str, object]:
    values = np.random.default_rng(1).integers(20, 200, near_duplicates.SIGNATURE, np.uint8)
    return {"signature": (values + np.uint8(by)).tobytes(), **more}


def test_nearly_equal_images_are_named_with_what_makes_them_serious() -> None:
    files = _files(
        _shaded(0),
        _shaded(3, label="b"),
        _shaded(5),
        _shaded(7, part="test"),
        _shaded(40),
        *_class("a", 20),
        *_class("b", 20),
        *_class("a", 5, part="test"),
        *_class("b", 5, part="test"),
    )
    found = audit.problems(files, SHAPE)
    assert found[["path", "kind", "detail"]].to_numpy().tolist() == [
        ["3.jpg", "near leak", "much like 1.jpg"],
        ["1.jpg", "near contradiction", "much like 0.jpg"],
        ["2.jpg", "near contradiction", "much like 1.jpg"],
    ]


def test_products_in_several_splits_or_classes_are_named() -> None:
    one = {"product": "4711"}
    rows = [one, one, one | {"part": "test"}, {"product": "8"}, {"product": "8", "label": "b"}]
    more = [*_class("a", 20), *_class("b", 20)]
    more += [*_class("a", 1, part="test"), *_class("b", 1, part="test")]
    found = audit.problems(_files(*rows, *more), SHAPE)
    assert found[["kind", "detail"]].to_numpy().tolist() == [
        ["split product", "product 4711: train, test"],
        ["product of classes", "product 8: a, b"],
    ]


def test_what_is_of_one_product_or_nearly_equal_stays_together() -> None:
    files = _files(
        _shaded(0, product="p"),
        {"product": "p"},
        _shaded(3),
        {},
        {"product": "q"},
        {"product": "q"},
        _shaded(5, product="r"),
        {"product": "r"},
    )
    together = audit.kept_together(files).tolist()
    assert together == [0, 0, 0, 3, 4, 4, 0, 0]


def test_names_that_look_alike_are_told_together_whether_used_or_not() -> None:
    files = _files(*_class("Shoes", 20), *_class("shoes ", 2), *_class("b", 20))
    found = audit.problems(files, SHAPE)
    told = found[found["kind"] == "alike names"]
    line = "Shoes with 20 images, shoes\N{OPEN BOX} with 2 images: merge them with MERGE=1"
    assert told["class"].tolist() == ["Shoes", "shoes "]
    assert set(told["detail"]) == {f"{line} if they are one"}
    assert (found["kind"] == "small class").sum() == 2


def test_merged_names_are_one_class() -> None:
    files = _files(*_class("Shoes", 20), *_class("shoes ", 2), *_class("b", 20))
    merged = audit.merged(files)
    found = audit.problems(merged, SHAPE)
    assert found[["class", "kind", "detail"]].to_numpy().tolist() == [
        ["Shoes", "merged names", "Shoes: with shoes\N{OPEN BOX}"]
    ]
    assert audit.summary(merged, found)["classes"] == {"Shoes": 22, "b": 20}


def test_summary_in_numbers_and_words() -> None:
    files = _files(
        *_class("a", 20),
        *_class("b", 6),
        *_class("c", 1),
        {"kind": "damaged", "path": "x.jpg", "detail": "cut off"},
        {"kind": "hidden", "label": "", "path": ".x", "detail": "by the system"},
        {"kind": "empty folder", "label": "", "path": "d", "detail": "no image in it"},
    )
    assert _report(files) == {
        "files": 29,
        "used": 26,
        "classes": {"a": 20, "b": 6},
        "left_out": [
            "c: 1 image, 1 usable for training, at least 5 are needed: 4 more would keep it"
        ],
        "kinds": {
            "damaged": 1,
            "small class": 1,
            "hidden": 1,
            "few photos": 1,
            "empty folder": 1,
        },
        "text": (
            "26 images of 2 classes can be used, out of 29 files.\n"
            "Class left out: c: 1 image, 1 usable for training, at least 5 are needed: "
            "4 more would keep it.\n"
            "Not used:\n"
            "      1 damaged or unreadable image: x.jpg (cut off)\n"
            "      1 image of a class with too few: 26.jpg (c: 1 usable, at least 5 are needed: "
            "4 more would keep it)\n"
            "      1 hidden or system file: .x (by the system)\n"
            "Used, but worth a look:\n"
            "      1 class with fewer than 20 images: b: 6 images\n"
            "      1 folder without an image: d (no image in it)"
        ),
    }


@pytest.mark.parametrize("kind", audit.KINDS)
def test_every_kind_has_its_words(kind: str) -> None:
    severity, one, several = audit.KINDS[kind]
    assert severity in {"refused", "warning"}
    assert one != several
