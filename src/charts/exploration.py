"""Charts and pictures of what is in a data set: frames of a run's `eda/` in, figures out.

`classes` are all classes in the model's order, which fixes their colours; a frame with fewer of
them shows fewer. Pictures are uint8 (H, W, 3), values 0 to 255.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from src.charts import palette, theme

Pixels = NDArray[np.uint8]
SPLITS = ("train", "validation", "test")
OPACITY = {"train": 1.0, "validation": 0.65, "test": 0.35}
NEUTRAL = 242.0  # of a difference picture: no difference
# Two ends of a difference picture, far apart for colour-blind readers too.
MORE, LESS = np.array([0.0, 114.0, 178.0]), np.array([213.0, 94.0, 0.0])
CHANNELS = {
    "red": palette.PALETTE[3],
    "green": palette.PALETTE[2],
    "blue": palette.PALETTE[0],
    "grey": palette.GREY,
}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
ALIKE = 5  # intensities, of 255, that nobody would tell apart
LEAN = 0.56  # share of pairs from which a difference of two classes is worth a word


class Measure(NamedTuple):
    """One number of a picture: its name, its unit and the words for much and little of it."""

    title: str
    unit: str
    more: str
    less: str


MEASURES: Mapping[str, Measure] = {
    "brightness": Measure("Brightness", "mean of the luma, 0–255", "brighter", "darker"),
    "contrast": Measure("Contrast", "standard deviation of the luma", "richer", "flatter"),
    "sharpness": Measure("Sharpness", "variance of the Laplacian", "sharper", "softer"),
    "colourfulness": Measure(
        "Colourfulness", "Hasler and Süsstrunk's measure", "more colourful", "greyer"
    ),
}


def _present(names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """The classes that occur in `names`, in the model's order."""
    known = set(names)
    return [name for name in classes if name in known]


def _ends(values: "pd.Series[float]") -> tuple[tuple[str, float], tuple[str, float]]:
    """The entries with the smallest and with the largest value, each (name, value)."""
    numbers = {str(name): float(value) for name, value in values.items()}
    low, high = min(numbers, key=numbers.__getitem__), max(numbers, key=numbers.__getitem__)
    return (low, numbers[low]), (high, numbers[high])


