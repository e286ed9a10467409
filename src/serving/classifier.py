"""The one place that decides: which model classifies, and which photos a person must check.

The page, the canvas, the API and every later way in open a `Classifier` and give it model inputs
(`preparation.prepare` makes them). Nothing else compares a confidence with a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.data import images, studies
from src.data.formats import DataError
from src.evaluation import metrics, thresholds
from src.runs import published
from src.serving import inference

Decision = Literal["automatic", "check"]  # "unknown" will join them: nothing that the model knows


class NotServed(Exception):
    """The model was only compared, so it classifies no new images."""


@dataclass(frozen=True)
class Classification:
    """What a model says about one image, and what happens to that image.

    classes: names of all classes, in the model's order. probabilities: float32 (K,), calibrated,
    summing to 1. activation: float32 (h, w, K), evidence for each class at each place. decision:
    "automatic" where no person needs to check the image, else "check". reason: why, in a few
    words. milliseconds: the model's time for all images classified together, divided by their
    number (`batch`).
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    activation: NDArray[np.float32]
    decision: Decision
    reason: str
    milliseconds: float
    batch: int

    @property
    def index(self) -> int:
        """Position of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[self.index]

    @property
    def confidence(self) -> float:
        """Probability of the most probable class, 0 to 1."""
        return float(self.probabilities.max())

    @property
    def automatic(self) -> bool:
        """Whether the image is sorted automatically."""
        return self.decision == "automatic"


@dataclass(frozen=True)
class Classifier:
    """A served model of a run with the thresholds of its classes.

    sorting: the figures behind the decisions, measured on the run's test images: thresholds,
    promised precisions, automation rate and precisions with n and 95 % intervals. None where the
    study has no target precision.
    """

    run: published.Run
    model: inference.ServedModel
    sorting: thresholds.Sorting | None

    @classmethod
    def open(
        cls,
        study: str,
        version: str | None = None,
        model: str | None = None,
        precision: str = "float32",
    ) -> Classifier:
        """A classifier of a study: of its newest version and default model unless named.

        Raises:
            published.RunError: it is not there, or was changed after publication.
            NotServed: the model was only compared.
            inference.InferenceError: the precision is unknown.
        """
        return cls.of(find_run(study, version), model, precision)

    @classmethod
    def of(
        cls, run: published.Run, model: str | None = None, precision: str = "float32"
    ) -> Classifier:
        """A classifier of an open run; for what is raised see `open`."""
        name = model or run.default_model
        if not run.model(name).served:
            served = ", ".join(run.served)
            raise NotServed(f"{name} was only compared and classifies nothing (use {served}).")
        return cls(run, inference.load(run, name, precision), _sorting_if_stated(run, name))

    def threshold(self, label: str) -> float | None:
        """Confidence from which an image of this predicted class is sorted; None: no image is."""
        return self.sorting.of(label).threshold if self.sorting else None

    def classify(
        self, pixels: NDArray[np.uint8], doubts: Sequence[str] | None = None
    ) -> list[Classification]:
        """Classify model inputs, uint8 (n, H, W, C), together; the results share no memory.

        Args:
            pixels: the model inputs.
            doubts: for each, why it may not show what the photo shows (`Prepared.doubt`).

        Raises:
            inference.InferenceError: see `ServedModel.predict`.
        """
        predicted, blank = self.model.predict(pixels), images.blank(pixels)
        doubts = doubts or [""] * len(pixels)
        return [
            self._classification(predicted, i, bool(blank[i]), doubts[i])
            for i in range(len(pixels))
        ]

    def _classification(
        self, predicted: inference.Prediction, i: int, blank: bool, doubt: str
    ) -> Classification:
        probabilities, n = predicted.probabilities[i].copy(), len(predicted.probabilities)
        label = self.model.classes[int(probabilities.argmax())]
        decision, reason = self.decide(label, float(probabilities.max()), blank, doubt)
        return Classification(
            classes=self.model.classes,
            probabilities=probabilities,
            activation=predicted.activation[i].copy(),
            decision=decision,
            reason=reason,
            milliseconds=predicted.milliseconds / n,
            batch=n,
        )

    def decide(
        self, label: str, confidence: float, blank: bool = False, doubt: str = ""
    ) -> tuple[Decision, str]:
        """What happens to an image, and why.

        Args:
            label: its most probable class.
            confidence: probability of that class, 0 to 1.
            blank: whether it shows one colour only (`images.blank`).
            doubt: why it may not show what the photo shows; empty where nothing says so.
        """
        if blank:
            return "check", "one colour only, nothing to recognise"
        if doubt:
            return "check", doubt
        if self.sorting is None:
            return "check", "this study has no target precision"
        threshold = self.sorting.of(label).threshold
        if threshold is None:
            return "check", _always_checked(self.sorting, label)
        left, right = _apart(confidence, threshold)
        if confidence >= threshold:
            return "automatic", f"confidence {left} ≥ {right}"
        return "check", f"confidence {left} < {right}"


def find_run(study: str, version: str | None = None) -> published.Run:
    """A published version, the newest unless named; RunError where it cannot be used."""
    names = published.studies()
    if study not in names:
        known = ", ".join(names) or "none"
        raise published.RunNotFound(f"There is no published study {study} (published: {known}).")
    return published.open_run(study, version or published.versions(study)[0])


def sorting(run: published.Run, model: str) -> thresholds.Sorting:
    """How automatic sorting does on test with a model of a run.

    The thresholds are chosen on validation. Both come from the predictions published with the run.

    Raises:
        DataError: the study's target precision cannot be read.
    """
    target = studies.case(run.study).sorting
    predictions = run.model(model).predictions
    parts = (metrics.from_frame(predictions, split) for split in ("validation", "test"))
    return thresholds.sorting(target, *parts)


def _sorting_if_stated(run: published.Run, model: str) -> thresholds.Sorting | None:
    """`sorting`; None where the target precision is missing: then people check every image."""
    try:
        return sorting(run, model)
    except DataError:
        return None


def _always_checked(sorting: thresholds.Sorting, label: str) -> str:
    """Why no image that is taken for this class is sorted automatically."""
    why = sorting.of(label).why
    if why == "few":
        return f"{label} is always checked: too few validation images"
    if why == "mistakes" and sorting.threshold is not None:
        return f"{label} is always checked: too many mistakes on validation images"
    target = f"{100 * sorting.target:g}\N{NO-BREAK SPACE}%"
    return f"no threshold reaches {target} precision on validation"


def _apart(first: float, second: float) -> tuple[str, str]:
    """Two shares as percentages with as many decimals as tell them apart, and from 100 %."""
    decimals = 1
    while decimals < 6 and first != second and _alike(first, second, decimals):
        decimals += 1
    left, right = (f"{100 * share:.{decimals}f}\N{NO-BREAK SPACE}%" for share in (first, second))
    return left, right


def _alike(first: float, second: float, decimals: int) -> bool:
    rounded = [round(100 * share, decimals) for share in (first, second)]
    certain = any(r == 100 and s < 1 for r, s in zip(rounded, (first, second), strict=True))
    return certain or rounded[0] == rounded[1]
