"""Searching settings and fitting classical models, each kept as soon as it is finished.

Settings are chosen by accuracy on validation among models fitted to a stratified part of the
training images; the chosen model is then fitted to all of them. A finished model is kept with the
settings and images it came from, so that an interrupted run goes on with the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from src import config
from src.classical import ensembles, store
from src.classical.estimators import build, shifted
from src.classical.store import MADE, Classifier
from src.data import datasets
from src.data.datasets import Dataset, Split
from src.data.plans import COMBINED, Estimator
from src.evaluation import calibration, stats

Pixels = NDArray[np.uint8]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
LIBRARIES = {"svc": ("scikit-learn", "scikit-learn-intelex")}  # others: scikit-learn alone


class ClassicalError(Exception):
    """A model cannot be fitted; the message is for a person."""


# --- searching ---------------------------------------------------------------------------------


def search(
    estimator: Estimator, train: Split, validation: Split
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The settings with the highest accuracy on validation, and the table of all candidates.

    Columns: model, title, settings (text), n_train, n, accuracy with Wilson's low and high, seconds
    of fitting, chosen.
    """
    from sklearn.model_selection import ParameterGrid

    grid = ParameterGrid({name: list(values) for name, values in estimator.grid.items()})
    if len(grid) < 2:
        return {**estimator.settings, **grid[0]}, pd.DataFrame()
    part = _stratified(train, estimator.part)
    candidates = [{**estimator.settings, **candidate} for candidate in grid]
    bar = tqdm(candidates, desc=f"{estimator.title}: search", unit="candidate", leave=False)
    rows = [_tried(estimator, settings, part, validation) for settings in bar]
    table = pd.DataFrame(rows)
    best = int(table["accuracy"].argmax())
    shown = [_spelled({name: c[name] for name in estimator.grid}) for c in candidates]
    table.insert(2, "settings", shown)
    return candidates[best], table.assign(chosen=np.arange(len(table)) == best)


def _tried(
    estimator: Estimator, settings: Mapping[str, Any], part: Split, validation: Split
) -> dict[str, Any]:
    started = time.perf_counter()
    model = _fit_to(build(estimator.kind, settings), part.images, part.labels)
    seconds = time.perf_counter() - started
    right = model.predict(store.rows(validation.images)) == validation.labels
    accuracy = stats.wilson(int(right.sum()), len(right))
    return {
        "model": estimator.name,
        "title": estimator.title,
        "n_train": len(part),
        "n": len(right),
        "accuracy": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "seconds": seconds,
    }


def _fit_to(model: Any, images: Pixels, labels: Integers) -> Any:
    from threadpoolctl import threadpool_limits

    # Boosting's threads meet at every node of every tree: where another process holds a core, they
    # wait for each other a hundred times longer than they work.
    alone = type(_last_step(model)).__name__ == "HistGradientBoostingClassifier"
    with threadpool_limits(**store.threads(1 if alone else len(images))):
        return model.fit(store.rows(images), labels)


def _spelled(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())


def _stratified(split: Split, n: int) -> Split:
    """About n images of a split, each class by its share; all where there are no more."""
    if n >= len(split):
        return split
    from sklearn.model_selection import train_test_split

    rows, _ = train_test_split(
        np.arange(len(split)), train_size=n, stratify=split.labels, random_state=config.SEED
    )
    return datasets.take(split, np.sort(rows))


# --- fitting -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fitted:
    """A fitted model, its predictions on validation, and what its making said."""

    model: Classifier
    validation: Floats  # (n, K) probabilities, of a blend cross-fitted
    made: dict[str, Any]  # settings, seconds, cpu_seconds, milliseconds an image, search, …

    @property
    def search(self) -> pd.DataFrame:
        """The candidates (`search`); empty where there was one at most."""
        return pd.DataFrame(self.made["search"])


def run(estimators: Iterable[Estimator], dataset: Dataset, folder: Path) -> dict[str, Fitted]:
    """Fit models in turn, or take those that are kept in `folder` already; with progress.

    Raises:
        ClassicalError: a model needs another one that is not fitted yet.
    """
    bar = tqdm(list(estimators), unit="model")
    fitted = {}
    for estimator in bar:
        bar.set_description(estimator.title)
        fitted[estimator.name] = fit(estimator, dataset, folder)
    return fitted


def fit(estimator: Estimator, dataset: Dataset, folder: Path) -> Fitted:
    """Search and fit one model, or take it from `folder` if it is there with the same settings.

    Raises:
        ClassicalError: it needs another model that is not fitted yet.
    """
    missing = [n for n in _needs(estimator) if not (folder / n / MADE).is_file()]
    if missing:
        raise ClassicalError(f"{estimator.name} needs {', '.join(missing)}: fit that first.")
    needed = {name: _kept(folder, name) for name in _needs(estimator)}
    fingerprint = _fingerprint(estimator, dataset, needed)
    if _fingerprint_in(folder / estimator.name) != fingerprint:
        make = _combine if estimator.kind in COMBINED else _fit
        model, validation, made = make(estimator, dataset, needed)
        _keep(folder, estimator, model, validation, made | {"fingerprint": fingerprint})
    return _kept(folder, estimator.name)


def _needs(estimator: Estimator) -> tuple[str, ...]:
    return estimator.members + ((estimator.like,) if estimator.like else ())


