"""Calibration: logits → probabilities, by temperature scaling.

Fitted on validation by the log-loss. The answers stay what they are; how sure they are compared
with each other changes only where their logits' length counts (`Calibration.exponent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
EXPONENTS = np.linspace(0, 1, 11)  # that are tried


@dataclass(frozen=True)
class Calibration:
    """How a network's logits become probabilities.

    A `temperature` over 1 softens (Guo et al. 2017, arXiv 1706.04599). With an `exponent` over 0,
    logits are less their mean and divided by that power of their length first: trained for long on
    smoothed labels, a network is right or wrong with logits of any length, and their direction says
    more about it (Cattelan and Silva 2023, arXiv 2305.15508, where it is 1).
    """

    temperature: float = 1.0
    exponent: float = 0.0

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> Calibration:
        """What a run's `config.json` says of a network."""
        return cls(float(made["temperature"]), float(made.get("exponent", 0.0)))

    def probabilities(self, logits: ArrayLike) -> FloatArray:
        """Logits (..., K) → probabilities (..., K), rows summing to 1."""
        return softmax(_shortened(logits, self.exponent), self.temperature)


def fit(logits: ArrayLike, labels: ArrayLike) -> Calibration:
    """The calibration with the lowest log-loss of logits (N, K) with codes (N,).

    Where every answer is right there is nothing to fit, see `fit_temperature`.
    """
    if _all_right(logits, labels):
        return Calibration()
    found = []
    for exponent in EXPONENTS.tolist():
        shortened = _shortened(logits, exponent)
        temperature = fit_temperature(shortened, labels)
        found.append((_loss(shortened, labels, temperature), Calibration(temperature, exponent)))
    return min(found, key=lambda pair: pair[0])[1]  # of equal ones the smallest exponent


def softmax(logits: ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Logits (..., K) → probabilities (..., K), rows summing to 1; a temperature > 1 softens."""
    z = np.asarray(logits, np.float64) / temperature
    e = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Temperature, 0.02 to 20, that minimises the log-loss of logits (N, K) with codes (N,).

    The loss is convex in 1 / T, hence has one valley in log T, which golden-section search finds.
    Where every answer is right the loss falls for ever with T, so there is nothing to fit and it
    stays 1.
    """
    if _all_right(logits, labels):
        return 1.0

    def loss(log_t: float) -> float:
        return _loss(logits, labels, np.exp(log_t))

    ratio, low, high = (np.sqrt(5) - 1) / 2, np.log(0.02), np.log(20)
    for _ in range(60):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if loss(a) <= loss(b) else (a, high)
    return float(np.exp((low + high) / 2))


def _all_right(logits: ArrayLike, labels: ArrayLike) -> bool:
    z, y = np.asarray(logits), np.asarray(labels, np.int64)
    return bool((z[np.arange(len(y)), y] == z.max(1)).all())


def _loss(logits: ArrayLike, labels: ArrayLike, temperature: float) -> float:
    """Mean negative logarithm of the labels' probabilities, exact where they are tiny."""
    z, y = np.asarray(logits, np.float64) / temperature, np.asarray(labels, np.int64)
    z = z - z.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]))


def _shortened(logits: ArrayLike, exponent: float) -> FloatArray:
    """Logits (..., K) less their mean, divided by the given power of their length; 0 stays 0."""
    z = np.asarray(logits, np.float64)
    if exponent == 0:
        return z
    z = z - z.mean(-1, keepdims=True)
    length = np.linalg.norm(z, axis=-1, keepdims=True)
    return np.asarray(z / np.maximum(length, np.finfo(float).tiny) ** exponent)
