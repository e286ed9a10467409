"""Charts of classical models: their searches, what a blend rests on, and principal components.

Frames are those in `classical/` of a run; shares are 0 to 1 in them and percent on the axes.
"""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from src.charts import theme, wording
from src.evaluation import findings

ROW = 40  # pixels per model


def search(candidates: pd.DataFrame) -> go.Figure:
    """Validation accuracy of every candidate of every search; the chosen one is filled.

    Args:
        candidates: title, settings (text), n_train, n, accuracy, low, high, seconds, chosen.
    """
    figure = go.Figure()
    for chosen, name, symbol in ((False, "tried", "circle-open"), (True, "chosen", "circle")):
        rows = candidates[candidates["chosen"] == chosen]
        figure.add_scatter(
            x=rows["accuracy"],
            y=rows["title"].map(theme.wrapped),
            mode="markers",
            marker={"size": 10, "color": theme.ACCENT, "symbol": symbol},
            customdata=rows[["settings", "low", "high"]],
            name=name,
            hovertemplate=(
                "%{customdata[0]}: %{x:.1%}<br>95\u00a0% interval %{customdata[1]:.1%} to "
                "%{customdata[2]:.1%}<extra></extra>"
            ),
        )
    reach = candidates.groupby("title")["accuracy"].agg(np.ptp)
    most = str(reach.idxmax())
    finding = f"Settings matter most for {wording.inline(most)}: {100 * reach[most]:.1f} points"
    shown = (
        f"Accuracy on validation ({theme.sample(candidates['n'].iloc[0])}) after fitting to "
        f"{theme.count(candidates['n_train'].iloc[0])} training images"
    )
    figure.update_xaxes(title="validation accuracy", tickformat=".1%")
    figure.update_yaxes(autorange="reversed")
    return theme.finish(figure, finding, shown, height=110 + ROW * len(reach))


def importance(members: pd.DataFrame) -> go.Figure:
    """What a blend loses without each member: title, log_loss_rise with _low and _high."""
    ordered = members.sort_values("log_loss_rise")
    value = ordered["log_loss_rise"]
    bars = theme.bars(value, ordered["log_loss_rise_low"], ordered["log_loss_rise_high"], None)
    figure = go.Figure(
        go.Bar(
            x=value,
            y=ordered["title"].map(theme.wrapped),
            error_x=bars | {"color": theme.REFERENCE},
            orientation="h",
            marker={"color": theme.ACCENT, "opacity": 0.6},
            customdata=100 * ordered["accuracy_drop"],
            hovertemplate=(
                "%{y}: log-loss %{x:+.3f}, accuracy %{customdata:.2f} points less<extra></extra>"
            ),
        )
    )
    figure.update_xaxes(title="rise of the log-loss (nats)")
    shown = "When one member’s answers are shuffled between images; whiskers span all shuffles"
    return theme.finish(figure, wording.importance(members), shown, height=100 + ROW * len(ordered))


def correlation(pairs: pd.DataFrame, measure: str = "errors") -> go.Figure:
    """How alike the members of an ensemble are: first, second, <measure> (−1 to 1)."""
    names = list(dict.fromkeys(pairs["first"]))
    back = pairs.rename(columns={"first": "second", "second": "first"})
    both = pd.concat([pairs, back]).drop_duplicates(["first", "second"])
    square = both.pivot(index="first", columns="second", values=measure).loc[names, names]
    values, labels = square.to_numpy(float), [theme.wrapped(name, 14) for name in names]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=labels,
            y=labels,
            zmin=0,
            zmax=1,
            colorscale=theme.INK_SCALE,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        )
    )
    for dark, font in ((True, {"size": 11, "color": "#ffffff"}), (False, {"size": 11})):
        cells = np.argwhere((values > theme.DARK_FROM) == dark)
        figure.add_scatter(
            x=[labels[c] for _, c in cells],
            y=[labels[r] for r, _ in cells],
            mode="text",
            text=[theme.number(values[r, c], 2) for r, c in cells],
            textfont=font,
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_xaxes(type="category", showgrid=False, tickangle=-45)
    figure.update_yaxes(type="category", showgrid=False, autorange="reversed")
    shown = {"errors": "being wrong", "probabilities": "the label’s probability"}[measure]
    return theme.finish(
        figure,
        wording.correlation(pairs, measure),
        f"Correlation of {shown}, on validation; the lower, the more an ensemble can gain",
        height=140 + ROW * len(names),
    )


def explained_variance(components: pd.DataFrame, share: float = 0.95) -> go.Figure:
    """Cumulative share of the variance by number of components (component, cumulative)."""
    needed = findings.components_needed(components, share)
    figure = go.Figure()
    figure.add_scatter(
        x=components["component"],
        y=components["cumulative"],
        mode="lines",
        line={"color": theme.ACCENT, "width": 2.5},
        hovertemplate="%{x} components: %{y:.1%}<extra></extra>",
    )
    figure.add_scatter(
        x=[needed],
        y=[share],
        mode="markers",
        marker={"size": 10, "color": theme.ACCENT},
        hoverinfo="skip",
    )
    figure.add_hline(y=share, line={"color": theme.REFERENCE, "dash": "dash", "width": 1})
    figure.update_xaxes(title="principal components")
    figure.update_yaxes(title="share of the variance", tickformat=".0%", range=[0, 1.02])
    figure.update_layout(showlegend=False)
    finding = wording.explained_variance(components, share)
    return theme.finish(figure, finding, "Principal components of the training images")
