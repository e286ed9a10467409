"""What becomes of files of every kind, and that none of them takes more than its share."""

import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.data import decoding, decoding_pool, image_headers
from tests import image_files
from tests.image_files import BLACK, WHITE, chunk, noise, oriented, picture, png, saved

ROOT = Path(__file__).resolve().parents[2]


def refusal(data: bytes) -> str:
    with pytest.raises(decoding.ImageError) as caught:
        decoding.decode(data)
    return str(caught.value)


# --- every kind of file ------------------------------------------------------------------------


@pytest.mark.parametrize("name", image_files.table())
def test_every_kind_of_file(name: str) -> None:
    case = image_files.table()[name]
    if case.refusal:
        assert case.refusal in refusal(case.data)
        return
    decoded = decoding.decode(case.data)
    assert (decoded.format, decoded.notes) == (case.format, case.notes)
    assert decoded.rgb.dtype == np.uint8
    expected = np.array(case.pixels)
    assert decoded.rgb.shape == expected.shape
    assert decoded.size == expected.shape[1::-1]
    assert np.abs(decoded.rgb.astype(int) - expected).max() <= case.within


def test_the_table_has_every_format_and_the_folder_gives_the_same() -> None:
    readable = [case for case in image_files.table().values() if not case.refusal]
    assert {case.format for case in readable} == set(decoding.FORMATS)
    for case in readable:
        mine = decoding.decode(case.data, decoding.OWN_FOLDER)
        assert np.array_equal(mine.rgb, decoding.decode(case.data).rgb)


UPRIGHT = image_files.ROWS
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


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_exif_orientation_of_lossy_files(kind: str) -> None:
    wide = Image.new("RGB", (32, 16), WHITE)
    wide.paste(BLACK, (0, 0, 16, 16))  # left half black; upright after a quarter turn: top half
    decoded = decoding.decode(saved(wide, kind, quality=95, exif=oriented(6)))
    assert decoded.rgb.shape == (32, 16, 3)
    assert decoded.rgb[:14].max() < 10
    assert decoded.rgb[18:].min() > 245
    assert decoded.size == (32, 16)


def test_orientation_in_xmp_turns_the_picture_too() -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="3"/></x:xmpmeta>'
    decoded = decoding.decode(saved(picture(STORED[3]), "WEBP", lossless=True, xmp=packet))
    assert decoded.rgb.tolist() == np.array(UPRIGHT).tolist()


def test_a_broken_exif_block_does_not_spoil_the_picture() -> None:
    data = saved(picture(UPRIGHT), "PNG", exif=b"Exif\x00\x00no TIFF header at all")
    assert decoding.decode(data).rgb.tolist() == np.array(UPRIGHT).tolist()


def test_a_heif_that_is_to_be_turned_is_turned_once() -> None:
    """The box that cuts 64 × 64 down to 16 × 8 is made one that turns: 90° to the left."""
    box = image_files.HEIF.index(b"clap") - 4
    turned = bytearray(image_files.HEIF)
    turned[box : box + 40] = struct.pack(">I4sB", 9, b"irot", 1) + struct.pack(
        ">I4s23x", 31, b"free"
    )
    decoded = decoding.decode(bytes(turned))
    assert decoded.notes == ("rotated by its header",)
    assert decoded.rgb.shape == (64, 64, 3)
    left, right = np.array((200, 30, 60)), np.array((20, 40, 220))
    assert np.abs(decoded.rgb[60, 2].astype(int) - left).max() <= 6
    assert np.abs(decoded.rgb[50, 2].astype(int) - right).max() <= 6


# --- reduction ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_a_large_picture_is_reduced_and_keeps_its_proportions(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decoding.decode(saved(Image.new("RGB", (4000, 1000), (10, 20, 30)), kind, **options))
    assert decoded.rgb.shape == (256, 1024, 3)
    assert np.abs(decoded.rgb.astype(int) - (10, 20, 30)).max() <= 2
    assert decoded.size == (4000, 1000)


def test_a_large_16_bit_picture_is_reduced() -> None:
    deep = Image.fromarray(np.full((2048, 1024), 100 * 257, np.uint16))
    decoded = decoding.decode(saved(deep, "PNG"))
    assert decoded.rgb.shape == (1024, 512, 3)
    assert (decoded.rgb == 100).all()


def test_the_bits_are_counted_before_the_reduction() -> None:
    """An average of 4,095 and 0, sharpened, overshoots what 12 bits hold."""
    stripes = np.zeros((2048, 2048), np.uint16)
    stripes[::5] = 4095
    assert decoding.decode(image_files.tiff(stripes)).notes == ("12-bit scaled to 8-bit",)


