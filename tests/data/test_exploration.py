"""Every frame of the exploration on data sets of a few tiny pictures, worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from src.data import collection, datasets, exploration, images, studies

Split = tuple[list[np.ndarray], list[int]]


def flat(*colour: int, size: tuple[int, int] = (4, 4)) -> np.ndarray:
    """A picture of one colour, uint8 (H, W, C)."""
    return np.broadcast_to(np.array(colour, np.uint8), (*size, len(colour))).copy()


def dataset(
    train: Split,
    validation: Split | None = None,
    test: Split | None = None,
    classes: tuple[str, ...] = ("a", "b"),
) -> datasets.Dataset:
    """Splits of (pictures, labels); ids count from 100, 200 and 300."""
    shape = train[0][0].shape
    spec = replace(studies.get("digits"), classes=classes, image_shape=shape)
    parts = {"train": train, "validation": validation or train, "test": test or train}
    splits = {
        name: datasets.Split(
            name, np.arange(len(labels)) + 100 * k, np.stack(pictures), np.array(labels)
        )
        for k, (name, (pictures, labels)) in enumerate(parts.items(), start=1)
    }
    source = collection.Source("package", "", "")
    return datasets.Dataset(spec=spec, subset_ids=np.array([100]), source=source, **splits)


def test_class_counts_name_every_class_in_every_split() -> None:
    one = flat(0)
    data = dataset(([one] * 4, [0, 0, 0, 1]), ([one], [1]), ([one] * 2, [0, 1]))
    assert exploration.class_counts(data).to_dict("list") == {
        "split": ["train", "train", "validation", "validation", "test", "test"],
        "label": ["a", "b"] * 3,
        "count": [3, 1, 0, 1, 1, 1],
        "share": [0.75, 0.25, 0.0, 1.0, 0.5, 0.5],
    }


def test_class_pictures_are_mean_and_standard_deviation_of_training() -> None:
    train = ([flat(10, size=(1, 2)), flat(30, size=(1, 2)), flat(7, size=(1, 2))], [0, 0, 1])
    unused = ([flat(255, size=(1, 2))], [0])
    frame = exploration.class_pictures(dataset(train, unused, unused))
    assert frame[["label", "kind"]].to_numpy().tolist() == [
        ["a", "mean"],
        ["a", "variability"],
        ["b", "mean"],
        ["b", "variability"],
    ]
    assert [v.tolist() for v in frame["values"]] == [[20, 20], [10, 10], [7, 7], [0, 0]]
    assert frame["values"][0].dtype == np.float32


def test_mean_differences_are_root_mean_squares() -> None:
    picture = np.array([[[0], [6]], [[0], [0]]], np.uint8)  # RMS of (0, 6, 0, 0) is 3
    frame = exploration.mean_differences(dataset(([flat(0, size=(2, 2)), picture], [0, 1])))
    assert frame.to_dict("list") == {
        "label_a": ["a", "a", "b", "b"],
        "label_b": ["a", "b", "a", "b"],
        "distance": [0.0, 3.0, 3.0, 0.0],
    }


def test_intensity_histogram_of_grey_pictures() -> None:
    one = np.array([[[0], [7]], [[8], [255]]], np.uint8)
    frame = exploration.intensity_histogram(dataset(([one, flat(8, size=(2, 2))], [0, 1])))
    assert len(frame) == 3 * exploration.BINS
    assert frame["channel"].unique().tolist() == ["grey"]
    held = frame[frame["share"] > 0].drop(columns="channel")
    assert held.to_numpy().tolist() == [
        ["all", 0, 8, 0.25],
        ["all", 8, 16, 0.625],
        ["all", 248, 256, 0.125],
        ["a", 0, 8, 0.5],
        ["a", 8, 16, 0.25],
        ["a", 248, 256, 0.25],
        ["b", 8, 16, 1.0],
    ]


def test_intensity_histogram_keeps_channels_and_batches_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = dataset(([flat(0, 100, 200)] * 5, [0, 1, 0, 1, 0]))
    whole = exploration.intensity_histogram(data)
    held = whole[whole["share"] > 0]
    assert held[["label", "channel", "bin_left", "share"]].to_numpy().tolist() == [
        [label, channel, left, 1.0]
        for label in ("all", "a", "b")
        for channel, left in (("red", 0), ("green", 96), ("blue", 200))
    ]
    monkeypatch.setattr(exploration, "BATCH", 2)
    pd.testing.assert_frame_equal(exploration.intensity_histogram(data), whole)


def test_brightness_and_contrast_are_those_of_the_luma() -> None:
    halves = np.zeros((1, 4, 4, 1), np.uint8)
    halves[:, :, 2:] = 200
    assert exploration.measures(halves)[0, :2].tolist() == [100, 100]
    primaries = np.stack([flat(255, 0, 0), flat(0, 255, 0), flat(0, 0, 255)])
    assert_allclose(exploration.measures(primaries)[:, 0], [76.245, 149.685, 29.07], rtol=1e-5)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    grey = np.zeros((1, 3, 4), np.float32)
    grey[0, 1, 1] = 10  # Laplacian of the two inner pixels: −40 and 10
    assert exploration.sharpness(grey).tolist() == [625]
    assert exploration.sharpness(np.ones((2, 2, 9), np.float32)).tolist() == [0, 0]


def test_colourfulness_of_one_colour_and_of_grey() -> None:
    red, grey = flat(255, 0, 0), flat(90, 90, 90)
    values = exploration.colourfulness(np.stack([red, grey]))
    assert_allclose(values, [0.3 * np.hypot(255, 127.5), 0], rtol=1e-6)
    assert exploration.colourfulness(np.stack([flat(9)])).tolist() == [0]


def test_colourfulness_of_two_colours() -> None:
    picture = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)[np.newaxis]
    # red − green: ±255, mean 0; (red + green) / 2 − blue: 127.5 twice
    assert_allclose(exploration.colourfulness(picture), [255 + 0.3 * 127.5], rtol=1e-6)


def test_image_statistics_cover_all_splits() -> None:
    data = dataset(([flat(1), flat(2)], [0, 1]), ([flat(3)], [1]), ([flat(4)], [0]))
    frame = exploration.image_statistics(data)
    assert frame.to_dict("list") == {
        "split": ["train", "train", "validation", "test"],
        "id": [100, 101, 200, 300],
        "label": ["a", "b", "b", "a"],
        "brightness": [1, 2, 3, 4],
        "contrast": [0, 0, 0, 0],
        "sharpness": [0, 0, 0, 0],
        "colourfulness": [0, 0, 0, 0],
    }


def test_extremes_are_of_training_only_and_skip_what_never_varies() -> None:
    train = ([flat(5), flat(9), flat(5), flat(1)], [0, 1, 0, 1])
    others = ([flat(0), flat(255)], [0, 1])
    statistics = exploration.image_statistics(dataset(train, others, others))
    assert exploration.extremes(statistics, n=2).to_dict("list") == {
        "measure": ["brightness"] * 4,
        "end": ["lowest", "lowest", "highest", "highest"],
        "rank": [1, 2, 1, 2],
        "split": ["train"] * 4,
        "id": [103, 100, 101, 100],
        "label": ["b", "a", "b", "a"],
        "value": [1, 5, 9, 5],
    }


def test_look_features_know_the_direction_of_edges_and_not_their_contrast() -> None:
    ramp = np.arange(8, dtype=np.uint8)
    across = np.broadcast_to(ramp, (8, 8))
    pictures = np.stack([across, across.T, across * 10])[..., np.newaxis]
    cells = exploration.GRID**2
    edges = exploration.look_features(pictures)[:, : cells * exploration.ORIENTATIONS]
    by_direction = edges.reshape(3, cells, exploration.ORIENTATIONS)
    expected = np.zeros((2, cells, exploration.ORIENTATIONS))
    expected[0, :, 0] = expected[1, :, 4] = 1 / np.sqrt(cells)  # 0 and 90 of 180 degrees
    assert_allclose(by_direction[:2], expected, atol=1e-6)
    assert_allclose(by_direction[2], by_direction[0], atol=1e-6)


def test_look_features_hold_the_colour_of_every_cell() -> None:
    picture = flat(10, 20, 30, size=(5, 7))  # sides that GRID does not divide
    features = exploration.look_features(picture[np.newaxis])
    assert features.shape == (1, 16 * (9 + 3))
    assert_allclose(features[0, 16 * 9 :].reshape(16, 3), np.tile([10, 20, 30], (16, 1)))


def test_similarity_is_one_for_the_same_look_and_minus_one_for_the_opposite() -> None:
    pictures = [flat(10, 0, 0), flat(10, 0, 0), flat(0, 0, 200), flat(0, 0, 200)]
    data = dataset((pictures, [0, 1, 2, 2]), classes=("a", "b", "c"))
    frame = exploration.class_similarity(data)
    assert frame[["label_a", "label_b"]].to_numpy().tolist() == [
        [first, second] for first in "abc" for second in "abc"
    ]
    assert_allclose(frame["similarity"], [1, 1, -1, 1, 1, -1, -1, -1, 1], atol=1e-6)


def test_similarity_sees_training_pictures_only() -> None:
    rng = np.random.default_rng(0)
    train = ([rng.integers(0, 256, (8, 8, 3)).astype(np.uint8) for _ in range(9)], [0, 1, 2] * 3)
    other = ([flat(255, 0, 0, size=(8, 8))] * 3, [0, 0, 1])
    classes = ("a", "b", "c")
    first = exploration.class_similarity(dataset(train, classes=classes))
    second = exploration.class_similarity(dataset(train, other, other, classes=classes))
    pd.testing.assert_frame_equal(first, second)
    assert first["similarity"].nunique() > 3


def test_stratified_positions_keep_the_proportions() -> None:
    labels = np.array([0] * 60 + [1] * 30 + [2] * 1)
    rows = exploration.stratified(labels, 30, seed=1)
    assert np.bincount(labels[rows]).tolist() == [20, 10, 1]
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert rows.tolist() == exploration.stratified(labels, 30, seed=1).tolist()
    assert rows.tolist() != exploration.stratified(labels, 30, seed=2).tolist()
    assert exploration.stratified(labels, 500).tolist() == list(range(91))


def test_the_map_puts_like_pictures_together() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    noise = rng.integers(0, 20, (40, 8, 8, 1))
    pictures = list((noise + labels[:, None, None, None] * 200).astype(np.uint8))
    data = dataset((pictures, labels.tolist()))
    frame = exploration.embedding_map(data, n=30, seed=3)
    assert frame.columns.to_list() == ["split", "id", "label", "x", "y"]
    assert frame["label"].value_counts().to_dict() == {"a": 15, "b": 15}
    assert set(frame["split"]) == {"validation"}
    assert (np.array(["a", "b"])[labels[frame["id"] - 200]] == frame["label"]).all()
    places = frame[["x", "y"]].to_numpy(np.float64)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.diag([np.inf] * 30)
    assert (frame["label"].to_numpy()[distance.argmin(1)] == frame["label"]).all()
    pd.testing.assert_frame_equal(exploration.embedding_map(data, n=30, seed=3), frame)


def test_gallery_gives_the_wanted_pictures_in_the_wanted_order() -> None:
    data = dataset(([flat(1, 2, 3), flat(4, 5, 6)], [0, 1]))
    wanted = pd.DataFrame({"split": ["test", "train"], "id": [301, 100]})
    frame = exploration.gallery(data, wanted)
    assert frame[["split", "id", "label"]].to_numpy().tolist() == [
        ["test", 301, "b"],
        ["train", 100, "a"],
    ]
    assert [images.from_png(png).tolist() for png in frame["png"]] == [
        flat(4, 5, 6).tolist(),
        flat(1, 2, 3).tolist(),
    ]
    assert len(exploration.gallery(data, wanted.head(0))) == 0


def test_gallery_names_an_unknown_picture() -> None:
    data = dataset(([flat(1)], [0]))
    with pytest.raises(KeyError, match="the train split has no image with id 7"):
        exploration.gallery(data, pd.DataFrame({"split": ["train"], "id": [7]}))


def test_samples_follow_the_classes_and_are_all_different() -> None:
    pictures = [flat(k) for k in range(10)]
    frame = exploration.samples(dataset((pictures, [1, 0] * 5)), per_class=3)
    assert frame["label"].to_list() == ["a", "a", "a", "b", "b", "b"]
    assert frame["id"].nunique() == 6
    few = exploration.samples(dataset((pictures[:3], [1, 0, 1])), per_class=3)
    assert few["label"].to_list() == ["a", "b", "b"]


def test_preprocessing_shows_every_step() -> None:
    photo = flat(255, 0, 0, size=(6, 8))
    frame = exploration.preprocessing(photo, (3, 3, 1), mean=[76.0], std=[50.0])
    assert frame[["order", "step"]].to_numpy().tolist() == [
        [0, "Decoded"],
        [1, "Cropped"],
        [2, "Resized"],
        [3, "Grey"],
        [4, "Standardised"],
    ]
    pictures = [images.from_png(png) for png in frame["png"]]
    assert [p.shape for p in pictures] == [(6, 8, 3), (6, 6, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)]
    assert [p[0, 0].tolist() for p in pictures[2:]] == [[255, 0, 0], [76] * 3, [128] * 3]
    assert "8 × 6 pixels" in frame["description"][0]


def test_preprocessing_of_a_picture_that_fits_leaves_its_pixels_alone() -> None:
    digit = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    frame = exploration.preprocessing(digit, (8, 8, 1), mean=[30.0], std=[20.0])
    assert frame["step"].to_list() == ["Decoded", "Cropped", "Resized", "Standardised"]
    for png in frame["png"][:3]:
        assert images.from_png(png)[:, :, 0].tolist() == digit[:, :, 0].tolist()


def test_standardised_values_are_shown_around_mid_grey() -> None:
    pixels = np.array([[[10, 100], [40, 100], [70, 100], [250, 100]]], np.uint8)
    shown = exploration.standardised(pixels, mean=[40, 100], std=[10, 5])
    assert shown[0, :, 0].tolist() == [0, 128, 255, 255]
    assert shown[0, :, 1].tolist() == [128] * 4


def test_augmentation_preview_puts_the_original_first() -> None:
    variants = np.stack([flat(2), flat(3)])
    frame = exploration.augmentation_preview(flat(1), variants, ["mirrored", "moved"])
    assert frame[["variant", "description"]].to_numpy().tolist() == [
        [0, "original"],
        [1, "mirrored"],
        [2, "moved"],
    ]
    assert [images.from_png(png)[0, 0, 0] for png in frame["png"]] == [1, 2, 3]
    with pytest.raises(ValueError, match="zip"):
        exploration.augmentation_preview(flat(1), variants, ["one text for two pictures"])


def test_everything_works_on_a_real_study_without_download() -> None:
    data = datasets.load(studies.get("digits"))
    counts = exploration.class_counts(data)
    assert counts["count"].sum() == 1797
    shares = exploration.intensity_histogram(data).groupby(["label", "channel"])["share"].sum()
    assert_allclose(shares, 1)
    similarity = exploration.class_similarity(data).pivot(index="label_a", columns="label_b")
    assert_allclose(similarity, similarity.T, atol=1e-6)
    assert_allclose(np.diag(similarity), 1, atol=1e-6)
    assert similarity.to_numpy().min() < -0.3


def test_first_rows_are_those_of_the_file() -> None:
    pictures = [flat(value, size=(1, 2)) for value in (10, 20, 30)]
    data = dataset((pictures, [0, 1, 0]))
    data = replace(data, train=replace(data.train, ids=np.array([7, 3, 5])))
    assert exploration.first_rows(data, n=2).to_dict("list") == {
        "id": [3, 5],
        "label": ["b", "a"],
        "pixel1": [20, 30],
        "pixel2": [20, 30],
    }
    with pytest.raises(ValueError, match="1 × 2 × 3 are no row of a table"):
        exploration.first_rows(dataset(([flat(1, 2, 3, size=(1, 2))], [0])))
    assert not exploration.tabular((224, 224, 1))


def test_large_pictures_are_reduced_for_measuring_and_small_ones_left_alone() -> None:
    small = dataset(([flat(9, 8, 7)], [0]))
    assert exploration.reduced(small) is small
    large = dataset(([flat(9, 8, 7, size=(200, 100)), flat(1, 2, 3, size=(200, 100))], [0, 1]))
    found = exploration.reduced(large)
    assert found.spec.image_shape == (48, 24, 3)
    assert found.train.images.shape == (2, 48, 24, 3)
    assert found.test.images[1, 5, 5].tolist() == [1, 2, 3]
    assert found.train.ids.tolist() == large.train.ids.tolist()
