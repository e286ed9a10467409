"""Classical models: plan, search, shifts, ensembles, keeping, and what is loaded again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from src import config
from src.classical import ensembles, estimators, fitting, store
from src.classical.fitting import ClassicalError, Fitted
from src.classical.store import ClassifierError
from src.data import datasets, plans, studies
from src.data.datasets import Dataset
from src.data.plans import Estimator
from src.publication import classical_models, evaluation, speed
from src.runs import drafts
from src.runs import published as runs_published
from tests import factories

SVC = Estimator(
    "svc", "Machine", "", "svc", settings={"components": 20}, grid={"C": (0.01, 10)}, part=150
)
KNN = Estimator("knn", "Neighbours", "", "knn", settings={"n_neighbors": 3})
SHIFTED = Estimator("svc_shifted", "Shifted", "", "svc", like="svc", shifts="support")
VOTE = Estimator("vote", "Vote", "", "hard", family="ensemble", members=("svc", "knn"))
BLEND = Estimator("blend", "Blend", "", "blend", family="ensemble", members=("svc", "knn"))
PLAN = {e.name: e for e in (SVC, KNN, SHIFTED, VOTE, BLEND)}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    data = datasets.load(studies.get("digits"))
    rows = np.arange(300)
    return replace(
        data,
        train=datasets.take(data.train, rows),
        validation=datasets.take(data.validation, rows[:200]),
        test=datasets.take(data.test, rows[:100]),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def fitted(digits: Dataset, folder: Path) -> dict[str, Fitted]:
    return fitting.run(PLAN.values(), digits, folder)


def accuracy(probabilities: Any, labels: Any) -> float:
    return float((probabilities.argmax(1) == labels).mean())


# --- plan and pictures ---------------------------------------------------------------------


def test_only_the_digit_studies_have_classical_models() -> None:
    assert plans.classical(studies.get("cifar10").plan, "full") == {}
    mnist = plans.classical(studies.get("mnist").plan, "full")
    assert list(mnist) == [
        *("most_frequent", "stratified", "logistic", "svc", "random_forest", "extra_trees"),
        *("knn", "gradient_boosting", "knn_shifted", "svc_shifted"),
        *("vote_hard", "vote_soft", "blend"),
    ]
    assert mnist["blend"].members == tuple(
        "logistic svc random_forest extra_trees knn gradient_boosting".split()
    )
    assert {e.family for e in mnist.values()} == {"baseline", "classical", "ensemble"}


def test_the_quick_profile_tries_two_candidates_on_the_subset() -> None:
    quick = plans.classical(studies.get("mnist").plan, "quick")
    assert list(quick) == list(plans.classical(studies.get("mnist").plan, "full"))
    assert {e.trained_on for e in quick.values()} == {"subset"}
    assert quick["svc"].grid == {"C": (5, 10), "gamma": (0.02,)}
    assert quick["random_forest"].settings == {"n_estimators": 10}


def test_shifts_move_by_one_pixel_and_leave_black_behind() -> None:
    image = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3, 1)
    moved = estimators.shifted(image)[..., 0].tolist()
    assert moved == [
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        [[4, 5, 6], [7, 8, 9], [0, 0, 0]],
        [[0, 0, 0], [1, 2, 3], [4, 5, 6]],
        [[2, 3, 0], [5, 6, 0], [8, 9, 0]],
        [[0, 1, 2], [0, 4, 5], [0, 7, 8]],
    ]


def test_explained_variance_adds_up() -> None:
    images = np.random.default_rng(1).integers(0, 256, (50, 2, 2, 1), dtype=np.uint8)
    images[:, 1, 1] = 7  # one pixel never changes
    frame = estimators.explained_variance(images)
    assert frame["component"].tolist() == [1, 2, 3, 4]
    assert frame["share"].is_monotonic_decreasing
    assert frame["cumulative"].iloc[2:].tolist() == pytest.approx([1.0, 1.0])


# --- ensembles -----------------------------------------------------------------------------

TWO = np.array(  # (M, n, K): three members, two pictures
    [
        [[0.6, 0.4, 0.0], [0.1, 0.2, 0.7]],
        [[0.6, 0.4, 0.0], [0.8, 0.1, 0.1]],
        [[0.1, 0.9, 0.0], [0.1, 0.8, 0.1]],
    ]
)


def test_hard_votes_count_members_and_soft_ones_weigh_them() -> None:
    np.testing.assert_allclose(ensembles.hard(TWO), [[2 / 3, 1 / 3, 0], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(ensembles.soft(TWO), [[1.3 / 3, 1.7 / 3, 0], [1 / 3, 1.1 / 3, 0.3]])


def made_up(n: int = 200) -> tuple[Any, Any]:
    """A member that knows, one that repeats it, one that guesses; and the labels."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, n)
    knows = rng.dirichlet(np.ones(3), n) + 2 * np.eye(3)[labels] * (rng.random(n) < 0.9)[:, None]
    guesses = rng.dirichlet(np.ones(3), n)
    knows /= knows.sum(1, keepdims=True)
    return np.stack([knows, knows, guesses]), labels