def test_a_very_long_picture_keeps_at_least_one_row() -> None:
    assert decoding.decode(saved(Image.new("RGB", (9000, 1)), "PNG")).rgb.shape == (1, 1024, 3)


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
def test_hidden_colours_do_not_bleed_when_reduced(kind: str) -> None:
    stripes = np.zeros((4096, 512, 4), np.uint8)
    stripes[:, ::2] = (0, 0, 255, 255)
    stripes[:, 1::2] = (255, 0, 0, 0)  # red that nobody sees
    options = {"quality": 100, "subsampling": "4:4:4", "speed": 10} if kind == "AVIF" else {}
    decoded = decoding.decode(saved(Image.fromarray(stripes), kind, **options))
    assert np.abs(decoded.rgb[100, 60].astype(int) - (127, 127, 255)).max() <= 3
    assert decoded.notes == (image_files.ON_WHITE,)


# --- limits and messages -----------------------------------------------------------------------


def test_messages_of_refusal() -> None:
    accepted = (
        "Accepted are images in one of these formats: JPEG, PNG, WEBP, AVIF, HEIF, GIF, BMP, TIFF."
    )
    assert refusal(b"") == "The file is empty."
    assert refusal(b"hello") == f"The file is not an image, or a damaged one. {accepted}"
    assert refusal(b"8BPS") == (
        "The file is a Photoshop document (PSD). Save it as JPEG or PNG and try that copy. "
        f"{accepted}"
    )
    assert refusal(bytes(26 * 2**20)) == "The file has 26.0 MB; at most 25 MB are accepted."
    assert refusal(png((7000, 7000))) == (
        "The image is too large: 7000 × 7000 are 49.0 megapixels, and at most 43 megapixels are "
        "accepted for PNG. Make it smaller and try again."
    )
    assert refusal(png((30_001, 1))) == (
        "The image is too large: 30001 × 1, and a side may have at most 30,000 pixels. Cut it "
        "into parts and try again."
    )
    assert refusal(png((6000, 6000), bits=16, colour=6, interlaced=True)) == (
        "The image is too large: decoding this kind of PNG file takes about 691 MB of memory, and "
        "at most 235 MB are given to one. Make it smaller, or save it as a plain JPEG, and try "
        "again."
    )


def test_a_picture_without_pixels_is_refused() -> None:
    assert refusal(png((0, 5))) == "The image has no pixels: 0 × 5."


def test_random_damage_gives_a_picture_or_a_message() -> None:
    rng = np.random.default_rng(7)
    source = Image.fromarray(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8))
    outcomes = {"picture": 0, "message": 0}
    files = [saved(source, kind) for kind in decoding.FORMATS if kind != "HEIF"]
    for whole in [*files, image_files.HEIF]:
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


def test_a_jpeg_is_known_to_stream_only_when_its_first_scan_has_all_channels() -> None:
    image = noise(16)
    plain = saved(image, "JPEG")
    kinds = [
        image_headers.read(data).kind
        for data in (
            plain,
            saved(image.convert("L"), "JPEG"),
            saved(image, "JPEG", progressive=True),
        )
    ]
    assert kinds == ["JPEG", "JPEG", "progressive JPEG"]
    full, halved = (
        image_headers.read(saved(image, "JPEG", progressive=True, subsampling=kind)).cost
        for kind in ("4:4:4", "4:2:0")
    )
    assert full - halved == 16 * 16 * 2 * 1.5  # two bytes for every sample


def test_headers_are_read_in_bounded_steps() -> None:
    """Millions of empty boxes, chunks or segments are not all looked at."""
    boxes = struct.pack(">I4s", 8, b"free") * 3_000_000
    heif = image_files.HEIF[:28] + boxes + image_files.HEIF[28:]
    assert "does not say how large it is" in refusal(heif)
    assert "more than 20,000 chunks" in refusal(png((8, 8), chunk(b"tEXt", b"") * 100_000))


# --- bombs -------------------------------------------------------------------------------------


def avif_of_another_size() -> bytes:
    """A small picture by its header, whose pixels are 81 million."""
    data = bytearray(saved(Image.new("L", (9000, 9000)), "AVIF", speed=10))
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", 64, 64)
    return bytes(data)


def tiff_with_a_huge_tile() -> bytes:
    tile = zlib.compress(bytes(30_000 * 30_000), 1)
    tags = [(259, 3, [8]), (322, 4, [30_000]), (323, 4, [30_000])]
    return image_files.tiff(np.zeros((10, 10), np.uint8), tags=tags) + tile


def tiff_with_many_strips() -> bytes:
    offsets = (273, 4, [8] * 500_000)
    return image_files.tiff(np.zeros((10, 10), np.uint8), tags=[offsets])


def gif_with_a_long_comment() -> bytes:
    data = saved(Image.new("RGB", (8, 8)), "GIF")
    return data[:-1] + b"\x21\xfe" + b"\x01x" * 10_000_000 + b"\0;"


def jpeg_with_empty_segments() -> bytes:
    data = saved(Image.new("RGB", (8, 8)), "JPEG")
    return data[:2] + b"\xff\xee\x00\x02" * 6_000_000 + data[2:]


