"""Image headers: what a file says of itself, read without a decoder, and what is refused for it.

Only the first bytes of each structure are looked at, in a bounded number of steps, so that this is
safe on bytes from anywhere and takes well under a millisecond for ordinary files. The figures are
the file's own and may be lies: they decide where it is decoded, and the limits of that process
hold whatever they say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF")
MAX_SIDE = 30_000  # pixels; longer ones are strips that no camera makes
MAX_SCANS = 100  # of a JPEG; each one passes over the whole image, and encoders write ten
MAX_PARTS = 20_000  # segments, chunks or boxes of one file; photos have some hundreds
MAX_TILES = 100_000  # of a TIFF

# Bytes of memory that decoding takes for one pixel in the worst file of each kind, above what the
# file itself takes; benchmarks/decoding.py measures them.
BYTES_PER_PIXEL = {
    "JPEG": 0.7,  # decoded at 1/2, 1/4 or 1/8 scale
    "PNG": 3.5,
    "interlaced PNG": 2.4,  # times the bytes of its own pixels: kept whole, and copied
    "WEBP": 1.0,
    "lossless WEBP": 5.8,
    "animated WEBP": 12.0,
    "AVIF": 9.3,
    "AVIF 4:4:4": 11.0,
    "deep AVIF": 14.5,  # more than 8 bits
    "HEIF": 9.0,
    "GIF": 5.7,
    "BMP": 5.4,
    "TIFF": 3.5,
}


class ImageError(ValueError):
    """A file that gives no image; the message tells a person why and what to do."""


class UnknownFormat(ImageError):
    """It is not in one of `FORMATS`."""


class TooLarge(ImageError):
    """It has more bytes or pixels than are accepted, or takes too much to decode."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    format: one of FORMATS. kind: a key of BYTES_PER_PIXEL or "progressive JPEG". size: (width,
    height) in pixels as stored. cost: bytes of memory that decoding takes, about. complete: False
    for a JPEG without its end. exif: the EXIF block of a PNG. chunks: the names of a PNG's chunks.
    turned: whether a HEIF file says that it is to be turned or mirrored.
    """

    format: str
    kind: str
    size: tuple[int, int]
    cost: int
    complete: bool = True
    exif: bytes = field(default=b"", repr=False)
    chunks: frozenset[str] = frozenset()
    turned: bool = False


def read(data: bytes) -> Header:
    """The header of a file's bytes.

    Raises:
        UnknownFormat: it is in none of FORMATS; the message names what it is, where that is known.
        TooLarge: a side is longer than MAX_SIDE.
        ImageError: it is cut off within its header, or built as no program would.
    """
    kind = _format(data)
    try:
        header = READERS[kind](data)
    except IndexError as error:
        raise damaged(kind) from error
    width, height = header.size
    if width < 1 or height < 1:
        raise ImageError(f"The image has no pixels: {width} × {height}.")
    if max(width, height) > MAX_SIDE:
        raise TooLarge(
            f"The image is too large: {width} × {height}, and a side may have at most "
            f"{MAX_SIDE:,} pixels. Cut it into parts and try again."
        )
    return header


def damaged(kind: str, why: str = "") -> ImageError:
    """The refusal of a file of this format that cannot be decoded."""
    because = f" ({why})" if why else ""
    return ImageError(
        f"The {kind} file is damaged or incomplete{because}. Open it in an image program, save it "
        "anew and try that copy."
    )


# --- numbers in bytes --------------------------------------------------------------------------


@dataclass(frozen=True)
class Bytes:
    """Numbers at places of a file; IndexError behind its end."""

    data: bytes
    order: Literal["big", "little"] = "big"

    def number(self, place: int, length: int) -> int:
        """The unsigned number of so many bytes at a place."""
        if place < 0 or place + length > len(self.data):
            raise IndexError(place)
        return int.from_bytes(self.data[place : place + length], self.order)

    def signed(self, place: int, length: int) -> int:
        """The same with a sign."""
        value = self.number(place, length)
        return value - (1 << 8 * length) if value >> (8 * length - 1) else value


# --- which format ------------------------------------------------------------------------------

SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),  # BigTIFF
    (0, b"MM\0+", "TIFF"),
)
# Brands of ISO base media files (ISO/IEC 14496-12): the first word after `ftyp`, and those it
# claims to agree with. `mif1` and its kin leave the codec open.
AVIF_BRANDS = {b"avif", b"avis", b"avio"}
HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
OPEN_BRANDS = {b"mif1", b"mif2", b"msf1", b"mif3"}

SAVE = "Save it as JPEG or PNG and try that copy."
RAW = "a RAW photo of a camera"
# Place and first bytes of what people try although it is not supported → what it is, what to do.
UNSUPPORTED = (
    (0, b"\xff\x0a", "a JPEG XL image", SAVE),
    (4, b"JXL \r\n\x87\n", "a JPEG XL image", SAVE),
    (4, b"jP  \r\n\x87\n", "a JPEG 2000 image", SAVE),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image", SAVE),
    (0, b"8BPS", "a Photoshop document (PSD)", SAVE),
    (0, b"FUJIFILMCCD-RAW", RAW, SAVE),
    (0, b"IIU\0", RAW, SAVE),
    (0, b"IIRO", RAW, SAVE),
    (0, b"IIRS", RAW, SAVE),
    (0, b"MMOR", RAW, SAVE),
    (0, b"FOVb", RAW, SAVE),
    (0, b"\0MRM", RAW, SAVE),
    (4, b"ftypcrx ", RAW, SAVE),
    (0, b"%PDF", "a PDF document", "Export its images as JPEG or PNG."),
    (0, b"%!PS", "a PostScript drawing", SAVE),
    (0, b"PK\x03\x04", "a zip archive or an office document", "Unpack it and send the photos."),
    (0, b"\x1f\x8b", "a compressed archive", "Unpack it and send the photos."),
    (0, b"7z\xbc\xaf\x27\x1c", "a compressed archive", "Unpack it and send the photos."),
    (0, b"Rar!", "a compressed archive", "Unpack it and send the photos."),
    (8, b"AVI ", "a video", "Save one frame of it as JPEG."),
    (0, b"\x1a\x45\xdf\xa3", "a video", "Save one frame of it as JPEG."),
    (0, b"\0\0\x01\xba", "a video", "Save one frame of it as JPEG."),
    (0, b"FLV\x01", "a video", "Save one frame of it as JPEG."),
    (4, b"ftyp", "a video", "Save one frame of it as JPEG."),
    (4, b"moov", "a video", "Save one frame of it as JPEG."),
    (0, b"\0\0\x01\0", "an icon", SAVE),
    (0, b"\0\x05\x16\x07", "what macOS keeps beside a photo, without the photo", ""),
    (
        0,
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer: the photo itself was not downloaded",
        "Run `git lfs pull` and try again.",
    ),
)
MARKUP = (
    (rb"<!doctype html|<html", "a web page, as servers send instead of a missing photo", ""),
    (rb"<svg", "an SVG drawing", SAVE),
    (rb"<\?xml", "an XML file", ""),
)


def _format(data: bytes) -> str:
    for place, signature, name in SIGNATURES:
        if data.startswith(signature, place) and not _raw(data):
            return name
    brands = _brands(data)
    if brands & AVIF_BRANDS:
        return "AVIF"
    if brands & (HEIF_BRANDS | OPEN_BRANDS):
        return "HEIF"
    name, advice = _unsupported(data)
    accepted = f"Accepted are images in one of these formats: {', '.join(FORMATS)}."
    raise UnknownFormat(" ".join(filter(None, (f"The file is {name}.", advice, accepted))))


def _brands(data: bytes) -> set[bytes]:
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 400)
    return {data[8:12], *(data[place : place + 4] for place in range(16, end, 4))}


def _raw(data: bytes) -> bool:
    """Whether a TIFF is one of the cameras' own kinds, whose first image is only a preview."""
    return data[8:10] == b"CR" and data.startswith((b"II*\0", b"MM\0*"))