def test_a_blend_cannot_learn_the_answers_it_is_judged_by() -> None:
    rng = np.random.default_rng(4)
    noise, labels = rng.dirichlet(np.ones(3), (20, 90)), rng.integers(0, 3, 90)
    learned = ensembles.blended(ensembles.blender(noise, labels), noise)
    assert accuracy(learned, labels) > 0.6
    assert accuracy(ensembles.cross_fitted(noise, labels), labels) < 0.5


def test_importance_goes_to_the_member_that_knows() -> None:
    probabilities, labels = made_up()
    table = ensembles.importance(probabilities[1:], labels, ["knows", "guesses"]).set_index("title")
    assert table.loc["knows", "accuracy_drop"] > 0.3
    assert table.loc["knows", "log_loss_rise_low"] > 0.3
    assert abs(table.loc["guesses", "accuracy_drop"]) < 0.05
    assert (table["accuracy_drop_low"] <= table["accuracy_drop"]).all()


def test_members_that_err_together_are_told() -> None:
    probabilities, labels = made_up()
    table = ensembles.correlation(probabilities, labels, ["a", "b", "c"])
    assert table[["first", "second"]].to_numpy().tolist() == [
        *(["a", "a"], ["a", "b"], ["a", "c"], ["b", "b"], ["b", "c"], ["c", "c"])
    ]
    pairs = table.set_index(["first", "second"])
    assert pairs.loc[("a", "b"), ["errors", "probabilities"]].tolist() == pytest.approx([1, 1])
    assert abs(pairs.loc[("a", "c"), "errors"]) < 0.2
    right = np.stack([np.eye(3)[labels]] * 2)  # nobody errs: nothing to correlate
    assert ensembles.correlation(right, labels, ["a", "b"])["errors"].isna().all()


# --- searching and fitting -----------------------------------------------------------------


def test_the_better_candidate_is_taken_and_all_are_told(fitted: dict[str, Fitted]) -> None:
    table = fitted["svc"].search
    assert table["settings"].tolist() == ["C 0.01", "C 10"]
    assert table["chosen"].tolist() == [False, True]
    assert table["accuracy"].is_monotonic_increasing
    assert (table["n_train"].tolist(), table["n"].tolist()) == ([150, 150], [200, 200])
    assert fitted["svc"].made["settings"] == {"components": 20, "C": 10}
    assert fitted["knn"].search.empty


def test_models_answer_with_distributions_and_mostly_right(
    fitted: dict[str, Fitted], digits: Dataset
) -> None:
    for name, model in fitted.items():
        answer = model.model.predict(digits.test.images)
        assert answer.probabilities.shape == (100, 10), name
        np.testing.assert_allclose(answer.probabilities.sum(1), 1)
        assert accuracy(answer.probabilities, digits.test.labels) > 0.85, name
        assert answer.milliseconds > 0


