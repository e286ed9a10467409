"""Training: augmentation, optimiser, resuming, exporting."""

from __future__ import annotations

import itertools
import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from src import environment
from src.data import datasets, plans, studies
from src.data.datasets import Dataset
from src.data.plans import Architecture, Augmentation, Recipe
from src.evaluation import calibration
from src.training import architectures, export, loop
from tests.training import memory

pytestmark = pytest.mark.training

SMALL = Architecture("plain", (4, 8), 0.2)
FAST = Architecture("fast", (8, 8))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    data = datasets.load(studies.get("digits"))
    rows = np.arange(200)
    return replace(
        data,
        train=datasets.take(data.train, rows),
        validation=datasets.take(data.validation, rows[:100]),
    )


@pytest.fixture(scope="module")
def fit(digits: Dataset) -> Callable[..., loop.Trained]:
    def run(recipe: Recipe, folder: Path, architecture: Architecture = SMALL) -> loop.Trained:
        return loop.fit(
            architecture,
            recipe,
            digits.train,
            digits.validation,
            seed=1,
            record=loop.Record(folder),
            compute="float32",
        )

    return run


def test_fused_normalisation_agrees_with_keras() -> None:
    x = np.random.default_rng(0).normal(2, 3, (6, 4, 4, 5)).astype(np.float32)
    ours, theirs = architectures.FusedBatchNorm(momentum=0.9), keras.layers.BatchNormalization()
    expected = theirs(x, training=True).numpy()
    np.testing.assert_allclose(ours(x, training=True).numpy(), expected, atol=1e-5)
    # The moving variance is of the unbiased estimate, as in other frameworks than Keras.
    mean, variance = 0.1 * x.mean((0, 1, 2)), 0.9 + 0.1 * x.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(ours.mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(ours.variance.numpy(), variance, rtol=1e-5)
    expected = (x - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(ours(x).numpy(), expected, atol=1e-5)


def test_gelu_trains_as_it_answers() -> None:
    """Its one pass of training gives what plain operations give, which are near the exact ones."""
    x = np.linspace(-6, 6, 4001, dtype=np.float32).reshape(1, 1, -1, 1)
    layer = architectures.GELU()
    values, slopes = [], []
    for training_now in (True, False):
        tensor = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            y = layer(tensor, training=training_now)
        values.append(y.numpy())
        slopes.append(tape.gradient(y, tensor).numpy())
    np.testing.assert_allclose(*values, atol=1e-5)
    np.testing.assert_allclose(*slopes, atol=1e-5)
    np.testing.assert_allclose(values[0], keras.activations.gelu(x, approximate=False), atol=0.021)
    half = architectures.GELU(dtype="mixed_bfloat16")(x, training=True)
    assert half.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(half, tf.float32), values[0], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("n", [16, 13])
def test_packed_convolution_has_the_gradients_of_a_plain_one(n: int) -> None:
    random = np.random.default_rng(0)
    x, kernel = random.normal(size=(n, 5, 6, 3)), random.normal(size=(3, 3, 3, 4))
    gradients = []
    for convolution in (
        architectures._packed_convolution,
        lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"),
    ):
        tensors = tf.constant(x, tf.float32), tf.constant(kernel, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            loss = tf.reduce_sum(tf.square(convolution(*tensors)))
        gradients.append(tape.gradient(loss, tensors))
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-2)


def test_only_small_maps_in_bfloat16_are_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[tuple[int, ...]] = []

    def noted(x: Any, kernel: Any) -> Any:
        packed.append(tuple(x.shape[1:3]))
        return tf.nn.conv2d(x, kernel, 1, "SAME")

    monkeypatch.setattr(architectures, "_packed_convolution", noted)
    pictures = np.zeros((4, 32, 32, 3), np.uint8)
    architectures.build(FAST, pictures, 10, 1, "float32")(pictures.astype(np.float32))
    assert packed == []
    architectures.build(FAST, pictures, 10, 1, "mixed_bfloat16")(pictures.astype(np.float32))
    assert packed
    assert max(max(sides) for sides in packed) == 7
    packed.clear()
    for other in ({"kernel_size": 5}, {"kernel_size": 3, "strides": 2}):
        layer = architectures.Conv2D(4, padding="same", dtype="mixed_bfloat16", **other)
        layer(np.zeros((4, 7, 7, 3), np.float32))
    assert packed == []  # one gap of zeros would not keep their maps apart


def test_a_network_in_bfloat16_answers_outside_of_a_graph_too() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1)).astype(np.float32)
    model = architectures.build(FAST, pictures.astype(np.uint8), 10, 1, "mixed_bfloat16")
    compiled = tf.function(lambda x: model(x, training=False))
    np.testing.assert_allclose(model(pictures).numpy(), compiled(pictures).numpy(), atol=1e-2)


