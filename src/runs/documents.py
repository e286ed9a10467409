"""Texts made from a run's files: the model card, and the tables of the README.

Command line: `python -m src.runs.documents` rewrites the generated parts of the README.
"""

from __future__ import annotations

import ast
import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from src import config
from src.data import studies
from src.data.specification import Reference
from src.runs import model_card, overview, published
from src.runs.overview import Headline

# --- README ------------------------------------------------------------------------------------


def results_table() -> str:
    """One row per study (the default model of its newest version), then every model, folded."""
    newest = [
        published.open_run(study, published.versions(study)[0]) for study in published.studies()
    ]
    known = {run.study: studies.references(run.study) for run in newest}
    rows = [
        "| study | default model | test accuracy (95 % interval) | n | parameters | others |",
        "|---|---|---|---|---|---|",
        *(_study_row(overview.headline(run), known[run.study]) for run in newest),
    ]
    parts = [
        "\n".join(rows),
        _folded("Every model", _model_table(newest)),
        _folded("How long the strongest networks trained", _training_table(newest)),
        _folded("Where the numbers of others come from", _reference_table(known)),
    ]
    return "\n\n".join(parts)


def _study_row(row: Headline, references: list[Reference]) -> str:
    others = [f"{_reference(r)} {r.name} ({_counted(r)})" for r in references]
    quick = " (quick profile)" * (row.profile == "quick")
    parameters = f"{row.parameters:,}" if row.parameters else ""
    return (
        f"| **{row.title}** ({row.study} {row.version}{quick}) | {row.model} "
        f"| **{row.accuracy:.2%}** ({row.low:.2%} to {row.high:.2%}) | {row.n:,} test "
        f"| {parameters} | {'<br>'.join(others)} |"
    )


def _reference(reference: Reference) -> str:
    low, high = f"{reference.low:.2%}", f"{reference.high:.2%}"
    return low if low == high else f"{low} to {high}"


def _counted(reference: Reference) -> str:
    return reference.split + (f", n = {reference.n:,}" if reference.n else "")


def _folded(title: str, text: str) -> str:
    """A part of a Markdown page that opens on a click."""
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


def _reference_table(known: dict[str, list[Reference]]) -> str:
    rows = ["| study | others | accuracy | split | source |", "|---|---|---|---|---|"]
    for study, references in known.items():
        rows += [
            f"| {study} | {r.name} | {_reference(r)} | {_counted(r)} | {r.source} |"
            for r in references
        ]
    return "\n".join(rows)


def _model_table(newest: list[published.Run]) -> str:
    rows = [
        (
            "| study | model | trained on | test accuracy (95 % interval) | n | parameters "
            "| processor time of training | one picture |"
        ),
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*rows, *(_row(run, name) for run in newest for name in run.models)])


def _row(run: published.Run, name: str) -> str:
    record = run.model(name)
    test, cost = record.metrics["splits"]["test"], record.metrics["cost"]
    accuracy = test["metrics"]["accuracy"]
    shown = record.config["title"] + (" (default)" if name == run.default_model else "")
    parameters = f"{cost['parameters']:,}" if cost.get("parameters") else ""
    trained = f"{record.config['n_train']:,} pictures" if "n_train" in record.config else ""
    return (
        f"| {run.study} {run.version} | {shown} | {trained} "
        f"| {accuracy['value']:.2%} ({accuracy['low']:.2%} to {accuracy['high']:.2%}) "
        f"| {test['n']:,} | {parameters} | {model_card.minutes(cost['training_cpu_seconds'])} "
        f"| {_fastest(cost['latency_ms'])} |"
    )


def _training_table(newest: list[published.Run]) -> str:
    """One row per network of the strong recipe: hardware, length, times, and the spread of runs."""
    rows = [
        (
            "| study | network | machine | epochs | trainings | wall time of one "
            "| processor time of one | validation accuracy | test accuracy | same, views averaged |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        _training_row(run, record)
        for run in newest
        for record in map(run.model, run.models)
        if record.config.get("architecture", {}).get("kind") == model_card.STRONG
    ]
    return "\n".join(rows)


def _training_row(run: published.Run, record: published.ModelRecord) -> str:
    made, machine = record.config, record.origin["environment"]
    accuracies = {
        split: [part["metrics"]["accuracy"]["value"]]
        for split, part in record.metrics["splits"].items()
    }
    if record.seeds is not None:
        accuracies = {split: record.seeds[f"{split}_accuracy"].tolist() for split in accuracies}
    averaged = record.metrics.get("averaged")
    views = (
        f"{averaged['splits']['test']['value']:.2%} ({averaged['views']} views)" if averaged else ""
    )
    wall, processor = (
        model_card.minutes(statistics.median(made[kind].values()))
        for kind in ("seconds", "cpu_seconds")
    )
    return (
        f"| {run.study} {run.version} | {made['title']} | {machine['cores']} cores "
        f"({machine['cpu']}) | {made['training']['epochs']} | {len(made['seeds'])} | {wall} "
        f"| {processor} | {_spread(accuracies['validation'])} | {_spread(accuracies['test'])} "
        f"| {views} |"
    )


def _spread(values: list[float]) -> str:
    """The mean of several trainings with their standard deviation, or the only value."""
    if len(values) == 1:
        return f"{values[0]:.2%}"
    return f"{statistics.mean(values):.2%} ± {100 * statistics.stdev(values):.2f}"


def _fastest(latency: dict[str, dict[str, float]]) -> str:
    """Milliseconds of the fastest engine of a model, with its name."""
    if not latency:
        return ""
    engine = min(latency, key=lambda name: latency[name]["value"])
    return f"{latency[engine]['value']:.2f} ms ({engine})"


def verdicts() -> str:
    """One line per hypothesis of the newest version of every study, in Markdown."""
    lines = []
    for study in published.studies():
        run = published.open_run(study, published.versions(study)[0])
        lines += [
            f"- **{study} {run.version}, {h['id']} “{h['title']}”: {h['verdict']}.** {h['meaning']}"
            for h in run.hypotheses
        ]
    return "\n".join(lines)


def layout() -> str:
    """Every file of the project's code with the first sentence of its docstring."""
    lines = []
    for pattern in ("app.py", "asgi.py", "app_pages/*.py", "src/*.py", "src/*/*.py"):
        lines += [
            f"{path.relative_to(config.ROOT).as_posix():34}{sentence}"
            for path in sorted(config.ROOT.glob(pattern))
            if (sentence := _first_sentence(path))
        ]
    for path in sorted(config.ROOT.glob("jupyter_notebooks/[0-9]*.ipynb")):
        title = json.loads(path.read_text())["cells"][0]["source"][0].strip("# \n")
        lines.append(f"{path.relative_to(config.ROOT).as_posix():54}{title}")
    return "```\n" + "\n".join(lines) + "\n```"


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return re.split(r"(?<=\.)\s", text.replace("\n", " "))[0].removesuffix(".")


GENERATED: dict[str, Callable[[], str]] = {
    "results": results_table,
    "verdicts": verdicts,
    "layout": layout,
}


def readme_with_results(text: str) -> str:
    """The README with its generated parts made anew.

    Raises:
        ValueError: the marks that enclose a part are missing.
    """
    for name, generate in GENERATED.items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        before, found_start, rest = text.partition(start)
        _, found_end, after = rest.partition(end)
        if not found_start or not found_end:
            raise ValueError(f"The README has no {start} … {end}.")
        text = f"{before}{start}\n\n{generate()}\n\n{end}{after}"
    return text


def main() -> int:
    """Rewrite the README in place."""
    path = config.ROOT / "README.md"
    path.write_text(readme_with_results(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
