"""Names that look alike, and how they are told apart."""

import pytest

from src.data import naming


@pytest.mark.parametrize(
    "names",
    [
        ("Shoes", "shoes", "SHOES"),
        ("Shoes", "Shoes ", " Shoes", "Shoes\u00a0"),
        ("Shoes", "\uff33hoes"),  # full width
        ("Shoes", "\u0405hoes", "Sh\u043ees"),  # Cyrillic
        ("Bags", "\u0392ags"),  # Greek
        ("a b", "a  b", "a\u3000b"),
        ("Tshirt", "T\u200dshirt", "T\u200eshirt"),
        ("ВОРОТА", "ворота"),  # noqa: RUF001
        ("é", "e\u0301", "É"),
    ],
)
def test_names_that_a_person_reads_as_one(names: tuple[str, ...]) -> None:
    (found,) = naming.look_alikes([*names, "something else"])
    assert set(found) == set(names)


def test_different_names_stay_apart() -> None:
    names = ["modern", "modem", "a1", "al", "été", "ete", "shelf 1", "shelf 10", "鞋", "靴", "ß"]
    assert naming.look_alikes(names) == []


def test_what_the_eye_misses_is_shown() -> None:
    assert naming.distinct("Shoes") == "Shoes"
    assert naming.distinct(" Shoes\u3000") == "␣Shoes␣"
    assert naming.distinct("\u0405hoes") == "\u0405hoes (U+0405 for S)"
    letters = naming.distinct("\u0441\u043e\u0441\u0430")
    assert letters.endswith(" (U+0441 for c, U+043E for o, U+0430 for a)")


def test_look_alikes_are_merged_into_the_one_with_most_images() -> None:
    counts = [("Shoes", 3), ("shoes ", 9), ("SHOES", 9), ("Hats", 1)]
    assert naming.merged(counts) == dict.fromkeys(("Shoes", "shoes ", "SHOES"), "SHOES")


def test_natural_order() -> None:
    names = ["shelf 10", "Shelf 9", "shelf 9", "10", "9"]
    assert sorted(names, key=naming.natural) == ["9", "10", "Shelf 9", "shelf 9", "shelf 10"]
