"""Decoders: an image file → small RGB pixels, by the library that does each format best.

Runs only in a process of its own with limits (`decoding_worker`): it sets libraries process-wide.
libvips reads most formats in a stream; Pillow reads AVIF in half of libvips' memory and time, and
BMP, which libvips does not know; libheif reads HEIF.
"""

import io
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pyvips

from src.data.image_headers import Header, ImageError, TooLarge, damaged

pyvips.cache_set_max(0)
pyvips.concurrency_set(1)
pyvips.block_untrusted_set(True)  # only loaders that are fuzzed
warnings.simplefilter("ignore")  # what a file is worth is told by our own messages

TARGET_SIDE = 1024  # pixels of a decoded image's longer side; far above any model's input
ORIENTATION_TAG = 0x0112  # EXIF 2.32, section 4.6.4 A
WHITE = 255
BITS = (10, 12, 14, 16)  # of the sensors and scanners that store their values in 16 bits
MISSING = 128  # what libjpeg fills the rows in that are not there

PROFILE = "icc-profile-data"  # libvips' name of an embedded profile
CLEAR = "transparency laid on white"
BROKEN_PROFILE = "broken colour profile ignored"

Image = Any  # pyvips.Image: the library has no types


class Opened(NamedTuple):
    """An image as a library gives it: upright or with its EXIF tag, 1 to 8, and notes.

    size: (width, height) of the original, where its header does not say it.
    """

    image: Image
    orientation: int = 1
    notes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None


class Decoded(NamedTuple):
    """Pixels as bytes, uint8 (height, width, 3), and what was done to them, in words.

    size: (width, height) of the original.
    """

    pixels: bytes
    height: int
    width: int
    size: tuple[int, int]
    notes: tuple[str, ...]


def decode(data: bytes, header: Header) -> Decoded:
    """The image in a file, upright, opaque, in sRGB and at most `TARGET_SIDE` pixels long.

    Raises ImageError for what is damaged, or is larger than its header says.
    """
    try:
        opened = OPENERS[header.format](data, header)
        _check_size(opened.image, header)
        values = None
        if opened.image.format != "uchar":  # a stream can be read only once, so open it again
            values = _value_range(OPENERS[header.format](data, header).image)
        return _finished(opened, values, header)
    except ImageError:
        raise
    except MemoryError as error:
        raise TooLarge("The image takes too much memory. Make it smaller and try again.") from error
    except Exception as error:  # decoders raise anything at all on broken bytes
        raise damaged(header.format) from error


def _check_size(image: Image, header: Header) -> None:
    if max(image.width, image.height) > max(header.size) or (
        min(image.width, image.height) > min(header.size)
    ):
        raise damaged(header.format, "its pixels are more than its header says")


# --- opening -----------------------------------------------------------------------------------


def _vips(data: bytes, **options: Any) -> Opened:
    """Any format of libvips; nothing but the header is read here."""
    image = pyvips.Image.new_from_buffer(data, "", access="sequential", **options)
    several = image.get_typeof("n-pages") and image.get("n-pages") > 1
    return Opened(image, _orientation(image), ("first of several frames",) if several else ())


def _jpeg(data: bytes, header: Header) -> Opened:
    """Large ones at 1/2, 1/4 or 1/8 of their scale, which skips what the target does not need."""
    shrink = 1
    while shrink < 8 and shrink * 2 * TARGET_SIDE <= max(header.size):
        shrink *= 2
    if header.complete:
        return _vips(data, shrink=shrink, fail_on="none")
    return _cut_off(_vips(data.rstrip(b"\0"), shrink=shrink, fail_on="none"), header)


def _cut_off(opened: Opened, header: Header) -> Opened:
    """A JPEG without its end: what is there, as browsers show it, if it is at least half."""
    if header.kind != "JPEG":
        return opened._replace(notes=("incomplete file: details may be missing",))
    image = opened.image.copy_memory()
    last = _last_row(image)
    if 2 * last < image.height:
        raise damaged("JPEG", "less than half of its rows are there")
    lost = round(100 * (1 - last / image.height))
    what = f"the lower {lost} % are missing" if lost else "its end is missing"
    return opened._replace(image=image, notes=(f"incomplete file: {what}",))


