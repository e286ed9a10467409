"""Ensembles: hard and soft voting, blending, and how alike the members are.

Pure: probabilities in, probabilities and frames out. M members answer n images of K classes, all
with probabilities (M, n, K), rows summing to 1. scikit-learn is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src import config

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FOLDS = 5  # of the cross-fitted blend
REPEATS = 20  # shuffles per member


def hard(probabilities: Floats) -> Floats:
    """(n, K) share of the members' votes; the argmax takes the first class of a tie."""
    votes = probabilities.argmax(2)  # (M, n)
    classes = np.arange(probabilities.shape[2])
    return np.asarray((votes[:, :, None] == classes).mean(0))


def soft(probabilities: Floats) -> Floats:
    """(n, K) mean of the members' probabilities."""
    return np.asarray(probabilities.mean(0))


def blended(blender: Any, probabilities: Floats) -> Floats:
    """(n, K) what a fitted blender makes of the members' probabilities."""
    return np.asarray(blender.predict_proba(_columns(probabilities)), np.float64)


def blender(probabilities: Floats, labels: Integers) -> Any:
    """A multinomial logistic regression on the M·K probabilities (stacking, Wolpert 1992)."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1_000).fit(_columns(probabilities), labels)


def _columns(probabilities: Floats) -> Floats:
    """(M, n, K) → (n, M·K), one block of K columns per member."""
    return np.concatenate(probabilities, axis=1)


def folds(labels: Integers) -> list[tuple[Integers, Integers]]:
    """(other, held-out) rows of each stratified fold."""
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=config.SEED)
    return list(splitter.split(np.zeros(len(labels)), labels))


def cross_fitted(probabilities: Floats, labels: Integers) -> Floats:
    """(n, K) of blenders that never saw the image they answer: honest on the same split."""
    answers = np.empty(probabilities.shape[1:])
    for other, held in folds(labels):
        fitted = blender(probabilities[:, other], labels[other])
        answers[held] = blended(fitted, probabilities[:, held])
    return answers


def importance(probabilities: Floats, labels: Integers, titles: Sequence[str]) -> pd.DataFrame:
    """What a blend loses when one member's answers are shuffled between images.

    Permutation importance (Breiman 2001) of whole members, measured on held-out folds: title,
    accuracy_drop (share) and log_loss_rise (nats), each the mean over `REPEATS` shuffles with its
    smallest (_low) and largest (_high) value. Members that say the same share their importance.
    """
    fitted = [(h, blender(probabilities[:, o], labels[o])) for o, h in folds(labels)]
    whole = _quality(fitted, probabilities, labels)
    rng = np.random.default_rng(config.SEED)
    rows = []
    for member, title in enumerate(titles):
        losses = np.array(
            [
                whole - _quality(fitted, _shuffled(probabilities, member, rng), labels)
                for _ in range(REPEATS)
            ]
        )
        row: dict[str, Any] = {"title": title}
        for values, key in zip(losses.T, ("accuracy_drop", "log_loss_rise"), strict=True):
            row |= {key: values.mean(), f"{key}_low": values.min(), f"{key}_high": values.max()}
        rows.append(row)
    return pd.DataFrame(rows)


def _shuffled(probabilities: Floats, member: int, rng: np.random.Generator) -> Floats:
    changed = probabilities.copy()
    changed[member] = rng.permutation(probabilities[member])
    return changed


def _quality(fitted: Sequence[tuple[Any, Any]], probabilities: Floats, labels: Integers) -> Floats:
    """(2,) accuracy and mean log-likelihood of blenders on their held-out rows."""
    right, likelihood = 0, 0.0
    for held, model in fitted:
        answers = blended(model, probabilities[:, held])
        right += int((answers.argmax(1) == labels[held]).sum())
        given = answers[np.arange(len(held)), labels[held]]
        likelihood += float(np.log(np.maximum(given, np.finfo(np.float32).eps)).sum())
    return np.array([right, likelihood]) / len(labels)


def correlation(probabilities: Floats, labels: Integers, names: Sequence[str]) -> pd.DataFrame:
    """How alike members are, a row per pair: first, second, errors, probabilities, both_wrong.

    `errors` correlates being wrong (phi coefficient), `probabilities` what the label is given
    (Pearson), both −1 to 1 and missing where a member does not vary; `both_wrong` is the share of
    images on which both err.
    """
    wrong = (probabilities.argmax(2) != labels).astype(np.float64)  # (M, n)
    given = probabilities[:, np.arange(len(labels)), labels]  # (M, n)
    rows = [
        {
            "first": names[a],
            "second": names[b],
            "errors": _correlated(wrong[a], wrong[b]),
            "probabilities": _correlated(given[a], given[b]),
            "both_wrong": float((wrong[a] * wrong[b]).mean()),
        }
        for a, b in combinations_with_replacement(range(len(names)), 2)
    ]
    return pd.DataFrame(rows)


def _correlated(first: Floats, second: Floats) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
