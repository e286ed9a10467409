"""Texts made from a run's files: the model card, and the tables of the README.

Command line: `python -m src.cards` rewrites the generated parts of the README.
"""

from __future__ import annotations

import ast
import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src import config, overview, runs
from src.overview import Headline, Reference

STRONG = "fast"  # the kind of architecture that learns by the strong recipe


def model_card(draft: runs.Draft, manifest: dict[str, Any]) -> str:
    """The card of the default model, in Markdown (headings after Mitchell et al. 2019)."""
    name = manifest["default_model"]
    made = draft.read_json(f"models/{name}/config.json")
    metrics = draft.read_json(f"models/{name}/metrics.json")
    report = draft.read_table(f"models/{name}/report.csv")
    data = draft.read_json("dataset.json")
    sections = [
        f"# Model card: {made['title']} on {data['title']}",
        made["description"],
        _details(made, manifest),
        _intended_use(data),
        _training_data(made, data),
        _results(metrics),
        _weakest(report),
        _parity(metrics["parity"]) if "parity" in metrics else "",
        _limits(),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _details(made: dict[str, Any], manifest: dict[str, Any]) -> str:
    origin = made.get("origin", manifest)
    return _list(
        "Model details",
        _built(made),
        _trained(made, origin["environment"]),
        f"Made on {origin['created'][:10]} by code revision `{origin['code_revision'][:12]}`.",
        _calibrated(made),
    )


def _calibrated(made: dict[str, Any]) -> str:
    first = ""
    if made.get("exponent"):
        first = f", of logits divided by their length to the power of {made['exponent']:.1f}"
    return (
        f"Probabilities are at temperature {made['temperature']:.2f}{first}, fitted on validation."
    )


def _built(made: dict[str, Any]) -> str:
    """What the model is: its size, architecture and what it goes on from, as far as it has them."""
    parts = [
        f"{made['parameters']:,} parameters" if made.get("parameters") else "",
        *_network(made.get("architecture") or {}),
        f"backbone `{made['backbone']}`" if made.get("backbone") else "",
    ]
    return f"A {made.get('family', 'network')} model: " + ", ".join(filter(None, parts)) + "."


def _network(architecture: dict[str, Any]) -> list[str]:
    """What kind of network, and what of its kind; fields that came later have their old values."""
    kind, widths = architecture.get("kind"), architecture.get("widths")
    parts = [
        f"architecture `{kind}`" if kind else "",
        "widths " + "/".join(map(str, widths)) if widths else "",
    ]
    if kind != STRONG:
        return parts
    unpooled = architecture.get("unpooled")
    return [
        *parts,
        f"{architecture.get('depth', 2)} convolutions a stage",
        {"relu": "ReLU", "gelu": "GELU"}[architecture.get("activation", "relu")],
        f"{unpooled} of {len(widths or ())} stages unpooled" if unpooled else "",
    ]


def _trained(made: dict[str, Any], machine: dict[str, Any]) -> str:
    """How it was trained, as far as that was a matter of epochs and steps."""
    training = made.get("training") or {}
    parts = [
        f"{made.get('best_epoch', '?')} of at most {training['epochs']} epochs"
        if "epochs" in training
        else "",
        str(training.get("optimizer", "")),
        f"batches of {training['batch_size']}" if "batch_size" in training else "",
        str(made.get("precision", "")),
        f"seed {made['seed']}" if "seed" in made else "",
        _minutes(_seconds(made)),
    ]
    how = ", ".join(filter(None, parts))
    return f"Training: {how} on {machine['cores']} cores ({machine['cpu']})."


def _seconds(made: dict[str, Any]) -> float:
    """Wall time of the published model: of its first seed, or of the only fit."""
    seconds = made["seconds"]
    return float(seconds[str(made["seed"])] if isinstance(seconds, dict) else seconds)


def _intended_use(data: dict[str, Any]) -> str:
    height, width, _ = data["image_shape"]
    return _list(
        "Intended use",
        f"Filing pictures into {len(data['classes'])} classes: {', '.join(data['classes'])}.",
        f"Pictures are brought to {width} × {height} pixels first. A picture of anything else is "
        f"still given one of these classes: look at the confidence and at the threshold.",
    )


def _training_data(made: dict[str, Any], data: dict[str, Any]) -> str:
    totals = data["totals"]
    return _list(
        "Data",
        f"{data['title']}: {made['n_train']:,} training, {totals['validation']:,} validation and "
        f"{totals['test']:,} test pictures. {data['citation']}".rstrip(),
        f"Licence: {data['licence'] or 'not stated'}",
        "Every choice (epoch, temperature, threshold, default model) was made on validation; the "
        "test pictures were read once, for the figures below.",
    )


def _results(metrics: dict[str, Any]) -> str:
    rows = ["| metric | split | n | value | 95 % interval |", "|---|---|---|---|---|"]
    for split, part in metrics["splits"].items():
        for name, found in part["metrics"].items():
            rows.append(
                f"| {name.replace('_', ' ')} | {split} | {part['n']:,} | {found['value']:.4f} "
                f"| {found['low']:.4f} to {found['high']:.4f} |"
            )
    averaged = metrics.get("averaged", {"splits": {}})
    rows += [
        f"| accuracy, mean over {averaged['views']} views of each picture | {split} "
        f"| {found['n']:,} | {found['value']:.4f} | {found['low']:.4f} to {found['high']:.4f} |"
        for split, found in averaged["splits"].items()
    ]
    return "## Results\n\n" + "\n".join(rows)


def _weakest(report: Any) -> str:
    test = report[report["split"] == "test"].sort_values("recall").head(3)
    return _list(
        "Weakest classes",
        *(
            f"{row.label}: recall {row.recall:.1%} ({row.recall_low:.1%} to "
            f"{row.recall_high:.1%}), precision {row.precision:.1%}, n = {row.support:,} (test)."
            for row in test.itertuples()
        ),
    )


def _parity(parity: dict[str, Any]) -> str:
    lines = [
        f"{p}: largest difference of a probability {parity[p]['max_abs_dp']:.2g}, same answer for "
        f"{parity[p]['top1_agreement']:.2%}, accuracy {parity[p]['accuracy']:.2%}."
        for p in ("float32", "int8")
    ]
    return _list(
        f"Served files against Keras ({parity['split']}, n = {parity['n']:,})",
        f"Keras: accuracy {parity['keras']['accuracy']:.2%}.",
        *lines,
    )


def _limits() -> str:
    return _list(
        "Limits",
        "The interval covers the choice of test pictures, not that of the training pictures or "
        "seed.",
        "Test pictures come from the same source as the training pictures. On pictures collected "
        "anew, models of this kind are known to lose several points (Recht et al., "
        "arXiv 1806.00451).",
    )


def _list(title: str, *items: str) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {item}" for item in items)


def _minutes(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds:.0f} second{'s' * (round(seconds) != 1)}"


# --- README ------------------------------------------------------------------------------------


def results_table() -> str:
    """One row per study (the default model of its newest version), then every model, folded."""
    newest = [runs.open_run(study, runs.versions(study)[0]) for study in runs.studies()]
    known = {run.study: overview.references(run.study) for run in newest}
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


def _model_table(newest: list[runs.Run]) -> str:
    rows = [
        (
            "| study | model | trained on | test accuracy (95 % interval) | n | parameters "
            "| processor time of training | one picture |"
        ),
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*rows, *(_row(run, name) for run in newest for name in run.models)])


def _row(run: runs.Run, name: str) -> str:
    record = run.model(name)
    test, cost = record.metrics["splits"]["test"], record.metrics["cost"]
    accuracy = test["metrics"]["accuracy"]
    shown = record.config["title"] + (" (default)" if name == run.default_model else "")
    parameters = f"{cost['parameters']:,}" if cost.get("parameters") else ""
    trained = f"{record.config['n_train']:,} pictures" if "n_train" in record.config else ""
    return (
        f"| {run.study} {run.version} | {shown} | {trained} "
        f"| {accuracy['value']:.2%} ({accuracy['low']:.2%} to {accuracy['high']:.2%}) "
        f"| {test['n']:,} | {parameters} | {_minutes(cost['training_cpu_seconds'])} "
        f"| {_fastest(cost['latency_ms'])} |"
    )


def _training_table(newest: list[runs.Run]) -> str:
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
        if record.config.get("architecture", {}).get("kind") == STRONG
    ]
    return "\n".join(rows)


def _training_row(run: runs.Run, record: runs.ModelRecord) -> str:
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
        _minutes(statistics.median(made[kind].values())) for kind in ("seconds", "cpu_seconds")
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
    for study in runs.studies():
        run = runs.open_run(study, runs.versions(study)[0])
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
