"""The models of a run beside each other: quality, cost, and other versions of the study."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src.charts import models as charts
from src.charts import theme
from src.runs import published

CROSS_VALIDATION = "cross_validation.csv"
TIMES = {"answering": "Answering", "training": "Training"}
METRICS = ("accuracy", "macro_f1", "log_loss", "roc_auc")


def titles(run: published.Run) -> dict[str, str]:
    """Title of every model of a run by its name, in the run's order."""
    return {name: record(run, name).config["title"] for name in run.models}


def record(run: published.Run, name: str) -> published.ModelRecord:
    """What was written down about one model of a run."""
    return loaders.model(run.study, run.version, name)


def averaged_over(run: published.Run, split: str) -> str:
    """Over how many classes a macro average is taken, where not over all; begins with a comma."""
    n, untested = len(run.dataset["classes"]), len(run.untested)
    return f", {n - untested} of {n} classes" if untested and split == "test" else ""


def untested_text(run: published.Run) -> str:
    """Which classes no figure on test says anything about."""
    one = len(run.untested) == 1
    return (
        f"Not tested, because there are no test images of {'it' if one else 'them'}: "
        f"{', '.join(run.untested)}. Figures on test are about the other classes."
    )


def engine(cost: dict[str, Any]) -> str | None:
    """The form in which a model's speed is shown: `float32` or `scikit-learn`; None: unmeasured."""
    return next(iter(cost["latency_ms"]), None)


def model_table(run: published.Run, split: str) -> pd.DataFrame:
    """One row per model: quality with intervals, and what it costs."""
    return pd.DataFrame([_model_row(record(run, name), split) for name in run.models])


def _model_row(model: published.ModelRecord, split: str) -> dict[str, Any]:
    quality, cost = model.metrics["splits"][split], model.metrics["cost"]
    row: dict[str, Any] = {"name": model.name, "title": model.config["title"]}
    row |= {"family": model.family, "ablation": model.ablation, "n": quality["n"]}
    missing = {"value": None, "low": None, "high": None}
    for name in METRICS:
        metric = quality["metrics"].get(name, missing)
        row |= {name: metric["value"], f"{name}_low": metric["low"], f"{name}_high": metric["high"]}
    averaged = model.metrics.get("averaged", {"splits": {}})["splits"].get(split)
    row["averaged"] = averaged and averaged["value"]
    int8 = model.splits("int8")
    row["int8_accuracy"] = int8 and int8[split]["metrics"]["accuracy"]["value"]
    subject = loaders.Subject(model.run.study, model.run.version, model.name, split)
    row |= _seeds_row(subject) | _calibration_row(subject)
    return row | _cost_row(cost) | {"n_train": model.config["n_train"]}


def _seeds_row(subject: loaders.Subject) -> dict[str, float | int | None]:
    """How often a model was trained, and its mean accuracy for other seeds and images."""
    found = loaders.over_seeds(subject)
    if found is None:
        return {"trainings": 1, **dict.fromkeys(MEAN)}
    values = (found.mean.value, found.mean.low, found.mean.high)
    return {"trainings": found.trainings, **dict(zip(MEAN, values, strict=True))}


def _calibration_row(subject: loaders.Subject) -> dict[str, float]:
    """Calibration errors, and what a perfectly calibrated model would show."""
    error = loaders.reliability_of(subject).error
    return {
        "calibration_error": error.value,
        "calibrated_high": error.high,
        "calibration_p": error.p_value,
        "classwise_error": loaders.classwise_value(subject),
    }


def _cost_row(cost: dict[str, Any]) -> dict[str, Any]:
    form = engine(cost)
    latency = cost["latency_ms"].get(form, dict.fromkeys(("value", "low", "high")))
    needed = cost.get("needed_cpu_seconds")
    size = cost.get("tflite_bytes", cost.get("estimator_bytes"))
    small = cost.get("int8_bytes")
    return {
        "parameters": cost.get("parameters"),
        "megabytes": None if size is None else size / 1e6,
        "int8_megabytes": None if small is None else small / 1e6,
        "training": cost["training_cpu_seconds"] / 60,
        "needed": None if needed is None else needed / 60,
        "training_wall": cost["training_seconds"] / 60,
        "latency": latency["value"],
        "latency_low": latency["low"],
        "latency_high": latency["high"],
        "per_second": cost["throughput"][form]["value"] if form else None,
    }


# --- overview ------------------------------------------------------------------------------


