"""Every published run in one row, and the numbers of others beside it (inputs/references.toml)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from src import config
from src.runs.published import Run


class ReferenceError(ValueError):
    """The file cannot be used; the message says which entry and why."""


@dataclass(frozen=True)
class Headline:
    """What a run amounts to: its default model on its test pictures."""

    study: str
    version: str
    title: str  # of the data set
    profile: str
    created: str  # ISO 8601, UTC
    model: str  # title of the default model
    accuracy: float  # 0 to 1, of the test pictures, with its 95 % interval
    low: float
    high: float
    n: int  # test pictures
    parameters: int | None
    pictures: int  # of all splits
    classes: int
    shape: tuple[int, int, int]  # height, width, channels
    test_ids_sha256: str  # runs of a study are only ranked where it is equal


@dataclass(frozen=True)
class Reference:
    """A number of other people; `low` and `high` are accuracies, equal where there is one."""

    name: str
    low: float
    high: float
    split: str
    source: str
    n: int | None = None  # pictures it was counted on, where the source says so


def headline(run: Run) -> Headline:
    """The row of a run. Raises `runs.RunError` where it cannot be read."""
    record, card = run.model(run.default_model), run.dataset
    test = record.metrics["splits"]["test"]
    accuracy = test["metrics"]["accuracy"]
    height, width, channels = card["image_shape"]
    return Headline(
        study=run.study,
        version=run.version,
        title=card["title"],
        profile=run.manifest["profile"],
        created=run.manifest["created"],
        model=record.config["title"],
        accuracy=accuracy["value"],
        low=accuracy["low"],
        high=accuracy["high"],
        n=test["n"],
        parameters=record.metrics["cost"].get("parameters"),
        pictures=card["totals"]["all"],
        classes=len(card["classes"]),
        shape=(height, width, channels),
        test_ids_sha256=card["test_ids_sha256"],
    )


def references(study: str) -> list[Reference]:
    """The numbers of others for a study, highest first.

    Raises:
        ReferenceError: an entry lacks something, or is no accuracy.
    """
    path = config.stated() / "references.toml"
    entries = tomllib.loads(path.read_text("utf-8")).get(study, [])
    found = [_reference(study, entry) for entry in entries]
    return sorted(found, key=lambda reference: -reference.high)


def _reference(study: str, entry: dict[str, Any]) -> Reference:
    try:
        reference = Reference(**entry)
    except TypeError as error:
        raise ReferenceError(f"A reference of {study} cannot be read: {error}") from error
    if not 0 <= reference.low <= reference.high <= 1:
        raise ReferenceError(f"{reference.name}: low and high are accuracies from 0 to 1.")
    return reference
