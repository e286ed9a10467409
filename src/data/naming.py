"""Names of files and classes: which cannot be used, which are a system's own, which look alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

# Folders and files that systems, cameras and network drives leave beside somebody's photos; what
# begins with a dot is skipped too. In small letters.
SYSTEM_NAMES = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("$recycle.bin", "recycler", "system volume information", "#recycle", "@recycle", "#snapshot"),
    *("@eadir", "@tmp", "@__thumb", "lost+found"),
}
UNWRITABLE = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of characters, and breaks of lines
OPEN_BOX = "\N{OPEN BOX}"  # ␣, which shows a space at the end of a name


def normal(name: str) -> str:
    """A name in Unicode's composed form (NFC), so that an accent is the same on every system."""
    return unicodedata.normalize("NFC", name)


def shown(name: str) -> str:
    """A name that may be printed and stored, whatever bytes it was made of."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _unwritable(char) else char for char in name)


def _unwritable(char: str) -> bool:
    return unicodedata.category(char) in UNWRITABLE


def is_unsafe(path: str) -> bool:
    """Whether a relative path leads out of its folder or holds what cannot be written or shown."""
    pieces = path.split("/")
    return ".." in pieces or "" in pieces or any(map(_unwritable, path))


def system_part(path: str) -> str:
    """The uppermost folder or file of a path that is hidden or a system's own; empty if none is."""
    pieces = path.split("/")
    for depth, piece in enumerate(pieces, 1):
        hidden = piece.startswith(".") and piece not in (".", "..")
        if hidden or piece.casefold() in SYSTEM_NAMES:
            return "/".join(pieces[:depth])
    return ""


def natural(name: str) -> tuple[list[Any], str]:
    """Sort key by which "shelf 9" comes before "Shelf 10"."""
    pieces = re.split(r"(\d+)", name)
    return [int(p) if i % 2 else p.casefold() for i, p in enumerate(pieces)], name


# --- names that look alike -----------------------------------------------------------------------


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names that a person reads as one, each in natural order.

    They differ in case, in spaces, in width, in invisible marks, or in letters of other alphabets
    that look like Latin ones (Unicode's confusables, UTS #39).
    """
    found = sorted(set(names), key=natural)
    group = {name: name for name in found}
    for key in (folded, _latin):
        first: dict[str, str] = {}
        for name in found:
            other = first.setdefault(key(name), name)
            _join(group, other, name)
    groups = [tuple(n for n in found if group[n] == head) for head in found if group[head] == head]
    return [names for names in groups if len(names) > 1]


def _join(group: dict[str, str], one: str, other: str) -> None:
    old, new = group[other], group[one]
    for name, head in group.items():
        if head == old:
            group[name] = new


def folded(name: str) -> str:
    """A name without what case, width, invisible marks and spaces add to it."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(char for char in plain if unicodedata.category(char) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).split())


def _latin(name: str) -> str:
    """`folded`, with Latin letters for those that look like them, as small and as capital."""
    return folded(_replaced(folded(_replaced(unicodedata.normalize("NFKC", name)))))


def _replaced(name: str) -> str:
    return "".join(lookalike(char) for char in name)


def lookalike(char: str) -> str:
    """The ASCII letter that a letter of another alphabet looks like; else the letter itself."""
    if char.isascii() or not char.isalpha():
        return char
    from confusable_homoglyphs import confusables

    found = confusables.is_confusable(char, greedy=True, preferred_aliases=["latin"])
    likes = [one["c"] for entry in found or [] for one in entry["homoglyphs"]]
    return next((like for like in sorted(likes) if len(like) == 1 and like.isascii()), char)


def distinct(name: str) -> str:
    """A name with what the eye misses: spaces at its ends, and letters of other alphabets."""
    foreign = [f"U+{ord(c):04X} for {lookalike(c)}" for c in dict.fromkeys(name) if _foreign(c)]
    return f"{edged(name)} ({', '.join(foreign)})" if foreign else edged(name)


def edged(name: str) -> str:
    """A name with the spaces at its ends made visible: "Shoes␣"."""
    inner = name.strip()
    start = len(name) - len(name.lstrip())
    return OPEN_BOX * start + inner + OPEN_BOX * (len(name) - len(inner) - start)


def _foreign(char: str) -> bool:
    return lookalike(char) != char


def merged(counts: Sequence[tuple[str, int]]) -> dict[str, str]:
    """Each name of a group of look-alikes → the one of the group that has the most images.

    Args:
        counts: (name, images); of equally frequent names the first in natural order stands.
    """
    images = dict(counts)
    return {
        name: max(group, key=lambda one: images[one])
        for group in look_alikes(images)
        for name in group
    }
