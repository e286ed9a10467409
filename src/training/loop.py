"""The training loop: data + recipe → trained model + history, for every architecture.

Results do not depend on interruptions: every random choice of an epoch follows from (seed, epoch),
and a checkpoint after each epoch holds everything that changes. The next epoch's images are
augmented in one vectorised pass in a thread while the current epoch trains.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from src import environment
from src.data.datasets import Dataset, Split
from src.data.plans import Architecture, Experiment, Recipe
from src.serving.inference import ServedModel
from src.training import architectures, augmentation, optimizers
from src.training.optimizers import Average, Schedule

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Inputs = NDArray[Any]  # what a network takes: images, or activations of its frozen layers
HISTORY = [
    "epoch",
    "seconds",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
]
VALUES = 2**22  # of images that are answered at a time: 16 MB
MEASURED = 20  # batches that give mean weights their normalisation statistics
CHECKPOINT = 3  # of the files' layout: others are not resumed
LARGE_BATCH = 256
UNPRUNED_FROM = 0.875  # share of the epochs after which data pruning ends
STEM_UNTIL = 1 / 3  # share of the epochs in which the bias of a fixed first layer learns


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
    logs: Path | None = None  # of the TensorBoard events
    settings: str = ""  # a checkpoint is only resumed where these are equal


@dataclass
class _State:
    """Everything that changes while a network trains."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_found: tuple[float, float] = (0.0, -math.inf)  # accuracy, loss with its sign turned
    best: list[NDArray[Any]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    losses: Floats = field(default_factory=lambda: np.empty(0))  # (n,) of each image, last seen

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def seconds(self) -> float:
        return self.history[-1]["seconds"] if self.history else 0.0


# --- the engine --------------------------------------------------------------------------------


def precision(recipe: Recipe) -> str:
    """`mixed_bfloat16` where it trains faster on this hardware, else `float32`.

    A processor that multiplies bfloat16 in vectors, without AMX's tiles, gains half again with
    large batches; with small ones it loses more on conversions (benchmarks/LOG.md).
    """
    if tf.config.list_physical_devices("GPU"):
        return "mixed_bfloat16"
    flags = environment.cpu_flags()
    large = recipe.batch_size >= LARGE_BATCH
    faster = "amx_bf16" in flags or ("avx512_bf16" in flags and large)
    return "mixed_bfloat16" if faster else "float32"


def fit(
    architecture: Architecture,
    recipe: Recipe,
    train: Split,
    validation: Split,
    *,
    seed: int,
    record: Record,
    compute: str | None = None,
    teacher_probs: Floats | None = None,
) -> Trained:
    """Train a network, or go on where an interrupted training with the same settings stopped.

    `record` says where, its settings are filled in here; `compute` is a Keras dtype policy, by
    default the faster (`precision`); `teacher_probs` is what a teacher says to the training images,
    probabilities (n, K). The returned model has the weights of the epoch with the highest
    validation accuracy, of equal ones the one with the lowest loss.

    Raises:
        TrainingError: the loss is not a number; the last checkpoint is kept. Or memory is too
            small; nothing was begun.
    """
    compute = compute or precision(recipe)
    n_classes = int(train.labels.max()) + 1  # every class has training images, see `datasets`
    model = architectures.build(architecture, train.images, n_classes, seed, compute)
    settings = _fingerprint(architecture, recipe, train, validation, seed, compute)
    if teacher_probs is not None:
        settings += hashlib.sha256(np.ascontiguousarray(teacher_probs).data).hexdigest()
    return learn(
        model,
        recipe,
        train.labels,
        _epoch_images(train, recipe, seed),
        (validation.images, validation.labels),
        seed=seed,
        record=replace(record, settings=settings),
        teacher_probs=teacher_probs,
    )


def computes_in(model: keras.Model) -> str:
    """`mixed_bfloat16` where some layer of a model multiplies in bfloat16, else `float32`."""
    half = any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    return "mixed_bfloat16" if half else "float32"


def _epoch_images(train: Split, recipe: Recipe, seed: int) -> Callable[[int], Pixels]:
    changes = recipe.augmentation
    if changes is None:
        return lambda _: train.images
    return lambda epoch: augmentation.augment(train.images, changes, seed, epoch)


def learn(
    model: keras.Model,
    recipe: Recipe,
    labels: NDArray[np.int64],
    inputs: Callable[[int], Inputs],
    validation: tuple[Inputs, NDArray[np.int64]],
    *,
    seed: int,
    record: Record,
    teacher_probs: Floats | None = None,
) -> Trained:
    """Train what is trainable of a model; `fit` with a model and inputs of the caller's own.

    `inputs` gives for an epoch (from 0) what the model takes, (n, …) in the order of `labels`, and
    is called in a thread while the epoch before trains; `validation` is inputs with labels.
    `teacher_probs` is as in `fit`. The stem (`architectures.stem`) learns until `STEM_UNTIL`.

    Raises:
        TrainingError: see `fit`.
    """
    _check_memory(model, recipe)
    schedule = Schedule(recipe)
    optimizer = optimizers.optimizer(recipe, schedule)
    optimizer.build(model.trainable_variables)
    path = record.folder / "checkpoint.npz"
    fresh = _State(losses=np.full(len(labels), np.inf))
    average = Average(model, recipe.averaging)
    changing = {
        "model": model.variables,
        "optimizer": optimizer.variables,
        "average": average.variables,
    }
    state = _load(path, record.settings, changing) or fresh
    n_classes = model.output.shape[-1]
    targets = _targets(labels, teacher_probs, recipe, n_classes)
    weights = class_weights(labels, n_classes, recipe.class_weights)[labels]
    step_of_all, step_of_rest = _steps(model, optimizer, average)
    evaluate = _evaluation(model)
    with _Epochs(inputs, recipe.epochs, state.epoch) as epochs, _bar(recipe, state) as bar:
        while not _finished(state, recipe):
            schedule.factor.assign(optimizers.plateau_factor(state.history, recipe))
            part, started = _chosen(state, recipe, seed), time.perf_counter()
            step = step_of_all if state.epoch < STEM_UNTIL * recipe.epochs else step_of_rest
            shown = epochs.next()
            row = _run_epoch(state, part, (shown, labels, targets, weights), step, schedule)
            with average.in_place(_some(shown, recipe, seed)):
                row |= _measure(evaluate, *validation)
                row["seconds"] = state.seconds + time.perf_counter() - started
                if not math.isfinite(row["train_loss"] + row["validation_loss"]):
                    raise TrainingError(_nan_message(state, path))
                _keep(state, row, model)
            _save(path, record.settings, state, changing)
            log(record.logs, row)
            _show(bar, state)
    for variable, value in zip(model.variables, state.best, strict=True):
        variable.assign(value)
    history = pd.DataFrame(state.history)[HISTORY].astype({"epoch": int})
    return Trained(
        model, history, state.best_epoch, state.seconds, state.cpu_seconds, computes_in(model)
    )


def run(
    experiment: Experiment, dataset: Dataset, *, folder: Path, logs: Path
) -> Iterator[tuple[int, Trained]]:
    """Train an experiment once per seed, in turn; each can be interrupted and resumed.

    Raises:
        TrainingError: see `fit`.
    """
    train = dataset.subset if experiment.trained_on == "subset" else dataset.train
    teacher_probs = _teacher_probs(experiment, train, folder)
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
                record=Record(folder / part, logs / part),
                teacher_probs=teacher_probs,
            ),
        )


