"""Notebook 6: what is known about the fitted classical models, written into the draft."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from src import config
from src.classical.fitting import Fitted, Floats
from src.data.datasets import Dataset
from src.data.plans import Estimator
from src.evaluation import metrics, stats
from src.runs.drafts import Draft

# --- recording ---------------------------------------------------------------------------------


def record(draft: Draft, plan: Mapping[str, Estimator], fitted: Mapping[str, Fitted]) -> None:
    """Write what is known about fitted models before the test images are read.

    `models/<name>/config.json` of each, and all candidates of the searches.
    """
    for name, model in fitted.items():
        draft.write_json(f"models/{name}/config.json", _config(plan[name], model))
    searches = [f.search for f in fitted.values() if f.made["search"]]
    if searches:
        draft.write_table("classical/search.parquet", pd.concat(searches, ignore_index=True))


def _config(estimator: Estimator, fitted: Fitted) -> dict[str, Any]:
    made = fitted.made
    shifts = "one pixel up, down, left and right" if estimator.shifts else None
    known = {
        "name": estimator.name,
        "family": estimator.family,
        "title": estimator.title,
        "description": estimator.description,
        "augmentation": {"shift": shifts} if shifts else None,
        "training": {**made["settings"], "images with their shifts": made["n_fitted"]}
        if shifts
        else made["settings"],
        "trained_on": estimator.trained_on,
        "n_train": made["n_train"],
        "seed": config.SEED,
        "seeds": [config.SEED],
        "seconds": {str(config.SEED): made["own_seconds"]},  # with the search, without members
        "training_seconds": made["seconds"],  # of the final fit, with the members'
        "training_cpu_seconds": made["cpu_seconds"],
        "own_cpu_seconds": made["own_cpu_seconds"],  # with the search, without members
        "needs": [*estimator.members, *filter(None, [estimator.like])],
        "bytes": made["bytes"],
    }
    optional = ("temperature", "combine", "members", "estimator")
    return known | {name: made[name] for name in optional if made.get(name) is not None}


# --- judging -----------------------------------------------------------------------------------


def scored(fitted: Mapping[str, Fitted], dataset: Dataset) -> dict[str, metrics.Scored]:
    """What each model said to validation, ready to be evaluated."""
    split = dataset.validation
    return {
        name: metrics.score(
            split.labels, model.validation, dataset.spec.classes, split.ids, split.name
        )
        for name, model in fitted.items()
    }


def at_a_glance(
    plan: Mapping[str, Estimator], fitted: Mapping[str, Fitted], dataset: Dataset
) -> pd.DataFrame:
    """One row per model: title, accuracy on validation as value, low and high, n, and costs.

    seconds: of the final fit, with the members'; milliseconds: per image, all of validation at
    once; megabytes: of the files.
    """
    rows = []
    for name, answers in scored(fitted, dataset).items():
        accuracy = stats.wilson(int(answers.correct.sum()), answers.n)
        made = fitted[name].made
        costs = {key: made[key] for key in ("seconds", "milliseconds")}
        interval = {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high}
        row = {"title": plan[name].title, **interval, "n": answers.n, **costs}
        rows.append(row | {"megabytes": made["bytes"] / 1e6})
    return pd.DataFrame(rows, index=list(fitted))


def answers(names: Iterable[str], fitted: Mapping[str, Fitted]) -> Floats:
    """(M, n, K) probabilities of some models on validation, for `ensembles`."""
    return np.stack([fitted[name].validation for name in names])
