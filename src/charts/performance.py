"""Charts of how accurate a model is: frames of `evaluation` in, figures out.

Shares are 0 to 1 in the frames and percent on the axes; intervals are 95 %. `classes` and `models`
are in the run's order, which fixes their colours.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from src.charts import theme, wording
from src.evaluation import findings, metrics, thresholds
from src.evaluation.reliability import Reliability

Mode = Literal["counts", "shares", "errors"]
SPLIT_COLOURS = (theme.ACCENT, "#d9822b", theme.GOOD)
ROW = 34  # pixels per row of a chart with one row per model or class


# --- training ------------------------------------------------------------------------------


def learning_curves(
    history: pd.DataFrame,
    models: Sequence[str],
    measure: Literal["accuracy", "loss"] = "accuracy",
    over: Literal["epoch", "seconds"] = "epoch",
    with_training: bool = False,
) -> go.Figure:
    """Validation curves of several models: the mean of the seeds bold, every seed thin.

    Args:
        history: model (title), seed, epoch, seconds, train_… and validation_… of `measure`.
        models: titles in the run's order, for the colours.
    """
    figure = go.Figure()
    styles = theme.model_styles(models)
    for title, rows in history.groupby("model", sort=False):
        _add_curves(figure, str(title), rows, styles[str(title)], measure, over, with_training)
    if "phase" in history:
        _mark_phases(figure, history, over)
    low, high = findings.ends(findings.best_epochs(history, measure).set_index("model")["value"])
    best, value = (
        (high.name, theme.percent(high.value))
        if measure == "accuracy"
        else (low.name, theme.number(low.value))
    )
    finding = f"{best} reaches the best validation {measure}: {value}"
    seeds = history.groupby("model")["seed"].nunique()
    several = "; thin lines are single seeds" if seeds.max() > 1 else ""
    dotted = "; dotted is training" if with_training else ""
    figure.update_xaxes(title="epoch" if over == "epoch" else "training time (s)")
    figure.update_yaxes(title=measure, tickformat=".0%" if measure == "accuracy" else ".1f")
    return theme.finish(figure, finding, f"Validation {measure} while training{several}{dotted}")


def _mark_phases(figure: go.Figure, history: pd.DataFrame, over: str) -> None:
    """A line where the fine-tuning of models begins whose head was trained alone at first."""
    tuned = history[history["phase"] == "fine_tuning"]
    for title, rows in tuned.groupby("model", sort=False):
        before = history[(history["model"] == title) & (history["phase"] == "head")]
        start = before[over].max() if len(before) else 0
        figure.add_vline(
            x=start + (rows[over].min() - start) * (0.5 if over == "epoch" else 0),
            line={"color": theme.REFERENCE, "dash": "dash", "width": 1},
            annotation={"text": "fine-tuning", "hovertext": f"{title}: fine-tuning begins"},
        )


def _add_curves(
    figure: go.Figure,
    title: str,
    rows: pd.DataFrame,
    style: Mapping[str, str],
    measure: str,
    over: str,
    with_training: bool,
) -> None:
    """The mean curve of one model, its seeds, and on request its training curve."""
    mean = rows.groupby("epoch").mean(numeric_only=True).reset_index()
    shape = ".1%" if measure == "accuracy" else ".3f"
    if rows["seed"].nunique() > 1:
        for _, one in rows.groupby("seed"):
            figure.add_scatter(
                x=one[over],
                y=one[f"validation_{measure}"],
                mode="lines",
                line={"color": style["color"], "width": 1},
                opacity=0.3,
                legendgroup=title,
                showlegend=False,
                hoverinfo="skip",
            )
    figure.add_scatter(
        x=mean[over],
        y=mean[f"validation_{measure}"],
        mode="lines",
        line={"color": style["color"], "width": 2.5},
        name=title,
        legendgroup=title,
        hovertemplate=f"%{{x:.0f}}: %{{y:{shape}}}<extra>{title}</extra>",
    )
    if with_training:
        figure.add_scatter(
            x=mean[over],
            y=mean[f"train_{measure}"],
            mode="lines",
            line={"color": style["color"], "width": 1.5, "dash": "dot"},
            legendgroup=title,
            showlegend=False,
            hovertemplate=f"%{{x:.0f}}: %{{y:{shape}}}<extra>{title}, training</extra>",
        )


# --- confusion -----------------------------------------------------------------------------


def confusion_matrix(
    counts: pd.DataFrame, mode: Mode = "counts", picked: tuple[str, str] | None = None
) -> go.Figure:
    """What each class was taken for; every cell can be clicked.

    Args:
        counts: (K, K), one row per label, one column per prediction, in class order.
        mode: counts, shares of the row, or those shares without the right answers.
        picked: (label, prediction) of the cell to outline.

    The clickable layer carries (label, prediction) as `customdata`: heat maps themselves cannot be
    selected. It also writes the numbers, light on dark cells and in the page's ink elsewhere.
    """
    names = [str(name) for name in counts.index]
    numbers = counts.to_numpy(float)
    shares = metrics.confusion_shares(counts).to_numpy(float)
    values = numbers if mode == "counts" else shares.copy()
    if mode == "errors":
        np.fill_diagonal(values, 0)
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=names,
            y=names,
            zmin=0,
            colorscale=theme.ERROR_SCALE if mode == "errors" else theme.INK_SCALE,
            showscale=False,
            xgap=1,
            ygap=1,
            hoverinfo="skip",
        )
    )
    dark = values > theme.DARK_FROM * max(values.max(), 1e-9)
    for mask, colour in ((dark, "#ffffff"), (~dark, None)):
        _add_cells(figure, names, numbers, shares, values, mask, colour, mode)
    if picked and set(picked) <= set(names):
        row, column = names.index(picked[0]), names.index(picked[1])
        figure.add_shape(
            type="rect",
            x0=column - 0.5,
            x1=column + 0.5,
            y0=row - 0.5,
            y1=row + 0.5,
            line={"color": theme.BAD, "width": 2.5},
        )
    edge = len(names) - 0.5
    figure.update_xaxes(
        title="prediction", type="category", range=[-0.5, edge], showgrid=False, tickangle=-45
    )
    figure.update_yaxes(title="true label", type="category", range=[edge, -0.5], showgrid=False)
    figure.update_layout(clickmode="event+select", showlegend=False)
    shown = {
        "counts": "Images",
        "shares": "Share of each row",
        "errors": "Share of each row, mistakes only",
    }[mode]
    return theme.finish(
        figure,
        wording.confusion(counts),
        f"{shown}; rows are the true class, columns the answer; {theme.sample(numbers.sum())}",
        height=max(320, 130 + 36 * len(names)),
    )


def _add_cells(
    figure: go.Figure,
    names: Sequence[str],
    numbers: np.ndarray,
    shares: np.ndarray,
    values: np.ndarray,
    mask: np.ndarray,
    colour: str | None,
    mode: Mode,
) -> None:
    """The clickable text layer of the cells in `mask`."""
    cells = np.argwhere(mask)
    text = [_cell_text(values[r, c], mode) for r, c in cells]
    figure.add_scatter(
        x=[names[c] for _, c in cells],
        y=[names[r] for r, _ in cells],
        mode="markers+text",
        marker={"symbol": "square", "size": 28, "opacity": 0, "color": theme.ACCENT},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        text=text,
        textfont={"size": 11, "color": colour} if colour else {"size": 11},
        customdata=[[names[r], names[c], int(numbers[r, c]), shares[r, c]] for r, c in cells],
        hovertemplate=(
            "True label: %{customdata[0]}, prediction: %{customdata[1]}<br>"
            "%{customdata[2]:,} images, %{customdata[3]:.1%} of the row<extra></extra>"
        ),
        name="",
    )


def _cell_text(value: float, mode: Mode) -> str:
    """The number in a cell: nothing for none, and a decimal for shares that would round to none."""
    if value == 0:
        return ""
    if mode == "counts":
        return f"{value:.0f}"
    return f"{value:.0%}" if value >= 0.0995 or mode == "shares" else f"{value:.1%}"


# --- classes -------------------------------------------------------------------------------


def class_scores(report: pd.DataFrame, classes: Sequence[str], metric: str) -> go.Figure:
    """One metric per class with its interval, weakest class at the top.

    Args:
        report: label, <metric>, <metric>_low, <metric>_high, support of one split of one model;
            a class without support was not tested and stands at the top, without a bar.
    """
    ordered = report.sort_values(metric, ascending=False)
    colours = theme.class_colours(classes)
    figure = go.Figure()
    for row in ordered.to_dict("records"):
        _add_class(figure, row, metric, colours[str(row["label"])])
    figure.update_yaxes(
        type="category",
        tickvals=ordered["label"],
        ticktext=[_score_label(row, metric) for row in ordered.to_dict("records")],
    )
    figure.update_layout(showlegend=False, clickmode="event+select", barmode="overlay")
    finding = wording.class_scores(_with_bounds(report, metric))
    figure.update_xaxes(title=metric, tickformat=".0%", range=[0, 1.02])
    support = ordered.loc[ordered["support"] > 0, "support"]
    n = theme.count(support.iloc[0]) if support.nunique() == 1 else "different numbers of"
    shown = f"{METRICS[metric]}, with 95\u00a0% interval; {n} images per class"
    return theme.finish(figure, finding, shown, height=90 + ROW * len(ordered))


def _with_bounds(report: pd.DataFrame, metric: str) -> pd.DataFrame:
    """value, low and high of one metric, by label."""
    names = {metric: "value", f"{metric}_low": "low", f"{metric}_high": "high"}
    return report.set_index("label")[list(names)].rename(columns=names)


def _score_label(row: Mapping[Any, Any], metric: str) -> str:
    score = theme.percent(row[metric]) if row["support"] else "not tested"
    return f"{row['label']}  {score}"


def _add_class(figure: go.Figure, row: Mapping[Any, Any], metric: str, colour: str) -> None:
    """A pale bar up to the value, the value as a dot, its interval: all in the class's colour."""
    value, low, high = row[metric], row[f"{metric}_low"], row[f"{metric}_high"]
    figure.add_bar(
        x=[value],
        y=[row["label"]],
        orientation="h",
        marker={"color": colour, "opacity": 0.35},
        selected={"marker": {"opacity": 0.35}},
        unselected={"marker": {"opacity": 0.35}},
        hovertemplate=(
            f"%{{y}}: %{{x:.1%}}<br>95\u00a0% interval {low:.1%} to {high:.1%}"
            f"<br>{row['support']:,} images<extra></extra>"
        ),
    )
    figure.add_scatter(
        x=[value],
        y=[row["label"]],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - value],
            "arrayminus": [value - low],
            "color": colour,
            "thickness": 2,
            "width": 5,
        },
        mode="markers",
        marker={"size": 9, "color": colour},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        hoverinfo="skip",
    )