def _veil(colour: str, alpha: float = 0.3) -> str:
    """A hex colour made see-through, so that lines of the same colour show on it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha})"


# --- counts --------------------------------------------------------------------------------


def balance(counts: pd.DataFrame) -> str:
    """One sentence on whether the classes have equally many pictures (label, count)."""
    (low, fewest), (high, most) = _ends(counts.groupby("label")["count"].sum())
    if fewest == most:
        return f"Every category has {theme.count(most)} pictures"
    factor = most / max(fewest, 1)
    if factor < 1.1:
        return (
            f"The categories are nearly balanced: {theme.count(fewest)} to "
            f"{theme.count(most)} pictures each"
        )
    return (
        f"{theme.sentence(high)} has {factor:.1f} times as many pictures as {low}: "
        f"{theme.count(most)} and {theme.count(fewest)}"
    )


def class_counts(counts: pd.DataFrame, classes: Sequence[str]) -> go.Figure:
    """Pictures per class and split (split, label, count): one bar per class, a part per split."""
    names = _present(counts["label"].tolist(), classes)
    colours = theme.class_colours(classes)
    table = counts.pivot(index="label", columns="split", values="count").reindex(names).fillna(0)
    figure = go.Figure()
    for split in [split for split in SPLITS if split in table.columns]:
        figure.add_bar(
            x=table[split],
            y=names,
            orientation="h",
            name=split,
            marker={"color": [colours[name] for name in names], "opacity": OPACITY[split]},
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
    figure.update_xaxes(title="pictures", range=[0, 1.15 * max(totals.max(), 1)], tickformat=",")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    shown = (
        "Pictures per category; from strong to pale: train, validation, test; "
        f"n = {theme.count(totals.sum())}"
    )
    return theme.finish(figure, balance(counts), shown, height=110 + 30 * len(names))


# --- average pictures ----------------------------------------------------------------------


def class_pictures(
    pictures: pd.DataFrame, kind: str, shape: Sequence[int], labels: Sequence[str]
) -> dict[str, Pixels]:
    """The mean or variability picture of each label, uint8 (H, W, 3).

    Args:
        pictures: label, kind ("mean" or "variability"), values (H*W*C, row-major, 0–255); of
            photos a run keeps smaller, square ones.
        kind: a mean is shown as it is; variability is brightened so that the largest value of
            the labels shown is white.
        shape: (H, W, C) of the study's pictures.
    """
    rows = pictures[pictures["kind"] == kind].set_index("label")["values"]
    arrays = {name: _arranged(rows[name], shape) for name in labels if name in rows.index}
    top = max((values.max() for values in arrays.values()), default=1.0)
    scale = 255.0 / max(top, 1e-9) if kind == "variability" else 1.0
    return {name: _as_pixels(values * scale) for name, values in arrays.items()}


def difference_picture(
    pictures: pd.DataFrame, first: str, second: str, shape: Sequence[int]
) -> Pixels:
    """Where two mean pictures differ in brightness, uint8 (H, W, 3).

    Blue where `first` is brighter, orange where `second` is, near white where they agree; the
    strongest difference has the full colour. Brightness is ITU-R 601 luma.
    """
    means = pictures[pictures["kind"] == "mean"].set_index("label")["values"]
    one, two = (_luma(_arranged(means[name], shape)) for name in (first, second))
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


def contact_sheet(pictures: Sequence[Pixels], columns: int, gap: int = 2) -> Pixels:
    """Pictures (H, W, 3) side by side on white, row by row, at least `gap` pixels apart.

    Raises:
        ValueError: there is no picture.
    """
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    height, width = (max(pixels.shape[axis] for pixels in pictures) for axis in (0, 1))
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, 3)
    sheet = np.full(shape, 255, np.uint8)
    for place, pixels in enumerate(pictures):
        high, wide, _ = pixels.shape
        top = gap + place // columns * (height + gap) + (height - high) // 2
        left = gap + place % columns * (width + gap) + (width - wide) // 2
        sheet[top : top + high, left : left + wide] = pixels
    return sheet


# --- pairs of classes ----------------------------------------------------------------------


def closest_pair(pairs: pd.DataFrame, value: str, most: bool = True) -> tuple[str, str, float]:
    """(label_a, label_b, value) of the pair with the largest, or smallest, value."""
    different = pairs[pairs["label_a"] != pairs["label_b"]]
    row = different.sort_values(value, ascending=not most, kind="stable").iloc[0]
    return str(row["label_a"]), str(row["label_b"]), float(row[value])


def similarity(
    pairs: pd.DataFrame, classes: Sequence[str], picked: tuple[str, str] | None = None
) -> go.Figure:
    """How alike the classes look, −1 to 1 (label_a, label_b, similarity); cells can be clicked."""
    first, second, value = closest_pair(pairs, "similarity")
    figure = _matrix(pairs, "similarity", classes, picked, digits=2)
    finding = f"{theme.sentence(first)} and {second} look most alike ({theme.number(value, 2)})"
    shown = "Similarity of two categories, 1 alike to −1 opposite. Click a cell to compare the two"
    return theme.finish(figure, finding, shown, height=figure.layout.height)


def mean_differences(
    pairs: pd.DataFrame, classes: Sequence[str], picked: tuple[str, str] | None = None
) -> go.Figure:
    """How far the mean pictures are apart (label_a, label_b, distance); cells can be clicked."""
    first, second, value = closest_pair(pairs, "distance")
    near, other, small = closest_pair(pairs, "distance", most=False)
    figure = _matrix(pairs, "distance", classes, picked, digits=0)
    finding = (
        f"On average {first} and {second} differ most ({value:.0f}), "
        f"{near} and {other} least ({small:.0f})"
    )
    shown = "Root mean square difference of two mean pictures, of 255. Click a cell to compare"
    return theme.finish(figure, finding, shown, height=figure.layout.height)


def _matrix(
    pairs: pd.DataFrame,
    value: str,
    classes: Sequence[str],
    picked: tuple[str, str] | None,
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
            colour = CHANNELS[channel] if only else colours[label]
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
                fillcolor=_veil(colour),
                name=label if label != "all" else "all categories",
                legendgroup=label,
                showlegend=row == 1 and not only,
                row=row,
                col=1,
                hovertemplate=f"{label}, {channel} %{{x:.0f}}: %{{y:.2%}}<extra></extra>",
            )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(range=[0, 256])
    figure.update_xaxes(title="intensity, 0 dark to 255 bright", row=len(channels), col=1)
    shown = "Share of the pixels at each intensity; one panel per colour channel"
    height = 130 + 150 * len(channels)
    return theme.finish(figure, intensity_finding(histograms, labels), shown, height=height)


def mean_levels(histograms: pd.DataFrame) -> pd.DataFrame:
    """Mean intensity per label and channel, from the bins' middles: label, channel, level."""
    middle = (histograms["bin_left"] + histograms["bin_right"]) / 2
    weighted = histograms.assign(level=middle * histograms["share"])
    sums = weighted.groupby(["label", "channel"], sort=False)[["level", "share"]].sum()
    return (sums["level"] / sums["share"]).rename("level").reset_index()


