"""A small, complete, plausible run written into a folder: for tests of the pages, without training.

Everything comes from one seeded generator. Predictions are drawn first and every metric is counted
from them, so that the tables of a run agree with each other. The `.tflite` files are empty: a test
that classifies pictures needs a really published run.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from src import config
from src.data import studies
from src.evaluation import hypotheses, reliability
from src.evaluation import metrics as evaluation_metrics

CLASSES = studies.get("cifar10").classes
ALIKE = ((3, 5, 2.6), (1, 9, 2.0), (0, 8, 1.4), (4, 7, 1.2), (2, 4, 1.0), (2, 6, 0.8))
SKILL = {
    "plain_subset": 2.6,
    "plain_subset_augmented": 3.1,
    "plain": 3.9,
    "plain_augmented": 4.3,
    "best": 6.0,
}
TITLES = {
    "plain_subset": "Plain network, 5,000 images",
    "plain_subset_augmented": "Plain network, 5,000 images, augmented",
    "plain": "Plain network, all images",
    "plain_augmented": "Plain network, all images, augmented",
    "best": "Best model",
}
# Models that are only compared: skill (none: it always says the first class), family and title.
COMPARED = {
    "forest": (4.0, "classical", "Random forest"),
    "logistic": (3.0, "classical", "Logistic regression"),
    "most_frequent": (None, "baseline", "Always the most frequent class"),
    "vote": (4.6, "ensemble", "Soft vote"),
}
SEEDS = (1, 2, 3, 4, 5)
COUNTS = {"train": 2000, "validation": 800, "test": 1000}
INPUTS = config.ROOT / "inputs"
THUMBNAIL, AVERAGE = 96, 64  # longest side of the pictures a run keeps, and of averages
RESAMPLES = 40  # of the factory's bootstraps: quick, and wide enough to look real
Rng = np.random.Generator


def published(values: Any) -> Any:
    """Probabilities as a run holds them: float32 rounded to 16 significant bits, halves upwards."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float32).astype(np.float64))
    return np.ldexp(np.floor(np.ldexp(mantissa, 16) + 0.5), exponent - 16).astype(np.float32)


def write_run(
    outputs: Path,
    study: str = "cifar10",
    version: str = "v1",
    *,
    models: Sequence[str] = tuple(SKILL),
    classes: Sequence[str] = CLASSES,
    counts: dict[str, int] | None = None,
    test_seed: int = 7,
    profile: str = "full",
    bonus: float = 0.0,
    shape: tuple[int, int, int] = (32, 32, 3),
    paths: bool = False,
    more: dict[str, pd.DataFrame] | None = None,
    classical: bool = False,
) -> Path:
    """Write a published run and return its folder.

    Args:
        models: names out of `SKILL`; the last one is the default model.
        test_seed: runs with equal `test_seed` share their test ids, so they may be ranked.
        bonus: added to every model's skill, so that versions differ.
        shape: (H, W, C) of the pictures.
        paths: whether pictures are named by their path instead of a position.
        more: further tables of the run, by path.
        classical: whether the run has `COMPARED` too, and the tables of notebook 6.
    """
    folder = outputs / study / version
    rng = np.random.default_rng(sum(map(ord, study + version)))
    splits = _splits(np.random.default_rng(test_seed), classes, counts or COUNTS)
    if paths:
        splits["id"] = splits["split"] + "/" + splits["label"] + "/" + splits["id"].astype(str)
    tables = _exploration(rng, classes, splits, shape)
    if classical:
        tables |= classical_tables()
    for path, frame in {"splits.parquet": splits, **tables, **(more or {})}.items():
        _write(folder / path, frame)
    default = models[-1]
    for name in models:
        _write_model(folder / "models" / name, rng, name, classes, splits, bonus)
    for name in COMPARED if classical else ():
        _write_compared(folder / "models" / name, rng, name, classes, splits)
    dataset = _dataset(study, classes, splits, shape)
    headline = _headline(folder, default)
    _write(folder / "dataset.json", dataset)
    judged = _hypotheses(folder, models, tables["eda/class_similarity.parquet"])
    _write(folder / "hypotheses.json", judged)
    _write(folder / "MODEL_CARD.md", f"# {TITLES[default]}\n\nSorts images into categories.\n")
    _write(folder / "manifest.json", _manifest(folder, study, version, profile, dataset, headline))
    return folder


