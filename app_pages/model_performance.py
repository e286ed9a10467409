"""How well each model files pictures: what it gets right, where it errs, what it costs."""

from typing import Any, Literal

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src import business, runs
from src.charts import performance, theme

TABS = {
    "overview": "Overview",
    "confusion": "Mix-ups",
    "classes": "Classes",
    "curves": "Curves",
    "confidence": "Confidence",
    "training": "Training",
    "comparison": "Comparison",
}
OVER: list[Literal["epoch", "seconds"]] = ["epoch", "seconds"]
PERCENTS = [*map(float, range(100)), 99.5, 99.9]  # steps of the confidence slider
SPLITS = ["test", "validation"]


# --- shared --------------------------------------------------------------------------------


def titles(run: runs.Run) -> dict[str, str]:
    """Title of every model of a run by its name, in the run's order."""
    return {name: record(run, name).config["title"] for name in run.models}


def record(run: runs.Run, name: str) -> runs.ModelRecord:
    """What was written down about one model of a run."""
    return loaders.model(run.study, run.version, name)


def measured(run: runs.Run, name: str, split: str, measure: str) -> pd.DataFrame:
    """One of `loaders.MEASURES` of a model of a run."""
    return loaders.measured(run.study, run.version, name, split, measure)


def model_table(run: runs.Run, split: str) -> pd.DataFrame:
    """One row per model: quality with intervals, and what it costs."""
    return pd.DataFrame([_model_row(record(run, name), split) for name in run.models])


def _model_row(model: runs.ModelRecord, split: str) -> dict[str, Any]:
    quality, cost = model.metrics["splits"][split], model.metrics["cost"]
    metrics, latency = quality["metrics"], cost["latency_ms"]["float32"]
    row: dict[str, Any] = {"name": model.name, "title": model.config["title"]}
    for name in ("accuracy", "macro_f1", "log_loss", "roc_auc", "calibration_error"):
        metric = metrics[name]
        row |= {name: metric["value"], f"{name}_low": metric["low"], f"{name}_high": metric["high"]}
    return row | {
        "n": quality["n"],
        "n_train": model.config["n_train"],
        "parameters": cost["parameters"],
        "megabytes": cost["tflite_bytes"] / 1e6,
        "int8_megabytes": cost["int8_bytes"] / 1e6,
        "training_minutes": cost["training_seconds"] / 60,
        "latency": latency["value"],
        "latency_low": latency["low"],
        "latency_high": latency["high"],
        "per_second": cost["throughput"]["float32"]["value"],
    }


# --- opening -------------------------------------------------------------------------------


def opening(run: runs.Run) -> None:
    """The finding of the page: what the default model can be trusted with."""
    name = run.default_model
    metrics = record(run, name).metrics["splits"]["test"]
    basis = f"{theme.sample(metrics['n'])} test"
    cost = record(run, name).metrics["cost"]["latency_ms"]["float32"]
    filed = loaders.filed(run.study, run.version, name)
    title = record(run, name).config["title"]
    sentence = performance.filing_sentence(title, filed, measured(run, name, "test", "confusion"))
    figures = [
        components.share_figure("Accuracy", metrics["metrics"]["accuracy"], basis),
        components.share_figure("Macro F1", metrics["metrics"]["macro_f1"], basis),
        alone_figure(filed),
        _precision_figure(filed),
        components.Figure(
            "Time per photo",
            theme.milliseconds(cost["value"]),
            theme.milliseconds_interval(cost["low"], cost["high"]),
            f"{theme.sample(cost['n'])} photos",
            "One photo at a time on the machine that published this version.",
        ),
    ]
    components.opening("Model performance", sentence, figures)


def alone_figure(filed: business.Filed) -> components.Figure:
    """How much is filed alone, as a number of a metric row."""
    aim = theme.percent(filed.target, 0)
    if filed.threshold is None:
        return components.Figure("Filed alone", "none", "", f"no confidence assures {aim}")
    return components.Figure(
        "Filed alone",
        theme.percent(filed.coverage.value),
        theme.interval(filed.coverage.low, filed.coverage.high),
        f"{theme.sample(filed.n)} test",
        f"Answers of at least {theme.confidence(filed.threshold)} confidence: chosen on validation "
        f"to assure {aim} precision, counted on test.",
    )