def _teacher_probs(experiment: Experiment, train: Split, folder: Path) -> Floats | None:
    """What an experiment's teacher says to the training images, probabilities (n, K)."""
    if not experiment.teacher:
        return None
    kept = sorted((folder / experiment.teacher).glob("seed_*/model.tflite"))
    if not kept:
        raise TrainingError(f"{experiment.name} learns from {experiment.teacher}: train it first.")
    teacher = ServedModel(
        kept[0].read_bytes(),
        name=experiment.teacher,
        precision="float32",
        classes=(),
        image_shape=train.images.shape[1:],
    )
    return teacher.predict(train.images).probabilities.astype(np.float64)


def _check_memory(model: keras.Model, recipe: Recipe) -> None:
    needed, free = needed_bytes(model, recipe), environment.available_bytes()
    if needed > free:
        raise TrainingError(
            f"Training {model.name} in batches of {recipe.batch_size} needs about "
            f"{needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. Close other "
            "programs, or train in smaller batches."
        )


def needed_bytes(model: keras.Model, recipe: Recipe) -> int:
    """About how much memory a training takes on top of its images; the tests measure it too.

    Every layer's output for one batch is kept for its gradient; each parameter has a gradient, a
    momentum, its value at the best epoch, and all three in the checkpoint.
    """
    values = sum(math.prod(layer.output.shape[1:]) for layer in model.layers)
    return int(4 * (recipe.batch_size * values + 6 * model.count_params()))


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