class _Interrupted(Exception):
    pass


@pytest.mark.parametrize("architecture", [SMALL, FAST], ids=["plain", "fast"])
def test_interrupted_training_ends_like_an_uninterrupted_one(
    fit: Callable[..., loop.Trained],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    architecture: Architecture,
) -> None:
    optimizer = "adam" if architecture is SMALL else "muon"
    rate = 3e-3 if architecture is SMALL else 0.1
    augmentation = Augmentation(shift=0.125, rotation=10)
    pruning = 0.0 if architecture is SMALL else 0.5
    averaging = 0.0 if architecture is SMALL else 0.9
    recipe = Recipe(
        4,
        64,
        optimizer,
        rate,
        augmentation=augmentation,
        averaging=averaging,
        pruning=pruning,
    )
    whole = fit(recipe, tmp_path / "whole", architecture)
    save = loop._save

    def stop_after_two(*arguments: Any) -> None:
        save(*arguments)
        if arguments[2].epoch == 2:
            raise _Interrupted

    monkeypatch.setattr(loop, "_save", stop_after_two)
    with pytest.raises(_Interrupted):
        fit(recipe, tmp_path / "parts", architecture)
    monkeypatch.setattr(loop, "_save", save)
    resumed = fit(recipe, tmp_path / "parts", architecture)
    timeless = [name for name in loop.HISTORY if name != "seconds"]
    pd.testing.assert_frame_equal(whole.history[timeless], resumed.history[timeless], rtol=1e-4)
    for a, b in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert whole.history["validation_loss"].iloc[-1] < whole.history["validation_loss"].iloc[0]