METRICS = {
    "recall": "Recall: of the images of a class, the share that is found",
    "precision": "Precision: of the images classified as a class, the share that belongs there",
    "f1": "F1: the balance of precision and recall",
}


def class_heatmap(reports: pd.DataFrame, classes: Sequence[str], metric: str) -> go.Figure:
    """One metric of every class (columns) for every model (rows): model, label, <metric>."""
    square = reports.pivot(index="model", columns="label", values=metric)
    square = square.reindex(index=list(dict.fromkeys(reports["model"])), columns=list(classes))
    values = square.to_numpy(float)
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(square.columns),
            y=[theme.wrapped(name, 18) for name in square.index],
            zmin=_lowest(values),
            zmax=1,
            colorscale=theme.INK_SCALE,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="%{y}, %{x}: %{z:.1%}<extra></extra>",
        )
    )
    _add_shares(figure, values, list(square.columns), [theme.wrapped(n, 18) for n in square.index])
    figure.update_xaxes(type="category", showgrid=False, tickangle=-45)
    figure.update_yaxes(showgrid=False, autorange="reversed")
    return theme.finish(
        figure,
        wording.lowest_class(square),
        f"{METRICS[metric]}, in per cent",
        height=130 + (44 if len(square) <= 8 else 36) * len(square),
    )