def read(path: Path) -> Any:
    """A JSON file of a run."""
    return json.loads(path.read_text("utf-8"))


def _write(path: Path, content: pd.DataFrame | dict[str, Any] | list[Any] | str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pd.DataFrame):
        writer = content.to_parquet if path.suffix == ".parquet" else content.to_csv
        writer(path, index=False)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content, indent=1)
        path.write_text(text, "utf-8")


# --- data ----------------------------------------------------------------------------------


def _splits(rng: Rng, classes: Sequence[str], counts: dict[str, int]) -> pd.DataFrame:
    frames = []
    for split, n in counts.items():
        labels = np.tile(np.arange(len(classes)), n // len(classes) + 1)[:n]
        rng.shuffle(labels)
        frames.append(
            pd.DataFrame(
                {
                    "split": split,
                    "id": rng.permutation(10 * n)[:n],
                    "label": np.array(classes)[labels],
                    "subset": (np.arange(n) < n // 8) & (split == "train"),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def small_picture(rng: Rng, index: int, side: int = 32, grey: bool = False) -> bytes:
    """A PNG of a coloured disc on a gradient; the colour depends on the class."""
    y, x = np.mgrid[0:side, 0:side] / side
    hue = np.array([np.cos(index * 0.7 + k * 2.1) for k in range(3)]) * 90 + 128
    disc = ((x - rng.uniform(0.3, 0.7)) ** 2 + (y - rng.uniform(0.3, 0.7)) ** 2 < 0.08)[..., None]
    ground = (y * 160 + 40)[..., None] + rng.normal(0, 12, (side, side, 3))
    buffer = io.BytesIO()
    picture = Image.fromarray(np.clip(np.where(disc, hue, ground), 0, 255).astype(np.uint8))
    (picture.convert("L") if grey else picture).save(buffer, "PNG")
    return buffer.getvalue()


def _gallery(
    rng: Rng, classes: Sequence[str], splits: pd.DataFrame, shape: tuple[int, int, int]
) -> pd.DataFrame:
    rows = splits.groupby(["split", "label"], sort=False).head(40)
    side, grey = min(shape[0], THUMBNAIL), shape[2] == 1
    pngs = [small_picture(rng, list(classes).index(label), side, grey) for label in rows["label"]]
    return rows[["split", "id", "label"]].assign(png=pngs).reset_index(drop=True)


def _exploration(
    rng: Rng, classes: Sequence[str], splits: pd.DataFrame, shape: tuple[int, int, int]
) -> dict[str, pd.DataFrame]:
    """All tables of a run that come before the models, by path."""
    k, side = len(classes), min(shape[0], AVERAGE)
    gallery = _gallery(rng, classes, splits, shape)
    similarity = _similarity(rng, k)
    pair = [(classes[i], classes[j]) for i in range(k) for j in range(k)]
    counted = splits.groupby(["split", "label"]).size().reset_index(name="count")
    counted["share"] = counted["count"] / counted.groupby("split")["count"].transform("sum")
    measures = {"brightness": 120.0, "contrast": 50.0, "sharpness": 900.0, "colourfulness": 30.0}
    statistics = splits[["split", "id", "label"]].assign(
        **{name: rng.gamma(9, mean / 9, len(splits)) for name, mean in measures.items()}
    )
    if shape[2] == 1:
        statistics["colourfulness"] = 0.0
        del measures["colourfulness"]
    shown = gallery[gallery["split"] == "validation"]
    place = shown["label"].map({c: i for i, c in enumerate(classes)}).to_numpy()
    angle = place * 2 * np.pi / k
    return {
        "gallery.parquet": gallery,
        "eda/class_counts.parquet": counted,
        "eda/class_pictures.parquet": pd.DataFrame(
            [
                {
                    "label": name,
                    "kind": kind,
                    "values": rng.uniform(60, 180, side * side * shape[2])
                    .astype(np.float32)
                    .tolist(),
                }
                for name in classes
                for kind in ("mean", "variability")
            ]
        ),
        "eda/mean_differences.parquet": pd.DataFrame(pair, columns=["label_a", "label_b"]).assign(
            distance=(40 * (1 - similarity)).ravel()
        ),
        "eda/class_similarity.parquet": pd.DataFrame(pair, columns=["label_a", "label_b"]).assign(
            similarity=similarity.ravel()
        ),
        "eda/intensity_histogram.parquet": _histograms(
            rng, classes, ("grey",) if shape[2] == 1 else ("red", "green", "blue")
        ),
        "eda/image_statistics.parquet": statistics,
        "eda/extremes.parquet": _extremes(statistics.merge(gallery[["split", "id"]]), measures),
        "eda/embedding_map.parquet": shown[["split", "id", "label"]].assign(
            x=5 * np.cos(angle) + rng.normal(0, 1.3, len(shown)),
            y=5 * np.sin(angle) + rng.normal(0, 1.3, len(shown)),
        ),
        "eda/duplicates.parquet": gallery.head(4)[["split", "id", "label"]].assign(
            group=[0, 0, 1, 1]
        )[["group", "split", "id", "label"]],
        "eda/preprocessing.parquet": pd.DataFrame(
            {
                "order": [0, 1],
                "step": ["Original", "Standardised"],
                "description": ["As it is in the file", "Each channel: minus mean, over spread"],
                "png": gallery["png"].iloc[:2].tolist(),
            }
        ),
        "eda/augmentation_preview.parquet": pd.DataFrame(
            {
                "variant": range(9),
                "description": ["original", *[f"variant {i}" for i in range(1, 9)]],
                "png": gallery["png"].iloc[:9].tolist(),
            }
        ),
    }


def _similarity(rng: Rng, k: int) -> NDArray[np.float64]:
    matrix = rng.uniform(-0.3, 0.2, (k, k))
    matrix = (matrix + matrix.T) / 2
    for a, b, strength in ALIKE:
        if max(a, b) < k:
            matrix[a, b] = matrix[b, a] = strength / 3
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _histograms(rng: Rng, classes: Sequence[str], channels: Sequence[str]) -> pd.DataFrame:
    edges = np.linspace(0, 256, 33)
    frames = []
    for label in ("all", *classes):
        for channel in channels:
            values = rng.normal(rng.uniform(90, 150), 45, 4000)
            counts, _ = np.histogram(values, edges)
            frames.append(
                pd.DataFrame(
                    {
                        "label": label,
                        "channel": channel,
                        "bin_left": edges[:-1],
                        "bin_right": edges[1:],
                        "share": counts / counts.sum(),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _extremes(statistics: pd.DataFrame, measures: dict[str, float]) -> pd.DataFrame:
    frames = []
    for measure in measures:
        ordered = statistics.sort_values(measure)
        for end, rows in (("lowest", ordered.head(6)), ("highest", ordered.tail(6).iloc[::-1])):
            frames.append(
                rows[["split", "id", "label"]].assign(
                    measure=measure, end=end, rank=range(1, len(rows) + 1), value=rows[measure]
                )
            )
    columns = ["measure", "end", "rank", "split", "id", "label", "value"]
    return pd.concat(frames, ignore_index=True)[columns]


def _dataset(
    study: str, classes: Sequence[str], splits: pd.DataFrame, shape: tuple[int, int, int]
) -> dict[str, Any]:
    sizes = splits.groupby("split").size()
    test_ids = "\n".join(splits.loc[splits["split"] == "test", "id"].astype(str))
    return {
        "study": study,
        "title": "CIFAR-10: small photos of ten kinds of things",
        "description": "Small colour photos of ten kinds of things (synthetic stand-in).",
        "licence": "for research and teaching",
        "citation": "Krizhevsky, A. (2009). Learning multiple layers of features.",
        "homepage": "https://www.cs.toronto.edu/~kriz/cifar.html",
        "source": {
            "kind": "mirror",
            "detail": "a folder",
            "files": {"cifar.tar.gz": {"sha256": "0" * 64, "bytes": 170498071}},
        },
        "classes": list(classes),
        "image_shape": list(shape),
        "counts": {
            split: rows["label"].value_counts().reindex(classes, fill_value=0).to_dict()
            for split, rows in splits.groupby("split")
        },
        "totals": {**{split: int(n) for split, n in sizes.items()}, "all": len(splits)},
        "subset": {"n": int(splits["subset"].sum()), "per_class": 25},
        "disk_bytes": 170498071,
        "split_seed": 20260,
        "test_ids_sha256": hashlib.sha256(test_ids.encode()).hexdigest(),
        "channel_mean": [125.3, 123.0, 113.9],
        "channel_std": [63.0, 62.1, 66.7],
    }


# --- models --------------------------------------------------------------------------------


def _predict(rng: Rng, truth: NDArray[np.int64], skill: float, k: int) -> NDArray[np.float32]:
    """(n, k) probabilities: the true class and its look-alikes get more evidence."""
    evidence = rng.normal(0, 1.6, (len(truth), k))
    evidence[np.arange(len(truth)), truth] += skill
    for a, b, strength in ALIKE:
        if max(a, b) < k:
            evidence[truth == a, b] += strength
            evidence[truth == b, a] += strength
    evidence *= 1.6  # about as sure as it is right
    power = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    return (power / power.sum(axis=1, keepdims=True)).astype(np.float32)


def _predictions(
    rng: Rng, splits: pd.DataFrame, classes: Sequence[str], skill: float
) -> pd.DataFrame:
    rows = splits[splits["split"] != "train"][["split", "id", "label"]].reset_index(drop=True)
    truth = rows["label"].map({c: i for i, c in enumerate(classes)}).to_numpy(np.int64)
    probabilities = _predict(rng, truth, skill, len(classes))
    rows["prediction"] = np.array(classes)[probabilities.argmax(axis=1)]
    for i, name in enumerate(classes):
        rows[f"p_{name}"] = probabilities[:, i]
    return rows


def _write_model(
    folder: Path,
    rng: Rng,
    name: str,
    classes: Sequence[str],
    splits: pd.DataFrame,
    bonus: float,
) -> None:
    skill = SKILL[name] + bonus
    predictions = _predictions(rng, splits, classes, skill)
    seeds = SEEDS if "subset" in name else SEEDS[:1]
    _write(folder / "predictions.parquet", predictions)
    scored = [evaluation_metrics.from_frame(predictions, split) for split in ("validation", "test")]
    reports = [evaluation_metrics.report(part, resamples=RESAMPLES) for part in scored]
    _write(folder / "report.csv", pd.concat(reports, ignore_index=True))
    _write(folder / "history.csv", _history(rng, seeds, skill))
    _write(folder / "metrics.json", _metrics(predictions, skill))
    _write(folder / "config.json", _config(name, seeds, splits))
    for file in ("model.tflite", "model_int8.tflite"):
        _write(folder / file, b"")
    if len(seeds) > 1:
        runs = {seed: _predictions(rng, splits, classes, skill) for seed in seeds}
        columns = ["seed", "split", "id", "label", "prediction"]
        every = pd.concat([frame.assign(seed=seed) for seed, frame in runs.items()])[columns]
        _write(folder / "seed_predictions.parquet", every)
        right = every["label"].eq(every["prediction"])
        accuracy = right.groupby([every["seed"], every["split"]]).mean().unstack()
        _write(
            folder / "seeds.csv",
            pd.DataFrame(
                {
                    "seed": list(seeds),
                    "epochs": 12,
                    "best_epoch": 10,
                    "seconds": 61.5,
                    "validation_accuracy": accuracy["validation"].to_numpy(),
                    "test_accuracy": accuracy["test"].to_numpy(),
                }
            ),
        )


def _write_compared(
    folder: Path, rng: Rng, name: str, classes: Sequence[str], splits: pd.DataFrame
) -> None:
    """A model without served files: what notebook 6 and 8 write about one."""
    skill, family, title = COMPARED[name]
    predictions = _predictions(rng, splits, classes, skill or 0.0)
    if skill is None:
        predictions["prediction"] = classes[0]
        predictions[[f"p_{c}" for c in classes]] = np.eye(len(classes), dtype=np.float32)[0]
    _write(folder / "predictions.parquet", predictions)
    scored = [evaluation_metrics.from_frame(predictions, split) for split in ("validation", "test")]
    reports = [evaluation_metrics.report(part, resamples=RESAMPLES) for part in scored]
    _write(folder / "report.csv", pd.concat(reports, ignore_index=True))
    metrics = _metrics(predictions, skill or 1.0)
    del metrics["parity"], metrics["int8"]
    cost = metrics["cost"]
    for key in ("parameters", "tflite_bytes", "int8_bytes"):
        del cost[key]
    for key in ("latency_ms", "throughput"):
        cost[key] = {"scikit-learn": cost[key]["float32"]}
    cost["estimator_bytes"] = 12_300_000
    _write(folder / "metrics.json", metrics)
    made = {"file": f"{name}.joblib", "sha256": "ab" * 32, "bytes": 12_300_000}
    config_ = {
        "name": name,
        "family": family,
        "title": title,
        "description": "Looks at pixels as numbers in a row.",
        "training": {"C": 5},
        "augmentation": None,
        "trained_on": "full",
        "n_train": int(splits["split"].eq("train").sum()),
        "seed": 1,
        "seeds": [1],
    }
    if family == "ensemble":
        config_["members"] = ["forest", "logistic"]
    else:
        config_["estimator"] = {**made, "library": "scikit-learn 1.9.1"}
    _write(folder / "config.json", config_)


def classical_tables() -> dict[str, pd.DataFrame]:
    """What notebook 6 writes about two members of an ensemble, by path."""
    forest, logistic = (COMPARED[name][2] for name in ("forest", "logistic"))
    search = pd.DataFrame(
        {
            "model": ["forest", "forest", "logistic"],
            "title": [forest, forest, logistic],
            "settings": ["trees 50", "trees 100", "C 1"],
            "n_train": 60,
            "n": 200,
            "accuracy": [0.8, 0.84, 0.7],
            "low": [0.74, 0.78, 0.63],
            "high": [0.85, 0.89, 0.76],
            "seconds": [1.0, 2.0, 0.5],
            "chosen": [False, True, True],
        }
    )
    importance = pd.DataFrame({"title": [forest, logistic]}).assign(
        accuracy_drop=[0.05, 0.01],
        accuracy_drop_low=[0.04, 0.0],
        accuracy_drop_high=[0.06, 0.02],
        log_loss_rise=[0.3, 0.1],
        log_loss_rise_low=[0.25, 0.05],
        log_loss_rise_high=[0.35, 0.15],
    )
    correlation = pd.DataFrame(
        {
            "first": [forest, forest, logistic],
            "second": [forest, logistic, logistic],
            "errors": [1.0, 0.4, 1.0],
            "probabilities": [1.0, 0.6, 1.0],
            "both_wrong": [0.16, 0.1, 0.3],
        }
    )
    variance = pd.DataFrame({"component": [1, 2, 3], "share": [0.6, 0.36, 0.04]})
    variance["cumulative"] = variance["share"].cumsum()
    tables = {"search": search, "importance": importance, "correlation": correlation}
    tables["explained_variance"] = variance
    return {f"classical/{name}.parquet": table for name, table in tables.items()}


def _history(rng: Rng, seeds: Sequence[int], skill: float) -> pd.DataFrame:
    frames = []
    epochs = np.arange(1, 13)
    for seed in seeds:
        rise = 1 - np.exp(-epochs / 4)
        frames.append(
            pd.DataFrame(
                {
                    "seed": seed,
                    "epoch": epochs,
                    "seconds": epochs * 5.1,
                    "learning_rate": 0.01 * (1 + np.cos(np.pi * epochs / 12)) / 2,
                    "train_loss": 2.3 - rise * 0.36 * skill + rng.normal(0, 0.02, 12),
                    "train_accuracy": np.clip(0.1 + rise * 0.17 * skill, 0, 0.99),
                    "validation_loss": 2.3 - rise * 0.3 * skill + rng.normal(0, 0.04, 12),
                    "validation_accuracy": np.clip(0.1 + rise * 0.14 * skill, 0, 0.95)
                    + rng.normal(0, 0.01, 12),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _metrics(predictions: pd.DataFrame, skill: float) -> dict[str, Any]:
    splits = {
        split: evaluation_metrics.summary(part, resamples=RESAMPLES)
        | {"calibration": reliability.for_json(part)}
        for split in ("validation", "test")
        for part in [evaluation_metrics.from_frame(predictions, split)]
    }
    fast = {"value": 1.2 + 0.1 * skill, "low": 1.1, "high": 2.1, "n": 220, "rounds": 11}
    accuracy = splits["validation"]["metrics"]["accuracy"]["value"]
    return {
        "splits": splits,
        "int8": {"splits": _less_sure(splits)},
        "cost": {
            "parameters": int(90_000 * skill),
            "tflite_bytes": int(380_000 * skill),
            "int8_bytes": int(110_000 * skill),
            "training_seconds": 61.5 * skill,
            "training_cpu_seconds": 118.0 * skill,
            "needed_cpu_seconds": 236.0 * skill,
            "latency_ms": {"float32": fast, "int8": fast},
            "throughput": {
                precision: {"value": 900.0, "low": 850.0, "high": 930.0, "rounds": 11, "batch": 32}
                for precision in ("float32", "int8")
            },
        },
        "parity": {
            "split": "validation",
            "n": splits["validation"]["n"],
            "keras": {"accuracy": accuracy},
            "float32": {"max_abs_dp": 2.4e-6, "top1_agreement": 1.0, "accuracy": accuracy},
            "int8": {"max_abs_dp": 0.04, "top1_agreement": 0.995, "accuracy": accuracy - 0.002},
        },
    }


def _less_sure(splits: dict[str, Any]) -> dict[str, Any]:
    """The same figures, but an accuracy of half a point less."""
    less = copy.deepcopy(splits)
    for part in less.values():
        for end in ("value", "low", "high"):
            part["metrics"]["accuracy"][end] -= 0.005
    return less


def _config(name: str, seeds: Sequence[int], splits: pd.DataFrame) -> dict[str, Any]:
    augmented = "augmented" in name or name == "best"
    subset = "subset" in name
    return {
        "name": name,
        "title": TITLES[name],
        "description": "A stack of convolutions.",
        "architecture": {
            "kind": "fast" if name == "best" else "plain",
            "widths": [32, 64, 128],
            "dropout": 0.3,
        },
        "training": {
            "epochs": 12,
            "batch_size": 64,
            "optimizer": "adam",
            "learning_rate": 0.01,
            "schedule": "cosine",
        },
        "augmentation": {"flip": True, "shift": 0.1, "rotation": 10, "zoom": 0.1}
        if augmented
        else None,
        "trained_on": "subset" if subset else "full",
        "n_train": int(splits["subset"].sum())
        if subset
        else int(splits["split"].eq("train").sum()),
        "seed": seeds[0],
        "seeds": list(seeds),
        "best_epoch": 10,
        "seconds": {str(seed): 600.0 + 60 * i for i, seed in enumerate(seeds)},
        "cpu_seconds": {str(seed): 900.0 for seed in seeds},
        "precision": "float32",
        "temperature": 1.1,
        "layers": [
            {"name": "conv", "type": "Conv2D", "output_shape": [32, 32, 32], "parameters": 896},
            {"name": "dense", "type": "Dense", "output_shape": [10], "parameters": 1290},
        ],
        "tensors": {"image": "image", "logits": "logits", "embedding": "e", "activation": "a"},
    }


# --- judgement -----------------------------------------------------------------------------


def _headline(folder: Path, model: str) -> dict[str, Any]:
    test = json.loads((folder / "models" / model / "metrics.json").read_text("utf-8"))["splits"][
        "test"
    ]
    accuracy = test["metrics"]["accuracy"]
    return {
        "model": model,
        "split": "test",
        "n": test["n"],
        **{key: accuracy[key] for key in ("value", "low", "high")},
        "accuracy": accuracy["value"],
    }


def _hypotheses(
    folder: Path, models: Sequence[str], similarity: pd.DataFrame
) -> list[dict[str, Any]]:
    """The project's own hypotheses, judged by the run; none where it lacks their models."""
    if not set(SKILL) <= set(models):
        return []
    run = folder / "models"
    repeated = [name for name in models if (run / name / "seeds.csv").is_file()]
    evidence = hypotheses.Evidence(
        predictions={name: pd.read_parquet(run / name / "predictions.parquet") for name in models},
        similarity=similarity,
        seed_predictions={
            name: pd.read_parquet(run / name / "seed_predictions.parquet") for name in repeated
        },
        revisions=dict.fromkeys(models, "0123abc"),
    )
    return hypotheses.judge(studies.stated_hypotheses("cifar10"), evidence, reading=1)


def _manifest(
    folder: Path,
    study: str,
    version: str,
    profile: str,
    dataset: dict[str, Any],
    headline: dict[str, Any],
) -> dict[str, Any]:
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    return {
        "schema": 2,
        "study": study,
        "version": version,
        "created": "2026-01-02T03:04:05+00:00",
        "profile": profile,
        "code_revision": "0123abc",
        "environment": {
            "python": "3.11.9",
            "platform": "Linux",
            "cpu": "a processor",
            "cores": 2,
            "memory_gb": 8.0,
            "packages": {"keras": "3.15.1"},
        },
        "seeds": {"split": 20260},
        "data": {
            "source": dataset["source"]["kind"],
            "files": dataset["source"]["files"],
            "test_ids_sha256": dataset["test_ids_sha256"],
        },
        "wall_seconds": {"data": 12.0, "exploration": 60.5, "models": 1900.0},
        "headline": headline,
        "default_model": headline["model"],
        "files": files,
    }


def histograms() -> pd.DataFrame:
    """Shares of dark and bright values per class and channel, as `exploration` gives them."""
    shares = {"all": (0.5, 0.5), "cat": (1.0, 0.0), "dog": (0.25, 0.75), "ship": (0.25, 0.75)}
    return pd.DataFrame(
        [
            {
                "label": label,
                "channel": channel,
                "bin_left": left,
                "bin_right": left + 128,
                "share": s,
            }
            for label, (low, high) in shares.items()
            for channel in ("red", "green")
            for left, s in ((0, low), (128, high))
        ]
    )