def _last_row(image: Image) -> int:
    """How many rows there are down to the last one with anything but the fill in it."""
    there = (image != MISSING).bandor() if image.bands > 1 else image != MISSING
    counts = memoryview(there.project()[1].write_to_memory()).cast("I")
    return max((row + 1 for row, count in enumerate(counts) if count), default=0)


def _png(data: bytes, header: Header) -> Opened:
    opened = _vips(data, fail_on="truncated", unlimited=True)
    notes = ["first of several frames"] if "acTL" in header.chunks else []
    if "iCCP" in header.chunks and not opened.image.get_typeof(PROFILE):
        notes += [BROKEN_PROFILE]
    orientation = _exif_orientation(header.exif) or opened.orientation
    return Opened(opened.image, orientation, tuple(notes))


def _webp(data: bytes, header: Header) -> Opened:
    scale = min(1.0, TARGET_SIDE / max(header.size))
    return _vips(data, scale=scale, fail_on="truncated")


def _gif(data: bytes, _header: Header) -> Opened:
    return _vips(data, fail_on="truncated")


def _tiff(data: bytes, _header: Header) -> Opened:
    return _vips(data, fail_on="truncated", unlimited=True)


def _avif(data: bytes, header: Header) -> Opened:
    """Pillow, and libvips for what Pillow is too strict for (transparency without its size)."""
    with suppress(Exception):  # whatever Pillow says of it
        return _pillow(data, header)
    return _vips(data, fail_on="truncated")


def _pillow(data: bytes, header: Header) -> Opened:
    import PIL.Image

    PIL.Image.MAX_IMAGE_PIXELS = None  # our own limits hold
    image: Any = PIL.Image.open(io.BytesIO(data), formats=[header.format])
    notes = ("first of several frames",) if getattr(image, "is_animated", False) else ()
    orientation = _exif_orientation(image.info.get("exif", b""))
    image.load()
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return _from_pillow(image, image.info.get("icc_profile"), orientation, notes)


def _heif(data: bytes, header: Header) -> Opened:
    """libheif, which turns the image itself."""
    import pi_heif

    pi_heif.options.DECODE_THREADS = 1
    images = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
    image = images[0] if len(images) == 1 else images[images.primary_index]
    profile = image.info.get("icc_profile")
    pixels = image.to_pillow()
    del image, images  # the library's own copy
    opened = _from_pillow(pixels, profile, 1, ("rotated by its header",) if header.turned else ())
    return opened._replace(size=pixels.size)


def _from_pillow(
    image: Any, profile: bytes | None, orientation: int, notes: tuple[str, ...]
) -> Opened:
    """A Pillow image for libvips; large ones on white and reduced by a whole factor first."""
    factor = max(image.size) // (2 * TARGET_SIDE)
    if factor > 1:
        image, note = _on_white(image)
        image, notes = image.reduce(factor), (*notes, *([note] if note else []))
    bands = len(image.getbands())
    taken = pyvips.Image.new_from_memory(image.tobytes(), *image.size, bands, "uchar")
    taken = taken.copy(interpretation="b-w" if bands < 3 else "srgb")
    if profile:
        taken.set_type(pyvips.GValue.blob_type, PROFILE, profile)
    return Opened(taken, orientation, notes)


