"""Frames in, matplotlib figures out, for the notebooks and the README; the caller shows or saves.

Every title says what was found where the figure has a finding, else what is shown. A class keeps
its colour everywhere (`palette`), small images keep their pixels (nearest interpolation). Figures
are made without pyplot, so nothing stays open behind the caller's back.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import figure as mpl_figure
from matplotlib import patheffects, ticker
from matplotlib.patches import Patch
from numpy.typing import NDArray

from src.charts import palette, theme, wording
from src.charts.palette import GREY, PALETTE, class_colour
from src.data import findings as data_findings
from src.data import images
from src.data.findings import MEASURES
from src.evaluation import findings, metrics
from src.evaluation.reliability import Reliability

Axes = Any  # matplotlib.axes.Axes, untyped here

INK = "#262a31"
TRAIN, VALIDATION = PALETTE[1], PALETTE[0]
MARKERS = "os^Dv<>PX"  # so that colour is never the only sign
SIDE, TITLE = 0.75, 0.55  # inches: a small image, the room of a title
GOOD = {"supported": PALETTE[2], "refuted": PALETTE[3], "undecided": GREY}
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 9,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
}


class Figure(mpl_figure.Figure):
    """A figure that a notebook shows by itself, without pyplot's help."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


# --- data --------------------------------------------------------------------------------------


def class_counts(frame: pd.DataFrame) -> Figure:
    """Bars of images per class, stacked by split (frame of `exploration.class_counts`)."""
    counts = frame.pivot(index="label", columns="split", values="count")
    counts = counts.loc[frame["label"].unique(), [s for s in palette.SPLITS if s in counts]]
    total = counts.sum(axis=1)
    figure, axes = _axes(1, 1, (8, 0.32 * len(counts) + 1.6))
    colours = [class_colour(k) for k in range(len(counts))]
    left = np.zeros(len(counts))
    for split in counts:
        width = counts[split].to_numpy()
        axes.barh(total.index, width, left=left, color=colours, alpha=palette.SPLITS[str(split)])
        left += width
    for place, n in enumerate(total):
        axes.text(n, place, f" {n:,}", va="center", color=INK)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="images", xlim=(0, total.max() * 1.12))
    splits = [
        Patch(color=INK, alpha=palette.SPLITS[str(name)], label=f"{name} ({counts[name].sum():,})")
        for name in counts
    ]
    figure.legend(handles=splits, loc="outside lower center", ncols=len(splits), frameon=False)
    return _titled(figure, wording.balance(total))


def sample_grid(gallery: pd.DataFrame, title: str = "") -> Figure:
    """One row of images per class (gallery frame: label, png)."""
    groups = {str(label): rows for label, rows in gallery.groupby("label", sort=False)}
    columns = max(map(len, groups.values()))
    figure, axes = _image_grid(len(groups), columns)
    for k, (name, rows) in enumerate(groups.items()):
        for place, png in enumerate(rows["png"]):
            _show(axes[k, place], images.from_png(png))
        _row_label(axes[k, 0], name, class_colour(k))
    return _titled(figure, title or f"{_splits(gallery)} images of each class, drawn at random")


def class_pictures(frame: pd.DataFrame, shape: tuple[int, int, int]) -> Figure:
    """Mean image and variability of each class, side by side; `shape` is (H, W, C)."""
    names = frame["label"].unique()
    stored = {str(k): np.stack(list(v)) for k, v in frame.groupby("kind")["values"]}  # (K, H·W·C)
    means = stored["mean"].reshape(len(names), *shape)
    spread = stored["variability"].reshape(len(names), *shape).mean(-1)
    figure, axes = _image_grid(2, len(names), right=0.9)
    for k, name in enumerate(names):
        _show(axes[0, k], np.rint(means[k]).astype(np.uint8))
        axes[0, k].set_title(name, color=class_colour(k), fontweight="bold", fontsize=8)
        heat = axes[1, k].imshow(spread[k], cmap="cividis", vmin=spread.min(), vmax=spread.max())
        _bare(axes[1, k])
    _row_label(axes[0, 0], "mean")
    _row_label(axes[1, 0], "variability")
    beside = axes[1, -1].inset_axes((1.1, 0, 0.1, 1))
    figure.colorbar(heat, cax=beside, label="σ (0–255)")
    return _titled(figure, wording.variability(data_findings.variability(frame)))