def test_a_machine_answers_as_its_duels_say(fitted: dict[str, Fitted], digits: Dataset) -> None:
    model: Any = fitted["svc"].model
    answers = model.predict(digits.test.images).probabilities.argmax(1)
    voted = model.estimator.predict(store.rows(digits.test.images))
    assert (answers == voted).mean() > 0.97  # they differ only where nobody wins all duels
    scores = store.scores(model.estimator, digits.test.images)
    assert ((scores > 0).sum(1) <= 1).all()


def test_margins_are_those_against_the_strongest_rival() -> None:
    class Machine:
        classes_ = np.arange(3)

        def decision_function(self, _: Any) -> Any:
            return np.array([[2.0, -1.0, 0.5]])  # 0 beats 1 by 2, 2 beats 0 by 1, 1 beats 2 by 0.5

    image = np.zeros((1, 2, 2, 1), np.uint8)
    assert store.scores(Machine(), image).tolist() == [[-1.0, -2.0, -0.5]]


def test_only_support_vectors_are_shifted(fitted: dict[str, Fitted]) -> None:
    first: Any = fitted["svc"].model
    support = len(first.estimator[-1].support_)
    assert fitted["svc_shifted"].made["n_fitted"] == 5 * support < 5 * 300
    assert fitted["svc_shifted"].made["settings"] == fitted["svc"].made["settings"]


def test_ensembles_cost_what_their_members_cost(fitted: dict[str, Fitted]) -> None:
    members = [fitted[name].made for name in ("svc", "knn")]
    made = fitted["vote"].made
    for key in ("bytes", "milliseconds"):
        assert made[key] == pytest.approx(sum(member[key] for member in members))
    assert "estimator" not in made
    assert fitted["blend"].made["bytes"] > made["bytes"]