def _unsupported(data: bytes) -> tuple[str, str]:
    """What it is, in words, and what to do."""
    if _raw(data):
        return RAW, SAVE
    for place, signature, name, advice in UNSUPPORTED:
        if data.startswith(signature, place):
            return name, advice
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, name, advice in MARKUP:
        if start[:1] == b"<" and re.search(pattern, start, re.IGNORECASE):
            return name, advice
    return "not an image, or a damaged one", ""


# --- JPEG (ITU-T T.81, annex B) ----------------------------------------------------------------

FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that state the size
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
SCAN, END = b"\xff\xda", b"\xff\xd9"


def _jpeg(data: bytes) -> Header:
    numbers, frame, scan = Bytes(data), 0, 0
    for marker, place in _segments(numbers):
        if marker in FRAMES:
            frame = place
        if marker == 0xDA:
            scan = place
    if not frame or not scan:
        raise damaged("JPEG", "it has no image")
    size = (numbers.number(frame + 5, 2), numbers.number(frame + 3, 2))
    channels, complete = numbers.number(frame + 7, 1), data.find(END, scan) >= 0
    several = data[frame - 1] in PROGRESSIVE or numbers.number(scan + 2, 1) < channels
    cost = BYTES_PER_PIXEL["JPEG"] * size[0] * size[1]
    if several:
        _check_scans(data, scan, channels, complete)
        cost += 2 * _samples(numbers, frame) * size[0] * size[1]  # every coefficient is kept
    return Header("JPEG", "progressive JPEG" if several else "JPEG", size, int(cost), complete)


