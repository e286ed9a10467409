"""What the notebooks write into a draft, step by step, until it can be published.

Notebook side: calls TensorFlow through `export`. Everything the test pictures decide is written in
one place, `record_evaluation`, and nothing after it changes a model.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from src import (
    business,
    calibration,
    cards,
    classifiers,
    config,
    drawing,
    environment,
    evaluation,
    exploration,
    export,
    folders,
    hypotheses,
    images,
    inference,
    inheritance,
    models,
    runs,
    statistics,
    studies,
    training,
    transfer,
)
from src.calibration import Calibration
from src.classifiers import Classifier
from src.crossvalidation import CrossValidation
from src.experiments import Experiment
from src.inference import BATCH, PRECISIONS, ServedModel
from src.runs import Draft
from src.studies import Dataset, Split
from src.training import Trained
from src.transfer import Transfer

REPRESENTATIVE_PICTURES = 500  # training pictures that give int8 its ranges
REPRESENTATIVE_VALUES = 2**24  # in all of them, so fewer of photos
PER_CELL = 3  # pictures kept per cell of a confusion matrix; one of a control's
MISTAKES = 40  # most confident mistakes kept per model
EXAMPLES = 4  # test photos of each class that are kept in the size of the models


# --- 01: data ----------------------------------------------------------------------------------


def record_dataset(draft: Draft, dataset: Dataset) -> dict[str, Any]:
    """Write the dataset card, the ids of every split, and the audit of somebody's own files.

    Returns the card.
    """
    card = studies.card(dataset)
    draft.write_json("dataset.json", card)
    draft.write_table("splits.parquet", _split_table(dataset))
    if dataset.spec.folder is not None:
        found, report = folders.audited(dataset.spec)
        draft.write_table("audit.parquet", found)
        draft.write_json("audit.json", report)
    return card


def _split_table(dataset: Dataset) -> pd.DataFrame:
    names = np.array(dataset.spec.classes)
    frames = [
        pd.DataFrame(
            {
                "split": split.name,
                "id": split.ids,
                "label": names[split.labels],
                "subset": np.isin(split.ids, dataset.subset_ids) & (split.name == "train"),
            }
        )
        for split in dataset.splits
    ]
    return pd.concat(frames, ignore_index=True)


def record_figure(draft: Draft, name: str, figure: Figure) -> Figure:
    """Keep a figure of the exploration as PNG; returns it, for the notebook to show."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight")
    palette = Image.open(stream).convert("RGB").quantize(256)  # a third of the bytes
    small = io.BytesIO()
    palette.save(small, "PNG", optimize=True)
    draft.write(f"eda/figures/{name}.png", small.getvalue())
    return figure


# --- 03 to 07: training ------------------------------------------------------------------------


def train(draft: Draft, experiment: Experiment, dataset: Dataset) -> pd.DataFrame:
    """Train and record a network, unless the draft took it over; returns `histories`.

    Raises:
        TrainingError: see `training.fit`.
    """
    if not inheritance.inherited(draft, experiment.name):
        seeds = training.run(experiment, dataset, folder=draft.checkpoints, logs=draft.logs)
        record_training(draft, experiment, dataset, dict(seeds))
    return draft.read_table(f"models/{experiment.name}/history.csv")


def record_training(
    draft: Draft,
    experiment: Experiment | Transfer,
    dataset: Dataset,
    trained: Mapping[int, Trained],
) -> dict[str, Any]:
    """Export a trained experiment and write what training and validation say about it.

    The model of the first seed is the one that is published and served; of the others only the
    answers are kept, for the spread. Returns the parity of the served files with Keras.
    """
    examples = _representative(dataset.train.images)
    exported = {seed: export.export(t.model, examples) for seed, t in trained.items()}
    for seed, files in exported.items():
        draft.keep_seed_model(experiment.name, seed, files.float32)
    first = experiment.seeds[0]
    calibrated = _calibrated(exported[first].float32, dataset.validation)
    folder = f"models/{experiment.name}"
    for name in ("keras", "float32", "int8"):
        draft.write(f"{folder}/{_FILES[name]}", getattr(exported[first], name))
    parity = export.parity(
        exported[first], dataset.validation.images, dataset.validation.labels, calibrated
    )
    draft.write_json(f"{folder}/parity.json", parity)
    draft.write_table(f"{folder}/history.csv", histories(trained))
    config_ = _model_config(experiment, dataset, trained, calibrated)
    draft.write_json(f"{folder}/config.json", config_)
    return parity


