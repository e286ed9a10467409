"""What a model says about one image, drawn: its probabilities and where its evidence lies."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from src.charts import theme

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
HEAT = np.array([255.0, 140.0, 0.0])  # orange: seen on photos, and by colour-blind readers
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def probabilities(
    values: Floats, classes: Sequence[str], threshold: float | None = None
) -> go.Figure:
    """All class probabilities (K,) of one image as bars, the largest on top.

    `threshold` is drawn as a line: at or above it an image is sorted automatically.
    """
    order = np.argsort(-values, kind="stable").tolist()
    colours = theme.class_colours(classes)
    names = [classes[i] for i in order]
    shares = [float(values[i]) for i in order]
    figure = go.Figure(
        go.Bar(
            x=shares,
            y=names,
            orientation="h",
            marker={"color": [colours[name] for name in names]},
            text=[theme.percent(share) for share in shares],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    )
    if threshold is not None:
        figure.add_vline(x=threshold, line={"color": theme.REFERENCE, "dash": "dash", "width": 1.5})
    figure.update_xaxes(range=[0, 1.16], tickvals=[0, 0.5, 1], tickformat=".0%")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    theme.finish(figure, probabilities_finding(values, classes), "", height=80 + 21 * len(names))
    return figure.update_layout(bargap=0.2)


def probabilities_finding(values: Floats, classes: Sequence[str]) -> str:
    """One sentence: the most probable class, and the next one."""
    order = np.argsort(-values, kind="stable").tolist()
    best = f"{theme.sentence(classes[order[0]])} with {theme.percent(float(values[order[0]]))}"
    if len(order) < 2:
        return best
    return f"{best}, then {classes[order[1]]} with {theme.percent(float(values[order[1]]))}"


def evidence(activation: Floats, index: int, size: tuple[int, int]) -> Floats:
    """Where an image speaks for a class: (H, W), 0 none to 1 most, `size` being (H, W).

    The class-activation map (h, w, K) of Zhou et al. (2016) for one class, negative evidence left
    out, divided by its maximum, enlarged bilinearly. All zero where nothing speaks for the class.
    """
    positive = np.clip(activation[:, :, index], 0, None).astype(np.float32)
    top = float(positive.max())
    if top <= 0:
        return np.zeros(size, np.float32)
    small = Image.fromarray(positive / top)
    large = small.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(large, np.float32), 0, 1)


def overlay(pixels: Pixels, heat: Floats, strength: float) -> Pixels:
    """The image, uint8 (H, W, 3), under an orange veil as thick as the evidence (H, W).

    `strength` fades it, 0 to 1. At 0 it is the image itself, at 1 the most evidence hides it.
    """
    veil = (strength * heat)[..., np.newaxis]
    return np.asarray(np.rint(pixels * (1 - veil) + HEAT * veil), np.uint8)


def strongest_place(heat: Floats) -> str | None:
    """Where most of the evidence (H, W) lies, in words, by thirds; None where there is none."""
    if heat.max() <= 0:
        return None
    thirds = [np.array_split(row, 3, axis=1) for row in np.array_split(heat, 3, axis=0)]
    sums = np.array([[part.mean() if part.size else 0.0 for part in row] for row in thirds])
    row, column = divmod(int(sums.argmax()), 3)
    return "centre" if row == column == 1 else f"{ROWS[row]} {COLUMNS[column]}"


def enlarge(pixels: Pixels, side: int) -> Pixels:
    """(H, W, 1 or 3) → (H', W', 3): a whole number of times, unsmoothed, up to `side` pixels."""
    factor = max(1, side // max(pixels.shape[:2]))
    large = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    return np.repeat(large, 3, axis=2) if large.shape[2] == 1 else large
