"""Every strange picture file is built here, with Pillow, and has its expected pixels beside it."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from src.data import decoding, images

ROOT = Path(__file__).resolve().parents[2]
FITS: tuple[Literal["crop"], Literal["pad"]] = ("crop", "pad")
WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def picture(rows: Sequence[Sequence[tuple[int, ...]]]) -> Image.Image:
    return Image.fromarray(np.array(rows, np.uint8))


def oriented(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG whose header alone is sure to be right: 8-bit grey of the given size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks or [chunk(b"IDAT", b"")])


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# ── formats ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_give_their_exact_pixels(kind: str, options: dict[str, Any]) -> None:
    rows = [[RED, GREEN], [BLACK, WHITE], [RED, WHITE]]
    decoded = decoding.decode(saved(picture(rows), kind, **options))
    assert decoded.rgb.tolist() == np.array(rows).tolist()
    assert decoded.rgb.dtype == np.uint8
    assert (decoded.format, decoded.size, decoded.notes) == (kind, (2, 3), ())


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_lossy_formats_give_nearly_their_pixels(kind: str) -> None:
    decoded = decoding.decode(saved(Image.new("RGB", (16, 8), (200, 30, 60)), kind, quality=95))
    assert decoded.rgb.shape == (8, 16, 3)
    assert np.abs(decoded.rgb.astype(int) - (200, 30, 60)).max() <= 4
    assert (decoded.format, decoded.size, decoded.notes) == (kind, (16, 8), ())


def test_every_allowed_format_is_decoded_by_this_pillow() -> None:
    for kind in decoding.FORMATS:
        assert decoding.decode(saved(Image.new("RGB", (4, 4)), kind)).format == kind


def test_a_format_off_the_list_is_refused() -> None:
    for kind in ("PPM", "ICO", "TGA", "PCX"):
        with pytest.raises(
            decoding.ImageError, match="Accepted are images in one of these formats"
        ):
            decoding.decode(saved(Image.new("RGB", (16, 16)), kind))


# ── strange but right ─────────────────────────────────────────────────────────────────────────────

UPRIGHT = [[RED, GREEN], [BLACK, WHITE], [WHITE, WHITE]]  # 3 high, 2 wide
STORED = {  # what a camera stores so that the tag turns it into UPRIGHT
    1: UPRIGHT,
    2: [row[::-1] for row in UPRIGHT],
    3: [row[::-1] for row in UPRIGHT[::-1]],
    4: UPRIGHT[::-1],
    5: [list(column) for column in zip(*UPRIGHT, strict=True)],
    6: [list(column) for column in zip(*UPRIGHT, strict=True)][::-1],
    7: [list(column)[::-1] for column in zip(*UPRIGHT, strict=True)][::-1],
    8: [list(column)[::-1] for column in zip(*UPRIGHT, strict=True)],
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(tag: int, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(picture(STORED[tag]), kind, exif=oriented(tag), **options)
    decoded = decoding.decode(data)
    assert decoded.rgb.tolist() == np.array(UPRIGHT).tolist()
    assert decoded.notes == (() if tag == 1 else ("rotated by its EXIF tag",))


def test_exif_orientation_of_a_jpeg() -> None:
    wide = Image.new("RGB", (32, 16), WHITE)
    wide.paste(BLACK, (0, 0, 16, 16))  # left half black; upright after a quarter turn: top half
    decoded = decoding.decode(saved(wide, "JPEG", quality=95, exif=oriented(6)))
    assert decoded.rgb.shape == (32, 16, 3)
    assert decoded.rgb[:14].max() < 10
    assert decoded.rgb[18:].min() > 245
    assert decoded.size == (32, 16)


def test_a_broken_exif_block_does_not_spoil_the_picture() -> None:
    data = saved(picture(UPRIGHT), "PNG", exif=b"Exif\x00\x00no TIFF header at all")
    assert decoding.decode(data).rgb.tolist() == np.array(UPRIGHT).tolist()


def test_transparency_is_laid_on_white() -> None:
    hidden = picture([[(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)]])
    decoded = decoding.decode(saved(hidden, "PNG"))
    assert decoded.rgb.tolist() == [[[255, 0, 0], [255, 255, 255], [127, 127, 127]]]
    assert decoded.notes == ("transparency laid on white",)


def test_an_opaque_alpha_channel_leaves_no_note() -> None:
    decoded = decoding.decode(saved(picture([[(9, 8, 7, 255)]]), "PNG"))
    assert (decoded.rgb.tolist(), decoded.notes) == ([[[9, 8, 7]]], ())


def test_grey_with_transparency() -> None:
    decoded = decoding.decode(saved(picture([[(0, 0), (0, 255)]]), "PNG"))
    assert decoded.rgb.tolist() == [[[255, 255, 255], [0, 0, 0]]]
    assert decoded.notes == ("transparency laid on white",)


def test_one_colour_declared_transparent() -> None:
    decoded = decoding.decode(saved(picture([[RED, GREEN]]), "PNG", transparency=RED))
    assert decoded.rgb.tolist() == [[[255, 255, 255], [0, 255, 0]]]
    assert decoded.notes == ("transparency laid on white",)


def test_palette_with_and_without_transparency() -> None:
    indexed = Image.new("P", (2, 1))
    indexed.putpalette([*RED, *GREEN])
    indexed.putdata([0, 1])
    plain = decoding.decode(saved(indexed, "PNG"))
    assert (plain.rgb.tolist(), plain.notes) == ([[[255, 0, 0], [0, 255, 0]]], ())
    clear = decoding.decode(saved(indexed, "GIF", transparency=0))
    assert clear.rgb.tolist() == [[[255, 255, 255], [0, 255, 0]]]
    assert clear.notes == ("transparency laid on white",)


def test_single_bits_become_black_and_white() -> None:
    bits = Image.new("1", (2, 1))
    bits.putdata([0, 1])
    assert decoding.decode(saved(bits, "PNG")).rgb.tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_cmyk_is_converted() -> None:
    ink = Image.new("CMYK", (8, 8), (255, 0, 255, 0))  # cyan and yellow: green
    decoded = decoding.decode(saved(ink, "TIFF"))
    assert (decoded.rgb == GREEN).all()
    assert decoded.notes == ("CMYK converted",)
    assert np.abs(decoding.decode(saved(ink, "JPEG")).rgb.astype(int) - GREEN).max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_and_not_cut_off(kind: str) -> None:
    deep = Image.fromarray(np.array([[0, 128 * 257, 65535]], np.uint16))
    assert deep.mode == "I;16"
    decoded = decoding.decode(saved(deep, kind))
    assert decoded.rgb[0, :, 0].tolist() == [0, 128, 255]
    assert decoded.notes == ("16-bit scaled to 8-bit",)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),  # 16 bits in 32: the usual range
        (np.array([[-100_000, 0, 100_000]], np.int32), [0, 128, 255]),  # else its own range
        (np.array([[0.0, 0.2, 1.0]], np.float32), [0, 51, 255]),
        (np.array([[-2.0, 0.0, 2.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.0, 1.0]], np.float32), [0, 0, 255]),
        (np.array([[np.nan, np.nan]], np.float32), [0, 0]),
        (np.array([[7.0, 7.0]], np.float32), [0, 0]),
    ],
)
def test_32_bits_are_scaled(values: np.ndarray, expected: list[int]) -> None:
    decoded = decoding.decode(saved(Image.fromarray(values), "TIFF"))
    assert decoded.rgb[0, :, 0].tolist() == expected
    assert decoded.notes == ("32-bit scaled to 8-bit",)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLACK)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    decoded = decoding.decode(data)
    assert (decoded.rgb == RED).all()
    assert decoded.notes == ("first of several frames",)


def test_a_photo_with_a_second_picture_inside_is_a_jpeg() -> None:
    second = Image.new("RGB", (16, 16), GREEN)
    data = saved(Image.new("RGB", (16, 16), RED), "MPO", save_all=True, append_images=[second])
    decoded = decoding.decode(data)
    assert np.abs(decoded.rgb.astype(int) - RED).max() <= 4
    assert (decoded.format, decoded.notes) == ("JPEG", ())


def test_a_large_picture_is_reduced_and_keeps_its_proportions() -> None:
    for kind in ("JPEG", "PNG"):
        decoded = decoding.decode(saved(Image.new("RGB", (4000, 1000), (10, 20, 30)), kind))
        assert decoded.rgb.shape == (256, 1024, 3)
        assert np.abs(decoded.rgb.astype(int) - (10, 20, 30)).max() <= 2
        assert decoded.size == (4000, 1000)


def test_a_large_16_bit_picture_is_reduced() -> None:
    deep = Image.fromarray(np.full((2048, 1024), 100 * 257, np.uint16))
    decoded = decoding.decode(saved(deep, "PNG"))
    assert decoded.rgb.shape == (1024, 512, 3)
    assert (decoded.rgb == 100).all()


def test_a_very_long_picture_keeps_at_least_one_row() -> None:
    assert decoding.decode(saved(Image.new("RGB", (9000, 1)), "PNG")).rgb.shape == (1, 1024, 3)


def test_hidden_colours_do_not_bleed_when_reduced() -> None:
    stripes = np.zeros((2048, 2048, 4), np.uint8)
    stripes[:, ::2] = (0, 0, 255, 255)
    stripes[:, 1::2] = (255, 0, 0, 0)  # red that nobody sees
    decoded = decoding.decode(saved(Image.fromarray(stripes), "PNG"))
    assert np.abs(decoded.rgb[100, 100].astype(int) - (127, 127, 255)).max() <= 1


# ── refused ───────────────────────────────────────────────────────────────────────────────────────


def refusal(data: bytes) -> str:
    with pytest.raises(decoding.ImageError) as caught:
        decoding.decode(data)
    return str(caught.value)


def test_messages_of_refusal() -> None:
    accepted = "Accepted are images in one of these formats: JPEG, PNG, WEBP, AVIF, GIF, BMP, TIFF."
    assert refusal(b"") == "The file is empty."
    assert refusal(b"hello") == f"The file is not an image, or a damaged one. {accepted}"
    assert refusal(b"\0\0\0\x18ftypheic") == f"The file is an HEIC photo. {accepted}"
    assert refusal(b"%PDF-1.7") == f"The file is a PDF document. {accepted}"
    assert refusal(b"<svg/>") == f"The file is an SVG drawing. {accepted}"
    assert refusal(bytes(26 * 2**20)) == "The file has 26.0 MB; at most 25 MB are accepted."
    assert refusal(png(5000, 5000)) == (
        "The image is too large: 5000 × 5000 are 25.0 megapixels, and at most 15.0 megapixels "
        "are accepted for PNG. Make it smaller and try again."
    )
    assert refusal(png(30_000, 30_000)) == (
        "The image is too large: 900.0 megapixels, and at most 90.0 megapixels are accepted for "
        "JPEG. Make it smaller and try again."
    )


@pytest.mark.parametrize("kind", decoding.FORMATS)
def test_truncated_files_are_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    data = saved(Image.fromarray(noise), kind, **options)
    decoding.decode(data)  # the whole file is fine
    assert "damaged" in refusal(data[: len(data) // 2])


def test_a_picture_without_pixels_is_refused() -> None:
    assert refusal(png(0, 5)).startswith(("The image has no pixels", "The file is not an image"))


def test_a_png_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = png(9000, 9000, chunk(b"IDAT", zlib.compress(bytes(9001 * 9000))), chunk(b"IEND", b""))
    assert len(bomb) < 100_000
    assert "9000 × 9000 are 81.0 megapixels" in refusal(bomb)


def test_random_damage_gives_a_picture_or_a_message() -> None:
    rng = np.random.default_rng(7)
    source = Image.fromarray(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8))
    outcomes = {"picture": 0, "message": 0}
    for kind in decoding.FORMATS:
        whole = saved(source, kind)
        for _ in range(60):
            broken = bytearray(whole)
            for place in rng.integers(0, min(len(whole), 150), 3):
                broken[place] = rng.integers(0, 256)
            try:
                assert decoding.decode(bytes(broken)).rgb.dtype == np.uint8
                outcomes["picture"] += 1
            except decoding.ImageError:
                outcomes["message"] += 1
    assert min(outcomes.values()) > 20
    assert sum(outcomes.values()) == 60 * len(decoding.FORMATS)


# ── memory ────────────────────────────────────────────────────────────────────────────────────────

MEASURE = """
import io, sys
from PIL import Image
from src.data import decoding

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

