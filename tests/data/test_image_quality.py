"""Measures of photos, beside what cleanvision 0.3.7 says of the same pixels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from src.data import image_quality
from src.data.formats import Pixels

NOISE = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
SOFT = Image.fromarray(np.random.default_rng(1).integers(0, 256, (7, 7, 3), np.uint8)).resize(
    (224, 224), Image.Resampling.BICUBIC
)
IMAGES = {
    "noise": NOISE,
    "grey noise": NOISE[..., :1],
    "black": np.zeros_like(NOISE),
    "white": np.full_like(NOISE, 255),
    "dark noise": NOISE // 4,
    "bright noise": 250 + NOISE // 50,
    "soft": np.asarray(SOFT),
    "blurred": np.asarray(SOFT.filter(ImageFilter.GaussianBlur(2))),
}
# brightness_perc_99, 1 − brightness_perc_5, blurry score, low information score
EXPECTED = {
    "noise": (0.9211186, 0.7842034, 0.73613, 0.9581446),
    "grey noise": (0.9921569, 0.9529412, 0.7784514, 0.7996369),
    "black": (0.0, 1.0, 0.9223074, 0.1584963),
    "white": (1.0, 0.0, 1.0, 0.1584963),
    "dark noise": (0.2287958, 0.9472062, 0.675846, 0.7584203),
    "bright noise": (0.9970249, 0.0183944, 1.0, 0.4014188),
    "soft": (0.8902137, 0.7979531, 0.2638535, 0.9453036),
    "blurred": (0.8886005, 0.7973821, 0.2636272, 0.9457279),
}
FAULTS = {
    "black": {"dark", "low information"},
    "white": {"bright", "low information"},
    "dark noise": {"dark"},
    "bright noise": {"bright"},
    "soft": {"blurred"},
    "blurred": {"blurred"},
}


@pytest.mark.parametrize("name", IMAGES)
def test_measures_are_those_of_cleanvision(name: str) -> None:
    assert image_quality.quality(IMAGES[name]) == pytest.approx(EXPECTED[name], abs=1e-6)


def test_faults_are_told_by_them() -> None:
    measures = pd.DataFrame([image_quality.quality(pixels) for pixels in IMAGES.values()])
    found = image_quality.faults(measures)
    told: dict[str, set[str]] = {}
    for fault, images in found.items():
        for name in np.array([*IMAGES])[images].tolist():
            told.setdefault(name, set()).add(fault)
    assert told == FAULTS


def test_small_images_can_be_measured() -> None:
    pixels: Pixels = np.zeros((1, 1, 1), np.uint8)
    assert image_quality.quality(pixels).light == 0.0


def test_sizes_far_from_the_quartiles_are_odd() -> None:
    sides = pd.Series([100.0, 101.0, 102.0, 103.0, 104.0, 49.0, 52.0, 203.0, 206.0])
    assert image_quality.odd_sizes(sides).tolist() == [False] * 5 + [True, False, False, True]
    equal = pd.Series([224.0] * 9)
    assert image_quality.odd_sizes(pd.concat([equal, pd.Series([272.0])])).sum() == 0
    assert image_quality.odd_sizes(pd.concat([equal, pd.Series([449.0])])).sum() == 1
    wide = pd.Series([100.0, 200.0, 300.0, 400.0, 1_000.0])
    assert image_quality.odd_sizes(wide).sum() == 0  # four quartile ranges reach to 1,000
    assert image_quality.odd_sizes(pd.Series([], dtype=float)).tolist() == []
