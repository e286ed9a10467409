"""Nearly equal images, found by a few values of each: the same photo saved anew, resized, cropped.

Images are compared by the difference hash (a bit for each place that is brighter than its left
neighbour) and, because images on the same background agree in many bits, by colour. No image is
compared with all others: of seven bands of the bits two nearly equal images have one in common, and
what belongs to a group already is not looked at again. That is linear in ordinary folders, and in
folders of copies too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIGNATURE = (8, 9, 3)  # rows, columns, RGB: 8 × 8 differences between neighbours make 64 bits
# Nearly the same are images of which no more of the 64 bits differ, and whose values (0–255)
# differ by no more on average. Of 1,000 photos of clothes on few backgrounds these two kept all
# pairs of different garments apart, and found copies saved anew, resized or cropped by a fiftieth.
NEAR_BITS, NEAR_LEVELS = 6, 8.0
BANDS = NEAR_BITS + 1  # with six different bits, one of seven bands is the same

Signatures = NDArray[np.uint8]  # (n, *SIGNATURE)
Integers = NDArray[np.int64]


def signature(pixels: NDArray[np.uint8]) -> Signatures:
    """The few values, *SIGNATURE, of an image (H, W, 1 or 3) to find nearly equal ones by."""
    rows, columns, _ = SIGNATURE
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    return np.asarray(image.resize((columns, rows), Image.Resampling.BOX))


def groups(colours: Signatures) -> Integers:
    """The group (n,) of each image, given their signatures: the place of its first member.

    Nearly equal images share a group, and so do those that are so only through others.
    """
    if not len(colours):
        return np.array([], np.int64)
    flat = colours.reshape(len(colours), np.prod(SIGNATURE))
    _, first, inverse = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    found = _components(colours[first])  # of the different signatures
    lowest = np.full(len(first), len(colours))
    np.minimum.at(lowest, found, first)
    return np.asarray(lowest[found][inverse], np.int64)


def _components(colours: Signatures) -> Integers:
    """The number (n,) of the connected component of each signature."""
    search, component = _Search(colours), np.full(len(colours), -1)
    for start in range(len(colours)):
        if component[start] < 0:
            search.take(np.array([start]))
            queue = [start]
            while queue:
                component[queue[-1]] = start
                queue += search.near(queue.pop()).tolist()
    return component


class _Search:
    """Signatures that belong to no group yet, by the bands of their bits."""

    def __init__(self, colours: Signatures) -> None:
        self.values, self.bits = _values(colours), difference_hash(colours)
        self.free = np.ones(len(colours), np.bool_)
        self.keys = _bands(_rising(colours))  # (n, BANDS)
        self.buckets = [dict(_buckets(column)) for column in self.keys.T]

    def near(self, place: int) -> Integers:
        """The free ones that are nearly equal to one, which are free no more."""
        found = np.unique(np.concatenate(list(self._candidates(place))))
        found = found[_gaps(self.values[found], self.values[place]) <= NEAR_LEVELS]
        self.take(found)
        return found

    def take(self, places: Integers) -> None:
        """From now on these belong to a group."""
        self.free[places] = False

    def _candidates(self, place: int) -> Iterator[Integers]:
        for buckets, key in zip(self.buckets, self.keys[place].tolist(), strict=True):
            free = buckets[key] = buckets[key][self.free[buckets[key]]]  # taken is taken for good
            yield free[np.bitwise_count(self.bits[free] ^ self.bits[place]) <= NEAR_BITS]


def difference_hash(colours: Signatures) -> NDArray[np.uint64]:
    """The 64 bits (n,) of each signature: whether a place is brighter than its left neighbour."""
    return np.packbits(_rising(colours), axis=1).view(np.uint64)[:, 0]


def _rising(colours: Signatures) -> NDArray[np.bool_]:
    light = colours.sum(3, dtype=np.int16)
    return np.asarray((light[:, :, 1:] > light[:, :, :-1]).reshape(len(colours), 64))


def _values(colours: Signatures) -> NDArray[np.int16]:
    return colours.reshape(len(colours), np.prod(SIGNATURE)).astype(np.int16)


def _gaps(some: NDArray[np.int16], one: NDArray[np.int16]) -> NDArray[np.float64]:
    """(n,) mean absolute difference of the values, 0–255."""
    return np.asarray(np.abs(some - one).mean(-1))


def _bands(rising: NDArray[np.bool_]) -> Integers:
    """(n, BANDS) the bits (n, 64) in bands of nine or ten.

    What all images have in common, such as a white ground, tells nothing: each band has its share
    of the bits that differ most.
    """
    share = rising.mean(0)
    order = np.argsort(-share * (1 - share), kind="stable")
    parts = [rising[:, order[band::BANDS]] for band in range(BANDS)]
    return np.stack([part @ (1 << np.arange(part.shape[1])) for part in parts], 1).astype(np.int64)


def _buckets(keys: Integers) -> Iterator[tuple[int, Integers]]:
    """Each value of `keys` (n,) with the places that have it."""
    order = np.argsort(keys, kind="stable")
    values, starts = np.unique(keys[order], return_index=True)
    return zip(values.tolist(), np.split(order, starts[1:]), strict=False)  # none of none


# --- the nearest ---------------------------------------------------------------------------------


def nearest(
    colours: Signatures, group: Integers, kinds: Integers, most: int = 200
) -> dict[int, list[int]]:
    """For each image, by its place, the nearest earlier one of each kind, nearest in bits first.

    Args:
        group: (n,) as `groups` gives it; only members of one group are compared.
        kinds: (n,) number of the split and class of each image.
        most: so many members of a group and kind are looked at, the first ones.
    """
    values, bits = _values(colours), difference_hash(colours)
    found: dict[int, list[tuple[int, int]]] = {}
    for members in _repeated(group):
        for kind in np.unique(kinds[members]):
            some = members[kinds[members] == kind][:most]
            for place in members[members > some[0]].tolist():
                before = some[: int(np.searchsorted(some, place))]
                differ = np.bitwise_count(bits[before] ^ bits[place])
                near = _gaps(values[before], values[place]) <= NEAR_LEVELS
                if len(close := np.flatnonzero(near & (differ <= NEAR_BITS))):
                    best = close[np.argmin(differ[close])]
                    found.setdefault(place, []).append((int(differ[best]), int(before[best])))
    return {place: [other for _, other in sorted(found[place])] for place in sorted(found)}


def _repeated(group: Integers) -> Iterator[Integers]:
    """The places of each group of more than one image, in rising order."""
    return (places for _, places in _buckets(group) if len(places) > 1)