def _segments(numbers: Bytes) -> Iterator[tuple[int, int]]:
    """Marker and place (behind it) of every segment up to the first scan."""
    place = 2
    for _ in range(MAX_PARTS):
        marker = numbers.number(place + 1, 1)
        if numbers.number(place, 1) != 0xFF or marker == 0xD9:
            raise damaged("JPEG")
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        yield marker, place + 2
        if marker == 0xDA:
            return
        place += 2 + (0 if marker == 0x01 else max(2, numbers.number(place + 2, 2)))
    raise damaged("JPEG", f"more than {MAX_PARTS:,} segments")


def _samples(numbers: Bytes, frame: int) -> float:
    """Samples for each pixel: 3 without subsampled colour, 1.5 with the usual one."""
    sampling = [numbers.number(frame + 9 + 3 * k, 1) for k in range(numbers.number(frame + 7, 1))]
    parts = [(max(1, both >> 4), max(1, both & 15)) for both in sampling]
    widest, highest = max(h for h, _ in parts), max(v for _, v in parts)
    return sum(h * v for h, v in parts) / (widest * highest)


def _check_scans(data: bytes, first: int, channels: int, complete: bool) -> None:
    """Refuse too many scans, and a file that ends before each channel had a whole one."""
    end = data.find(END, first) if complete else len(data)
    scans, place = [], first - 2
    while 0 <= place < end:
        scans.append(place)
        if len(scans) > MAX_SCANS:
            raise damaged("JPEG", f"more than {MAX_SCANS} scans")
        place = data.find(SCAN, place + 2, end)
    whole = scans if complete else scans[:-1]
    if len({channel for place in whole for channel in _first_pass(data, place)}) < channels:
        raise damaged("JPEG", "it ends before one whole scan of every channel")


def _first_pass(data: bytes, place: int) -> set[int]:
    """The channels to which a scan brings their coarsest values."""
    count = data[place + 4] if place + 4 < len(data) else 0
    coarse = data[place + 5 + 2 * count : place + 6 + 2 * count] == b"\0"
    return set(data[place + 5 : place + 5 + 2 * count : 2]) if coarse else set()


# --- PNG ---------------------------------------------------------------------------------------

PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # once decoded, by type of colour


def _png(data: bytes) -> Header:
    numbers = Bytes(data)
    size = (numbers.number(16, 4), numbers.number(20, 4))
    interlaced = numbers.number(28, 1) == 1
    kind = "interlaced PNG" if interlaced else "PNG"
    cost = BYTES_PER_PIXEL[kind] * size[0] * size[1]
    chunks = dict(_chunks(numbers))
    if interlaced:
        channels = PNG_CHANNELS.get(data[25], 4) + ("tRNS" in chunks)
        cost *= channels * max(8, numbers.number(24, 1)) // 8
    exif = data[chunks["eXIf"] :][:65_536] if "eXIf" in chunks else b""
    return Header("PNG", kind, size, int(cost), exif=exif, chunks=frozenset(chunks))


