"""Small picture files of every kind, built here, with their expected pixels or refusals.

The table is for all ways in: page, API, own folders. Pillow writes what it can write; the rest is
put together byte by byte.
"""

from __future__ import annotations

import base64
import functools
import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
from PIL import Image
from PIL.PngImagePlugin import PngInfo

WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0)
ROWS = [[RED, GREEN], [BLACK, WHITE], [RED, WHITE]]  # 3 high, 2 wide
ON_WHITE = "transparency laid on white"

# 16 × 8 pixels, left half (200, 30, 60), right half (20, 40, 220); written with pillow-heif 1.8,
# whose encoder is no part of this project.
HEIF = base64.b64decode(
    "AAAAHGZ0eXBoZWl4AAAAAG1pZjFoZWl4bWlhZgAAAX5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA"
    "AAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABogABAAAAAAAAAHsAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABo"
    "dmMxAAAAAA5waXRtAAAAAAABAAAA/mlwcnAAAADeaXBjbwAAAHdodmNDAQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEA"
    "F0ABDAH//wQIAAADAJ44AAADAAAeugJAYQABACpCAQEECAAAAwCeOAAAAwAAHpAEECCy3VXTXNwENBgQAAADAZAAAAMA"
    "EIBiAAEACEQBwXMYMBiQAAAAE2NvbHJuY2x4AAEADQAGgAAAABRpc3BlAAAAAAAAAEAAAABAAAAAKGNsYXAAAAAQAAAA"
    "AQAAAAgAAAAB////0AAAAAL////IAAAAAgAAABBwaXhpAAAAAAMICAgAAAAYaXBtYQAAAAAAAAABAAEFgQIDBYQAAACD"
    "bWRhdAAAAHcoAa8GMhq3mIBdQXL29jb//xY9D3vB/m+2Q998Akf/uYkutBzFgx4eCfClZOj9PjlXS+yh+qgnDjqY3/NN"
    "ySDfJx0NOS0jhKzbz3h1fPZHapB9w0DRqXiL2abklrGrn9zrinL6xVC+p90AZd4Z9mee1SdFw3vdwA=="
)


@dataclass(frozen=True)
class Case:
    """A file and what it is to become.

    pixels: (H, W, 3), within `within` of 255; or refusal: a part of the message.
    """

    data: bytes
    format: str = ""
    pixels: Any = None
    notes: tuple[str, ...] = ()
    refusal: str = ""
    within: int = 0


# --- writing files -----------------------------------------------------------------------------


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A Pillow image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def picture(rows: Sequence[Sequence[tuple[int, ...]]]) -> Image.Image:
    """A Pillow image of these pixels."""
    return Image.fromarray(np.array(rows, np.uint8))


