"""The model card and the tables of the README, from small runs."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from src.data import studies
from src.data.specification import Reference
from src.runs import documents, drafts, model_card, overview, published
from tests import factories

MACHINE = {"cores": 2, "cpu": "a processor"}
MANIFEST = {
    "default_model": "frozen",
    "created": "2026-01-02T03:04:05+00:00",
    "code_revision": "0123abc",
    "environment": MACHINE,
}
METRIC = {"value": 0.9, "low": 0.8, "high": 0.95}


def drafted(folder: Path, made: dict[str, Any], metrics: dict[str, Any]) -> drafts.Draft:
    """A draft with what a model card is made from."""
    draft = drafts.Draft("photos", "full")
    draft.write_json("models/frozen/config.json", made)
    draft.write_json("models/frozen/metrics.json", metrics)
    report = {"split": "test", "label": ["hat", "shoe"], "recall": [0.9, 0.8], "support": 10}
    shares = dict.fromkeys(["recall_low", "recall_high", "precision"], 0.5)
    draft.write_table("models/frozen/report.csv", pd.DataFrame(report | shares))
    draft.write_json(
        "dataset.json",
        {
            "title": "Photos",
            "image_shape": [224, 224, 3],
            "classes": ["hat", "shoe"],
            "totals": {"train": 100, "validation": 20, "test": 20},
            "citation": "",
            "licence": "",
        },
    )
    return draft


def test_the_card_of_a_model_without_an_architecture_or_served_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    made = {
        "title": "Frozen features",
        "description": "A linear head.",
        "family": "transfer",
        "backbone": "efficientnet_lite0",
        "parameters": 3_400_000,
        "training": None,
        "n_train": 100,
        "seed": 1,
        "seconds": {"1": 150.0},
        "temperature": 1.25,
    }
    metrics = {"splits": {"test": {"n": 20, "metrics": {"accuracy": METRIC}}}}
    card = model_card.model_card(drafted(tmp_path, made, metrics), MANIFEST)
    assert (
        "- A transfer model: 3,400,000 parameters, backbone `efficientnet_lite0`.\n"
        "- Training: seed 1, 2 minutes on 2 cores (a processor).\n"
    ) in card
    assert "brought to 224 × 224 pixels first" in card
    assert "- Licence: not stated\n" in card
    assert "| accuracy | test | 20 | 0.9000 | 0.8000 to 0.9500 |" in card
    assert "Served files" not in card


@pytest.mark.parametrize(
    ("architecture", "told"),
    [
        (
            {"kind": "fast", "widths": [32, 64], "depth": 3, "activation": "gelu", "unpooled": 1},
            "`fast`, widths 32/64, 3 convolutions a stage, GELU, 1 of 2 stages unpooled.",
        ),
        (
            {"kind": "fast", "widths": [32, 64]},
            "`fast`, widths 32/64, 2 convolutions a stage, ReLU.",
        ),
        ({"kind": "plain", "widths": [16], "depth": 2}, "`plain`, widths 16."),
    ],
    ids=["all-said", "of-an-early-version", "plain"],
)
def test_the_card_says_how_a_network_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: dict[str, Any], told: str
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    made = {"title": "Fast CNN", "description": "Strong.", "n_train": 100, "seconds": 150.0}
    made |= {"architecture": architecture, "temperature": 1.25}
    metrics = {"splits": {"test": {"n": 20, "metrics": {"accuracy": METRIC}}}}
    card = model_card.model_card(drafted(tmp_path, made, metrics), MANIFEST)
    assert f"- A network model: architecture {told}\n" in card


def test_the_readme_has_one_row_per_study_and_folds_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"train": 40, "validation": 60, "test": 60}
    for version in ("v1", "v2"):
        factories.write_run(tmp_path, version=version, counts=small, models=("plain", "best"))
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    stated = [
        Reference("People", 0.95, 0.99, "test", "a paper", 10_000),
        Reference("A course", 0.8, 0.8, "validation", "its page"),
    ]
    monkeypatch.setattr(studies, "references", {"cifar10": stated}.get)
    table = documents.results_table()
    row = overview.headline(published.open_run("cifar10", "v2"))
    assert (
        f"(cifar10 v2) | Best model | **{row.accuracy:.2%}** ({row.low:.2%} to {row.high:.2%}) "
        "| 60 test | 540,000 | 95.00% to 99.00% People (test, n = 10,000)<br>"
        "80.00% A course (validation) |"
    ) in table
    assert table.count("cifar10 v2 |") == 3  # every model below, the strong one twice
    assert "cifar10 v1" not in table
    assert "| cifar10 | A course | 80.00% | validation | its page |" in table


def test_the_readme_says_how_long_strong_networks_trained_and_how_far_runs_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"train": 40, "validation": 60, "test": 60}
    factories.write_run(tmp_path, counts=small, models=("plain", "best"))
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    run = published.open_run("cifar10", "v1")
    best = run.model("best")
    best.config["seconds"] = {"1": 300.0, "2": 420.0, "3": 900.0}
    best.config["seeds"] = [1, 2, 3]
    best.metrics["averaged"] = {"views": 6, "splits": {"test": {"value": 0.955}}}
    shares = {"validation_accuracy": [0.91, 0.93, 0.92], "test_accuracy": [0.90, 0.92, 0.94]}
    monkeypatch.setattr(published.ModelRecord, "seeds", pd.DataFrame(shares))
    monkeypatch.setattr(published.Run, "model", {"plain": run.model("plain"), "best": best}.get)
    table = documents.results_table()
    assert (
        "| 12 | 3 | 7 minutes | 15 minutes | 92.00% ± 1.00 | 92.00% ± 2.00 | 95.50% (6 views) |"
    ) in table
    assert table.count("± ") == 2  # the plain network is not in this table
