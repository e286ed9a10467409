"""Texts made from a run's files: the model card, and the tables of the README.

Command line: `python -m src.cards` rewrites the generated parts of the README.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src import config, runs


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
        _parity(metrics["parity"]),
        _limits(),
    ]
    return "\n\n".join(sections) + "\n"


def _details(made: dict[str, Any], manifest: dict[str, Any]) -> str:
    training, machine = made["training"], manifest["environment"]
    return _list(
        "Model details",
        f"{made['parameters']:,} parameters; architecture `{made['architecture']['kind']}`, "
        f"widths {', '.join(map(str, made['architecture']['widths']))}.",
        f"Trained {made['best_epoch']} of at most {training['epochs']} epochs with "
        f"{training['optimizer']}, batches of {training['batch_size']}, {made['precision']}, "
        f"seed {made['seed']}, in {_minutes(made['seconds'][str(made['seed'])])} "
        f"on {machine['cores']} cores ({machine['cpu']}).",
        f"Made on {manifest['created'][:10]} by code revision `{manifest['code_revision'][:12]}`.",
        f"Probabilities are at temperature {made['temperature']:.2f}, fitted on validation.",
    )


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
        f"{totals['test']:,} test pictures. {data['citation']}",
        f"Licence: {data['licence']}",
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
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


# --- README ------------------------------------------------------------------------------------


def results_table() -> str:
    """One row per model of the newest version of every study, in Markdown."""
    rows = [
        (
            "| study | model | trained on | test accuracy (95 % interval) | n | parameters "
            "| processor time of training | one picture, int8 |"
        ),
        "|---|---|---|---|---|---|---|---|",
    ]
    for study in runs.studies():
        run = runs.open_run(study, runs.versions(study)[0])
        rows += [_row(run, name) for name in run.models]
    return "\n".join(rows)


def _row(run: runs.Run, name: str) -> str:
    record = run.model(name)
    test, cost = record.metrics["splits"]["test"], record.metrics["cost"]
    accuracy = test["metrics"]["accuracy"]
    shown = record.config["title"] + (" (served)" if name == run.default_model else "")
    return (
        f"| {run.study} {run.version} | {shown} | {record.config['n_train']:,} pictures "
        f"| {accuracy['value']:.2%} ({accuracy['low']:.2%} to {accuracy['high']:.2%}) "
        f"| {test['n']:,} | {cost['parameters']:,} | {_minutes(cost['training_cpu_seconds'])} "
        f"| {cost['latency_ms']['int8']['value']:.2f} ms |"
    )


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
    for pattern in ("app.py", "asgi.py", "app_pages/*.py", "src/*.py", "src/charts/*.py"):
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
