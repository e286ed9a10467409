"""How long models take: rounds in which all take part."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from src import config
from src.data import datasets, plans, studies
from src.data.datasets import Dataset
from src.publication import data_collection, evaluation, inheritance, speed
from src.runs import published
from src.runs.drafts import Draft

SPEC = studies.get("digits")
VERSION = published.versions("digits")[0]
BASE = published.open_run("digits", VERSION)
# Four networks of one architecture, which differ in what they saw only.
ALIKE = ["plain", "plain_augmented", "plain_subset", "plain_subset_augmented"]


def test_every_round_asks_all_in_another_order() -> None:
    asked: list[str] = []

    def task(name: str, value: float) -> Callable[[], float]:
        def measured() -> float:
            asked.append(name)
            return value + len(asked)

        return measured

    names = "abcd"
    found = speed.rounds({name: task(name, 0.0) for name in names})
    orders = [tuple(asked[i : i + 4]) for i in range(0, len(asked), 4)]
    assert len(orders) == speed.ROUNDS + 1  # one for practice
    assert all(sorted(order) == list(names) for order in orders)
    assert len(set(orders)) > speed.ROUNDS // 2
    for each in found.values():
        assert each["rounds"] == speed.ROUNDS
        assert 4 < each["low"] < each["value"] < each["high"]  # practice was not counted


def test_a_slow_model_is_told_from_a_fast_one() -> None:
    found = speed.rounds({"slow": lambda: 2.0, "fast": lambda: 1.0})
    assert found["fast"]["high"] < found["slow"]["low"]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Draft, Dataset]:
    """A draft with the networks of the committed digits, all asked and measured."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "digits").mkdir()
    (folder / "digits" / VERSION).symlink_to(BASE.folder)
    dataset = datasets.load(SPEC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTPUTS_DIR", str(folder))
        draft = Draft("digits", "full")
        draft.clear()
        data_collection.record_dataset(draft, dataset)
        inheritance.from_base(
            draft, dataset, config.Parameters("digits", "full", None, base=VERSION)
        )
        for name in draft.models():
            evaluation.record_evaluation(draft, dataset, name)
        speed.record_speed(draft, dataset)
    return draft, dataset


@pytest.mark.slow
def test_networks_of_one_architecture_take_the_same_time(evaluated: tuple[Draft, Dataset]) -> None:
    draft, _ = evaluated
    made = {name: draft.read_json(f"models/{name}/config.json") for name in ALIKE}
    assert len({str(made[name]["architecture"]) for name in ALIKE}) == 1
    for form in ("float32", "int8"):
        times = [
            draft.read_json(f"models/{name}/metrics.json")["cost"]["latency_ms"][form]
            for name in ALIKE
            if draft.has(f"models/{name}/model.tflite")
        ]
        assert len(times) > 1
        assert max(time["low"] for time in times) <= min(time["high"] for time in times)


@pytest.mark.slow
def test_the_int8_file_has_figures_of_its_own(evaluated: tuple[Draft, Dataset]) -> None:
    draft, dataset = evaluated
    for name in draft.to_serve():
        found = draft.read_json(f"models/{name}/metrics.json")
        frame = draft.read_table(f"models/{name}/predictions_int8.parquet")
        for split in dataset.splits[1:]:
            rows = frame[frame["split"] == split.name]
            assert rows["id"].astype(str).tolist() == [str(each) for each in split.ids]
            right = (rows["label"] == rows["prediction"]).mean()
            said = found["int8"]["splits"][split.name]["metrics"]["accuracy"]["value"]
            assert said == pytest.approx(right)
    best = draft.read_table("models/best/predictions.parquet").filter(like="p_").to_numpy()
    int8 = draft.read_table("models/best/predictions_int8.parquet").filter(like="p_").to_numpy()
    assert best.shape == int8.shape
    assert (best != int8).any()


@pytest.mark.slow
def test_what_a_network_needs_is_counted(evaluated: tuple[Draft, Dataset]) -> None:
    draft, _ = evaluated
    plan = plans.networks(SPEC.plan, "full")
    for name in plan:
        cost = draft.read_json(f"models/{name}/metrics.json")["cost"]
        if not plan[name].teacher:
            assert cost["needed_cpu_seconds"] == cost["training_cpu_seconds"]
    made = draft.read_json("models/plain/config.json")
    own = draft.read_json("models/plain/metrics.json")["cost"]["training_cpu_seconds"]
    teacher = draft.read_json("models/best/metrics.json")["cost"]["training_cpu_seconds"]
    assert evaluation._needed_cpu_seconds(draft, made | {"needs": ["best"]}) == own + teacher