def _representative(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    wanted = min(REPRESENTATIVE_PICTURES, REPRESENTATIVE_VALUES // images[0].size)
    return images[:: max(1, len(images) // wanted)]


_FILES = {"keras": "model.keras", "float32": "model.tflite", "int8": "model_int8.tflite"}


def _calibrated(content: bytes, validation: Split) -> Calibration:
    model = export.served_model(content, validation.images.shape[1:], "float32")
    return calibration.fit(model.predict(validation.images).logits, validation.labels)


def histories(trained: Mapping[int, Trained]) -> pd.DataFrame:
    """The histories of all seeds in one frame, with a column `seed` in front."""
    frames = [t.history.assign(seed=seed) for seed, t in trained.items()]
    history = pd.concat(frames, ignore_index=True)
    return history[["seed", *history.columns.drop("seed")]]


def _model_config(
    experiment: Experiment | Transfer,
    dataset: Dataset,
    trained: Mapping[int, Trained],
    calibrated: Calibration,
) -> dict[str, Any]:
    first = trained[experiment.seeds[0]]
    shapes = {name: list(t.shape[1:]) for name, t in models.serving(first.model).output.items()}
    train = dataset.subset if experiment.trained_on == "subset" else dataset.train
    return {
        "name": experiment.name,
        "title": experiment.title,
        "description": experiment.description,
        **_stated(experiment, first),
        "trained_on": experiment.trained_on,
        "n_train": len(train),
        "control": isinstance(experiment, Experiment) and experiment.control,
        "seed": experiment.seeds[0],
        "seeds": list(trained),
        "best_epoch": first.best_epoch,
        "best_epochs": {str(seed): t.best_epoch for seed, t in trained.items()},
        "precision": first.precision,
        **asdict(calibrated),
        "parameters": int(first.model.count_params()),
        "peak_bytes": environment.peak_bytes(),
        "seconds": {str(seed): t.seconds for seed, t in trained.items()},
        "cpu_seconds": {str(seed): t.cpu_seconds for seed, t in trained.items()},
        "layers": models.layer_table(first.model),
        "tensors": {"image": list(dataset.spec.image_shape), **shapes},
    }


def _stated(experiment: Experiment | Transfer, trained: Trained) -> dict[str, Any]:
    if isinstance(experiment, Transfer):
        return transfer.stated(experiment, trained)
    recipe = asdict(experiment.recipe)
    return {
        "family": "network",
        "architecture": asdict(experiment.architecture),
        "augmentation": recipe.pop("augmentation"),
        "training": recipe,
    }


def record_cross_validation(draft: Draft, found: CrossValidation) -> None:
    """Write what cross-validation found; nothing of it comes from test pictures."""
    draft.write_table("cross_validation.csv", found.folds)
    draft.write_table("cross_validation_predictions.parquet", found.predictions)
    draft.write_table("learning_curve.csv", found.curve)


# --- 06: evaluation ----------------------------------------------------------------------------


def record_evaluation(draft: Draft, dataset: Dataset, name: str) -> dict[str, Any]:
    """Ask one model for every validation and test picture; returns its metrics.

    Networks answer through the files that are served. What a classical model said to validation is
    kept from its fitting: a blend's answers must be cross-fitted there. A control whose files are
    gone (it was taken over, or a publication was refused) is not asked again: what it said stands.
    """
    folder = f"models/{name}"
    made = draft.read_json(f"{folder}/config.json")
    served = draft.is_network(name)
    if served and not draft.has(f"{folder}/model.tflite"):
        kept: dict[str, Any] = draft.read_json(f"{folder}/metrics.json")
        return kept
    engines = _engines(draft, dataset, name, made)
    model = next(iter(engines.values()))
    validation = (
        _answers(model, dataset.validation, dataset)
        if served
        else _frame(
            classifiers.kept_validation(draft.checkpoints, name), dataset.validation, dataset
        )
    )
    predictions = pd.concat([validation, _answers(model, dataset.test, dataset)], ignore_index=True)
    draft.write_table(f"{folder}/predictions.parquet", predictions)
    scored = {s: evaluation.from_frame(predictions, s) for s in ("validation", "test")}
    report = [evaluation.report(scored[s]).assign(split=s) for s in scored]
    draft.write_table(f"{folder}/report.csv", _first_column(pd.concat(report), "split"))
    metrics = {
        "splits": {split: evaluation.summary(part) for split, part in scored.items()},
        "cost": _cost(draft, folder, made, engines, dataset.validation.images),
    }
    if served:
        metrics["parity"] = draft.read_json(f"{folder}/parity.json")
    if isinstance(model, ServedModel) and _learned_moved(made):
        metrics["averaged"] = _averaged(model, dataset, made["augmentation"]["flip"])
    draft.write_json(f"{folder}/metrics.json", metrics)
    if len(made["seeds"]) > 1 and not inheritance.inherited(draft, name):
        _record_seeds(draft, dataset, name, made)
    return metrics


def _learned_moved(made: dict[str, Any]) -> bool:
    """Whether a network saw its training pictures moved, so that it knows such views."""
    return made["family"] == "network" and bool((made["augmentation"] or {}).get("shift"))


def _averaged(model: ServedModel, dataset: Dataset, mirrored: bool) -> dict[str, Any]:
    """Accuracy with test-time averaging, {"views": V, "splits": {split: {n, value, low, …}}}."""
    found = {}
    for split in dataset.splits[1:]:
        answers = inference.averaged(model, split.images, mirrored).argmax(1)
        correct = int((answers == split.labels).sum())
        found[split.name] = {"n": len(split)} | statistics.wilson(correct, len(split)).asdict()
    return {"views": 6 if mirrored else 3, "splits": found}


def at_a_glance(metrics: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    """One row per model: parameters, seconds of training, milliseconds a picture, accuracies."""
    rows = {
        name: {
            "parameters": found["cost"].get("parameters"),
            "training s": found["cost"]["training_seconds"],
            "ms a picture": min(t["value"] for t in found["cost"]["latency_ms"].values()),
            **{
                f"{split} accuracy": scored["metrics"]["accuracy"]["value"]
                for split, scored in found["splits"].items()
            },
        }
        for name, found in metrics.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _first_column(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame[[name, *frame.columns.drop(name)]]


def _engines(
    draft: Draft, dataset: Dataset, name: str, made: dict[str, Any]
) -> dict[str, ServedModel | Classifier]:
    """The forms in which a model answers; the first one's answers are published."""
    if not draft.is_network(name):
        return {"scikit-learn": classifiers.kept(draft.checkpoints, name)}
    return {p: _drafted(draft, dataset, name, p, made) for p in PRECISIONS}


def _drafted(
    draft: Draft, dataset: Dataset, name: str, precision: str, made: dict[str, Any]
) -> ServedModel:
    content = (draft.folder / f"models/{name}/{_FILES[precision]}").read_bytes()
    return export.served_model(content, dataset.spec.image_shape, precision, Calibration.of(made))


def _answers(model: ServedModel | Classifier, split: Split, dataset: Dataset) -> pd.DataFrame:
    """Columns split, id, label, prediction, p_<class>… of one model on one split."""
    return _frame(model.predict(split.images).probabilities, split, dataset)


def _frame(probabilities: ArrayLike, split: Split, dataset: Dataset) -> pd.DataFrame:
    classes = dataset.spec.classes
    scored = evaluation.score(split.labels, probabilities, classes, split.ids, split.name)
    return evaluation.to_frame(scored)


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


def _cost(
    draft: Draft,
    folder: str,
    made: dict[str, Any],
    engines: Mapping[str, ServedModel | Classifier],
    images: NDArray[np.uint8],
) -> dict[str, Any]:
    first = str(made["seed"])
    return _sizes(draft, folder, made) | {
        "training_seconds": made.get("training_seconds") or made["seconds"][first],
        "training_cpu_seconds": made.get("training_cpu_seconds") or made["cpu_seconds"][first],
        "latency_ms": {p: _latency(model, images) for p, model in engines.items()},
        "throughput": {p: _throughput(model, images) for p, model in engines.items()},
    }


def _sizes(draft: Draft, folder: str, made: dict[str, Any]) -> dict[str, int]:
    if made["family"] not in runs.NETWORKS:
        return {"estimator_bytes": made["bytes"]}
    sizes = {p: (draft.folder / folder / _FILES[p]).stat().st_size for p in PRECISIONS}
    return {
        "parameters": made["parameters"],
        "tflite_bytes": sizes["float32"],
        "int8_bytes": sizes["int8"],
    }


def _latency(model: ServedModel | Classifier, images: NDArray[np.uint8]) -> dict[str, Any]:
    """Median milliseconds of one picture and its 95 % interval."""
    model.predict(images[:1])  # the first call allocates
    times = [model.predict(images[i % len(images)][None]).milliseconds for i in range(200)]
    return _median(times)


def _throughput(model: ServedModel | Classifier, images: NDArray[np.uint8]) -> dict[str, Any]:
    """Median pictures per second in batches and its 95 % interval."""
    batch = np.resize(images, (BATCH, *images.shape[1:]))
    model.predict(batch)
    rates = []
    for _ in range(20):
        started = time.perf_counter()
        model.predict(batch)
        rates.append(BATCH / (time.perf_counter() - started))
    return _median(rates) | {"batch": BATCH}


def _median(values: list[float]) -> dict[str, Any]:
    """Median with the order-statistic interval (Conover, Practical Nonparametric Statistics)."""
    ordered = np.sort(values)
    n = len(ordered)
    reach = statistics.normal_quantile(0.975) * np.sqrt(n) / 2
    low, high = max(0, int(np.floor(n / 2 - reach)) - 1), min(n - 1, int(np.ceil(n / 2 + reach)))
    return {
        "value": float(np.median(ordered)),
        "low": float(ordered[low]),
        "high": float(ordered[high]),
        "n": n,
    }


# --- 06: hypotheses, pictures, card, manifest --------------------------------------------------


def record_drawings(draft: Draft, dataset: Dataset) -> dict[str, Any]:
    """How well the served models read the test drawings; empty where drawing makes no sense."""
    if not drawing.suits(draft.read_json("dataset.json")):
        return {}
    served = {
        name: _drafted(
            draft, dataset, name, "float32", draft.read_json(f"models/{name}/config.json")
        )
        for name in draft.to_serve()
    }
    drawings = drawing.load(config.stated() / "drawings.toml")
    frame, told = drawing.record(served, dataset.spec.classes, drawings)
    draft.write_table("drawings.parquet", frame)
    draft.write_json("drawings.json", told)
    return told


def record_hypotheses(draft: Draft) -> list[dict[str, Any]]:
    """Judge the written-down hypotheses by the draft's own files."""
    names = draft.models()
    seeded = [m for m in names if draft.has(f"models/{m}/seeds.csv")]
    evidence = hypotheses.Evidence(
        predictions={m: draft.read_table(f"models/{m}/predictions.parquet") for m in names},
        similarity=draft.read_table("eda/class_similarity.parquet"),
        seeds={m: draft.read_table(f"models/{m}/seeds.csv") for m in seeded},
        seed_predictions={
            m: draft.read_table(f"models/{m}/seed_predictions.parquet") for m in seeded
        },
        titles={m: draft.read_json(f"models/{m}/config.json")["title"] for m in names},
    )
    stated = hypotheses.load(config.stated() / "hypotheses.toml", draft.study)
    judged = hypotheses.judge(stated, evidence)
    draft.write_json("hypotheses.json", judged)
    return judged


def record_gallery(draft: Draft, dataset: Dataset) -> pd.DataFrame:
    """Keep the pictures that charts and tables point to, each once."""
    wanted = [
        draft.read_table(f"eda/{name}.parquet")[["split", "id"]]
        for name in ("embedding_map", "extremes", "duplicates")
    ]
    for name in draft.models():
        predictions = draft.read_table(f"models/{name}/predictions.parquet")
        control = draft.read_json(f"models/{name}/config.json").get("control", False)
        scored = evaluation.from_frame(predictions, "test")
        wanted.append(_pictures_of(scored, 1 if control else PER_CELL))
    random = evaluation.drawn(dataset.test.ids, evaluation.DRAWN)
    wanted.append(pd.DataFrame({"split": "test", "id": random}))
    ids = pd.concat(wanted).drop_duplicates()
    gallery = exploration.gallery(dataset, ids)
    draft.write_table("gallery.parquet", gallery)
    if max(dataset.spec.image_shape) > images.THUMBNAIL:
        draft.write_table("examples.parquet", _examples(dataset))
    return gallery


def _examples(dataset: Dataset) -> pd.DataFrame:
    """Some test photos of each class as large as the models take them, to be tried out."""
    order = np.random.default_rng(config.SEED).permutation(len(dataset.test))
    labels = dataset.test.labels[order]
    rows = [order[labels == k][:EXAMPLES] for k in range(len(dataset.spec.classes))]
    wanted = pd.DataFrame({"split": "test", "id": dataset.test.ids[np.concatenate(rows)]})
    return exploration.gallery(dataset, wanted, max(dataset.spec.image_shape))


def _pictures_of(scored: evaluation.Scored, per_cell: int) -> pd.DataFrame:
    """Test pictures worth keeping: the surest of each confusion cell, and the surest mistakes."""
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


def default_model(draft: Draft) -> str:
    """The served model with the highest accuracy on validation of those that are fast enough.

    Fast enough is what inputs/business.toml asks for; where no model is, the fastest one serves.
    """
    served = {name: draft.read_json(f"models/{name}/metrics.json") for name in draft.to_serve()}

    def accuracy(name: str) -> float:
        return float(served[name]["splits"]["validation"]["metrics"]["accuracy"]["value"])

    def milliseconds(name: str) -> float:
        return float(served[name]["cost"]["latency_ms"]["float32"]["value"])

    limit = business.load(config.stated() / "business.toml", draft.study).latency_limit
    fast = [name for name in served if milliseconds(name) <= limit]
    return max(fast, key=accuracy) if fast else min(served, key=milliseconds)


def manifest(draft: Draft) -> dict[str, Any]:
    """What was made, when, from what and with what; `Draft.publish` adds the files."""
    card = draft.read_json("dataset.json")
    best = default_model(draft)
    made = {name: draft.read_json(f"models/{name}/config.json") for name in draft.models()}
    test = draft.read_json(f"models/{best}/metrics.json")["splits"]["test"]
    accuracy = test["metrics"]["accuracy"]
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_revision": environment.code_revision(),
        "environment": environment.describe(),
        "seeds": {"split": card["split_seed"], **{m: c["seeds"] for m, c in made.items()}},
        "peak_bytes": max(
            environment.peak_bytes(), *(c.get("peak_bytes", 0) for c in made.values())
        ),
        "data": {
            "source": card["source"]["kind"],
            "files": card["source"]["files"],
            "test_ids_sha256": card["test_ids_sha256"],
        },
        "inherited": {m: c["origin"]["version"] for m, c in made.items() if "origin" in c},
        "wall_seconds": {f"training {m}": sum(c["seconds"].values()) for m, c in made.items()},
        "headline": {
            "model": best,
            "split": "test",
            "n": test["n"],
            "accuracy": accuracy["value"],
            "low": accuracy["low"],
            "high": accuracy["high"],
        },
        "default_model": best,
    }


def publish(draft: Draft, version: str | None = None) -> str:
    """Write the model card and publish; returns the version.

    Only the default model can be trained further, and controls do not answer: a `.keras` file holds
    the same weights as the `.tflite` beside it, and a run must stay small.
    """
    content = manifest(draft)
    for name in set(draft.models()) - {content["default_model"]}:
        draft.remove(f"models/{name}/model.keras")
    for name in set(draft.models()) - set(draft.to_serve()):
        for file in _FILES.values():
            draft.remove(f"models/{name}/{file}")
    draft.write("MODEL_CARD.md", cards.model_card(draft, content).encode())
    return draft.publish(content, version)
