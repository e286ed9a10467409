"""Drawings brought to the training distribution: geometry, invariances, bad input, counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src import config
from src.data import datasets as study_data
from src.data import formats, images, studies
from src.evaluation import stats
from src.runs import published
from src.serving import drawing, inference, ink
from tests import pen

MNIST, UCI = (28, 28, 1), (8, 8, 1)
SHAPES = pytest.mark.parametrize("shape", [MNIST, UCI], ids=["mnist", "uci"])
DRAWINGS = drawing.load(config.drawings_file())
EACH = pytest.mark.parametrize("drawn", DRAWINGS, ids=lambda d: f"{d.label}-{d.hand}")
MIRROR = config.mirror()


def mass(picture: np.ndarray) -> np.ndarray:
    """Row and column of the centre of mass, by pixel index."""
    weight = picture[..., 0] / picture.sum()
    return np.array([(weight.sum(1 - axis) * np.arange(len(weight))).sum() for axis in (0, 1)])


def extent(picture: np.ndarray) -> tuple[int, int]:
    """Height and width of the inked part, in pixels."""
    rows, columns = (np.flatnonzero(picture.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def stroke_width(seen: np.ndarray) -> np.ndarray:
    """Mean width in pixels of the strokes of each image, (n, H, W, 1) → (n,).

    Twice the inked area over the length of its edge, which is the sum of the gradient's size: a
    line of width w and length l has the area wl and the edge 2l. For comparisons: at a pixel's
    scale it is a little too small, more so for slanted lines.
    """
    ink = np.pad(seen[..., 0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(ink, axis=1)[:, :, :-1], np.diff(ink, axis=2)[:, :-1]
    edge = np.hypot(down, right).sum((1, 2))
    return np.asarray(2 * ink.sum((1, 2)) / edge)


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean difference in grey levels over the pixels that either inks."""
    inked = (first > 0) | (second > 0)
    return float(np.abs(first.astype(float) - second)[inked].mean())


# --- what the training pictures look like ------------------------------------------------------


def uci_pictures() -> np.ndarray:
    return study_data.load(studies.get("digits"), progress=False).train.images[::5]


def mnist_pictures() -> np.ndarray:
    assert MIRROR is not None
    return formats.idx(MIRROR / "mnist")["train"].images[::300]


def assert_the_pen_is_the_measured_one(pictures: np.ndarray) -> None:
    shape = pictures.shape[1:]
    redrawn = np.stack([drawing.normalise(pen.middle(picture), shape) for picture in pictures])
    before, after = (float(np.median(stroke_width(p))) for p in (pictures, redrawn))
    assert after == pytest.approx(before, rel=0.04)  # what such a median varies by


@pytest.mark.slow
def test_uci_pen_and_box_are_the_measured_ones() -> None:
    pictures = uci_pictures()
    assert_the_pen_is_the_measured_one(pictures)
    inked = (pictures[..., 0] > 0).any(axis=1).mean(axis=0)  # share of pictures, by column
    assert (pictures[:, [0, 7]].max(axis=(2, 3)) > 0).all()  # each one fills the height
    assert inked[[0, 7]].max() < 0.2  # but 20 of 32 columns only
    assert inked[1:7].min() > 0.8
    first = (pictures[..., 0] > 0).argmax(axis=2)
    assert (np.abs(first[:, 0] - first[:, 7]) <= 1).mean() > 0.95  # straightened


@pytest.mark.mirror
@pytest.mark.skipif(MIRROR is None, reason="DATASET_MIRROR is not set")
def test_mnist_pen_box_and_place_are_the_measured_ones() -> None:
    pictures = mnist_pictures()
    assert_the_pen_is_the_measured_one(pictures)
    assert {max(extent(picture)) for picture in pictures} <= {19, 20}
    masses = np.array([mass(picture) for picture in pictures])
    assert (np.abs(masses - 14) < 0.6).mean() > 0.99
    assert (pictures.max(axis=(1, 2, 3)) >= 250).all()


