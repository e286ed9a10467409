"""Classical models on pixels: which a study fits, and how they are searched, fitted and kept.

Settings are chosen by accuracy on validation among models fitted to a stratified part of the
training pictures; the chosen model is then fitted to all of them. A finished model is kept with the
settings and pictures it came from, so that an interrupted run goes on with the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from src import calibration, classifiers, config, ensembles, evaluation, statistics, studies
from src.classifiers import MADE, Classifier
from src.runs import Draft
from src.specifications import StudySpec
from src.studies import Dataset, Split

Pixels = NDArray[np.uint8]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

COMBINED = ("hard", "soft", "blend")  # kinds that only combine their members
LIBRARIES = {"svc": ("scikit-learn", "scikit-learn-intelex")}  # others: scikit-learn alone


class ClassicalError(Exception):
    """A model cannot be fitted; the message is for a person."""


# --- the plan ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimator:
    """A classical model of a study and where its settings come from."""

    name: str
    title: str
    description: str
    kind: str  # a key of `MAKERS`, or one of `COMBINED`
    family: str = "classical"
    settings: Mapping[str, Any] = field(default_factory=dict)  # fixed
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # every combination is tried
    part: int = 0  # training pictures per candidate
    like: str | None = None  # takes the settings chosen for this model
    shifts: str | None = None  # which pictures are shifted too: "all" or those that "support"
    members: tuple[str, ...] = ()
    trained_on: str = "full"  # or "subset"


@dataclass(frozen=True)
class Scale:
    """What one study needs: settings and grids by kind, and the pictures per candidate."""

    part: int
    settings: Mapping[str, Mapping[str, Any]]
    grids: Mapping[str, Mapping[str, Sequence[Any]]]


# The simplest candidate comes first: of equally good ones it is taken.
_SCALES = {
    "mnist": Scale(
        part=6_000,
        settings={
            "logistic": {"tol": 1e-3, "max_iter": 1_000},
            "svc": {"components": 60},
            "random_forest": {"n_estimators": 100},
            "extra_trees": {"n_estimators": 100},
            "knn": {"weights": "distance"},
            "gradient_boosting": {"max_iter": 100, "max_bins": 32},
        },
        grids={
            "logistic": {"C": (0.01, 0.03, 0.1, 0.3)},
            "svc": {"C": (5, 10), "gamma": (0.02, 0.03, 0.04)},
            "random_forest": {"max_features": ("sqrt", 0.1), "min_samples_leaf": (1, 3)},
            "extra_trees": {"max_features": ("sqrt", 0.1), "min_samples_leaf": (1, 3)},
            "knn": {"components": (30, 50), "n_neighbors": (3, 4, 5, 7)},
            "gradient_boosting": {"learning_rate": (0.1, 0.2, 0.3)},
        },
    ),
    "digits": Scale(
        part=600,
        settings={
            "logistic": {"tol": 1e-3, "max_iter": 1_000},
            "svc": {"components": 40},
            "random_forest": {"n_estimators": 100},
            "extra_trees": {"n_estimators": 100},
            "knn": {"weights": "distance"},
            "gradient_boosting": {"max_iter": 40, "max_bins": 32},
        },
        grids={
            "logistic": {"C": (0.1, 1.0)},
            "svc": {"C": (5, 10), "gamma": (0.03, 0.06)},
            "random_forest": {"max_features": ("sqrt", 0.2)},
            "extra_trees": {"max_features": ("sqrt", 0.2)},
            "knn": {"components": (20, 30), "n_neighbors": (1, 3, 5)},
            "gradient_boosting": {"learning_rate": (0.1, 0.2)},
        },
    ),
}

_BASELINES = (
    Estimator(
        "most_frequent",
        "Always the most frequent class",
        "No look at the picture: the class with the most training pictures.",
        kind="baseline",
        family="baseline",
        settings={"strategy": "prior"},
    ),
    Estimator(
        "stratified",
        "Guessing by frequency",
        "No look at the picture: a class at random, as often as in training.",
        kind="baseline",
        family="baseline",
        settings={"strategy": "stratified"},
    ),
)

_TEXTS = {
    "logistic": ("Logistic regression", "Multinomial logistic regression on the pixels."),
    "svc": (
        "Support vector machine",
        "Radial kernel on principal components; one machine per pair of classes.",
    ),
    "random_forest": (
        "Random forest",
        "Deep trees on resampled pictures, each split among a random few of the pixels.",
    ),
    "extra_trees": (
        "Extra trees",
        "Like a random forest, but on all pictures and with random thresholds.",
    ),
    "knn": (
        "Nearest neighbours",
        "The nearest training pictures among the principal components, the nearer the heavier.",
    ),
    "gradient_boosting": (
        "Gradient boosting",
        "Shallow trees on binned pixels, each correcting the sum of those before.",
    ),
}


def plan(spec: StudySpec, profile: str) -> dict[str, Estimator]:
    """The classical models of a study by name, in the order of fitting; none where it has none.

    Profile `quick` fits the same models to the subset with at most two candidates each: it shows
    that everything works, not how well.
    """
    scale = _SCALES.get(spec.name)
    if scale is None:
        return {}
    searched = [_searched(kind, scale) for kind in _TEXTS]
    estimators = {e.name: e for e in (*_BASELINES, *searched, *_shifted(), *_ensembles())}
    if profile == "quick":
        return {name: _quickened(e) for name, e in estimators.items()}
    return estimators


def _searched(kind: str, scale: Scale) -> Estimator:
    title, description = _TEXTS[kind]
    return Estimator(
        kind,
        title,
        description,
        kind=kind,
        settings=scale.settings[kind],
        grid=scale.grids[kind],
        part=scale.part,
    )


def _shifted() -> list[Estimator]:
    return [
        Estimator(
            "knn_shifted",
            "Nearest neighbours with shifts",
            "Every training picture and its four shifts by one pixel.",
            kind="knn",
            like="knn",
            shifts="all",
        ),
        # DeCoste and Schölkopf (2002), Training invariant support vector machines: what is no
        # support vector would not become one by being shifted, or seldom.
        Estimator(
            "svc_shifted",
            "Support vector machine with shifts",
            "Fitted anew to the support vectors of the first machine and their four shifts by one "
            "pixel.",
            kind="svc",
            like="svc",
            shifts="support",
        ),
    ]


def _ensembles() -> list[Estimator]:
    texts = {
        "hard": ("vote_hard", "Hard vote", "One vote per member."),
        "soft": ("vote_soft", "Soft vote", "The mean of the members' probabilities."),
        "blend": (
            "blend",
            "Blend",
            "A logistic regression on the members' probabilities, fitted on validation.",
        ),
    }
    return [
        Estimator(*text, kind=kind, family="ensemble", members=tuple(_TEXTS))
        for kind, text in texts.items()
    ]


def _quickened(estimator: Estimator) -> Estimator:
    grid = {name: values[:1] for name, values in estimator.grid.items()}
    grid |= {name: values[:2] for name, values in list(estimator.grid.items())[:1]}
    fewer = {name: 10 for name in ("n_estimators", "max_iter") if name in estimator.settings}
    settings = {**estimator.settings, **(fewer if estimator.kind != "logistic" else {})}
    return replace(estimator, settings=settings, grid=grid, part=200, trained_on="subset")


# --- making ------------------------------------------------------------------------------------


def _baseline(**settings: Any) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(random_state=config.SEED, **settings)


def _logistic(**settings: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**settings)


def _svc(**settings: Any) -> Any:
    """Intel's implementation, the same model from several cores at once, several times as fast."""
    from sklearnex.svm import SVC

    return SVC(decision_function_shape="ovo", cache_size=1_000, **settings)