def mean_differences(frame: pd.DataFrame) -> Figure:
    """Heatmap of the distances between mean images (`exploration.mean_differences`)."""
    title = wording.mean_differences(data_findings.pair_ends(frame, "distance"))
    label = "RMS difference of mean images (of 255)"
    return _square(_matrix(frame, "distance"), title, ".0f", label, cmap="cividis_r")


def class_similarity(frame: pd.DataFrame) -> Figure:
    """Heatmap of how similar classes are (`exploration.class_similarity`)."""
    title = wording.similarity(data_findings.pair_ends(frame, "similarity"))
    scale = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}
    return _square(_matrix(frame, "similarity"), title, ".2f", "similarity (−1 to 1)", **scale)


def intensity_histogram(frame: pd.DataFrame) -> Figure:
    """Distribution of pixel values per channel, each class and all (`intensity_histogram`)."""
    channels, names = frame["channel"].unique(), frame["label"].unique()
    figure, axes = _axes(1, len(channels), (3.4 * len(channels) + 1.6, 3.4), sharey=True)
    for axis, channel in zip(np.atleast_1d(axes), channels, strict=True):
        part = frame[frame["channel"] == channel]
        for k, name in enumerate(label for label in names if label != "all"):
            _profile(axis, part[part["label"] == name], color=class_colour(k), label=name)
        _profile(axis, part[part["label"] == "all"], color=INK, linewidth=2.4, label="all")
        axis.set_title(channel, color=palette.CHANNELS[channel], fontweight="bold")
        axis.set(xlabel="pixel value (0–255)", xlim=(0, 255))
    first = np.atleast_1d(axes)[0]
    first.set(ylabel="share of pixels", ylim=(0, frame["share"].max() * 1.05))
    first.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    labels = [str(name) for name in names]
    return _titled(figure, wording.intensity(data_findings.mean_levels(frame), labels))


def _profile(axis: Axes, rows: pd.DataFrame, **style: Any) -> None:
    centre = (rows["bin_left"] + rows["bin_right"]) / 2
    axis.plot(centre, rows["share"], **{"linewidth": 1, **style})


