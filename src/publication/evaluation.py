"""Notebook 8: every model answers validation and test images, through the files that are served.

This is the only place where test images are looked at; nothing after it changes a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from src import config, environment
from src.classical import store
from src.data import exploration, studies
from src.data.datasets import Dataset, Split
from src.data.images import THUMBNAIL
from src.evaluation import hypotheses, metrics, reliability, stats
from src.evaluation.calibration import Calibration
from src.publication import inheritance
from src.publication.engines import Engine, engines, served
from src.runs import published, verdicts
from src.runs.drafts import Draft
from src.serving import drawing, inference
from src.serving.inference import PRECISIONS, ServedModel
from src.training import export
from src.training.backbones import RUN

PER_CELL = 3  # images kept per cell of a confusion matrix; one of an ablation's
MISTAKES = 40  # most confident mistakes kept per model
AVERAGED_QUICKLY = 500  # images of a split that the quick profile answers with averaged views
EXAMPLES = 4  # test photos of each class that are kept in the size of the models


# --- 06: evaluation ----------------------------------------------------------------------------


def record_evaluation(draft: Draft, dataset: Dataset, name: str) -> dict[str, Any]:
    """Ask one model for every validation and test image; returns its metrics.

    Networks answer through the files that are served. What a classical model said to validation is
    kept from its fitting: a blend's answers must be cross-fitted there. An ablation whose files are
    gone (it was taken over, or a publication was refused) is not asked again: what it said stands.
    """
    folder = f"models/{name}"
    made = draft.read_json(f"{folder}/config.json")
    forms = engines(draft, dataset, name)
    if not forms:
        kept: dict[str, Any] = draft.read_json(f"{folder}/metrics.json")
        return kept
    network = draft.is_network(name)
    model = next(iter(forms.values()))
    validation = (
        _answers(model, dataset.validation, dataset)
        if network
        else _frame(store.kept_validation(draft.checkpoints, name), dataset.validation, dataset)
    )
    predictions = pd.concat([validation, _answers(model, dataset.test, dataset)], ignore_index=True)
    draft.write_table(f"{folder}/predictions.parquet", predictions)
    scored = _scored(predictions)
    report = [metrics.report(scored[s]).assign(split=s) for s in scored]
    draft.write_table(f"{folder}/report.csv", _first_column(pd.concat(report), "split"))
    measured = {
        "splits": {split: _measured(part) for split, part in scored.items()},
        "cost": _cost(draft, folder, made),
    }
    if network:
        measured["parity"] = draft.read_json(f"{folder}/parity.json")
    if name in draft.to_serve():
        measured["int8"] = _record_int8(draft, dataset, folder, forms["int8"])
    if isinstance(model, ServedModel) and _learned_moved(made):
        limit = AVERAGED_QUICKLY if draft.profile == "quick" else None
        measured["averaged"] = _averaged(model, dataset, made["augmentation"]["flip"], limit)
    draft.write_json(f"{folder}/metrics.json", measured)
    if len(made["seeds"]) > 1 and not inheritance.inherited(draft, name):
        _record_seeds(draft, dataset, name, made)
    return measured


def _scored(predictions: pd.DataFrame) -> dict[str, metrics.Scored]:
    return {split: metrics.from_frame(predictions, split) for split in ("validation", "test")}


def _record_int8(draft: Draft, dataset: Dataset, folder: str, model: Engine) -> dict[str, Any]:
    """What the int8 file says to the same images: its own answers, {"splits": metrics}."""
    frames = [_answers(model, split, dataset) for split in dataset.splits[1:]]
    predictions = pd.concat(frames, ignore_index=True)
    draft.write_table(f"{folder}/predictions_int8.parquet", predictions)
    parts = _scored(predictions).items()
    return {"splits": {split: _measured(part) for split, part in parts}}


def _measured(scored: metrics.Scored) -> dict[str, Any]:
    """What metrics.json says of a split: {n, metrics, calibration}."""
    return metrics.summary(scored) | {"calibration": reliability.for_json(scored)}


def _learned_moved(made: dict[str, Any]) -> bool:
    """Whether a network saw its training images moved, so that it knows such views."""
    return made["family"] == "network" and bool((made["augmentation"] or {}).get("shift"))


def _averaged(
    model: ServedModel, dataset: Dataset, mirrored: bool, limit: int | None
) -> dict[str, Any]:
    """Accuracy with test-time averaging, {"views": V, "splits": {split: {n, value, low, …}}}.

    With a limit, of the first images of each split only: views take most of an evaluation's time.
    """
    found = {}
    for split in dataset.splits[1:]:
        images, labels = split.images[:limit], split.labels[:limit]
        answers = inference.averaged(model, images, mirrored).argmax(1)
        correct = int((answers == labels).sum())
        found[split.name] = {"n": len(labels)} | stats.wilson(correct, len(labels)).asdict()
    return {"views": 6 if mirrored else 3, "splits": found}


def at_a_glance(measured: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    """One row per model: parameters, seconds of training, milliseconds per image, accuracies."""
    rows = {
        name: {
            "parameters": found["cost"].get("parameters"),
            "training s": found["cost"]["training_seconds"],
            "ms per image": min(
                (t["value"] for t in found["cost"]["latency_ms"].values()), default=None
            ),
            **{
                f"{split} accuracy": scored["metrics"]["accuracy"]["value"]
                for split, scored in found["splits"].items()
            },
        }
        for name, found in measured.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _first_column(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame[[name, *frame.columns.drop(name)]]


def _answers(model: Engine, split: Split, dataset: Dataset) -> pd.DataFrame:
    """Columns split, id, label, prediction, p_<class>… of one model on one split."""
    return _frame(model.predict(split.images).probabilities, split, dataset)


def _frame(probabilities: ArrayLike, split: Split, dataset: Dataset) -> pd.DataFrame:
    classes = dataset.spec.classes
    scored = metrics.score(split.labels, probabilities, classes, split.ids, split.name)
    return metrics.to_frame(scored)


def _record_seeds(draft: Draft, dataset: Dataset, name: str, made: dict[str, Any]) -> None:
    answers = []
    for seed in made["seeds"]:
        content = draft.seed_model(name, seed).read_bytes()
        model = export.served_model(
            content, dataset.spec.image_shape, "float32", Calibration.of(made)
        )
        for split in dataset.splits[1:]:
            frame = _answers(model, split, dataset)[["split", "id", "label", "prediction"]]
            answers.append(frame.assign(seed=seed))
    predictions = _first_column(pd.concat(answers, ignore_index=True), "seed")
    draft.write_table(f"models/{name}/seed_predictions.parquet", predictions)
    draft.write_table(f"models/{name}/seeds.csv", _seed_table(draft, name, made, predictions))


def _seed_table(
    draft: Draft, name: str, made: dict[str, Any], predictions: pd.DataFrame
) -> pd.DataFrame:
    history = draft.read_table(f"models/{name}/history.csv")
    correct = predictions.assign(correct=predictions["label"] == predictions["prediction"])
    accuracy = correct.pivot_table(values="correct", index="seed", columns="split")
    return pd.DataFrame(
        {
            "seed": made["seeds"],
            "epochs": [int((history["seed"] == seed).sum()) for seed in made["seeds"]],
            "best_epoch": [made["best_epochs"][str(seed)] for seed in made["seeds"]],
            "seconds": [made["seconds"][str(seed)] for seed in made["seeds"]],
            "validation_accuracy": accuracy.loc[made["seeds"], "validation"].to_numpy(),
            "test_accuracy": accuracy.loc[made["seeds"], "test"].to_numpy(),
        }
    )


def _cost(draft: Draft, folder: str, made: dict[str, Any]) -> dict[str, Any]:
    """Sizes and times of training; how long answers take is measured together (`speed`)."""
    first = str(made["seed"])
    return _sizes(draft, folder, made) | {
        "training_seconds": made.get("training_seconds") or made["seconds"][first],
        "training_cpu_seconds": _cpu_seconds(made),
        "needed_cpu_seconds": _needed_cpu_seconds(draft, made),
    }


def _cpu_seconds(made: dict[str, Any]) -> float:
    """Processor time of the published model: of its first seed, or of the only fit."""
    return float(made.get("training_cpu_seconds") or made["cpu_seconds"][str(made["seed"])])


def _needed_cpu_seconds(draft: Draft, made: dict[str, Any]) -> float:
    """Processor time with what a model needs: search, members, teacher, a backbone of our own.

    What others spent on a backbone is not known and not counted.
    """
    needed = (draft.read_json(f"models/{name}/config.json") for name in made.get("needs", ()))
    own = float(made.get("own_cpu_seconds") or _cpu_seconds(made))
    return own + sum(_needed_cpu_seconds(draft, each) for each in needed) + _backbone(made)


def _backbone(made: dict[str, Any]) -> float:
    """Processor time of the network of another study that a model goes on from."""
    name = str((made.get("architecture") or {}).get("kind", ""))
    if not name.startswith(RUN):
        return 0.0
    study, _, model = name.removeprefix(RUN).partition("/")
    run = published.open_run(study, published.versions(study)[0])
    return float(run.model(model).metrics["cost"]["training_cpu_seconds"])


def _sizes(draft: Draft, folder: str, made: dict[str, Any]) -> dict[str, int]:
    if made["family"] not in published.NETWORKS:
        return {"estimator_bytes": made["bytes"]}
    sizes = {
        p: (draft.folder / folder / published.MODEL_FILES[p]).stat().st_size for p in PRECISIONS
    }
    return {
        "parameters": made["parameters"],
        "tflite_bytes": sizes["float32"],
        "int8_bytes": sizes["int8"],
    }


# --- 06: hypotheses, images, card, manifest --------------------------------------------------


def record_drawings(draft: Draft, dataset: Dataset) -> dict[str, Any]:
    """How well the served models read the test drawings; empty where drawing makes no sense."""
    if not drawing.suits(draft.read_json("dataset.json")):
        return {}
    models = {name: served(draft, dataset, name, "float32") for name in draft.to_serve()}
    drawings = drawing.load(config.drawings_file())
    frame, told = drawing.record(models, dataset.spec.classes, drawings)
    draft.write_table("drawings.parquet", frame)
    draft.write_json("drawings.json", told)
    return told


def record_hypotheses(draft: Draft) -> list[dict[str, Any]]:
    """Judge the written-down hypotheses by the draft's own files, as the next reading of test."""
    made = {name: draft.read_json(f"models/{name}/config.json") for name in draft.models()}
    evidence = verdicts.evidence(made, draft.has, draft.read_table, environment.code_revision())
    stated = studies.stated_hypotheses(draft.study)
    judged = hypotheses.judge(stated, evidence, verdicts.reading(draft.study, version=""))
    draft.write_json("hypotheses.json", judged)
    return judged