def test_the_first_layer_learns_in_the_first_third_of_the_epochs_only(
    fit: Callable[..., loop.Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def note(*arguments: Any) -> None:
        seen.append({v.path: v.numpy() for v in arguments[3]["model"]})

    monkeypatch.setattr(loop, "_save", note)
    fit(Recipe(6, 64, "muon", 0.1), tmp_path, FAST)
    stem, head = f"{architectures.WHITENING}/bias", "logits/kernel"
    pairs = list(itertools.pairwise(seen))
    assert [bool(np.any(a[stem] != b[stem])) for a, b in pairs] == [True] + 4 * [False]
    assert all(np.any(a[head] != b[head]) for a, b in pairs)
    filters = f"{architectures.WHITENING}/kernel"
    assert all(np.array_equal(a[filters], b[filters]) for a, b in pairs)


def test_a_first_layer_whose_filters_learn_is_no_stem() -> None:
    model = architectures.build(FAST, np.zeros((2, 8, 8, 1), np.uint8), 3, seed=1)
    assert [v.path for v in architectures.stem(model)] == [f"{architectures.WHITENING}/bias"]
    loaded = keras.models.clone_model(model)  # as fine-tuning has it, from a file
    assert loaded.get_layer(architectures.WHITENING).kernel.trainable
    assert architectures.stem(loaded) == []
    assert (
        architectures.stem(architectures.build(SMALL, np.zeros((2, 8, 8, 1), np.uint8), 3, seed=1))
        == []
    )


def test_other_settings_do_not_resume(fit: Callable[..., loop.Trained], tmp_path: Path) -> None:
    fit(Recipe(1), tmp_path)
    assert len(fit(Recipe(2), tmp_path).history) == 2


def test_infinite_loss_stops_and_says_what_was_kept(
    fit: Callable[..., loop.Trained], tmp_path: Path
) -> None:
    with pytest.raises(loop.TrainingError, match=r"infinite in epoch 1.*learning rate"):
        fit(Recipe(3, learning_rate=1e38), tmp_path)
    assert not (tmp_path / "checkpoint.npz").exists()


def test_stops_early_and_returns_the_best_epoch(
    fit: Callable[..., loop.Trained], digits: Dataset, tmp_path: Path
) -> None:
    trained = fit(Recipe(40, 8, learning_rate=0.05, patience=2), tmp_path)
    found = ["validation_accuracy", "validation_loss"]
    ranked = trained.history.sort_values(found, ascending=[False, True], kind="stable")
    assert trained.best_epoch == ranked["epoch"].iloc[0]
    assert len(ranked) == trained.best_epoch + 2 < 40
    logits = trained.model(digits.validation.images.astype(np.float32)).numpy()
    accuracy = (logits.argmax(1) == digits.validation.labels).mean()
    assert accuracy == pytest.approx(ranked["validation_accuracy"].iloc[0])


@pytest.mark.parametrize(
    ("flags", "batch_size", "expected"),
    [
        ({"avx2"}, 512, "float32"),
        ({"avx512_bf16"}, 64, "float32"),
        ({"avx512_bf16"}, 512, "mixed_bfloat16"),
        ({"avx512_bf16", "amx_bf16"}, 64, "mixed_bfloat16"),
    ],
)
def test_precision_follows_the_processor_and_the_batch(
    flags: set[str], batch_size: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "cpu_flags", lambda: flags)
    assert loop.precision(Recipe(1, batch_size)) == expected


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("compute", ["float32", "mixed_bfloat16"])
def test_both_precisions_train_export_and_agree_with_keras(
    digits: Dataset, tmp_path: Path, compute: str, activation: str
) -> None:
    trained = loop.fit(
        replace(FAST, activation=activation),
        Recipe(15, 32, "muon", 0.1),
        digits.train,
        digits.validation,
        seed=1,
        record=loop.Record(tmp_path),
        compute=compute,
    )
    assert trained.precision == compute
    exported = export.export(trained.model, digits.train.images[:50])
    images, labels = digits.validation.images, digits.validation.labels
    parity = export.parity(exported, images, labels)
    assert parity["float32"]["max_abs_dp"] < 1e-4
    assert parity["float32"]["top1_agreement"] == 1.0
    assert parity["int8"]["max_abs_dp"] < 0.15
    assert parity["int8"]["top1_agreement"] >= 0.97
    assert parity["keras"]["accuracy"] == parity["float32"]["accuracy"] > 0.8
    served = export.served_model(exported.float32, (8, 8, 1), "float32")
    answer = served.predict(images[:3])
    bias = answer.logits - answer.activation.mean((1, 2))
    np.testing.assert_allclose(bias, np.repeat(bias[:1], 3, 0), atol=1e-3)


def test_a_deep_network_is_served_in_half_precision_as_keras_has_it(
    fit: Callable[..., loop.Trained],
    digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deep = Architecture("fast", (8, 16), depth=3)
    trained = fit(Recipe(15, 32, "muon", 0.1), tmp_path, deep)
    assert sum(isinstance(layer, keras.layers.Add) for layer in trained.model.layers) == 2
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in trained.model.layers) == 1 + 6
    monkeypatch.setattr(export, "LARGE_BYTES", 0)
    exported = export.export(trained.model, digits.train.images[:50])
    parity = export.parity(exported, digits.validation.images, digits.validation.labels)
    assert parity["float32"]["max_abs_dp"] < 1e-4
    assert parity["keras"]["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("network", "side"),
    [
        (Architecture("fast", (4, 4, 4, 4)), 3),
        (Architecture("plain", (4, 4, 4, 4)), 3),
        (Architecture("fast", (4, 4), unpooled=1), 13),  # whitening makes 28 → 27
        (Architecture("fast", (4, 4), unpooled=2), 27),
    ],
)
def test_maps_are_pooled_as_planned_until_they_are_small(network: Architecture, side: int) -> None:
    model = architectures.build(network, np.zeros((2, 28, 28, 1), np.uint8), 3, seed=1)
    assert model.get_layer("features").output.shape[1:3] == (side, side)


def test_plan_trains_the_same_network_with_and_without_augmentation() -> None:
    plan = plans.networks(studies.get("cifar10").plan, "full")
    assert list(plan) == [
        *("plain_subset", "plain_subset_augmented", "plain", "plain_augmented"),
        *("quick", "standard", "best", "compact"),
        *("medium", "short_unaugmented", "medium_unaugmented", "long_unaugmented", "long"),
    ]
    pairs = [(name, f"{name}_augmented") for name in ("plain_subset", "plain")]
    for name, augmented in (*pairs, ("medium_unaugmented", "medium")):
        without, with_ = plan[name], plan[augmented]
        assert with_.recipe.augmentation is not None
        assert replace(with_.recipe, augmentation=None) == without.recipe
        assert without.architecture == with_.architecture
        assert without.seeds == (with_.seeds[:3] if augmented == "medium" else with_.seeds)
        assert without.trained_on == with_.trained_on
    for _, augmented in pairs:
        assert plan[augmented].recipe.augmentation == studies.get("cifar10").augmentation
    assert [len(plan[name].seeds) for name in ("plain_subset", "quick", "standard")] == [5, 5, 3]
    lengths = [plan[f"{length}_unaugmented"] for length in ("short", "medium", "long")]
    assert [control.recipe.epochs for control in lengths] == [5, 9, 27]
    assert {replace(c.recipe, epochs=9, patience=9) for c in lengths} == {lengths[1].recipe}
    assert {name for name, e in plan.items() if e.ablation} == {
        *("plain_subset", "plain_subset_augmented"),
        *(control.name for control in lengths),
        *("medium", "long"),
    }
    assert {e.architecture for e in (*lengths, plan["long"])} == {plan["medium"].architecture}
    assert plan["long"].recipe.epochs == lengths[-1].recipe.epochs


def test_a_teacher_is_trained_before_its_pupil() -> None:
    for profile in ("full", "quick"):
        plan = plans.networks(studies.get("cifar10").plan, profile)
        names = list(plan)
        assert names.index(plan["compact"].teacher) < names.index("compact")
        assert plan["compact"].recipe.distillation > 0


def test_rare_classes_count_more_by_the_exponent() -> None:
    labels = np.repeat([0, 1], [30, 10])
    assert loop.class_weights(labels, 2, 0.0).tolist() == [1, 1]
    assert loop.class_weights(labels, 2, 1.0) == pytest.approx([2 / 3, 2])
    halfway = loop.class_weights(labels, 2, 0.5)
    assert halfway[1] / halfway[0] == pytest.approx(3**0.5)
    assert halfway[labels].mean() == pytest.approx(1)


# --- pruning -----------------------------------------------------------------------------------


def _state(losses: np.ndarray[Any, Any], epoch: int) -> loop._State:
    return loop._State(history=[{"seconds": 0.0}] * epoch, losses=losses)


def test_pruning_leaves_out_a_share_of_the_easy_and_counts_the_others_for_them() -> None:
    losses = np.where(np.arange(4_000) < 3_000, 0.1, 2.0)
    rows, weights = loop._chosen(_state(losses, 3), Recipe(10, pruning=0.6), seed=0)
    easy = rows < 3_000
    assert len(set(rows)) == len(rows)
    assert (~easy).sum() == 1_000
    assert easy.sum() == pytest.approx(1_200, abs=4 * (3_000 * 0.6 * 0.4) ** 0.5)
    assert weights.mean() == pytest.approx(1)
    assert weights[easy].min() / weights[~easy].max() == pytest.approx(1 / 0.4)
    assert (np.diff(rows) < 0).any()  # in random order
    other, _ = loop._chosen(_state(losses, 4), Recipe(10, pruning=0.6), seed=0)
    assert set(other) != set(rows)


@pytest.mark.parametrize(("epoch", "pruning"), [(0, 0.6), (9, 0.6), (4, 0.0)])
def test_first_and_last_epochs_show_every_picture(epoch: int, pruning: float) -> None:
    losses = np.arange(100.0) if epoch else np.full(100, np.inf)
    rows, weights = loop._chosen(_state(losses, epoch), Recipe(10, pruning=pruning), seed=0)
    assert sorted(rows) == list(range(100))
    assert (weights == 1).all()


def test_pruned_gradient_is_the_whole_one_on_average() -> None:
    random = np.random.default_rng(0)
    losses, gradients = random.exponential(1, 500), random.normal(size=500)
    estimates = []
    for seed in range(400):
        rows, weights = loop._chosen(_state(losses, 2), Recipe(10, pruning=0.5), seed)
        estimates.append(np.average(gradients[rows], weights=weights))
    error = np.std(estimates) / len(estimates) ** 0.5
    assert np.mean(estimates) == pytest.approx(gradients.mean(), abs=4 * error)


def test_pruning_shows_fewer_pictures_and_still_learns(
    fit: Callable[..., loop.Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, shown = loop._chosen, []

    def noted(*arguments: Any) -> Any:
        rows, weights = chosen(*arguments)
        shown.append(len(rows))
        return rows, weights

    monkeypatch.setattr(loop, "_chosen", noted)
    recipe = Recipe(16, 16, "muon", 0.1, schedule="linear", pruning=0.6)
    history = fit(recipe, tmp_path, FAST).history
    assert shown[0] == shown[-1] == 200
    assert max(shown[1:14]) < 190
    assert history["learning_rate"].iloc[-1] < 0.2 * history["learning_rate"].max()
    assert history["validation_accuracy"].iloc[-1] > 0.9


def test_checkpoints_of_another_layout_are_not_resumed(
    fit: Callable[..., loop.Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(Recipe(1), tmp_path)
    with np.load(tmp_path / "checkpoint.npz") as stored:
        settings = json.loads(str(stored["meta"]))["settings"]
    monkeypatch.setattr(loop, "CHECKPOINT", loop.CHECKPOINT + 1)
    assert loop._load(tmp_path / "checkpoint.npz", settings, {}) is None


# --- memory ------------------------------------------------------------------------------------


def test_too_little_memory_is_told_before_anything_begins(
    fit: Callable[..., loop.Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "available_bytes", lambda: 10**5)
    with pytest.raises(loop.TrainingError, match=r"needs about .* GB .*, and 0\.0 GB are free"):
        fit(Recipe(1), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_container_may_leave_less_than_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "CGROUP", tmp_path)
    machine = environment.available_bytes()
    assert machine > 10**8
    (tmp_path / "memory.current").write_text("70\n")
    for limit, free in (("100\n", 30), ("50\n", 0)):
        (tmp_path / "memory.max").write_text(limit)
        assert environment.available_bytes() == free
    (tmp_path / "memory.max").write_text("max\n")
    assert environment.available_bytes() == pytest.approx(machine, rel=0.5)


@pytest.mark.slow
def test_the_estimate_of_memory_is_near_what_is_taken(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert 0.7 < pool.submit(memory.estimate_ratio, tmp_path).result() < 3


# --- distillation ------------------------------------------------------------------------------


def test_targets_mix_smoothed_labels_with_what_the_teacher_says() -> None:
    labels, teacher_probs = np.array([1, 0]), np.array([[0.2, 0.8, 0.0], [0.5, 0.25, 0.25]])
    recipe = Recipe(1, label_smoothing=0.3, distillation=0.5)
    alone = loop._targets(labels, None, recipe, 3)
    np.testing.assert_allclose(alone, [[0.1, 0.8, 0.1], [0.8, 0.1, 0.1]], rtol=1e-6)
    mixed = loop._targets(labels, teacher_probs, recipe, 3)
    np.testing.assert_allclose(mixed, (alone + teacher_probs) / 2, rtol=1e-6)


def test_a_student_learns_its_teachers_answers(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher takes every digit for the next one; so does who listens to it alone."""
    wrong = np.eye(10)[(digits.train.labels + 1) % 10]
    monkeypatch.setattr(loop, "_teacher_probs", lambda *_: wrong)
    student = plans.Experiment(
        name="student",
        title="",
        description="",
        architecture=FAST,
        recipe=Recipe(12, 16, "muon", 0.1, schedule="linear", distillation=1.0, patience=99),
        trained_on="full",
        seeds=(1,),
        teacher="teacher",
    )
    ((_, trained),) = loop.run(student, digits, folder=tmp_path, logs=tmp_path / "logs")
    # Judged by the labels it is ever more wrong, by its teacher ever more right.
    assert trained.history["train_loss"].iloc[-1] < 0.3
    assert trained.history["train_accuracy"].iloc[-1] < 0.05


def test_a_student_needs_its_teacher_first(digits: Dataset, tmp_path: Path) -> None:
    student = plans.networks(studies.get("digits").plan, "quick")["best"]
    student = replace(student, teacher="teacher")
    with pytest.raises(loop.TrainingError, match="best learns from teacher: train it first"):
        next(loop.run(student, digits, folder=tmp_path, logs=tmp_path))


def test_a_teacher_is_the_exported_model_of_its_first_seed(digits: Dataset, tmp_path: Path) -> None:
    model = architectures.build(FAST, digits.train.images, 10, seed=5)
    files = export.export(model, digits.train.images)
    path = tmp_path / "teacher" / "seed_5" / "model.tflite"
    path.parent.mkdir(parents=True)
    path.write_bytes(files.float32)
    student = plans.networks(studies.get("digits").plan, "quick")["best"]
    teacher_probs = loop._teacher_probs(replace(student, teacher="teacher"), digits.train, tmp_path)
    logits = model(digits.train.images.astype(np.float32)).numpy()
    assert teacher_probs is not None
    np.testing.assert_allclose(teacher_probs, calibration.softmax(logits), atol=1e-5)
    assert loop._teacher_probs(student, digits.train, tmp_path) is None
