"""Transfer learning: frozen features kept on the disk, heads, fine-tuning, export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from src.data import datasets, studies, study_files
from src.data.datasets import Dataset
from src.data.formats import DataError
from src.data.plans import Augmentation, Recipe, Transfer
from src.runs import published
from src.training import augmentation, backbones, export, features, loop, transfer
from src.training.features import Reader, Views

pytestmark = pytest.mark.training

SHIFTED = Augmentation(shift=0.125)
FROZEN = Transfer("frozen", "Frozen", "", "tiny", SHIFTED, views=2, below="lower")
RECIPE = Recipe(4, 32, learning_rate=5e-4, schedule="constant", plateau=2, class_weights=0.5)
TUNED = replace(FROZEN, name="fine_tuned", tuning=RECIPE, dropout=0.2)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    data = datasets.load(studies.get("digits"))
    rows = np.arange(200)
    return replace(
        data,
        train=datasets.take(data.train, rows),
        validation=datasets.take(data.validation, rows[:100]),
        subset_ids=data.train.ids[:150],
    )


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backbone of two layers with random weights that are always the same."""

    def load(_: str, image_shape: tuple[int, int, int]) -> keras.Model:
        keras.utils.set_random_seed(3)
        image = keras.Input(image_shape, name="image")
        x = layers.Rescaling(1 / 128, -1)(image)
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name="lower")(x)
        x = layers.Conv2D(64, 5, padding="same", strides=2, name="upper")(x)
        x = layers.ReLU()(layers.BatchNormalization(name="normed")(x))
        trunk = keras.Model(image, layers.Identity(name="features")(x), name="tiny")
        trunk.trainable = False
        return trunk

    monkeypatch.setattr(backbones, "load", load)


@pytest.fixture
def reader(tmp_path: Path, digits: Dataset) -> Reader:
    return Reader(transfer.assemble(FROZEN, digits.spec, 1), "lower", tmp_path / "features")


def _only(trained: Iterator[tuple[int, loop.Trained]]) -> loop.Trained:
    [(_, found)] = trained
    return found


@pytest.fixture
def run(tmp_path: Path, digits: Dataset) -> Callable[..., loop.Trained]:
    def run(planned: Transfer, folder: str = "") -> loop.Trained:
        place = tmp_path / folder
        return _only(transfer.run(planned, digits, folder=place, logs=place / "logs"))

    return run


# --- features ----------------------------------------------------------------------------------


def test_kept_activations_lead_to_the_same_answers(digits: Dataset, tmp_path: Path) -> None:
    model = transfer.assemble(FROZEN, digits.spec, 1)
    reader = Reader(model, "lower", tmp_path)
    found = reader.read(digits.validation, Views(SHIFTED, 1, 5))
    for view, shown in enumerate(
        (digits.validation.images, augmentation.augment(digits.validation.images, SHIFTED, 5, 1))
    ):
        pictures = shown.astype(np.float32)
        embedding = keras.Model(model.input, model.get_layer("embedding").output)
        np.testing.assert_allclose(found.embeddings[view], embedding(pictures), atol=1e-4)
        upper = keras.Model(model.get_layer("lower").output, model.output)
        kept = np.asarray(found.activations[view], np.float32)
        np.testing.assert_allclose(upper(kept), model(pictures), atol=2e-3)


