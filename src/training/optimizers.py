"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from src.data.plans import Recipe
from src.training.architectures import FusedBatchNorm


class Muon(keras.optimizers.Optimizer):
    """Orthogonalised momentum for convolution filters, Nesterov momentum for all else.

    Filters (h, w, in, out) are kept at a norm of sqrt(out) and moved along the orthogonal factor of
    their momentum, found by Newton–Schulz iteration (K. Jordan et al. 2024,
    kellerjordan.github.io/posts/muon). `other` is the learning rate of all else, as a share.
    """

    def __init__(self, learning_rate: Any, momentum: float = 0.6, other: float = 0.3) -> None:
        super().__init__(learning_rate=learning_rate, name="muon")
        self.momentum, self.other = momentum, other

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self.momenta = [
            self.add_variable_from_reference(variable, name="momentum") for variable in variables
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        momentum = self.momenta[self._get_variable_index(variable)]
        is_filter = len(variable.shape) == 4
        decay = self.momentum if is_filter else 0.85
        momentum.assign(decay * momentum + gradient)
        step = gradient + decay * momentum
        if is_filter:
            norm = math.sqrt(variable.shape[-1]) / tf.norm(variable)
            variable.assign(variable * norm - learning_rate * _orthogonal(step))
        else:
            variable.assign_sub(self.other * learning_rate * step)


def _orthogonal(gradient: tf.Tensor, steps: int = 3) -> tf.Tensor:
    """The nearest (semi-)orthogonal matrix, roughly: quintic Newton–Schulz on (out, h·w·in)."""
    shape = gradient.shape
    x = tf.transpose(tf.reshape(gradient, (-1, shape[-1])))
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else tf.transpose(x)
    x /= tf.norm(x) + 1e-7
    for _ in range(steps):
        a = tf.matmul(x, x, transpose_b=True)
        x = 3.4445 * x + tf.matmul(-4.7750 * a + 2.0315 * tf.matmul(a, a), x)
    x = x if wide else tf.transpose(x)
    return tf.reshape(tf.transpose(x), shape)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to the peak, then a fall to zero, or none; reduced on plateaus (`reduced`).

    It follows `progress`, the share of the epochs that is done: pruned epochs have fewer steps.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.progress = tf.Variable(0.0, trainable=False)
        self.factor = tf.Variable(1.0, trainable=False)

    def __call__(self, _: Any) -> tf.Tensor:
        progress = tf.convert_to_tensor(self.progress)
        rise = progress / max(self.recipe.warmup, 1e-6)
        fall = (1.0 - progress) / (1.0 - self.recipe.warmup)
        if self.recipe.schedule == "cosine":
            fall = 0.5 * (1.0 - tf.cos(math.pi * fall))
        if self.recipe.schedule == "constant":
            fall = tf.ones_like(rise)
        share = tf.clip_by_value(tf.minimum(rise, fall), 0.0, 1.0)
        return self.recipe.learning_rate * share * self.factor

    def get_config(self) -> dict[str, Any]:
        return {"recipe": asdict(self.recipe)}


def plateau_factor(history: list[dict[str, float]], recipe: Recipe) -> float:
    """What is left of the learning rate: less after every `plateau` epochs without a lower loss."""
    best, waited, left = math.inf, 0, 1.0
    for row in history:
        waited = 0 if row["validation_loss"] < best else waited + 1
        best = min(best, row["validation_loss"])
        if recipe.plateau and waited == recipe.plateau:
            left, waited = left * recipe.reduction, 0
    return left


def optimizer(recipe: Recipe, schedule: Schedule) -> keras.optimizers.Optimizer:
    """The optimiser a recipe names, at the rate of the schedule."""
    if recipe.optimizer == "muon":
        return Muon(schedule)
    return keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)


class Average:
    """A running mean of a network's weights, better than the weights of any one step.

    Each step the mean keeps `decay` of itself (less in the beginning, when there is nothing worth
    keeping) and takes the rest from the weights (Polyak and Juditsky 1992; as an exponential mean:
    Tarvainen and Valpola 2017, arXiv 1703.01780). With `decay` 0 it is the weights themselves.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self.model, self.decay = model, decay
        self.weights = [v.value for v in model.trainable_variables] if decay else []
        self.means = [tf.Variable(weight, trainable=False) for weight in self.weights]
        self.steps = tf.Variable(0.0, trainable=False)

    @property
    def variables(self) -> list[tf.Variable]:
        """All that changes."""
        return [*self.means, self.steps] if self.decay else []

    @tf.function(jit_compile=False)
    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps.assign_add(1.0)
        decay = tf.minimum(self.decay, (1.0 + self.steps) / (10.0 + self.steps))
        for mean, weight in zip(self.means, self.weights, strict=True):
            mean.assign(decay * mean + (1.0 - decay) * weight)

    @contextlib.contextmanager
    def in_place(self, batches: Iterable[Any]) -> Iterator[None]:
        """Lend the model the mean weights, with its normalisation statistics measured anew.

        Statistics that followed the weights do not fit their mean. `batches` are training inputs.
        """
        if not self.decay:
            yield
            return
        lent = [*self.weights, *_statistics(self.model)]
        own = [variable.numpy() for variable in lent]
        for weight, mean in zip(self.weights, self.means, strict=True):
            weight.assign(mean)
        _measure(self.model, batches)
        yield
        for variable, value in zip(lent, own, strict=True):
            variable.assign(value)


def _statistics(model: keras.Model) -> list[Any]:
    return [s for layer in _normalisations(model) for s in (layer.mean.value, layer.variance.value)]


def _normalisations(model: keras.Model) -> list[FusedBatchNorm]:
    return [layer for layer in model.layers if isinstance(layer, FusedBatchNorm)]


def _measure(model: keras.Model, batches: Iterable[Any]) -> None:
    """Set the statistics of normalisation to their mean over some batches."""
    statistics = _statistics(model)
    if not statistics:
        return
    layers = _normalisations(model)
    momenta = [layer.momentum for layer in layers]
    found = []
    for layer in layers:
        layer.momentum = 0.0  # so that what is stored after a batch is that batch's
    for batch in batches:
        model(tf.cast(batch, tf.float32), training=True)
        found.append([statistic.numpy() for statistic in statistics])
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    for statistic, values in zip(statistics, zip(*found, strict=True), strict=True):
        statistic.assign(np.mean(values, 0))