data = sys.stdin.buffer.read()
for kind in decoding.FORMATS:  # load every decoder before the measurement
    small = io.BytesIO()
    Image.new("RGB", (8, 8)).save(small, kind)
    decoding.decode(small.getvalue())
before = peak()
print(decoding.decode(data).size[0], (peak() - before) / 1000)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's peak memory")
@pytest.mark.parametrize(
    ("kind", "limit", "mode", "options"),
    [
        ("PNG", "PNG", "RGBA", {"compress_level": 1}),
        ("PNG", "PNG", "I;16", {"compress_level": 1}),
        ("GIF", "GIF", "P", {"transparency": 0}),
        ("WEBP", "WEBP", "RGBA", {"lossless": True, "method": 0}),
        ("AVIF", "AVIF", "RGBA", {"speed": 10, "subsampling": "4:4:4"}),
        ("TIFF", "TIFF", "F", {"compression": "tiff_lzw", "tiffinfo": {278: 1_000_000}}),
        ("JPEG", "JPEG", "CMYK", {}),
        ("JPEG", "JPEG in several scans", "RGB", {"progressive": True, "subsampling": 0}),
    ],
)
def test_the_largest_admitted_picture_takes_at_most_150_megabytes(
    kind: str, limit: str, mode: str, options: dict[str, Any]
) -> None:
    side = int(decoding.pixel_limit(limit) ** 0.5)
    data = saved(
        Image.new(mode, (side, side), 1 if len(mode) == 1 or mode == "I;16" else None),
        kind,
        **options,
    )
    command = [sys.executable, "-c", MEASURE]
    result = subprocess.run(command, input=data, capture_output=True, cwd=ROOT, check=True)
    width, grown = result.stdout.split()
    assert int(width) == side
    assert 4 < float(grown) < 150


