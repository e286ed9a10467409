"""Nearly equal images: found as comparing all with all would find them, and without doing so."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from src.data import near_duplicates
from src.data.near_duplicates import NEAR_BITS, NEAR_LEVELS, SIGNATURE, Signatures


def _random(n: int, seed: int = 0) -> Signatures:
    return np.random.default_rng(seed).integers(0, 240, (n, *SIGNATURE), np.uint8)


def _alike(one: Signatures, other: Signatures) -> bool:
    bits = near_duplicates.difference_hash(np.stack([one, other]))
    gap = np.abs(one.astype(int) - other).mean()
    return bool(np.bitwise_count(bits[0] ^ bits[1]) <= NEAR_BITS and gap <= NEAR_LEVELS)


def _by_comparing_all(colours: Signatures) -> list[int]:
    group = list(range(len(colours)))
    for i in range(len(colours)):
        for j in range(i):
            if _alike(colours[i], colours[j]):
                low, high = sorted((group[i], group[j]))
                group = [low if g == high else g for g in group]
    return group


@pytest.mark.parametrize("noise", [0, 2, 9, 14, 30])
def test_groups_are_those_of_comparing_all_with_all(noise: int) -> None:
    random = np.random.default_rng(noise)
    colours = _random(12, noise)[random.integers(0, 12, 90)].astype(int)
    colours[:, 3:] += random.integers(-noise, noise + 1, colours[:, 3:].shape)
    colours = np.clip(colours, 0, 255).astype(np.uint8)
    colours[:20, :, :4] = 255  # some on a white ground
    groups = near_duplicates.groups(colours)
    assert groups.tolist() == _by_comparing_all(colours)


def test_groups_join_what_is_nearly_equal_step_by_step() -> None:
    values = _random(5)
    values[4], values[2] = values[0] + 6, values[0] + 12  # 0 and 2 are only alike through 4
    assert not _alike(values[0], values[2])
    assert near_duplicates.groups(values).tolist() == [0, 1, 0, 3, 0]
    assert near_duplicates.groups(values[:0]).tolist() == []


def test_the_difference_hash_by_hand() -> None:
    colours = np.zeros((1, *SIGNATURE), np.uint8)
    colours[0, 0, 1] = colours[0, 7, 8] = 9  # rises, falls; rises
    expected = np.zeros(64, np.uint8)
    expected[[0, 63]] = 1
    assert near_duplicates.difference_hash(colours).view(np.uint8).tolist() == (
        np.packbits(expected).tolist()
    )


def test_the_nearest_earlier_one_of_each_kind() -> None:
    colours = np.repeat(_random(1), 5, axis=0)
    colours[3, 0, 0] += 200  # a bit or two away from the others
    group = near_duplicates.groups(colours)
    assert group.tolist() == [0] * 5
    kinds = np.array([0, 1, 0, 1, 1])
    found = near_duplicates.nearest(colours, group, kinds)
    assert found[1] == [0]
    assert found[2] == [0, 1]
    assert set(found[4]) == {0, 1}  # the first of equally near ones
    apart = near_duplicates.nearest(colours, np.arange(5), kinds)
    assert apart == {}


def test_of_many_alike_the_first_are_looked_at() -> None:
    colours = np.repeat(_random(1), 30, axis=0)
    found = near_duplicates.nearest(colours, np.zeros(30, int), np.zeros(30, int), most=4)
    assert found == {place: [0] for place in range(1, 30)}


def _photo(seed: int) -> Image.Image:
    """Soft shapes on a light ground, (400, 300)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((400, 300), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("change", ["saved anew", "smaller", "larger", "cropped"])
def test_the_same_photo_changed_is_found(change: str) -> None:
    photo = _photo(1)
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=40)
    changed = {
        "saved anew": Image.open(stream),
        "smaller": photo.resize((120, 90)),
        "larger": photo.resize((800, 600)),
        "cropped": photo.crop((4, 3, 396, 297)),
    }[change]
    colours = np.stack(
        [near_duplicates.signature(np.asarray(image)) for image in (photo, changed, _photo(2))]
    )
    assert near_duplicates.groups(colours).tolist() == [0, 0, 2]