def intensity_finding(histograms: pd.DataFrame, labels: Sequence[str]) -> str:
    """One sentence on the brightest and the darkest of some labels."""
    levels = mean_levels(histograms).groupby("label")["level"].mean()
    chosen = levels[[label for label in labels if label != "all"] or ["all"]]
    (low, least), (high, most) = _ends(chosen)
    if high == "all":
        return f"The mean intensity of all pictures is {most:.0f} of 255"
    if len(chosen) == 1:
        other = f", {levels['all']:.0f} over all categories" if "all" in levels.index else ""
        return f"The mean intensity of {high} is {most:.0f} of 255{other}"
    if most - least < ALIKE:
        names = theme.listing(list(chosen.index)) if len(chosen) == 2 else "All categories"
        return f"{theme.sentence(names)} are about equally bright: {least:.0f} to {most:.0f} of 255"
    return (
        f"{theme.sentence(high)} is brightest on average ({most:.0f} of 255), "
        f"{low} darkest ({least:.0f})"
    )


def distribution(statistics: pd.DataFrame, measure: str, classes: Sequence[str]) -> go.Figure:
    """Spread of one measure in each class (label and a column per measure), as boxes.

    A box holds the middle half of the pictures, its line is the median, the whiskers reach from
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
            fillcolor=_veil(colours[name]),
            whiskerwidth=0.5,
        )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_xaxes(title=f"{measure} ({MEASURES[measure].unit})")
    shown = (
        "Middle half of the pictures as a box with its median, 5 % to 95 % as whiskers; "
        f"n = {theme.count(len(statistics))}"
    )
    finding = distribution_finding(middle, measure)
    return theme.finish(figure, finding, shown, height=100 + 34 * len(names))


def distribution_finding(medians: "pd.Series[float]", measure: str) -> str:
    """One sentence on the classes with the highest and lowest median of a measure."""
    (low, least), (high, most) = _ends(medians)
    name = MEASURES[measure].title
    if high == low:
        return f"{name} of {high}: half of the pictures are above {most:.0f}"
    return f"{name} is highest for {high} (median {most:.0f}) and lowest for {low} ({least:.0f})"


# --- map -----------------------------------------------------------------------------------


def neighbour_agreement(points: pd.DataFrame, neighbours: int = 5) -> tuple[float, float]:
    """(share of the nearest neighbours of the same class, share expected by chance).

    Args:
        points: label, x, y; neighbours are found by distance on the map.
    """
    labels = pd.factorize(points["label"])[0]
    n = len(labels)
    chance = float((np.bincount(labels) / n) @ ((np.bincount(labels) - 1) / max(n - 1, 1)))
    places = points[["x", "y"]].to_numpy(np.float32)
    nearest = min(neighbours, n - 1)
    if nearest < 1:
        return math.nan, math.nan
    hits = 0
    for start in range(0, n, 256):  # in stripes, so that a map of thousands stays small
        stripe = places[start : start + 256]
        distance = ((stripe[:, np.newaxis] - places) ** 2).sum(axis=2)
        distance[np.arange(len(stripe)), np.arange(start, start + len(stripe))] = np.inf
        close = np.argpartition(distance, nearest - 1, axis=1)[:, :nearest]
        hits += int((labels[close] == labels[start : start + 256, np.newaxis]).sum())
    return hits / (n * nearest), chance


def map_finding(points: pd.DataFrame) -> str:
    """One sentence on how well the classes stay apart on the map."""
    share, chance = neighbour_agreement(points)
    if math.isnan(share):
        return "Too few pictures for a map"
    return (
        f"{theme.percent(share, 0)} of the nearest neighbours are of the same category; "
        f"by chance it would be {theme.percent(chance, 0)}"
    )


def embedding_map(
    points: pd.DataFrame, classes: Sequence[str], picked: tuple[str, int | str] | None = None
) -> go.Figure:
    """Pictures as dots (split, id, label, x, y), near where they look alike; dots can be clicked.

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
        f"Each dot is one {where} picture; near means alike, the axes have no unit; "
        f"n = {theme.count(len(points))}. Click a dot to see its picture"
    )
    return theme.finish(figure, map_finding(points), shown, height=560)