def _some(inputs: Inputs, recipe: Recipe, seed: int) -> Iterator[Inputs]:
    """A few random batches of an epoch's inputs."""
    order = np.random.default_rng([seed, 3]).permutation(len(inputs))
    for start in range(0, min(MEASURED * recipe.batch_size, len(order)), recipe.batch_size):
        yield inputs[order[start : start + recipe.batch_size]]


def _targets(
    labels: NDArray[np.int64], teacher_probs: Floats | None, recipe: Recipe, n_classes: int
) -> NDArray[np.float32]:
    """The distribution (n, K) that each image's answer should have.

    The smoothed label, mixed with a teacher's answer (Hinton et al. 2015, arXiv 1503.02531).
    """
    smoothing, share = recipe.label_smoothing, recipe.distillation
    targets = np.eye(n_classes)[labels] * (1 - smoothing) + smoothing / n_classes
    if teacher_probs is not None:
        targets = (1 - share) * targets + share * teacher_probs
    return targets.astype(np.float32)


def _steps(model: keras.Model, optimizer: Any, average: Average) -> tuple[Any, Any]:
    """Training step of all variables, and of all but the stem's, which is an eighth faster."""
    variables = model.trainable_variables
    stem = {id(variable) for variable in architectures.stem(model)}
    rest = [variable for variable in variables if id(variable) not in stem]
    whole = _step(model, optimizer, average, variables)
    return whole, _step(model, optimizer, average, rest) if stem else whole


