"""Names of a zip's members, in whatever encoding the system that packed it wrote them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable

from src.data import name_encodings

UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075  # extra field of Info-ZIP: the name once more, as UTF-8
WINDOWS = 0  # the system that a member says it was packed on


def names(members: Iterable[zipfile.ZipInfo]) -> list[str]:
    """The path of each member, with slashes between folders."""
    members = list(members)
    unknown = [_raw(member) for member in members if not _known(member)]
    encoding = name_encodings.guessed(raw for raw in unknown if not raw.isascii())
    return [_slashed(_known(member) or _raw(member).decode(encoding), member) for member in members]


def _known(member: zipfile.ZipInfo) -> str:
    """The name where the zip itself says what it is; empty where it does not."""
    return member.orig_filename if member.flag_bits & UTF8_FLAG else _unicode_path(member.extra)


def _raw(member: zipfile.ZipInfo) -> bytes:
    return member.orig_filename.encode("cp437")  # which is how zipfile decoded it


def _unicode_path(extra: bytes) -> str:
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == UNICODE_PATH and size > 5:
            return extra[9 : 4 + size].decode("utf-8", "ignore")
        extra = extra[4 + size :]
    return ""


def _slashed(name: str, member: zipfile.ZipInfo) -> str:
    """With slashes where backslashes separate folders, which they do in no name from Unix."""
    separates = member.create_system == WINDOWS or "/" not in name
    return name.replace("\\", "/") if separates else name