def record_gallery(draft: Draft, dataset: Dataset) -> pd.DataFrame:
    """Keep the images that charts and tables point to, each once."""
    wanted = [
        draft.read_table(f"eda/{name}.parquet")[["split", "id"]]
        for name in ("embedding_map", "extremes", "duplicates")
    ]
    for name in draft.models():
        predictions = draft.read_table(f"models/{name}/predictions.parquet")
        ablation = draft.read_json(f"models/{name}/config.json").get(published.ABLATION, False)
        scored = metrics.from_frame(predictions, "test")
        wanted.append(_images_of(scored, 1 if ablation else PER_CELL))
    random = metrics.drawn(dataset.test.ids, metrics.DRAWN)
    wanted.append(pd.DataFrame({"split": "test", "id": random}))
    ids = pd.concat(wanted).drop_duplicates()
    gallery = exploration.gallery(dataset, ids)
    draft.write_table("gallery.parquet", gallery)
    if max(dataset.spec.image_shape) > THUMBNAIL:
        draft.write_table("examples.parquet", _examples(dataset))
    return gallery


def _examples(dataset: Dataset) -> pd.DataFrame:
    """Some test photos of each class as large as the models take them, to be tried out."""
    order = np.random.default_rng(config.SEED).permutation(len(dataset.test))
    labels = dataset.test.labels[order]
    rows = [order[labels == k][:EXAMPLES] for k in range(len(dataset.spec.classes))]
    wanted = pd.DataFrame({"split": "test", "id": dataset.test.ids[np.concatenate(rows)]})
    return exploration.gallery(dataset, wanted, max(dataset.spec.image_shape))


def _images_of(scored: metrics.Scored, per_cell: int) -> pd.DataFrame:
    """Test images worth keeping: the surest of each confusion cell, and the surest mistakes."""
    frame = pd.DataFrame(
        {
            "id": scored.ids,
            "label": scored.labels,
            "prediction": scored.predicted,
            "confidence": scored.confidence,
        }
    ).sort_values("confidence", ascending=False)
    cells = frame.groupby(["label", "prediction"]).head(per_cell)
    mistakes = frame[frame["label"] != frame["prediction"]].head(MISTAKES)
    return pd.concat([cells, mistakes])[["id"]].assign(split=scored.split)
