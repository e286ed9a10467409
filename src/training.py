"""Data + recipe → fitted model + history: one engine for plain and fast networks.

Results do not depend on interruptions: every random choice of an epoch follows from (seed, epoch),
and a checkpoint after each epoch holds everything that changes. The next epoch's pictures are
augmented in one vectorised pass in a thread while the current epoch trains.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from src import models
from src.experiments import Architecture, Experiment, Recipe
from src.specifications import Augmentation
from src.studies import Dataset, Split

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Inputs = NDArray[Any]  # what a network takes: pictures, or activations of its frozen layers
HISTORY = [
    "epoch",
    "seconds",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
]


CHUNK = 2**24  # values in float32 at a time: 64 MB
CHECKPOINT = 2  # of the files' layout: others are not resumed
WHOLE_FROM = 0.875  # share of the epochs after which nothing is pruned any more


class TrainingError(Exception):
    """Training cannot go on; the message says why and what was kept."""


@dataclass
class Trained:
    """A fitted model with its best epoch's weights."""

    model: keras.Model
    history: pd.DataFrame  # columns `HISTORY`, one row per epoch
    best_epoch: int
    seconds: float  # wall time of all epochs, over all sittings
    cpu_seconds: float
    precision: str
    notes: dict[str, Any] = field(default_factory=dict)  # what else was chosen on the way


@dataclass(frozen=True)
class Record:
    """Where a training writes down what it does."""

    folder: Path  # of the checkpoint
    settings: str  # a checkpoint is only resumed where these are equal
    logs: Path | None = None  # of the TensorBoard events


@dataclass
class _State:
    """Everything that changes while a network trains."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    best: list[NDArray[Any]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    losses: Floats = field(default_factory=lambda: np.empty(0))  # (n,) of each picture, last seen

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def seconds(self) -> float:
        return self.history[-1]["seconds"] if self.history else 0.0


# --- augmentation ------------------------------------------------------------------------------


def augment(images: Pixels, augmentation: Augmentation, seed: int, epoch: int) -> Pixels:
    """Each picture (n, H, W, C) changed at random, as one pass over the whole array.

    Mirror, shift, rotation and zoom are one affine map, so a picture is resampled once; beyond its
    border it is continued by reflection. Shifts alone are whole pixels and lose nothing. Zooming in
    and shifting are what is also called a random crop.
    """
    random = np.random.default_rng([seed, epoch])
    changes = _draw(images.shape, augmentation, random, epoch)
    maps = _maps(changes, images.shape)
    warped = np.empty_like(images)
    step = max(1, CHUNK // images[0].size)
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        warped[part] = _warp(images[part], maps[part])
        if augmentation.colour:
            warped[part] = _recoloured(warped[part], changes.colour[part])
    if augmentation.cutout:
        _cut_out(warped, round(augmentation.cutout * images.shape[1]), random)
    return warped


def preview(
    image: Pixels, augmentation: Augmentation, seed: int, n: int = 8
) -> tuple[Pixels, list[str]]:
    """What training may make of one picture (H, W, C): n variants and what was done to each."""
    images = np.repeat(image[None], n, 0)
    random = np.random.default_rng([seed, 0])
    changes = _draw(images.shape, augmentation, random, 0)
    return augment(images, augmentation, seed, 0), [changes.describe(i) for i in range(n)]


@dataclass(frozen=True)
class _Changes:
    """What happens to each of n pictures."""

    degrees: Floats  # (n,) anticlockwise
    scale: Floats  # (n,)
    mirrored: NDArray[np.bool_]  # (n,)
    shift: Floats  # (n, 2) pixels to the left and up
    colour: Floats  # (n, 3) factors of brightness, contrast and saturation

    def describe(self, i: int) -> str:
        x, y = -self.shift[i]
        parts = ["mirrored"] if self.mirrored[i] else []
        parts += [f"shifted by {x:+.1f}, {y:+.1f} pixels"] if np.any(self.shift) else []
        parts += [f"turned by {self.degrees[i]:+.0f}°"] if np.any(self.degrees) else []
        parts += [f"zoomed to {self.scale[i]:.0%}"] if np.any(self.scale != 1) else []
        if np.any(self.colour != 1):
            named = zip(("brightness", "contrast", "saturation"), self.colour[i], strict=True)
            parts += [f"{name} {factor - 1:+.0%}" for name, factor in named]
        return ", ".join(parts)


def _draw(
    shape: tuple[int, ...], augmentation: Augmentation, random: np.random.Generator, epoch: int
) -> _Changes:
    n, height, width, _ = shape
    degrees = augmentation.rotation * random.uniform(-1, 1, n)
    scale = 1 + augmentation.zoom * random.uniform(-1, 1, n)
    mirrored = _mirrored(n, augmentation, random, epoch)
    shift = augmentation.shift * np.array([width, height]) * random.uniform(-1, 1, (n, 2))
    if not augmentation.rotation and not augmentation.zoom:
        shift = np.rint(shift)
    colour = np.ones((n, 3))
    if augmentation.colour:  # drawn last, so that all else is as it is without
        colour += augmentation.colour * random.uniform(-1, 1, (n, 3))
    return _Changes(degrees, scale, mirrored, shift, colour)


def _maps(changes: _Changes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(n, 8) maps from output to input places, as ImageProjectiveTransformV3 takes them."""
    n, height, width, _ = shape
    angle = np.deg2rad(changes.degrees)
    mirror = np.where(changes.mirrored, -1.0, 1.0)
    cos, sin = np.cos(angle) / changes.scale, np.sin(angle) / changes.scale
    x, y = (width - 1) / 2, (height - 1) / 2
    a, b, d, e = mirror * cos, -mirror * sin, sin, cos
    rows = [
        *(a, b, x - a * x - b * y + changes.shift[:, 0]),
        *(d, e, y - d * x - e * y + changes.shift[:, 1]),
        *(np.zeros(n), np.zeros(n)),
    ]
    return np.stack(rows, 1).astype(np.float32)


