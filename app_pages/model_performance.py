"""How accurate each model is: what it gets right, where it errs, what it costs."""

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

SPLITS = {"test": "Test", "validation": "Validation"}
TABS = {
    "overview": "Overview",
    "answers": "Answers",
    "confusion": "Confusion matrix",
    "classes": "Classes",
    "curves": "Curves",
    "confidence": "Confidence",
    "training": "Training",
    "comparison": "Comparison",
    "classical": "Classical models",
}
OLD_TABS = {"Mix-ups": "confusion"}


def opening(run: published.Run) -> None:
    """The finding of the page: what the default model can be trusted with."""
    name = run.default_model
    metrics = models.record(run, name).metrics["splits"]["test"]
    basis = f"{theme.sample(metrics['n'])} test"
    averaged = models.averaged_over(run, "test")
    cost = models.record(run, name).metrics["cost"]
    cost = cost["latency_ms"][models.engine(cost)]
    sorting = loaders.sorting(run.study, run.version, name)
    title = models.record(run, name).config["title"]
    subject = loaders.Subject(run.study, run.version, name, "test")
    counts = loaders.evaluation_table(subject, "confusion")
    sentence = performance.sorting_sentence(title, sorting, counts)
    figures = [
        components.share_figure("Accuracy", metrics["metrics"]["accuracy"], basis),
        components.share_figure("Macro F1", metrics["metrics"]["macro_f1"], basis + averaged),
        confidence.automation_figure(sorting),
        confidence.precision_figure(sorting),
        components.time_figure(cost),
    ]
    components.opening("Model performance", sentence, figures)
    if run.untested:
        st.markdown(components.plain(models.untested_text(run)))


def choose(run: published.Run) -> loaders.Subject:
    """The model and the split that the tabs are about."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = components.choose(
            "Model", "model", models.titles(run), run.default_model, width=380
        )
        split = components.switch("Measured on", "split", SPLITS)
    return loaders.Subject(run.study, run.version, model, split)


def sections(run: published.Run, subject: loaders.Subject) -> dict[str, Callable[[], None]]:
    """What each tab draws, by its key; only what this run has."""
    found: dict[str, Callable[[], None]] = {
        "overview": lambda: models.overview(run, subject.split),
        "answers": lambda: answers.sample(run, subject.model),
        "confusion": lambda: answers.confusion(run, subject),
        "classes": lambda: answers.classes(run, subject),
        "curves": lambda: confidence.curves(run, subject),
        "confidence": lambda: confidence.confidence(run, subject),
        "training": lambda: making.training(run),
        "comparison": lambda: comparison.comparison(run, subject.split),
    }
    if making.classical_tables(run):
        found["classical"] = lambda: making.classical(run)
    return found


run = components.current_run()
opening(run)
drawn = sections(run, choose(run))
for key, tab in components.tabs("tab", {key: TABS[key] for key in drawn}, old=OLD_TABS).items():
    if tab.open:
        with tab:
            drawn[key]()
