"""Charts of judged hypotheses and criteria: the effect against its margin, and what lies behind.

A hypothesis is one dict of a run's hypotheses.json. Its unit is "share" (0 to 1, drawn in per
cent) or another of `AXES`; margin, effect and details share it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from src.charts import theme
from src.evaluation.hypotheses import level_of_look, look

VERDICT_COLOURS = {
    "supported": theme.GOOD,
    "refuted": theme.BAD,
    "undecided": theme.REFERENCE,
}
AXES = {
    "share": "share of the images",
    "correlation": "rank correlation",
    "percentage points": "difference in percentage points",
    "ratio": "mistakes, as a multiple",
    "F1": "F1 score",
}
SIGNED = ("correlation", "percentage points")  # units in which 0 says that there is nothing
BESIDE = 8  # results reported beside the one that was tested
LEADING = {"correlation": "Correlation ", "F1": "F1 score "}
NAME = 0.6  # of similarity: about as wide as the name of a pair is on the page
LINE = 0.06  # of the highest confusion: about as high as that name


def amount(value: float, unit: str) -> str:
    """A value in its unit: "70.0 %", "0.58", "+4.6 points", "0.35 times" or "12.5 ms"."""
    if unit == "share":
        return theme.percent(value)
    if unit == "percentage points":
        return theme.points(value / 100)
    if unit == "ms":
        return theme.milliseconds(value)
    text = theme.number(value, 3 if unit == "F1" else 2)
    return f"{text} times" if unit == "ratio" else text


def span(low: float, high: float, unit: str) -> str:
    """An interval in its unit, such as "66.1 % to 69.0 %"."""
    return f"{amount(low, unit)} to {amount(high, unit)}"


def stated(hypothesis: Mapping[str, Any]) -> str:
    """When a hypothesis was stated, and how often its test images were read since."""
    if "stated" not in hypothesis:
        return "When this was stated is not recorded in this version."
    said = f"Stated on {hypothesis['stated']}. Reading {hypothesis['reading']} of these test images"
    return f"{said}, look {hypothesis['look']} at this hypothesis."


def level(hypothesis: Mapping[str, Any]) -> str:
    """The level of a verdict, and how it follows from the level of all looks."""
    alpha = f"α = {hypothesis['alpha']:.2g}"
    if "look" not in hypothesis:
        return f"{alpha}, without regard to earlier looks"
    whole, k = hypothesis["alpha_of_all_looks"], hypothesis["look"]
    return f"{alpha} at look {k}: {whole:g} · 6 / (π · {k})², so that all looks sum to {whole:g}"


def interval_level(hypothesis: Mapping[str, Any]) -> str:
    """The level of a hypothesis's interval, such as "99.92 %"."""
    return f"{100 * (1 - hypothesis['alpha']):.4g}\u00a0%"


def earlier(rows: pd.DataFrame, hypothesis: Mapping[str, Any]) -> pd.DataFrame:
    """The verdicts of earlier readings in words, one row each.

    Args:
        rows: of one hypothesis (`runs.verdicts.earlier`).
        hypothesis: the present one, whose looks are counted from `since_reading`.
    """
    since, alpha = hypothesis["since_reading"], hypothesis["alpha_of_all_looks"]
    return pd.DataFrame(
        [
            {
                "Version": row.version,
                "Reading": row.reading,
                "Verdict": row.verdict,
                "Found": f"{amount(row.value, row.unit)} ({span(row.low, row.high, row.unit)})",
                "Chance": theme.p_value(row.p_value),
                "Judged at": f"α = {row.alpha:.2g}",
                "Due": f"α = {level_of_look(alpha, look(since, row.reading)):.2g}",
            }
            for row in theme.rows(rows)
        ]
    )


def effect(hypothesis: Mapping[str, Any], titles: Mapping[str, str]) -> go.Figure:
    """The effect with its interval against the margin; below it what was reported beside it.

    Args:
        titles: title of each model by its name, for the rows that are about a model.
    """
    main, unit = hypothesis["effect"], hypothesis["effect"]["unit"]
    models = [titles.get(name, name) for name in hypothesis.get("models", [])]
    rows = [{"name": _row_name(hypothesis["id"], models), **main, "n": hypothesis["n"]}]
    beside = [row for row in hypothesis["details"] if row["unit"] == unit]
    if len(beside) > BESIDE:
        beside = sorted(beside, key=lambda row: -row["value"])[:BESIDE]
    rows += [{**row, "name": _titled(row["name"], titles)} for row in beside]
    frame = pd.DataFrame(rows)[["name", "value", "low", "high", "n"]]
    figure = go.Figure()
    _add_rows(figure, frame.iloc[1:], unit, theme.REFERENCE, 8, "reported beside it")
    colour = VERDICT_COLOURS[hypothesis["verdict"]]
    _add_rows(figure, frame.iloc[:1], unit, colour, 13, "what was tested")
    _add_margin(figure, hypothesis, unit)
    figure.update_yaxes(
        autorange="reversed",
        categoryorder="array",
        categoryarray=[theme.wrapped(name) for name in frame["name"]],
    )
    figure.update_xaxes(title=AXES[unit], tickformat=".0%" if unit == "share" else "")
    figure.update_layout(showlegend=False)
    level = interval_level(hypothesis)
    shown = f"{hypothesis['metric']}, {level} interval; {theme.sample(hypothesis['n'])}"
    if len(hypothesis["details"]) > BESIDE:
        shown += f"; beside it the {BESIDE} highest of {len(hypothesis['details'])} others"
    return theme.finish(
        figure,
        effect_finding(hypothesis),
        theme.sentence(shown),
        height=120 + 42 * len(frame),
    )