def _precision_figure(filed: business.Filed) -> components.Figure:
    precision = {key: getattr(filed.precision, key) for key in ("value", "low", "high")}
    return components.share_figure("Of these right", precision, f"{theme.sample(filed.accepted)}")


# --- overview ------------------------------------------------------------------------------


@components.section
def overview(run: runs.Run, split: str) -> None:
    """All models: accuracy, cost, the full table, and the other versions."""
    models = model_table(run, split)
    accuracy = models.rename(
        columns={"accuracy": "value", "accuracy_low": "low", "accuracy_high": "high"}
    )
    left, right = st.columns(2, gap="large")
    with left:
        references = _references(run, split)
        components.chart(
            performance.accuracy_ranking(accuracy, references, split),
            key="ranking",
            data=models,
            name=f"{run.study}_{run.version}_models_{split}",
        )
        if not references.empty:
            with st.expander("Where the numbers of others come from"):
                st.table(references.set_index("name")["source"], alt="Sources of the references")
    with right:
        components.chart(
            performance.cost_against_accuracy(accuracy, split),
            key="cost",
            sentence="Further up is better, further left is faster.",
        )
    _table(run, models, split)
    _versions(run)


def _references(run: runs.Run, split: str) -> pd.DataFrame:
    known = pd.DataFrame(
        loaders.inputs("references.toml").get(run.study, []),
        columns=["name", "low", "high", "split", "source"],
    )
    return known[known["split"] == split].sort_values("low")


COLUMNS = {
    "title": ("Model", None),
    "accuracy": ("Accuracy", "%.1f %%"),
    "accuracy_low": ("from", "%.1f %%"),
    "accuracy_high": ("to", "%.1f %%"),
    "macro_f1": ("Macro F1", "%.1f %%"),
    "macro_f1_low": ("from ", "%.1f %%"),
    "macro_f1_high": ("to ", "%.1f %%"),
    "log_loss": ("Log-loss", "%.3f"),
    "roc_auc": ("ROC area", "%.4f"),
    "calibration_error": ("Calibration error", "%.1f %%"),
    "n_train": ("Trained on", "localized"),
    "parameters": ("Parameters", "localized"),
    "megabytes": ("File (MB)", "%.2f"),
    "int8_megabytes": ("int8 file (MB)", "%.2f"),
    "training_minutes": ("Training (min)", "%.1f"),
    "latency": ("ms per photo", "%.2f"),
    "latency_low": ("from  ", "%.2f"),
    "latency_high": ("to  ", "%.2f"),
    "per_second": ("Photos per second", "localized"),
}


PERCENTAGES = [column for column, (_, form) in COLUMNS.items() if form == "%.1f %%"]


def _table(run: runs.Run, models: pd.DataFrame, split: str) -> None:
    """The full table; a selected row shows that model's mistakes."""
    st.subheader("All models of this version")
    st.caption(
        f"{split.capitalize()} split, {theme.sample(models['n'].iloc[0])} pictures each; "
        "“from” and “to” are the 95\u00a0% interval of the column before. "
        "Select a row to see mistakes."
    )
    config = {
        key: st.column_config.NumberColumn(label, format=form) if form else label
        for key, (label, form) in COLUMNS.items()
    }
    event = st.dataframe(
        components.in_percent(models[list(COLUMNS)], PERCENTAGES),
        column_config=config,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="model_table",
        alt="Quality and cost of every model",
    )
    for row in event.selection.rows:
        name = models["name"].iloc[row]
        st.markdown(f"**Most confident mistakes of {models['title'].iloc[row]}**")
        components.answers(run, measured(run, name, split, "mistakes"), key="row_mistakes")
    _parity(run)


def _parity(run: runs.Run) -> None:
    """Whether the served files answer as the trained models do."""
    rows = []
    for name, title in titles(run).items():
        parity = record(run, name).metrics["parity"]
        for form in ("float32", "int8"):
            measured_on = parity[form]
            rows.append(
                {
                    "Model": title,
                    "Served as": form,
                    "Same answer": theme.percent(measured_on["top1_agreement"], 2),
                    "Largest difference in probability": f"{measured_on['max_abs_dp']:.1e}",
                    "Accuracy trained": theme.percent(parity["keras"]["accuracy"], 2),
                    "Accuracy served": theme.percent(measured_on["accuracy"], 2),
                    "n": theme.count(parity["n"]),
                }
            )
    with st.expander("Does the served file answer as the trained model does?"):
        st.caption("Every validation picture through both, before publication.")
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Trained model and served file")