def test_what_is_finished_is_not_fitted_again(
    fitted: dict[str, Fitted], digits: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(fitting, "build", refuse)
    again = fitting.run(PLAN.values(), digits, folder)
    np.testing.assert_array_equal(again["svc"].validation, fitted["svc"].validation)
    renamed = replace(KNN, title="Another title")
    assert fitting.fit(renamed, digits, folder).made == fitted["knn"].made
    with pytest.raises(AssertionError, match="fitted again"):
        fitting.fit(replace(KNN, settings={"n_neighbors": 1}), digits, folder)
    fewer = replace(digits, train=datasets.take(digits.train, np.arange(250)))
    with pytest.raises(AssertionError, match="fitted again"):
        fitting.fit(KNN, fewer, folder)


def test_a_member_must_be_fitted_first(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ClassicalError, match="vote needs svc, knn: fit that first"):
        fitting.fit(VOTE, digits, tmp_path)


# --- recording and loading -----------------------------------------------------------------


@pytest.fixture
def draft(
    fitted: dict[str, Fitted], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> drafts.Draft:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    draft = drafts.Draft("toy", "quick")
    draft.checkpoints.parent.mkdir(parents=True)
    draft.checkpoints.symlink_to(folder)
    classical_models.record(draft, PLAN, fitted)
    return draft


def test_the_record_says_how_a_model_was_made(
    draft: drafts.Draft, fitted: dict[str, Fitted]
) -> None:
    made = draft.read_json("models/svc_shifted/config.json")
    assert (made["family"], made["n_train"], made["trained_on"]) == ("classical", 300, "full")
    assert made["augmentation"] == {"shift": "one pixel up, down, left and right"}
    assert made["estimator"]["library"].startswith("scikit-learn 1.")
    assert made["training_seconds"] <= made["seconds"][str(config.SEED)]
    blend = draft.read_json("models/blend/config.json")
    assert (blend["combine"], blend["members"]) == ("blend", ["svc", "knn"])
    table = draft.read_table("classical/search.parquet")
    assert table["model"].tolist() == ["svc", "svc"]


@pytest.mark.slow
def test_test_pictures_are_answered_at_publication(
    draft: drafts.Draft, fitted: dict[str, Fitted], digits: Dataset
) -> None:
    metrics = {name: evaluation.record_evaluation(draft, digits, name) for name in draft.models()}[
        "blend"
    ]
    frame = draft.read_table("models/blend/predictions.parquet")
    assert frame["split"].value_counts().to_dict() == {"validation": 200, "test": 100}
    stored = frame.loc[frame["split"] == "validation", "p_0"].to_numpy()
    said = factories.published(fitted["blend"].validation[:, 0])
    np.testing.assert_array_equal(stored, said)
    assert metrics["splits"]["test"]["metrics"]["accuracy"]["value"] > 0.85
    assert "parity" not in metrics
    assert metrics["cost"]["needed_cpu_seconds"] >= metrics["cost"]["training_cpu_seconds"]
    cost = speed.record_speed(draft, digits)["blend"]["cost"]
    assert list(cost["latency_ms"]) == list(cost["throughput"]) == ["scikit-learn"]
    assert cost["estimator_bytes"] == fitted["blend"].made["bytes"]


@pytest.fixture
def published(draft: drafts.Draft, fitted: dict[str, Fitted], folder: Path) -> runs_published.Run:
    """A run as `Draft.publish` leaves it, with copies of the estimators beside it."""
    kept = runs_published.estimators("toy", "v1")
    kept.mkdir(parents=True)
    for path in folder.glob("*/*.joblib"):
        (kept / path.name).write_bytes(path.read_bytes())
    files = {f"models/{name}/config.json": {"sha256": ""} for name in fitted}
    run = runs_published.Run("toy", "v1", draft.folder, {"files": files, "default_model": "svc"})
    for path, entry in files.items():
        entry["sha256"] = drafts._hashes(draft.folder)[path]["sha256"]
    return run


def test_a_published_model_answers_as_it_did(
    published: runs_published.Run, fitted: dict[str, Fitted], digits: Dataset
) -> None:
    for name in ("svc", "vote", "blend"):
        before = fitted[name].model.predict(digits.test.images).probabilities
        after = store.load(published, name).predict(digits.test.images).probabilities
        np.testing.assert_allclose(after, before)


def test_an_altered_file_is_never_opened(
    published: runs_published.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Callable[..., Any]] = []
    monkeypatch.setattr(joblib, "load", opened.append)
    (runs_published.estimators("toy", "v1") / "knn.joblib").write_bytes(b"harm")
    with pytest.raises(ClassifierError, match=r"knn\.joblib is not the file .* not opened"):
        store.load(published, "knn")
    assert opened == []


def test_a_missing_file_is_asked_for(published: runs_published.Run) -> None:
    path = runs_published.estimators("toy", "v1") / "knn.joblib"
    path.unlink()
    with pytest.raises(ClassifierError) as error:
        store.load(published, "knn")
    assert str(path.parent) in str(error.value)
    assert "make notebooks STUDY=toy" in str(error.value)


def test_publishing_keeps_the_estimators_beside_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    draft = drafts.Draft("toy", "full")
    (draft.checkpoints / "knn").mkdir(parents=True)
    (draft.checkpoints / "knn/knn.joblib").write_bytes(b"fitted")
    draft._keep_estimators("v3")
    assert (tmp_path / "toy/.estimators/v3/knn.joblib").read_bytes() == b"fitted"
    assert not (draft.checkpoints / "knn/knn.joblib").exists()


def test_at_a_glance_counts_on_validation(fitted: dict[str, Fitted], digits: Dataset) -> None:
    glance = classical_models.at_a_glance(PLAN, fitted, digits)
    assert glance["n"].tolist() == [200] * 5
    expected = accuracy(fitted["knn"].validation, digits.validation.labels)
    assert glance.loc["knn", "value"] == pytest.approx(expected)
    assert isinstance(glance, pd.DataFrame)
    assert glance.loc["knn", "megabytes"] == fitted["knn"].made["bytes"] / 1e6