def _circle(figure: go.Figure, points: pd.DataFrame, picked: tuple[str, int | str] | None) -> None:
    if picked is None:
        return
    row = points[(points["split"] == picked[0]) & (points["id"] == picked[1])]
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


def pair_measures(statistics: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """How two classes differ in each measure.

    measure, title, first and second (medians), lean: the share of all pairs of one picture each
    in which `first` has more (ties half); 0.5 is no difference. It is the area under the ROC
    curve, from the rank sum (Mann and Whitney, 1947).
    """
    one, two = (statistics[statistics["label"] == name] for name in (first, second))
    rows = []
    varying = [name for name in MEASURES if name in statistics and statistics[name].nunique() > 1]
    for measure in varying:  # grey pictures have no colourfulness
        ranks = pd.concat([one[measure], two[measure]]).rank().to_numpy()[: len(one)]
        above = ranks.sum() - len(one) * (len(one) + 1) / 2
        rows.append(
            {
                "measure": measure,
                "title": MEASURES[measure].title,
                "first": float(one[measure].median()),
                "second": float(two[measure].median()),
                "lean": float(above / max(len(one) * len(two), 1)),
            }
        )
    return pd.DataFrame(rows)


def pair_finding(measures: pd.DataFrame, first: str, second: str) -> str:
    """One sentence on the measure in which two classes differ most (`pair_measures`)."""
    row = measures.iloc[int((measures["lean"] - 0.5).abs().argmax())]
    share = max(row["lean"], 1 - row["lean"])
    more, less = (first, second) if row["lean"] >= 0.5 else (second, first)
    if share < LEAN:
        return f"Light and colour hardly tell {first} from {second}"
    word = MEASURES[str(row["measure"])].more
    often = theme.percent(share, 0)
    return f"Take one of each: in {often} of the cases the {more} is {word} than the {less}"


def pair_differences(measures: pd.DataFrame, first: str, second: str, n: int) -> go.Figure:
    """How often `first` has more of each measure than `second`, around one half."""
    colours = (palette.PALETTE[0], palette.PALETTE[3])
    lean = measures["lean"]
    figure = go.Figure(
        go.Bar(
            x=lean - 0.5,
            base=0.5,
            y=measures["title"],
            orientation="h",
            marker={"color": [colours[0] if value >= 0.5 else colours[1] for value in lean]},
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
        f"n = {theme.count(n)} pictures"
    )
    finding = pair_finding(measures, first, second)
    return theme.finish(figure, finding, shown, height=130 + 44 * len(measures))


# --- duplicates ----------------------------------------------------------------------------


def duplicate_groups(duplicates: pd.DataFrame) -> pd.DataFrame:
    """One row per group of identical pictures: group, pictures, splits, labels, leak, mislabelled.

    leak: the same picture is in more than one split; mislabelled: it carries more than one label.
    """
    grouped = duplicates.groupby("group", sort=True)
    order = {split: place for place, split in enumerate(SPLITS)}
    return pd.DataFrame(
        {
            "group": [group for group, _ in grouped],
            "pictures": [len(rows) for _, rows in grouped],
            "splits": [
                theme.listing(sorted(set(rows["split"]), key=lambda s: order.get(s, len(order))))
                for _, rows in grouped
            ],
            "labels": [theme.listing(sorted(set(rows["label"]))) for _, rows in grouped],
            "leak": [rows["split"].nunique() > 1 for _, rows in grouped],
            "mislabelled": [rows["label"].nunique() > 1 for _, rows in grouped],
        }
    )


def duplicates_finding(groups: pd.DataFrame, brief: bool = False) -> str:
    """One sentence on exact duplicates (`duplicate_groups`); `brief` only counts them."""
    if groups.empty:
        return "No picture occurs twice"
    copies = int(groups["pictures"].sum() - len(groups))
    leaks, wrong = int(groups["leak"].sum()), int(groups["mislabelled"].sum())
    parts = [
        f"{_several(copies, 'picture is an exact copy', 'pictures are exact copies')} of another"
    ]
    if leaks and not brief:
        parts.append(f"{_several(leaks, 'group reaches', 'groups reach')} across splits")
    if wrong and not brief:
        parts.append(f"{_several(wrong, 'group has', 'groups have')} two different labels")
    return ", ".join(parts)


def _several(number: int, one: str, many: str) -> str:
    """(1, "group has", "groups have") → "1 group has"."""
    return f"{theme.count(number)} {one if number == 1 else many}"
