"""The search for nearly equal images against comparing all with all, and how it grows.

    python benchmarks/near_duplicates.py

Comparing all pairs of 20,000 alike signatures takes more than an hour. It is measured on a
twentieth of them, which is a 400th of the pairs. The worst case is a folder of nothing but one
photo; an ordinary one has photos that differ.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.interleaved import median_times
from benchmarks.report import Measure, finish
from src.data import near_duplicates

N, PART, ROUNDS = 20_000, 20, 3
LEAST_FASTER, MOST_GROWTH = 50, 3.0


def alike(n: int) -> NDArray[np.uint8]:
    """Signatures of one photo, each with a little noise of its own."""
    random = np.random.default_rng(0)
    photo = random.integers(20, 230, near_duplicates.SIGNATURE)
    return (photo + random.integers(-1, 2, (n, *photo.shape))).astype(np.uint8)


def ordinary(n: int) -> NDArray[np.uint8]:
    """Signatures of different soft photos."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (n, 4, 4, 3), np.uint8)
    return np.stack([near_duplicates.signature(_enlarged(values)) for values in coarse])


def _enlarged(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(values).resize((36, 32), Image.Resampling.BICUBIC))


def by_comparing_all(colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The groups as they were found before: every pair, and the whole array for each of them."""
    group = np.arange(len(colours))
    for first, second in _pairs(colours):
        group[group == group[second]] = group[first]
    return group


def _pairs(colours: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    values = colours.reshape(len(colours), -1).astype(np.int16)
    bits = near_duplicates.difference_hash(colours)
    different = np.bitwise_count(bits[:, None] ^ bits[None, :])
    for first, second in np.argwhere(different <= near_duplicates.NEAR_BITS):
        gap = np.abs(values[first] - values[second]).mean() if first < second else np.inf
        if gap <= near_duplicates.NEAR_LEVELS:
            yield int(first), int(second)


def main() -> int:
    """Measure and print; 1 where the search is too slow or grows too fast."""
    copies, photos = alike(N), ordinary(N)
    median = median_times(
        {
            "all": lambda: by_comparing_all(copies[: N // PART]),
            "copies": lambda: near_duplicates.groups(copies),
            "half": lambda: near_duplicates.groups(photos[: N // 2]),
            "photos": lambda: near_duplicates.groups(photos),
        },
        ROUNDS,
        warm_up=0,
    )
    whole = PART**2 * median["all"]
    growth = median["photos"] / median["half"]
    return finish(
        f"Groups of nearly equal images, median of {ROUNDS} rounds interleaved",
        [
            Measure(f"comparing all of {N:,} alike, from a part", whole, "ms"),
            Measure(f"the search on {N:,} alike", median["copies"], "ms"),
            Measure("times as fast", whole / median["copies"], "×", LEAST_FASTER, at_least=True),
            Measure(f"the search on {N:,} ordinary", median["photos"], "ms"),
            Measure("growth from half as many", growth, "×", MOST_GROWTH),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
