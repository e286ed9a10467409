"""Linear heads and their cross-validation, on made-up features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from src.serving import linear
from src.serving.linear import Examples
from src.training import cross_validation
from src.training.cross_validation import Pool


def _clouds(n: int, seed: int, apart: float = 2.0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features (n, 4) of three classes of unequal size, one feature without any content."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, n, p=[0.6, 0.3, 0.1])
    centres = apart * np.eye(3, 4) * [1, 10, 100, 0]
    noise = random.normal(size=(n, 4)) * [1, 10, 100, 0]
    return (centres[labels] + noise + 7).astype(np.float32), labels


def _examples(n: int, seed: int) -> Examples:
    features, labels = _clouds(n, seed)
    return linear.examples(features[None], labels, 3)


def test_gradient_is_that_of_the_loss() -> None:
    train = _examples(50, 0)._replace(weights=np.linspace(0.5, 2, 50))
    train = train._replace(features=(train.features - 7) / np.float32([1, 10, 100, 1]))
    problem = linear._Problem(train, 3, 0.1)
    flat = np.random.default_rng(1).normal(size=15)
    _, slope = problem.loss(flat)
    steps = 1e-3 * np.eye(15)
    found = [(problem.loss(flat + s)[0] - problem.loss(flat - s)[0]) / 2e-3 for s in steps]
    np.testing.assert_allclose(slope, found, atol=1e-4)


def test_head_answers_for_features_as_they_are() -> None:
    train, validation = _examples(600, 0), _examples(300, 1)
    head = linear.fit(train, validation, 3, 0.01)
    right = head.logits(validation.features).argmax(1) == validation.labels
    last = head.history.iloc[-1]
    assert right.mean() == last["validation_accuracy"] > 0.85
    assert head.loss == last["validation_loss"] < 0.4
    assert list(head.history) == [
        *("seconds", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    ]
    assert head.kernel[3].tolist() == [0, 0, 0]  # the feature without content


def test_best_head_has_the_lowest_validation_loss() -> None:
    train, validation = _examples(30, 0), _examples(300, 1)
    head = linear.best(train, validation, 3)
    losses = {s: linear.fit(train, validation, 3, s).loss for s in linear.STRENGTHS}
    assert head.loss == min(losses.values())
    assert losses[head.strength] == head.loss
    assert head.strength not in (linear.STRENGTHS[0], linear.STRENGTHS[-1])


def test_views_repeat_labels_and_rare_classes_count_more() -> None:
    embeddings = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    found = linear.examples(embeddings, np.array([0, 0, 1]), 2, class_weights=1.0)
    assert found.features[3].tolist() == [6, 7]
    assert found.labels.tolist() == [0, 0, 1, 0, 0, 1]
    assert found.weights.tolist() == [0.5, 0.5, 1, 0.5, 0.5, 1]


# --- cross-validation --------------------------------------------------------------------------


def test_folds_spread_every_class_evenly() -> None:
    labels = np.repeat([0, 1, 2], [50, 11, 5])
    fold = cross_validation.assign(labels, np.arange(66), 5, np.random.default_rng(0))
    for label in range(3):
        counts = np.bincount(fold[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1


@pytest.fixture(scope="module")
def pool() -> Pool:
    features, labels = _clouds(120, 3)
    ids = np.array([f"{i}.jpg" for i in range(120)])
    splits = np.where(np.arange(120) < 100, "train", "validation")
    views = np.stack([features, features + 0.01])
    groups = np.arange(120)
    return Pool(views, labels, ids, splits, groups, ("cap", "coat", "shoe"), 0.5)


def test_every_picture_is_answered_once_per_repeat(pool: Pool) -> None:
    found = cross_validation.run("frozen", pool, seed=1)
    assert list(found.folds) == ["model", "repeat", "fold", "n", "accuracy", "macro_f1"]
    assert found.folds["fold"].tolist() == [0, 1, 2, 3, 4] * 3
    assert found.folds.groupby("repeat")["n"].sum().tolist() == [120, 120, 120]
    for _, answers in found.predictions.groupby("repeat"):
        assert sorted(answers["id"]) == sorted(pool.ids)
    first = found.predictions.iloc[0]
    row = pool.ids.tolist().index(first["id"])
    assert first["split"] == pool.splits[row]
    assert first["label"] == pool.classes[pool.labels[row]]
    right = found.predictions["label"] == found.predictions["prediction"]
    of_folds = right.groupby([found.predictions["repeat"], found.predictions["fold"]]).mean()
    assert of_folds.to_list() == pytest.approx(found.folds["accuracy"].to_list())
    assert right.mean() > 0.85


def test_learning_curve_grows_to_all_training_pictures(pool: Pool) -> None:
    found = cross_validation.run("frozen", pool, seed=1)
    curve = found.curve.set_index("share")
    assert curve.index.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve["n_train"].tolist() == [22, 43, 62, 84]  # 96 outside a fold, an eighth held back
    assert curve["n"].tolist() == [120] * 4
    whole = found.folds[found.folds["repeat"] == 0]
    expected = np.average(whole["accuracy"], weights=whole["n"])
    assert curve["accuracy"][1.0] == pytest.approx(expected)
    assert (curve["low"] < curve["accuracy"]).all()


def test_a_head_never_sees_the_pictures_it_answers(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []
    examples = Pool.examples

    def noted(self: Pool, rows: Any, views: int | None = None) -> Examples:
        seen.append(set(rows.tolist()))
        return examples(self, rows, views)

    monkeypatch.setattr(Pool, "examples", noted)
    answer = cross_validation._answer(pool, 0, 2, 1.0, 1)
    asked = {pool.ids.tolist().index(key) for key in answer.scored.ids}
    train, chooser = seen
    assert not asked & train
    assert not asked & chooser
    assert not train & chooser
    assert len(asked | train | chooser) == 120


def test_nearly_equal_pictures_are_in_one_fold() -> None:
    labels = np.repeat([0, 1], [40, 30])
    groups = np.arange(70) // 3  # one of them lies in both classes
    fold = cross_validation.assign(labels, groups, 5, np.random.default_rng(0))
    for label in (0, 1):
        for group in np.unique(groups[labels == label]):
            assert len(set(fold[(labels == label) & (groups == group)])) == 1
        assert sorted(set(fold[labels == label])) == [0, 1, 2, 3, 4]
    alike = cross_validation.assign(labels, np.zeros(70, int), 5, np.random.default_rng(0))
    assert np.bincount(alike).tolist() == [14] * 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_as_few_pictures_as_a_study_may_have_are_enough(seed: int) -> None:
    features, labels = _clouds(10, 2)
    labels[:4] = [0, 0, 1, 1]
    ids = np.arange(10).astype(str)
    splits, groups = np.full(10, "train"), np.array([0, 0, 1, 2, 3, 3, 3, 4, 5, 6])
    few = Pool(features[None], labels, ids, splits, groups, ("cap", "coat"), 0.5)
    found = cross_validation.run("frozen", few, seed)
    assert found.folds.groupby("repeat")["n"].sum().tolist() == [10, 10, 10]
    assert found.curve["n"].tolist() == [10] * 4


def test_macro_f1_leaves_out_classes_that_do_not_occur(pool: Pool) -> None:
    scored = cross_validation._answer(pool, 0, 0, 1.0, 1).scored
    from sklearn.metrics import f1_score

    expected = f1_score(scored.labels, scored.predicted, average="macro")
    assert cross_validation._macro_f1(scored) == pytest.approx(expected)