@components.section
def overview(run: published.Run, split: str) -> None:
    """All models: accuracy, cost, the full table, and the other versions."""
    models = model_table(run, split)
    drawn = models.assign(
        value=models["mean"].fillna(models["accuracy"]),
        low=models["mean_low"].fillna(models["accuracy_low"]),
        high=models["mean_high"].fillna(models["accuracy_high"]),
    )
    baselines = drawn[drawn["family"] == "baseline"]
    if len(baselines) < len(drawn):  # guessing would push all others together
        drawn = drawn.drop(baselines.index)
    left, right = st.columns(2, gap="large")
    references = _references(run, split)
    with left:
        components.chart(
            charts.accuracy_ranking(drawn, references, split),
            key="ranking",
            data=models,
            name=f"{run.study}_{run.version}_models_{split}",
        )
        if not references.empty:
            with st.expander("Sources of the published results"):
                st.table(references.set_index("name")["source"], alt="Sources of the references")
    with right:
        cost = components.switch("Accuracy against the time of", "timed", TIMES, noun="time")
        timed = (
            drawn[~drawn["ablation"]] if cost == "answering" else drawn
        )  # ablations never answer
        components.chart(
            charts.cost_against_accuracy(timed, references, split, charts.COSTS[cost]),
            key="cost",
            sentence="Further up is better, further left is faster.",
        )
        if not baselines.empty:
            guesses = [f"{row.title} ({theme.percent(row.value)})" for row in theme.rows(baselines)]
            st.caption(f"In the table only: {theme.listing(guesses)}.")
    _cross_validated(run)
    _table(run, models, split)
    _versions(run)


def _references(run: published.Run, split: str) -> pd.DataFrame:
    known = pd.DataFrame(
        [asdict(reference) for reference in loaders.references(run.study)],
        columns=["name", "low", "high", "split", "source"],
    )
    return known[known["split"] == split].sort_values("low")


def _cross_validated(run: published.Run) -> None:
    """What cross-validation says, where test images are too few to say much."""
    if not run.has(CROSS_VALIDATION):
        return
    folds = loaders.table(run.study, run.version, CROSS_VALIDATION)
    folds = folds.assign(title=folds["model"].map(titles(run)).fillna(folds["model"]))
    components.chart(
        charts.cross_validation(folds),
        key="cross_validation",
        data=folds,
        name=f"{run.study}_{run.version}_cross_validation",
    )


COLUMNS = {
    "title": "Model",
    "family": "Kind",
    "accuracy": "Accuracy",
    "accuracy_low": "from",
    "accuracy_high": "to",
    "trainings": "Trainings",
    "mean": "Mean accuracy",
    "mean_low": "from\u2007",
    "mean_high": "to\u2007",
    "averaged": "Accuracy with TTA",
    "int8_accuracy": "Accuracy of int8",
    "n": "Images",
    "macro_f1": "Macro F1",
    "macro_f1_low": "from ",
    "macro_f1_high": "to ",
    "log_loss": "Log-loss",
    "roc_auc": "ROC area",
    "calibration_error": "Calibration error",
    "calibrated_high": "if calibrated, up to",
    "calibration_p": "p (calibrated)",
    "classwise_error": "Class-wise calibration error",
    "n_train": "Trained on",
    "training": "Training (processor min)",
    "needed": "With what it needs (processor min)",
    "training_wall": "Training (wall min)",
    "latency": "Time per photo",
    "latency_low": "from  ",
    "latency_high": "to  ",
    "per_second": "Photos per second",
    "parameters": "Parameters",
    "megabytes": "File (MB)",
    "int8_megabytes": "int8 file (MB)",
}


def _fine(share: float | None) -> str:
    """A small share with two decimals."""
    return theme.percent(share, 2)


SHARES = [f"{name}{end}" for name in METRICS[:2] for end in ("", "_low", "_high")]
MEAN = ("mean", "mean_low", "mean_high")
FORMATS: theme.Formats = {
    **dict.fromkeys([*SHARES, *MEAN, "averaged", "int8_accuracy", "low", "high"], theme.percent),
    **dict.fromkeys(("calibration_error", "calibrated_high", "classwise_error"), _fine),
    "calibration_p": theme.decimal(4),
    **dict.fromkeys(("n", "n_train", "trainings", "per_second", "parameters"), theme.count),
    **dict.fromkeys(("latency", "latency_low", "latency_high"), theme.milliseconds),
    **dict.fromkeys(("training", "needed", "training_wall"), theme.decimal(1)),
    **dict.fromkeys(("megabytes", "int8_megabytes"), theme.decimal(2)),
    "log_loss": theme.decimal(3),
    "roc_auc": theme.decimal(4),
}


