"""Augmentation: what may happen to a picture, and that it happens reproducibly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from src.data import datasets, studies
from src.data.plans import Augmentation
from src.training import augmentation

pytestmark = pytest.mark.training

PICTURES = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4, 1)


def test_no_augmentation_changes_nothing() -> None:
    assert (augmentation.augment(PICTURES, Augmentation(), 0, 0) == PICTURES).all()


def test_alternating_flip_shows_both_sides_in_two_epochs() -> None:
    changes = Augmentation(flip=True, alternate=True)
    first, second = (augmentation.augment(PICTURES, changes, 0, e) for e in (0, 1))
    assert (first == second[:, :, ::-1]).all()
    assert {p.tobytes() for p in first} <= {p.tobytes() for p in (*PICTURES, *PICTURES[:, :, ::-1])}


def test_shift_alone_moves_whole_pixels_and_reflects_at_the_border() -> None:
    picture = np.arange(8 * 8, dtype=np.uint8).reshape(1, 8, 8, 1)
    shifted = augmentation.augment(np.repeat(picture, 64, 0), Augmentation(shift=0.25), 3, 0)
    padded = np.pad(picture[0, :, :, 0], 2, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8)).reshape(-1, 64)
    expected = {window.tobytes() for window in windows}
    found = {p.tobytes() for p in shifted}
    assert found <= expected
    assert len(found) > 10  # of the 25 there are


def test_whole_pixels_are_moved_as_resampling_would() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (60, 9, 12, 3), np.uint8)
    asked = Augmentation(flip=True, shift=0.5)
    changes = augmentation._draw(pictures.shape, asked, np.random.default_rng(1), 0)
    assert changes.mirrored.any()
    assert np.abs(changes.shift).max() >= 4
    shifted = augmentation._shifted(pictures, changes)
    assert (shifted == augmentation._warped(pictures, changes)).all()
    assert (shifted != pictures).any((1, 2, 3)).sum() > 50


def test_rotation_and_zoom_keep_the_centre() -> None:
    picture = np.zeros((1, 9, 9, 1), np.uint8)
    picture[0, 3:6, 3:6] = 200
    turned = augmentation.augment(
        np.repeat(picture, 20, 0), Augmentation(rotation=20, zoom=0.1), 0, 0
    )
    assert (turned[:, 4, 4, 0] == 200).all()
    assert len({p.tobytes() for p in turned}) == 20


def test_erasing_puts_noise_in_one_rectangle_of_half_the_pictures() -> None:
    pictures = np.full((400, 20, 30, 3), 100, np.uint8)
    changed = augmentation.augment(pictures, Augmentation(erasing=0.3), 0, 0)
    erased = (changed != 100).any(-1)
    shares = erased.mean((1, 2))
    assert 0.4 < (shares > 0).mean() < 0.6
    assert shares.max() < 0.33  # whole pixels: a little more than asked
    assert shares[shares > 0].min() < 0.05
    for picture in erased[shares > 0]:  # noise has the old value once in 256³
        rows, columns = picture.any(1), picture.any(0)
        assert (picture == rows[:, None] & columns).all()
        assert all(np.abs(np.diff(side.astype(int))).sum() <= 2 for side in (rows, columns))
    assert abs(changed[erased].mean() - 127.5) < 2


def test_cutout_puts_the_mean_colour_in_one_square_of_each_picture() -> None:
    pictures = np.empty((300, 20, 20, 3), np.uint8)
    pictures[::2], pictures[1::2] = (10, 20, 30), (50, 60, 70)
    changed = augmentation.augment(pictures, Augmentation(cutout=0.25), 0, 0)
    cut = (changed != pictures).any(-1)
    assert (changed[cut] == (30, 40, 50)).all()
    assert (cut.sum((1, 2)) == 25).all()
    corners = np.array([np.argwhere(picture)[[0, -1]] for picture in cut])
    assert (corners[:, 1] - corners[:, 0] == 4).all()  # 25 places between corners 5 apart: a square
    assert corners[:, 0].min() == 0
    assert corners[:, 1].max() == 19


def test_augmentation_depends_on_seed_and_epoch_alone() -> None:
    changes = Augmentation(flip=True, shift=0.2, rotation=10, zoom=0.1)
    pictures = datasets.load(studies.get("digits")).train.images[:50]
    again = [augmentation.augment(pictures, changes, 1, 2) for _ in range(2)]
    assert (again[0] == again[1]).all()
    assert (again[0] != augmentation.augment(pictures, changes, 1, 3)).any()
    assert (again[0] != augmentation.augment(pictures, changes, 2, 2)).any()


def test_colour_changes_values_and_nothing_else() -> None:
    shifted = Augmentation(shift=0.25, rotation=10)
    pictures = np.random.default_rng(0).integers(60, 200, (6, 8, 8, 3)).astype(np.uint8)
    changes = [
        augmentation._draw(pictures.shape, a, np.random.default_rng(1), 0)
        for a in (shifted, replace(shifted, colour=0.3))
    ]
    assert (changes[0].shift == changes[1].shift).all()
    assert (changes[0].degrees == changes[1].degrees).all()
    brighter = augmentation._recoloured(pictures, np.tile([1.2, 1.0, 1.0], (6, 1)))
    np.testing.assert_allclose(brighter.mean((1, 2, 3)), 1.2 * pictures.mean((1, 2, 3)), atol=1)
    grey = augmentation._recoloured(pictures, np.tile([1.0, 1.0, 0.0], (6, 1)))
    assert (grey == grey[..., :1]).all()
    text = changes[1].describe(0)
    assert "brightness" in text
    assert "saturation" in text