BOMBS = {
    "avif": (avif_of_another_size, "damaged or incomplete"),
    "palette png": (lambda: png((1, 14_999_999), colour=3), "at most 30,000 pixels"),
    "tile": (tiff_with_a_huge_tile, "MB of memory"),
    "strips": (tiff_with_many_strips, "more than 100,000 parts"),
    "segments": (jpeg_with_empty_segments, "more than 20,000 segments"),
}


def peak(lane: decoding_pool.Lane) -> int:
    """The most memory that a lane's processes have held, bytes."""
    lines = [
        line
        for pid in lane.pids()
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return max((1024 * int(line.split()[1]) for line in lines), default=0)


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads and limits memory as Linux does")


@pytest.mark.slow
@linux
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_within_the_limit(name: str) -> None:
    make, message = BOMBS[name]
    assert message in refusal(make())
    for lane in (decoding.UPLOAD.small, decoding.UPLOAD.large):
        assert peak(lane) < lane.memory + 120 * 10**6


@linux
def test_a_long_comment_takes_no_more_than_any_small_file() -> None:
    with_comment = gif_with_a_long_comment()
    assert decoding.decode(with_comment).rgb.shape == (8, 8, 3)
    assert peak(decoding.UPLOAD.small) < decoding.UPLOAD.small.memory + 120 * 10**6


# --- processes ---------------------------------------------------------------------------------

PHOTO = saved(noise(), "PNG")


@pytest.fixture
def lane() -> Iterator[decoding_pool.Lane]:
    """A lane of one process."""
    made = decoding_pool.Lane(1, 40 * 10**6, 20)
    yield made
    made.end()
    decoding_pool.LANES.remove(made)


def test_a_process_starts_when_first_needed_and_stays(lane: decoding_pool.Lane) -> None:
    assert lane.pids() == []
    lane.decode(PHOTO)
    pids = lane.pids()
    lane.decode(PHOTO)
    assert len(pids) == 1
    assert lane.pids() == pids


def test_a_process_that_ends_is_replaced(lane: decoding_pool.Lane) -> None:
    lane.decode(PHOTO)
    (first,) = lane.pids()
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    answer, pixels = lane.decode(PHOTO)
    assert (answer["width"], answer["height"], len(pixels)) == (64, 64, 64 * 64 * 3)
    assert lane.pids() != [first]


def test_a_process_that_grows_is_replaced(
    lane: decoding_pool.Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_pool, "GROWTH", -1)
    lane.decode(PHOTO)
    assert lane.pids() == []


def test_a_file_that_takes_too_long_is_given_up() -> None:
    limits = decoding.Limits(
        decoding.MAX_BYTES,
        decoding.UPLOAD.megapixels,
        decoding_pool.Lane(1, 40 * 10**6, 0.05),
        decoding_pool.Lane(1, 300 * 10**6, 0.2),
    )
    with pytest.raises(decoding.ImageError, match="takes too long or too much memory"):
        decoding.decode(image_files.slow_png(), limits)
    for used in (limits.small, limits.large):
        used.end()
        decoding_pool.LANES.remove(used)


def test_small_photos_do_not_wait_for_a_large_file() -> None:
    slow, large = image_files.slow_png(), decoding.UPLOAD.large
    found: list[decoding.DecodedImage] = []
    thread = threading.Thread(target=lambda: found.append(decoding.decode(slow)))
    thread.start()
    while not large.busy() and thread.is_alive():
        time.sleep(0.001)
    for _ in range(5):
        decoding.decode(PHOTO)
    assert not found
    thread.join()
    assert found[0].size == (6500, 6500)


ORPHANS = """
import os, signal, sys
from src.data import decoding
decoding.decode(sys.stdin.buffer.read())
print(*decoding.UPLOAD.small.pids(), flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[1])) if sys.argv[1] else None
"""


@linux
@pytest.mark.parametrize("how", ["", "SIGTERM", "SIGKILL"])
def test_no_process_outlives_its_parent(how: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", ORPHANS, how],
        input=PHOTO,
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    (pid,) = map(int, ran.stdout.split())
    assert ran.stderr == b""
    status = Path(f"/proc/{pid}/stat")
    while status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)


def test_a_forked_process_has_processes_of_its_own() -> None:
    decoding.decode(PHOTO)
    before = decoding.UPLOAD.small.pids()
    child = os.fork()
    if not child:
        decoding.decode(PHOTO)
        mine = decoding.UPLOAD.small.pids()
        decoding.UPLOAD.small.end()
        os._exit(0 if mine and not set(mine) & set(before) else 1)
    assert os.waitpid(child, 0)[1] == 0
    decoding.decode(PHOTO)
    assert decoding.UPLOAD.small.pids() == before


def test_threads_decode_at_once() -> None:
    results: list[Any] = [None] * 8

    def work(place: int) -> None:
        results[place] = decoding.decode(PHOTO).rgb

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = np.asarray(noise())
    assert all(np.array_equal(found, expected) for found in results)
    assert len(decoding.UPLOAD.small.pids()) <= decoding.UPLOAD.small.count
