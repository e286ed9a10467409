"""How long does it take to read a photo, and how much memory, against Pillow alone?

Every file is read twice by a process of its own: by ours as the server starts it, and by Pillow as
one would write it at first (open, reduce, convert). Memory is the growth of the process's largest
resident set, so the file itself counts. The worst files are the largest that are accepted of each
kind; their memory is compared with the limit at which the system would end the process.
"""

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.interleaved import median_times  # noqa: E402
from benchmarks.report import Measure, finish  # noqa: E402
from src.data import decoders, decoding, decoding_pool, image_headers  # noqa: E402

PILLOW = """
import io, json, sys, time
from PIL import Image

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

Image.MAX_IMAGE_PIXELS = None
Image.init()
before, data = peak(), sys.stdin.buffer.read()
started = time.perf_counter()
image = Image.open(io.BytesIO(data))
image.draft(None, (1024, 1024))
image.thumbnail((1024, 1024), reducing_gap=2.0)
image.convert("RGB").tobytes()
print(json.dumps([1000 * (time.perf_counter() - started), (peak() - before) / 1000]))
"""
ADDED_LIMIT_MS, WORKER_LIMIT_MB = 1, 40
ROUNDS = 100


class Cost(NamedTuple):
    """Milliseconds and megabytes (10⁶ bytes)."""

    ms: float
    mb: float


def photo(megapixels: float) -> Image.Image:
    """Soft noise of proportions 3 : 2, which compresses about as photos do."""
    height = int((megapixels * 1e6 / 1.5) ** 0.5)
    width = int(1.5 * height)
    values = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The image as a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


FILES: dict[str, tuple[float, str, dict[str, Any]]] = {
    "WebP 12 MP": (12, "WEBP", {"quality": 80, "method": 0}),
    "WebP 24 MP": (24, "WEBP", {"quality": 80, "method": 0}),
    "AVIF 12 MP": (12, "AVIF", {"speed": 10}),
    "TIFF LZW 24 MP": (24, "TIFF", {"compression": "tiff_lzw"}),
    "JPEG progressive 24 MP": (24, "JPEG", {"progressive": True}),
    "JPEG baseline 24 MP": (24, "JPEG", {}),
    "PNG 24 MP": (24, "PNG", {"compress_level": 1}),
    "JPEG 1,700 × 1,133": (1.93, "JPEG", {}),
    "JPEG 547 × 365": (0.2, "JPEG", {}),
}
# The largest of each kind that are accepted, in the costliest way of writing them.
WORST: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("JPEG", "RGB", {"subsampling": 0}),
    "progressive JPEG": ("JPEG", "RGB", {"subsampling": "4:2:2", "progressive": True}),
    "PNG": ("PNG", "RGBA", {"compress_level": 1}),
    "WEBP": ("WEBP", "RGB", {"quality": 20, "method": 0}),
    "lossless WEBP": ("WEBP", "RGBA", {"lossless": True, "method": 0, "quality": 0}),
    "AVIF": ("AVIF", "RGB", {"speed": 10}),
    "GIF": ("GIF", "P", {}),
    "BMP": ("BMP", "P", {}),
    "TIFF": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
}


def by_pillow(data: bytes) -> Cost:
    """Pillow alone, in a fresh process."""
    command = [sys.executable, "-c", PILLOW]
    ran = subprocess.run(command, input=data, capture_output=True, check=True)
    return Cost(*json.loads(ran.stdout))


def by_ours(data: bytes) -> Cost:
    """Ours, in a fresh process; its start does not count."""
    lane = decoding_pool.Lane(1, decoding.OWN_FOLDER.large.memory, 300)
    tiny = saved(Image.new("RGB", (8, 8)), "PNG")
    lane.decode(tiny)
    before = peak(lane)
    started = time.perf_counter()
    answer, _ = lane.decode(data)
    cost = Cost(1000 * (time.perf_counter() - started), peak(lane) - before)
    lane.end()
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return cost


def peak(lane: decoding_pool.Lane) -> float:
    """The largest resident set of a lane's process so far, MB."""
    return memory(lane, "VmHWM")


def memory(lane: decoding_pool.Lane, name: str) -> float:
    """One figure of a lane's only process, MB."""
    (pid,) = lane.pids()
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e6


def against_pillow() -> Iterator[Measure]:
    """Both on every file."""
    for name, (megapixels, kind, options) in FILES.items():
        data = saved(photo(megapixels), kind, **options)
        for who, call in (("ours", by_ours), ("Pillow", by_pillow)):
            cost = call(data)
            yield Measure(f"{name}, {who}", cost.ms, "ms")
            yield Measure(f"{name}, {who}", cost.mb, "MB")


def worst() -> Iterator[Measure]:
    """Peak memory of the largest accepted file of each kind, next to the limit.

    For as many bytes as a file may have: some of these have more, as noise does not compress.
    """
    limit = (decoding.UPLOAD.large.memory + decoding_pool.SLACK) / 1e6
    for name, (kind, mode, options) in WORST.items():
        image = photo(0.98 * decoding.pixel_limit(name) / 1e6).convert(mode)
        data = saved(image, kind, **options)
        taken = by_ours(data).mb + (decoding.MAX_BYTES - len(data)) / 1e6
        yield Measure(f"{name}, largest", taken, "MB", limit)


def small() -> Iterator[Measure]:
    """What a process of its own adds to a small photo, and what it takes."""
    data = saved(photo(0.2), "JPEG")
    header = image_headers.read(data)
    calls: dict[str, Callable[[], object]] = {
        "apart": lambda: decoding.decode(data),
        "here": lambda: decoders.decode(data, header),
    }
    times = median_times(calls, ROUNDS)
    yield Measure("small JPEG, in this process", times["here"], "ms")
    added = times["apart"] - times["here"]
    yield Measure("small JPEG, added by another", added, "ms", ADDED_LIMIT_MS)
    taken = memory(decoding.UPLOAD.small, "VmRSS")
    yield Measure("resident memory of a process", taken, "MB", WORKER_LIMIT_MB)


def main() -> int:
    """Measure and print; 1 where a limit is broken."""
    return finish("Reading photos", [*small(), *against_pillow(), *worst()])


if __name__ == "__main__":
    sys.exit(main())
