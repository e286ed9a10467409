"""The drawings about one answer, on values whose result is known in full."""

import numpy as np
import pytest

from src.charts import classifier, theme

CLASSES = ("7", "2", "5")


def test_bars_are_ordered_and_classes_that_look_like_numbers_stay_names() -> None:
    figure = classifier.probabilities(np.array([0.2, 0.7, 0.1], np.float32), CLASSES, 0.9)
    (bars,) = figure.data
    assert list(bars.y) == ["2", "7", "5"]
    assert list(bars.x) == pytest.approx([0.7, 0.2, 0.1])
    assert list(bars.text) == ["70.0\u00a0%", "20.0\u00a0%", "10.0\u00a0%"]
    colours = theme.class_colours(CLASSES)
    assert list(bars.marker.color) == [colours[name] for name in ("2", "7", "5")]
    assert figure.layout.yaxis.type == "category"
    (line,) = figure.layout.shapes
    assert (line.x0, line.x1) == (0.9, 0.9)
    assert figure.layout.title.text == "2 with 70.0\u00a0%, then 7 with 20.0\u00a0%"


def test_without_a_threshold_there_is_no_line() -> None:
    figure = classifier.probabilities(np.array([1.0], np.float32), ("cat",))
    assert not figure.layout.shapes
    assert figure.layout.title.text == "Cat with 100.0\u00a0%"


def test_evidence_is_positive_scaled_and_enlarged() -> None:
    activation = np.zeros((1, 2, 2), np.float32)
    activation[0, :, 0] = (4.0, 2.0)
    activation[0, :, 1] = (-1.0, -2.0)
    assert classifier.evidence(activation, 0, (1, 2)).tolist() == [[1.0, 0.5]]
    wide = classifier.evidence(activation, 0, (2, 4))  # bilinear between the two centres
    np.testing.assert_allclose(wide, [[1.0, 0.875, 0.625, 0.5]] * 2)
    assert classifier.evidence(activation, 1, (1, 2)).tolist() == [[0.0, 0.0]]


def test_the_veil_is_as_thick_as_the_evidence_and_can_be_faded() -> None:
    pixels = np.full((1, 3, 3), 100, np.uint8)
    heat = np.array([[0.0, 0.5, 1.0]], np.float32)
    assert classifier.overlay(pixels, heat, 0.0).tolist() == pixels.tolist()
    assert classifier.overlay(pixels, heat, 1.0).tolist() == [
        [[100, 100, 100], [178, 120, 50], [255, 140, 0]]
    ]
    assert classifier.overlay(pixels, heat, 0.5)[0, 2].tolist() == [178, 120, 50]


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [(0, 0, "upper left"), (4, 4, "centre"), (8, 4, "lower centre"), (4, 8, "middle right")],
)
def test_the_strongest_place_is_told_in_words(row: int, column: int, words: str) -> None:
    heat = np.zeros((9, 9), np.float32)
    heat[row, column] = 1.0
    assert classifier.strongest_place(heat) == words


def test_no_evidence_has_no_place() -> None:
    assert classifier.strongest_place(np.zeros((4, 4), np.float32)) is None


def test_enlarging_repeats_pixels_a_whole_number_of_times() -> None:
    grey = np.array([[[1], [2]]], np.uint8)
    assert classifier.enlarge(grey, 5)[:, :, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    assert classifier.enlarge(grey, 1).shape == (1, 2, 3)