def distributions(frame: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Boxes of every varying measure per class, over all splits (`image_statistics`).

    Quartiles and median; whiskers reach from 5 % to 95 %.
    """
    measures = data_findings.varying(frame)
    figure, axes = _axes(1, len(measures), (2.9 * len(measures) + 1, 0.3 * len(classes) + 1.8))
    for axis, measure in zip(np.atleast_1d(axes), measures, strict=True):
        _boxes(axis, [frame.loc[frame["label"] == name, measure] for name in classes])
        axis.set(title=measure, xlabel=MEASURES[measure].unit)
        axis.set_yticks(range(len(classes)), classes if axis is np.atleast_1d(axes)[0] else [])
        if measure == "sharpness":
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_major_formatter("{x:,.0f}")
            axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    most = [findings.ends(data_findings.medians(frame, name))[1].name for name in measures]
    named = [f"{measure}: {name}" for measure, name in zip(measures, most, strict=True)]
    return _titled(figure, f"Highest median of {len(frame):,} images – {', '.join(named)}")


def _boxes(axis: Axes, values: Sequence[pd.Series[float]]) -> None:
    style = {"patch_artist": True, "showfliers": False, "orientation": "horizontal"}
    median = {"color": "white", "linewidth": 1.6}
    boxes = axis.boxplot(
        values, positions=range(len(values)), whis=(5, 95), widths=0.7, medianprops=median, **style
    )
    for k, box in enumerate(boxes["boxes"]):
        box.set(facecolor=class_colour(k), edgecolor=class_colour(k))
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")


def extremes(frame: pd.DataFrame, gallery: pd.DataFrame) -> Figure:
    """The images at either end of every measure, with their values (`exploration.extremes`)."""
    pngs = _pngs(gallery)
    groups = list(frame.groupby(["measure", "end"], sort=False))
    figure, axes = _image_grid(len(groups), int(frame["rank"].max()), caption=0.14)
    for row, ((measure, end), rows) in enumerate(groups):
        for axis, item in zip(axes[row], rows.itertuples(), strict=False):
            _show(axis, images.from_png(pngs[str(item.split), item.id]))
            axis.set_xlabel(f"{item.label}: {item.value:,.0f}", fontsize=6.5, labelpad=2)
        _row_label(axes[row, 0], f"{end}\n{measure}")
    return _titled(figure, "The images at either end of each measure, with label and value")


def embedding_map(frame: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Scatter of the map, coloured by class, each class named at its middle."""
    figure, axes = _axes(1, 1, (7.5, 6.5))
    halo = [patheffects.withStroke(linewidth=3, foreground="white")]
    for k, name in enumerate(classes):
        rows = frame[frame["label"] == name]
        axes.scatter(rows["x"], rows["y"], s=9, color=class_colour(k), linewidths=0, alpha=0.75)
    for k, name in enumerate(classes):
        x, y = frame.loc[frame["label"] == name, ["x", "y"]].median()
        style = {"ha": "center", "va": "center", "fontweight": "bold", "path_effects": halo}
        axes.text(x, y, name, color=class_colour(k), **style)
    axes.set(xticks=[], yticks=[], xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    return _titled(figure, wording.map_agreement(frame))


def preprocessing(frame: pd.DataFrame) -> Figure:
    """The steps one image goes through, left to right (`exploration.preprocessing`)."""
    steps = frame.sort_values("order")
    captions = [
        _wrapped(f"{s}: {d}", 26) for s, d in zip(steps["step"], steps["description"], strict=True)
    ]
    return _strip(list(steps["png"]), captions, len(steps), wording.preparation(len(steps)))


def augmentation_preview(frame: pd.DataFrame) -> Figure:
    """The original and its variants in rows of three (`exploration.augmentation_preview`)."""
    variants = frame.sort_values("variant")
    captions = [_wrapped(text, 26) for text in variants["description"]]
    return _strip(list(variants["png"]), captions, 3, wording.augmentation(len(variants) - 1))


# --- models ------------------------------------------------------------------------------------


def learning_curves(history: pd.DataFrame, title: str = "") -> Figure:
    """Loss and accuracy over epochs, a line per seed and part (a model's `history.csv`).

    A dotted line where fine-tuning starts.
    """
    figure, axes = _axes(1, 2, (9, 3.4))
    for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for part, colour in (("train", TRAIN), ("validation", VALIDATION)):
            for number, (_, rows) in enumerate(history.groupby("seed")):
                label = None if number else part
                axis.plot(
                    rows["epoch"], rows[f"{part}_{measure}"], color=colour, label=label, linewidth=1
                )
        axis.set(xlabel="epoch", ylabel=measure)
        for epoch in _fine_tuned_from(history):
            axis.axvline(epoch - 0.5, color=INK, linewidth=0.8, linestyle=":")
    axes[0].set_ylabel("cross-entropy (nats)")
    axes[1].yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    axes[0].legend(frameon=False)
    return _titled(figure, f"{title}: {_best(history)}" if title else _best(history).capitalize())


def _fine_tuned_from(history: pd.DataFrame) -> list[int]:
    """The first epoch of fine-tuning of every seed that has one."""
    if "phase" not in history:
        return []
    tuned = history[history["phase"] == "fine_tuning"]
    return [int(epoch) for epoch in tuned.groupby("seed")["epoch"].min()]


def _best(history: pd.DataFrame) -> str:
    best = findings.best_epochs(history)
    values = best["value"]
    if len(best) == 1:
        epoch = best["epoch"].iloc[0]
        return f"best validation accuracy {theme.percent(values.iloc[0])}, in epoch {epoch}"
    reach = f"{theme.percent(values.min())} to {theme.percent(values.max())}"
    return f"best validation accuracy {reach} over {len(best)} seeds"


def confusion(counts: pd.DataFrame, title: str = "") -> Figure:
    """Annotated square of a confusion's counts (`evaluation.confusion`), coloured by row share."""
    shares = metrics.confusion_shares(counts)
    finding = wording.confusion(counts)
    full = f"{title}: {finding}" if title else finding
    figure = _square(shares, full, ".0%", "share of the label", cmap="Blues")
    figure.axes[0].set(xlabel="prediction", ylabel=f"label ({counts.to_numpy().sum():,} images)")
    return figure


def seeds(tables: Mapping[str, pd.DataFrame], split: str = "test") -> Figure:
    """Accuracy of every seed and the mean (model title → `seed_predictions.parquet`).

    The mean's 95 % interval is for other seeds and other images.
    """
    if not tables:
        return _nothing("No model was trained more than once")
    figure, axes = _axes(1, 1, (8, 0.6 * len(tables) + 1.6))
    means = {}
    for row, (name, table) in enumerate(tables.items()):
        estimate = means[name] = metrics.accuracy_over_seeds(table, split)
        rows = table[table["split"] == split]
        values = (rows["label"] == rows["prediction"]).groupby(rows["seed"]).mean()
        bars = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
        axes.scatter(values, np.full(len(values), row), color=class_colour(row), alpha=0.6, s=24)
        axes.errorbar(estimate.value, row, xerr=bars, fmt="D", color=INK, capsize=5, ms=5)
    axes.set_yticks(range(len(tables)), [_wrapped(name, 28) for name in tables])
    axes.set(xlabel=f"{split} accuracy; diamond: mean, 95 % interval for other seeds and images")
    axes.set_ylim(len(tables) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=1))
    best = findings.ends(pd.Series({name: mean.value for name, mean in means.items()}))[1]
    n = tables[best.name]["seed"].nunique()
    finding = f"Highest mean {split} accuracy: {best.name}, {theme.percent(best.value)}"
    return _titled(figure, f"{finding} ({n} seeds)")


def f1_by_class(reports: Mapping[str, pd.DataFrame], split: str = "test") -> Figure:
    """Heatmap of F1, classes by models (model title → per-class report)."""
    table = pd.DataFrame(
        {
            _wrapped(name, 18): report[report["split"] == split].set_index("label")["f1"]
            for name, report in reports.items()
        }
    )
    title = f"Mean F1 of the models: {wording.mean_class_scores(table.mean(axis=1))}"
    size = (1.3 * len(table.columns) + 3.2, 0.36 * len(table) + 2)
    figure, axes = _axes(1, 1, size)
    bar = {"label": f"F1 ({split})"}
    sns.heatmap(table, annot=True, fmt=".1%", cmap="cividis", cbar_kws=bar, ax=axes, linewidths=0.5)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="x", rotation=0)
    return _titled(figure, title)


