"""Which classical models a study fits, and with which settings and grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from src.data.specification import StudySpec

COMBINED = ("hard", "soft", "blend")  # kinds that only combine their members


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
