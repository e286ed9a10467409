"""How far a model's confidence can be trusted, and the curves behind its answers."""

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src.charts import performance, theme, wording
from src.evaluation import thresholds
from src.runs import published

PERCENTS = [*map(float, range(100)), 99.5, 99.9]  # steps of the confidence slider

# --- opening -------------------------------------------------------------------------------


def automation_figure(sorting: thresholds.Sorting) -> components.Figure:
    """The automation rate, as a number of a metric row."""
    aim = theme.percent(sorting.target, 0)
    if sorting.threshold is None:
        return components.Figure("Automation rate", "none", "", f"no confidence assures {aim}")
    return components.Figure(
        "Automation rate",
        theme.percent(sorting.coverage.value),
        theme.interval(sorting.coverage.low, sorting.coverage.high),
        f"{theme.sample(sorting.n)} test",
        f"Test images with at least {theme.confidence(sorting.threshold)} confidence. The "
        f"threshold is chosen on validation to assure {aim} precision.",
    )


def precision_figure(sorting: thresholds.Sorting) -> components.Figure:
    """The precision of automatic sorting, as a number of a metric row."""
    precision = {key: getattr(sorting.precision, key) for key in ("value", "low", "high")}
    return components.share_figure(
        "Correct among these", precision, f"{theme.sample(sorting.accepted)}"
    )


# --- curves --------------------------------------------------------------------------------


@components.section
def curves(run: published.Run, subject: loaders.Subject) -> None:
    """ROC and precision–recall curves of the chosen classes."""
    names = run.dataset["classes"]
    chosen = st.multiselect(
        "Classes", names, key="only", bind="query-params", placeholder="All classes"
    )
    n = len(loaders.scored(subject).labels)
    left, right = st.columns(2, gap="large")
    for column, measure, draw in (
        (left, "roc", performance.roc),
        (right, "precision_recall", performance.precision_recall),
    ):
        frame = loaders.evaluation_table(subject, measure)
        frame = frame[frame["label"].isin(chosen or names)]
        with column:
            components.chart(
                draw(frame, names, n),
                key=measure,
                data=frame,
                name=f"{'_'.join(subject)}_{measure}",
            )


# --- confidence ----------------------------------------------------------------------------


@components.section
def confidence(run: published.Run, subject: loaders.Subject) -> None:
    """What to sort automatically, how well calibrated confidence is, and where it errs."""
    curve = loaders.evaluation_table(subject, "selective")
    n = len(loaders.scored(subject).labels)
    left, right = st.columns(2, gap="large")
    with left:
        _threshold(subject, curve, n)
    with right:
        found = loaders.reliability_of(subject)
        components.chart(
            performance.reliability(found),
            key="reliability",
            sentence=wording.calibration_error(found, loaders.classwise(subject)),
            data=found.table,
            name=f"{'_'.join(subject)}_calibration",
        )
    st.subheader("The most confident mistakes")
    st.caption("Check these first: they include wrong labels, similar classes and odd crops.")
    components.answers(
        run, loaders.evaluation_table(subject, "mistakes"), key="mistakes", per_page=24
    )


def _threshold(subject: loaders.Subject, curve: pd.DataFrame, n: int) -> None:
    """The slider that decides which images need checking."""
    sorting = loaders.sorting(*subject[:3])
    aim = theme.percent(sorting.target, 0)
    chosen = st.select_slider(
        "Sort automatically at this confidence or above",
        PERCENTS,
        _next_percent(sorting.threshold),
        format_func="{:g} %".format,
        key="threshold",
        bind="query-params",
    )
    components.chart(
        performance.threshold_trade(curve, chosen / 100, n),
        key="trade",
        sentence=(
            f"On validation, {theme.confidence(sorting.threshold)} is the lowest confidence that "
            f"assures {aim} precision."
            if sorting.threshold is not None
            else f"On validation, no confidence assures {aim} precision."
        ),
        data=curve,
        name=f"{'_'.join(subject)}_threshold",
    )


def _next_percent(threshold: float | None) -> float:
    """The first step of the slider that is as strict as a threshold; 90 where there is none."""
    wanted = 90.0 if threshold is None else 100 * threshold
    return next((percent for percent in PERCENTS if percent >= wanted), PERCENTS[-1])