def noise(side: int = 64) -> Image.Image:
    """A picture that no format makes small."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


def oriented(tag: int) -> Image.Exif:
    """An EXIF block with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    size: tuple[int, int],
    *chunks: bytes,
    bits: int = 8,
    colour: int = 0,
    rows: Iterable[bytes] | None = None,
    interlaced: bool = False,
) -> bytes:
    """A PNG of these bytes of pixels; without rows its header alone is sure to be right."""
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, interlaced)
    lines = b"" if rows is None else zlib.compress(b"".join(b"\0" + row for row in rows))
    body = (*chunks, chunk(b"IDAT", lines), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(body)


def slow_png() -> bytes:
    """42 megapixels of 16 bits, all black: seconds of work in few bytes."""
    packer, row = zlib.compressobj(1), bytes(1 + 6 * 6500)
    lines = b"".join(packer.compress(row) for _ in range(6500)) + packer.flush()
    start = png((6500, 6500), bits=16, colour=2)
    return start.replace(chunk(b"IDAT", b""), chunk(b"IDAT", lines))


def tiff(
    values: np.ndarray[Any, Any],
    *,
    photometric: int = 1,
    order: str = "<",
    big: bool = False,
    bits: int = 0,
    width: int = 0,
    tags: Sequence[tuple[int, int, Sequence[int]]] = (),
) -> bytes:
    """An uncompressed TIFF of one strip, (h, w) or (h, w, C), of any type of number.

    tags: (tag, type, values), more of them or instead of others.
    """
    height, columns = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    raw = values.astype(values.dtype.newbyteorder(order)).tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    found: dict[int, tuple[int, Sequence[int]]] = {
        256: (4, [width or columns]),
        257: (4, [height]),
        259: (3, [1]),
        258: (3, [bits or 8 * values.dtype.itemsize] * samples),
        262: (3, [photometric]),
        273: (4, [0]),
        277: (3, [samples]),
        278: (4, [height]),
        279: (4, [len(raw)]),
        339: (3, [kind] * samples),
    }
    found |= {tag: (number, given) for tag, number, given in tags}
    word, start = ("Q", 16) if big else ("I", 8)
    size = struct.calcsize(order + word)
    count = struct.pack(order + ("Q" if big else "H"), len(found))
    behind = start + len(count) + len(found) * (4 + 2 * size) + size
    entries, long = b"", b""
    packed = {
        tag: struct.pack(f"{order}{len(given)}{ {3: 'H', 4: 'I'}[number] }", *given)
        for tag, (number, given) in found.items()
    }
    pixels = behind + sum(len(value) for value in packed.values() if len(value) > size)
    for tag in sorted(found):
        number, given = found[tag]
        value = struct.pack(order + "I", pixels) if tag == 273 and given == [0] else packed[tag]
        entries += struct.pack(f"{order}HH{word}", tag, number, len(given))
        if len(value) > size:
            entries += struct.pack(order + word, behind + len(long))
            long += value
        else:
            entries += value.ljust(size, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    return head + count + entries + bytes(size) + long + raw


def bmp(values: Sequence[Sequence[int]], masks: tuple[int, ...] = (), bits: int = 32) -> bytes:
    """A BMP of 16 or 32 bits for each pixel, and which of them hold red, green and blue."""
    rows = np.array(values, f"<u{bits // 8}")[::-1]
    compression = 3 if masks else 0
    header = struct.pack(
        "<IiiHHIIiiII", 40, rows.shape[1], len(rows), 1, bits, compression, rows.nbytes, 0, 0, 0, 0
    ) + struct.pack(f"<{len(masks)}I", *masks)
    start = 14 + len(header)
    return struct.pack("<2sIHHI", b"BM", start + rows.nbytes, 0, 0, start) + header + rows.tobytes()


def icc_profile(colourants: Sequence[Sequence[float]], gamma: float, name: str) -> bytes:
    """A profile of version 2 for a screen: XYZ of each channel at D50, and the curve of them all.

    Three channels: RGB; none: grey.
    """

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    text = name.encode()
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(80),
        b"wtpt": b"XYZ " + bytes(4) + b"".join(map(fixed, (0.9642, 1.0, 0.8249))),
    }
    for letter, values in zip("rgb", colourants, strict=False):
        tags[f"{letter}XYZ".encode()] = b"XYZ " + bytes(4) + b"".join(map(fixed, values))
        tags[f"{letter}TRC".encode()] = curve
    if not colourants:
        tags[b"kTRC"] = curve
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += tag + struct.pack(">II", place + len(body), len(content))
        body += padded
    space = b"RGB " if colourants else b"GRAY"
    header = bytes(4) + bytes(4) + struct.pack(">I", 0x02100000) + b"mntr" + space + b"XYZ "
    header = header.ljust(36, b"\0") + b"acsp" + bytes(28)
    header = header[:68] + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    profile = header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(profile)) + profile[4:]


# XYZ of red, green and blue at D50, and the exponent (Display P3's curve is sRGB's, about 2.2).
P3 = ((0.5151, 0.2412, -0.001), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
PROPHOTO = ((0.7977, 0.288, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))
WIDE = {"Display P3": (P3, 2.2), "Adobe RGB": (ADOBE, 2.2), "ProPhoto": (PROPHOTO, 1.8)}
SRGB_D50 = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))


