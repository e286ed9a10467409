"""Training: augmentation, optimiser, resuming, exporting."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from src import experiments, export, models, specifications, studies, training
from src.experiments import Architecture, Recipe
from src.specifications import Augmentation
from src.studies import Dataset

SMALL = Architecture("plain", (4, 8), 0.2)
FAST = Architecture("fast", (8, 8))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    data = studies.load(specifications.DIGITS)
    rows = np.arange(200)
    return replace(
        data,
        train=studies.take(data.train, rows),
        validation=studies.take(data.validation, rows[:100]),
    )


@pytest.fixture(scope="module")
def fit(digits: Dataset) -> Callable[..., training.Trained]:
    def run(recipe: Recipe, folder: Path, architecture: Architecture = SMALL) -> training.Trained:
        return training.fit(
            architecture,
            recipe,
            digits.train,
            digits.validation,
            seed=1,
            folder=folder,
            compute="float32",
        )

    return run


PICTURES = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4, 1)


def test_no_augmentation_changes_nothing() -> None:
    assert (training.augment(PICTURES, Augmentation(), 0, 0) == PICTURES).all()


def test_alternating_flip_shows_both_sides_in_two_epochs() -> None:
    augmentation = Augmentation(flip=True, alternate=True)
    first, second = (training.augment(PICTURES, augmentation, 0, e) for e in (0, 1))
    assert (first == second[:, :, ::-1]).all()
    assert {p.tobytes() for p in first} <= {p.tobytes() for p in (*PICTURES, *PICTURES[:, :, ::-1])}


def test_shift_alone_moves_whole_pixels_and_reflects_at_the_border() -> None:
    picture = np.arange(8 * 8, dtype=np.uint8).reshape(1, 8, 8, 1)
    shifted = training.augment(np.repeat(picture, 64, 0), Augmentation(shift=0.25), 3, 0)
    padded = np.pad(picture[0, :, :, 0], 2, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8)).reshape(-1, 64)
    expected = {window.tobytes() for window in windows}
    found = {p.tobytes() for p in shifted}
    assert found <= expected
    assert len(found) > 10  # of the 25 there are


def test_rotation_and_zoom_keep_the_centre() -> None:
    picture = np.zeros((1, 9, 9, 1), np.uint8)
    picture[0, 3:6, 3:6] = 200
    turned = training.augment(np.repeat(picture, 20, 0), Augmentation(rotation=20, zoom=0.1), 0, 0)
    assert (turned[:, 4, 4, 0] == 200).all()
    assert len({p.tobytes() for p in turned}) == 20


def test_cutout_greys_one_square() -> None:
    pictures = np.zeros((5, 8, 8, 1), np.uint8)
    pictures[:, ::2] = 100
    changed = training.augment(pictures, Augmentation(cutout=0.5), 0, 0) == 50
    assert changed.sum((1, 2, 3)).tolist() == [16] * 5


def test_augmentation_depends_on_seed_and_epoch_alone() -> None:
    augmentation = Augmentation(flip=True, shift=0.2, rotation=10, zoom=0.1)
    pictures = studies.load(specifications.DIGITS).train.images[:50]
    again = [training.augment(pictures, augmentation, 1, 2) for _ in range(2)]
    assert (again[0] == again[1]).all()
    assert (again[0] != training.augment(pictures, augmentation, 1, 3)).any()
    assert (again[0] != training.augment(pictures, augmentation, 2, 2)).any()


def test_orthogonal_step_has_singular_values_near_one() -> None:
    gradient = tf.random.stateless_normal((3, 3, 8, 16), (1, 2))
    step = training._orthogonal(gradient, steps=5).numpy().reshape(-1, 16)
    values = np.linalg.svd(step, compute_uv=False)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_fused_normalisation_agrees_with_keras() -> None:
    x = np.random.default_rng(0).normal(2, 3, (6, 4, 4, 5)).astype(np.float32)
    ours, theirs = models.FusedBatchNorm(momentum=0.9), keras.layers.BatchNormalization()
    expected = theirs(x, training=True).numpy()
    np.testing.assert_allclose(ours(x, training=True).numpy(), expected, atol=1e-5)
    # The moving variance is of the unbiased estimate, as in other frameworks than Keras.
    mean, variance = 0.1 * x.mean((0, 1, 2)), 0.9 + 0.1 * x.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(ours.mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(ours.variance.numpy(), variance, rtol=1e-5)
    expected = (x - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(ours(x).numpy(), expected, atol=1e-5)


class _Interrupted(Exception):
    pass


@pytest.mark.parametrize("architecture", [SMALL, FAST], ids=["plain", "fast"])
def test_interrupted_training_ends_like_an_uninterrupted_one(
    fit: Callable[..., training.Trained],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    architecture: Architecture,
) -> None:
    optimizer = "adam" if architecture is SMALL else "muon"
    rate = 3e-3 if architecture is SMALL else 0.1
    augmentation = Augmentation(shift=0.125, rotation=10)
    pruning = 0.0 if architecture is SMALL else 0.5
    recipe = Recipe(4, 64, optimizer, rate, augmentation=augmentation, pruning=pruning)
    whole = fit(recipe, tmp_path / "whole", architecture)
    save = training._save

    def stop_after_two(*arguments: Any) -> None:
        save(*arguments)
        if arguments[2].epoch == 2:
            raise _Interrupted

    monkeypatch.setattr(training, "_save", stop_after_two)
    with pytest.raises(_Interrupted):
        fit(recipe, tmp_path / "parts", architecture)
    monkeypatch.setattr(training, "_save", save)
    resumed = fit(recipe, tmp_path / "parts", architecture)
    timeless = [name for name in training.HISTORY if name != "seconds"]
    pd.testing.assert_frame_equal(whole.history[timeless], resumed.history[timeless], rtol=1e-4)
    for a, b in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert whole.history["validation_loss"].iloc[-1] < whole.history["validation_loss"].iloc[0]


def test_other_settings_do_not_resume(fit: Callable[..., training.Trained], tmp_path: Path) -> None:
    fit(Recipe(1), tmp_path)
    assert len(fit(Recipe(2), tmp_path).history) == 2


def test_infinite_loss_stops_and_says_what_was_kept(
    fit: Callable[..., training.Trained], tmp_path: Path
) -> None:
    with pytest.raises(training.TrainingError, match=r"infinite in epoch 1.*learning rate"):
        fit(Recipe(3, learning_rate=1e30), tmp_path)
    assert not (tmp_path / "checkpoint.npz").exists()


def test_stops_early_and_returns_the_best_epoch(
    fit: Callable[..., training.Trained], digits: Dataset, tmp_path: Path
) -> None:
    trained = fit(Recipe(40, 8, learning_rate=0.05, patience=2), tmp_path)
    losses = trained.history["validation_loss"]
    assert trained.best_epoch == losses.argmin() + 1
    assert len(losses) == trained.best_epoch + 2 < 40
    logits = trained.model(digits.validation.images.astype(np.float32)).numpy()
    accuracy = (logits.argmax(1) == digits.validation.labels).mean()
    assert accuracy == pytest.approx(trained.history["validation_accuracy"].iloc[losses.argmin()])


@pytest.mark.parametrize("compute", ["float32", "mixed_bfloat16"])
def test_both_precisions_train_export_and_agree_with_keras(
    digits: Dataset, tmp_path: Path, compute: str
) -> None:
    trained = training.fit(
        FAST,
        Recipe(15, 32, "muon", 0.1),
        digits.train,
        digits.validation,
        seed=1,
        folder=tmp_path,
        compute=compute,
    )
    exported = export.export(trained.model, digits.train.images[:50])
    images, labels = digits.validation.images, digits.validation.labels
    parity = export.parity(exported, images, labels, 1.0)
    assert parity["float32"]["max_abs_dp"] < 1e-4
    assert parity["float32"]["top1_agreement"] == 1.0
    assert parity["int8"]["max_abs_dp"] < 0.15
    assert parity["int8"]["top1_agreement"] >= 0.97
    assert parity["keras"]["accuracy"] == parity["float32"]["accuracy"] > 0.8
    served = export.served_model(exported.float32, (8, 8, 1), "float32", 1.0)
    answer = served.predict(images[:3])
    bias = answer.logits - answer.activation.mean((1, 2))
    np.testing.assert_allclose(bias, np.repeat(bias[:1], 3, 0), atol=1e-3)


def test_plan_trains_the_same_network_with_and_without_augmentation() -> None:
    plan = experiments.plan(specifications.CIFAR10, "full")
    assert list(plan) == [
        *("plain_subset", "plain_subset_augmented", "plain", "plain_augmented", "best")
    ]
    for name in ("plain_subset", "plain"):
        without, with_ = plan[name], plan[f"{name}_augmented"]
        assert replace(with_.recipe, augmentation=None) == without.recipe
        assert with_.recipe.augmentation == specifications.CIFAR10.augmentation
        assert (without.architecture, without.seeds) == (with_.architecture, with_.seeds)
    assert len(plan["plain_subset"].seeds) == 5


def test_colour_changes_values_and_nothing_else() -> None:
    shifted = Augmentation(shift=0.25, rotation=10)
    pictures = np.random.default_rng(0).integers(60, 200, (6, 8, 8, 3)).astype(np.uint8)
    changes = [
        training._draw(pictures.shape, a, np.random.default_rng(1), 0)
        for a in (shifted, replace(shifted, colour=0.3))
    ]
    assert (changes[0].shift == changes[1].shift).all()
    assert (changes[0].degrees == changes[1].degrees).all()
    brighter = training._recoloured(pictures, np.tile([1.2, 1.0, 1.0], (6, 1)))
    np.testing.assert_allclose(brighter.mean((1, 2, 3)), 1.2 * pictures.mean((1, 2, 3)), atol=1)
    grey = training._recoloured(pictures, np.tile([1.0, 1.0, 0.0], (6, 1)))
    assert (grey == grey[..., :1]).all()
    text = changes[1].describe(0)
    assert "brightness" in text
    assert "saturation" in text


def test_rate_falls_after_a_plateau_and_only_then() -> None:
    recipe = Recipe(9, plateau=2, reduction=0.5)
    losses = [5, 4, 6, 5, 3, 3, 3, 3, 3]
    rows = [{"validation_loss": float(loss)} for loss in losses]
    left = [training._reduced(rows[:n], recipe) for n in range(len(rows) + 1)]
    assert left == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert training._reduced(rows, Recipe(9)) == 1


def test_rare_classes_count_more_by_the_exponent() -> None:
    labels = np.repeat([0, 1], [30, 10])
    assert training.class_weights(labels, 2, 0.0).tolist() == [1, 1]
    assert training.class_weights(labels, 2, 1.0) == pytest.approx([2 / 3, 2])
    halfway = training.class_weights(labels, 2, 0.5)
    assert halfway[1] / halfway[0] == pytest.approx(3**0.5)
    assert halfway[labels].mean() == pytest.approx(1)


# --- pruning -----------------------------------------------------------------------------------


def _state(losses: np.ndarray[Any, Any], epoch: int) -> training._State:
    return training._State(history=[{"seconds": 0.0}] * epoch, losses=losses)


def test_pruning_leaves_out_a_share_of_the_learnt_and_counts_the_others_for_them() -> None:
    losses = np.where(np.arange(4_000) < 3_000, 0.1, 2.0)
    rows, weights = training._chosen(_state(losses, 3), Recipe(10, pruning=0.6), seed=0)
    learnt = rows < 3_000
    assert len(set(rows)) == len(rows)
    assert (~learnt).sum() == 1_000
    assert learnt.sum() == pytest.approx(1_200, abs=4 * (3_000 * 0.6 * 0.4) ** 0.5)
    assert weights.mean() == pytest.approx(1)
    assert weights[learnt].min() / weights[~learnt].max() == pytest.approx(1 / 0.4)
    assert (np.diff(rows) < 0).any()  # in random order
    other, _ = training._chosen(_state(losses, 4), Recipe(10, pruning=0.6), seed=0)
    assert set(other) != set(rows)


@pytest.mark.parametrize(("epoch", "pruning"), [(0, 0.6), (9, 0.6), (4, 0.0)])
def test_first_and_last_epochs_show_every_picture(epoch: int, pruning: float) -> None:
    losses = np.arange(100.0) if epoch else np.full(100, np.inf)
    rows, weights = training._chosen(_state(losses, epoch), Recipe(10, pruning=pruning), seed=0)
    assert sorted(rows) == list(range(100))
    assert (weights == 1).all()


def test_pruned_gradient_is_the_whole_one_on_average() -> None:
    random = np.random.default_rng(0)
    losses, gradients = random.exponential(1, 500), random.normal(size=500)
    estimates = []
    for seed in range(400):
        rows, weights = training._chosen(_state(losses, 2), Recipe(10, pruning=0.5), seed)
        estimates.append(np.average(gradients[rows], weights=weights))
    error = np.std(estimates) / len(estimates) ** 0.5
    assert np.mean(estimates) == pytest.approx(gradients.mean(), abs=4 * error)


def test_pruning_shows_fewer_pictures_and_still_learns(
    fit: Callable[..., training.Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, shown = training._chosen, []

    def noted(*arguments: Any) -> Any:
        rows, weights = chosen(*arguments)
        shown.append(len(rows))
        return rows, weights

    monkeypatch.setattr(training, "_chosen", noted)
    recipe = Recipe(16, 16, "muon", 0.1, schedule="linear", pruning=0.6)
    history = fit(recipe, tmp_path, FAST).history
    assert shown[0] == shown[-1] == 200
    assert max(shown[1:14]) < 190
    assert history["learning_rate"].iloc[-1] < 0.2 * history["learning_rate"].max()
    assert history["validation_accuracy"].iloc[-1] > 0.9


def test_checkpoints_of_another_layout_are_not_resumed(
    fit: Callable[..., training.Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(Recipe(1), tmp_path)
    with np.load(tmp_path / "checkpoint.npz") as stored:
        settings = json.loads(str(stored["meta"]))["settings"]
    monkeypatch.setattr(training, "CHECKPOINT", training.CHECKPOINT + 1)
    nothing: Any = None
    assert training._load(tmp_path / "checkpoint.npz", settings, nothing, nothing) is None
