"""Augmentation: images → the same images, each changed at random, for one epoch."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from src.data.plans import Augmentation

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
CHUNK = 2**24  # values in float32 at a time: 64 MB
SMALLEST_ERASED = 0.02  # share of the area
LONGEST_ERASED = 1 / 0.3  # height to width, or the other way round


def augment(images: Pixels, augmentation: Augmentation, seed: int, epoch: int) -> Pixels:
    """Each image (n, H, W, C) changed at random, as one pass over the whole array.

    Mirror, shift, rotation and zoom are one affine map, so an image is resampled once; beyond its
    border it is continued by reflection. Shifts alone are whole pixels and lose nothing. Zooming in
    and shifting are what is also called a random crop.
    """
    random = np.random.default_rng([seed, epoch])
    changes = _draw(images.shape, augmentation, random, epoch)
    moved = _warped if augmentation.rotation or augmentation.zoom else _shifted
    changed = np.empty_like(images)
    step = max(1, CHUNK // images[0].size)
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        changed[part] = moved(images[part], changes.part(part))
        if augmentation.colour:
            changed[part] = _recoloured(changed[part], changes.colour[part])
    if augmentation.erasing:
        _erase(changed, augmentation.erasing, random)
    if augmentation.cutout:
        _cut_out(changed, augmentation.cutout, random)
    return changed


def preview(
    image: Pixels, augmentation: Augmentation, seed: int, n: int = 8
) -> tuple[Pixels, list[str]]:
    """What training may make of one image (H, W, C): n variants and what was done to each."""
    images = np.repeat(image[None], n, 0)
    random = np.random.default_rng([seed, 0])
    changes = _draw(images.shape, augmentation, random, 0)
    return augment(images, augmentation, seed, 0), [changes.describe(i) for i in range(n)]


@dataclass(frozen=True)
class _Changes:
    """What happens to each of n images."""

    degrees: Floats  # (n,) anticlockwise
    scale: Floats  # (n,)
    mirrored: NDArray[np.bool_]  # (n,)
    shift: Floats  # (n, 2) pixels to the left and up
    colour: Floats  # (n, 3) factors of brightness, contrast and saturation

    def part(self, rows: slice) -> _Changes:
        return _Changes(*(getattr(self, field.name)[rows] for field in fields(self)))

    def describe(self, i: int) -> str:
        x, y = -self.shift[i]
        parts = ["mirrored"] if self.mirrored[i] else []
        parts += [f"shifted by {x:+.1f}, {y:+.1f} pixels"] if np.any(self.shift) else []
        parts += [f"turned by {self.degrees[i]:+.0f}°"] if np.any(self.degrees) else []
        parts += [f"zoomed to {self.scale[i]:.0%}"] if np.any(self.scale != 1) else []
        if np.any(self.colour != 1):
            named = zip(("brightness", "contrast", "saturation"), self.colour[i], strict=True)
            parts += [f"{name} {factor - 1:+.0%}" for name, factor in named]
        return ", ".join(parts)


def _draw(
    shape: tuple[int, ...], augmentation: Augmentation, random: np.random.Generator, epoch: int
) -> _Changes:
    n, height, width, _ = shape
    degrees = augmentation.rotation * random.uniform(-1, 1, n)
    scale = 1 + augmentation.zoom * random.uniform(-1, 1, n)
    mirrored = _mirrored(n, augmentation, random, epoch)
    shift = augmentation.shift * np.array([width, height]) * random.uniform(-1, 1, (n, 2))
    if not augmentation.rotation and not augmentation.zoom:
        shift = np.rint(shift)
    colour = np.ones((n, 3))
    if augmentation.colour:  # drawn last, so that all else is as it is without
        colour += augmentation.colour * random.uniform(-1, 1, (n, 3))
    return _Changes(degrees, scale, mirrored, shift, colour)


def _maps(changes: _Changes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(n, 8) maps from output to input places, as ImageProjectiveTransformV3 takes them."""
    n, height, width, _ = shape
    angle = np.deg2rad(changes.degrees)
    mirror = np.where(changes.mirrored, -1.0, 1.0)
    cos, sin = np.cos(angle) / changes.scale, np.sin(angle) / changes.scale
    x, y = (width - 1) / 2, (height - 1) / 2
    a, b, d, e = mirror * cos, -mirror * sin, sin, cos
    rows = [
        *(a, b, x - a * x - b * y + changes.shift[:, 0]),
        *(d, e, y - d * x - e * y + changes.shift[:, 1]),
        *(np.zeros(n), np.zeros(n)),
    ]
    return np.stack(rows, 1).astype(np.float32)