def _step(model: keras.Model, optimizer: Any, average: Average, variables: list[Any]) -> Any:
    """The compiled training step of some variables.

    `jit_compile=False`: on a CPU, XLA's convolutions are several times slower than oneDNN's.
    """

    @tf.function(jit_compile=False, reduce_retracing=True)
    def step(
        images: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(tf.cast(images, tf.float32), training=True)
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(tf.cast(weights, tf.float32) * losses)
        optimizer.apply(tape.gradient(loss, variables), variables)
        if average.decay:
            average.update()
        return losses, _correct(labels, logits)

    return step


def _evaluation(model: keras.Model) -> Any:
    """The compiled evaluation step: summed loss and number of right answers of a batch."""

    @tf.function(jit_compile=False, reduce_retracing=True)
    def evaluate(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(tf.cast(images, tf.float32), training=False)
        correct = tf.cast(_correct(labels, logits), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(losses), tf.reduce_sum(correct)

    return evaluate


def class_weights(labels: NDArray[np.int64], n_classes: int, exponent: float) -> Floats:
    """How much an image of each class counts, (K,): its inverse frequency to the `exponent`.

    0 counts every image once, 1 every class alike; the mean over the images is 1.
    """
    counts = np.bincount(labels, minlength=n_classes)
    weights = np.maximum(counts, 1.0) ** -exponent
    return np.asarray(weights * len(labels) / (weights * counts).sum())


def _correct(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.equal(tf.argmax(logits, -1), labels)


def _chosen(state: _State, recipe: Recipe, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Data pruning: the images of the next epoch in random order, and the weight of each.

    An image whose loss was below the mean when it was last seen is skipped with probability
    `pruning`, and counts 1 / (1 − pruning) times where it is not, so that the expected gradient
    stays what it is; the last epochs show all (InfoBatch: Qin et al. 2024, arXiv 2303.04947).
    """
    n = len(state.losses)
    order = np.random.default_rng([seed, state.epoch, 1]).permutation(n)
    if not recipe.pruning or state.epoch >= UNPRUNED_FROM * recipe.epochs or not state.epoch:
        return order, np.ones(n)
    easy = state.losses < state.losses.mean()
    random = np.random.default_rng([seed, state.epoch, 2]).random(n)
    rows = order[(~easy | (random >= recipe.pruning))[order]]
    weights = np.where(easy[rows], 1 / (1 - recipe.pruning), 1.0)
    return rows, weights / weights.mean()


def _run_epoch(
    state: _State,
    part: tuple[NDArray[np.int64], Floats],
    examples: tuple[Inputs, NDArray[np.int64], NDArray[np.float32], Floats],
    step: Any,
    schedule: Schedule,
) -> dict[str, float]:
    """Train on the chosen rows of inputs, labels, targets and weights; notes each one's loss."""
    cpu = time.process_time()
    inputs, labels, targets, class_weight = examples
    order, importance = part
    size, epochs = schedule.recipe.batch_size, schedule.recipe.epochs
    n_steps = math.ceil(len(order) / size)
    weights = importance * class_weight[order]
    results, rates = [], []
    for i in range(n_steps):
        schedule.progress.assign((state.epoch + (i + 0.5) / n_steps) / epochs)
        rates.append(schedule(i))
        rows = order[i * size : (i + 1) * size]
        batch_weights = weights[i * size : (i + 1) * size]
        results.append(step(inputs[rows], labels[rows], targets[rows], batch_weights))
    losses, correct = (np.concatenate(column) for column in zip(*results, strict=True))
    state.losses[order] = losses
    state.cpu_seconds += time.process_time() - cpu
    return {
        "epoch": state.epoch + 1,
        "learning_rate": float(rates[0]),
        "train_loss": float(np.average(losses, weights=weights)),
        "train_accuracy": float(np.average(correct, weights=importance)),
    }


def _measure(evaluate: Any, inputs: Inputs, labels: NDArray[np.int64]) -> dict[str, float]:
    batch = max(1, min(500, VALUES // inputs[0].size))
    results = [
        evaluate(inputs[start : start + batch], labels[start : start + batch])
        for start in range(0, len(labels), batch)
    ]
    loss, correct = np.array(results, float).sum(0) / len(labels)
    return {"validation_loss": float(loss), "validation_accuracy": float(correct)}


def _keep(state: _State, row: dict[str, float], model: keras.Model) -> None:
    state.history.append(row)
    found = row["validation_accuracy"], -row["validation_loss"]
    if found > state.best_found:
        state.best_epoch, state.best_found = state.epoch, found
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
    """Same settings, same images: a checkpoint is only resumed where this is equal."""
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


Changing = Mapping[str, Sequence[Any]]  # the variables that change, in groups


def _save(path: Path, settings: str, state: _State, changing: Changing) -> None:
    meta = {
        "layout": CHECKPOINT,
        "settings": settings,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best_found": state.best_found,
        "cpu_seconds": state.cpu_seconds,
    }
    groups = {
        **{name: [v.numpy() for v in variables] for name, variables in changing.items()},
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


def _load(path: Path, settings: str, changing: Changing) -> _State | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        meta = json.loads(str(stored["meta"]))
        if (meta.pop("layout", 1), meta.pop("settings")) != (CHECKPOINT, settings):
            return None
        for name, variables in changing.items():
            for i, variable in enumerate(variables):
                variable.assign(stored[f"{name}_{i}"])
        best = [stored[f"best_{i}"] for i in range(len(changing["model"]))]
        meta["best_found"] = tuple(meta["best_found"])
        return _State(best=best, losses=stored["losses_0"], **meta)
