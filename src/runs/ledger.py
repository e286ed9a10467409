"""The ledger of readings: when the test images of a study were read, by what, and why.

    outputs/<study>/readings.csv      one row per publication, appended to and never changed

Test images are read once per published version. Whoever chooses, after a reading, what the next
version trains has seen what the last one scored, so every further reading says a little less about
new images; how often that was is part of every figure (Dwork et al., Science 349, 2015).
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src import config
from src.runs.published import RunCorrupt

FILE = "readings.csv"
FIRST, FURTHER = "first publication", "a new version"
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


@dataclass(frozen=True)
class Reading:
    """One reading of test images.

    version: the one published. date: ISO. revision: of the code, 12 digits. test_images: SHA-256
    of their ids. models: names of those scored for the first time, with spaces between. reason: why
    the images were read again.
    """

    version: str
    date: str
    revision: str
    test_images: str
    models: str
    reason: str


def readings(study: str) -> list[Reading]:
    """All readings of a study's test images, oldest first; none where no ledger is kept.

    Raises:
        RunCorrupt: the file is no ledger.
    """
    path = _path(study)
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [Reading(**row) for row in csv.DictReader(stream)]
    except (OSError, TypeError, ValueError) as error:
        raise RunCorrupt(f"{study}/{FILE} is no ledger of readings ({error}).") from error


def number(study: str, version: str) -> int | None:
    """Which reading of its test images a version is: 1 for the first; None where none is noted.

    Only readings of the same test images count.
    """
    known = readings(study)
    places = [place for place, reading in enumerate(known) if reading.version == version]
    if not places:
        return None
    return _times(known[: places[-1] + 1], known[places[-1]].test_images)


def upcoming(study: str, test_images: str) -> int:
    """Which reading of these test images (SHA-256 of their ids) the next one is."""
    return _times(readings(study), test_images) + 1


def _times(known: list[Reading], test_images: str) -> int:
    return sum(reading.test_images == test_images for reading in known)


def sentence(count: int | None) -> str:
    """What it means that this is reading number `count` of test images; empty where unknown."""
    if count is None:
        return ""
    if count == 1:
        return "This is the first published reading of these test images."
    ordinal = ORDINALS[count - 1] if count <= len(ORDINALS) else f"{count}th"
    return (
        f"This is the {ordinal} published reading of these test images. What the earlier versions "
        "scored on them was known when this one was planned, so these figures may be a little too "
        "good."
    )


def record(study: str, version: str, manifest: dict[str, Any], models: str, reason: str) -> None:
    """Note that the test images are read for a version; before it is published.

    Args:
        study: of the version.
        version: about to be published.
        manifest: its `code_revision` and `data.test_ids_sha256`.
        models: names of those scored for the first time.
        reason: in a few words; a usual one where it is empty.
    """
    known = readings(study)
    reading = Reading(
        version=version,
        date=datetime.now(UTC).date().isoformat(),
        revision=str(manifest["code_revision"])[:12],
        test_images=str(manifest["data"]["test_ids_sha256"]),
        models=models,
        reason=" ".join(reason.split()) or (FURTHER if known else FIRST),
    )
    _append(_path(study), reading, header=not known)


def _path(study: str) -> Path:
    return config.outputs() / study / FILE


def _append(path: Path, reading: Reading, *, header: bool) -> None:
    """One row more, as one write that is on the disk before anything else happens."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Reading)], lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerow(asdict(reading))
    with path.open("ab") as stream:
        stream.write(text.getvalue().encode())
        stream.flush()
        os.fsync(stream.fileno())
