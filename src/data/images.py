"""Decoded images → model inputs, thumbnails and PNG files."""

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
THUMBNAIL = 96  # pixels of the longer side of a photo kept for looking at
BLANK = 8  # of 255: an image whose values are no further apart shows nothing


def model_input(
    rgb: Pixels,
    shape: tuple[int, int, int],
    fit: Literal["crop", "pad"] = "crop",
    ground: int = 255,
) -> Pixels:
    """Return `rgb`, uint8 (h, w, 3) or (h, w, 1), as the model's uint8 (H, W, C), C being 1 or 3.

    An image of that shape already is returned as it is. Otherwise: grey by ITU-R 601 luma where
    C = 1; the largest centred part of the model's proportions ("crop") or the whole on white, or
    another grey `ground` ("pad"); then Pillow's bicubic filter, which widens with the reduction and
    so is antialiased.
    """
    _check_pixels(rgb)
    height, width, channels = shape
    if channels not in (1, 3) or min(height, width) < 1:
        raise ValueError(f"the model's shape must be (H, W, 1 or 3), got {shape}")
    if rgb.shape == shape:
        return rgb
    ratio = width / height
    part = centred(rgb, ratio) if fit == "crop" else _on_ground(rgb, ratio, ground)
    image = _as_image(part).convert("L" if channels == 1 else "RGB")
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8).reshape(shape)


def blank(pixels: Pixels) -> NDArray[np.bool_]:
    """Tell of images (n, H, W, C) which show one colour only, as an empty scan does: (n,) bool.

    A model may be sure of its answer about such an image all the same.
    """
    return np.asarray(np.ptp(pixels, axis=(1, 2)).max(-1) <= BLANK)


def centred(pixels: Pixels, ratio: float) -> Pixels:
    """Return the largest centred part of (h, w, C) with width / height = `ratio`, as a view."""
    height, width, _ = pixels.shape
    rows, columns = min(height, _near(width / ratio)), min(width, _near(height * ratio))
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


def to_png(pixels: Pixels) -> bytes:
    """Return uint8 pixels (H, W), (H, W, 1) or (H, W, 3) as the bytes of a PNG file, lossless."""
    _check_pixels(pixels[..., np.newaxis] if pixels.ndim == 2 else pixels)
    buffer = io.BytesIO()
    _as_image(pixels).save(buffer, format="PNG")  # `optimize` takes 6 times as long for 5 % less
    return buffer.getvalue()


def thumbnail(pixels: Pixels, side: int = THUMBNAIL) -> bytes:
    """Return uint8 (h, w, 1 or 3) as WebP, at most `side` long.

    Up to THUMBNAIL pixels long nothing is lost, in a fifth less than PNG takes; a photo would take
    five times as much without loss.
    """
    shape = reduced_shape(pixels.shape, side)
    small = max(pixels.shape[:2]) <= THUMBNAIL
    how = {"lossless": True, "method": 2} if small else {"quality": 85}
    buffer = io.BytesIO()
    _as_image(model_input(pixels, shape)).convert("RGB").save(buffer, format="WEBP", **how)
    return buffer.getvalue()


def reduced_shape(shape: tuple[int, ...], side: int) -> tuple[int, int, int]:
    """Return (h, w, C) with the longer of h and w brought down to at most `side` pixels."""
    height, width, channels = shape
    scale = min(1.0, side / max(height, width))
    return _near(height * scale), _near(width * scale), channels


def from_png(data: bytes) -> Pixels:
    """Return a stored image (`to_png`, `thumbnail`) as uint8 (H, W, 3), grey in all three."""
    with Image.open(io.BytesIO(data), formats=["PNG", "WEBP"]) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _check_pixels(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(f"pixels must be uint8 (H, W, 1 or 3), got {pixels.dtype} {pixels.shape}")
    if pixels.size == 0:
        raise ValueError(f"pixels must not be empty, got {pixels.shape}")


def _as_image(pixels: Pixels) -> Image.Image:
    single = pixels.ndim == 3 and pixels.shape[2] == 1
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if single else pixels))


def _on_ground(pixels: Pixels, ratio: float, ground: int) -> Pixels:
    """Return (h, w, C) in the middle of the smallest grey canvas with width / height = `ratio`."""
    height, width, channels = pixels.shape
    rows, columns = max(height, _near(width / ratio)), max(width, _near(height * ratio))
    canvas = np.full((rows, columns, channels), ground, np.uint8)
    top, left = (rows - height) // 2, (columns - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


def _near(length: float) -> int:
    return max(1, round(length))