def reliability(found: Reliability, title: str = "") -> Figure:
    """Confidence against accuracy, with the band of calibrated models (`reliability.measure`)."""
    figure, (top, bottom) = _axes(
        2, 1, (5.2, 5.6), sharex=True, gridspec_kw={"height_ratios": (3, 1)}
    )
    table = found.table
    style = {"color": GREY, "alpha": 0.5, "linewidth": 6, "label": "what chance alone would show"}
    top.plot((0, 1), (0, 1), color=GREY, linestyle="--", label="perfectly calibrated")
    top.vlines(table["confidence"], table["band_low"], table["band_high"], **style)
    top.plot(table["confidence"], table["accuracy"], "o", color=PALETTE[0], label="images")
    top.set(ylabel="accuracy", ylim=(0, 1.02))
    top.legend(frameon=False)
    width = table["bin_high"] - table["bin_low"]
    bottom.bar(table["bin_low"], table["n"], width, align="edge", color=GREY, edgecolor="white")
    bottom.set(xlabel="confidence", ylabel="images", xlim=(0, 1))
    finding = wording.calibration(found)
    return _titled(figure, f"{title}: {finding}" if title else finding)


def mistakes(frame: pd.DataFrame, gallery: pd.DataFrame, limit: int = 24) -> Figure:
    """The surest wrong answers with their images (`evaluation.most_confident_mistakes`)."""
    if frame.empty:
        return _nothing("No mistake: every image is classified correctly")
    pngs = _pngs(gallery)
    rows = frame.head(limit)
    captions = [
        f"{row.label},\ntaken for {row.prediction}\n({theme.percent(row.confidence, 0)} sure)"
        for row in theme.rows(rows)
    ]
    shown = [pngs[str(row.split), row.id] for row in theme.rows(rows)]
    return _strip(shown, captions, 8, f"The {len(rows)} mistakes the model was surest of", side=1.1)


def hypotheses(judged: Sequence[Mapping[str, Any]]) -> Figure:
    """Each hypothesis's effect with its interval against its margin (`hypotheses.json`)."""
    if not judged:
        return _nothing("No hypothesis was stated for this study")
    figure, axes = _axes(len(judged), 1, (8, 1.25 * len(judged) + 0.6))
    for axis, item in zip(np.atleast_1d(axes), judged, strict=True):
        _effect(axis, item)
    tally = pd.Series([item["verdict"] for item in judged]).value_counts()
    return _titled(figure, ", ".join(f"{n} {verdict}" for verdict, n in tally.items()).capitalize())


