"""What one model said to the images: a random sample, its confusion matrix, its classes."""

from typing import Any

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from app_pages.performance_models import record, titles
from src.charts import performance, theme
from src.evaluation import findings
from src.runs import published

# --- a sample ------------------------------------------------------------------------------

SHOWN = {"all": "All", "right": "Correct", "wrong": "Wrong"}


@components.section
def sample(run: published.Run, name: str) -> None:
    """Test images drawn at random, each with the model's answer."""
    rows = loaders.random_sample(run.study, run.version, name)
    stored = loaders.gallery(run.study, run.version)
    if not all(("test", key) in stored for key in rows["id"]):
        st.info(
            "This version was published without a random sample of its test images. Those it "
            "has were chosen by how they were answered: see Confusion matrix and Classes.",
            icon=":material/photo_library:",
        )
        return
    right = rows["label"] == rows["prediction"]
    st.markdown(
        f"**{right.sum()} of {theme.images(len(rows))} drawn at random are classified correctly**"
    )
    whole = record(run, name).metrics["splits"]["test"]
    accuracy = theme.percent(whole["metrics"]["accuracy"]["value"])
    st.caption(
        f"The same test images for every model. Of all {theme.count(whole['n'])}, {accuracy} "
        "are classified correctly. ✓ correct, ✗ wrong (true label → prediction); confidence."
    )
    shown = components.switch("Show", "drawn", SHOWN, noun="selection")
    kept = {"right": right, "wrong": ~right}.get(shown, right | ~right)
    images = [_picture(stored["test", row.id], row) for row in theme.rows(rows[kept])]
    components.picture_grid(images, key="drawn_pictures")


def _picture(png: bytes, row: Any) -> components.Picture:
    sure = theme.percent(row.confidence, 0)
    if row.label == row.prediction:
        return components.Picture(png, f"✓ {row.label}, {sure}", f"{row.label}, correct")
    text = f"True label {row.label}, predicted {row.prediction}"
    return components.Picture(png, f"✗ {row.label} → {row.prediction}, {sure}", text)


# --- confusion -------------------------------------------------------------------------------


MODES: dict[performance.Mode, str] = {
    "counts": "Counts",
    "shares": "Share of the class",
    "errors": "Mistakes only",
}


def _pick_cell() -> None:
    """Put the clicked cell into the two selectors, which live in the URL."""
    points = st.session_state["matrix"]["selection"]["points"]
    if points:
        st.session_state["really"], st.session_state["answer"] = points[0]["customdata"][:2]


@components.section
def confusion(run: published.Run, subject: loaders.Subject) -> None:
    """The confusion matrix, and the images behind the chosen cell."""
    counts = loaders.evaluation_table(subject, "confusion")
    left, right = st.columns([3, 2], gap="large")
    with left:
        mode = components.switch("Show", "cells", MODES, noun="view")
    with right:
        picked = _cell_selectors(counts)
    with left:
        components.chart(
            performance.confusion_matrix(counts, mode, picked),
            key="matrix",
            select=_pick_cell,
            data=counts.reset_index(names="really"),
            name=f"{'_'.join(subject)}_confusion",
        )
    with right:
        _cell_pictures(run, subject, picked)


def _cell_selectors(counts: pd.DataFrame) -> tuple[str, str]:
    """The cell to look into: chosen here or by a click; at first the most frequent mistake."""
    classes = [str(label) for label in counts.index]
    worst = findings.worst_cell(counts)
    first, second = st.columns(2)
    with first:
        really = components.choose("True label", "really", classes, worst[0], noun="category")
    with second:
        answer = components.choose("Prediction", "answer", classes, worst[1], noun="category")
    return really, answer


def _cell_pictures(run: published.Run, subject: loaders.Subject, cell: tuple[str, str]) -> None:
    """The images behind one cell, the most confident answers first."""
    answers = loaders.answers(subject)
    rows = answers[(answers["label"] == cell[0]) & (answers["prediction"] == cell[1])]
    what = "classified correctly" if cell[0] == cell[1] else f"classified as {cell[1]}"
    verb = "are" if len(rows) > 1 else "is"
    st.markdown(
        "**" + theme.sentence(f"{theme.images(len(rows))} of {cell[0]} {verb} {what}") + "**"
    )
    st.caption("Click a cell of the matrix, or choose it above.")
    components.answers(run, rows, key="cell_pictures", per_page=12)


# --- classes -------------------------------------------------------------------------------


MEASURES = {"recall": "Recall", "precision": "Precision", "f1": "F1"}


def _pick_class() -> None:
    points = st.session_state["bars"]["selection"]["points"]
    if points:
        st.session_state["class"] = points[0]["y"]


@components.section
def classes(run: published.Run, subject: loaders.Subject) -> None:
    """One measure per class, for this model and for all; the mistakes about one class."""
    metric = components.switch("Measure", "measure", MEASURES)
    names = run.dataset["classes"]
    report = record(run, subject.model).report
    report = report[report["split"] == subject.split]
    left, right = st.columns(2, gap="large")
    with left:
        components.chart(
            performance.class_scores(report, names, metric),
            key="bars",
            select=_pick_class,
            data=report,
            name=f"{'_'.join(subject)}_classes",
        )
    with right:
        every = pd.concat(
            [
                record(run, other).report.assign(model=title)
                for other, title in titles(run).items()
                if record(run, other).family != "baseline"  # guessing would flatten the colours
            ]
        )
        every = every[every["split"] == subject.split]
        components.chart(performance.class_heatmap(every, names, metric), key="class_heatmap")
    _class_mistakes(run, subject)


def _class_mistakes(run: published.Run, subject: loaders.Subject) -> None:
    """Images of one class that were classified wrongly."""
    names = run.dataset["classes"]
    mistakes = loaders.evaluation_table(subject, "mistakes")
    hardest = mistakes["label"].value_counts().reindex(names).fillna(0).argmax()
    with st.container(width=380):
        label = components.choose(
            "Mistakes about", "class", names, names[int(hardest)], noun="category"
        )
    rows = mistakes[mistakes["label"] == label]
    elsewhere = f"{theme.images(len(rows))} of {label} classified wrongly"
    st.caption(
        f"{theme.sentence(elsewhere)}, the most confident mistakes first. "
        "A click on a bar chooses its class."
    )
    components.answers(run, rows, key="class_mistakes", per_page=16)