def _mirrored(
    n: int, augmentation: Augmentation, random: np.random.Generator, epoch: int
) -> NDArray[np.bool_]:
    if not augmentation.flip:
        return np.zeros(n, bool)
    if augmentation.alternate:  # each pair of epochs shows both sides of every picture
        first = np.random.default_rng([n, 7]).random(n) < 0.5
        return first ^ (epoch % 2 == 1)
    return random.random(n) < 0.5


def _warp(images: Pixels, maps: NDArray[np.float32]) -> Pixels:
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=images.astype(np.float32),
        transforms=maps,
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    rounded: Pixels = np.rint(warped.numpy()).astype(np.uint8)
    return rounded


def _recoloured(images: Pixels, factors: Floats) -> Pixels:
    brightness, contrast, saturation = factors.astype(np.float32).T[..., None, None, None]
    values = images.astype(np.float32)
    grey = values.mean(-1, keepdims=True)
    mean = grey.mean((1, 2), keepdims=True)
    values = grey + saturation * (values - grey)
    values = brightness * mean + contrast * (values - mean)
    recoloured: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return recoloured


def _cut_out(images: Pixels, side: int, random: np.random.Generator) -> None:
    n, height, width, _ = images.shape
    top = random.integers(0, height - side + 1, n)[:, None, None]
    left = random.integers(0, width - side + 1, n)[:, None, None]
    rows, columns = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    images[inside] = images.mean((0, 1, 2)).astype(np.uint8)


# --- optimiser ---------------------------------------------------------------------------------


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


class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to the peak, then a fall to zero, or none; reduced on plateaus (`_reduced`).

    It follows `progress`, the share of the epochs that is done: pruned epochs have fewer steps.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.progress = tf.Variable(0.0, trainable=False)
        self.left = tf.Variable(1.0, trainable=False)

    def __call__(self, _: Any) -> tf.Tensor:
        progress = tf.convert_to_tensor(self.progress)
        rise = progress / max(self.recipe.warmup, 1e-6)
        fall = (1.0 - progress) / (1.0 - self.recipe.warmup)
        if self.recipe.schedule == "cosine":
            fall = 0.5 * (1.0 - tf.cos(math.pi * fall))
        if self.recipe.schedule == "constant":
            fall = tf.ones_like(rise)
        share = tf.clip_by_value(tf.minimum(rise, fall), 0.0, 1.0)
        return self.recipe.learning_rate * share * self.left

    def get_config(self) -> dict[str, Any]:
        return {"recipe": asdict(self.recipe)}


def _reduced(history: list[dict[str, float]], recipe: Recipe) -> float:
    """What is left of the learning rate: less after every `plateau` epochs without a lower loss."""
    best, waited, left = math.inf, 0, 1.0
    for row in history:
        waited = 0 if row["validation_loss"] < best else waited + 1
        best = min(best, row["validation_loss"])
        if recipe.plateau and waited == recipe.plateau:
            left, waited = left * recipe.reduction, 0
    return left


def _optimizer(recipe: Recipe, schedule: _Schedule) -> keras.optimizers.Optimizer:
    if recipe.optimizer == "muon":
        return Muon(schedule)
    return keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)


