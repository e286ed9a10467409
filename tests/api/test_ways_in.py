"""Every way in gives the same pixels, or refuses for the same reason: page, API, own folder."""

import functools

import numpy as np
import pytest

from src.api import predictions
from src.data import decoding, image_folders, images
from src.data.image_folders import Entry, File
from src.serving import uploads
from src.serving.preparation import Preparation
from tests import image_files

SHAPE = (8, 8, 3)
CASES = image_files.table()


def by_page(data: bytes) -> images.Pixels:
    how = Preparation(SHAPE)
    return uploads.read(data, "photo", [how]).inputs[how].pixels


def by_api(data: bytes) -> images.Pixels:
    return predictions.read(data, Preparation(SHAPE)).pixels


@pytest.mark.parametrize("name", CASES)
def test_page_and_api_agree(name: str) -> None:
    case = CASES[name]
    for way in (by_page, by_api):
        if case.refusal:
            with pytest.raises(decoding.ImageError) as refused:
                way(case.data)
            assert case.refusal in str(refused.value)
        else:
            pixels = np.array(case.pixels, np.uint8)
            expected = images.model_input(pixels, SHAPE).astype(int)
            assert np.abs(way(case.data) - expected).max() <= case.within + 1


def test_an_own_folder_gives_what_the_page_gives() -> None:
    """Named .png all of them: the content decides."""
    entries = [
        Entry(
            File(f"a/{number}.png", len(case.data), 0, functools.partial(bytes, case.data)), "", "a"
        )
        for number, case in enumerate(CASES.values())
    ]
    for case, one in zip(CASES.values(), image_folders.decode_all(entries, SHAPE), strict=True):
        if case.refusal:
            assert one.pixels is None
            assert case.refusal in one.error
        else:
            np.testing.assert_array_equal(one.pixels, by_page(case.data))


STATUSES = {"PDF": 415, "web page": 415, "half a PNG": 422, "TIFF LAB": 422}


@pytest.mark.parametrize("name", STATUSES)
def test_the_reason_decides_the_status(name: str) -> None:
    with pytest.raises(decoding.ImageError) as refused:
        by_api(CASES[name].data)
    assert predictions.problem(refused.value).status == STATUSES[name]


def test_too_many_pixels_are_413() -> None:
    with pytest.raises(decoding.TooLarge) as refused:
        by_api(image_files.png((30_001, 10)))
    assert predictions.problem(refused.value).status == 413
