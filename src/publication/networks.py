"""Notebooks 3 to 7: train a network, export it, and write what training and validation say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src import environment
from src.data.datasets import Dataset, Split
from src.data.plans import Experiment, Transfer
from src.evaluation import calibration
from src.evaluation.calibration import Calibration
from src.publication import inheritance
from src.runs import published
from src.runs.drafts import Draft
from src.training import architectures, export, loop, transfer
from src.training.loop import Trained

REPRESENTATIVE_IMAGES = 500  # training images that give int8 its ranges
REPRESENTATIVE_VALUES = 2**24  # in all of them, so fewer of photos


# --- 03 to 07: training ------------------------------------------------------------------------


def train(draft: Draft, experiment: Experiment, dataset: Dataset) -> pd.DataFrame:
    """Train and record a network, unless the draft took it over; returns `histories`.

    Raises:
        TrainingError: see `training.fit`.
    """
    if not inheritance.inherited(draft, experiment.name):
        seeds = loop.run(experiment, dataset, folder=draft.checkpoints, logs=draft.logs)
        record_training(draft, experiment, dataset, dict(seeds))
    return draft.read_table(f"models/{experiment.name}/history.csv")


def record_training(
    draft: Draft,
    experiment: Experiment | Transfer,
    dataset: Dataset,
    trained: Mapping[int, Trained],
) -> dict[str, Any]:
    """Export a trained experiment and write what training and validation say about it.

    The model of the first seed is the one that is published and served; of the others only the
    answers are kept, for the spread. Returns the parity of the served files with Keras.
    """
    examples = _representative(dataset.train.images)
    exported = {seed: export.export(t.model, examples) for seed, t in trained.items()}
    for seed, files in exported.items():
        draft.keep_seed_model(experiment.name, seed, files.float32)
    first = experiment.seeds[0]
    calibrated = _calibrated(exported[first].float32, dataset.validation)
    folder = f"models/{experiment.name}"
    for name in ("keras", "float32", "int8"):
        draft.write(f"{folder}/{published.MODEL_FILES[name]}", getattr(exported[first], name))
    parity = export.parity(
        exported[first], dataset.validation.images, dataset.validation.labels, calibrated
    )
    draft.write_json(f"{folder}/parity.json", parity)
    draft.write_table(f"{folder}/history.csv", histories(trained))
    config_ = _model_config(experiment, dataset, trained, calibrated)
    draft.write_json(f"{folder}/config.json", config_)
    return parity


def _representative(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    wanted = min(REPRESENTATIVE_IMAGES, REPRESENTATIVE_VALUES // images[0].size)
    return images[:: max(1, len(images) // wanted)]


def _calibrated(content: bytes, validation: Split) -> Calibration:
    model = export.served_model(content, validation.images.shape[1:], "float32")
    return calibration.fit(model.predict(validation.images).logits, validation.labels)


def histories(trained: Mapping[int, Trained]) -> pd.DataFrame:
    """The histories of all seeds in one frame, with a column `seed` in front."""
    frames = [t.history.assign(seed=seed) for seed, t in trained.items()]
    history = pd.concat(frames, ignore_index=True)
    return history[["seed", *history.columns.drop("seed")]]


def _model_config(
    experiment: Experiment | Transfer,
    dataset: Dataset,
    trained: Mapping[int, Trained],
    calibrated: Calibration,
) -> dict[str, Any]:
    first = trained[experiment.seeds[0]]
    shapes = {
        name: list(t.shape[1:]) for name, t in architectures.serving(first.model).output.items()
    }
    train = dataset.subset if experiment.trained_on == "subset" else dataset.train
    return {
        "name": experiment.name,
        "title": experiment.title,
        "description": experiment.description,
        **_stated(experiment, first),
        "trained_on": experiment.trained_on,
        "n_train": len(train),
        published.ABLATION: isinstance(experiment, Experiment) and experiment.ablation,
        "needs": [experiment.teacher]
        if isinstance(experiment, Experiment) and experiment.teacher
        else [],
        "code_revision": environment.code_revision(),  # when its last training was finished
        "seed": experiment.seeds[0],
        "seeds": list(trained),
        "best_epoch": first.best_epoch,
        "best_epochs": {str(seed): t.best_epoch for seed, t in trained.items()},
        "precision": first.precision,
        **asdict(calibrated),
        "parameters": int(first.model.count_params()),
        "peak_bytes": environment.peak_bytes(),
        "seconds": {str(seed): t.seconds for seed, t in trained.items()},
        "cpu_seconds": {str(seed): t.cpu_seconds for seed, t in trained.items()},
        "layers": architectures.layer_table(first.model),
        "tensors": {"image": list(dataset.spec.image_shape), **shapes},
    }


def _stated(experiment: Experiment | Transfer, trained: Trained) -> dict[str, Any]:
    if isinstance(experiment, Transfer):
        return transfer.config_of(experiment, trained)
    recipe = asdict(experiment.recipe)
    return {
        "family": "network",
        "architecture": asdict(experiment.architecture),
        "augmentation": recipe.pop("augmentation"),
        "training": recipe,
    }
