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
STRENGTHS = (0.3, 0.1, 0.03, 0.01, 0.003)
ITERATIONS = 200  # at most
TOLERANCE = 1e-6  # relative gain of an iteration that is not worth another


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
    """Views (V, n, D) of n pictures as V · n examples; `class_weights` as in `Recipe`."""
    views, _, width = embeddings.shape
    counts = np.bincount(labels, minlength=n_classes)
    weights = np.maximum(counts, 1.0) ** -class_weights
    repeated = np.tile(labels, views)
    return Examples(embeddings.reshape(-1, width), repeated, weights[repeated])


def best(train: Examples, validation: Examples, n_classes: int) -> Head:
    """The head with the lowest validation loss among those of all `STRENGTHS`."""
    wall, cpu = time.perf_counter(), time.process_time()
    heads = [fit(train, validation, n_classes, strength) for strength in STRENGTHS]
    found = min(heads, key=lambda head: head.loss)
    return replace(found, seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu)


def fit(train: Examples, validation: Examples, n_classes: int, strength: float) -> Head:
    """Minimise the weighted mean cross-entropy plus ½ `strength` · |W|² by L-BFGS.

    W belongs to the standardised features; the head is given for the features as they are. Both are
    equal up to the penalty, so that one strength suits features of any scale.
    """
    from scipy.optimize import minimize

    mean, spread = train.features.mean(0), train.features.std(0)
    scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0).astype(np.float32)
    standard = [
        part._replace(features=(part.features - mean) * scale) for part in (train, validation)
    ]
    started, cpu, rows = time.perf_counter(), time.process_time(), []

    def note(flat: NDArray[np.float64]) -> None:
        kernel, bias = _unpacked(flat, n_classes)
        measured = [_measured(part, kernel, bias) for part in standard]
        rows.append((time.perf_counter() - started, *measured[0], *measured[1]))

    solution = minimize(
        _objective,
        np.zeros((len(mean) + 1) * n_classes),
        (standard[0], n_classes, strength),
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
    history = pd.DataFrame(rows, columns=["seconds", *columns])
    return Head(
        kernel,
        bias - mean @ kernel,
        strength,
        history,
        time.perf_counter() - started,
        time.process_time() - cpu,
    )


def _unpacked(flat: NDArray[np.float64], n_classes: int) -> tuple[Floats, Floats]:
    table = flat.reshape(-1, n_classes).astype(np.float32)
    return table[:-1], table[-1]


def _objective(
    flat: NDArray[np.float64], train: Examples, n_classes: int, strength: float
) -> tuple[float, NDArray[np.float64]]:
    """Loss and its gradient with respect to the flattened kernel and bias."""
    kernel, bias = _unpacked(flat, n_classes)
    log_shares = _log_softmax(train.features @ kernel + bias)
    total = train.weights.sum()
    rows = np.arange(len(train.labels))
    loss = -(train.weights * log_shares[rows, train.labels]).sum() / total
    residual = np.exp(log_shares)
    residual[rows, train.labels] -= 1
    residual *= (train.weights / total)[:, None].astype(np.float32)
    gradient = np.vstack([train.features.T @ residual, residual.sum(0)]).astype(np.float64)
    gradient[:-1] += strength * kernel
    return float(loss + strength / 2 * (kernel.astype(np.float64) ** 2).sum()), gradient.ravel()


def _log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = logits - logits.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def _measured(part: Examples, kernel: Floats, bias: Floats) -> tuple[float, float]:
    """Weighted mean cross-entropy and accuracy."""
    log_shares = _log_softmax(part.features @ kernel + bias)
    right = log_shares.argmax(1) == part.labels
    losses = -log_shares[np.arange(len(right)), part.labels]
    return float(np.average(losses, weights=part.weights)), float(right.mean())