def _chunks(numbers: Bytes) -> Iterator[tuple[str, int]]:
    """Name and place of the content of every chunk; those of EXIF may stand behind the pixels."""
    place = 8
    for _ in range(MAX_PARTS):
        name = numbers.data[place + 4 : place + 8].decode("latin-1")
        if len(name) < 4 or name == "IEND":
            return
        yield name, place + 8
        place += 12 + numbers.number(place, 4)
    raise damaged("PNG", f"more than {MAX_PARTS:,} chunks")


# --- WebP, GIF, BMP ----------------------------------------------------------------------------


def _webp(data: bytes) -> Header:
    numbers, name = Bytes(data, "little"), data[12:16]
    if name == b"VP8X":
        size = (1 + numbers.number(24, 3), 1 + numbers.number(27, 3))
        animated = numbers.number(20, 1) & 2
        kind = "animated WEBP" if animated else _webp_kind(numbers)
    elif name == b"VP8L":
        bits = numbers.number(21, 4)
        size, kind = (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)), "lossless WEBP"
    else:
        size, kind = (numbers.number(26, 2) & 0x3FFF, numbers.number(28, 2) & 0x3FFF), "WEBP"
    return _by_pixels("WEBP", kind, size)


def _webp_kind(numbers: Bytes) -> str:
    """Lossless or not, by the first chunk of pixels."""
    place = 12
    for _ in range(MAX_PARTS):
        name = numbers.data[place : place + 4]
        if name in (b"VP8 ", b"VP8L"):
            return "WEBP" if name == b"VP8 " else "lossless WEBP"
        length = numbers.number(place + 4, 4)
        place += 8 + length + length % 2
    raise damaged("WEBP", f"more than {MAX_PARTS:,} chunks")


def _gif(data: bytes) -> Header:
    numbers = Bytes(data, "little")
    return _by_pixels("GIF", "GIF", (numbers.number(6, 2), numbers.number(8, 2)))


def _bmp(data: bytes) -> Header:
    numbers = Bytes(data, "little")
    if numbers.number(14, 4) == 12:
        return _by_pixels("BMP", "BMP", (numbers.number(18, 2), numbers.number(20, 2)))
    size = (numbers.signed(18, 4), abs(numbers.signed(22, 4)))  # negative: from top to bottom
    return _by_pixels("BMP", "BMP", size)


def _by_pixels(name: str, kind: str, size: tuple[int, int]) -> Header:
    return Header(name, kind, size, int(BYTES_PER_PIXEL[kind] * size[0] * size[1]))


# --- TIFF --------------------------------------------------------------------------------------

WIDTH, HEIGHT, BITS, PHOTOMETRIC, STRIPS = 256, 257, 258, 262, 273
LAB = (8, 9, 10)  # photometric interpretations
SAMPLES, ROWS_PER_STRIP, TILE_WIDTH, TILE_HEIGHT, TILES = 277, 278, 322, 323, 324
REDUCED, SUB_IMAGES, COLOUR_FILTER, DNG = 254, 330, 32803, 50706
TIFF_TYPES = {1: 1, 3: 2, 4: 4, 16: 8}  # of tags that hold numbers → bytes


def _tiff(data: bytes) -> Header:
    numbers = Bytes(data, "little" if data[:2] == b"II" else "big")
    tags = _tiff_tags(numbers)
    preview = _one(tags, REDUCED, 0) & 1 and SUB_IMAGES in tags  # as in NEF and ARW
    if DNG in tags or preview or _one(tags, PHOTOMETRIC, 0) == COLOUR_FILTER:
        raise UnknownFormat(
            f"The file is {RAW}. {SAVE} Accepted are images in one of these formats: "
            f"{', '.join(FORMATS)}."
        )
    if max(len_of for len_of, _ in (tags.get(STRIPS, (0, 0)), tags.get(TILES, (0, 0)))) > MAX_TILES:
        raise damaged("TIFF", f"more than {MAX_TILES:,} parts")
    if _one(tags, PHOTOMETRIC, 0) in LAB:
        raise ImageError("The image has LAB colours. Save it as RGB and try again.")
    if _one(tags, BITS, 1) > 32:
        raise ImageError("The image has 64-bit values. Save it with 8 or 16 bits and try again.")
    size = (_one(tags, WIDTH, 0), _one(tags, HEIGHT, 0))
    cost = BYTES_PER_PIXEL["TIFF"] * size[0] * size[1] + 2 * _tiff_part(tags, size)
    return Header("TIFF", "TIFF", size, int(cost))