# --- the engine --------------------------------------------------------------------------------


def precision() -> str:
    """`mixed_bfloat16` where the hardware multiplies bfloat16 matrices, else `float32`."""
    if tf.config.list_physical_devices("GPU"):
        return "mixed_bfloat16"
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text() if cpu.is_file() else ""
    return "mixed_bfloat16" if "amx_bf16" in flags or "avx512_bf16" in flags else "float32"


def fit(
    architecture: Architecture,
    recipe: Recipe,
    train: Split,
    validation: Split,
    *,
    seed: int,
    folder: Path,
    logs: Path | None = None,
    compute: str | None = None,
) -> Trained:
    """Train a network, or go on where an interrupted training with the same settings stopped.

    After every epoch `folder` holds a checkpoint; `logs` receives TensorBoard events; `compute` is
    a Keras dtype policy, by default the hardware's (`precision`). The returned model has the
    weights of the epoch with the lowest validation loss.

    Raises:
        TrainingError: the loss is not a number; the last checkpoint is kept.
    """
    compute = compute or precision()
    n_classes = int(train.labels.max()) + 1  # every class has training pictures, see `studies`
    model = models.build(architecture, train.images, n_classes, seed, compute)
    settings = _fingerprint(architecture, recipe, train, validation, seed, compute)
    return learn(
        model,
        recipe,
        train.labels,
        _pictures(train, recipe, seed),
        (validation.images, validation.labels),
        seed=seed,
        record=Record(folder, settings, logs),
        compute=compute,
    )


def _pictures(train: Split, recipe: Recipe, seed: int) -> Callable[[int], Pixels]:
    augmentation = recipe.augmentation
    if augmentation is None:
        return lambda _: train.images
    return lambda epoch: augment(train.images, augmentation, seed, epoch)


def learn(
    model: keras.Model,
    recipe: Recipe,
    labels: NDArray[np.int64],
    inputs: Callable[[int], Inputs],
    validation: tuple[Inputs, NDArray[np.int64]],
    *,
    seed: int,
    record: Record,
    compute: str,
) -> Trained:
    """Train what is trainable of a model; `fit` with a model and inputs of the caller's own.

    `inputs` gives for an epoch (from 0) what the model takes, (n, …) in the order of `labels`, and
    is called in a thread while the epoch before trains; `validation` is inputs with labels.
    `compute` is only noted down.

    Raises:
        TrainingError: see `fit`.
    """
    schedule = _Schedule(recipe)
    optimizer = _optimizer(recipe, schedule)
    optimizer.build(model.trainable_variables)
    path = record.folder / "checkpoint.npz"
    fresh = _State(losses=np.full(len(labels), np.inf))
    state = _load(path, record.settings, model, optimizer) or fresh
    weights = class_weights(labels, model.output.shape[-1], recipe.class_weights)
    step, evaluate = _steps(model, optimizer, recipe)
    with _Epochs(inputs, recipe.epochs, state.epoch) as epochs, _bar(recipe, state) as bar:
        while not _finished(state, recipe):
            schedule.left.assign(_reduced(state.history, recipe))
            part = _chosen(state, recipe, seed)
            row = _run_epoch(state, part, (epochs.next(), labels, weights[labels]), step, schedule)
            row |= _measure(evaluate, *validation)
            row["seconds"] = state.seconds + row["seconds"] + row.pop("evaluation_seconds")
            if not math.isfinite(row["train_loss"] + row["validation_loss"]):
                raise TrainingError(_nan_message(state, path))
            _keep(state, row, model)
            _save(path, record.settings, state, model, optimizer)
            log(record.logs, row)
            _show(bar, state)
    for variable, value in zip(model.variables, state.best, strict=True):
        variable.assign(value)
    history = pd.DataFrame(state.history)[HISTORY].astype({"epoch": int})
    return Trained(model, history, state.best_epoch, state.seconds, state.cpu_seconds, compute)


def run(
    experiment: Experiment, dataset: Dataset, *, folder: Path, logs: Path
) -> Iterator[tuple[int, Trained]]:
    """Train an experiment once per seed, in turn; each can be interrupted and resumed.

    Raises:
        TrainingError: see `fit`.
    """
    train = dataset.subset if experiment.trained_on == "subset" else dataset.train
    for seed in experiment.seeds:
        part = f"{experiment.name}/seed_{seed}"
        yield (
            seed,
            fit(
                experiment.architecture,
                experiment.recipe,
                train,
                dataset.validation,
                seed=seed,
                folder=folder / part,
                logs=logs / part,
            ),
        )


