"""Decoding: untrusted bytes → RGB image, one way in for notebooks, app and API.

An image from a client is read in an order that keeps memory small: allow-list of formats, size
check before anything is decoded, reduced decoding (JPEG) or reduction right after, and only then
rotation, transparency and colour on the small image. One decode runs at a time, so the peak holds
for the whole process and not only for one thread.

Colour profiles are ignored: the numbers in the file are taken as sRGB.
"""

import io
import re
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from src.data.images import Pixels, Step

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
EXTENSIONS = ("jpg", "jpeg", "png", "webp", "avif", "gif", "bmp", "tif", "tiff")
MAX_BYTES = 25 * 2**20
MAX_SIDE = 1024  # pixels of a decoded image's longer side; far above any model's input

# Peak memory of decoding one image, and what one pixel of it costs in the worst kind of file of
# each format (measured with Pillow 13 as growth of the resident set, rounded up; the tests measure
# the largest admitted images again). The quotient is the limit of pixels before decoding.
DECODE_BYTES = 135 * 10**6
BYTES_PER_PIXEL = {
    "JPEG": 1.5,  # decoded at 1/2, 1/4 or 1/8 scale, so that large ones cost next to nothing
    "JPEG in several scans": 6.0,  # progressive: every coefficient of the full size is kept
    "PNG": 9.0,  # palette with transparency: indices, RGBA, premultiplied RGBA
    "GIF": 9.0,
    "BMP": 9.0,
    "TIFF": 16.0,  # 16 bits per channel in one strip: the strip, its copy, RGBA
    "WEBP": 20.0,  # Pillow keeps two canvases, a copy and the image
    "AVIF": 20.0,  # 4:4:4 with 10 bits: planes, RGBA, a copy and the image
}