def _row_name(name: str, models: Sequence[str]) -> str:
    return f"{name}: {' → '.join(models)}" if models else name


def _titled(name: str, titles: Mapping[str, str]) -> str:
    """A detail's name with model names spelled out."""
    first, minus, second = name.partition(" minus ")
    return titles.get(first, first) + minus + titles.get(second, second)


def _add_rows(
    figure: go.Figure, rows: pd.DataFrame, unit: str, colour: str, size: int, name: str
) -> None:
    """Dots with intervals; the numbers are written beside the hover."""
    if rows.empty:
        return
    low, high = rows["low"], rows["high"]
    figure.add_scatter(
        x=rows["value"],
        y=rows["name"].map(theme.wrapped),
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high - rows["value"],
            "arrayminus": rows["value"] - low,
            "color": colour,
            "thickness": 2 if size > 10 else 1.2,
            "width": 5,
        },
        mode="markers",
        marker={"size": size, "color": colour},
        name=name,
        customdata=[
            [amount(row.value, unit), span(row.low, row.high, unit), row.n]
            for row in theme.rows(rows)
        ],
        hovertemplate="%{y}<br>%{customdata[0]} (%{customdata[1]}), n = %{customdata[2]:,}"
        "<extra></extra>",
    )


def _add_margin(figure: go.Figure, hypothesis: Mapping[str, Any], unit: str) -> None:
    """The margin as a labelled line, and zero where the unit has one in the middle."""
    margin = hypothesis["margin"]
    direction = hypothesis.get("direction", "at least")
    figure.add_vline(
        x=margin,
        line={"color": theme.REFERENCE, "dash": "dash", "width": 1.5},
        annotation={
            "text": f"{direction} {amount(margin, unit)}",
            "yanchor": "bottom",
            "font": {"size": 12},
        },
        annotation_position="top",
    )
    if unit in SIGNED:
        figure.add_vline(x=0, line={"color": theme.GRID, "width": 1.5})


def effect_finding(hypothesis: Mapping[str, Any]) -> str:
    """The effect, its interval and where they lie against the margin, in one sentence."""
    found = hypothesis["effect"]
    unit, margin = found["unit"], hypothesis["margin"]
    sided = found["low"] >= margin or found["high"] < margin
    chance = sided and hypothesis["verdict"] == "undecided"
    side = "above" if found["low"] >= margin else "below" if sided else "on both sides of"
    clearly = "clearly " if sided and not chance else ""
    doubt = f", but not significant ({theme.p_value(hypothesis['p_value'])})" if chance else ""
    value = f"{LEADING.get(unit, '')}{amount(found['value'], unit)}"
    interval = span(found["low"], found["high"], unit)
    return f"{value} ({interval}), {clearly}{side} {_place(margin, unit)}{doubt}"


def _place(margin: float, unit: str) -> str:
    """The margin, or "zero" where that is what it is."""
    return "zero" if margin == 0 else amount(margin, unit)


def points(hypothesis: Mapping[str, Any], titles: Mapping[str, str]) -> go.Figure | None:
    """What the test was computed from: class pairs or seeds; None where nothing was kept."""
    frame = pd.DataFrame(hypothesis["points"])
    if {"similarity", "confusion"} <= set(frame.columns):
        return pair_points(frame)
    if "seed" in frame.columns and len(frame.columns) == 3:
        return seed_points(frame, titles)
    return None


def pair_points(frame: pd.DataFrame) -> go.Figure:
    """Class pairs: how alike they look against how often they are confused.

    Args:
        frame: label_a, label_b, similarity (-1 to 1), confusion (share).
    """
    named = frame["label_a"] + " / " + frame["label_b"]
    top = frame.index.isin(_legible(frame))
    figure = go.Figure()
    for mask, mode, colour in (
        (~top, "markers", theme.REFERENCE),
        (top, "markers+text", theme.BAD),
    ):
        rows = frame[mask]
        figure.add_scatter(
            x=rows["similarity"],
            y=rows["confusion"],
            mode=mode,
            text=named[mask],
            textposition="top left",
            marker={"size": 9, "color": colour, "opacity": 0.8},
            hovertemplate="%{text}: similarity %{x:.2f}, confused %{y:.1%}<extra></extra>",
            cliponaxis=False,
        )
    figure.update_xaxes(title="how alike the two categories look")
    figure.update_yaxes(title="confused with each other", tickformat=".1%", rangemode="tozero")
    figure.update_layout(showlegend=False)
    pairs = f"{theme.sample(len(frame))} pairs"
    shown = f"One dot per pair of categories, {pairs}; the most confused are named"
    return theme.finish(figure, theme.sentence(pair_finding(frame)), shown)


