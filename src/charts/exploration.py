"""Charts of what is in a data set: frames of a run's `eda/` in, figures and images out.

`classes` are all classes in the model's order, which fixes their colours; a frame with fewer of
them shows fewer. Images are uint8 (H, W, 3), values 0 to 255.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from src.charts import palette, theme, wording
from src.data import findings
from src.data.findings import MEASURES, Pair

Pixels = NDArray[np.uint8]
NEUTRAL = 242.0  # of a difference image: no difference
# Two ends of a difference image, far apart for colour-blind readers too.
MORE, LESS = np.array([0.0, 114.0, 178.0]), np.array([213.0, 94.0, 0.0])
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class ImageKey(NamedTuple):
    """What names an image of a data set; an id is a position or a path."""

    split: str
    id: int | str


def _present(names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """The classes that occur in `names`, in the model's order."""
    known = set(names)
    return [name for name in classes if name in known]


def _transparent(colour: str, alpha: float = 0.3) -> str:
    """A hex colour made transparent, so that lines of the same colour show on it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha})"


# --- counts --------------------------------------------------------------------------------


def class_counts(counts: pd.DataFrame, classes: Sequence[str]) -> go.Figure:
    """Images per class and split (split, label, count): one bar per class, a part per split."""
    names = _present(counts["label"].tolist(), classes)
    colours = theme.class_colours(classes)
    table = counts.pivot(index="label", columns="split", values="count").reindex(names).fillna(0)
    figure = go.Figure()
    for split in [split for split in palette.SPLITS if split in table.columns]:
        figure.add_bar(
            x=table[split],
            y=names,
            orientation="h",
            name=split,
            marker={"color": [colours[name] for name in names], "opacity": palette.SPLITS[split]},
            hovertemplate=f"%{{y}}, {split}: %{{x:,}}<extra></extra>",
        )
    totals = table.sum(axis=1)
    figure.add_scatter(
        x=totals,
        y=names,
        mode="text",
        text=totals.map(theme.count),
        textposition="middle right",
        cliponaxis=False,
        showlegend=False,
        hoverinfo="skip",
    )
    figure.update_layout(barmode="stack", showlegend=False)
    figure.update_xaxes(title="images", range=[0, 1.15 * max(totals.max(), 1)], tickformat=",")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    shown = (
        "Images per category; from strong to pale: train, validation, test; "
        f"n = {theme.count(totals.sum())}"
    )
    finding = wording.balance(findings.class_totals(counts))
    return theme.finish(figure, finding, shown, height=110 + 30 * len(names))


# --- average images ------------------------------------------------------------------------


def class_images(
    stored: pd.DataFrame, kind: str, shape: Sequence[int], labels: Sequence[str]
) -> dict[str, Pixels]:
    """The mean or variability image of each label, uint8 (H, W, 3).

    Args:
        stored: label, kind ("mean" or "variability"), values (H*W*C, row-major, 0–255); of
            photos a run keeps smaller, square ones.
        kind: a mean is shown as it is; variability is brightened so that the largest value of
            the labels shown is white.
        shape: (H, W, C) of the study's images.
    """
    rows = stored[stored["kind"] == kind].set_index("label")["values"]
    arrays = {name: _arranged(rows[name], shape) for name in labels if name in rows.index}
    top = max((values.max() for values in arrays.values()), default=1.0)
    scale = 255.0 / max(top, 1e-9) if kind == "variability" else 1.0
    return {name: _as_pixels(values * scale) for name, values in arrays.items()}


def difference_image(stored: pd.DataFrame, pair: Pair, shape: Sequence[int]) -> Pixels:
    """Where two mean images differ in brightness, uint8 (H, W, 3).

    Blue where the first class is brighter, orange where the second is, near white where they
    agree; the strongest difference has the full colour. Brightness is ITU-R 601 luma. `stored` and
    `shape` are as in `class_images`.
    """
    means = stored[stored["kind"] == "mean"].set_index("label")["values"]
    one, two = (_luma(_arranged(means[name], shape)) for name in pair)
    difference = one - two
    strength = np.abs(difference) / max(np.abs(difference).max(), 1e-9)
    ink = np.where((difference >= 0)[..., np.newaxis], MORE, LESS)
    return _as_pixels(NEUTRAL + strength[..., np.newaxis] * (ink - NEUTRAL))


def _arranged(values: Sequence[float], shape: Sequence[int]) -> NDArray[np.float64]:
    """Values as (H, W, C): of the study's shape, or else square. ValueError where neither fits."""
    array = np.asarray(values, np.float64)
    if array.size != math.prod(shape):
        side = math.isqrt(array.size // shape[2])
        shape = (side, side, shape[2])
    return array.reshape(shape)


def _luma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W, 1 or 3) → (H, W)."""
    if values.shape[2] == 1:
        return values[:, :, 0]
    return np.asarray(values @ np.array([0.299, 0.587, 0.114]))


def _as_pixels(values: NDArray[np.float64]) -> Pixels:
    """(H, W, 1 or 3) of any range → uint8 (H, W, 3)."""
    pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def contact_sheet(images: Sequence[Pixels], columns: int, gap: int = 2) -> Pixels:
    """Images (H, W, 3) side by side on white, row by row, at least `gap` pixels apart.

    Raises:
        ValueError: there is no image.
    """
    if not images:
        raise ValueError("a contact sheet needs at least one image")
    height, width = (max(pixels.shape[axis] for pixels in images) for axis in (0, 1))
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, 3)
    sheet = np.full(shape, 255, np.uint8)
    for place, pixels in enumerate(images):
        high, wide, _ = pixels.shape
        top = gap + place // columns * (height + gap) + (height - high) // 2
        left = gap + place % columns * (width + gap) + (width - wide) // 2
        sheet[top : top + high, left : left + wide] = pixels
    return sheet


# --- pairs of classes ----------------------------------------------------------------------


def similarity(
    pairs: pd.DataFrame, classes: Sequence[str], picked: Pair | None = None
) -> go.Figure:
    """How similar the classes are, −1 to 1 (label_a, label_b, similarity); cells can be clicked."""
    figure = _matrix(pairs, "similarity", classes, picked, digits=2)
    finding = wording.similarity(findings.pair_ends(pairs, "similarity"))
    shown = "Similarity of two categories, −1 opposite to 1 alike. Click a cell to compare the two"
    return theme.finish(figure, finding, shown, height=figure.layout.height)


def mean_differences(
    pairs: pd.DataFrame, classes: Sequence[str], picked: Pair | None = None
) -> go.Figure:
    """How far the mean images are apart (label_a, label_b, distance); cells can be clicked."""
    figure = _matrix(pairs, "distance", classes, picked, digits=0)
    finding = wording.mean_differences(findings.pair_ends(pairs, "distance"))
    shown = "Root mean square difference of two mean images, of 255. Click a cell to compare"
    return theme.finish(figure, finding, shown, height=figure.layout.height)


def _matrix(
    pairs: pd.DataFrame,
    value: str,
    classes: Sequence[str],
    picked: Pair | None,
    digits: int,
) -> go.Figure:
    """A square of pairs. Heat maps cannot be selected, so their numbers are the clickable layer.

    Each number carries (label_a, label_b) as `customdata`; the diagonal says nothing and is empty.
    """
    names = _present(pairs["label_a"].tolist(), classes)
    table = pairs.pivot(index="label_a", columns="label_b", values=value)
    table = table.reindex(index=names, columns=names)
    numbers = table.to_numpy(np.float64, copy=True)
    np.fill_diagonal(numbers, np.nan)
    low, high = _finite_range(numbers)
    figure = go.Figure(
        go.Heatmap(
            z=numbers,
            x=names,
            y=names,
            zmin=min(low, 0.0),
            zmax=high,
            colorscale=theme.INK_SCALE,
            showscale=False,
            xgap=1,
            ygap=1,
            hoverinfo="skip",
        )
    )
    _add_numbers(figure, names, numbers, digits, min(low, 0.0) + 0.55 * (high - min(low, 0.0)))
    _add_clickable(figure, names, numbers, value)
    if picked and set(picked) <= set(names):
        _outline(figure, names.index(picked[0]), names.index(picked[1]))
    figure.update_xaxes(type="category", side="bottom", showgrid=False, tickangle=-45)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_layout(
        clickmode="event+select", showlegend=False, height=max(300, 110 + 36 * len(names))
    )
    return figure


def _finite_range(numbers: NDArray[np.float64]) -> tuple[float, float]:
    finite = numbers[np.isfinite(numbers)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _add_numbers(
    figure: go.Figure,
    names: Sequence[str],
    numbers: NDArray[np.float64],
    digits: int,
    dark: float,
) -> None:
    """Write the numbers, light on cells above `dark` and in the page's ink elsewhere.

    As annotations: unlike text of a trace they stay as they are when a cell is clicked.
    """
    cells = np.argwhere(np.isfinite(numbers)).tolist()
    figure.layout.annotations = [
        {
            "x": names[column],
            "y": names[row],
            "text": _short(numbers[row, column], digits),
            "font": {"size": 10} | ({"color": "#ffffff"} if numbers[row, column] > dark else {}),
            "showarrow": False,
        }
        for row, column in cells
    ]  # all at once: adding them one by one takes seconds


def _short(number: float, digits: int) -> str:
    """−0.87 → "−.87": a cell is small on a phone."""
    text = theme.number(number, digits)
    return text.replace("0.", ".", 1) if abs(number) < 1 else text


def _add_clickable(
    figure: go.Figure, names: Sequence[str], numbers: NDArray[np.float64], value: str
) -> None:
    """An invisible square on every cell, which carries its pair."""
    cells = [
        (names[row], names[column]) for row, column in np.argwhere(np.isfinite(numbers)).tolist()
    ]
    hidden = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x=[column for _, column in cells],
        y=[row for row, _ in cells],
        mode="markers",
        marker={"size": 30, "opacity": 0, "symbol": "square"},
        selected=hidden,
        unselected=hidden,
        customdata=[
            [*cell, float(number)]
            for cell, number in zip(cells, numbers[np.isfinite(numbers)], strict=True)
        ],
        hovertemplate=(
            f"%{{customdata[0]}} and %{{customdata[1]}}: {value} %{{customdata[2]:.2f}}"
            "<extra></extra>"
        ),
    )


def _outline(figure: go.Figure, row: int, column: int) -> None:
    figure.add_shape(
        type="rect",
        x0=column - 0.5,
        x1=column + 0.5,
        y0=row - 0.5,
        y1=row + 0.5,
        line={"color": theme.BAD, "width": 2.5},
    )


# --- light and colour ----------------------------------------------------------------------


def intensity(histograms: pd.DataFrame, labels: Sequence[str], classes: Sequence[str]) -> go.Figure:
    """How often each intensity occurs: one row per channel, one line per label.

    Args:
        histograms: label, channel, bin_left, bin_right, share (of the label's pixels).
        labels: classes to show, and "all" for the whole data set, drawn dashed.
    """
    channels = list(dict.fromkeys(histograms["channel"]))
    colours = theme.class_colours(classes) | {"all": theme.REFERENCE}
    only = len(labels) == 1  # one line per panel: in the colour of its channel, filled
    figure = make_subplots(
        rows=len(channels), shared_xaxes=True, vertical_spacing=0.06, row_titles=channels
    )
    for row, channel in enumerate(channels, start=1):
        part = histograms[histograms["channel"] == channel]
        for label in labels:
            line = part[part["label"] == label]
            colour = palette.CHANNELS[channel] if only else colours[label]
            figure.add_scatter(
                x=(line["bin_left"] + line["bin_right"]) / 2,
                y=line["share"],
                mode="lines",
                line={
                    "color": colour,
                    "width": 2,
                    "dash": "dash" if label == "all" and not only else "solid",
                    "shape": "hvh",
                },
                fill="tozeroy" if only else None,
                fillcolor=_transparent(colour),
                name=label if label != "all" else "all categories",
                legendgroup=label,
                showlegend=row == 1 and not only,
                row=row,
                col=1,
                hovertemplate=f"{label}, {channel} %{{x:.0f}}: %{{y:.1%}}<extra></extra>",
            )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(range=[0, 256])
    figure.update_xaxes(title="intensity, 0 dark to 255 bright", row=len(channels), col=1)
    shown = "Share of the pixels at each intensity; one panel per colour channel"
    height = 130 + 150 * len(channels)
    finding = wording.intensity(findings.mean_levels(histograms), labels)
    return theme.finish(figure, finding, shown, height=height)


def distribution(statistics: pd.DataFrame, measure: str, classes: Sequence[str]) -> go.Figure:
    """Spread of one measure in each class (label and a column per measure), as boxes.

    A box holds the middle half of the images, its line is the median, the whiskers reach from
    5 % to 95 %. Only these five numbers are sent to the browser.
    """
    names = _present(statistics["label"].tolist(), classes)
    colours = theme.class_colours(classes)
    spread = statistics.groupby("label")[measure].quantile(np.array(QUANTILES)).unstack().loc[names]
    low, first, middle, third, high = (spread[q] for q in QUANTILES)
    figure = go.Figure()
    for name in names:
        figure.add_box(
            y=[name],
            orientation="h",
            lowerfence=[low[name]],
            q1=[first[name]],
            median=[middle[name]],
            q3=[third[name]],
            upperfence=[high[name]],
            name=name,
            line={"color": colours[name]},
            fillcolor=_transparent(colours[name]),
            whiskerwidth=0.5,
        )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_xaxes(title=f"{measure} ({MEASURES[measure].unit})")
    shown = (
        "Middle half of the images as a box with its median, 5 % to 95 % as whiskers; "
        f"n = {theme.count(len(statistics))}"
    )
    finding = wording.distribution(middle, measure)
    return theme.finish(figure, finding, shown, height=100 + 34 * len(names))


# --- map -----------------------------------------------------------------------------------


def embedding_map(
    points: pd.DataFrame, classes: Sequence[str], picked: ImageKey | None = None
) -> go.Figure:
    """Images as dots (split, id, label, x, y), similar ones near each other; dots can be clicked.

    Each dot carries (split, id) as `customdata`; `picked` is circled.
    """
    colours = theme.class_colours(classes)
    figure = go.Figure()
    for name in _present(points["label"].tolist(), classes):
        rows = points[points["label"] == name]
        figure.add_scatter(
            x=rows["x"],
            y=rows["y"],
            mode="markers",
            name=name,
            marker={"color": colours[name], "size": 7, "opacity": 0.75},
            unselected={"marker": {"opacity": 0.75}},
            customdata=rows[["split", "id"]].to_numpy(object).tolist(),
            hovertemplate=f"{name}, %{{customdata[0]}} %{{customdata[1]}}<extra></extra>",
        )
    _circle(figure, points, picked)
    figure.update_xaxes(showticklabels=False, showgrid=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, showgrid=False, zeroline=False, scaleanchor="x")
    figure.update_layout(clickmode="event+select")
    where = theme.listing([str(split) for split in dict.fromkeys(points["split"])])
    shown = (
        f"Each dot is one {where} image; near means similar, the axes have no unit; "
        f"n = {theme.count(len(points))}. Click a dot to see its image"
    )
    return theme.finish(figure, wording.map_agreement(points), shown, height=560)


def _circle(figure: go.Figure, points: pd.DataFrame, picked: ImageKey | None) -> None:
    if picked is None:
        return
    row = points[(points["split"] == picked.split) & (points["id"] == picked.id)]
    figure.add_scatter(
        x=row["x"],
        y=row["y"],
        mode="markers",
        marker={
            "size": 18,
            "color": "rgba(0,0,0,0)",
            "line": {"color": theme.BAD, "width": 3},
        },
        showlegend=False,
        hoverinfo="skip",
    )


# --- two classes ---------------------------------------------------------------------------


def pair_differences(measures: pd.DataFrame, pair: Pair, n: int) -> go.Figure:
    """How often the first class has more of each measure than the second, around one half.

    `measures` comes from `findings.pair_measures`, computed from `n` images.
    """
    first, second = pair
    lean = measures["lean"]
    more, less = palette.PALETTE[0], palette.PALETTE[3]
    figure = go.Figure(
        go.Bar(
            x=lean - 0.5,
            base=0.5,
            y=measures["title"],
            orientation="h",
            marker={"color": [more if value >= 0.5 else less for value in lean]},
            text=lean.map(lambda value: theme.percent(value, 0)),
            textposition="outside",
            cliponaxis=False,
            customdata=measures[["first", "second"]],
            hovertemplate=(
                f"median %{{customdata[0]:.1f}} for {first}, %{{customdata[1]:.1f}} for {second}"
                "<extra></extra>"
            ),
        )
    )
    figure.add_vline(x=0.5, line={"color": theme.REFERENCE, "dash": "dash"})
    figure.update_xaxes(
        title=f"← more in {second}    more in {first} →", range=[-0.05, 1.05], tickformat=".0%"
    )
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    shown = (
        f"Share of pairs, one {first} and one {second}, in which {first} has more; "
        f"n = {theme.count(n)} images"
    )
    finding = wording.pair_difference(measures, pair)
    return theme.finish(figure, finding, shown, height=130 + 44 * len(measures))