def _tiff_tags(numbers: Bytes) -> dict[int, tuple[int, int]]:
    """Tags of the first image: how many values, and the first one where it stands in the tag."""
    big = numbers.number(2, 2) == 43
    place = numbers.number(8, 8) if big else numbers.number(4, 4)
    head, entry, word = (8, 20, 8) if big else (2, 12, 4)
    tags = {}
    for k in range(min(numbers.number(place, head), 1000)):
        at = place + head + k * entry
        count = numbers.number(at + 4, word)
        length = TIFF_TYPES.get(numbers.number(at + 2, 2), 1)
        value = at + 4 + word
        if count * length > word:
            value = numbers.number(value, word)
        if value + length <= len(numbers.data):
            tags[numbers.number(at, 2)] = (count, numbers.number(value, length))
    return tags


def _one(tags: dict[int, tuple[int, int]], tag: int, otherwise: int) -> int:
    return tags[tag][1] if tag in tags else otherwise


def _tiff_part(tags: dict[int, tuple[int, int]], size: tuple[int, int]) -> int:
    """Bytes of one strip or tile, which is decoded at once."""
    rows = min(_one(tags, ROWS_PER_STRIP, size[1]), size[1])
    width, height = _one(tags, TILE_WIDTH, size[0]), _one(tags, TILE_HEIGHT, rows)
    return width * height * _one(tags, SAMPLES, 1) * max(8, _one(tags, BITS, 1)) // 8


# --- AVIF and HEIF (ISO/IEC 23008-12) ----------------------------------------------------------


def _heif(data: bytes) -> Header:
    name = _format(data)
    numbers = Bytes(data)
    sizes, kind, turned = [(0, 0)], name, False
    for box, start, end in _properties(numbers):
        if box == b"ispe" and end - start >= 12:
            sizes.append((numbers.number(start + 4, 4), numbers.number(start + 8, 4)))
        if box == b"av1C" and end - start >= 3:
            kind = max(
                kind, _av1_kind(numbers.number(start + 2, 1)), key=BYTES_PER_PIXEL.__getitem__
            )
        turned |= box == b"imir" or (box == b"irot" and numbers.number(start, 1) & 3 > 0)
    size = max(sizes, key=lambda pair: pair[0] * pair[1])
    if size == (0, 0):
        raise damaged(name, "it does not say how large it is")
    return replace(_by_pixels(name, kind, size), turned=turned)


def _av1_kind(flags: int) -> str:
    """By the third byte of av1C: more than 8 bits, colour without subsampling, or neither."""
    if flags & 0x40:
        return "deep AVIF"
    return "AVIF" if flags & 0x08 else "AVIF 4:4:4"


def _properties(numbers: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of every property of the images in the file."""
    start, end = 0, len(numbers.data)
    for name, head in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0)):  # the first of each counts
        found = next((box for box in _boxes(numbers, start, end) if box[0] == name), None)
        if found is None:
            return
        start, end = found[1] + head, found[2]
    yield from _boxes(numbers, start, end)


def _boxes(numbers: Bytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box in a part of the file."""
    for _ in range(MAX_PARTS):
        if place + 8 > end:
            return
        length, head = numbers.number(place, 4), 8
        if length == 1:
            length, head = numbers.number(place + 8, 8), 16
        stop = end if length == 0 else place + length
        if length and length < head:
            raise damaged("HEIF")
        yield numbers.data[place + 4 : place + 8], place + head, min(stop, end)
        place = stop


READERS = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "AVIF": _heif,
    "HEIF": _heif,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
}