def test_features_are_computed_once(
    digits: Dataset, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reader.read(digits.train, Views(SHIFTED, 1, 5))
    again = Reader(transfer.assemble(FROZEN, digits.spec, 1), "lower", reader.folder)
    monkeypatch.setattr(features.export, "convert", lambda _: pytest.fail("computed again"))
    second = again.read(digits.train, Views(SHIFTED, 1, 5))
    np.testing.assert_array_equal(first.embeddings, second.embeddings)
    assert (second.seconds, second.key) == (first.seconds, first.key)
    fewer = again.read(digits.train, Views(SHIFTED, 0, 5))
    np.testing.assert_array_equal(fewer.embeddings, first.embeddings[:1])


def test_other_pictures_weights_or_augmentation_have_features_of_their_own(
    digits: Dataset, reader: Reader
) -> None:
    views = Views(SHIFTED, 0, 5)
    keys = {
        reader._key(digits.train, views),
        reader._key(digits.validation, views),
        reader._key(digits.train, Views(Augmentation(), 0, 5)),
        reader._key(digits.train, Views(SHIFTED, 0, 6)),
    }
    reader.frozen.get_layer("lower").bias.assign_add(np.ones(8))
    assert len(keys | {reader._key(digits.train, views)}) == 5


def test_every_view_has_its_turn(digits: Dataset, reader: Reader) -> None:
    found = reader.read(digits.train, Views(SHIFTED, 2, 5))
    shown = np.stack([found.mixed(1, epoch) for epoch in range(3)])  # (epoch, n, h, w, C)
    kept = np.stack(found.activations)
    for i in (0, 1, 2):
        assert {v.tobytes() for v in shown[:, i]} == {v.tobytes() for v in kept[:, i]}
    assert (shown[0] != kept[0]).any()
    np.testing.assert_array_equal(found.mixed(1, 3), shown[0])


# --- training ----------------------------------------------------------------------------------


def test_the_frozen_model_changes_nothing_but_its_head(
    run: Callable[..., loop.Trained], digits: Dataset, tmp_path: Path
) -> None:
    trained = run(FROZEN)
    fresh = transfer.assemble(FROZEN, digits.spec, 1)
    for old, new in zip(fresh.get_weights()[:-2], trained.model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(old, new)
    history = trained.history
    assert list(history) == [*loop.HISTORY, "phase"]
    assert set(history["phase"]) == {"head"}
    assert trained.best_epoch == len(history) == history["epoch"].iloc[-1]
    logits = trained.model(digits.validation.images.astype(np.float32)).numpy()
    accuracy = (logits.argmax(1) == digits.validation.labels).mean()
    assert accuracy == pytest.approx(history["validation_accuracy"].iloc[-1], abs=0.011)
    assert accuracy > 0.7
    assert list((tmp_path / "logs/frozen").rglob("events.*"))


def test_fine_tuning_goes_on_from_the_head_and_leaves_the_bottom_alone(
    run: Callable[..., loop.Trained],
) -> None:
    frozen, tuned = run(FROZEN), run(TUNED)
    before = {v.path: v.numpy() for v in frozen.model.variables}
    after = {v.path: v.numpy() for v in tuned.model.variables}
    unchanged = {p.split("/")[0] for p in before if (before[p] == after[p]).all()}
    assert unchanged == {"lower", "normed"}
    head = tuned.history[tuned.history["phase"] == "head"]
    assert len(head) == len(frozen.history)
    assert head["validation_loss"].tolist() == frozen.history["validation_loss"].tolist()
    assert tuned.history["epoch"].tolist() == list(range(1, len(tuned.history) + 1))
    assert tuned.history["seconds"].is_monotonic_increasing
    assert tuned.notes["fine_tuned_from"] == len(head) + 1 <= tuned.best_epoch


class _Interrupted(Exception):
    pass


@pytest.mark.parametrize("below", ["lower", None])
def test_interrupted_fine_tuning_ends_as_if_it_had_not_been(
    run: Callable[..., loop.Trained], below: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = replace(TUNED, below=below, dropout=0.0)
    whole = run(planned, "whole")
    save = loop._save

    def stop_after_two(*arguments: Any) -> None:
        save(*arguments)
        if arguments[2].epoch == 2:
            raise _Interrupted

    monkeypatch.setattr(loop, "_save", stop_after_two)
    with pytest.raises(_Interrupted):
        run(planned, "parts")
    monkeypatch.setattr(loop, "_save", save)
    resumed = run(planned, "parts")
    timeless = [name for name in whole.history if name != "seconds"]
    pd.testing.assert_frame_equal(whole.history[timeless], resumed.history[timeless], rtol=1e-4)
    for a, b in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_cross_validation_covers_training_and_validation(digits: Dataset, tmp_path: Path) -> None:
    found = transfer.cross_validate(FROZEN, digits, folder=tmp_path)
    answers = found.predictions[found.predictions["repeat"] == 0]
    assert answers["split"].value_counts().to_dict() == {"train": 200, "validation": 100}
    assert sorted(answers["id"]) == sorted([*digits.train.ids, *digits.validation.ids])
    assert found.folds["accuracy"].mean() > 0.7


def test_a_run_states_how_a_model_came_to_be(run: Callable[..., loop.Trained]) -> None:
    tuned = run(TUNED)
    stated = transfer.config_of(TUNED, tuned)
    assert stated["family"] == "transfer"
    assert stated["architecture"] == {"kind": "tiny", "widths": [64], "last_frozen": "lower"}
    assert stated["training"]["epochs"] == stated["fine_tuned_from"] - 1 + RECIPE.epochs
    frozen = transfer.config_of(FROZEN, run(FROZEN))
    assert frozen["architecture"]["last_frozen"] == "all"
    assert frozen["training"]["optimizer"] == "L-BFGS"


# --- export ------------------------------------------------------------------------------------


def test_large_models_are_kept_in_half_precision(
    run: Callable[..., loop.Trained], digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = run(TUNED).model
    pictures, labels = digits.validation.images, digits.validation.labels
    whole = export.export(model, digits.train.images[:50])
    monkeypatch.setattr(export, "LARGE_BYTES", 0)
    half = export.export(model, digits.train.images[:50])
    assert len(half.keras) < 0.9 * len(whole.keras)
    assert len(half.float32) < 0.9 * len(whole.float32)
    parity = export.parity(half, pictures, labels)
    assert parity["float32"]["max_abs_dp"] < 1e-3
    assert parity["float32"]["top1_agreement"] == 1.0
    exact = export.served_model(whole.float32, (8, 8, 1), "float32").predict(pictures)
    rounded = export.served_model(half.float32, (8, 8, 1), "float32").predict(pictures)
    np.testing.assert_allclose(exact.probabilities, rounded.probabilities, atol=0.01)
    bias = rounded.logits - rounded.activation.mean((1, 2))
    np.testing.assert_allclose(bias, np.repeat(bias[:1], len(bias), 0), atol=0.02)


def test_weights_too_large_for_half_precision_stay_as_they_are() -> None:
    large, small = np.float32([1e6, 1.0001]), np.float32([1.0001])
    assert export._rounded(large) is large
    assert export._rounded(small).tolist() == [1.0]


# --- plan --------------------------------------------------------------------------------------


def test_plan_of_photos() -> None:
    plan = transfer.plan(studies.get("clothing"), "full")
    assert list(plan) == ["frozen", "fine_tuned"]
    assert plan["frozen"].tuning is None
    assert plan["frozen"].below == plan["fine_tuned"].below == "stage5"
    quick = transfer.plan(studies.get("clothing"), "quick")["fine_tuned"]
    assert (quick.tuning and quick.tuning.epochs, quick.trained_on) == (2, "subset")
    other = transfer.plan(studies.get("clothing"), "full", "InceptionV3")["fine_tuned"]
    assert (other.backbone, other.below) == ("InceptionV3", transfer.NARROWEST)


def test_plan_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = {"title": "Shelves", "description": "Two.", "classes": ["a", "b"]}
    assert list(transfer.plan(study_files.own("shelves", computed), "full")) == ["frozen"]
    assert transfer.plan(studies.get("digits"), "full") == {}
    monkeypatch.setattr(published, "versions", lambda _: [])
    assert transfer.plan(studies.get("mnist"), "full") == {}
    monkeypatch.setattr(published, "versions", lambda _: ["v1"])
    plan = transfer.plan(studies.get("mnist"), "full")
    assert plan["fine_tuned"].backbone == "run:fashion_mnist/best"
    assert plan["fine_tuned"].augmentation == studies.get("mnist").augmentation


def test_plan_refuses_unknown_backbones_before_anything_else() -> None:
    with pytest.raises(backbones.BackboneError, match="no backbone 'VGG99'"):
        transfer.plan(studies.get("clothing"), "full", "VGG99")


@pytest.mark.mirror
def test_clothing_has_its_three_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path))
    try:
        data = datasets.load(studies.get("clothing"), progress=False)
    except DataError as error:
        pytest.skip(str(error))
    assert [len(split) for split in data.splits] == [3_068, 341, 372]
    assert data.train.ids[0].startswith("train/dress/")
