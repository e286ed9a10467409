"""Tables of results in Markdown: published runs in, the parts of README and docs out."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from src.data import studies
from src.data.specification import Reference
from src.runs import ledger, model_card, overview, published, verdicts

HIGHEST = "highest published result, for comparison"


def newest_runs() -> list[published.Run]:
    """The newest version of every study, studies in alphabetical order."""
    return [
        published.open_run(study, published.versions(study)[0]) for study in published.studies()
    ]


def summary() -> str:
    """One row per study: the default model of its newest version, and one published result."""
    columns = ["study", "default model", "test accuracy (95 % interval)", "test images"]
    return table([*columns, "parameters", HIGHEST], map(_summary_row, newest_runs()))


def _summary_row(run: published.Run) -> list[str]:
    row = overview.headline(run)
    known = studies.references(run.study)
    quick = ", quick profile" * (row.profile == "quick")
    return [
        f"**{row.title}** ({row.study} {row.version}{quick})",
        row.model,
        f"**{percent(row.accuracy)}** ({shares(row.low, row.high)})",
        f"{row.n:,}",
        _count(row.parameters),
        f"{shares(known[0].low, known[0].high)} {known[0].name} ({_split(known[0])})"
        if known
        else "",
    ]


def models() -> str:
    """One row per model of the newest version of every study; several trainings as their mean."""
    columns = ["study", "model", "trained on", "trainings"]
    columns += ["test accuracy, mean of the trainings (95 % interval)"]
    columns += ["published model (first seed)", "test images"]
    columns += ["parameters", "processor time of training", "time per image"]
    return table(columns, (_model_row(run, name) for run in newest_runs() for name in run.models))


def _model_row(run: published.Run, name: str) -> list[str]:
    record = run.model(name)
    test, cost = record.metrics["splits"]["test"], record.metrics["cost"]
    accuracy, trained = test["metrics"]["accuracy"], record.config.get("n_train")
    several = overview.over_seeds(record, "test")
    mean = asdict(several.mean) if several else accuracy
    return [
        f"{run.study} {run.version}",
        record.config["title"] + " (default)" * (name == run.default_model),
        f"{trained:,} images" if trained else "",
        str(several.trainings if several else 1),
        f"{percent(mean['value'])} ({shares(mean['low'], mean['high'])})",
        percent(accuracy["value"]),
        f"{test['n']:,}",
        _count(cost.get("parameters")),
        model_card.minutes(cost["training_cpu_seconds"]),
        _fastest(cost["latency_ms"]),
    ]


def training() -> str:
    """One row per network of the strong recipe: hardware, length, times, mean and SD of runs."""
    columns = ["study", "network", "machine", "epochs", "trainings", "wall time of one"]
    columns += ["processor time of one", "validation accuracy (± SD)", "test accuracy (± SD)"]
    columns += ["test accuracy with test-time augmentation"]
    strong = (
        (run, record)
        for run in newest_runs()
        for record in map(run.model, run.models)
        if record.config.get("architecture", {}).get("kind") == model_card.STRONG
    )
    return table(columns, (_training_row(run, record) for run, record in strong))


def _training_row(run: published.Run, record: published.ModelRecord) -> list[str]:
    made, machine = record.config, record.origin["environment"]
    wall, processor = (
        model_card.minutes(statistics.median(made[kind].values()))
        for kind in ("seconds", "cpu_seconds")
    )
    return [
        f"{run.study} {run.version}",
        made["title"],
        f"{machine['cores']} cores ({machine['cpu']})",
        str(made["training"]["epochs"]),
        str(len(made["seeds"])),
        wall,
        processor,
        _spread(_accuracies(record, "validation")),
        _spread(_accuracies(record, "test")),
        _augmented(record.metrics.get("averaged")),
    ]


def _accuracies(record: published.ModelRecord, split: str) -> list[float]:
    """The accuracy of every training of a network, or of its only one."""
    if record.seeds is not None:
        return [float(value) for value in record.seeds[f"{split}_accuracy"]]
    return [record.metrics["splits"][split]["metrics"]["accuracy"]["value"]]


def _spread(values: list[float]) -> str:
    """The mean of several trainings ± their standard deviation in points, or the only value."""
    if len(values) == 1:
        return percent(values[0])
    return f"{percent(statistics.mean(values))} ± {100 * statistics.stdev(values):.2f}"


def _augmented(averaged: dict[str, Any] | None) -> str:
    if not averaged:
        return ""
    return f"{percent(averaged['splits']['test']['value'])} ({averaged['views']} views)"


def published_results() -> str:
    """One row per published result of other people, with its split and source."""
    columns = ["study", "published result", "accuracy", "split", "source"]
    rows = (
        [run.study, known.name, shares(known.low, known.high), _split(known), known.source]
        for run in newest_runs()
        for known in studies.references(run.study)
    )
    return table(columns, rows)


def data() -> str:
    """One row per data set: images, classes, size, licence and source."""
    columns = ["data set", "images", "classes", "size in pixels", "licence", "source"]
    return table(columns, (_data_row(run.dataset) for run in newest_runs()))


def _data_row(card: dict[str, Any]) -> list[str]:
    height, width, channels = card["image_shape"]
    return [
        f"[{card['title']}]({card['homepage']})" if card["homepage"] else card["title"],
        f"{card['totals']['all']:,}",
        str(len(card["classes"])),
        f"{width} × {height}, {'grey' if channels == 1 else 'colour'}",
        card["licence"] or "not stated",
        card["citation"],
    ]


def hypotheses() -> str:
    """One line per hypothesis of the newest version of every study, with today's verdict."""
    return "\n".join(
        _hypothesis_line(run, h) for run in newest_runs() for h in verdicts.judged(run)
    )


def readings() -> str:
    """One row per reading of a study's test images, oldest first."""
    columns = ["study", "version", "date", "code revision", "why", "models scored anew"]
    return table(columns, (row for study in published.studies() for row in _readings(study)))


def _readings(study: str) -> list[list[str]]:
    return [
        [study, each.version, each.date, each.revision, each.reason, each.models or "none"]
        for each in ledger.readings(study)
    ]


def _hypothesis_line(run: published.Run, h: dict[str, Any]) -> str:
    name = f"**{run.study} {run.version}, {h['id']} “{h['title']}”: {h['verdict']}**"
    look = f" at look {h['look']}, α = {h['alpha']:.2g}" if "look" in h else ""
    return f"- {name}{look}. {h['meaning']}"


# --- text --------------------------------------------------------------------------------------


def table(columns: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table; a vertical bar within a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, cells))} |" for cells in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|")


def percent(share: float) -> str:
    """0.9517 → "95.17 %", with a space that no line break divides."""
    return f"{100 * share:.2f}\u00a0%"


def shares(low: float, high: float) -> str:
    """Two ends as "94.73 to 95.57 %", or the one value where they are equal."""
    return percent(high) if low == high else f"{100 * low:.2f} to {percent(high)}"


def _count(n: int | None) -> str:
    return f"{n:,}" if n else ""


def _split(reference: Reference) -> str:
    return reference.split + (f", n = {reference.n:,}" if reference.n else "")


def _fastest(latency: dict[str, dict[str, float]]) -> str:
    """Milliseconds of the fastest engine of a model, with its name."""
    if not latency:
        return ""
    engine = min(latency, key=lambda name: latency[name]["value"])
    return f"{latency[engine]['value']:.2f} ms ({engine})"