def in_srgb(colour: tuple[int, int, int], name: str) -> list[int]:
    """A colour of one of `WIDE` in sRGB, 0–255, by the definition of both (IEC 61966-2-1)."""
    colourants, gamma = WIDE[name]
    xyz = (np.array(colour) / 255) ** gamma @ np.array(colourants)
    linear = np.clip(xyz @ np.linalg.inv(np.array(SRGB_D50)), 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [round(255 * value) for value in curved.tolist()]


def grey(*values: int) -> list[list[list[int]]]:
    """Expected pixels of one row of greys."""
    return [[[value] * 3 for value in values]]


# --- the table ---------------------------------------------------------------------------------


@functools.cache
def table() -> dict[str, Case]:
    """Every kind of file by name."""
    return {
        **_plain(),
        **_pngs(),
        **_jpegs(),
        **_tiffs(),
        **_others(),
        **_colours(),
        **_deep(),
        **_refused(),
    }


def _plain() -> dict[str, Case]:
    lossless: tuple[tuple[str, dict[str, Any]], ...] = (
        *(("PNG", {}), ("BMP", {}), ("GIF", {}), ("TIFF", {}), ("WEBP", {"lossless": True})),
        *(("TIFF", {"compression": kind}) for kind in ("tiff_lzw", "tiff_adobe_deflate")),
        ("TIFF", {"big_tiff": True}),
    )
    image = picture(ROWS)
    found = {
        f"{kind} {options}": Case(saved(image, kind, **options), kind, ROWS)
        for kind, options in lossless
    }
    flat = Image.new("RGB", (16, 8), (200, 30, 60))
    for kind in ("JPEG", "AVIF"):
        data, pixels = saved(flat, kind, quality=95), [[(200, 30, 60)] * 16] * 8
        found[kind] = Case(data, kind, pixels, within=3)
    halves = [[(200, 30, 60)] * 8 + [(20, 40, 220)] * 8] * 8
    for brand in (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1"):
        data = HEIF[:8] + brand + HEIF[12:]
        found[f"HEIF {brand.decode()}"] = Case(data, "HEIF", halves, within=3)
    return found


def _pngs() -> dict[str, Case]:
    image = picture(ROWS)
    long, text, wrong = "x" * 5_000_000, PngInfo(), bytearray()
    text.add_text("Comment", "hello")
    wrong[:] = saved(image, "PNG", pnginfo=text)
    wrong[wrong.index(b"tEXt") + 14] ^= 1
    packed, international = PngInfo(), PngInfo()
    packed.add_text("Comment", long, zip=True)
    international.add_itxt("Comment", long, zip=True)
    frames = [Image.new("RGB", (2, 1), colour) for colour in (RED, GREEN)]
    behind = bytearray(saved(image, "PNG"))
    exif = chunk(b"eXIf", oriented(3).tobytes()[6:])
    turned = [row[::-1] for row in ROWS[::-1]]
    indexed = image.quantize(4)
    see_through = [(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)]
    return {
        "PNG wrong CRC of a text": Case(bytes(wrong), "PNG", ROWS),
        "PNG long zTXt": Case(saved(image, "PNG", pnginfo=packed), "PNG", ROWS),
        "PNG long iTXt": Case(saved(image, "PNG", pnginfo=international), "PNG", ROWS),
        "PNG long profile": Case(
            saved(image, "PNG", icc_profile=icc_profile([], 1.8, "grey").ljust(3_000_000, b"\0")),
            "PNG",
            ROWS,
            ("broken colour profile ignored",),
        ),
        "PNG interlaced": Case(
            png((1, 1), bits=8, colour=2, rows=[bytes((9, 8, 7))], interlaced=True),
            "PNG",
            [[(9, 8, 7)]],
        ),
        "PNG EXIF behind the pixels": Case(
            bytes(behind[:-12]) + exif + bytes(behind[-12:]),
            "PNG",
            turned,
            ("rotated by its EXIF tag",),
        ),
        "PNG animated": Case(
            saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
            "PNG",
            [[RED, RED]],
            ("first of several frames",),
        ),
        "PNG palette": Case(saved(indexed, "PNG"), "PNG", ROWS),
        "PNG RGBA": Case(
            saved(picture([see_through]), "PNG"),
            "PNG",
            [[RED, WHITE, (127, 127, 127)]],
            (ON_WHITE,),
        ),
        "PNG opaque RGBA": Case(saved(picture([[(9, 8, 7, 255)]]), "PNG"), "PNG", [[(9, 8, 7)]]),
        "PNG LA": Case(
            saved(picture([[(0, 0), (0, 255)]]), "PNG"), "PNG", grey(255, 0), (ON_WHITE,)
        ),
        "PNG transparent colour": Case(
            saved(picture([[RED, GREEN]]), "PNG", transparency=RED),
            "PNG",
            [[WHITE, GREEN]],
            (ON_WHITE,),
        ),
        **{
            f"PNG {bits}-bit grey tRNS": Case(
                png((2, 1), chunk(b"tRNS", struct.pack(">H", value)), bits=bits, rows=[row]),
                "PNG",
                grey(255, last),
                (ON_WHITE,),
            )
            for bits, value, row, last in (
                (1, 1, b"\x80", 0),
                (2, 1, b"\x60", 170),
                (4, 3, b"\x36", 102),
                (8, 3, b"\x03\x09", 9),
            )
        },
        "PNG 16-bit grey tRNS": Case(
            png(
                (2, 1),
                chunk(b"tRNS", struct.pack(">H", 300)),
                bits=16,
                rows=[struct.pack(">HH", 300, 100 * 257)],
            ),
            "PNG",
            grey(255, 100),
            ("16-bit scaled to 8-bit", ON_WHITE),
        ),
    }


def _jpegs() -> dict[str, Case]:
    flat = Image.new("RGB", (64, 64), RED)
    plain, progressive = (saved(flat, "JPEG", progressive=kind) for kind in (False, True))
    pixels, second = [[RED] * 64] * 64, Image.new("RGB", (64, 64), GREEN)
    detail = saved(noise(), "JPEG", quality=95)
    cut = "incomplete file: its end is missing"
    early = progressive[: progressive.index(b"\xff\xda") + 20]
    return {
        "JPEG progressive": Case(progressive, "JPEG", pixels, within=2),
        "JPEG without its last byte": Case(plain[:-1], "JPEG", pixels, (cut,), within=2),
        "JPEG with zeros for its end": Case(
            plain[:-2] + bytes(99), "JPEG", pixels, (cut,), within=2
        ),
        "JPEG progressive without its end": Case(
            progressive[:-2],
            "JPEG",
            pixels,
            ("incomplete file: details may be missing",),
            within=2,
        ),
        "JPEG a fifth": Case(detail[: len(detail) // 5], refusal="less than half of its rows"),
        "JPEG progressive, first scan cut": Case(early, refusal="one whole scan of every channel"),
        "JPEG with another picture inside": Case(
            saved(flat, "MPO", save_all=True, append_images=[second]), "JPEG", pixels, within=2
        ),
        "JPEG CMYK": Case(
            saved(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG"),
            "JPEG",
            [[(41, 35, 43)] * 8] * 8,  # by libvips' profile: black ink alone is no deep black
            ("CMYK converted",),
            within=2,
        ),
        "JPEG of 100 empty scans more": Case(
            progressive[:-2] + 100 * progressive[progressive.index(b"\xff\xda") : -2] + b"\xff\xd9",
            refusal="more than 100 scans",
        ),
    }


def _tiffs() -> dict[str, Case]:
    u16 = np.array([[0, 100 * 257, 65535]], np.uint16)
    scaled = ("16-bit scaled to 8-bit",)
    wide = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    return {
        "TIFF 16-bit": Case(tiff(u16), "TIFF", grey(0, 100, 255), scaled),
        "TIFF 16-bit, white is 0": Case(
            tiff(u16, photometric=0), "TIFF", grey(255, 155, 0), scaled
        ),
        "TIFF 8-bit, white is 0": Case(
            tiff(np.array([[0, 100, 255]], np.uint8), photometric=0), "TIFF", grey(255, 155, 0)
        ),
        "TIFF 16-bit big-endian": Case(tiff(u16, order=">"), "TIFF", grey(0, 100, 255), scaled),
        "BigTIFF big-endian": Case(
            tiff(u16, order=">", big=True), "TIFF", grey(0, 100, 255), scaled
        ),
        "TIFF uint32": Case(tiff(wide), "TIFF", grey(0, 128, 255), ("32-bit scaled to 8-bit",)),
        "TIFF uint32 with bytes in it": Case(
            tiff(np.array([[0, 100, 255]], np.uint32)), "TIFF", grey(0, 100, 255)
        ),
        "TIFF int16 with bytes in it": Case(
            tiff(np.array([[0, 100, 255]], np.int16)), "TIFF", grey(0, 100, 255)
        ),
        **{
            f"TIFF {bits}-bit": Case(
                tiff(np.array([[byte]], np.uint8), bits=bits, width=2), "TIFF", grey(*values)
            )
            for bits, byte, values in (
                (1, 0x40, (0, 255)),
                (2, 0x60, (85, 170)),
                (4, 0x36, (51, 102)),
            )
        },
        "TIFF tiles": Case(
            pyvips.Image.black(40, 24, bands=3).tiffsave_buffer(tile=True, compression="deflate"),
            "TIFF",
            [[BLACK] * 40] * 24,
        ),
        "TIFF JPEG": Case(
            saved(Image.new("RGB", (16, 16), RED), "TIFF", compression="jpeg", quality=95),
            "TIFF",
            [[RED] * 16] * 16,
            within=2,
        ),
        "TIFF LAB": Case(
            saved(Image.new("LAB", (4, 4), (128, 128, 128)), "TIFF"), refusal="LAB colours"
        ),
        "TIFF double": Case(tiff(np.zeros((1, 1), np.float64)), refusal="64-bit values"),
        "TIFF CMYK": Case(
            saved(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "TIFF"),
            "TIFF",
            [[WHITE] * 8] * 8,
            ("CMYK converted",),
        ),
    }


def _others() -> dict[str, Case]:
    clear = Image.new("RGBA", (16, 16), (200, 30, 60, 128))
    avif = bytearray(saved(clear, "AVIF", quality=95))
    laid = [[(227, 142, 157)] * 16] * 16
    place = avif.index(b"\0\x02\x04\x01", avif.index(b"ipma"))  # the second image's properties
    without = avif.copy()
    without[place + 3] = without[place + 4]  # the transparency does not say how large it is
    indexed = Image.new("P", (2, 1))
    indexed.putpalette([*RED, *GREEN])
    indexed.putdata([0, 1])
    bits = Image.new("1", (2, 1))
    bits.putdata([0, 1])
    colours = [[0xFF0000, 0x00FF00]]
    deep = (0x3FF00000, 0x000FFC00, 0x000003FF)
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN)]
    animated = {
        f"{kind} animated": Case(
            saved(frames[0], kind, save_all=True, append_images=frames[1:], **options),
            kind,
            [[RED] * 4] * 4,
            ("first of several frames",),
        )
        for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}))
    }
    return {
        **animated,
        "AVIF RGBA": Case(bytes(avif), "AVIF", laid, (ON_WHITE,), within=2),
        "AVIF RGBA without its size": Case(bytes(without), "AVIF", laid, (ON_WHITE,), within=2),
        "GIF transparent": Case(
            saved(indexed, "GIF", transparency=0), "GIF", [[WHITE, GREEN]], (ON_WHITE,)
        ),
        "PNG bits": Case(saved(bits, "PNG"), "PNG", [[BLACK, WHITE]]),
        "BMP bits": Case(saved(bits, "BMP"), "BMP", [[BLACK, WHITE]]),
        "BMP 32-bit": Case(bmp(colours), "BMP", [[RED, GREEN]]),
        "BMP 32-bit with masks": Case(
            bmp(colours, (0xFF0000, 0xFF00, 0xFF)), "BMP", [[RED, GREEN]]
        ),
        "BMP 10 bits each": Case(bmp([deep[:2]], deep), "BMP", [[RED, GREEN]]),
        "BMP 16-bit": Case(
            bmp([[0xF800, 0x07E0]], (0xF800, 0x07E0, 0x001F), 16), "BMP", [[RED, GREEN]]
        ),
    }