def _effect(axis: Axes, item: Mapping[str, Any]) -> None:
    colour, unit, margin = GOOD[item["verdict"]], item["effect"]["unit"], item["margin"]
    effect = [_finite(item["effect"][name]) for name in ("low", "value", "high")]
    known = [margin, *(x for x in effect if x is not None)]
    span = (max(known) - min(known)) or 1
    edges = min(known) - 0.15 * span, max(known) + 0.25 * span
    axis.axvline(margin, color=INK, linestyle="--", linewidth=1)
    axis.text(margin, 0.62, " margin", fontsize=8, va="center")
    low, value, high = effect
    if value is not None:  # an unbounded interval runs out of the figure
        bounds = (
            edges[0] - span if low is None else low,
            edges[1] + span if high is None else high,
        )
        bars = [[value - bounds[0]], [bounds[1] - value]]
        axis.errorbar(value, 0, xerr=bars, fmt="o", color=colour, capsize=6)
    axis.set(yticks=[], ylim=(-1, 1), xlabel=unit, xlim=edges)
    if unit == "share":
        axis.xaxis.set_major_formatter(ticker.PercentFormatter(1))
    axis.set_title(f"{item['id']} {item['title']}: {item['verdict']}", loc="left", color=colour)


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


# --- classical models --------------------------------------------------------------------------


def explained_variance(frame: pd.DataFrame, share: float = 0.95) -> Figure:
    """Cumulative share of the variance by number of components (component, cumulative)."""
    needed = findings.components_needed(frame, share)
    figure, axes = _axes(1, 1, (6.5, 3.4))
    axes.plot(frame["component"], frame["cumulative"], color=PALETTE[0])
    axes.axhline(share, color=GREY, linestyle="--", linewidth=1)
    axes.plot([needed], [share], "o", color=PALETTE[0])
    axes.set(xlabel="principal components", ylabel="share of the variance", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    return _titled(figure, wording.explained_variance(frame, share))


def member_importance(frame: pd.DataFrame) -> Figure:
    """What a blend loses without each member (`ensembles.importance`; title, log_loss_rise)."""
    rows = frame.sort_values("log_loss_rise")
    value = rows["log_loss_rise"]
    bars = [value - rows["log_loss_rise_low"], rows["log_loss_rise_high"] - value]
    figure, axes = _axes(1, 1, (7, 0.36 * len(rows) + 1.4))
    axes.barh(rows["title"], value, xerr=bars, color=PALETTE[0], alpha=0.75, capsize=3)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="rise of the log-loss when shuffled (nats; whisker: all shuffles)")
    return _titled(figure, wording.importance(frame))


def member_correlation(frame: pd.DataFrame) -> Figure:
    """How alike the members err (`ensembles.correlation`; first, second, errors)."""
    names = list(dict.fromkeys(frame["first"]))
    back = frame.rename(columns={"first": "second", "second": "first"})
    matrix = pd.concat([frame, back]).pivot_table(values="errors", index="first", columns="second")
    label = "correlation of being wrong"
    square = matrix.reindex(index=names, columns=names)
    return _square(square, wording.correlation(frame), ".2f", label, cmap="cividis", vmin=0, vmax=1)


def accuracy_against_time(frame: pd.DataFrame, split: str) -> Figure:
    """Accuracy with interval against the time of one image (title, milliseconds, value, …)."""
    figure, axes = _axes(1, 1, (9, 4.2))
    for k, row in enumerate(frame.to_dict("records")):
        place = row["milliseconds"], row["value"]
        bars = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
        style = {"fmt": MARKERS[k % len(MARKERS)], "color": class_colour(k), "capsize": 3}
        axes.errorbar(*place, yerr=bars, label=row["title"], **style)
    axes.set(xscale="log", xlabel="milliseconds per image", ylabel=f"{split} accuracy")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    axes.yaxis.set_major_formatter(ticker.PercentFormatter(1))
    finding = wording.most_accurate(frame.set_index("title")["value"])
    return _titled(figure, f"On {split}, {finding}")


