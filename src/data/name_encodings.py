"""Encodings of file names: bytes in an unknown encoding → text, by the evidence of all names.

A zip says of a name only whether it is UTF-8, and a disk does not even say that. Otherwise it is in
the encoding of the system that wrote it. Detectors made for whole texts guess wrongly for a handful
of short names, so the few encodings that systems write are judged by what each would mean: all
names must be valid in it, and its characters must be the common ones of its script.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable

# In the order in which equally plausible ones are taken.
DOUBLE_BYTE = ("cp932", "cp949", "gbk", "cp950")
SINGLE_BYTE = ("cp1252", "cp437")
# First bytes of the characters in daily use: level 1 of JIS X 0208, GB 2312 and Big5, and the
# syllables of KS X 1001. Each standard puts rare characters elsewhere.
COMMON = {"cp932": (0x88, 0x98), "cp949": (0xB0, 0xC8), "gbk": (0xB0, 0xD7), "cp950": (0xA4, 0xC6)}
TRAILING = {"cp949": 0xA1, "gbk": 0xA1}  # first second byte of those standards, without extensions
PUNCTUATION = "\N{RIGHT SINGLE QUOTATION MARK}\N{EN DASH}\N{DEGREE SIGN}"  # that names have
WORD = re.compile(r"[^\W\d_]+")
# A byte of a name on disk that is no UTF-8, as Python hands it on.
STRAY_BYTE = re.compile("[\udc80-\udcff]")


def readable(paths: Iterable[str]) -> dict[str, str]:
    """Those of these relative POSIX paths from a disk that are no UTF-8 → the same as text."""
    strange = [path for path in paths if STRAY_BYTE.search(path)]
    pieces = {piece for path in strange for piece in path.split("/") if STRAY_BYTE.search(piece)}
    encoding = guessed(map(os.fsencode, sorted(pieces)))
    names = {piece: os.fsencode(piece).decode(encoding) for piece in pieces}
    return {
        path: "/".join(names.get(piece, piece) for piece in path.split("/")) for path in strange
    }


def guessed(raw: Iterable[bytes]) -> str:
    """The encoding in which all names, together, are valid and most plausible; cp437 for none."""
    found = list(dict.fromkeys(raw))
    valid = [
        encoding for encoding in ("utf-8", *DOUBLE_BYTE, *SINGLE_BYTE) if _valid(found, encoding)
    ]
    if not found or "utf-8" in valid:
        return "utf-8"
    return max(valid, key=lambda encoding: plausibility(found, encoding))


def _valid(raw: list[bytes], encoding: str) -> bool:
    try:
        return all(name.decode(encoding) is not None for name in raw)
    except UnicodeDecodeError:
        return False


def plausibility(raw: Iterable[bytes], encoding: str) -> float:
    """How much names look like names in an encoding, 0–1: the mean over their non-ASCII bytes."""
    judge = _double_byte if encoding in DOUBLE_BYTE else _single_byte
    pieces = [piece for name in raw for piece in name.decode(encoding).split("/")]
    scores = [score for piece in pieces for score in judge(piece, encoding)]
    return sum(value * size for value, size in scores) / max(1, sum(size for _, size in scores))


def _double_byte(text: str, encoding: str) -> list[tuple[float, int]]:
    """(plausibility, bytes) of each non-ASCII character."""
    scores = []
    for place, char in enumerate(text):
        if not char.isascii():
            near = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
            alone = not any(c.isascii() and c.islower() for c in near)  # scripts seldom mix
            raw = char.encode(encoding)
            scores.append((_common(char, raw, encoding) * (1.0 if alone else 0.5), len(raw)))
    return scores


def _common(char: str, raw: bytes, encoding: str) -> float:
    if len(raw) == 1:
        return 0.3  # half-width katakana
    low, high = COMMON[encoding]
    common = low <= raw[0] <= high and raw[1] >= TRAILING.get(encoding, 0)
    name = unicodedata.name(char, "")
    if name.startswith(("HIRAGANA", "KATAKANA")):
        return 1.0 if encoding == "cp932" else 0.2
    if name.startswith("HANGUL SYLLABLE"):
        return 1.0 if common else 0.1
    if name.startswith("CJK UNIFIED"):
        return 0.1 if encoding == "cp949" else 0.95 if common else 0.2
    return 0.5 if char.isalnum() or unicodedata.category(char)[0] in "PZ" else 0.1


def _single_byte(text: str, _encoding: str) -> list[tuple[float, int]]:
    letters = {
        place: _latin(match[0], place - match.start())
        for match in WORD.finditer(text)
        for place in range(match.start(), match.end())
    }
    return [
        (letters.get(place, 0.5 if char in PUNCTUATION and place else 0.0), 1)
        for place, char in enumerate(text)
        if not char.isascii()
    ]


def _latin(word: str, place: int) -> float:
    """Of a letter in a word: Latin, mostly among ASCII letters, no capital after a small one."""
    if not unicodedata.name(word[place], "").startswith("LATIN"):
        return 0.0
    if place and word[place].isupper() and word[place - 1].islower():
        return 0.2
    return 1.0 if 3 * sum(map(str.isascii, word)) >= len(word) else 0.5