def test_stroke_width_of_a_line_is_its_area_over_half_its_edge() -> None:
    line = np.zeros((1, 28, 28, 1), np.uint8)
    line[0, 4:24, 12:16] = 255
    # Area 80. Edge 47.4 by this measure: corners count for the root of two.
    edge = 2 * 20 + 2 * 4 - 2 + np.sqrt(2)
    assert stroke_width(line) == pytest.approx([2 * 80 / edge])


# --- geometry ----------------------------------------------------------------------------------


@EACH
def test_mnist_pictures_fill_twenty_pixels_around_their_centre_of_mass(
    drawn: drawing.Drawing,
) -> None:
    picture = drawing.normalise(drawn.strokes, MNIST)
    assert picture.shape == MNIST
    assert picture.dtype == np.uint8
    assert picture.max() == 255
    assert max(extent(picture)) == 20
    assert (np.abs(mass(picture) - 14) <= 0.5).all()


@EACH
def test_uci_pictures_fill_the_height_and_begin_equally_far_left(drawn: drawing.Drawing) -> None:
    picture = drawing.normalise(drawn.strokes, UCI)
    assert picture.shape == UCI
    assert extent(picture)[0] == 8
    first = (picture[..., 0] > 0).argmax(axis=1)
    assert abs(int(first[0]) - int(first[7])) <= 1


def test_a_line_is_as_long_as_the_box_and_as_wide_as_the_pen() -> None:
    line = drawing.normalise([np.array([[0.5, 0.2], [0.5, 0.8]])], MNIST)
    assert extent(line) == (20, 3)
    assert line[14, :, 0].sum() / 255 == pytest.approx(2.4, abs=1 / drawing.CELLS)
    assert line[4:24].sum() == line.sum()


def test_proportions_are_kept_for_mnist() -> None:
    box = np.array([[0.3, 0.2], [0.5, 0.2], [0.5, 0.8], [0.3, 0.8], [0.3, 0.2]])
    height, width = extent(drawing.normalise([box], MNIST))
    # 0.6 and 0.2 of the canvas, the pen as wide as 2.4 of the 20 pixels
    assert (height, width) == (20, int(np.ceil((20 - 2.4) / 3 + 2.4)))


@SHAPES
def test_place_and_size_on_the_canvas_do_not_matter(shape: tuple[int, int, int]) -> None:
    for drawn in DRAWINGS:
        expected = drawing.normalise(drawn.strokes, shape)
        for variant in drawing.VARIANTS:
            assert difference(drawing.treated(drawn, variant, "strokes", shape), expected) < 1


@SHAPES
@pytest.mark.parametrize(
    "stroke", [[[0.5, 0.5]], [[0.2, 0.5], [0.8, 0.5]], [[0.3, 0.4], [0.3, 0.4]]]
)
def test_dots_and_dashes_are_drawn_too(shape: tuple[int, int, int], stroke: list[Any]) -> None:
    picture = drawing.normalise([np.array(stroke)], shape)
    assert picture.max() > 100
    assert picture.any(axis=(1, 2)).sum() <= 4
    assert np.abs(mass(picture) - shape[0] / 2).max() <= 0.6


def test_thinning_leaves_the_middle_of_a_line() -> None:
    bar = np.zeros((5, 9), bool)
    bar[1:4, 1:8] = True
    assert np.argwhere(ink.thinned(bar)).tolist() == [[2, x] for x in range(2, 6)]


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "empty",
    [
        [],
        [np.empty((0, 2))],
    ],
    ids=["none", "no points"],
)
def test_an_empty_canvas_is_told(empty: Any) -> None:
    with pytest.raises(drawing.DrawingError, match=r"^Nothing has been drawn yet\.$"):
        drawing.normalise(empty, MNIST)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "must be a list of strokes"),
        ("[[0, 1]]", "must be a list of strokes"),
        ({"strokes": []}, "must be a list of strokes"),
        ([[[0.1, 0.2, 0.3]]], r"must be a list of \[x, y\]"),
        ([[["a", "b"]]], r"must be a list of \[x, y\]"),
        ([[[0.1, None]]], "must be numbers"),
        ([[[0.1, float("inf")]]], "must be numbers"),
        ([[{"x": 1}]], r"must be a list of \[x, y\]"),
        ([[[0.5, 0.5]] * (drawing.MAX_POINTS + 1)], "too long"),
    ],
)
def test_what_is_no_drawing_is_refused(value: object, message: str) -> None:
    with pytest.raises(drawing.DrawingError, match=message):
        drawing.parse(value)


