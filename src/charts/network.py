"""The shape of a network, drawn: how its maps shrink and where its parameters lie."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from src.charts import theme
from src.runs.layers import Stage


def tensor_sizes(stages: Sequence[Stage]) -> go.Figure:
    """One bar per stage: numbers per image above, parameters below."""
    # Two stages of one shape are two bars, so the place names the bar and the shape is its label.
    places = list(range(1, len(stages) + 1))
    names = [stage.name for stage in stages]
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.08)
    for row, (values, colour, word) in enumerate(
        (
            ([stage.values for stage in stages], theme.MODEL_COLOURS[0], "numbers per image"),
            ([stage.parameters for stage in stages], theme.MODEL_COLOURS[1], "parameters"),
        ),
        start=1,
    ):
        figure.add_bar(
            x=places,
            y=values,
            marker={"color": colour},
            customdata=[[stage.name, len(stage.layers)] for stage in stages],
            hovertemplate=f"%{{customdata[0]}}, %{{customdata[1]}} layers: %{{y:,}} {word}"
            "<extra></extra>",
            row=row,
            col=1,
        )
        figure.update_yaxes(title=word, tickformat="~s", rangemode="tozero", row=row, col=1)
    figure.update_xaxes(tickmode="array", tickvals=places, ticktext=names, tickangle=-45, row=2)
    figure.update_layout(showlegend=False, bargap=0.15)
    shown = "From the image (left) to the answer (right); the largest output of every stage"
    return theme.finish(figure, finding(stages), shown, height=460)


def finding(stages: Sequence[Stage]) -> str:
    """From how many numbers to how many, and where the parameters lie, in one sentence."""
    total = sum(stage.parameters for stage in stages)
    heaviest = max(stages, key=lambda stage: stage.parameters)
    first, last = stages[0].layers[0], stages[-1].layers[-1]
    held = f", {theme.percent(heaviest.parameters / total, 0)} of them in the stage {heaviest.name}"
    count = sum(len(stage.layers) for stage in stages)
    return (
        f"{count} layers turn the {theme.count(first.values)} numbers of an image into "
        f"{theme.count(last.values)} scores, with {theme.count(total)} parameters"
        + (held if total else "")
    )
