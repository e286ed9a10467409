"""Stored classical models, loaded only where their SHA-256 is the recorded one.

joblib runs code while it loads, so a file is compared with the SHA-256 in the model's
`config.json` before it is opened. The app never does this: it serves networks only.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from src.classical import ensembles
from src.evaluation import calibration
from src.runs import published
from src.runs.published import Run

Pixels = NDArray[np.uint8]
Rows = NDArray[np.float32]
Floats = NDArray[np.float64]

FEW = 5_000  # images
MADE = "fitted.json"  # beside a kept model: everything but the estimator itself


class ClassifierError(Exception):
    """A fitted classical model is missing or altered; the message says what to do."""


@dataclass(frozen=True)
class Answer:
    """What a classifier says about n images, in their order."""

    probabilities: Floats  # (n, K), rows sum to 1
    milliseconds: float  # wall time for all n, of an ensemble's members together


class Classifier(Protocol):
    """Anything that answers images."""

    def predict(self, images: Pixels) -> Answer:
        """Answer images (n, H, W, C) uint8."""


class Single:
    """One fitted scikit-learn estimator.

    One without probabilities (a support vector machine) answers with the softmax of its scores,
    divided by the `temperature` that was fitted on validation.
    """

    def __init__(self, estimator: Any, temperature: float | None = None) -> None:
        from threadpoolctl import ThreadpoolController

        self.estimator, self.temperature = estimator, temperature
        self._pools = ThreadpoolController()  # looking for them takes longer than most answers

    def predict(self, images: Pixels) -> Answer:
        """Answer images (n, H, W, C) uint8."""
        with self._pools.limit(**threads(len(images))):
            started = time.perf_counter()
            probabilities = self._probabilities(images)
            milliseconds = 1000 * (time.perf_counter() - started)
        return Answer(probabilities, milliseconds)

    def _probabilities(self, images: Pixels) -> Floats:
        if self.temperature is None:
            return np.asarray(self.estimator.predict_proba(rows(images)), np.float64)
        return calibration.softmax(scores(self.estimator, images), self.temperature)


class Ensemble:
    """Several classifiers whose answers (M, n, K) are combined into one (n, K)."""

    def __init__(
        self, members: tuple[Classifier, ...], combine: Callable[[Floats], Floats]
    ) -> None:
        self.members, self.combine = members, combine

    def predict(self, images: Pixels) -> Answer:
        """Answer images (n, H, W, C) uint8, each member in turn."""
        answers = [member.predict(images) for member in self.members]
        started = time.perf_counter()
        combined = self.combine(np.stack([answer.probabilities for answer in answers]))
        own = 1000 * (time.perf_counter() - started)
        return Answer(combined, own + sum(answer.milliseconds for answer in answers))


def threads(n: int) -> dict[str, Any]:
    """Settings for threadpoolctl: one OpenMP thread for few images, as more would mostly wait."""
    return {"limits": 1 if n < FEW else None, "user_api": "openmp"}


def rows(images: Pixels) -> Rows:
    """Images (n, H, W, C) uint8 → (n, H·W·C) shares of full brightness, 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def scores(estimator: Any, images: Pixels) -> Floats:
    """(n, K) margin of each class against its strongest rival, K > 2.

    From the K(K−1)/2 duels of a one-against-one machine; positive for at most one class, which
    then won all its duels.
    """
    duels = np.asarray(estimator.decision_function(rows(images)), np.float64)
    size = len(estimator.classes_)
    first, second = np.triu_indices(size, 1)
    against = np.full((len(duels), size, size), np.inf)
    against[:, first, second], against[:, second, first] = duels, -duels
    return np.asarray(against.min(2))


# --- files -------------------------------------------------------------------------------------


def encoded(estimator: Any) -> bytes:
    """A fitted estimator as compressed joblib."""
    import joblib

    stream = io.BytesIO()
    joblib.dump(estimator, stream, compress=3)
    return stream.getvalue()


def _decoded(path: Path, sha256: str) -> Any:
    """A fitted estimator from a file, if that holds what is expected."""
    import joblib

    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ClassifierError(f"{path} is not the file that was made then; it was not opened.")
    return joblib.load(io.BytesIO(content))


def load(run: Run, name: str) -> Classifier:
    """A classical model of a published run, for use in a notebook.

    Raises:
        ClassifierError: a file is not on this machine, or not the published one.
        runs.RunError: the run has no such model.
    """
    folder = published.estimators(run.study, run.version)

    def path(made: dict[str, Any]) -> Path:
        file = folder / str(made["estimator"]["file"])
        if not file.is_file():
            raise ClassifierError(
                f"{file.name} ({made['estimator']['bytes'] / 1e6:.1f} MB) is not on this machine: "
                f"fitted estimators stay where they were made. Copy it to {folder}, or make a new "
                f"version with: make notebooks STUDY={run.study}"
            )
        return file

    return _assembled(name, lambda n: run.model(n).config, path)


def kept(folder: Path, name: str) -> Classifier:
    """A classical model among the checkpoints of a run that is being made.

    Raises:
        ClassifierError: its file was altered.
    """
    return _assembled(
        name,
        lambda n: json.loads((folder / n / MADE).read_text()),
        lambda made: folder / made["name"] / made["estimator"]["file"],
    )


def kept_validation(folder: Path, name: str) -> Floats:
    """(n, K) probabilities of a kept model on validation, in its order; of a blend cross-fitted."""
    answers: Floats = np.load(folder / name / "validation.npy", allow_pickle=False)
    return answers


def _assembled(
    name: str, config_of: Callable[[str], dict[str, Any]], path_of: Callable[[Any], Path]
) -> Classifier:
    made = config_of(name)
    estimator = None
    if "estimator" in made:
        estimator = _decoded(path_of(made), made["estimator"]["sha256"])
    members = tuple(_assembled(m, config_of, path_of) for m in made.get("members", ()))
    return assemble(made.get("combine"), estimator, made.get("temperature"), members)


def assemble(
    combine: str | None,
    estimator: Any,
    temperature: float | None,
    members: tuple[Classifier, ...],
) -> Classifier:
    """One estimator, or members combined by `hard` vote, `soft` vote or `blend`."""
    if combine is None:
        return Single(estimator, temperature)
    combined: dict[str, Callable[[Floats], Floats]] = {
        "hard": ensembles.hard,
        "soft": ensembles.soft,
        "blend": functools.partial(ensembles.blended, estimator),
    }
    return Ensemble(members, combined[combine])