def _versions(run: runs.Run) -> None:
    """All versions of the study; ranked only where they were tested on the same pictures."""
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
        f"Ranked where the test pictures are those of {run.version}. A version with other test "
        "pictures is shown without a rank: its accuracy answers another question."
    )
    st.dataframe(
        components.in_percent(table.drop(columns="same"), ["accuracy", "low", "high"]),
        column_config={
            "rank": "Rank",
            "version": "Version",
            "model": "Its best model",
            "accuracy": st.column_config.NumberColumn("Test accuracy", format="%.1f %%"),
            "low": st.column_config.NumberColumn("from", format="%.1f %%"),
            "high": st.column_config.NumberColumn("to", format="%.1f %%"),
            "n": st.column_config.NumberColumn("Test pictures", format="localized"),
            "tested": "Tested on",
            "created": st.column_config.DatetimeColumn("Published", format="D MMM YYYY"),
        },
        column_order=[
            "rank",
            "version",
            "model",
            "accuracy",
            "low",
            "high",
            "n",
            "tested",
            "created",
        ],
        hide_index=True,
        alt="Versions of this study with their test accuracy",
    )


def _version_row(run: runs.Run, version: str) -> dict[str, Any]:
    """One row about a version; empty where it cannot be read."""
    try:
        other = loaders.open_run(run.study, version)
        headline, same = other.manifest["headline"], _same_test(run, other)
    except runs.RunError:
        return {}
    return {
        "version": version,
        "model": headline["model"],
        **{key: headline[key] for key in ("accuracy", "low", "high", "n")},
        "same": same,
        "tested": "the same pictures" if same else "other pictures",
        "created": pd.Timestamp(other.manifest["created"]),
    }


def _same_test(run: runs.Run, other: runs.Run) -> bool:
    """Whether two runs were tested on the same pictures."""
    return bool(run.dataset["test_ids_sha256"] == other.dataset["test_ids_sha256"])


# --- mix-ups -------------------------------------------------------------------------------


MODES: dict[str, performance.Mode] = {
    "Counts": "counts",
    "Share of the class": "shares",
    "Mistakes only": "errors",
}


def _pick_cell() -> None:
    """Put the clicked cell into the two selectors, which live in the URL."""
    points = st.session_state["matrix"]["selection"]["points"]
    if points:
        st.session_state["really"], st.session_state["answer"] = points[0]["customdata"][:2]


@components.section
def confusion(run: runs.Run, name: str, split: str) -> None:
    """The confusion matrix, and the pictures behind the chosen cell."""
    counts = measured(run, name, split, "confusion")
    left, right = st.columns([3, 2], gap="large")
    mode = left.segmented_control(
        "Show", list(MODES), default="Counts", key="cells", bind="query-params", required=True
    )
    with right:
        picked = _cell_selectors(counts)
    with left:
        components.chart(
            performance.confusion_matrix(counts, MODES.get(str(mode), "counts"), picked),
            key="matrix",
            select=_pick_cell,
            data=counts.reset_index(names="really"),
            name=f"{run.study}_{run.version}_{name}_{split}_confusion",
        )
    with right:
        _cell_pictures(run, name, split, picked)


def _cell_selectors(counts: pd.DataFrame) -> tuple[str, str]:
    """The cell to look into: chosen here or by a click; at first the most frequent mistake."""
    classes = [str(label) for label in counts.index]
    worst = performance.worst_cell(counts)
    first, second = st.columns(2)
    with first:
        really = components.choose("Really", "really", classes, worst[0])
    with second:
        answer = components.choose("Filed as", "answer", classes, worst[1])
    return really, answer


def _cell_pictures(run: runs.Run, name: str, split: str, cell: tuple[str, str]) -> None:
    """The pictures behind one cell, the most confident answers first."""
    answers = loaders.answers(run.study, run.version, name, split)
    rows = answers[(answers["label"] == cell[0]) & (answers["prediction"] == cell[1])]
    what = "filed correctly" if cell[0] == cell[1] else f"filed as {cell[1]}"
    verb = "are" if len(rows) > 1 else "is"
    st.markdown(
        "**" + theme.sentence(f"{theme.pictures(len(rows))} of {cell[0]} {verb} {what}") + "**"
    )
    st.caption("Click a cell of the matrix, or choose it above.")
    components.answers(run, rows, key="cell_pictures", per_page=12)


