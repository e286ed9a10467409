"""Charts of the data set on tiny frames whose figures and sentences are known in full."""

import numpy as np
import pandas as pd
import pytest

from src.charts import exploration, theme
from src.charts.exploration import ImageKey
from src.data import findings
from src.data.findings import Pair
from tests import factories

CLASSES = ("cat", "dog", "ship")


def counts(**numbers: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"split": split, "label": label, "count": n}
            for label, n in numbers.items()
            for split in ("train", "test")
        ]
    )


def pairs(name: str, values: dict[tuple[str, str], float]) -> pd.DataFrame:
    rows = [(a, b, v) for (a, b), v in values.items()] + [(b, a, v) for (a, b), v in values.items()]
    return pd.DataFrame(
        [*rows, *((c, c, 1.0) for c in CLASSES)], columns=["label_a", "label_b", name]
    )


SIMILAR = pairs("similarity", {("cat", "dog"): 0.9, ("cat", "ship"): -0.2, ("dog", "ship"): -0.4})


def test_counts_are_drawn_per_split_in_class_order_and_colour() -> None:
    figure = exploration.class_counts(counts(ship=1, cat=3), CLASSES)
    train, test, totals = figure.data
    colours = theme.class_colours(CLASSES)
    assert [train.name, test.name] == ["train", "test"]
    assert (list(train.y), list(train.x)) == (["cat", "ship"], [3, 1])
    assert list(test.x) == [3, 1]
    assert list(train.marker.color) == [colours["cat"], colours["ship"]]
    assert list(totals.text) == ["6", "2"]
    assert figure.layout.title.subtitle.text.endswith("n = 8")


def class_pictures(**values: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"label": name, "kind": kind, "values": [v * factor for v in numbers]}
            for name, numbers in values.items()
            for kind, factor in (("mean", 1.0), ("variability", 0.1))
        ]
    )


def test_mean_images_are_shown_as_they_are_and_variability_is_brightened() -> None:
    stored = class_pictures(cat=[0, 100.4, 200, 300], dog=[10, 20, 30, 150])
    shape = (2, 2, 1)
    mean = exploration.class_images(stored, "mean", shape, ["cat"])
    spread = exploration.class_images(stored, "variability", shape, ["cat", "dog", "ship"])
    assert list(mean) == ["cat"]
    np.testing.assert_array_equal(mean["cat"][:, :, 0], [[0, 100], [200, 255]])
    assert mean["cat"].shape == (2, 2, 3)
    assert mean["cat"].dtype == np.uint8
    np.testing.assert_array_equal(spread["cat"][:, :, 1], [[0, 85], [170, 255]])
    np.testing.assert_array_equal(spread["dog"][:, :, 2], [[8, 17], [26, 128]])  # same scale as cat


def test_difference_is_blue_where_the_first_is_brighter_and_orange_where_the_second_is() -> None:
    stored = class_pictures(cat=[100, 50, 50], dog=[50, 50, 100])
    pixels = exploration.difference_image(stored, Pair("cat", "dog"), (1, 3, 1))
    assert pixels.tolist() == [[[0, 114, 178], [242, 242, 242], [213, 94, 0]]]


def test_colour_differences_use_luma() -> None:
    stored = class_pictures(cat=[0, 200, 0, 0, 0, 0], dog=[0, 0, 0, 200, 0, 0])
    pixels = exploration.difference_image(stored, Pair("cat", "dog"), (1, 2, 3))
    assert pixels[0, 0].tolist() == [0, 114, 178]  # green carries the most luma
    strength = 0.299 / 0.587  # red less, so the colour is weaker
    expected = 242 + strength * (np.array([213, 94, 0]) - 242)
    np.testing.assert_array_equal(pixels[0, 1], np.rint(expected))


def test_contact_sheet_lays_images_row_by_row() -> None:
    tiles = [np.full((1, 1, 3), value, np.uint8) for value in (1, 2, 3)]
    sheet = exploration.contact_sheet(tiles, columns=2, gap=1)
    assert sheet[:, :, 0].tolist() == [
        [255, 255, 255, 255, 255],
        [255, 1, 255, 2, 255],
        [255, 255, 255, 255, 255],
        [255, 3, 255, 255, 255],
        [255, 255, 255, 255, 255],
    ]
    with pytest.raises(ValueError, match="at least one"):
        exploration.contact_sheet([], 2)


def test_similarity_cells_carry_their_pair_and_the_picked_one_is_outlined() -> None:
    figure = exploration.similarity(SIMILAR, CLASSES, Pair("cat", "ship"))
    heat, cells = figure.data
    assert figure.layout.title.text == (
        "Cat and dog look most alike (0.90), dog and ship least (−0.40)"
    )
    np.testing.assert_array_equal(
        heat.z, [[np.nan, 0.9, -0.2], [0.9, np.nan, -0.4], [-0.2, -0.4, np.nan]]
    )
    assert [tuple(cell) for cell in cells.customdata] == [
        ("cat", "dog", 0.9),
        ("cat", "ship", -0.2),
        ("dog", "cat", 0.9),
        ("dog", "ship", -0.4),
        ("ship", "cat", -0.2),
        ("ship", "dog", -0.4),
    ]
    assert [note.text for note in figure.layout.annotations] == [
        ".90",
        "−.20",
        ".90",
        "−.40",
        "−.20",
        "−.40",
    ]
    (outline,) = figure.layout.shapes
    assert (outline.x0, outline.x1, outline.y0, outline.y1) == (1.5, 2.5, -0.5, 0.5)


