"""Transfer learning: a pretrained network adapted to few images of our own.

`frozen` is a linear head on the features of an unchanged backbone. `fine_tuned` starts from it and
trains the backbone's top layers too. What stays frozen is computed once for every image and every
augmented view of it, by LiteRT, and kept on the disk: an epoch of fine-tuning then computes the top
alone. Activations are kept in half precision; everything is computed in float32.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers
from numpy.typing import NDArray

from src.data import exploration, near_duplicates, plans
from src.data.datasets import Dataset, Split
from src.data.plans import Recipe, Transfer
from src.data.specification import StudySpec
from src.runs import published
from src.serving import linear
from src.training import augmentation, backbones, cross_validation, export, loop
from src.training.cross_validation import CrossValidation, Pool
from src.training.features import Reader, Views
from src.training.loop import HISTORY, Record, Trained

COMPUTE = "float32"
FEATURES = "features"  # folder beside the checkpoints
HEAD_VIEWS = 3  # of every training image, for the head: more change nothing
NARROWEST = "narrowest"
MOST = 5_000  # images that are cross-validated


# --- plan --------------------------------------------------------------------------------------


def plan(spec: StudySpec, profile: str, backbone: str | None = None) -> dict[str, Transfer]:
    """The models that a study builds on another network (`plans.transfer`) and can build here.

    A study whose usual backbone is a published network of another one has none where that is not
    published.

    Raises:
        BackboneError: there is no such backbone.
    """
    if backbone is not None:
        backbones.check(backbone)
    planned = plans.transfer(spec.plan, profile, backbone)
    return {name: t for name, t in planned.items() if backbone or _published(t.backbone)}


def _published(backbone: str) -> bool:
    """Whether a backbone is not of a run, or of a study that has one."""
    study = backbone.removeprefix(backbones.RUN).partition("/")[0]
    return not backbone.startswith(backbones.RUN) or bool(published.versions(study))


# --- training ----------------------------------------------------------------------------------


def run(
    transfer: Transfer, dataset: Dataset, *, folder: Path, logs: Path
) -> Iterator[tuple[int, Trained]]:
    """Train a model once per seed, in turn; each can be interrupted and resumed.

    Histories have a column `phase` beside those of `training.HISTORY`: "head", whose epochs are
    iterations over all training images and have no learning rate, then "fine_tuning".

    Raises:
        BackboneError: the backbone cannot be used; nothing was trained.
        TrainingError: see `training.fit`.
    """
    for seed in transfer.seeds:
        part = f"{transfer.name}/seed_{seed}"
        started = _Start(transfer, dataset, seed, folder / FEATURES)
        headed = started.headed()
        for _, row in headed.history.drop(columns=["learning_rate", "phase"]).iterrows():
            loop.log(logs / part, {str(name): value for name, value in row.items()})
        if transfer.tuning is None:
            yield seed, headed
        else:
            record = Record(folder / part, logs / part, started.settings)
            yield seed, _joined(headed, started.tuned(transfer.tuning, record))


class _Start:
    """The backbone of one seed's model, and the features of training and validation images."""

    def __init__(self, transfer: Transfer, dataset: Dataset, seed: int, folder: Path) -> None:
        self.transfer, self.seed = transfer, seed
        self.train, self.validation = _training_part(transfer, dataset), dataset.validation
        self.model = assemble(transfer, dataset.spec, seed)
        self.below = _last_frozen(transfer, self.model)
        reader = Reader(self.model, self.below, folder)
        self.seen = reader.read(self.train, Views(transfer.augmentation, transfer.views, seed))
        self.held = reader.read(self.validation, Views(transfer.augmentation, 0, seed))

    @property
    def settings(self) -> str:
        """Same settings, same images, same backbone: see `Record`."""
        stated = [asdict(self.transfer), self.seen.key, self.held.key, self.seed]
        return hashlib.sha256(json.dumps([*stated, keras.__version__]).encode()).hexdigest()

    def headed(self) -> Trained:
        """Fit the head and give it to the model; reading the features counts as training."""
        n_classes = int(self.model.output.shape[-1])
        head = linear.best(
            linear.examples(
                self.seen.embeddings[:HEAD_VIEWS],
                self.train.labels,
                n_classes,
                self.transfer.class_weights,
            ),
            linear.examples(self.held.embeddings, self.validation.labels, n_classes),
            n_classes,
        )
        self.model.get_layer("logits").set_weights([head.kernel, head.bias])
        read = self.seen.seconds + self.held.seconds
        history = head.history.assign(
            epoch=np.arange(1, len(head.history) + 1),
            seconds=head.history["seconds"] + read,
            learning_rate=np.nan,
            phase="head",
        )
        cpu = self.seen.cpu_seconds + self.held.cpu_seconds + head.cpu_seconds
        return Trained(
            self.model,
            history[[*HISTORY, "phase"]],
            len(history),
            read + head.seconds,
            cpu,
            COMPUTE,
            {"head_strength": head.strength},
        )

    def tuned(self, recipe: Recipe, record: Record) -> Trained:
        """Train what is above the last frozen layer, normalisation as it is; the model shares it.

        Where no layer is frozen, images are augmented anew in every epoch.
        """
        upper = _above(self.model, self.below)
        for layer in upper.layers:
            layer.trainable = not isinstance(layer, export.NORMALISATIONS)
        images = self.validation.images if self.below is None else self.held.activations[0]
        return loop.learn(
            upper,
            recipe,
            self.train.labels,
            self._inputs,
            (images, self.validation.labels),
            seed=self.seed,
            record=record,
        )

    def _inputs(self, epoch: int) -> NDArray[Any]:
        if self.below is None:
            changes = self.transfer.augmentation
            return augmentation.augment(self.train.images, changes, self.seed, epoch)
        return self.seen.mixed(self.seed, epoch)