# --- classes -------------------------------------------------------------------------------


def _pick_class() -> None:
    points = st.session_state["bars"]["selection"]["points"]
    if points:
        st.session_state["class"] = points[0]["y"]


@components.section
def classes(run: runs.Run, name: str, split: str) -> None:
    """One measure per class, for this model and for all; the mistakes about one class."""
    metric = st.segmented_control(
        "Measure",
        ["recall", "precision", "f1"],
        default="recall",
        format_func=str.capitalize,
        key="measure",
        bind="query-params",
        required=True,
    )
    names, metric = run.dataset["classes"], str(metric or "recall")
    report = record(run, name).report
    report = report[report["split"] == split]
    left, right = st.columns(2, gap="large")
    with left:
        components.chart(
            performance.class_scores(report, names, metric),
            key="bars",
            select=_pick_class,
            data=report,
            name=f"{run.study}_{run.version}_{name}_{split}_classes",
        )
    with right:
        every = pd.concat(
            [record(run, other).report.assign(model=title) for other, title in titles(run).items()]
        )
        every = every[every["split"] == split]
        components.chart(performance.class_heatmap(every, names, metric), key="class_heatmap")
    _class_mistakes(run, name, split)


def _class_mistakes(run: runs.Run, name: str, split: str) -> None:
    """Pictures of one class that were filed elsewhere."""
    names = run.dataset["classes"]
    mistakes = measured(run, name, split, "mistakes")
    hardest = mistakes["label"].value_counts().reindex(names).fillna(0).argmax()
    with st.container(width=380):
        label = components.choose("Mistakes about", "class", names, names[int(hardest)])
    rows = mistakes[mistakes["label"] == label]
    elsewhere = f"{theme.pictures(len(rows))} of {label} filed elsewhere"
    st.caption(
        f"{theme.sentence(elsewhere)}, the most confident mistakes first. "
        "A click on a bar chooses its class."
    )
    components.answers(run, rows, key="class_mistakes", per_page=16)


# --- curves --------------------------------------------------------------------------------


@components.section
def curves(run: runs.Run, name: str, split: str) -> None:
    """ROC and precision–recall curves of the chosen classes."""
    names = run.dataset["classes"]
    chosen = st.multiselect(
        "Classes", names, key="only", bind="query-params", placeholder="All classes"
    )
    n = len(loaders.scored(run.study, run.version, name, split).labels)
    left, right = st.columns(2, gap="large")
    for column, measure, draw in (
        (left, "roc", performance.roc),
        (right, "precision_recall", performance.precision_recall),
    ):
        frame = measured(run, name, split, measure)
        frame = frame[frame["label"].isin(chosen or names)]
        with column:
            components.chart(
                draw(frame, names, n),
                key=measure,
                data=frame,
                name=f"{run.study}_{run.version}_{name}_{split}_{measure}",
            )


# --- confidence ----------------------------------------------------------------------------


@components.section
def confidence(run: runs.Run, name: str, split: str) -> None:
    """What to file alone, whether confidence keeps its word, and where it does not."""
    curve = measured(run, name, split, "selective")
    n = len(loaders.scored(run.study, run.version, name, split).labels)
    left, right = st.columns(2, gap="large")
    with left:
        _threshold(run, name, split, curve, n)
    with right:
        table = measured(run, name, split, "calibration")
        error = record(run, name).metrics["splits"][split]["metrics"]["calibration_error"]
        components.chart(
            performance.reliability(table, n),
            key="reliability",
            sentence=(
                f"Calibration error {theme.percent(error['value'])} "
                f"({theme.interval(error['low'], error['high'])}): how far confidence and "
                "accuracy lie apart on average."
            ),
            data=table,
            name=f"{run.study}_{run.version}_{name}_{split}_calibration",
        )
    st.subheader("The most confident mistakes")
    st.caption("Wrong labels, look-alikes and odd crops gather here: worth a person's eye first.")
    components.answers(run, measured(run, name, split, "mistakes"), key="mistakes", per_page=24)


