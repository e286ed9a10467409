"""A run's model → predictions, with LiteRT and without TensorFlow.

One pass answers with logits, embedding and class-activation map. The same `ServedModel.predict`
serves the dashboard, the notebooks' evaluation and every later way in.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from src.evaluation.calibration import Calibration
from src.runs import published

Floats = NDArray[np.float32]
PRECISIONS = ("float32", "int8")
UNCALIBRATED = Calibration()
BATCH = 32  # one interpreter for single images, one for this many
LARGE = 96 * 96  # pixels; larger images go one by one: a batch would take 100s of megabytes
THREADS = min(2, os.cpu_count() or 1)


class InferenceError(Exception):
    """The model cannot be loaded or does not take these images."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about n images, in their order."""

    logits: Floats  # (n, K)
    probabilities: Floats  # (n, K), rows sum to 1, as calibrated on validation
    embedding: Floats  # (n, D)
    activation: Floats  # (n, h, w, K), each class's evidence per place; negative: against it
    milliseconds: float  # wall time of the model for all n


class ServedModel:
    """A model in memory. Thread-safe: an interpreter is used by one thread at a time."""

    def __init__(
        self,
        content: bytes,
        *,
        name: str,
        precision: str,
        classes: tuple[str, ...],
        image_shape: tuple[int, int, int],
        calibration: Calibration = UNCALIBRATED,
    ) -> None:
        self.name, self.precision, self.calibration = name, precision, calibration
        self.classes, self.image_shape = classes, image_shape
        self._content = content
        self._interpreters: dict[int, Any] = {}
        self._lock = threading.Lock()

    def predict(self, pixels: NDArray[np.uint8]) -> Prediction:
        """Classify images, (n, H, W, C) uint8 in the model's own shape.

        Raises:
            InferenceError: the images are not of that shape and type, or there are none.
        """
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.image_shape or not len(pixels):
            raise InferenceError(
                f"{self.name} takes images (n, {', '.join(map(str, self.image_shape))}) uint8, "
                f"not {pixels.shape} {pixels.dtype}."
            )
        with self._lock:
            started = time.perf_counter()
            parts = [self._answer(part) for part in _parts(pixels)]
            milliseconds = 1000 * (time.perf_counter() - started)
        answer = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        probabilities = self.calibration.probabilities(answer["logits"])
        return Prediction(
            logits=answer["logits"],
            probabilities=probabilities.astype(np.float32),
            embedding=answer["embedding"],
            activation=answer["activation"],
            milliseconds=milliseconds,
        )

    def _answer(self, pixels: NDArray[np.uint8]) -> dict[str, Floats]:
        outputs = self._runner(len(pixels))(image=pixels.astype(np.float32))
        return {key: np.array(value) for key, value in outputs.items()}

    def _runner(self, batch: int) -> Any:
        if batch not in self._interpreters:
            interpreter = Interpreter(model_content=self._content, num_threads=THREADS)
            runner = interpreter.get_signature_runner("serving_default")
            self._interpreters[batch] = (interpreter, runner)
        return self._interpreters[batch][1]


def _parts(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Whole batches, and the rest one by one: each size has its interpreter, none is filled up."""
    small = pixels.shape[1] * pixels.shape[2] <= LARGE
    whole = len(pixels) // BATCH * BATCH if small else 0
    batches = [pixels[start : start + BATCH] for start in range(0, whole, BATCH)]
    return batches + [pixels[i : i + 1] for i in range(whole, len(pixels))]


def averaged(model: ServedModel, pixels: NDArray[np.uint8], mirrored: bool) -> Floats:
    """Test-time averaging: probabilities (n, K) from the mean logits over views of each image.

    The views are the image, and it moved by a pixel to two opposite corners and continued by
    reflection, which count half; with `mirrored` their mirror images too (K. Jordan 2024, arXiv
    2404.00498). It takes 3 times as long as `ServedModel.predict`, or 6.
    """
    views = [(1.0, pixels), (0.5, _moved(pixels, 0)), (0.5, _moved(pixels, 2))]
    if mirrored:
        views += [(weight, view[:, :, ::-1]) for weight, view in views]
    logits = sum(
        weight * model.predict(np.ascontiguousarray(view)).logits for weight, view in views
    )
    total = sum(weight for weight, _ in views)
    return model.calibration.probabilities(logits / total).astype(np.float32)


def _moved(pixels: NDArray[np.uint8], start: int) -> NDArray[np.uint8]:
    """Images moved by one pixel along both axes: right and down from 0, left and up from 2."""
    height, width = pixels.shape[1:3]
    framed = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    return framed[:, start : start + height, start : start + width]


def load(run: published.Run, name: str, precision: str = "float32") -> ServedModel:
    """Load one of a run's models; its bytes are checked against the manifest.

    Raises:
        InferenceError: the precision is unknown.
        runs.RunError: the run has no such model, or it was changed after publication.
    """
    if precision not in PRECISIONS:
        raise InferenceError(f"Precision is one of {', '.join(PRECISIONS)}, not {precision!r}.")
    record = run.model(name)
    return ServedModel(
        record.tflite(precision),
        name=name,
        precision=precision,
        classes=tuple(run.dataset["classes"]),
        image_shape=tuple(run.dataset["image_shape"]),
        calibration=Calibration.of(record.config),
    )