def _training_part(transfer: Transfer, dataset: Dataset) -> Split:
    return dataset.subset if transfer.trained_on == "subset" else dataset.train


def assemble(transfer: Transfer, spec: StudySpec, seed: int) -> keras.Model:
    """The backbone with a new linear head: float32 (n, H, W, C) in 0–255 → logits (n, K).

    Raises:
        BackboneError: see `backbones.load`.
    """
    keras.utils.set_random_seed(seed)
    trunk = backbones.load(transfer.backbone, spec.image_shape)
    x = layers.GlobalAveragePooling2D(name="embedding")(trunk.output)
    if transfer.dropout:
        x = layers.Dropout(transfer.dropout, seed=seed)(x)
    logits = layers.Dense(len(spec.classes), name="logits")(x)
    return keras.Model(trunk.input, logits, name=trunk.name)


def _last_frozen(transfer: Transfer, model: keras.Model) -> str | None:
    if transfer.below == NARROWEST:
        return backbones.narrowest(model)
    return transfer.below


def _above(model: keras.Model, below: str | None) -> keras.Model:
    """The part of a model above a layer, which it goes on sharing with the model."""
    return model if below is None else keras.Model(model.get_layer(below).output, model.output)


def _joined(headed: Trained, tuned: Trained) -> Trained:
    """Both phases as one training."""
    epochs = len(headed.history)
    after = tuned.history.assign(
        epoch=tuned.history["epoch"] + epochs,
        seconds=tuned.history["seconds"] + headed.seconds,
        phase="fine_tuning",
    )
    return replace(
        tuned,
        model=headed.model,
        history=pd.concat([headed.history, after], ignore_index=True),
        best_epoch=tuned.best_epoch + epochs,
        seconds=headed.seconds + tuned.seconds,
        cpu_seconds=headed.cpu_seconds + tuned.cpu_seconds,
        notes=headed.notes | {"fine_tuned_from": epochs + 1},
    )


def config_of(transfer: Transfer, trained: Trained) -> dict[str, Any]:
    """What a run's `config.json` says about how a model came to be, as for networks."""
    recipe = {"optimizer": "L-BFGS", "batch_size": "all", "class_weights": transfer.class_weights}
    epochs = len(trained.history)
    if transfer.tuning is not None:
        recipe = asdict(transfer.tuning)
        recipe.pop("augmentation")
        epochs = trained.notes["fine_tuned_from"] - 1 + recipe.pop("epochs")
    width = trained.model.get_layer("embedding").output.shape[-1]
    return {
        "family": "transfer",
        "architecture": {
            "kind": transfer.backbone,
            "widths": [int(width)],
            "last_frozen": transfer.below if transfer.tuning else "all",
        },
        "augmentation": asdict(transfer.augmentation),
        "training": {"epochs": epochs} | recipe | {"views": transfer.views},
    } | trained.notes


# --- cross-validation --------------------------------------------------------------------------


def cross_validate(transfer: Transfer, dataset: Dataset, *, folder: Path) -> CrossValidation:
    """Cross-validate a frozen model over training and validation images; test is left alone.

    Features that `run` has kept in `folder` are used again. Of more than `MOST` images a
    stratified part is taken: where there are many, one split says enough.

    Raises:
        BackboneError: see `backbones.load`.
    """
    seed = transfer.seeds[0]
    splits = _training_part(transfer, dataset), dataset.validation
    model = assemble(transfer, dataset.spec, seed)
    reader = Reader(model, _last_frozen(transfer, model), folder / FEATURES)
    views = Views(transfer.augmentation, min(transfer.views, HEAD_VIEWS - 1), seed)
    labels = np.concatenate([s.labels for s in splits])
    rows = exploration.stratified(labels, MOST)
    embeddings = [reader.read(s, views).embeddings for s in splits]
    pool = Pool(
        embeddings=np.concatenate(embeddings, axis=1)[:, rows],
        labels=labels[rows],
        ids=np.concatenate([s.ids for s in splits])[rows],
        splits=np.repeat([s.name for s in splits], [len(s) for s in splits])[rows],
        groups=_groups(splits, rows),
        classes=dataset.spec.classes,
        class_weights=transfer.class_weights,
    )
    return cross_validation.run(transfer.name, pool, seed)


def _groups(splits: tuple[Split, ...], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The group (n,) of some images of several splits: the study's own, else by their pixels."""
    known = [split.groups for split in splits if split.groups is not None]
    if len(known) == len(splits):
        return np.concatenate(known)[rows]
    images = [image for split in splits for image in split.images]
    signatures = [near_duplicates.signature(images[row]) for row in rows]
    return near_duplicates.groups(np.stack(signatures))
