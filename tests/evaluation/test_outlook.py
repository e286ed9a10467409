"""How many more photos would settle it."""

from __future__ import annotations

import pytest

from src.evaluation import outlook, sample_sizes


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


@pytest.mark.parametrize(
    ("threshold", "validation", "expected"),
    [
        (0.8, 60, "The 60 validation photos assure 95 % precision of automatic sorting."),
        (
            None,
            60,
            (
                "To assure 95 % precision of automatic sorting takes 73 validation photos without "
                "a mistake, and there are 60: at least about 87 more photos."
            ),
        ),
        (
            None,
            150,
            (
                "The surest answers to the 150 validation photos hold too many mistakes to assure "
                "95 %: a better model, or clearer photos, would help more than further ones."
            ),
        ),
    ],
)
def test_filing(threshold: float | None, validation: int, expected: str) -> None:
    said = outlook.sorting(0.95, threshold, validation, 400)
    assert said.replace("\N{NO-BREAK SPACE}", " ") == expected