def _lowest(values: np.ndarray) -> float:
    """Where the colour scale of a heat map of shares begins: a little below its lowest value."""
    return max(0.0, float(np.nanmin(values)) - 0.05)


def _add_shares(
    figure: go.Figure, values: np.ndarray, columns: Sequence[str], rows: Sequence[str]
) -> None:
    """Percent numbers over a heat map: white on dark cells, the page's ink on light ones."""
    low = _lowest(values)
    dark = values > low + theme.DARK_FROM * (1 - low)
    places = 1 if np.nanmax(values) >= 0.985 else 0  # 98.6 and 99.4 are not the same
    for mask, font in ((dark, {"size": 11, "color": "#ffffff"}), (~dark, {"size": 11})):
        cells = np.argwhere(mask & np.isfinite(values))
        figure.add_scatter(
            x=[columns[c] for _, c in cells],
            y=[rows[r] for r, _ in cells],
            mode="text",
            text=[f"{100 * values[r, c]:.{places}f}" for r, c in cells],
            textfont=font,
            hoverinfo="skip",
            showlegend=False,
        )


def class_counts(counts: pd.DataFrame, classes: Sequence[str]) -> go.Figure:
    """Images per class, stacked by split: label and one column per split."""
    splits = [split for split in ("train", "validation", "test") if split in counts.columns]
    ordered = counts.set_index("label").reindex(list(classes))
    figure = go.Figure()
    for split, colour in zip(splits, SPLIT_COLOURS, strict=False):
        figure.add_bar(
            x=ordered[split],
            y=list(classes),
            orientation="h",
            name=split,
            marker={"color": colour},
            hovertemplate=f"%{{y}}, {split}: %{{x:,}}<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="images")
    figure.update_yaxes(type="category", autorange="reversed")
    each = ordered[splits].sum(axis=1)
    shown = f"Images per category and split, {theme.sample(each.sum())}"
    return theme.finish(figure, wording.balance(each), shown, height=110 + 28 * len(ordered))


# --- curves --------------------------------------------------------------------------------


def _diagonal(name: str) -> go.Figure:
    """A figure with nothing in it but the dashed diagonal of the unit square."""
    return go.Figure().add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": theme.REFERENCE, "dash": "dash", "width": 1},
        name=name,
        hoverinfo="skip",
    )