# --- shared ------------------------------------------------------------------------------------


def _axes(
    rows: int,
    columns: int,
    size: tuple[float, float],
    layout: Any = "constrained",
    **options: Any,
) -> tuple[Figure, Any]:
    """Empty axes in the house style on a figure of `size` inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, dpi=110, layout=layout)
        return figure, figure.subplots(rows, columns, **options)


def _image_grid(
    rows: int, columns: int, caption: float = 0.0, right: float = 0.1
) -> tuple[Figure, Any]:
    """A grid of empty places for images with room for row labels on the left.

    `caption` and `right` are the inches left free below each image and beside the grid.
    """
    return _grid(rows, columns, SIDE, (1.1, right), caption)


def _strip(
    pngs: Sequence[bytes], captions: Sequence[str], columns: int, title: str, side: float = 1.6
) -> Figure:
    """Images, `side` inches each, with captions below, row by row."""
    rows = -(-len(captions) // columns)
    caption = 0.15 + 0.13 * max(caption.count("\n") + 1 for caption in captions)
    figure, axes = _grid(rows, columns, side, (0.1, 0.1), caption, gap=0.16)
    for axis, png, text in zip(axes.flat, pngs, captions, strict=False):
        _show(axis, images.from_png(png))
        axis.set_xlabel(text, fontsize=7.5, labelpad=3)
    return _titled(figure, title)


def _grid(
    rows: int,
    columns: int,
    side: float,
    beside: tuple[float, float],
    caption: float,
    gap: float = 0.04,
) -> tuple[Figure, Any]:
    """Places of `side` inches for images; set by hand, faster than by constraints."""
    width = sum(beside) + columns * side + (columns - 1) * gap
    height = TITLE + rows * (side + caption) + (rows - 1) * gap + 0.1
    figure, axes = _axes(rows, columns, (width, height), "none", squeeze=False)
    figure.subplots_adjust(
        left=beside[0] / width,
        right=1 - beside[1] / width,
        top=1 - TITLE / height,
        bottom=(caption + 0.1) / height,
        wspace=gap / side,
        hspace=(gap + caption) / side,
    )
    for axis in axes.flat:
        _bare(axis)
    return figure, axes


def _show(axis: Axes, pixels: NDArray[np.uint8]) -> None:
    grey = pixels.ndim == 3 and pixels.shape[2] == 1
    axis.imshow(pixels, interpolation="nearest", cmap="gray" if grey else None, vmin=0, vmax=255)
    _bare(axis)


def _bare(axis: Axes) -> None:
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def _row_label(axis: Axes, text: str, colour: str = INK) -> None:
    style = {"rotation": 0, "ha": "right", "va": "center", "fontsize": 8}
    axis.set_ylabel(text, color=colour, fontweight="bold", **style)


def _square(matrix: pd.DataFrame, title: str, form: str, label: str, **scale: Any) -> Figure:
    side = 0.52 * len(matrix) + 2
    figure, axes = _axes(1, 1, (side + 1, side))
    bar = {"label": label, "shrink": 0.8}
    sns.heatmap(
        matrix,
        annot=True,
        fmt=form,
        annot_kws={"size": 7},
        cbar_kws=bar,
        square=True,
        ax=axes,
        **scale,
    )
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="x", rotation=45)
    return _titled(figure, title)


def _nothing(text: str) -> Figure:
    """A figure that says why there is none."""
    figure, axes = _axes(1, 1, (6, 0.6))
    axes.set_axis_off()
    return _titled(figure, text)


def _titled(figure: Figure, text: str) -> Figure:
    width = int(figure.get_figwidth() * 11)
    figure.suptitle(_wrapped(text[:1].upper() + text[1:], width), fontsize=11, color=INK)
    return figure


def _matrix(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """Tidy label_a, label_b, value → square in the frame's own class order."""
    names = frame["label_a"].unique()
    return frame.pivot(index="label_a", columns="label_b", values=value).loc[names, names]


def _pngs(gallery: pd.DataFrame) -> dict[tuple[str, Any], bytes]:
    keys = zip(gallery["split"], gallery["id"], strict=True)
    return dict(zip(keys, gallery["png"], strict=True))


def _splits(frame: pd.DataFrame) -> str:
    names = ("training" if name == "train" else str(name) for name in frame["split"].unique())
    return " and ".join(names)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