def test_what_lies_beyond_the_canvas_is_cut_off() -> None:
    (stroke,) = drawing.parse([[[-1, 0.5], [2, 0.25]], []])
    assert stroke.tolist() == [[0, 0.5], [1, 0.25]]


def test_a_file_without_a_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text('[[drawing]]\nhand = "x"\nstrokes = []\n')
    with pytest.raises(drawing.DrawingError, match=r"in d\.toml has no 'label'"):
        drawing.load(tmp_path / "d.toml")


@pytest.mark.parametrize(
    ("shape", "classes", "expected"),
    [
        ([28, 28, 1], "0123456789", True),
        ([8, 8, 1], "9876543210", True),
        ([28, 28, 1], "abcdefghij", False),
        ([32, 32, 3], "0123456789", False),
        ([8, 8, 1], "012", False),
    ],
)
def test_only_small_grey_digits_are_drawn(shape: list[int], classes: str, expected: bool) -> None:
    assert drawing.suits({"image_shape": shape, "classes": list(classes)}) is expected


# --- how well models read drawings -------------------------------------------------------------


class Ones:
    """A model that always answers 1 with a probability of 0.7."""

    image_shape = UCI

    def predict(self, pixels: np.ndarray) -> inference.Prediction:
        probabilities = np.full((len(pixels), 10), 0.3 / 9, np.float32)
        probabilities[:, 1] = 0.7
        nothing = np.zeros((len(pixels), 1), np.float32)
        return inference.Prediction(probabilities, probabilities, nothing, nothing, 1.0)


def test_the_file_holds_two_hands_for_every_digit_inside_the_canvas() -> None:
    assert [d.label for d in DRAWINGS] == [digit for digit in "0123456789" for _ in range(2)]
    assert [d.hand for d in DRAWINGS] == ["upright", "quick"] * 10
    for drawn in DRAWINGS:
        for variant in drawing.VARIANTS:
            points = np.concatenate(drawing.varied(drawn, variant))
            assert 0 <= points.min() < points.max() <= 1, (drawn.label, variant)


@pytest.fixture(scope="module")
def recorded() -> tuple[Any, dict[str, Any]]:
    return drawing.record({"ones": Ones()}, "0123456789", DRAWINGS)  # type: ignore[dict-item]


def test_every_treatment_and_variant_is_answered_once(recorded: tuple[Any, Any]) -> None:
    frame, _ = recorded
    assert len(frame) == 2 * 6 * 20
    assert list(frame.columns) == [
        *("model", "treatment", "variant", "label", "hand"),
        *("prediction", "confidence", "correct", "png"),
    ]
    assert set(frame["prediction"]) == {"1"}
    assert frame["confidence"].to_numpy() == pytest.approx(0.7)
    assert frame["correct"].sum() == 2 * 6 * 2
    seen = images.from_png(frame["png"].iloc[0])[..., :1]
    np.testing.assert_array_equal(seen, drawing.normalise(DRAWINGS[0].strokes, UCI))


def test_the_summary_counts_each_variant_by_itself(recorded: tuple[Any, Any]) -> None:
    _, told = recorded
    assert told["drawings"] == 20
    found = told["models"]["ones"]
    expected = stats.wilson(2, 20).asdict() | {"n": 20, "right": 2}
    assert set(found["accuracy"]) == {"strokes", "resized"}
    for treatment in found["accuracy"].values():
        assert treatment == dict.fromkeys(drawing.VARIANTS, expected)
    assert found["gain"]["as drawn"]["value"] == 0
    assert found["gain"]["as drawn"]["p"] == 1
    assert found["gain"]["as drawn"]["n"] == 20


def test_the_published_model_reads_drawings_better_than_when_only_resized() -> None:
    run = published.open_run("digits", published.versions("digits")[0])
    frame = drawing.evaluate(
        inference.load(run, run.default_model), run.dataset["classes"], DRAWINGS
    )
    gain = drawing.summary(frame)["gain"]["as drawn"]
    assert gain["low"] > 0
    assert gain["p"] < 0.01