def _colours() -> dict[str, Case]:
    colour, note = (200, 60, 60), ("colour profile converted to sRGB",)
    image = Image.new("RGB", (16, 16), colour)
    found = {
        f"{kind} in {name}": Case(
            saved(image, kind, icc_profile=icc_profile(*WIDE[name], name), **options),
            kind,
            [[in_srgb(colour, name)] * 16] * 16,
            note,
            within=within,
        )
        for name in WIDE
        for kind, options, within in (("PNG", {}, 2), ("TIFF", {}, 2), ("JPEG", {"quality": 95}, 4))
    }
    for kind in ("WEBP", "AVIF"):
        data = saved(image, kind, icc_profile=icc_profile(*WIDE["Adobe RGB"], "a"), quality=95)
        pixels = [[in_srgb(colour, "Adobe RGB")] * 16] * 16
        found[f"{kind} in Adobe RGB"] = Case(data, kind, pixels, note, within=5)
    linear = saved(Image.new("L", (2, 1), 128), "PNG", icc_profile=icc_profile([], 1.0, "linear"))
    found["PNG grey, linear"] = Case(linear, "PNG", grey(188, 188), note, within=1)
    for kind in ("JPEG", "PNG", "TIFF"):
        broken = saved(Image.new("RGB", (8, 8), WHITE), kind, icc_profile=b"junk" * 50)
        ignored = ("broken colour profile ignored",)
        found[f"{kind} broken profile"] = Case(broken, kind, [[WHITE] * 8] * 8, ignored)
    srgb = icc_profile(SRGB_D50, 2.2, "sRGB IEC61966-2.1")
    plain = saved(picture(ROWS), "PNG", icc_profile=srgb)
    return {**found, "PNG says it is sRGB": Case(plain, "PNG", ROWS)}


