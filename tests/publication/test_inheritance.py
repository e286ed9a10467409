"""What a new version takes over from a published one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from src import config
from src.data import datasets, plans, studies
from src.data.datasets import Dataset
from src.data.plans import Augmentation, Experiment
from src.publication import data_collection, evaluation, inheritance, networks
from src.runs import published
from src.runs.drafts import Draft

pytestmark = pytest.mark.training  # its networks answer as notebook 8 asks them

SPEC = studies.get("digits")
VERSION = published.versions("digits")[0]
BASE = published.open_run("digits", VERSION)  # committed
PLAN = list(plans.networks(SPEC.plan, "full").values())
PARAMETERS = config.Parameters("digits", "full", None, base=VERSION)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return datasets.load(SPEC)


@pytest.fixture
def draft(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Draft:
    """A draft of the digits with its data set recorded, beside the committed versions."""
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / VERSION).symlink_to(BASE.folder)
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    new = Draft("digits", "full")
    new.clear()
    data_collection.record_dataset(new, dataset)
    return new


def _changed(name: str, **recipe: float) -> list[Experiment]:
    return [
        replace(e, recipe=replace(e.recipe, **recipe)) if e.name == name else e  # type: ignore[arg-type]
        for e in PLAN
    ]


def test_what_is_planned_as_it_was_is_not_trained_again(draft: Draft, dataset: Dataset) -> None:
    names = inheritance.from_base(draft, dataset, PARAMETERS)
    assert names == [e.name for e in PLAN]
    for experiment in PLAN:
        history = networks.train(draft, experiment, dataset)
        pd.testing.assert_frame_equal(history, BASE.model(experiment.name).history)
    assert list(draft.checkpoints.rglob("checkpoint.npz")) == []


def test_an_inherited_network_is_evaluated_anew_and_alike(draft: Draft, dataset: Dataset) -> None:
    inheritance.from_base(draft, dataset, PARAMETERS)
    for name in ("best", "plain_subset"):  # with one seed, with several
        found = evaluation.record_evaluation(draft, dataset, name)["splits"]
        before = BASE.model(name).metrics["splits"]
        for split in ("validation", "test"):
            now, then = found[split]["metrics"], before[split]["metrics"]
            assert now["accuracy"] == then["accuracy"]
        calibrated, once = (
            s["validation"]["metrics"]["log_loss"]["value"] for s in (found, before)
        )
        assert calibrated <= once * (1 + 2**-15)
    seeds = draft.read_table("models/plain_subset/seed_predictions.parquet")
    assert seeds.equals(BASE.model("plain_subset").seed_predictions)


def test_its_origin_stays_the_version_that_trained_it(draft: Draft, dataset: Dataset) -> None:
    inheritance.from_base(draft, dataset, PARAMETERS)
    made = draft.read_json("models/best/config.json")
    trained = BASE.model("best").origin
    assert {key: trained[key] for key in made["origin"]} == made["origin"]
    assert set(made["origin"]) == {"version", "created", "code_revision", "environment"}
    assert inheritance._origin(made, BASE) is made["origin"]  # a version later too


@pytest.mark.parametrize("recipe", [{"epochs": 31}, {"learning_rate": 0.1}, {"pruning": 0.5}])
def test_a_changed_plan_is_trained(recipe: dict[str, float]) -> None:
    names = inheritance.unchanged(_changed("best", **recipe), BASE)
    assert names == {e.name: e.name for e in PLAN if e.name != "best"}


def test_other_seeds_pictures_or_networks_are_trained() -> None:
    best = next(e for e in PLAN if e.name == "best")
    for other in (
        replace(best, seeds=(*best.seeds, 1)),
        replace(best, trained_on="subset"),
        replace(best, architecture=replace(best.architecture, depth=3)),
    ):
        assert inheritance.unchanged([other], BASE) == {}


def test_a_renamed_network_is_the_same_network(draft: Draft, dataset: Dataset) -> None:
    best = next(e for e in PLAN if e.name == "best")
    renamed = replace(best, name="strongest", title="Strongest CNN")
    assert inheritance.unchanged([renamed, best], BASE) == {"strongest": "best", "best": "best"}
    inheritance._take_over(draft, renamed, BASE, "best", dataset.validation)
    made = draft.read_json("models/strongest/config.json")
    assert (made["name"], made["title"]) == ("strongest", "Strongest CNN")
    assert made["origin"]["version"] == BASE.model("best").origin["version"]
    metrics = evaluation.record_evaluation(draft, dataset, "strongest")
    then = BASE.model("best").metrics["splits"]["test"]["metrics"]["accuracy"]
    assert metrics["splits"]["test"]["metrics"]["accuracy"] == then


def test_a_setting_that_is_no_more_must_have_been_off() -> None:
    shifted = {"shift": 0.125, "blur": 0.0}
    assert inheritance._stated(Augmentation, shifted) == Augmentation(shift=0.125)
    assert inheritance._stated(Augmentation, shifted | {"blur": 0.1}) is None


def test_who_learned_from_a_changed_network_learns_again() -> None:
    best = next(e for e in PLAN if e.name == "best")
    taught = replace(next(e for e in PLAN if e.name == "plain"), teacher="best")
    assert inheritance.unchanged([best, taught], BASE) == {"best": "best", "plain": "plain"}
    changed = replace(best, recipe=replace(best.recipe, epochs=2))
    assert inheritance.unchanged([changed, taught], BASE) == {}


def test_its_served_file_can_teach(draft: Draft, dataset: Dataset) -> None:
    inheritance.from_base(draft, dataset, PARAMETERS)
    first = draft.seed_model("best", config.SEED)
    assert first.read_bytes() == BASE.model("best").tflite("float32")


def test_other_pictures_are_refused(draft: Draft, dataset: Dataset) -> None:
    splits = draft.read_table("splits.parquet")
    draft.write_table("splits.parquet", splits.iloc[1:])
    with pytest.raises(published.RunError, match="made of other images"):
        inheritance.from_base(draft, dataset, PARAMETERS)
    assert draft.models() == []


def test_without_a_base_nothing_is_taken_over(draft: Draft, dataset: Dataset) -> None:
    assert inheritance.from_base(draft, dataset, replace(PARAMETERS, base=None)) == []
    assert draft.models() == []


def test_a_base_that_is_not_there_is_told(draft: Draft, dataset: Dataset) -> None:
    with pytest.raises(published.RunNotFound, match="no published version v99"):
        inheritance.from_base(draft, dataset, replace(PARAMETERS, base="v99"))


def test_what_a_control_said_stands_where_its_files_are_gone(
    draft: Draft, dataset: Dataset
) -> None:
    inheritance.from_base(draft, dataset, PARAMETERS)
    said = evaluation.record_evaluation(draft, dataset, "plain_subset")
    for file in ("model.tflite", "model_int8.tflite", "model.keras"):
        draft.remove(f"models/plain_subset/{file}")
    assert evaluation.record_evaluation(draft, dataset, "plain_subset") == said
