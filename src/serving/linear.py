"""Multinomial logistic regression on features: the linear head of a frozen network."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Penalties on the squared weights, from strong to weak; which one is used validation decides.
STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
ITERATIONS = 200  # at most
TOLERANCE = 1e-4  # relative gain of an iteration that is not worth another


class Examples(NamedTuple):
    """Features (n, D) float32 with labels (n,) int64, and how much each counts, (n,)."""

    features: Floats
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """A linear layer: features (n, D) @ kernel (D, K) + bias (K,) → logits (n, K)."""

    kernel: Floats
    bias: Floats
    strength: float
    history: pd.DataFrame  # a row per iteration: seconds, loss and accuracy on both parts
    seconds: float  # wall time, of all strengths that were tried
    cpu_seconds: float

    def logits(self, features: Floats) -> Floats:
        """Float32 (n, K)."""
        return np.asarray(features @ self.kernel + self.bias)

    @property
    def loss(self) -> float:
        """Mean cross-entropy on validation."""
        return float(self.history["validation_loss"].iloc[-1])


def examples(
    embeddings: Floats, labels: NDArray[np.int64], n_classes: int, class_weights: float = 0.0
) -> Examples:
    """Views (V, n, D) of n images as V · n examples; `class_weights` as in `Recipe`."""
    views, _, width = embeddings.shape
    counts = np.bincount(labels, minlength=n_classes)
    weights = np.maximum(counts, 1.0) ** -class_weights
    repeated = np.tile(labels, views)
    return Examples(embeddings.reshape(-1, width), repeated, weights[repeated])


def best(train: Examples, validation: Examples, n_classes: int) -> Head:
    """The head with the lowest validation loss, the penalty made weaker until that rises."""
    from threadpoolctl import threadpool_limits

    wall, cpu = time.perf_counter(), time.process_time()
    with threadpool_limits(1):  # such narrow products gain nothing; waiting threads cost a lot
        found = fit(train, validation, n_classes, STRENGTHS[0])
        for strength in STRENGTHS[1:]:
            head = fit(train, validation, n_classes, strength)
            if head.loss > found.loss:
                break
            found = head
    return replace(found, seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu)


def fit(train: Examples, validation: Examples, n_classes: int, strength: float) -> Head:
    """Minimise the weighted mean cross-entropy plus ½ `strength` · |W|² by L-BFGS.

    W belongs to the standardised features, so that one strength suits features of any scale; the
    head is given for the features as they are.
    """
    from scipy.optimize import minimize

    mean, spread = train.features.mean(0), train.features.std(0)
    scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0).astype(np.float32)
    standard, held = (
        part._replace(features=(part.features - mean) * scale) for part in (train, validation)
    )
    problem = _Problem(standard, n_classes, strength)
    wall, cpu, rows = time.perf_counter(), time.process_time(), []

    def note(flat: NDArray[np.float64]) -> None:
        answers = _log_softmax(_logits(held, *_unpacked(flat, n_classes)))
        rows.append((time.perf_counter() - wall, *problem.measured, *_measured(held, answers)))

    solution = minimize(
        problem.loss,
        np.zeros((len(mean) + 1) * n_classes),
        method="L-BFGS-B",
        jac=True,
        callback=note,
        options={"maxiter": ITERATIONS, "ftol": TOLERANCE},
    )
    kernel, bias = _unpacked(solution.x, n_classes)
    kernel *= scale[:, None]
    columns = [
        f"{part}_{what}" for part in ("train", "validation") for what in ("loss", "accuracy")
    ]
    return Head(
        kernel,
        bias - mean @ kernel,
        strength,
        pd.DataFrame(rows, columns=["seconds", *columns]),
        time.perf_counter() - wall,
        time.process_time() - cpu,
    )


def _unpacked(flat: NDArray[np.float64], n_classes: int) -> tuple[Floats, Floats]:
    table = flat.reshape(-1, n_classes).astype(np.float32)
    return table[:-1], table[-1]


def _logits(part: Examples, kernel: Floats, bias: Floats) -> Floats:
    return np.asarray(part.features @ kernel + bias)


class _Problem:
    """What is minimised; `measured` is the plain loss and accuracy where it was asked last."""

    def __init__(self, train: Examples, n_classes: int, strength: float) -> None:
        self.train, self.n_classes, self.strength = train, n_classes, strength
        self.share = train.weights / train.weights.sum()
        self.measured = (0.0, 0.0)

    def loss(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Loss and its gradient with respect to the flattened kernel and bias."""
        kernel, bias = _unpacked(flat, self.n_classes)
        answers = _log_softmax(_logits(self.train, kernel, bias))
        self.measured = _measured(self.train, answers)
        residual = np.exp(answers)
        residual[np.arange(len(residual)), self.train.labels] -= 1
        residual *= self.share[:, None].astype(np.float32)
        slope = np.vstack([self.train.features.T @ residual, residual.sum(0)]).astype(np.float64)
        slope[:-1] += self.strength * kernel
        penalty = self.strength / 2 * float((kernel.astype(np.float64) ** 2).sum())
        return self.measured[0] + penalty, slope.ravel()


def _log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = logits - logits.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def _measured(part: Examples, answers: Floats) -> tuple[float, float]:
    """Weighted mean cross-entropy, and accuracy."""
    losses = -answers[np.arange(len(answers)), part.labels].astype(np.float64)
    right = answers.argmax(1) == part.labels
    return float(np.average(losses, weights=part.weights)), float(right.mean())