def roc(curves: pd.DataFrame, classes: Sequence[str], n: int) -> go.Figure:
    """One-vs-rest ROC curves (label, false_positive_rate, true_positive_rate, auc)."""
    limit = _interesting(curves)
    figure = _diagonal("guessing")
    areas = _add_class_lines(
        figure, curves, classes, "false_positive_rate", "true_positive_rate", "auc"
    )
    figure.update_xaxes(
        title="false positive rate",
        tickformat=".0%",
        range=[-0.01 * limit, limit],
    )
    figure.update_yaxes(title="found (share of the class)", tickformat=".0%")
    cut = f", false positive rate up to {theme.percent(limit, 0)}" if limit < 1 else ""
    finding = wording.class_areas(areas, "separated from the rest", "ROC area")
    return theme.finish(
        figure, finding, f"ROC, each class against the rest{cut}; {theme.sample(n)}"
    )


def _interesting(curves: pd.DataFrame) -> float:
    """Where to end the axis of false positives: every class has reached 99 % there, or at 1."""
    reached = curves[curves["true_positive_rate"] >= 0.99]
    if reached.empty:
        return 1.0
    needed = float(reached.groupby("label")["false_positive_rate"].min().max())
    return next(limit for limit in (0.05, 0.1, 0.2, 0.5, 1.0) if needed <= limit)


def precision_recall(curves: pd.DataFrame, classes: Sequence[str], n: int) -> go.Figure:
    """One-vs-rest precision–recall curves (label, recall, precision, average_precision)."""
    figure = go.Figure()
    areas = _add_class_lines(figure, curves, classes, "recall", "precision", "average_precision")
    figure.update_xaxes(title="recall (share of the class found)", tickformat=".0%")
    figure.update_yaxes(title="precision (share that belongs)", tickformat=".0%", range=[0, 1.02])
    finding = wording.class_areas(areas, "found cleanly", "average precision")
    shown = f"Precision and recall, each class against the rest; {theme.sample(n)}"
    return theme.finish(figure, finding, shown)


def _add_class_lines(
    figure: go.Figure, curves: pd.DataFrame, classes: Sequence[str], x: str, y: str, area: str
) -> pd.Series:
    """One line per class; returns the area of each."""
    colours = theme.class_colours(classes)
    for label, rows in curves.groupby("label", sort=False):
        figure.add_scatter(
            x=rows[x],
            y=rows[y],
            mode="lines",
            line={"color": colours[str(label)], "width": 2},
            name=str(label),
            hovertemplate=(
                f"{label} ({rows[area].iloc[0]:.3f})<br>%{{x:.1%}} → %{{y:.1%}}<extra></extra>"
            ),
        )
    return curves.groupby("label")[area].first()


# --- confidence ----------------------------------------------------------------------------