def _table(run: published.Run, models: pd.DataFrame, split: str) -> None:
    """The full table; a selected row shows that model's mistakes."""
    st.subheader("All models of this version")
    st.caption(
        f"{split.capitalize()} split, the same {theme.images(models['n'].iloc[0])} for each"
        f"{averaged_over(run, split)}; "
        "“from” and “to” are the 95\u00a0% interval of the column before; “TTA” (test-time "
        "augmentation) averages mirrored and shifted copies, which takes as many times as long. "
        f"{_several(models)}"
        "A calibration error is no evidence by itself: “if calibrated, up to” is what 97.5\u00a0% "
        "of perfectly calibrated models would stay under on these images, and p says how often one "
        "would show as much. "
        "Select a row to see mistakes."
    )
    kinds = models["family"].map(lambda family: charts.FAMILIES[family][0])
    shown = models[list(COLUMNS)].assign(family=kinds).dropna(axis="columns", how="all")
    event = st.dataframe(
        components.formatted(shown, FORMATS),
        column_config=COLUMNS,
        hide_index=True,
        placeholder="–",
        on_select="rerun",
        selection_mode="single-row",
        key="model_table",
        alt="Quality and cost of every model",
    )
    for row in event.selection.rows:
        name = models["name"].iloc[row]
        st.markdown(f"**Most confident mistakes of {models['title'].iloc[row]}**")
        subject = loaders.Subject(run.study, run.version, name, split)
        components.answers(run, loaders.evaluation_table(subject, "mistakes"), key="row_mistakes")
    _parity(run)


def _several(models: pd.DataFrame) -> str:
    """What is said about models that were trained more than once; empty where none was."""
    if models["mean"].isna().all():
        return ""
    return (
        "A model that was trained several times is published with its first seed, by rule, and "
        "all other columns are about that one. “Mean accuracy” is over its trainings, with an "
        "interval for other seeds and other images; the charts show it. "
    )


def _parity(run: published.Run) -> None:
    """Whether the deployed models are identical to the trained ones."""
    rows = [
        row
        for name, title in titles(run).items()
        if not record(run, name).ablation and (parity := record(run, name).metrics.get("parity"))
        for row in _parity_rows(title, parity)
    ]
    if not rows:
        return
    with st.expander("Is the deployed model identical to the trained one?"):
        st.caption("Every validation image through both, before publication.")
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Trained and deployed models")


def _parity_rows(title: str, parity: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "Model": title,
            "Served as": form,
            "Same answer": theme.percent(parity[form]["top1_agreement"], 2),
            "Largest difference in probability": f"{parity[form]['max_abs_dp']:.1e}",
            "Accuracy trained": theme.percent(parity["keras"]["accuracy"], 2),
            "Accuracy served": theme.percent(parity[form]["accuracy"], 2),
            "n": theme.count(parity["n"]),
        }
        for form in ("float32", "int8")
    ]


# --- versions ------------------------------------------------------------------------------


def _versions(run: published.Run) -> None:
    """All versions of the study; ranked only where they were tested on the same images."""
    versions = loaders.versions(run.study)
    if len(versions) < 2:
        return
    st.subheader("Other versions of this study")
    rows = [_version_row(run, version) for version in versions]
    table = pd.DataFrame([row for row in rows if row])
    table = table.sort_values(["same", "accuracy"], ascending=False)
    ranks = table["accuracy"].where(table["same"]).rank(ascending=False, method="min")
    table["rank"] = ranks.map(theme.count)
    st.caption(
        f"Ranked where the test images are those of {run.version}. A version with other test "
        "images is shown without a rank: its accuracy answers another question."
    )
    config: dict[str, Any] = {
        "rank": "Rank",
        "version": "Version",
        "model": "Its best model",
        "accuracy": "Test accuracy",
        "low": "from",
        "high": "to",
        "n": "Test images",
        "tested": "Tested on",
        "created": st.column_config.DatetimeColumn("Published", format="D MMM YYYY"),
    }
    st.dataframe(
        components.formatted(
            table.drop(columns="same"), FORMATS | dict.fromkeys(("low", "high"), theme.percent)
        ),
        column_config=config,
        column_order=list(config),
        hide_index=True,
        placeholder="–",
        alt="Versions of this study with their test accuracy",
    )


def _version_row(run: published.Run, version: str) -> dict[str, Any]:
    """One row about a version; empty where it cannot be read."""
    try:
        other = loaders.open_run(run.study, version)
        headline, same = other.manifest["headline"], same_test(run, other)
    except published.RunError:
        return {}
    return {
        "version": version,
        "model": headline["model"],
        **{key: headline[key] for key in ("accuracy", "low", "high", "n")},
        "same": same,
        "tested": "the same images" if same else "other images",
        "created": pd.Timestamp(other.manifest["created"]),
    }


def same_test(run: published.Run, other: published.Run) -> bool:
    """Whether two runs were tested on the same images."""
    return bool(run.dataset["test_ids_sha256"] == other.dataset["test_ids_sha256"])
