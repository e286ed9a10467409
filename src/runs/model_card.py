"""The model card of a run (`MODEL_CARD.md`), written from the run's own files."""

from __future__ import annotations

from typing import Any

from src.evaluation.metrics import accuracy_over_seeds
from src.runs import drafts, ledger

STRONG = "fast"  # the kind of architecture that learns by the strong recipe


def model_card(draft: drafts.Draft, manifest: dict[str, Any]) -> str:
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
        _training_data(made, data, ledger.upcoming(draft.study, data["test_ids_sha256"])),
        _results(metrics),
        _trainings(draft, f"models/{name}/seed_predictions.parquet"),
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
        f"Trained on {origin['created'][:10]} with code revision `{origin['code_revision'][:12]}`.",
        _calibrated(made),
    )


def _calibrated(made: dict[str, Any]) -> str:
    first = ""
    if made.get("exponent"):
        first = f" Logits are first divided by their length to the power {made['exponent']:.1f}."
    return f"Calibrated on validation images at temperature {made['temperature']:.2f}.{first}"


def _built(made: dict[str, Any]) -> str:
    """What the model is: its size, architecture and backbone, as far as it has them."""
    parts = [
        f"{made['parameters']:,} parameters" if made.get("parameters") else "",
        *_network(made.get("architecture") or {}),
        f"backbone `{made['backbone']}`" if made.get("backbone") else "",
    ]
    return f"A {made.get('family', 'network')} model: " + ", ".join(filter(None, parts)) + "."


def _network(architecture: dict[str, Any]) -> list[str]:
    """The kind of network and its options; a field that an early version lacks has its default."""
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
    """How it was trained; models without epochs have only a seed and a time."""
    training = made.get("training") or {}
    parts = [
        f"{made.get('best_epoch', '?')} of at most {training['epochs']} epochs"
        if "epochs" in training
        else "",
        str(training.get("optimizer", "")),
        f"batches of {training['batch_size']}" if "batch_size" in training else "",
        str(made.get("precision", "")),
        f"seed {made['seed']}" if "seed" in made else "",
        minutes(_seconds(made)),
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
        f"Sorting images into {len(data['classes'])} classes: {', '.join(data['classes'])}.",
        f"Images are resized to {width} × {height} pixels first. An image of anything else also "
        f"gets one of these classes: look at the confidence and at the threshold.",
    )


def _training_data(made: dict[str, Any], data: dict[str, Any], reading: int) -> str:
    totals = data["totals"]
    return _list(
        "Data",
        f"{data['title']}: {made['n_train']:,} training, {totals['validation']:,} validation and "
        f"{totals['test']:,} test images. {data['citation']}".rstrip(),
        f"Licence: {data['licence'] or 'not stated'}",
        "Every choice (epoch, temperature, threshold, default model) was made on validation "
        "images. This version read the test images once, for the figures below. "
        + ledger.sentence(reading),
    )


def _results(metrics: dict[str, Any]) -> str:
    rows = ["| metric | split | n | value | 95 % interval |", "|---|---|---|---|---|"]
    for split, part in metrics["splits"].items():
        for name, found in part["metrics"].items():
            rows.append(
                f"| {name.replace('_', ' ')} | {split} | {part['n']:,} | {found['value']:.4f} "
                f"| {found['low']:.4f} to {found['high']:.4f} |"
            )
        rows += [_calibration_row(split, part, kind) for kind in part.get("calibration", ())]
    averaged = metrics.get("averaged", {"splits": {}})
    rows += [
        f"| accuracy with test-time augmentation, {averaged['views']} views | {split} "
        f"| {found['n']:,} | {found['value']:.4f} | {found['low']:.4f} to {found['high']:.4f} |"
        for split, found in averaged["splits"].items()
    ]
    return "## Results\n\n" + "\n".join(rows)


def _trainings(draft: drafts.Draft, path: str) -> str:
    """How far other seeds and other images would move the accuracy; empty for one training."""
    if not draft.has(path):
        return ""
    answers = draft.read_table(path)
    mean, seeds = accuracy_over_seeds(answers, "test"), answers["seed"].nunique()
    return _list(
        "Several trainings",
        f"Trained {seeds} times from different seeds. Mean test accuracy {mean.value:.2%}; 95 % "
        f"interval for other seeds and other images {mean.low:.2%} to {mean.high:.2%}.",
        "This card is about the model of the first seed. It is published by rule, whichever seed "
        "is best.",
    )


def _calibration_row(split: str, part: dict[str, Any], kind: str) -> str:
    """A calibration error has no interval; its last cell says what chance alone would show."""
    found = part["calibration"][kind]
    name = {"answer": "calibration error", "classwise": "class-wise calibration error"}[kind]
    return (
        f"| {name} | {split} | {part['n']:,} | {found['value']:.4f} | perfectly calibrated: "
        f"{found['low']:.4f} to {found['high']:.4f}, p = {found['p_value']:.2g} |"
    )


def _weakest(report: Any) -> str:
    test = report[report["split"] == "test"].sort_values("recall")
    untested = test.loc[test["support"] == 0, "label"]
    return _list(
        "Weakest classes",
        *(f"{label}: not tested, for there are no test images of it." for label in untested),
        *(
            f"{row.label}: recall {row.recall:.1%} ({row.recall_low:.1%} to "
            f"{row.recall_high:.1%}), precision {row.precision:.1%}, n = {row.support:,} (test)."
            for row in test[test["support"] > 0].head(3).itertuples()
        ),
    )


def _parity(parity: dict[str, Any]) -> str:
    lines = [
        f"{p}: largest difference of a probability {parity[p]['max_abs_dp']:.2g}, same answer for "
        f"{parity[p]['top1_agreement']:.2%} of the images, accuracy {parity[p]['accuracy']:.2%}."
        for p in ("float32", "int8")
    ]
    return _list(
        f"Deployed files against the trained model ({parity['split']}, n = {parity['n']:,})",
        f"Trained model (Keras): accuracy {parity['keras']['accuracy']:.2%}.",
        *lines,
    )


def _limits() -> str:
    return _list(
        "Limits",
        "The interval covers the choice of the test images, not that of the training images or "
        "of the seed.",
        "Test images come from the same source as the training images. On newly collected images, "
        "models of this kind lose several percentage points (Recht et al., arXiv 1806.00451).",
    )


def _list(title: str, *items: str) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {item}" for item in items)


def minutes(seconds: float) -> str:
    """Seconds as text, in seconds or minutes."""
    if seconds >= 120:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds:.0f} second{'s' * (round(seconds) != 1)}"