def _mirrored(
    n: int, augmentation: Augmentation, random: np.random.Generator, epoch: int
) -> NDArray[np.bool_]:
    if not augmentation.flip:
        return np.zeros(n, bool)
    if augmentation.alternate:  # each pair of epochs shows both sides of every image
        first = np.random.default_rng([n, 7]).random(n) < 0.5
        return first ^ (epoch % 2 == 1)
    return random.random(n) < 0.5


def _shifted(images: Pixels, changes: _Changes) -> Pixels:
    """Mirror and whole pixels alone: what `_warped` gives in a third of the time."""
    n, height, width, _ = images.shape
    across, down = changes.shift.astype(np.int64).T[..., None]
    columns = np.arange(width)
    columns = np.where(changes.mirrored[:, None], width - 1 - columns, columns)
    x, y = _reflected(columns + across, width), _reflected(np.arange(height) + down, height)
    return images[np.arange(n)[:, None, None], y[:, :, None], x[:, None, :]]


def _reflected(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Places on a side that is continued by its mirror image at both ends."""
    within = places % (2 * side)
    return np.minimum(within, 2 * side - 1 - within)


def _warped(images: Pixels, changes: _Changes) -> Pixels:
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=images.astype(np.float32),
        transforms=_maps(changes, images.shape),
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    rounded: Pixels = np.rint(warped.numpy()).astype(np.uint8)
    return rounded


def _recoloured(images: Pixels, factors: Floats) -> Pixels:
    brightness, contrast, saturation = factors.astype(np.float32).T[..., None, None, None]
    values = images.astype(np.float32)
    grey = values.mean(-1, keepdims=True)
    mean = grey.mean((1, 2), keepdims=True)
    values = grey + saturation * (values - grey)
    values = brightness * mean + contrast * (values - mean)
    recoloured: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return recoloured


def _erase(images: Pixels, largest: float, random: np.random.Generator) -> None:
    """Put noise in a rectangle of half the images (Zhong et al. 2020, arXiv 1708.04896)."""
    n, height, width, channels = images.shape
    area = height * width * random.uniform(SMALLEST_ERASED, largest, n)
    aspect = np.exp(random.uniform(-1, 1, n) * np.log(LONGEST_ERASED))
    rows = _span(np.sqrt(area * aspect), height, random)
    columns = _span(np.sqrt(area / aspect), width, random)
    chosen = random.random((n, 1, 1)) < 0.5
    inside = chosen & rows[:, :, None] & columns[:, None, :]
    images[inside] = random.integers(0, 256, (np.count_nonzero(inside), channels), np.uint8)


def _cut_out(images: Pixels, share: float, random: np.random.Generator) -> None:
    """Put the mean colour of all in a square of each (DeVries and Taylor 2017, arXiv 1708.04552).

    Noise, as in `_erase`, is all edges, which the whitening layer amplifies.
    """
    sides = images.shape[1:3]
    rows, columns = (_span(np.full(len(images), share * side), side, random) for side in sides)
    colour = np.rint(images.mean((0, 1, 2)))
    images[rows[:, :, None] & columns[:, None, :]] = colour.astype(np.uint8)


def _span(lengths: Floats, side: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which places of a side (n, side) lie within stretches of given lengths, put at random."""
    whole = np.clip(np.rint(lengths), 1, side)
    first = np.floor(random.random(len(lengths)) * (side - whole + 1))
    places = np.arange(side)
    return np.asarray((places >= first[:, None]) & (places < (first + whole)[:, None]))
