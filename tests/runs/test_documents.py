"""The model card and the generated parts of the documents, from small runs."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from src.data import studies
from src.data.specification import Reference
from src.runs import documents, drafts, model_card, overview, published, result_tables
from tests import factories, words

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
            "test_ids_sha256": "0" * 64,
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
    assert "resized to 224 × 224 pixels first" in card
    assert "- Licence: not stated\n" in card
    assert "| accuracy | test | 20 | 0.9000 | 0.8000 to 0.9500 |" in card
    assert "This is the first published reading of these test images." in card
    assert "Deployed files" not in card
    assert words.found(card) == []


def test_the_card_of_a_model_of_several_trainings_says_which_one_it_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    made = {"title": "Net", "description": "", "n_train": 100, "seconds": 1.0, "temperature": 1.0}
    metrics = {"splits": {"test": {"n": 20, "metrics": {"accuracy": METRIC}}}}
    draft = drafted(tmp_path, made, metrics)
    assert "Several trainings" not in model_card.model_card(draft, MANIFEST)
    once = pd.DataFrame({"id": range(4), "split": "test", "label": "hat", "prediction": "hat"})
    answers = [once.assign(seed=1), once.assign(seed=2, prediction=["hat", "hat", "shoe", "hat"])]
    draft.write_table("models/frozen/seed_predictions.parquet", pd.concat(answers))
    card = model_card.model_card(draft, MANIFEST)
    assert "Trained 2 times from different seeds. Mean test accuracy 87.50%; 95 % " in card
    assert "This card is about the model of the first seed." in card


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


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, versions: int) -> published.Run:
    """The newest of some small versions of cifar10, the only study."""
    small = {"train": 40, "validation": 60, "test": 60}
    for number in range(1, versions + 1):
        factories.write_run(folder, version=f"v{number}", counts=small, models=("plain", "best"))
    monkeypatch.setenv("OUTPUTS_DIR", str(folder))
    return published.open_run("cifar10", f"v{versions}")


STATED = [
    Reference("People", 0.95, 0.99, "test", "a paper", 10_000),
    Reference("A course", 0.8, 0.8, "validation", "its page"),
]


def test_the_summary_has_one_row_per_study_with_the_highest_published_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = overview.headline(written(tmp_path, monkeypatch, versions=2))
    monkeypatch.setattr(studies, "references", {"cifar10": STATED}.get)
    (line,) = result_tables.summary().splitlines()[2:]
    assert line == (
        f"| **{row.title}** (cifar10 v2) | Best model | **{100 * row.accuracy:.2f}\u00a0%** "
        f"({100 * row.low:.2f} to {100 * row.high:.2f}\u00a0%) | 60 | 540,000 "
        "| 95.00 to 99.00\u00a0% People (test, n = 10,000) |"
    )
    monkeypatch.setattr(studies, "references", {"cifar10": []}.get)
    assert result_tables.summary().endswith("| 540,000 |  |")


def test_published_results_stand_with_split_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, monkeypatch, versions=1)
    monkeypatch.setattr(studies, "references", {"cifar10": STATED}.get)
    assert result_tables.published_results().splitlines()[2:] == [
        "| cifar10 | People | 95.00 to 99.00\u00a0% | test, n = 10,000 | a paper |",
        "| cifar10 | A course | 80.00\u00a0% | validation | its page |",
    ]


def test_every_model_of_the_newest_version_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = written(tmp_path, monkeypatch, versions=2)
    rows = result_tables.models().splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| cifar10 v2"] * 2
    accuracy = run.model("best").metrics["splits"]["test"]["metrics"]["accuracy"]["value"]
    assert rows[0].startswith("| cifar10 v2 | Best model (default) |")
    assert f"| 1 | {100 * accuracy:.2f}\u00a0% (" in rows[0]


def test_a_model_of_several_trainings_shows_their_mean_and_which_one_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = written(tmp_path, monkeypatch, versions=1)
    best, answers = run.model("best"), pd.DataFrame({"id": range(4), "label": "cat"})
    trained = [
        answers.assign(seed=seed, split="test", prediction=["cat"] * right + ["dog"] * (4 - right))
        for seed, right in ((1, 3), (2, 2), (3, 1))
    ]
    accuracies = pd.DataFrame({"seed": [1, 2, 3], "test_accuracy": [0.75, 0.5, 0.25]})
    best.metrics["splits"]["test"]["metrics"]["accuracy"]["value"] = 0.75
    monkeypatch.setattr(published.ModelRecord, "seeds", accuracies)
    monkeypatch.setattr(published.ModelRecord, "seed_predictions", pd.concat(trained))
    found = overview.over_seeds(best, "test")
    assert found is not None
    assert (found.trainings, found.mean.value, found.spread, found.first) == (3, 0.5, 0.25, 0.75)
    assert 0 < found.mean.low < 0.1
    monkeypatch.setattr(published.Run, "model", {"plain": best, "best": best}.get)
    cells = result_tables.models().splitlines()[2].split(" | ")
    assert cells[3] == "3"
    assert cells[4].startswith("50.00\u00a0% (")
    assert cells[5] == "75.00\u00a0%"
    assert overview.over_seeds(best, "test") == found


def test_strong_networks_have_their_times_and_the_spread_of_their_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = written(tmp_path, monkeypatch, versions=1)
    best = run.model("best")
    best.config["seconds"] = {"1": 300.0, "2": 420.0, "3": 900.0}
    best.config["seeds"] = [1, 2, 3]
    best.metrics["averaged"] = {"views": 6, "splits": {"test": {"value": 0.955}}}
    shares = {"validation_accuracy": [0.91, 0.93, 0.92], "test_accuracy": [0.90, 0.92, 0.94]}
    monkeypatch.setattr(published.ModelRecord, "seeds", pd.DataFrame(shares))
    monkeypatch.setattr(published.Run, "model", {"plain": run.model("plain"), "best": best}.get)
    (row,) = result_tables.training().splitlines()[2:]  # the plain network has none
    assert row.endswith(
        "| 12 | 3 | 7 minutes | 15 minutes | 92.00\u00a0% ± 1.00 | 92.00\u00a0% ± 2.00 "
        "| 95.50\u00a0% (6 views) |"
    )


def test_a_cell_is_no_column() -> None:
    assert (
        result_tables.table(["a", "b"], [["x|y", ""]]) == "| a | b |\n| --- | --- |\n| x\\|y |  |"
    )


def test_data_sets_are_listed_with_licence_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = written(tmp_path, monkeypatch, versions=1).dataset
    (row,) = result_tables.data().splitlines()[2:]
    assert row == (
        f"| [{card['title']}]({card['homepage']}) | {card['totals']['all']:,} | 10 "
        f"| 32 × 32, colour | {card['licence']} | {card['citation']} |"
    )


# --- rewriting ---------------------------------------------------------------------------------

PART = "<!-- generated: {} -->{}<!-- end: {} -->"


def test_a_generated_part_is_written_again_and_the_rest_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(documents.PARTS, "pages", lambda: r"new \1")
    old = f"before {PART.format('pages', ' old ', 'pages')} after"
    new = PART.format("pages", "\n\nnew \\1\n\n", "pages")
    assert documents.rewritten(old) == f"before {new} after"
    assert documents.rewritten(documents.rewritten(old)) == f"before {new} after"
    assert documents.written_by_hand(old) == "before  after"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PART.format("weather", "", "weather"), "no generated part 'weather'"),
        ("<!-- generated: pages --> no end", "'pages' has no matching start and end"),
        (PART.format("pages", "", "layout"), "'pages' has no matching start and end"),
        ("<!-- end: pages -->", "'pages' has no matching start and end"),
    ],
)
def test_wrong_marks_are_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        documents.rewritten(text)


def test_code_is_listed_by_the_first_sentence_of_its_docstring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "app.py": '"""Routes. And more."""\nst.Page("a.py", title="One", help="What is a|b.")\n',
        "src/data/__init__.py": '"""What images\nthere are."""\n',
        "src/data/empty.py": "",
        "Makefile": "app: x ## start (A=a|b)\nhidden: y\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("src.config.ROOT", tmp_path)
    assert [line.split(maxsplit=1) for line in documents.layout().splitlines()[1:-1]] == [
        ["app.py", "Routes"],
        ["src/data/", "What images there are"],
    ]
    assert documents.modules() == documents.layout()
    assert documents.pages() == "- **One**: What is a|b."
    assert documents.commands().splitlines()[2:] == ["| `make app` | start (A=a\\|b) |"]


# --- published results -------------------------------------------------------------------------


def test_the_written_down_references_can_be_read() -> None:
    for study in ("cifar10", "fashion_mnist", "mnist", "clothing"):
        assert studies.references(study)