def test_one_more_row_of_pixels_is_refused() -> None:
    side = int(decoding.pixel_limit("PNG") ** 0.5)
    assert "too large" in refusal(png(side, decoding.pixel_limit("PNG") // side + 1))
    assert "too large" not in refusal(png(side, side))  # admitted, then found to have no pixels


def test_a_jpeg_is_known_to_stream_only_when_its_first_scan_has_all_channels() -> None:
    image = Image.new("RGB", (16, 16))
    plain = saved(image, "JPEG")
    assert decoding._single_scan(plain)
    assert decoding._single_scan(saved(image.convert("L"), "JPEG"))
    assert not decoding._single_scan(saved(image, "JPEG", progressive=True))
    start = plain.index(b"\xff\xda")
    assert not decoding._single_scan(plain[: start + 4] + b"\x01" + plain[start + 5 :])
    assert not decoding._single_scan(plain[:start])


# ── model input ───────────────────────────────────────────────────────────────────────────────────


def test_a_picture_of_the_models_shape_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    for shape in ((32, 32, 3), (8, 8, 1)):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        for fit in FITS:
            assert images.model_input(pixels, shape, fit) is pixels


def test_a_grey_study_gets_its_own_pixels_back_from_a_png() -> None:
    digit = np.arange(64, dtype=np.uint8).reshape(8, 8, 1) * 4
    decoded = decoding.decode(images.to_png(digit)).rgb
    assert decoded.shape == (8, 8, 3)
    assert images.model_input(decoded, (8, 8, 1)).tolist() == digit.tolist()


def test_grey_is_luma() -> None:
    one = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert images.model_input(one, (1, 3, 1))[:, :, 0].tolist() == [[76, 150, 29]]


def test_crop_takes_the_centre_and_pad_keeps_the_whole_on_white() -> None:
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = RED
    assert (images.model_input(wide, (4, 4, 3), "crop") == RED).all()
    tall = np.zeros((8, 4, 3), np.uint8)
    expected = np.full((8, 8, 3), 255)
    expected[:, 2:6] = 0
    assert images.model_input(tall, (8, 8, 3), "pad").tolist() == expected.tolist()


def test_reduction_is_antialiased() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    reduced = images.model_input(board.astype(np.uint8)[:, :, np.newaxis], (8, 8, 1))
    assert np.abs(reduced.astype(int) - 127).max() <= 1  # nearest neighbour would give 0 or 255


def test_extreme_proportions_still_give_the_models_shape() -> None:
    line = np.zeros((1, 1000, 3), np.uint8)
    for fit in FITS:
        assert images.model_input(line, (32, 32, 3), fit).shape == (32, 32, 3)


def test_what_is_no_picture_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 1 or 3\), got float64 \(2, 2, 3\)"):
        images.model_input(np.zeros((2, 2, 3)), (2, 2, 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got \(8, 8, 2\)"):
        images.model_input(np.zeros((2, 2, 3), np.uint8), (8, 8, 2))
    with pytest.raises(ValueError, match=r"must not be empty, got \(0, 2, 3\)"):
        images.to_png(np.zeros((0, 2, 3), np.uint8))


def test_png_there_and_back() -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert images.from_png(images.to_png(colour)).tolist() == colour.tolist()
    grey = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    expected = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    assert images.from_png(images.to_png(grey)).tolist() == expected.tolist()
    assert images.to_png(grey) == images.to_png(grey[:, :, np.newaxis])


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((28, 28, 1), 96, (28, 28, 3)),
        ((96, 60, 3), 96, (96, 60, 3)),
        ((224, 112, 3), 96, (96, 48, 3)),  # a photo: reduced
        ((224, 112, 3), 224, (224, 112, 3)),
    ],
)
def test_thumbnails_are_small(
    shape: tuple[int, int, int], side: int, expected: tuple[int, int, int]
) -> None:
    stored = images.thumbnail(np.full(shape, 128, np.uint8), side)
    assert (stored[:4], stored[8:12]) == (b"RIFF", b"WEBP")
    assert images.from_png(stored).shape == expected
    assert np.abs(images.from_png(stored).astype(int) - 128).max() <= 2


def test_thumbnails_keep_small_pictures_exactly_and_photos_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 40, 3)).astype(np.uint8)
    np.testing.assert_array_equal(images.from_png(images.thumbnail(noise)), noise)
    grey = images.from_png(images.thumbnail(noise[..., :1]))
    np.testing.assert_array_equal(grey, np.repeat(noise[..., :1], 3, axis=2))
    smooth = np.add.outer(np.arange(32), 3 * np.arange(32)).astype(np.uint8)[..., np.newaxis]
    assert len(images.thumbnail(smooth)) < len(images.to_png(smooth))
    photo = np.broadcast_to(np.uint8([200, 100, 50]), (224, 112, 3))
    kept = images.from_png(images.thumbnail(photo))
    assert kept.shape == (96, 48, 3)
    assert np.abs(kept.astype(int) - [200, 100, 50]).max() <= 3
    grey = images.from_png(images.thumbnail(photo[..., :1]))
    assert np.abs(grey.astype(int) - 200).max() <= 2
    assert images.reduced_shape((8, 8, 1), 64) == (8, 8, 1)
    assert images.reduced_shape((300, 10, 3), 60) == (60, 2, 3)


def test_blank_pictures_are_told_by_each_channel() -> None:
    pixels = np.full((4, 5, 6, 3), 100, np.uint8)
    pixels[1] = [200, 20, 0]  # one colour, far from grey
    pixels[2, 0, 0, 2] = 109
    pixels[3, 0, 0, 2] = 108  # noise
    assert images.blank(pixels).tolist() == [True, True, False, True]