def _random_forest(**settings: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(random_state=config.SEED, n_jobs=-1, **settings)


def _extra_trees(**settings: Any) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(random_state=config.SEED, n_jobs=-1, **settings)


def _knn(**settings: Any) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(algorithm="brute", **settings)


def _gradient_boosting(**settings: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        early_stopping=False, random_state=config.SEED, **settings
    )


MAKERS: dict[str, Callable[..., Any]] = {
    "baseline": _baseline,
    "logistic": _logistic,
    "svc": _svc,
    "random_forest": _random_forest,
    "extra_trees": _extra_trees,
    "knn": _knn,
    "gradient_boosting": _gradient_boosting,
}


def build(kind: str, settings: Mapping[str, Any]) -> Any:
    """An unfitted estimator of a kind; `components` puts a principal component analysis first."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline

    rest = {name: value for name, value in settings.items() if name != "components"}
    estimator = MAKERS[kind](**rest)
    if "components" not in settings:
        return estimator
    return make_pipeline(PCA(settings["components"], svd_solver="covariance_eigh"), estimator)


def shifted(images: Pixels) -> Pixels:
    """(n, H, W, C) → (5n, H, W, C): the pictures, then all moved one pixel up, down, left, right.

    What moves in from beyond the border is black.
    """
    moved = [np.zeros_like(images) for _ in range(4)]
    moved[0][:, :-1], moved[1][:, 1:] = images[:, 1:], images[:, :-1]
    moved[2][:, :, :-1], moved[3][:, :, 1:] = images[:, :, 1:], images[:, :, :-1]
    return np.concatenate([images, *moved])


def explained_variance(images: Pixels) -> pd.DataFrame:
    """Principal components of pictures (n, H, W, C): component (from 1), share, cumulative."""
    from sklearn.decomposition import PCA

    share = (
        PCA(svd_solver="covariance_eigh").fit(classifiers.rows(images)).explained_variance_ratio_
    )
    components = np.arange(1, len(share) + 1)
    return pd.DataFrame({"component": components, "share": share, "cumulative": share.cumsum()})


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
    right = model.predict(classifiers.rows(validation.images)) == validation.labels
    accuracy = statistics.wilson(int(right.sum()), len(right))
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
    with threadpool_limits(**classifiers.threads(1 if alone else len(images))):
        return model.fit(classifiers.rows(images), labels)


def _spelled(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())


def _stratified(split: Split, n: int) -> Split:
    """About n pictures of a split, each class by its share; all where there are no more."""
    if n >= len(split):
        return split
    from sklearn.model_selection import train_test_split

    rows, _ = train_test_split(
        np.arange(len(split)), train_size=n, stratify=split.labels, random_state=config.SEED
    )
    return studies.take(split, np.sort(rows))


# --- fitting -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fitted:
    """A fitted model, its answers to validation, and what its making said."""

    model: Classifier
    validation: Floats  # (n, K) probabilities, of a blend cross-fitted
    made: dict[str, Any]  # settings, seconds, cpu_seconds, milliseconds a picture, search, …

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
    """A scikit-learn estimator, its answers to validation, and what is written down about it."""
    train = dataset.subset if estimator.trained_on == "subset" else dataset.train
    validation = dataset.validation
    begun = time.perf_counter()
    settings, candidates = _settings(estimator, train, validation, needed)
    images, labels = _pictures(estimator, train, needed)
    wall, cpu = time.perf_counter(), time.process_time()
    model = _fit_to(build(estimator.kind, settings), images, labels)
    made: dict[str, Any] = {"seconds": time.perf_counter() - wall}
    made["cpu_seconds"] = time.process_time() - cpu
    made["own_seconds"] = time.perf_counter() - begun  # with the search
    _answer_alone(model)
    made["temperature"] = _temperature(model, validation) if estimator.kind == "svc" else None
    answer = classifiers.Single(model, made["temperature"]).predict(validation.images)
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


def _pictures(
    estimator: Estimator, train: Split, needed: Mapping[str, Fitted]
) -> tuple[Pixels, Integers]:
    """The training pictures of a model, with their shifts where it asks for them."""
    if estimator.shifts is None:
        return train.images, train.labels
    if estimator.shifts == "support":
        first: Any = needed[str(estimator.like)].model
        train = studies.take(train, np.sort(_last_step(first.estimator).support_))
    return shifted(train.images), np.tile(train.labels, 5)


def _last_step(model: Any) -> Any:
    return model[-1] if hasattr(model, "steps") else model


def _answer_alone(model: Any) -> None:
    """One thread: for one picture at a time, starting more costs more than they save."""
    if "n_jobs" in _last_step(model).get_params():
        _last_step(model).set_params(n_jobs=1)


def _temperature(model: Any, validation: Split) -> float:
    scores = classifiers.scores(model, validation.images)
    return float(calibration.fit_temperature(scores, validation.labels))


def _combine(
    estimator: Estimator, dataset: Dataset, needed: Mapping[str, Fitted]
) -> tuple[Any, Floats, dict[str, Any]]:
    """A blender or None, the ensemble's answers to validation, and what is written down."""
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
    return blender, validation, made | sums


# --- keeping -----------------------------------------------------------------------------------


def _fingerprint(estimator: Estimator, dataset: Dataset, needed: Mapping[str, Fitted]) -> str:
    """Same settings, same pictures, same libraries, same models underneath."""
    settings = asdict(estimator)
    for text in ("title", "description"):
        del settings[text]
    known = [settings, _library(estimator.kind), [f.made["fingerprint"] for f in needed.values()]]
    known += [
        [studies.ids_sha256(split.ids), hashlib.sha256(split.labels.tobytes()).hexdigest()]
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
        content = classifiers.encoded(model)
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
    model = classifiers.kept(folder, name)
    return Fitted(model, classifiers.kept_validation(folder, name), made)


# --- recording ---------------------------------------------------------------------------------


def record(draft: Draft, plan: Mapping[str, Estimator], fitted: Mapping[str, Fitted]) -> None:
    """Write what is known about fitted models before the test pictures are read.

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
        "training": {**made["settings"], "pictures with their shifts": made["n_fitted"]}
        if shifts
        else made["settings"],
        "trained_on": estimator.trained_on,
        "n_train": made["n_train"],
        "seed": config.SEED,
        "seeds": [config.SEED],
        "seconds": {str(config.SEED): made["own_seconds"]},  # with the search, without members
        "training_seconds": made["seconds"],  # of the final fit, with the members'
        "training_cpu_seconds": made["cpu_seconds"],
        "bytes": made["bytes"],
    }
    optional = ("temperature", "combine", "members", "estimator")
    return known | {name: made[name] for name in optional if made.get(name) is not None}


# --- judging -----------------------------------------------------------------------------------


def scored(fitted: Mapping[str, Fitted], dataset: Dataset) -> dict[str, evaluation.Scored]:
    """What each model said to validation, ready to be evaluated."""
    split = dataset.validation
    return {
        name: evaluation.score(
            split.labels, model.validation, dataset.spec.classes, split.ids, split.name
        )
        for name, model in fitted.items()
    }


def at_a_glance(
    plan: Mapping[str, Estimator], fitted: Mapping[str, Fitted], dataset: Dataset
) -> pd.DataFrame:
    """One row per model: title, accuracy on validation as value, low and high, n, and costs.

    seconds: of the final fit, with the members'; milliseconds: per picture, all of validation at
    once; megabytes: of the files.
    """
    rows = []
    for name, answers in scored(fitted, dataset).items():
        accuracy = statistics.wilson(int(answers.correct.sum()), answers.n)
        made = fitted[name].made
        costs = {key: made[key] for key in ("seconds", "milliseconds")}
        interval = {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high}
        row = {"title": plan[name].title, **interval, "n": answers.n, **costs}
        rows.append(row | {"megabytes": made["bytes"] / 1e6})
    return pd.DataFrame(rows, index=list(fitted))


def answers(names: Iterable[str], fitted: Mapping[str, Fitted]) -> Floats:
    """(M, n, K) probabilities of some models on validation, for `ensembles`."""
    return np.stack([fitted[name].validation for name in names])