def _finished(state: _State, recipe: Recipe) -> bool:
    return state.epoch >= recipe.epochs or state.epoch - state.best_epoch >= recipe.patience


def _nan_message(state: _State, path: Path) -> str:
    kept = (
        f"the checkpoint of epoch {state.epoch} is kept in {path}"
        if state.epoch
        else "nothing to keep yet"
    )
    return (
        f"The loss became infinite in epoch {state.epoch + 1}; {kept}. Try a smaller learning rate."
    )


class _Epochs:
    """The inputs of each epoch in turn, the next ones prepared in a thread."""

    def __init__(self, inputs: Callable[[int], Inputs], last: int, epoch: int) -> None:
        self.inputs, self.last, self.epoch = inputs, last, epoch
        self.pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._prepare()
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _prepare(self) -> None:
        if self.epoch < self.last:
            self.ready: Future[Inputs] = self.pool.submit(self.inputs, self.epoch)

    def next(self) -> Inputs:
        inputs = self.ready.result()
        self.epoch += 1
        self._prepare()
        return inputs


def _steps(model: keras.Model, optimizer: Any, recipe: Recipe) -> tuple[Any, Any]:
    """The compiled training step and evaluation step.

    `jit_compile=False`: on a CPU, XLA's convolutions are several times slower than oneDNN's.
    """
    n_classes = model.output.shape[-1]
    variables = model.trainable_variables

    def loss_of(labels: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tf.Tensor:
        one_hot = tf.one_hot(labels, n_classes) * (1 - smoothing) + smoothing / n_classes
        return tf.nn.softmax_cross_entropy_with_logits(one_hot, logits)

    @tf.function(jit_compile=False, reduce_retracing=True)
    def step(
        images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(tf.cast(images, tf.float32), training=True)
            losses = loss_of(labels, logits, recipe.label_smoothing)
            loss = tf.reduce_mean(tf.cast(weights, tf.float32) * losses)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return losses, _correct(labels, logits)

    @tf.function(jit_compile=False, reduce_retracing=True)
    def evaluate(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(tf.cast(images, tf.float32), training=False)
        correct = tf.cast(_correct(labels, logits), tf.float32)
        return tf.reduce_sum(loss_of(labels, logits, 0.0)), tf.reduce_sum(correct)

    return step, evaluate


def class_weights(labels: NDArray[np.int64], n_classes: int, exponent: float) -> Floats:
    """How much a picture of each class counts, (K,): its inverse frequency to the `exponent`.

    0 counts every picture once, 1 every class alike; the mean over the pictures is 1.
    """
    counts = np.bincount(labels, minlength=n_classes)
    weights = np.maximum(counts, 1.0) ** -exponent
    return np.asarray(weights * len(labels) / (weights * counts).sum())


def _correct(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.equal(tf.argmax(logits, -1), labels)


def _chosen(state: _State, recipe: Recipe, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Which pictures the next epoch shows, in random order, and how much each of them counts.

    A picture whose loss was below the mean when it was last seen is left out with probability
    `pruning`, and counts 1 / (1 − pruning) times where it is not, so that the expected gradient
    stays what it is; the last epochs show all (InfoBatch: Qin et al. 2024, arXiv 2303.04947).
    """
    n = len(state.losses)
    order = np.random.default_rng([seed, state.epoch, 1]).permutation(n)
    if not recipe.pruning or state.epoch >= WHOLE_FROM * recipe.epochs or not state.epoch:
        return order, np.ones(n)
    learnt = state.losses < state.losses.mean()
    random = np.random.default_rng([seed, state.epoch, 2]).random(n)
    rows = order[(~learnt | (random >= recipe.pruning))[order]]
    weights = np.where(learnt[rows], 1 / (1 - recipe.pruning), 1.0)
    return rows, weights / weights.mean()


def _run_epoch(
    state: _State,
    part: tuple[NDArray[np.int64], Floats],
    examples: tuple[Inputs, NDArray[np.int64], Floats],
    step: Any,
    schedule: _Schedule,
) -> dict[str, float]:
    """Train on the chosen rows of inputs, labels and class weights; notes each one's loss."""
    wall, cpu = time.perf_counter(), time.process_time()
    inputs, labels, class_weight = examples
    order, importance = part
    size, epochs = schedule.recipe.batch_size, schedule.recipe.epochs
    n_steps = math.ceil(len(order) / size)
    weights = importance * class_weight[order]
    results, rates = [], []
    for i in range(n_steps):
        schedule.progress.assign((state.epoch + (i + 0.5) / n_steps) / epochs)
        rates.append(schedule(i))
        rows = order[i * size : (i + 1) * size]
        results.append(step(inputs[rows], labels[rows], weights[i * size : (i + 1) * size]))
    losses, correct = (np.concatenate(column) for column in zip(*results, strict=True))
    state.losses[order] = losses
    state.cpu_seconds += time.process_time() - cpu
    return {
        "epoch": state.epoch + 1,
        "seconds": time.perf_counter() - wall,
        "learning_rate": float(rates[0]),
        "train_loss": float(np.average(losses, weights=weights)),
        "train_accuracy": float(np.average(correct, weights=importance)),
    }


def _measure(evaluate: Any, inputs: Inputs, labels: NDArray[np.int64]) -> dict[str, float]:
    wall = time.perf_counter()
    batch = max(1, min(500, CHUNK // 4 // inputs[0].size))
    results = [
        evaluate(inputs[start : start + batch], labels[start : start + batch])
        for start in range(0, len(labels), batch)
    ]
    loss, correct = np.array(results, float).sum(0) / len(labels)
    return {
        "validation_loss": float(loss),
        "validation_accuracy": float(correct),
        "evaluation_seconds": time.perf_counter() - wall,
    }


def _keep(state: _State, row: dict[str, float], model: keras.Model) -> None:
    state.history.append(row)
    if row["validation_loss"] < state.best_loss:
        state.best_epoch, state.best_loss = state.epoch, row["validation_loss"]
        state.best = [variable.numpy() for variable in model.variables]


def _bar(recipe: Recipe, state: _State) -> Any:
    return tqdm(total=recipe.epochs, initial=state.epoch, unit="epoch", mininterval=1.0)


def _show(bar: Any, state: _State) -> None:
    row = state.history[-1]
    bar.set_postfix_str(
        f"loss {row['train_loss']:.3f}, training {row['train_accuracy']:.1%}, "
        f"validation {row['validation_accuracy']:.1%}"
    )
    bar.update()


def log(logs: Path | None, row: dict[str, float]) -> None:
    """Add an epoch, what there is of a row of `HISTORY`, to the TensorBoard events in a folder."""
    if logs is None:
        return
    writer = tf.summary.create_file_writer(str(logs))
    with writer.as_default(step=int(row["epoch"])):
        for name in [name for name in HISTORY[2:] if name in row]:
            tf.summary.scalar(name, row[name])
    writer.close()


# --- checkpoints -------------------------------------------------------------------------------


def _fingerprint(
    architecture: Architecture,
    recipe: Recipe,
    train: Split,
    validation: Split,
    seed: int,
    compute: str,
) -> str:
    """Same settings, same pictures: a checkpoint is only resumed where this is equal."""
    settings = [_stated(architecture), _stated(recipe), seed, compute, keras.__version__]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for split in (train, validation):
        digest.update(split.ids.tobytes())
        digest.update(split.labels.tobytes())
    return digest.hexdigest()


def _stated(settings: Any) -> dict[str, Any]:
    """What differs from the defaults, so that a new setting leaves old checkpoints alone."""
    values = {f.name: (getattr(settings, f.name), f.default) for f in fields(settings)}
    return {
        name: _stated(value) if is_dataclass(value) else value
        for name, (value, default) in values.items()
        if value != default
    }


def _save(path: Path, settings: str, state: _State, model: keras.Model, optimizer: Any) -> None:
    meta = {
        "layout": CHECKPOINT,
        "settings": settings,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "cpu_seconds": state.cpu_seconds,
    }
    groups = {
        "model": [variable.numpy() for variable in model.variables],
        "optimizer": [variable.numpy() for variable in optimizer.variables],
        "best": state.best,
        "losses": [state.losses],
    }
    arrays = {f"{name}_{i}": a for name, group in groups.items() for i, a in enumerate(group)}
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array(json.dumps(meta)), **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(buffer.getbuffer())
    os.replace(partial, path)


def _load(path: Path, settings: str, model: keras.Model, optimizer: Any) -> _State | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        meta = json.loads(str(stored["meta"]))
        if (meta.pop("layout", 1), meta.pop("settings")) != (CHECKPOINT, settings):
            return None
        for name, variables in (
            ("model", model.variables),
            ("optimizer", optimizer.variables),
        ):
            for i, variable in enumerate(variables):
                variable.assign(stored[f"{name}_{i}"])
        best = [stored[f"best_{i}"] for i in range(len(model.variables))]
        return _State(best=best, losses=stored["losses_0"], **meta)
