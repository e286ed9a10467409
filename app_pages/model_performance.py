"""How well each model files pictures: what it gets right, where it errs, what it costs."""

from collections.abc import Callable

import streamlit as st

from app_pages import components, loaders
from app_pages import performance_answers as answers
from app_pages import performance_comparison as comparison
from app_pages import performance_confidence as confidence
from app_pages import performance_making as making
from app_pages import performance_models as models
from src.charts import performance, theme
from src.runs import published

SPLITS = ["test", "validation"]


def opening(run: published.Run) -> None:
    """The finding of the page: what the default model can be trusted with."""
    name = run.default_model
    metrics = models.record(run, name).metrics["splits"]["test"]
    basis = f"{theme.sample(metrics['n'])} test"
    cost = models.record(run, name).metrics["cost"]
    cost = cost["latency_ms"][models.engine(cost)]
    filed = loaders.sorting(run.study, run.version, name)
    title = models.record(run, name).config["title"]
    sentence = performance.filing_sentence(
        title, filed, models.measured(run, name, "test", "confusion")
    )
    figures = [
        components.share_figure("Accuracy", metrics["metrics"]["accuracy"], basis),
        components.share_figure("Macro F1", metrics["metrics"]["macro_f1"], basis),
        confidence.alone_figure(filed),
        confidence.precision_figure(filed),
        components.Figure(
            "Time per photo",
            theme.milliseconds(cost["value"]),
            theme.milliseconds_interval(cost["low"], cost["high"]),
            f"{theme.sample(cost['n'])} photos",
            "One photo at a time on the machine that published this version.",
        ),
    ]
    components.opening("Model performance", sentence, figures)


def choose(run: published.Run) -> tuple[str, str]:
    """The model and the split that the tabs are about."""
    names = models.titles(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            "Model",
            run.models,
            format_func=lambda n: names.get(n, n),
            key="model",
            bind="query-params",
            width=380,
        )
        split = components.switch("Measured on", SPLITS, "split")
    return (model if model in run.models else run.default_model), split


def sections(run: published.Run, name: str, split: str) -> dict[str, Callable[[], None]]:
    """What each tab draws, by its title; only what this run has."""
    found: dict[str, Callable[[], None]] = {
        "Overview": lambda: models.overview(run, split),
        "Answers": lambda: answers.sample(run, name),
        "Mix-ups": lambda: answers.confusion(run, name, split),
        "Classes": lambda: answers.classes(run, name, split),
        "Curves": lambda: confidence.curves(run, name, split),
        "Confidence": lambda: confidence.confidence(run, name, split),
        "Training": lambda: making.training(run),
        "Comparison": lambda: comparison.comparison(run, split),
    }
    if making.classical_tables(run):
        found["Classical models"] = lambda: making.classical(run)
    return found


run = components.current_run()
opening(run)
name, split = choose(run)
drawn = sections(run, name, split)
shown = st.tabs(list(drawn), key="tab", bind="query-params", on_change="rerun")
for tab, draw in zip(shown, drawn.values(), strict=True):
    if tab.open:
        with tab:
            draw()