def test_mean_differences_name_both_ends() -> None:
    frame = pairs("distance", {("cat", "dog"): 12.0, ("cat", "ship"): 60.0, ("dog", "ship"): 70.0})
    figure = exploration.mean_differences(frame, CLASSES)
    title = (
        "The mean images of dog and ship differ most (70 of 255), those of cat and dog least (12)"
    )
    assert figure.layout.title.text == title
    assert not figure.layout.shapes


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["all"], "The mean intensity of all images is 128 of 255"),
        (["all", "cat"], "The mean intensity of cat is 64 of 255, 128 over all categories"),
        (["cat", "dog"], "Dog is brightest on average (160 of 255), cat darkest (64)"),
        (["dog", "ship"], "Dog and ship are about equally bright: 160 to 160 of 255"),
    ],
)
def test_intensity_says_what_is_bright(labels: list[str], sentence: str) -> None:
    figure = exploration.intensity(factories.histograms(), labels, CLASSES)
    assert figure.layout.title.text == sentence
    assert len(figure.data) == 2 * len(labels)  # a line per label in a panel per channel
    assert list(figure.data[0].x) == [64, 192]


def test_distribution_sends_five_numbers_per_class() -> None:
    frame = pd.DataFrame(
        {"label": ["cat"] * 5 + ["ship"] * 5, "brightness": [*range(5), *range(10, 15)]}
    )
    figure = exploration.distribution(frame, "brightness", CLASSES)
    cat, ship = figure.data
    assert [cat.name, ship.name] == ["cat", "ship"]
    five = (cat.lowerfence[0], cat.q1[0], cat.median[0], cat.q3[0], cat.upperfence[0])
    assert five == pytest.approx((0.2, 1, 2, 3, 3.8))
    assert cat.x is None  # the images themselves stay on the server
    title = "Brightness is highest for ship (median 12) and lowest for cat (2)"
    assert figure.layout.title.text == title


def test_map_dots_carry_their_picture_and_the_picked_one_is_circled() -> None:
    points = pd.DataFrame(
        {
            "split": ["validation"] * 3,
            "id": [7, 8, 9],
            "label": ["dog", "cat", "dog"],
            "x": [1.0, 2.0, 3.0],
            "y": [4.0, 5.0, 6.0],
        }
    )
    cat, dog, circle = exploration.embedding_map(points, CLASSES, ImageKey("validation", 9)).data
    assert [cat.name, dog.name] == ["cat", "dog"]
    assert [tuple(c) for c in dog.customdata] == [("validation", 7), ("validation", 9)]
    assert (list(circle.x), list(circle.y)) == ([3.0], [6.0])


def test_pair_differences_start_at_one_half() -> None:
    frame = pd.DataFrame({"label": ["cat", "dog"], "brightness": [1.0, 2.0]})
    measures = findings.pair_measures(frame, Pair("cat", "dog"))
    (bars,) = exploration.pair_differences(measures, Pair("cat", "dog"), 2).data
    assert (bars.base, list(bars.x), list(bars.text)) == (0.5, [-0.5], ["0\u00a0%"])


# --- images of other sizes -------------------------------------------------------------------


def test_averages_of_photos_are_smaller_than_the_photos() -> None:
    stored = pd.DataFrame(
        {
            "label": ["a", "b"],
            "kind": "mean",
            "values": [np.full(2 * 2 * 3, 10.0), np.full(2 * 2 * 3, 20.0)],
        }
    )
    made = exploration.class_images(stored, "mean", (224, 224, 3), ["a", "b"])
    assert made["b"].shape == (2, 2, 3)
    assert exploration.difference_image(stored, Pair("a", "b"), (224, 224, 3)).shape == (2, 2, 3)
    with pytest.raises(ValueError, match="cannot reshape"):
        exploration.class_images(
            stored.assign(values=[np.zeros(15)] * 2), "mean", (224, 224, 3), ["a"]
        )


def test_a_sheet_of_images_of_different_shapes_centres_them() -> None:
    wide, tall = np.zeros((2, 6, 3), np.uint8), np.zeros((4, 2, 3), np.uint8)
    sheet = exploration.contact_sheet([wide, tall], columns=2, gap=1)
    assert sheet.shape == (6, 15, 3)
    ink = np.argwhere(sheet[:, :, 0] == 0)
    assert ink[ink[:, 1] < 8].min(0).tolist() == [2, 1]  # one row lower than its cell
    assert ink[ink[:, 1] > 7].min(0).tolist() == [1, 10]  # two columns further right
