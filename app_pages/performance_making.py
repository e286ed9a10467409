"""How the models of a run were made: learning curves, seeds, settings, searches, blends."""

from collections.abc import Callable
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app_pages import components, loaders
from app_pages.performance_models import record, titles
from src.charts import classical as classical_charts
from src.charts import performance, theme, wording
from src.runs import published

FORMATS: theme.Formats = {
    **dict.fromkeys(("accuracy", "low", "high", "validation_accuracy"), theme.percent),
    **dict.fromkeys(("n", "n_train"), theme.count),
    "test_accuracy": theme.percent,
    "seconds": theme.decimal(1),
}
OVER: dict[Literal["epoch", "seconds"], str] = {"epoch": "Epoch", "seconds": "Seconds"}

# --- training ------------------------------------------------------------------------------


@components.section
def training(run: published.Run) -> None:
    """How the models learned, how far seeds differ, and the settings of each."""
    names = titles(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        over = components.switch("Over", "over", OVER, noun="axis")
        with_training = st.toggle("Show training curves", key="with_training", bind="query-params")
    learned = {name: title for name, title in names.items() if record(run, name).is_network}
    history = pd.concat(
        [record(run, name).history.assign(model=title) for name, title in learned.items()]
    )
    left, right = st.columns(2, gap="large")
    measures: tuple[Literal["accuracy", "loss"], ...] = ("accuracy", "loss")
    for column, measure in zip((left, right), measures, strict=True):
        with column:
            components.chart(
                performance.learning_curves(
                    history, list(learned.values()), measure, over, with_training
                ),
                key=f"learning_{measure}",
                data=history,
                name=f"{run.study}_{run.version}_learning_{measure}",
            )
    _seeds(run, names)
    _made(run, names)


def _seeds(run: published.Run, names: dict[str, str]) -> None:
    """Every seed of the models that were trained more than once."""
    frames = {
        name: seeds.assign(model=title)
        for name, title in names.items()
        if (seeds := record(run, name).seeds) is not None
    }
    if not frames:
        return
    st.subheader("The same model from different seeds")
    table = pd.concat(frames.values(), ignore_index=True)
    for name in frames:
        found = loaders.over_seeds(loaders.Subject(run.study, run.version, name, "test"))
        if found is not None:
            st.markdown(wording.over_seeds(names[name], found))
    st.caption("The first seed of each model is the published one, by rule.")
    st.dataframe(
        components.formatted(table, FORMATS),
        column_order=["model", *[c for c in table.columns if c != "model"]],
        column_config={
            "model": "Model",
            "seed": "Seed",
            "epochs": "Epochs",
            "best_epoch": "Best epoch",
            "seconds": "Seconds",
            "validation_accuracy": "Validation accuracy",
            "test_accuracy": "Test accuracy",
        },
        hide_index=True,
        alt="Accuracy of every seed",
    )


def _made(run: published.Run, names: dict[str, str]) -> None:
    """How every model was made: its settings, and its layers where it is a network."""
    st.subheader("Settings of each model")
    for name, title in names.items():
        config = record(run, name).config
        with st.expander(title):
            st.markdown(config["description"])
            left, right = st.columns(2)
            left.table(_facts(config, names), border="horizontal", alt=f"Settings of {title}")
            if config.get("layers"):
                layers = pd.DataFrame(config["layers"]).astype({"output_shape": str})
                right.dataframe(layers, hide_index=True, height=320, alt=f"Layers of {title}")


def _facts(config: dict[str, Any], names: dict[str, str]) -> dict[str, str]:
    """What is known about the making of a model; what does not apply to it is left out."""
    estimator = config.get("estimator", {})
    temperature = config.get("temperature")
    origin = config.get("origin")
    members = [names.get(member, member) for member in config.get("members", ())]
    facts = {
        "Trained on": f"{theme.count(config['n_train'])} images ({config['trained_on']})",
        "Taken over from": origin
        and f"{origin['version']} of {pd.Timestamp(origin['created']):%d %B %Y}",
        "Best epoch": config.get("best_epoch"),
        "Number format": config.get("precision"),
        "Temperature": None if temperature is None else f"{temperature:.2f}",
        "Logits divided by": config.get("exponent")
        and f"their length to the power of {config['exponent']:.1f}",
        "Augmentation": _spelled(config.get("augmentation")) or "none",
        "Members": ", ".join(members),
        **{
            key.replace("_", " ").capitalize(): _spelled(value)
            for key, value in config.get("training", {}).items()
        },
        "Library": estimator.get("library"),
        "File": estimator.get("sha256") and f"{estimator['file']}, {estimator['sha256'][:12]}…",
    }
    return {key: str(value) for key, value in facts.items() if value not in (None, "")}


def _spelled(value: Any) -> str:
    """A configuration value in words: nested settings on one line, what is on by its name."""
    if isinstance(value, dict):
        parts = {key: "" if item is True else _spelled(item) for key, item in value.items() if item}
        return ", ".join(f"{key} {part}".strip() for key, part in parts.items())
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


# --- classical models ----------------------------------------------------------------------


def classical_tables(run: published.Run) -> list[str]:
    """Names of the tables that a run has about its classical models."""
    return [name for name in CLASSICAL if run.has(f"classical/{name}.parquet")]


@components.section
def classical(run: published.Run) -> None:
    """The searches for settings, what the blend rests on, and the principal components."""
    tables = {
        name: loaders.table(run.study, run.version, f"classical/{name}.parquet")
        for name in classical_tables(run)
    }
    places = [column for _ in tables for column in st.columns(2, gap="large")]
    for place, (name, table) in zip(places, tables.items(), strict=False):
        with place:
            components.chart(
                CLASSICAL[name](table),
                key=f"classical_{name}",
                data=table,
                name=f"{run.study}_{run.version}_{name}",
            )
    if "search" in tables:
        _candidates(tables["search"])


CLASSICAL: dict[str, Callable[[pd.DataFrame], go.Figure]] = {
    "search": classical_charts.search,
    "importance": classical_charts.importance,
    "correlation": classical_charts.correlation,
    "explained_variance": classical_charts.explained_variance,
}


def _candidates(search: pd.DataFrame) -> None:
    with st.expander("Every candidate of every search"):
        st.dataframe(
            components.formatted(search, FORMATS),
            column_config={
                "title": "Model",
                "settings": "Settings",
                "n_train": "Fitted to",
                "accuracy": "Validation accuracy",
                "low": "from",
                "high": "to",
                "n": "Images",
                "seconds": "Seconds",
                "chosen": "Chosen",
            },
            column_order=[
                *("title", "settings", "n_train", "accuracy", "low", "high", "n"),
                *("seconds", "chosen"),
            ],
            hide_index=True,
            alt="Candidates with their accuracy on validation",
        )