def threshold_trade(curve: pd.DataFrame, chosen: float, n: int) -> go.Figure:
    """Coverage and accuracy against the confidence from which an answer is accepted.

    Args:
        curve: threshold, coverage, accuracy, each with _low and _high (`evaluation.selective`).
        chosen: the threshold to mark.
    """
    figure = go.Figure()
    held = curve[curve["accepted"] > 0]
    for column, name, colour in (
        ("accuracy", "precision (automatic)", theme.GOOD),
        ("coverage", "automation rate", theme.ACCENT),
    ):
        figure.add_scatter(
            x=pd.concat([held["threshold"], held["threshold"][::-1]]),
            y=pd.concat([held[f"{column}_high"], held[f"{column}_low"][::-1]]),
            fill="toself",
            mode="none",
            fillcolor=_faint(colour),
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=held["threshold"],
            y=held[column],
            mode="lines",
            line={"color": colour, "width": 2.5},
            name=name,
            hovertemplate=f"from %{{x:.0%}}: %{{y:.1%}} {name}<extra></extra>",
        )
    figure.add_vline(x=chosen, line={"color": theme.REFERENCE, "dash": "dash", "width": 1.5})
    figure.update_xaxes(title="lowest confidence sorted automatically", tickformat=".0%")
    figure.update_yaxes(title="share", tickformat=".0%", range=[0, 1.02])
    shown = f"Automation rate and precision, with 95\u00a0% intervals; {theme.sample(n)}"
    return theme.finish(figure, threshold_finding(curve, chosen), shown)


def threshold_finding(curve: pd.DataFrame, chosen: float) -> str:
    """What happens at the threshold of `curve` that is nearest to `chosen`."""
    row = curve.iloc[(curve["threshold"] - chosen).abs().argmin()]
    if row["accepted"] == 0:
        return f"From {100 * chosen:g}\u00a0% confidence the model sorts nothing automatically"
    return (
        f"From {100 * chosen:g}\u00a0% confidence the model sorts "
        f"{theme.of_hundred(row['coverage'])} photos automatically; "
        f"{theme.percent(row['accuracy'])} of those are correct"
    )


def sorting_sentence(title: str, sorting: thresholds.Sorting, counts: pd.DataFrame) -> str:
    """The finding about a model: what it sorts automatically, how well, and what needs checking.

    Args:
        sorting: automatic sorting of the test images.
        counts: (K, K) confusion counts of the same split.
    """
    found = findings.most_confused(counts)
    pair = theme.sentence(f"{found.first} and {found.second}") if found and found.clear else ""
    pair = f" {pair} are confused most." if pair else ""
    if not sorting.accepted:
        right = float(np.diag(counts).sum() / counts.to_numpy().sum())
        return theme.sentence(
            f"{title} classifies {theme.percent(right)} of the photos correctly, but "
            f"{wording.nothing_sorted(sorting)}: all photos need checking.{pair}"
        )
    return theme.sentence(
        f"{title} sorts {theme.of_hundred(sorting.coverage.value)} photos by itself; "
        f"{theme.percent(sorting.precision.value)} of those are right. People check the "
        f"{_others(sorting.coverage.value)}.{pair}"
    )


def _others(share: float) -> str:
    """0.794 → "other 21": of a hundred, what is not sorted automatically; else "others"."""
    rest = 100 - round(100 * share)
    return f"other {rest}" if 0 < rest < 100 else "others"


def _faint(colour: str, opacity: float = 0.18) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def reliability(found: Reliability) -> go.Figure:
    """Accuracy by confidence, beside the band that a perfectly calibrated model keeps."""
    table = found.table
    middle = (table["band_low"] + table["band_high"]) / 2
    band = theme.bars(middle, table["band_low"], table["band_high"], _faint(theme.REFERENCE, 0.45))
    outside = (table["accuracy"] < table["band_low"]) | (table["accuracy"] > table["band_high"])
    figure = _diagonal("perfectly calibrated")
    figure.add_scatter(
        x=table["confidence"],
        y=middle,
        error_y=band | {"thickness": 9, "width": 0},
        mode="markers",
        marker={"opacity": 0},
        name="what chance alone would show",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=table["confidence"],
        y=table["accuracy"],
        mode="markers",
        marker={
            "color": [theme.BAD if out else theme.ACCENT for out in outside],
            "size": 7 + 13 * np.sqrt(table["n"] / table["n"].max()),
            "opacity": 0.85,
        },
        name="images in this range",
        customdata=table[["n", "band_low", "band_high"]],
        hovertemplate=(
            "confidence %{x:.1%}, accuracy %{y:.1%}<br>perfectly calibrated: "
            "%{customdata[1]:.1%} to %{customdata[2]:.1%}<br>%{customdata[0]:,} images"
            "<extra></extra>"
        ),
    )
    figure.update_xaxes(title="confidence of the answer", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(title="accuracy", tickformat=".0%", range=[0, 1.02])
    shown = (
        "Grey: where 95\u00a0% of perfectly calibrated models lie in all ranges at once; "
        f"large dots hold more; {theme.sample(found.n)}"
    )
    return theme.finish(figure, wording.calibration(found), shown)