def _deep() -> dict[str, Case]:
    found = {}
    for bits in (10, 12, 14, 16):
        top = 2**bits - 1
        values, note = np.array([[0, top // 2, top]], np.uint16), (f"{bits}-bit scaled to 8-bit",)
        expected = grey(0, round(255 * (top // 2) / top), 255)
        found[f"PNG {bits} bits in 16"] = Case(
            saved(Image.fromarray(values), "PNG"), "PNG", expected, note
        )
        found[f"TIFF {bits} bits in 16"] = Case(tiff(values), "TIFF", expected, note)
    clear = struct.pack(">8H", 4095, 0, 0, 65535, 4095, 4095, 4095, 0)
    found["PNG 12 bits in 16, RGBA"] = Case(
        png((2, 1), bits=16, colour=6, rows=[clear]),
        "PNG",
        [[RED, WHITE]],
        ("12-bit scaled to 8-bit", ON_WHITE),
    )
    for number, (values, expected) in enumerate(
        (
            (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
            (np.array([[-100_000, 0, 100_000]], np.int32), [0, 128, 255]),
            (np.array([[0.0, 0.2, 1.0]], np.float32), [0, 51, 255]),
            (np.array([[-2.0, 0.0, 2.0]], np.float32), [0, 128, 255]),
            (np.array([[np.nan, 0.0, 1.0]], np.float32), [0, 0, 255]),
            (np.array([[np.nan, np.nan]], np.float32), [0, 0]),
            (np.array([[7.0, 7.0]], np.float32), [0, 0]),
        )
    ):
        note = "16-bit scaled to 8-bit" if number == 0 else "32-bit scaled to 8-bit"
        data = saved(Image.fromarray(values), "TIFF")
        found[f"TIFF {values.dtype} {number}"] = Case(data, "TIFF", grey(*expected), (note,))
    return found


def _refused() -> dict[str, Case]:
    named = {
        "JPEG XL": (b"\xff\x0a" + bytes(20), "a JPEG XL image"),
        "JPEG XL box": (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
        "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        "PSD": (b"8BPS\0\x01", "a Photoshop document"),
        "CR2": (b"II*\0\x10\0\0\0CR\x02\0", "a RAW photo"),
        "CR3": (b"\0\0\0\x18ftypcrx \0\0\0\0", "a RAW photo"),
        "DNG": (
            tiff(np.zeros((1, 1), np.uint8), tags=((50706, 4, [1]),)),
            "a RAW photo",
        ),
        "NEF": (
            tiff(np.zeros((1, 1), np.uint8), tags=((254, 4, [1]), (330, 4, [8]))),
            "a RAW photo",
        ),
        "PDF": (b"%PDF-1.7", "a PDF document. Export its images as JPEG or PNG."),
        "SVG": (b"<svg/>", "an SVG drawing"),
        "SVG with a declaration": (b'<?xml version="1.0"?>\n<svg/>', "an SVG drawing"),
        "video": (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video"),
        "web page": (b"\n<!DOCTYPE html><html>404</html>", "a web page"),
        "web page without a type": (b"\xef\xbb\xbf<HTML>", "a web page"),
        "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "`git lfs pull`"),
        "zip": (b"PK\x03\x04", "a zip archive"),
        "nothing known": (b"hello", "not an image, or a damaged one"),
    }
    found = {name: Case(data, refusal=message) for name, (data, message) in named.items()}
    for kind in ("PPM", "ICO", "TGA", "PCX"):
        data = saved(Image.new("RGB", (16, 16)), kind)
        found[kind] = Case(data, refusal="Accepted are images in one of these formats")
    for kind in ("PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP"):
        options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
        data = saved(noise(), kind, **options)
        found[f"half a {kind}"] = Case(data[: len(data) // 2], refusal="damaged or incomplete")
    found["half a HEIF"] = Case(HEIF[:400], refusal="damaged or incomplete")
    return found
