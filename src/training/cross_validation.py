"""Cross-validation of a linear head on frozen features, and its learning curve.

Where test images are few, every image of training and validation is put to use: each is
answered once per repeat by a head that has not seen it. Everything that is chosen is chosen anew
inside, on images held back from the training part of the fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from src.evaluation import calibration, metrics, stats
from src.evaluation.metrics import Scored
from src.serving import linear
from src.serving.linear import Examples

Integers = NDArray[np.int64]

FOLDS = 5
REPEATS, FEW = 3, 1_000  # repeated where there are fewer images than that
HELD_BACK = 8  # one in so many training images chooses the strength of the penalty
SHARES = (0.25, 0.5, 0.75, 1.0)  # of a fold's training images, for the learning curve


@dataclass(frozen=True)
class Pool:
    """Images to cross-validate on, with their features.

    `embeddings` (views, n, D) float32, view 0 of the unchanged image; `ids` and `splits` (n,);
    `groups` (n,): images with the same number are nearly equal, and answered in the same fold.
    """

    embeddings: NDArray[np.float32]
    labels: Integers
    ids: NDArray[Any]
    splits: NDArray[np.str_]
    groups: Integers
    classes: tuple[str, ...]
    class_weights: float  # see `linear.examples`

    def examples(self, rows: Integers, views: int | None = None) -> Examples:
        """The given images, in all views or in the first ones."""
        chosen = self.embeddings[:views, rows]
        return linear.examples(chosen, self.labels[rows], len(self.classes), self.class_weights)


@dataclass(frozen=True)
class CrossValidation:
    """What cross-validation found.

    folds: model, repeat, fold, n, accuracy, macro_f1. predictions: model, repeat, fold, and the
    columns of a run's predictions. curve: model, share (of a fold's training images), n_train
    (mean over the folds), n, accuracy, low, high (95 %, Wilson).
    """

    folds: pd.DataFrame
    predictions: pd.DataFrame
    curve: pd.DataFrame


@dataclass(frozen=True)
class _Answer:
    """What one head said about the images of its fold."""

    repeat: int
    fold: int
    share: float
    n_train: int
    scored: Scored


def run(name: str, pool: Pool, seed: int) -> CrossValidation:
    """Cross-validate the head of model `name`; learning curve on the first repeat."""
    repeats = REPEATS if len(pool.labels) < FEW else 1
    rounds = [
        (repeat, fold, share)
        for repeat, fold, share in product(range(repeats), range(_folds(pool)), SHARES)
        if share == 1 or repeat == 0
    ]
    answers = [_answer(pool, *r, seed) for r in tqdm(rounds, unit="fit", mininterval=1.0)]
    whole = [a for a in answers if a.share == 1]
    tables = (
        _fold_table(whole),
        _predictions(whole, pool),
        _curve([a for a in answers if a.repeat == 0]),
    )
    for table in tables:
        table.insert(0, "model", name)
    return CrossValidation(*tables)


def _folds(pool: Pool) -> int:
    """As many as the rarest class has images, at most FOLDS and at least 2."""
    return int(np.clip(np.bincount(pool.labels).min(), 2, FOLDS))


def assign(labels: Integers, groups: Integers, folds: int, random: np.random.Generator) -> Integers:
    """The fold (n,) of each image: every class is spread evenly, at random, groups as a whole.

    A class with fewer groups than folds is spread image by image: each fold needs some.
    """
    fold = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        _, group = np.unique(groups[rows], return_inverse=True)
        if group.max() + 1 < folds:
            group = np.arange(len(rows))
        order = random.permutation(group.max() + 1)
        of_group = np.empty(len(order), np.int64)
        of_group[order] = (np.arange(len(order)) + random.integers(folds)) % folds
        fold[rows] = of_group[group]
    return fold


def _answer(pool: Pool, repeat: int, fold: int, share: float, seed: int) -> _Answer:
    """What a head trained on a share of the other folds says about this one."""
    folds = assign(pool.labels, pool.groups, _folds(pool), np.random.default_rng([seed, repeat]))
    asked, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
    random = np.random.default_rng([seed, repeat, fold])
    drawn = assign(pool.labels[others], pool.groups[others], HELD_BACK, random)
    held_back = drawn == drawn[0]  # some part that is not empty, however few images there are
    train, chooser = others[~held_back], others[held_back]
    train = train[_part(pool.labels[train], share, random)]
    head = linear.best(pool.examples(train), pool.examples(chooser, 1), len(pool.classes))
    probabilities = calibration.softmax(head.logits(pool.embeddings[0, asked]))
    scored = metrics.score(
        pool.labels[asked], probabilities, pool.classes, pool.ids[asked], "cross-validation"
    )
    return _Answer(repeat, fold, share, len(train), scored)


def _part(labels: Integers, share: float, random: np.random.Generator) -> Integers:
    """Positions of a share of the images of every class, at least one of each."""
    rows = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    return np.sort(np.concatenate([r[: max(1, round(share * len(r)))] for r in rows]))


def _fold_table(answers: list[_Answer]) -> pd.DataFrame:
    rows = [
        (a.repeat, a.fold, a.scored.n, float(a.scored.correct.mean()), _macro_f1(a.scored))
        for a in answers
    ]
    return pd.DataFrame(rows, columns=["repeat", "fold", "n", "accuracy", "macro_f1"])


def _macro_f1(scored: Scored) -> float:
    counts = metrics.confusion(scored).to_numpy()
    both = counts.sum(0) + counts.sum(1)
    return float((2 * np.diag(counts)[both > 0] / both[both > 0]).mean())


def _predictions(answers: list[_Answer], pool: Pool) -> pd.DataFrame:
    split = dict(zip(pool.ids.tolist(), pool.splits.tolist(), strict=True))
    frames = [metrics.to_frame(a.scored).assign(repeat=a.repeat, fold=a.fold) for a in answers]
    frame = pd.concat(frames, ignore_index=True)
    frame["split"] = [split[key] for key in frame["id"].tolist()]
    return frame[["repeat", "fold", *frame.columns.drop(["repeat", "fold"])]]


def _curve(answers: list[_Answer]) -> pd.DataFrame:
    rows = []
    for share in SHARES:
        group = [a for a in answers if a.share == share]
        n = sum(a.scored.n for a in group)
        found = stats.wilson(sum(int(a.scored.correct.sum()) for a in group), n)
        n_train = round(sum(a.n_train for a in group) / len(group))
        rows.append((share, n_train, n, found.value, found.low, found.high))
    return pd.DataFrame(rows, columns=["share", "n_train", "n", "accuracy", "low", "high"])