def _threshold(run: runs.Run, name: str, split: str, curve: pd.DataFrame, n: int) -> None:
    """The slider that decides which pictures go to a person."""
    filed = loaders.filed(run.study, run.version, name)
    aim = theme.percent(filed.target, 0)
    chosen = st.select_slider(
        "File alone from this confidence on",
        PERCENTS,
        _next_percent(filed.threshold),
        format_func="{:g} %".format,
        key="threshold",
        bind="query-params",
    )
    components.chart(
        performance.threshold_trade(curve, chosen / 100, n),
        key="trade",
        sentence=(
            f"On validation, {theme.confidence(filed.threshold)} is the lowest confidence that "
            f"assures {aim} precision."
            if filed.threshold is not None
            else f"On validation, no confidence assures {aim} precision."
        ),
        data=curve,
        name=f"{run.study}_{run.version}_{name}_{split}_threshold",
    )


def _next_percent(threshold: float | None) -> float:
    """The first step of the slider that is as strict as a threshold; 90 where there is none."""
    wanted = 90.0 if threshold is None else 100 * threshold
    return next((percent for percent in PERCENTS if percent >= wanted), PERCENTS[-1])


# --- training ------------------------------------------------------------------------------


@components.section
def training(run: runs.Run) -> None:
    """How the models learned, how far seeds differ, and how each was made."""
    names = titles(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        over = st.segmented_control(
            "Over",
            OVER,
            default="epoch",
            format_func=str.capitalize,
            key="over",
            bind="query-params",
            required=True,
        )
        with_training = st.toggle("Training curves too", key="with_training", bind="query-params")
    history = pd.concat(
        [record(run, name).history.assign(model=title) for name, title in names.items()]
    )
    left, right = st.columns(2, gap="large")
    measures: tuple[Literal["accuracy", "loss"], ...] = ("accuracy", "loss")
    for column, measure in zip((left, right), measures, strict=True):
        with column:
            components.chart(
                performance.learning_curves(
                    history, list(names.values()), measure, over, with_training
                ),
                key=f"learning_{measure}",
                data=history,
                name=f"{run.study}_{run.version}_learning_{measure}",
            )
    _seeds(run, names)
    _made(run, names)


def _seeds(run: runs.Run, names: dict[str, str]) -> None:
    """Every seed of the models that were trained more than once."""
    frames = [
        seeds.assign(model=title)
        for name, title in names.items()
        if (seeds := record(run, name).seeds) is not None
    ]
    if not frames:
        return
    st.subheader("The same model from different seeds")
    table = pd.concat(frames, ignore_index=True)
    spread = table.groupby("model", sort=False)["test_accuracy"].agg(["mean", "std", "count"])
    st.markdown(
        "; ".join(
            f"{model}: {theme.percent(row['mean'])} ± {100 * row['std']:.1f} points "
            f"over {row['count']:.0f} seeds"
            for model, row in spread.iterrows()
        )
    )
    st.dataframe(
        components.in_percent(table, ["validation_accuracy", "test_accuracy"]),
        column_order=["model", *[c for c in table.columns if c != "model"]],
        column_config={
            "model": "Model",
            "seed": "Seed",
            "epochs": "Epochs",
            "best_epoch": "Best epoch",
            "seconds": st.column_config.NumberColumn("Seconds", format="%.0f"),
            "validation_accuracy": st.column_config.NumberColumn(
                "Validation accuracy", format="%.1f %%"
            ),
            "test_accuracy": st.column_config.NumberColumn("Test accuracy", format="%.1f %%"),
        },
        hide_index=True,
        alt="Accuracy of every seed",
    )


def _made(run: runs.Run, names: dict[str, str]) -> None:
    """How every model was made: its configuration and its layers."""
    st.subheader("How they were made")
    for name, title in names.items():
        config = record(run, name).config
        with st.expander(title):
            st.markdown(config["description"])
            left, right = st.columns(2)
            facts = {
                "Trained on": f"{theme.count(config['n_train'])} pictures ({config['trained_on']})",
                "Best epoch": config["best_epoch"],
                "Number format": config["precision"],
                "Temperature": f"{config['temperature']:.2f}",
                "Augmentation": _spelled(config["augmentation"]) or "none",
                **{
                    key.replace("_", " ").capitalize(): _spelled(value)
                    for key, value in config["training"].items()
                },
            }
            left.table({k: str(v) for k, v in facts.items()}, border="horizontal")
            layers = pd.DataFrame(config["layers"]).astype({"output_shape": str})
            right.dataframe(layers, hide_index=True, height=320, alt=f"Layers of {title}")


def _spelled(value: Any) -> str:
    """A configuration value in words: nested settings on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_spelled(item)}" for key, item in value.items() if item)
    return "" if value is None else str(value)


# --- comparison ----------------------------------------------------------------------------


@components.section
def comparison(run: runs.Run, split: str) -> None:
    """Two models on the same pictures, and every pair of this version."""
    pool, different = _comparable(run)
    labels = list(pool)
    if len(labels) > 1:
        left, right = st.columns(2)
        first = left.selectbox("First", labels, 0, key="first", bind="query-params")
        second = right.selectbox("Second", labels, 1, key="second", bind="query-params")
        _compare_two(pool, str(first), str(second), split)
    else:
        st.info("There is only one model tested on these pictures, so nothing to compare yet.")
    if different:
        st.caption(f"Not offered, because tested on other pictures: {theme.listing(different)}.")
    if len(run.models) > 1:
        _compare_every(run, split)


def _comparable(run: runs.Run) -> tuple[dict[str, tuple[str, str, str]], list[str]]:
    """Models of all versions tested on this run's pictures, by label; the other versions."""
    pool: dict[str, tuple[str, str, str]] = {}
    different = []
    others = [version for version in loaders.versions(run.study) if version != run.version]
    for version in [run.version, *others]:
        try:
            other = loaders.open_run(run.study, version)
            if _same_test(run, other):
                for name in other.models:
                    pool[f"{version} · {name}"] = (run.study, version, name)
            else:
                different.append(version)
        except runs.RunError:
            different.append(version)
    return pool, different


def _compare_two(
    pool: dict[str, tuple[str, str, str]], first: str, second: str, split: str
) -> None:
    if first == second:
        st.info("Choose two different models.", icon=":material/compare_arrows:")
        return
    try:
        result = loaders.compared(pool[first], pool[second], split)
    except ValueError as error:
        st.warning(str(error))
        return
    difference = result["difference"]
    components.chart(
        performance.agreement(result, first, second),
        key="agreement",
        sentence=(
            f"Difference {theme.points(difference['value'])} (95\u00a0% interval "
            f"{theme.points(difference['low'])} to {theme.points(difference['high'])}, "
            f"{difference['method']}); exact McNemar test on the {result['only_first']} and "
            f"{result['only_second']} pictures that only one of them gets right, "
            f"{theme.p_value(result['p_value'])}."
        ),
    )


def _compare_every(run: runs.Run, split: str) -> None:
    st.subheader("Every pair of this version")
    names = titles(run)
    pairs = loaders.all_compared(run.study, run.version, split)
    pairs = pairs.assign(first=pairs["first"].map(names), second=pairs["second"].map(names))
    components.chart(
        performance.differences(pairs),
        key="pairs",
        data=pairs,
        name=f"{run.study}_{run.version}_{split}_pairs",
    )


# --- page ----------------------------------------------------------------------------------


def choose(run: runs.Run) -> tuple[str, str]:
    """The model and the split that the tabs are about."""
    names = titles(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            "Model",
            run.models,
            format_func=lambda n: names.get(n, n),
            key="model",
            bind="query-params",
            width=380,
        )
        split = st.segmented_control(
            "Measured on",
            SPLITS,
            default="test",
            format_func=str.capitalize,
            key="split",
            bind="query-params",
            required=True,
        )
    return (model if model in run.models else run.default_model), str(split or "test")


run = components.current_run()
opening(run)
name, split = choose(run)
shown = st.tabs(list(TABS.values()), key="tab", bind="query-params", on_change="rerun")
tabs = dict(zip(TABS, shown, strict=True))
for tab, draw, arguments in (
    ("overview", overview, (run, split)),
    ("confusion", confusion, (run, name, split)),
    ("classes", classes, (run, name, split)),
    ("curves", curves, (run, name, split)),
    ("confidence", confidence, (run, name, split)),
    ("training", training, (run,)),
    ("comparison", comparison, (run, split)),
):
    if tabs[tab].open:
        with tabs[tab]:
            draw(*arguments)