def _fit(
    estimator: Estimator, dataset: Dataset, needed: Mapping[str, Fitted]
) -> tuple[Any, Floats, dict[str, Any]]:
    """A scikit-learn estimator, its predictions on validation, and its record."""
    train = dataset.subset if estimator.trained_on == "subset" else dataset.train
    validation = dataset.validation
    begun, spent = time.perf_counter(), time.process_time()
    settings, candidates = _settings(estimator, train, validation, needed)
    images, labels = _training_images(estimator, train, needed)
    wall, cpu = time.perf_counter(), time.process_time()
    model = _fit_to(build(estimator.kind, settings), images, labels)
    made: dict[str, Any] = {"seconds": time.perf_counter() - wall}
    made["cpu_seconds"] = time.process_time() - cpu
    made["own_seconds"] = time.perf_counter() - begun  # with the search
    made["own_cpu_seconds"] = time.process_time() - spent
    _answer_alone(model)
    made["temperature"] = _temperature(model, validation) if estimator.kind == "svc" else None
    answer = store.Single(model, made["temperature"]).predict(validation.images)
    made |= {
        "milliseconds": answer.milliseconds / len(validation),
        "settings": settings,
        "search": candidates.to_dict("records"),
        "n_train": len(train),
        "n_fitted": len(images),
    }
    return model, answer.probabilities, made


def _settings(
    estimator: Estimator, train: Split, validation: Split, needed: Mapping[str, Fitted]
) -> tuple[dict[str, Any], pd.DataFrame]:
    if estimator.like:
        return needed[estimator.like].made["settings"], pd.DataFrame()
    return search(estimator, train, validation)


def _training_images(
    estimator: Estimator, train: Split, needed: Mapping[str, Fitted]
) -> tuple[Pixels, Integers]:
    """The training images of a model, with their shifts where it asks for them."""
    if estimator.shifts is None:
        return train.images, train.labels
    if estimator.shifts == "support":
        first: Any = needed[str(estimator.like)].model
        train = datasets.take(train, np.sort(_last_step(first.estimator).support_))
    return shifted(train.images), np.tile(train.labels, 5)


def _last_step(model: Any) -> Any:
    return model[-1] if hasattr(model, "steps") else model


def _answer_alone(model: Any) -> None:
    """One thread: for one image at a time, starting more costs more than they save."""
    if "n_jobs" in _last_step(model).get_params():
        _last_step(model).set_params(n_jobs=1)


def _temperature(model: Any, validation: Split) -> float:
    scores = store.scores(model, validation.images)
    return float(calibration.fit_temperature(scores, validation.labels))


def _combine(
    estimator: Estimator, dataset: Dataset, needed: Mapping[str, Fitted]
) -> tuple[Any, Floats, dict[str, Any]]:
    """A blender or None, the ensemble's predictions on validation, and what is written down."""
    labels = dataset.validation.labels
    members = [needed[name] for name in estimator.members]
    probabilities = np.stack([member.validation for member in members])
    wall, cpu = time.perf_counter(), time.process_time()
    blender = ensembles.blender(probabilities, labels) if estimator.kind == "blend" else None
    own = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    if estimator.kind == "blend":
        validation = ensembles.cross_fitted(probabilities, labels)
    else:
        combine = ensembles.hard if estimator.kind == "hard" else ensembles.soft
        validation = combine(probabilities)
    sums = {
        key: own.get(key, 0) + sum(member.made[key] for member in members)
        for key in ("seconds", "cpu_seconds", "milliseconds", "bytes")
    }
    made: dict[str, Any] = {
        "settings": {},
        "search": [],
        "temperature": None,
        "n_fitted": len(labels),
    }
    made |= {"n_train": members[0].made["n_train"], "own_seconds": own["seconds"]}
    made["own_cpu_seconds"] = own["cpu_seconds"]
    return blender, validation, made | sums


# --- keeping -----------------------------------------------------------------------------------


def _fingerprint(estimator: Estimator, dataset: Dataset, needed: Mapping[str, Fitted]) -> str:
    """Same settings, same images, same libraries, same models underneath."""
    settings = asdict(estimator)
    for text in ("title", "description"):
        del settings[text]
    known = [settings, _library(estimator.kind), [f.made["fingerprint"] for f in needed.values()]]
    known += [
        [datasets.ids_sha256(split.ids), hashlib.sha256(split.labels.tobytes()).hexdigest()]
        for split in (dataset.train, dataset.validation, dataset.subset)
    ]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _library(kind: str) -> str:
    names = LIBRARIES.get(kind, ("scikit-learn",))
    return ", ".join(f"{name} {version(name)}" for name in names)


def _fingerprint_in(home: Path) -> str | None:
    path = home / MADE
    return str(json.loads(path.read_text())["fingerprint"]) if path.is_file() else None


def _keep(
    folder: Path, estimator: Estimator, model: Any, validation: Floats, made: dict[str, Any]
) -> None:
    """Write a fitted model; what is written down comes last, so what it names is there."""
    home = folder / estimator.name
    home.mkdir(parents=True, exist_ok=True)
    (home / MADE).unlink(missing_ok=True)
    np.save(home / "validation.npy", validation)
    made = {"name": estimator.name, "bytes": 0, **made}
    if estimator.kind in COMBINED:
        made |= {"combine": estimator.kind, "members": list(estimator.members)}
    if model is not None:
        content = store.encoded(model)
        (home / f"{estimator.name}.joblib").write_bytes(content)
        made["bytes"] += len(content)
        made["estimator"] = {
            "file": f"{estimator.name}.joblib",
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "library": _library(estimator.kind),
        }
    partial = home / f"{MADE}.partial"
    partial.write_text(json.dumps(made, indent=1))
    os.replace(partial, home / MADE)


def _kept(folder: Path, name: str) -> Fitted:
    made = json.loads((folder / name / MADE).read_text())
    model = store.kept(folder, name)
    return Fitted(model, store.kept_validation(folder, name), made)
