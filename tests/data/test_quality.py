"""Duplicates on data sets of a few one-pixel images."""

from dataclasses import replace

import numpy as np

from src.data import collection, datasets, quality, studies


def dataset(**values: list[int]) -> datasets.Dataset:
    """One-pixel grey images of the given values; ids count from 10, labels alternate."""
    spec = replace(studies.get("digits"), classes=("a", "b"), image_shape=(1, 1, 1))
    source = collection.Source("package", "", "")
    splits = {
        name: datasets.Split(
            name,
            np.arange(len(pixels)) + 10,
            np.array(pixels, np.uint8).reshape(-1, 1, 1, 1),
            np.arange(len(pixels)) % 2,
        )
        for name, pixels in values.items()
    }
    return datasets.Dataset(spec=spec, subset_ids=np.array([10]), source=source, **splits)


def test_duplicates_within_and_across_splits() -> None:
    found = quality.duplicates(dataset(train=[5, 7, 5, 1], validation=[2, 7], test=[9, 5, 9]))
    assert found.to_dict("list") == {
        "group": [1, 1, 1, 2, 2, 3, 3],
        "split": ["train", "train", "test", "train", "validation", "test", "test"],
        "id": [10, 12, 11, 11, 11, 10, 12],
        "label": ["a", "a", "b", "b", "b", "a", "a"],
    }


def test_no_duplicates_give_an_empty_frame_with_the_same_columns() -> None:
    found = quality.duplicates(dataset(train=[1, 2], validation=[3], test=[4]))
    assert found.columns.to_list() == ["group", "split", "id", "label"]
    assert len(found) == 0
    assert (found["group"].dtype, found["id"].dtype) == (np.int64, np.int64)


def test_fingerprints_differ_with_a_single_pixel_value() -> None:
    one = np.zeros((1, 4, 4, 3), np.uint8)
    other = one.copy()
    other[0, 3, 3, 2] = 1
    prints = quality.fingerprints(np.concatenate([one, other, one]))
    assert prints[0] == prints[2] != prints[1]
