"""What the notebooks decide and write between training and publication."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data import studies
from src.evaluation import business, metrics
from src.publication import evaluation, release
from src.runs import drafts

LIMIT = studies.case("toy").latency_limit


def _draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **models: Any) -> drafts.Draft:
    """A draft with models of (accuracy on validation, milliseconds, whether it can be served)."""
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    draft = drafts.Draft("toy", "full")
    for name, (accuracy, milliseconds, served) in models.items():
        draft.write_json(f"models/{name}/config.json", {"control": not served})
        splits = {"validation": {"metrics": {"accuracy": {"value": accuracy}}}}
        cost = {"latency_ms": {"float32": {"value": milliseconds}}}
        draft.write_json(f"models/{name}/metrics.json", {"splits": splits, "cost": cost})
    return draft


@pytest.mark.parametrize(
    ("models", "chosen"),
    [
        ({"good": (0.9, 5, True), "better": (0.95, 60, True)}, "better"),
        ({"good": (0.9, 5, True), "slow": (0.99, 1.01 * LIMIT, True)}, "good"),
        ({"good": (0.9, 5, True), "unserved": (0.99, 1, False)}, "good"),
        ({"slow": (0.9, 3 * LIMIT, True), "slower": (0.99, 9 * LIMIT, True)}, "slow"),
    ],
)
def test_the_most_accurate_model_that_is_fast_enough_serves(
    models: dict[str, Any], chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert release.default_model(_draft(tmp_path, monkeypatch, **models)) == chosen


def test_without_a_limit_every_model_is_fast_enough() -> None:
    case = studies.case("toy")
    unlimited = business.Case(**vars(case) | {"criteria": ()})
    assert (case.latency_limit, unlimited.latency_limit) == (100, float("inf"))


def test_the_surest_pictures_of_every_cell_and_the_surest_mistakes_are_kept() -> None:
    confidence = np.linspace(0.99, 0.51, 300)  # labels in turn; every third answer is wrong
    labels, answers = np.arange(300) % 2, (np.arange(300) % 2 + (np.arange(300) % 3 == 0)) % 2
    probabilities = np.where(
        answers[:, None] == [0, 1], confidence[:, None], 1 - confidence[:, None]
    )
    scored = metrics.score(labels, probabilities, ("a", "b"), np.arange(300), "test")
    kept = set(evaluation._images_of(scored, 2)["id"])
    surest_mistakes = {3 * i for i in range(evaluation.MISTAKES)}
    assert kept == surest_mistakes | {1, 2, 4, 5}  # right: b, a, a, b
    assert set(evaluation._images_of(scored, 1)["id"]) == surest_mistakes | {1, 2}
