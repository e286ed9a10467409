"""Optimisers: orthogonal steps, the rate, and the mean of the weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from src.data.plans import Architecture, Recipe
from src.training import architectures, optimizers

pytestmark = pytest.mark.training


def test_orthogonal_step_has_singular_values_near_one() -> None:
    gradient = tf.random.stateless_normal((3, 3, 8, 16), (1, 2))
    step = optimizers._orthogonal(gradient, steps=5).numpy().reshape(-1, 16)
    values = np.linalg.svd(step, compute_uv=False)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_rate_falls_after_a_plateau_and_only_then() -> None:
    recipe = Recipe(9, plateau=2, reduction=0.5)
    losses = [5, 4, 6, 5, 3, 3, 3, 3, 3]
    rows = [{"validation_loss": float(loss)} for loss in losses]
    factors = [optimizers.plateau_factor(rows[:n], recipe) for n in range(len(rows) + 1)]
    assert factors == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert optimizers.plateau_factor(rows, Recipe(9)) == 1


# --- mean weights ------------------------------------------------------------------------------

PICTURES = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), np.uint8)


def _network() -> keras.Model:
    return architectures.build(Architecture("fast", (4, 6)), PICTURES, 3, seed=0)


def _shaken(model: keras.Model, by: float) -> list[np.ndarray[Any, Any]]:
    """Move every trainable weight; returns where they are now."""
    for variable in model.trainable_variables:
        variable.assign(variable + by)
    return [variable.numpy() for variable in model.trainable_variables]


def test_mean_weights_follow_the_steps_and_are_only_lent() -> None:
    model = _network()
    average = optimizers.Average(model, 0.5)
    expected = [variable.numpy() for variable in model.trainable_variables]
    for step in range(1, 6):
        weights = _shaken(model, 0.1 * step)
        average.update()
        keep = min(0.5, (1 + step) / (10 + step))
        expected = [keep * m + (1 - keep) * w for m, w in zip(expected, weights, strict=True)]
    own = model.get_weights()
    with average.in_place([PICTURES]):
        for variable, mean in zip(model.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(variable.numpy(), mean, rtol=1e-5, atol=1e-6)
    for before, after in zip(own, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_statistics_are_those_of_the_mean_weights() -> None:
    """On one batch, answers in use are then the answers in training."""
    model = _network()
    average = optimizers.Average(model, 0.5)
    _shaken(model, 0.3)
    average.update()
    batch = PICTURES.astype(np.float32)
    stale = np.abs(model(batch, training=False) - model(batch, training=True)).max()
    momenta = [
        layer.momentum for layer in model.layers if isinstance(layer, architectures.FusedBatchNorm)
    ]
    with average.in_place([PICTURES]):
        in_use, in_training = (model(batch, training=t).numpy() for t in (False, True))
    # The moving variance is the unbiased one, so the two agree but for n / (n − 1).
    np.testing.assert_allclose(in_use, in_training, rtol=0.02, atol=0.02)
    assert stale > 0.5
    assert momenta == [
        layer.momentum for layer in model.layers if isinstance(layer, architectures.FusedBatchNorm)
    ]


def test_without_averaging_the_weights_stay_what_they_are() -> None:
    model = _network()
    average = optimizers.Average(model, 0.0)
    own = _shaken(model, 0.1)
    with average.in_place([PICTURES]):
        for variable, value in zip(model.trainable_variables, own, strict=True):
            np.testing.assert_array_equal(variable.numpy(), value)
    assert average.variables == []
