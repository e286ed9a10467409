"""All studies in one chart: our accuracies with their intervals, published results as marks."""

import pandas as pd
import plotly.graph_objects as go

from src.charts import theme


def accuracies(studies: pd.DataFrame, references: pd.DataFrame) -> go.Figure:
    """Test accuracy of one run per study, and published results on test images of that study.

    Args:
        studies: title, version, accuracy, low, high (shares), n; one row per study.
        references: title (of the study), name, low, high (shares), source.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=(references["low"] + references["high"]) / 2,
        y=references["title"].map(theme.wrapped),
        mode="markers",
        marker={
            "symbol": "line-ns",
            "size": 18,
            "line": {"width": 2, "color": theme.REFERENCE},
        },
        name="published",
        customdata=[
            [row.name, share_range(row.low, row.high), row.source] for row in theme.rows(references)
        ],
        hovertemplate="%{customdata[0]}: %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
    )
    figure.add_scatter(
        x=studies["accuracy"],
        y=studies["title"].map(theme.wrapped),
        error_x=theme.bars(studies["accuracy"], studies["low"], studies["high"], theme.ACCENT),
        mode="markers",
        marker={"size": 12, "color": theme.ACCENT},
        name="ours",
        customdata=[
            [row.version, theme.percent(row.accuracy, 2), share_range(row.low, row.high), row.n]
            for row in theme.rows(studies)
        ],
        hovertemplate="%{y}, %{customdata[0]}: %{customdata[1]} (%{customdata[2]}), "
        "n = %{customdata[3]:,}<extra></extra>",
    )
    figure.update_xaxes(title="test accuracy", tickformat=".0%")
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[theme.wrapped(title) for title in studies["title"]],
        autorange="reversed",
    )
    shown = (
        "Default model of each study’s newest version with its 95\u00a0% interval (dots); "
        "published results on test images of the same study (marks). Every study has its own "
        "images, so they are not ranked against each other"
    )
    return theme.finish(
        figure, standing(studies, references), shown, height=140 + 46 * len(studies)
    )


def share_range(low: float, high: float) -> str:
    """A share as "96.00 %", or "98.80–99.20 %" where the ends differ."""
    return theme.percent(low, 2) if low == high else theme.interval(low, high, 2)


def finding(studies: pd.DataFrame) -> str:
    """How many studies, and between which accuracies they lie, in one sentence."""
    ordered = studies.sort_values("accuracy")
    low, high = ordered.iloc[0], ordered.iloc[-1]
    least = f"{theme.percent(low['accuracy'])} ({low['title']})"
    if len(ordered) == 1:
        return f"One study, with an accuracy of {least}"
    return (
        f"{theme.spelled(len(ordered))} studies, with accuracies from {least} to "
        f"{theme.percent(high['accuracy'])} ({high['title']})"
    )


def standing(studies: pd.DataFrame, references: pd.DataFrame) -> str:
    """How many published results ours exceed, study by study, in one sentence."""
    if references.empty:
        return "No published results are known for these studies"
    both = references.merge(studies[["title", "accuracy"]], on="title")
    above = int((both["accuracy"] > both["high"]).sum())
    return f"Our accuracy exceeds {above} of {len(both)} published results on the same test sets"
