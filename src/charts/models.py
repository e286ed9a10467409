"""Charts that set models side by side: quality, cost, and whether a difference is real.

Shares are 0 to 1 in the frames and percent on the axes; intervals are 95 %.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from src.charts import theme, wording
from src.evaluation import comparison, stats

# What kind of model it is: a colour and a sign, so that colour is never alone.
FAMILIES = {
    "network": ("Network", theme.MODEL_COLOURS[0], "circle"),
    "transfer": ("Transfer learning", theme.MODEL_COLOURS[2], "diamond"),
    "ensemble": ("Ensemble", theme.MODEL_COLOURS[3], "triangle-up"),
    "classical": ("Classical model", theme.MODEL_COLOURS[1], "square"),
    "baseline": ("Baseline", theme.REFERENCE, "x"),
}


@dataclass(frozen=True)
class Cost:
    """What a model costs: a column of the table of models, and how it reads."""

    column: str
    axis: str
    formatted: Callable[[float], str]
    verb: str  # "to train" or "to answer"


def _minutes(value: float) -> str:
    return theme.duration(60 * value)


COSTS = {
    "answering": Cost("latency", "time per photo (ms)", theme.milliseconds, "to answer"),
    "training": Cost("training", "processor time of training (minutes)", _minutes, "to train"),
}
BESIDE = 1.6  # times our highest cost is where numbers of unknown cost stand
WIDE = 3  # ratio of the highest to the lowest cost from which they fill an axis
ALIKE = 1.1  # ratio of two costs that counts as none
DECADES = 2.5  # from as many on an axis each has one tick
LETTER = 1 / 60  # width of a letter of a name, as a share of the axis of costs
LINE = 18  # pixels of a line of a name
MANY = 8  # models from which rows stand closer and only the best are named


def digits(models: pd.DataFrame) -> int:
    """Decimals of accuracies in percent: two where they are high and enough images bear them."""
    return 2 if models["value"].max() >= 0.985 and models["n"].max() >= 5_000 else 1


def accuracy_ranking(models: pd.DataFrame, references: pd.DataFrame, split: str) -> go.Figure:
    """Accuracy of every model with its interval, beside numbers from elsewhere.

    Args:
        models: title, value, low, high, n; one row per model.
        references: name, low, high (shares; equal for a single number); may be empty.
    """
    ordered = models.sort_values("value")
    best, places = ordered.iloc[-1], digits(ordered)
    figure = go.Figure()
    if not references.empty:
        _add_references(figure, references, places)
    figure.add_scatter(
        x=ordered["value"],
        y=ordered["title"].map(theme.wrapped),
        error_x=theme.bars(ordered["value"], ordered["low"], ordered["high"], theme.ACCENT),
        mode="markers+text",
        marker={"size": 10, "color": theme.ACCENT},
        text=[theme.percent(value, places) for value in ordered["value"]],
        textposition="top center",
        name="this version",
        customdata=ordered[["low", "high", "n"]],
        hovertemplate=(
            f"%{{y}}: %{{x:.{places}%}}<br>95\u00a0% interval %{{customdata[0]:.{places}%}} to "
            f"%{{customdata[1]:.{places}%}}"
            "<br>n\u00a0=\u00a0%{customdata[2]:,}<extra></extra>"
        ),
        cliponaxis=False,
    )
    figure.update_xaxes(title=f"{split} accuracy", tickformat=".0%")
    figure.update_layout(showlegend=not references.empty)
    finding = wording.most_accurate(models.set_index("title")["value"], places)
    shown = (
        f"{split.capitalize()} accuracy with 95\u00a0% interval, "
        f"{theme.sample(best['n'])} images per model"
    )
    names = [*ordered["title"], *references["name"]]
    lines = max(theme.extent(theme.wrapped(name))[0] for name in names)
    row = max(46 if len(names) <= MANY else 38, LINE * lines)
    return theme.finish(figure, finding, shown, height=120 + row * len(names))


def _add_references(figure: go.Figure, references: pd.DataFrame, places: int) -> None:
    middle = (references["low"] + references["high"]) / 2
    figure.add_scatter(
        x=middle,
        y=references["name"].map(theme.wrapped),
        error_x={
            "array": (references["high"] - references["low"]) / 2,
            "color": theme.REFERENCE,
        },
        mode="markers+text",
        marker={"symbol": "diamond-open", "size": 9, "color": theme.REFERENCE},
        text=[theme.percent(value, places) for value in middle],
        textposition="top center",
        name="published",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}<extra>published</extra>",
    )


def cost_against_accuracy(
    models: pd.DataFrame, references: pd.DataFrame, split: str, cost: Cost
) -> go.Figure:
    """Accuracy against a cost, and the models that no other one beats in both.

    Args:
        models: title, family, value, low, high, n, and the cost's column; one row per model.
        references: as in `accuracy_ranking`; their cost is not known, so they stand at the side.
    """
    front, places = frontier(models, cost), digits(models)
    costs = models[cost.column]
    near = costs.max() < WIDE * costs.min()
    ends = _around(costs) if near else _with_room_at_the_left(costs)
    named = _names(front, models, cost, ends)
    figure = go.Figure()
    if len(front) > 1:
        figure.add_scatter(
            x=front[cost.column],
            y=front["value"],
            mode="lines",
            line={"color": theme.REFERENCE, "dash": "dot", "width": 1.5, "shape": "hv"},
            name="best trade-off",
            hoverinfo="skip",
        )
    for family, rows in models.groupby("family", sort=False):
        _add_family(figure, str(family), rows, named, cost)
    _add_beside(figure, references, models, cost)
    best, fastest = front.iloc[-1], costs.min()
    finding = (
        f"No model is faster {cost.verb} than the most accurate one, {best['title']}"
        if len(front) == 1
        else f"The most accurate model takes {_times(best[cost.column] / fastest)} "
        f"as long {cost.verb} as the fastest"
    )
    figure.update_xaxes(title=cost.axis, type="log", range=ends, **_ticks(*ends))
    figure.update_yaxes(title=f"{split} accuracy", tickformat=f".{places - 1}%")
    shown = f"One sign per model, {split} accuracy with 95\u00a0% interval, time on a log scale"
    return theme.finish(figure, finding, shown, height=440)


def _ticks(low: float, high: float) -> dict[str, list[Any]]:
    """Round numbers on a logarithmic axis: 1, 2 and 5 of each decade, of many decades only 1."""
    steps = (1, 2, 5) if high - low < DECADES else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    values = [step * 10.0**decade for decade in decades for step in steps]
    return {"tickvals": values, "ticktext": [f"{value:g}" for value in values]}


def _names(
    front: pd.DataFrame, models: pd.DataFrame, cost: Cost, ends: list[float]
) -> dict[str, str]:
    """Titles with the place of their name: of many models only the best of the frontier.

    Names of the frontier stand where nothing else can be: nothing is both faster and better. Those
    of many models leave out what another name would reach; `ends` are the axis's.
    """
    if len(models) <= MANY:
        others = dict.fromkeys(models["title"], "middle right")
        return others | dict.fromkeys(front["title"], "top left")
    kept, reached = [], math.inf
    for title, at in zip(front["title"][::-1], np.log10(front[cost.column])[::-1], strict=True):
        if at <= reached:
            kept.append(title)
            _, letters = theme.extent(_name(title))
            reached = at - LETTER * letters * (ends[1] - ends[0])
    return dict.fromkeys(kept, "top left")


def _name(title: str) -> str:
    return theme.wrapped(title, 18)


def _with_room_at_the_left(costs: pd.Series) -> list[float]:
    """The ends of a logarithmic axis that has place for a name in front of the first sign."""
    low, high = np.log10(costs.min()), np.log10(costs.max())
    span = high - low + np.log10(BESIDE)
    return [low - 0.5 * span, low + 1.1 * span]


def _around(costs: pd.Series) -> list[float]:
    """The ends of a logarithmic axis that shows nearly equal costs as nearly equal."""
    middle = np.log10(costs.min() * costs.max()) / 2
    return [middle - np.log10(WIDE), middle + np.log10(WIDE)]


def _add_beside(
    figure: go.Figure, references: pd.DataFrame, models: pd.DataFrame, cost: Cost
) -> None:
    """Numbers from elsewhere as signs at the right, from our weakest model upwards."""
    middle = (references["low"] + references["high"]) / 2
    shown = references[middle >= models["value"].min()]
    if shown.empty:
        return
    figure.add_scatter(
        x=[BESIDE * models[cost.column].max()] * len(shown),
        y=middle[shown.index],
        mode="markers",
        marker={"symbol": "diamond-open", "size": 9, "color": theme.REFERENCE},
        customdata=shown["name"],
        name="published, at unknown cost",
        hovertemplate="%{customdata}: %{y:.1%}<extra>published</extra>",
    )


def _times(factor: float) -> str:
    return f"{factor:,.{1 if factor < 10 else 0}f} times"


def frontier(models: pd.DataFrame, cost: Cost) -> pd.DataFrame:
    """Models of which none is as fast and more accurate, the fastest first (Pareto frontier).

    As fast is what takes at most ALIKE times as long: less is not noticed, nor surely measured.
    """
    ordered = models.sort_values([cost.column, "value"], ascending=[True, False])
    better = [
        ordered.loc[ordered[cost.column] <= ALIKE * row[cost.column], "value"].max() > row["value"]
        for _, row in ordered.iterrows()
    ]
    return ordered[~np.array(better)].drop_duplicates("value")


def _add_family(
    figure: go.Figure, family: str, rows: pd.DataFrame, named: Mapping[str, str], cost: Cost
) -> None:
    """The models of one family; those in `named` with their name, there at their sign."""
    label, colour, symbol = FAMILIES[family]
    figure.add_scatter(
        x=rows[cost.column],
        y=rows["value"],
        error_y=theme.bars(rows["value"], rows["low"], rows["high"], colour),
        mode="markers+text",
        marker={"size": 11, "color": colour, "symbol": symbol},
        text=[_name(title) if title in named else "" for title in rows["title"]],
        textposition=[named.get(title, "top center") for title in rows["title"]],
        textfont={"size": 11},
        customdata=np.column_stack([rows["title"], rows[cost.column].map(cost.formatted)]),
        name=label,
        cliponaxis=False,
        hovertemplate="%{customdata[0]}: %{y:.1%} in %{customdata[1]}<extra></extra>",
    )


def cross_validation(folds: pd.DataFrame) -> go.Figure:
    """Accuracy of every fold, and of all images together with its interval.

    Args:
        folds: title, repeat, fold, n, accuracy (a run's cross_validation.csv, with titles). Where
            folds were drawn several times, the mean of the repeats counts, not their sum.
    """
    rows = [_pooled(str(title), part) for title, part in folds.groupby("title", sort=False)]
    pooled = pd.DataFrame(rows, columns=["title", "value", "low", "high", "n"])
    figure = go.Figure()
    figure.add_scatter(
        x=folds["accuracy"],
        y=folds["title"].map(theme.wrapped),
        mode="markers",
        marker={"size": 7, "color": theme.REFERENCE, "symbol": "line-ns-open"},
        customdata=folds["n"],
        name="one fold",
        hovertemplate="%{x:.1%} of %{customdata:,} images<extra></extra>",
    )
    figure.add_scatter(
        x=pooled["value"],
        y=pooled["title"].map(theme.wrapped),
        error_x=theme.bars(pooled["value"], pooled["low"], pooled["high"], theme.ACCENT),
        mode="markers+text",
        marker={"size": 10, "color": theme.ACCENT},
        text=pooled["value"].map(theme.percent),
        textposition="top center",
        name="all folds together",
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    best = pooled.iloc[int(pooled["value"].argmax())]
    finding = (
        f"Cross-validated, {best['title']} is right in {theme.percent(best['value'])} of the cases"
    )
    shown = (
        "Every image answered by a model that never saw it, with 95\u00a0% interval; "
        f"{theme.sample(best['n'])}"
    )
    figure.update_xaxes(title="accuracy", tickformat=".0%")
    return theme.finish(figure, finding, shown, height=150 + 46 * len(pooled))


def _pooled(title: str, folds: pd.DataFrame) -> tuple[str, float, float, float, int]:
    """Accuracy of all folds of one model: Wilson's interval on the images, counted once."""
    repeats = folds["repeat"].nunique() if "repeat" in folds else 1
    n = folds["n"].sum() / repeats
    value = float((folds["n"] * folds["accuracy"]).sum() / folds["n"].sum())
    low, high = stats.wilson_bounds(value * n, n)
    return title, value, float(low), float(high), round(n)


# --- differences ---------------------------------------------------------------------------


def differences(pairs: pd.DataFrame, against: str | None = None) -> go.Figure:
    """Accuracy differences of pairs of models with their intervals around zero.

    Args:
        pairs: first, second (titles), n, difference, low, high, p_holm (`evaluation.compare_all`).
        against: the first model of every pair, where it is the same.
    """
    if against:
        pairs = pairs.sort_values("difference")
    real = comparison.significant(pairs)
    names = pairs["second"] if against else pairs["first"] + " − " + pairs["second"]
    figure = go.Figure(
        go.Scatter(
            x=100 * pairs["difference"],
            y=[theme.wrapped(name, 30) for name in names],
            error_x=theme.bars(
                100 * pairs["difference"], 100 * pairs["low"], 100 * pairs["high"], theme.REFERENCE
            ),
            mode="markers",
            marker={
                "size": 10,
                "color": [theme.ACCENT if one else theme.REFERENCE for one in real],
            },
            customdata=pairs[["n", "p_holm"]],
            hovertemplate=(
                "%{y}: %{x:+.2f} points<br>n\u00a0=\u00a0%{customdata[0]:,}, "
                "p = %{customdata[1]:.2g} after Holm<extra></extra>"
            ),
        )
    )
    figure.add_vline(x=0, line={"color": theme.REFERENCE, "width": 1.5})
    axis = f"accuracy of {against} minus theirs" if against else "accuracy difference"
    figure.update_xaxes(title=f"{axis} (points)")
    figure.update_yaxes(autorange="reversed")
    shown = (
        f"Paired on the same {theme.count(pairs['n'].iloc[0])} images; 95\u00a0% intervals; "
        "coloured where Holm's p is below 0.05"
    )
    row = 50 if len(pairs) <= MANY else 36
    finding = _differences_finding(pairs, against)
    return theme.finish(figure, finding, shown, height=100 + row * len(pairs))


def _differences_finding(pairs: pd.DataFrame, against: str | None) -> str:
    real = comparison.significant(pairs)
    if against is None:
        verb = "is" if real.sum() == 1 else "are"
        return f"{real.sum()} of {len(pairs)} differences {verb} significant"
    better = int((real & (pairs["difference"] > 0)).sum())
    worse = int((real & (pairs["difference"] < 0)).sum())
    beaten = f", is beaten by {worse}" if worse else ""
    open_ = len(pairs) - better - worse
    rest = f"; {open_} not significantly different" if open_ else ""
    return f"{against} beats {better} of {len(pairs)} other models{beaten}{rest}"


def agreement(result: Mapping[str, Any], first: str, second: str) -> go.Figure:
    """How often two models are right together or alone (`evaluation.compare`)."""
    parts = (
        ("both right", result["both"], theme.GOOD),
        (f"only {first}", result["only_first"], theme.MODEL_COLOURS[0]),
        (f"only {second}", result["only_second"], theme.MODEL_COLOURS[1]),
        ("both wrong", result["neither"], theme.BAD),
    )
    figure = go.Figure()
    for name, number, colour in parts:
        figure.add_bar(
            x=[number / result["n"]],
            y=[""],
            orientation="h",
            name=f"{name}: {theme.count(number)}",
            marker={"color": colour},
            hovertemplate=f"{name}: {theme.count(number)} (%{{x:.1%}})<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(tickformat=".0%", title="share of the images", range=[0, 1])
    shown = f"The same {theme.count(result['n'])} {result['split']} images answered by both"
    return theme.finish(figure, comparison_finding(result, first, second), shown, height=210)


def comparison_finding(result: Mapping[str, Any], first: str, second: str) -> str:
    """Which of two models is better on the same images, and whether chance explains it."""
    difference = result["difference"]
    p = result["p_value"]
    if p >= 1 - stats.LEVEL:  # exactly where the interval holds 0
        chance = theme.p_value(p)
        return f"{first} and {second} do not differ significantly ({chance})"
    better, worse = (first, second) if difference["value"] > 0 else (second, first)
    size = abs(100 * difference["value"])
    places = 1 if size >= 1 else 2
    return f"{better} beats {worse} by {size:.{places}f} percentage points ({theme.p_value(p)})"
