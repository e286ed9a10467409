"""How many more photos would settle it."""

from __future__ import annotations

from dataclasses import replace

from src.evaluation import outlook, sample_sizes, thresholds
from src.evaluation.thresholds import ClassSorting, Sorting
from tests import factories


def test_accuracy_with_its_interval_and_the_photos_that_would_narrow_it() -> None:
    assert outlook.accuracy(261, 300, 375).replace("\N{NO-BREAK SPACE}", " ") == (
        "Of 300 photos, each answered by a model that had not seen it, 87.0 % were classified "
        "correctly (95 % interval 82.7 % to 90.3 %). About 990 more photos would narrow that to 2 "
        "percentage points either side."
    )
    assert sample_sizes.images_within(0.87, 0.02, 300) == 787  # which are 80 % of 984


def test_accuracy_that_is_known_well() -> None:
    said = outlook.accuracy(4350, 5000, 6000, within=0.015)
    assert said.endswith("That is known to less than 1.5 percentage points either side.")


def checked(label: str, why: thresholds.Why, validation: int, needed: int | None) -> ClassSorting:
    (found,) = factories.sorting(None, (label,)).classes
    return replace(found, why=why, validation=validation, needed=needed)


def said(found: Sorting) -> list[str]:
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in outlook.sorting(found, 600, 4000)]


ASSURED = (
    "The 600 validation photos assure, with 95 % confidence, 99 % precision of automatic sorting "
    "and 95 % in each category that is sorted."
)


def test_sorting_that_is_assured() -> None:
    assert said(factories.sorting(0.8, ("cat", "dog"))) == [ASSURED]


def test_classes_that_are_always_checked() -> None:
    found = factories.sorting(0.8, ("cat",))
    classes = [
        *found.classes,
        checked("dog", "few", 40, 63),
        checked("fox", "few", 7, 63),
        checked("hen", "mistakes", 300, 420),
        checked("owl", "mistakes", 300, None),
        checked("pig", "mistakes", 300, 120),
    ]
    assert said(replace(found, classes=tuple(classes))) == [
        ASSURED,
        (
            "Always checked, for their validation photos are too few: dog, fox. To assure 95 % "
            "in a category takes at least 63 validation photos of it without a mistake, and there "
            "are 7 to 40; that is at least about 420 labelled photos of a category."
        ),
        (
            "Always checked, for its validation photos hold too many mistakes: hen. If mistakes "
            "stay as rare, about 420 validation photos of it at the usual threshold would "
            "assure it."
        ),
        *(
            f"Always checked, for its validation photos hold too many mistakes: {label}. A better "
            "model or clearer photos would help more than further photos."
            for label in ("owl", "pig")
        ),
    ]


def test_sorting_that_nothing_assures() -> None:
    assert said(factories.sorting(None, ("cat", "dog"))) == [
        (
            "The surest answers to the validation photos hold too many mistakes to assure 99 %: a "
            "better model, or clearer photos, would help more than further ones."
        )
    ]


def test_an_unassured_rule_is_called_so() -> None:
    assert said(factories.sorting(0.8, assured=False)) == [
        (
            "Not assured: 99 % of the validation photos at or above the threshold are correct, but "
            "nothing is promised for other photos."
        )
    ]
    assert said(factories.sorting(None, assured=False)) == [
        "At no confidence are 99 % of the validation photos classified correctly."
    ]