def _on_white(image: Any) -> tuple[Any, str | None]:
    """A Pillow image without transparency, and a note where it had some."""
    import PIL.Image

    if image.mode not in ("LA", "RGBA"):
        return image, None
    flat = PIL.Image.new(image.mode[:-1], image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    return flat, CLEAR if image.getchannel("A").getextrema()[0] < WHITE else None


BITFIELDS = (3, 6)  # kinds of BMP that state which bits hold which colour


def _bmp(data: bytes, header: Header) -> Opened:
    """Pillow, and our own reading for colours in bits that Pillow does not know."""
    try:
        return _pillow(data, header)
    except OSError:
        if int.from_bytes(data[30:34], "little") not in BITFIELDS:
            raise
        return Opened(_bit_fields(data, header))


def _bit_fields(data: bytes, header: Header) -> Image:
    """An uncompressed BMP of 16 or 32 bits with any masks (BITMAPV3INFOHEADER)."""
    start, (width, height) = int.from_bytes(data[10:14], "little"), header.size
    bits = int.from_bytes(data[28:30], "little")
    row = (width * bits // 8 + 3) // 4 * 4
    kind = {16: "ushort", 32: "uint"}[bits]
    rows = data[start : start + row * height]
    values = pyvips.Image.new_from_memory(rows, row * 8 // bits, height, 1, kind)
    masks = [int.from_bytes(data[place : place + 4], "little") for place in (54, 58, 62)]
    image = _channel(values, masks[0]).bandjoin([_channel(values, mask) for mask in masks[1:]])
    image = image.crop(0, 0, width, height).copy(interpretation="srgb")
    return image if data[25] >> 7 else image.flipver()  # a negative height: from top to bottom


def _channel(values: Image, mask: int) -> Image:
    """The bits of a mask, moved down and scaled to 0–255."""
    shift = (mask & -mask).bit_length() - 1 if mask else 0
    top = max(mask >> shift, 1)
    return ((values >> shift) & top).linear(WHITE / top, 0).rint().cast("uchar")


OPENERS: dict[str, Callable[[bytes, Header], Opened]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIF": _heif,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
}

# --- orientation -------------------------------------------------------------------------------


def _orientation(image: Image) -> int:
    """The orientation of EXIF, or else of XMP, 1 to 8."""
    with suppress(Exception):  # a broken tag is no reason to refuse an image
        if image.get_typeof("orientation"):
            return int(image.get("orientation"))
        if image.get_typeof("xmp-data"):
            found = re.search(rb'tiff:Orientation(?:="|>)([1-8])', image.get("xmp-data"))
            return int(found[1]) if found else 1
    return 1


def _exif_orientation(block: bytes) -> int:
    """The orientation in an EXIF block, 1 to 8; 0 where there is none."""
    if not block:
        return 0
    import PIL.Image

    with suppress(Exception):
        exif = PIL.Image.Exif()
        exif.load(block)
        return int(exif.get(ORIENTATION_TAG, 0))
    return 0


# --- what every image goes through -------------------------------------------------------------


FAR = 1e38  # beyond any value that means something
OPAQUE = {"ushort": 65535.0, "float": 1.0, "double": 1.0}  # values of alpha
EIGHT_BIT = {"grey16": "b-w", "b-w": "b-w", "cmyk": "cmyk"}  # interpretations; others: RGB
Step = Callable[[Image], tuple[Image, str | None]]


class Range(NamedTuple):
    """The values that become 0 and 255, and how that is said."""

    low: float
    high: float
    note: str | None


def _finished(opened: Opened, values: Range | None, header: Header) -> Decoded:
    """Eight bits, opaque, small, sRGB, upright: in this order, so that most works on few pixels."""
    image, notes = opened.image, list(opened.notes)
    steps = (_eight_bits(values), _small, _srgb, _upright(opened.orientation))
    for step in steps:
        image, note = step(image)
        notes += [note] if note else []
    size = opened.size or header.size
    return Decoded(image.write_to_memory(), image.height, image.width, size, tuple(notes))


def _value_range(image: Image) -> Range:
    """The range of an image of more than 8 bits: of its type, where the values lie in it."""
    if image.format not in ("char", "ushort", "short", "uint", "int", "float", "double"):
        raise ImageError(f"The image has {image.format} values. Save it as RGB and try again.")
    floats = image.format in ("float", "double")
    colours = image.extract_band(0, n=image.bands - 1) if image.hasalpha() else image
    low, high = _extremes(colours, floats)
    wide = "16" if image.format in ("ushort", "short") else "32"
    if low < 0 or (high > 65535 and not floats) or (high > 1 and floats):
        return Range(low, high if high > low else low + 1, f"{wide}-bit scaled to 8-bit")
    if floats:
        return Range(0, 1, "32-bit scaled to 8-bit")
    bits = next(n for n in (BITS if image.format == "ushort" else (8, *BITS)) if high < 2**n)
    return Range(0, 2**bits - 1, f"{bits}-bit scaled to 8-bit" if bits > 8 else None)


def _extremes(image: Image, floats: bool) -> tuple[float, float]:
    """The least and the largest finite value; 0 and 0 where there is none."""
    if not floats:
        row = image.stats()
        return row(0, 0)[0], row(1, 0)[0]
    finite = (image - image) == 0  # neither infinite nor NaN
    both = finite.ifthenelse(image, FAR).bandjoin(finite.ifthenelse(image, -FAR)).stats()
    least, most = (
        min(both(0, row)[0] for row in range(1, 1 + image.bands)),
        max(both(1, row)[0] for row in range(1 + image.bands, 1 + 2 * image.bands)),
    )
    return (least, most) if least <= most else (0.0, 0.0)


def _eight_bits(values: Range | None) -> Step:
    """The step that brings a range of values to 0–255, and alpha by the range of its type."""

    def scale(image: Image) -> tuple[Image, str | None]:
        if values is None:
            return image, None
        if image.format in ("float", "double"):
            image = ((image - image) == 0).ifthenelse(image, values.low)  # NaN: black
        colours, alpha = image, []
        if image.hasalpha():
            colours = image.extract_band(0, n=image.bands - 1)
            alpha = [_scaled(image[image.bands - 1], 0, OPAQUE.get(image.format, values.high))]
        scaled = _scaled(colours, values.low, values.high)
        joined = scaled.bandjoin(alpha) if alpha else scaled
        return joined.copy(interpretation=EIGHT_BIT.get(image.interpretation, "srgb")), values.note

    return scale


def _scaled(image: Image, low: float, high: float) -> Image:
    factor = 255 / (high - low)
    return image.linear(factor, -low * factor).rint().cast("uchar")


def _small(image: Image) -> tuple[Image, str | None]:
    """At most `TARGET_SIDE` long, on white and in memory; from here on the file is not read.

    Transparency is laid on white before anything is averaged, so that hidden colours never show.
    """
    clear = image.hasalpha()
    if clear:
        paper = 0 if image.interpretation == "cmyk" else WHITE
        image = image.flatten(background=[paper]).bandjoin(image[image.bands - 1])
    scale = min(1.0, TARGET_SIDE / max(image.width, image.height))
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in (image.width, image.height))
        image = image.resize(width / image.width, vscale=height / image.height)
    image = image.copy_memory()
    if not clear:
        return image, None
    note = CLEAR if image[image.bands - 1].min() < WHITE else None
    return image.extract_band(0, n=image.bands - 1), note


def _srgb(image: Image) -> tuple[Image, str | None]:
    """Colours by the file's own profile; a broken one is ignored."""
    if image.interpretation == "cmyk":
        return _transformed(image, input_profile="cmyk"), "CMYK converted"
    if image.bands not in (1, 3):
        raise ImageError(f"The image has {image.bands} channels. Save it as RGB and try again.")
    profile = image.get(PROFILE) if image.get_typeof(PROFILE) else b""
    plain = image.copy(interpretation="srgb" if image.bands == 3 else "b-w")
    rgb = plain if image.bands == 3 else plain.bandjoin([plain, plain])
    if not profile or _says_srgb(profile):
        return rgb, None
    if _usable(profile, image.bands):
        with suppress(pyvips.Error):  # of a kind that describes no pixels
            return _transformed(plain), "colour profile converted to sRGB"
    return rgb, BROKEN_PROFILE


def _says_srgb(profile: bytes) -> bool:
    """Whether the profile's own name is sRGB, in ASCII or UTF-16; then nothing is to be done."""
    return b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile


def _usable(profile: bytes, bands: int) -> bool:
    """Whether a profile can be read and is for that many channels; libvips would not tell."""
    from PIL import ImageCms

    space = ""
    with suppress(Exception):  # whatever is wrong with it
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space
    return space.strip() == ("RGB" if bands == 3 else "GRAY")


def _transformed(image: Image, **options: Any) -> Image:
    return image.icc_transform("srgb", embedded=True, intent="relative", **options).copy_memory()


def _upright(orientation: int) -> Step:
    """The step that turns an image by its EXIF orientation."""

    def turn(image: Image) -> tuple[Image, str | None]:
        if orientation not in range(2, 9):
            return image, None
        tagged = image.copy()
        tagged.set_type(pyvips.GValue.gint_type, "orientation", orientation)
        return tagged.autorot(), "rotated by its EXIF tag"

    return turn
