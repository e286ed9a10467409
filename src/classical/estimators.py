"""The scikit-learn estimators behind the plan, and what is done to pixels before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src import config
from src.classical import store

# --- making ------------------------------------------------------------------------------------


Pixels = NDArray[np.uint8]


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
    """(n, H, W, C) → (5n, H, W, C): the images, then all moved one pixel up, down, left, right.

    What moves in from beyond the border is black.
    """
    moved = [np.zeros_like(images) for _ in range(4)]
    moved[0][:, :-1], moved[1][:, 1:] = images[:, 1:], images[:, :-1]
    moved[2][:, :, :-1], moved[3][:, :, 1:] = images[:, :, 1:], images[:, :, :-1]
    return np.concatenate([images, *moved])


def explained_variance(images: Pixels) -> pd.DataFrame:
    """Principal components of images (n, H, W, C): component (from 1), share, cumulative."""
    from sklearn.decomposition import PCA

    share = PCA(svd_solver="covariance_eigh").fit(store.rows(images)).explained_variance_ratio_
    components = np.arange(1, len(share) + 1)
    return pd.DataFrame({"component": components, "share": share, "cumulative": share.cumsum()})
