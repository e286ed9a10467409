"""Labels from a table: `labels.csv` beside the photos, as shop systems export it.

    path,label,split,group
    img/1.jpg,Shoes,train,4711

`split` and `group` are optional: train, validation or test (empty: train), and what photos of one
product have in common, which then stay in one split.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from src.data import name_encodings, naming
from src.data.formats import DataError
from src.data.trees import TABLE, File

COLUMNS = ("path", "label", "split", "group")
SEPARATORS = ",;\t"  # Excel writes the second where a comma stands in numbers
LONGEST = 64 * 2**20  # bytes

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class Row(NamedTuple):
    """What a table says of one photo."""

    path: str
    label: str
    part: str
    group: str


def read(file: File) -> list[Row]:
    """The rows of a table.

    Raises:
        DataError: a column or a label is missing, a split is none, or a path stands there twice.
    """
    if file.size > LONGEST:
        raise DataError(f"{TABLE} has more than {LONGEST // 2**20} MB.")
    content = file.read().removeprefix(b"\xef\xbb\xbf")
    lines = content.decode(name_encodings.guessed([content]), "replace").splitlines()
    rows = list(csv.reader(lines, delimiter=_separator(lines)))
    places = _places(rows[0] if rows else [])
    found = [_row(row, number, places) for number, row in enumerate(rows[1:], 2) if any(row)]
    if twice := [path for path, n in Counter(row.path for row in found).items() if n > 1]:
        raise DataError(f"{TABLE} has {twice[0]} more than once. Keep one line of it.")
    return found


def _separator(lines: Sequence[str]) -> str:
    first = lines[0] if lines else ""
    return max(SEPARATORS, key=first.count)


def _places(header: Sequence[str]) -> dict[str, int]:
    names = [name.strip().casefold() for name in header]
    if missing := [name for name in COLUMNS[:2] if name not in names]:
        raise DataError(
            f"{TABLE} has no column {' and no column '.join(missing)}. Its first line must name "
            "the columns: path,label and, if you like, split and group."
        )
    return {name: names.index(name) for name in COLUMNS if name in names}


def _row(cells: Sequence[str], number: int, places: dict[str, int]) -> Row:
    values = {name: _cell(cells, place) for name, place in places.items()}
    path = naming.normal(values["path"].replace("\\", "/")).removeprefix("./")
    split = values.get("split", "")
    if not path or not values["label"]:
        raise DataError(f"{TABLE}, line {number}: path or label is empty.")
    if split and split.casefold() not in PARTS:
        raise DataError(f"{TABLE}, line {number}: the split is train, validation or test: {split}.")
    part = PARTS.get(split.casefold(), "train")
    return Row(path, naming.shown(naming.normal(values["label"])), part, values.get("group", ""))


def _cell(cells: Sequence[str], place: int) -> str:
    return cells[place].strip() if place < len(cells) else ""


def matched(rows: Iterable[Row], paths: Sequence[str]) -> tuple[dict[str, Row], list[Row]]:
    """The row of each path that has one, and the rows whose photo is not there.

    A path may be written in other case, or be the name alone of a file that is the only such one.
    """
    exact = dict.fromkeys(paths)
    other = _unique((path.casefold(), path) for path in paths)
    names = _unique((path.rpartition("/")[2].casefold(), path) for path in paths)
    found: dict[str, Row] = {}
    lost = []
    for row in rows:
        written = row.path.casefold()
        path = row.path if row.path in exact else other.get(written) or names.get(written)
        if path is None or path in found:
            lost.append(row)
        else:
            found[path] = row
    return found, lost


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Key → path, for the keys that only one path has."""
    listed = list(pairs)
    counts = Counter(key for key, _ in listed)
    return {key: path for key, path in listed if counts[key] == 1}
