"""Decoded images → model inputs, thumbnails and PNG files."""

from typing import Literal

import numpy as np
import pytest

from src.data import decoding, images

FITS: tuple[Literal["crop"], Literal["pad"]] = ("crop", "pad")
RED = (255, 0, 0)


def test_a_picture_of_the_models_shape_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    for shape in ((32, 32, 3), (8, 8, 1)):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        for fit in FITS:
            assert images.model_input(pixels, shape, fit) is pixels


def test_a_grey_study_gets_its_own_pixels_back_from_a_png() -> None:
    digit = np.arange(64, dtype=np.uint8).reshape(8, 8, 1) * 4
    decoded = decoding.decode(images.to_png(digit)).rgb
    assert decoded.shape == (8, 8, 3)
    assert images.model_input(decoded, (8, 8, 1)).tolist() == digit.tolist()


def test_grey_is_luma() -> None:
    one = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert images.model_input(one, (1, 3, 1))[:, :, 0].tolist() == [[76, 150, 29]]


def test_crop_takes_the_centre_and_pad_keeps_the_whole_on_white() -> None:
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = RED
    assert (images.model_input(wide, (4, 4, 3), "crop") == RED).all()
    tall = np.zeros((8, 4, 3), np.uint8)
    expected = np.full((8, 8, 3), 255)
    expected[:, 2:6] = 0
    assert images.model_input(tall, (8, 8, 3), "pad").tolist() == expected.tolist()


def test_reduction_is_antialiased() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    reduced = images.model_input(board.astype(np.uint8)[:, :, np.newaxis], (8, 8, 1))
    assert np.abs(reduced.astype(int) - 127).max() <= 1  # nearest neighbour would give 0 or 255


def test_extreme_proportions_still_give_the_models_shape() -> None:
    line = np.zeros((1, 1000, 3), np.uint8)
    for fit in FITS:
        assert images.model_input(line, (32, 32, 3), fit).shape == (32, 32, 3)


def test_what_is_no_picture_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 1 or 3\), got float64 \(2, 2, 3\)"):
        images.model_input(np.zeros((2, 2, 3)), (2, 2, 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got \(8, 8, 2\)"):
        images.model_input(np.zeros((2, 2, 3), np.uint8), (8, 8, 2))
    with pytest.raises(ValueError, match=r"must not be empty, got \(0, 2, 3\)"):
        images.to_png(np.zeros((0, 2, 3), np.uint8))


def test_png_there_and_back() -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert images.from_png(images.to_png(colour)).tolist() == colour.tolist()
    grey = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    expected = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    assert images.from_png(images.to_png(grey)).tolist() == expected.tolist()
    assert images.to_png(grey) == images.to_png(grey[:, :, np.newaxis])


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((28, 28, 1), 96, (28, 28, 3)),
        ((96, 60, 3), 96, (96, 60, 3)),
        ((224, 112, 3), 96, (96, 48, 3)),  # a photo: reduced
        ((224, 112, 3), 224, (224, 112, 3)),
    ],
)
def test_thumbnails_are_small(
    shape: tuple[int, int, int], side: int, expected: tuple[int, int, int]
) -> None:
    stored = images.thumbnail(np.full(shape, 128, np.uint8), side)
    assert (stored[:4], stored[8:12]) == (b"RIFF", b"WEBP")
    assert images.from_png(stored).shape == expected
    assert np.abs(images.from_png(stored).astype(int) - 128).max() <= 2


def test_thumbnails_keep_small_pictures_exactly_and_photos_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 40, 3)).astype(np.uint8)
    np.testing.assert_array_equal(images.from_png(images.thumbnail(noise)), noise)
    grey = images.from_png(images.thumbnail(noise[..., :1]))
    np.testing.assert_array_equal(grey, np.repeat(noise[..., :1], 3, axis=2))
    smooth = np.add.outer(np.arange(32), 3 * np.arange(32)).astype(np.uint8)[..., np.newaxis]
    assert len(images.thumbnail(smooth)) < len(images.to_png(smooth))
    photo = np.broadcast_to(np.uint8([200, 100, 50]), (224, 112, 3))
    kept = images.from_png(images.thumbnail(photo))
    assert kept.shape == (96, 48, 3)
    assert np.abs(kept.astype(int) - [200, 100, 50]).max() <= 3
    grey = images.from_png(images.thumbnail(photo[..., :1]))
    assert np.abs(grey.astype(int) - 200).max() <= 2
    assert images.reduced_shape((8, 8, 1), 64) == (8, 8, 1)
    assert images.reduced_shape((300, 10, 3), 60) == (60, 2, 3)


def test_blank_pictures_are_told_by_each_channel() -> None:
    pixels = np.full((4, 5, 6, 3), 100, np.uint8)
    pixels[1] = [200, 20, 0]  # one colour, far from grey
    pixels[2, 0, 0, 2] = 109
    pixels[3, 0, 0, 2] = 108  # noise
    assert images.blank(pixels).tolist() == [True, True, False, True]