def pair_finding(frame: pd.DataFrame) -> str:
    """Which pair is confused most and which looks most alike (`pair_points`), where one is."""
    named = frame["label_a"] + " / " + frame["label_b"]
    worst, alike = (
        named[frame[column] == frame[column].max()].tolist()
        for column in ("confusion", "similarity")
    )
    if not frame["confusion"].any():
        return "no two categories were confused"
    if len(worst) > 1:
        return f"{len(worst)} pairs were confused equally often, and most"
    if worst == alike:
        return f"{worst[0]} is the pair confused most on these images, and the most alike"
    return f"{worst[0]} is the pair confused most on these images"


def _legible(frame: pd.DataFrame) -> list[Any]:
    """Index of the most confused pairs, without those whose name would cover another one's."""
    kept: list[Any] = []
    for pair, row in frame.sort_values("confusion", ascending=False).head(4).iterrows():
        others = frame.loc[kept]
        level = (others["confusion"] - row["confusion"]).abs() < LINE * frame["confusion"].max()
        close = (others["similarity"] - row["similarity"]).abs() < NAME
        if not (level & close).any():
            kept.append(pair)
    return kept


def seed_points(frame: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Trainings by seed: seed and one accuracy column per model, missing where not trained."""
    without, with_ = (str(name) for name in frame.columns if name != "seed")
    frame = frame.astype({without: float, with_: float})
    figure = go.Figure()
    for row in frame.dropna().to_dict("records"):
        figure.add_scatter(
            x=[row[without], row[with_]],
            y=[_seed(row["seed"])] * 2,
            mode="lines",
            line={"color": theme.GRID, "width": 3},
            hoverinfo="skip",
            showlegend=False,
        )
    for name, colour in ((without, theme.MODEL_COLOURS[1]), (with_, theme.MODEL_COLOURS[0])):
        figure.add_scatter(
            x=frame[name],
            y=frame["seed"].map(_seed),
            mode="markers",
            marker={"size": 11, "color": colour},
            name=titles.get(name, name),
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    figure.update_xaxes(title="test accuracy", tickformat=".0%")
    shown = "One dot per training; a line joins two that started from the same seed"
    finding = seed_finding(frame, titles)
    return theme.finish(figure, finding, shown, height=140 + 38 * len(frame))


def _seed(seed: float) -> str:
    return f"seed {seed:.0f}"


def seed_finding(frame: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Whether the trainings of the two models overlap, in one sentence (`seed_points`)."""
    without, with_ = (str(name) for name in frame.columns if name != "seed")
    before, after = frame[without].dropna(), frame[with_].dropna()
    first, second = titles.get(without, without), titles.get(with_, with_)
    if after.min() > before.max():
        return f"Every training of {second} is better than every one of {first}"
    if after.max() < before.min():
        return f"Every training of {first} is better than every one of {second}"
    return f"Trainings of {first} and {second} overlap"


def criteria(frame: pd.DataFrame) -> go.Figure:
    """Results of the criteria that are shares, with interval, against their targets.

    Args:
        frame: id, kind, criterion, target, result, low, high, unit, good (`business.judge`).
    """
    shares = frame[frame["unit"] == "share"]
    colours = [
        theme.REFERENCE if good is None else theme.GOOD if good else theme.BAD
        for good in shares["good"]
    ]
    figure = go.Figure()
    figure.add_scatter(
        x=shares["target"],
        y=shares["id"],
        mode="markers",
        marker={
            "symbol": "line-ns",
            "size": 20,
            "line": {"width": 2.5, "color": theme.REFERENCE},
        },
        name="target",
        hovertemplate="%{y}: target %{x:.0%}<extra></extra>",
    )
    figure.add_scatter(
        x=shares["result"],
        y=shares["id"],
        error_x=theme.bars(shares["result"], shares["low"], shares["high"], theme.REFERENCE),
        mode="markers",
        marker={"size": 11, "color": colours},
        name="result",
        customdata=shares["criterion"],
        hovertemplate="%{customdata}<br>result %{x:.1%}<extra></extra>",
    )
    figure.update_xaxes(title="share of the test images", tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(autorange="reversed")
    shown = "Results with 95\u00a0% interval (dots) against targets (upright lines)"
    return theme.finish(
        figure, criteria_finding(frame), shown, height=130 + 38 * max(len(shares), 1)
    )


def criteria_finding(frame: pd.DataFrame) -> str:
    """How many success criteria are met and how many failure criteria apply."""
    success, failure = (frame[frame["kind"] == kind] for kind in ("success", "failure"))
    met = sum(good is True for good in success["good"])
    applies = sum(good is False for good in failure["good"])
    unclear = sum(good is None for good in frame["good"])
    failed = {0: "no failure criterion applies", 1: "1 failure criterion applies"}.get(
        applies, f"{applies} failure criteria apply"
    )
    unsure = f"; {unclear} cannot be told yet" if unclear else ""
    return f"{met} of {len(success)} success criteria are met and {failed}{unsure}"
