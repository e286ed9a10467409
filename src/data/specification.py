"""Specifications: everything in which one study differs from another, read from its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic.dataclasses import dataclass

from src.data.formats import Raw
from src.data.plans import CHECKED, Augmentation, Plan, Share

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=CHECKED)
class RemoteFile:
    """One file of a source: its name, content hash, size in bytes and, if public, its address."""

    name: str
    sha256: Sha256 | None = None  # None: not known beforehand; what was found is recorded
    bytes: Annotated[int, Field(gt=0)] | None = None
    url: str | None = None


@plain_dataclass(frozen=True)
class Layout:
    """One form in which a data set is distributed, and the function that reads it."""

    name: str
    files: tuple[RemoteFile, ...]
    read: Callable[[Path], Raw]
    images_in: Mapping[str, str] = field(default_factory=dict)  # split → Parquet file of its ids


Fit = Literal["crop", "pad"]
DIGITS = ((28, 28, 1), (8, 8, 1))  # (H, W, C) of the images in which a digit can be placed


@dataclass(frozen=True, config=CHECKED)
class Uploads:
    """How a visitor's photo is prepared for the models of a study.

    fit: photos of other proportions are cut or padded, where the whole photo is the image.
    ground: "dark" where the study's images are light on black; then photos are inverted.
    placement: the whole photo, the garment in it placed as in Fashion-MNIST's images, or the digit
    in it placed as the makers of MNIST and of the UCI digits did.
    """

    fit: Fit = "crop"
    ground: Literal["any", "dark"] = "any"
    placement: Literal["whole", "garment", "digit"] = "whole"

    @model_validator(mode="after")
    def _fitting(self) -> Uploads:
        if self.placement != "whole" and self.ground != "dark":
            raise ValueError(f'placement = "{self.placement}" needs ground = "dark"')
        return self


@dataclass(frozen=True, config=CHECKED)
class Reference:
    """A published result of other people; `low` and `high` are accuracies, equal where it is one.

    Quoted with its source, for comparison, never as ours.
    """

    name: str
    low: Share
    high: Share
    split: Literal["test", "validation"]
    source: str
    n: Annotated[int, Field(gt=0)] | None = (
        None  # images it was counted on, where the source says so
    )

    @model_validator(mode="after")
    def _ordered(self) -> Reference:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) must not be above high ({self.high:g})")
        return self


@dataclass(frozen=True, config=CHECKED)
class Limit:
    """What others found out about a test set itself, and where they say so."""

    text: str
    source: str


@plain_dataclass(frozen=True)
class StudySpec:
    """Everything in which one study differs from another."""

    name: str
    title: str
    description: str
    classes: tuple[str, ...]  # in the order of the labels and of every model's outputs
    image_shape: tuple[int, int, int]
    licence: str
    citation: str
    homepage: str
    augmentation: Augmentation
    content_sha256: str | None  # of all images with their labels, in any order; None: not known
    validation_share: float  # of the official training set
    subset_share: float  # of the official training set
    layouts: tuple[Layout, ...] = ()
    read_package: Callable[[], Raw] | None = None  # data that ships inside a Python package
    package: str = ""  # the Python or Debian package that carries the data
    system: Path | None = None  # where that Debian package puts it
    folder: Path | None = None  # the user's own images: a folder or a zip
    test_share: float | None = None  # None: the official test set stays the test set
    drawing: bool = False  # whether a drawing is something that its models can read
    uploads: Uploads = field(default_factory=Uploads)
    plan: Plan = field(default_factory=Plan)
    notebooks: tuple[int, ...] = ()  # committed as this study's run, the default study's aside