# EXIF tag 0x0112 → what turns the stored image upright (EXIF 2.32, section 4.6.4 A).
ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
# First bytes of what people try although it is not supported → what it is.
UNSUPPORTED = (
    (4, b"ftyphei", "an HEIC photo"),
    (4, b"ftypmif1", "an HEIC photo"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a zip archive or an office document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an SVG drawing or another XML file"),
    (0, b"<!DOCTYPE", "a web page"),
)

_one_at_a_time = threading.Lock()


class ImageError(ValueError):
    """A file that gives no image; the message tells a person why and what to do."""


class UnknownFormat(ImageError):
    """It is not in one of `FORMATS`."""


class TooLarge(ImageError):
    """It has more bytes or pixels than are accepted."""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, upright, opaque and at most `MAX_SIDE` pixels long.

    rgb: uint8 (H, W, 3), 0–255. format: one of `FORMATS`. size: (width, height) in pixels as
    uploaded, before rotation. notes: what was done to it, in words, in the order it was done.
    """

    rgb: Pixels
    format: str
    size: tuple[int, int]
    notes: tuple[str, ...]


def decode(data: bytes, *, alone: bool = True) -> DecodedImage:
    """Return the image in `data`, the content of a file from anywhere.

    Raises ImageError for what is empty, too long, too large, damaged, or not one of `FORMATS`.
    Takes at most about 150 MB on top of `data`, whatever the file. `alone` keeps to one decode at
    a time in the whole process, as a server must; without it several threads may decode at once,
    and the caller silences Pillow's warnings, for that is done process-wide.
    """
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > MAX_BYTES:
        raise TooLarge(
            f"The file has {len(data) / 2**20:.1f} MB; at most {MAX_BYTES // 2**20} MB are "
            "accepted."
        )
    if not alone:
        return _decode(data)
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a file is worth is told by our own messages
        return _decode(data)


def pixel_limit(kind: str) -> int:
    """Return how many pixels an image of this kind (a key of BYTES_PER_PIXEL) may have."""
    return int(DECODE_BYTES / BYTES_PER_PIXEL[kind])


def _decode(data: bytes) -> DecodedImage:
    image = _open(data)
    # Pillow calls a photo with further images inside (MPO: depth, HDR) an animation; it is none
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    size = image.size
    _check_size(size, kind, data)
    try:
        several = kind != "JPEG" and getattr(image, "is_animated", False)
        notes = ["first of several frames"] if several else []
        # every step gives a new image in place of the larger one before it, which is freed
        for step in (_eight_bit, _direct_colour, _small, _opaque, _upright(kind, _load(image))):
            image, note = step(image)
            notes += [note] if note else []
        return DecodedImage(np.array(image, dtype=np.uint8), kind, size, tuple(notes))
    except ImageError:
        raise
    except Exception as error:  # decoders raise anything at all on broken bytes
        raise ImageError(
            f"The {kind} file is damaged or incomplete. Open it in an image program, save it anew "
            "and try that copy."
        ) from error


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:  # Pillow's own limit, far above all of ours
        pixels = re.search(r"\d+", str(error))
        raise _too_large(f"{_mega(int(pixels[0]))} megapixels" if pixels else "", "JPEG") from error
    except Exception as error:  # not only UnidentifiedImageError: broken headers raise anything
        raise UnknownFormat(
            f"The file is {_unsupported(data)}. Accepted are images in one of these formats: "
            f"{', '.join(FORMATS)}."
        ) from error


def _unsupported(data: bytes) -> str:
    for offset, magic, name in UNSUPPORTED:
        if data[offset : offset + len(magic)] == magic:
            return name
    return "not an image, or a damaged one"


def _check_size(size: tuple[int, int], kind: str, data: bytes) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"The image has no pixels: {width} × {height}.")
    if kind == "JPEG" and not _single_scan(data):
        kind = "JPEG in several scans"
    if width * height > pixel_limit(kind):
        raise _too_large(f"{width} × {height} are {_mega(width * height)} megapixels", kind)


def _too_large(size: str, kind: str) -> TooLarge:
    limit = f"at most {_mega(pixel_limit(kind))} megapixels are accepted for {kind}"
    return TooLarge(f"The image is too large: {size}, and {limit}. Make it smaller and try again.")


def _mega(pixels: int) -> str:
    return f"{pixels / 1e6:.1f}"


def _single_scan(data: bytes) -> bool:
    """Tell whether the first scan of a JPEG holds all its channels, so that it streams.

    Pillow knows progressive files but not sequential ones with a scan per channel, which take as
    much memory. Anything unclear counts as several scans (ITU-T T.81, annex B).
    """
    position, channels = 2, 0
    while position + 4 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0xDA:  # start of scan: its number of channels comes first
            return 0 < channels <= data[position + 4]
        if marker in (0xC0, 0xC1) and position + 9 < len(data):  # sequential frame
            channels = data[position + 9]
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return False


def _load(image: Image.Image) -> int:
    """Decode `image` in place, large JPEGs at a reduced scale; return its EXIF orientation, 1–8."""
    before = _orientation(image) if image.format == "TIFF" else 1  # TIFF loses it while it loads
    image.draft(None, _target(image.size))  # JPEG only: skips what the target does not need
    image.load()
    return before if before > 1 else _orientation(image)  # PNG may carry it behind the pixels


def _target(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _orientation(image: Image.Image) -> int:
    tag = 1
    with suppress(Exception):  # a broken tag is no reason to refuse an image
        tag = int(image.getexif().get(ORIENTATION_TAG, 1))
    return tag


def _eight_bit(image: Image.Image) -> Step:
    """Scale one deep channel to 0–255; a plain conversion would cut everything above 255 off."""
    if image.mode not in DEEP_MODES:
        return image, None
    values = np.asarray(image)
    black, white = _black_and_white(values)
    grey = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), 64):  # in stripes: floats of the whole would take 8 times more
        stripe = np.nan_to_num(values[top : top + 64].astype(np.float64), nan=black)
        grey[top : top + 64] = np.rint(np.clip((stripe - black) / (white - black), 0, 1) * 255)
    bits = 16 if image.mode.startswith("I;16") else 32
    return Image.fromarray(grey), f"{bits}-bit scaled to 8-bit"


def _black_and_white(values: NDArray[Any]) -> tuple[float, float]:
    """Return the values that become 0 and 255: the type's usual range, else the image's own."""
    usual = 65535.0 if np.issubdtype(values.dtype, np.integer) else 1.0
    finite = values[np.isfinite(values)] if usual == 1.0 else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= usual:
        return 0.0, usual
    return low, high if high > low else low + 1.0


def _direct_colour(image: Image.Image) -> Step:
    """Replace palettes, single bits and transparent colours, which cannot be averaged."""
    if image.mode not in ("RGBA", "LA") and image.has_transparency_data:
        return image.convert("RGBA"), None
    return (image.convert("RGB") if image.mode in ("P", "1") else image), None


def _small(image: Image.Image) -> Step:
    target = _target(image.size)
    if target == image.size:
        return image, None
    return image.resize(target, Image.Resampling.LANCZOS, reducing_gap=2.0), None


def _opaque(image: Image.Image) -> Step:
    if image.mode in ("LAB", "HSV"):
        raise ImageError(f"The image has {image.mode} colours. Save it as RGB and try again.")
    if image.mode == "CMYK":
        return image.convert("RGB"), "CMYK converted"
    if image.mode not in ("RGBA", "LA"):
        return image.convert("RGB"), None
    layer = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    see_through = cast(tuple[int, int], layer.getchannel("A").getextrema())[0] < 255
    note = "transparency laid on white" if see_through else None
    return Image.alpha_composite(white, layer).convert("RGB"), note


def _upright(kind: str, orientation: int) -> Callable[[Image.Image], Step]:
    """Return the step that turns an image by its EXIF orientation; Pillow turns TIFF itself."""

    def turn(image: Image.Image) -> Step:
        if orientation not in UPRIGHT:
            return image, None
        upright = image if kind == "TIFF" else image.transpose(UPRIGHT[orientation])
        return upright, "rotated by its EXIF tag"

    return turn
