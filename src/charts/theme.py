"""How every chart looks: one template, one number format, one colour per class.

Backgrounds are transparent and colours hold on white and on near-black alike, so the same
figure serves both themes; `template` only fixes the ink for a figure used outside the app.
"""

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from src.charts.palette import class_colour

# Reads on a white and on a near-black page (contrast at least 3:1 on both).
ACCENT = "#2f7fc1"
REFERENCE = "#8a8f98"
BAD = "#d1495b"
GOOD = "#2a9d6f"
GRID = "rgba(128, 134, 145, 0.25)"
# From nothing to full ink: a zero cell is the page itself, in either theme.
# Pale up to two thirds, so that numbers in the page's ink stay readable; then white ones do.
INK_SCALE = (
    (0.0, "rgba(47, 127, 193, 0.04)"),
    (0.65, "rgba(47, 127, 193, 0.4)"),
    (1.0, "rgba(47, 127, 193, 1)"),
)
DARK_FROM = 0.72  # share of the scale from which numbers are white
ERROR_SCALE = (
    (0.0, "rgba(209, 73, 91, 0)"),
    (0.65, "rgba(209, 73, 91, 0.4)"),
    (1.0, "rgba(209, 73, 91, 1)"),
)
MARGIN = {"l": 8, "r": 16, "t": 32, "b": 8}
LEGEND_ROOM = 60  # pixels above a chart with a legend: it stays clear of the tool bar
LEGEND = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": {"text": ""}}

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MODEL_COLOURS = ("#2f7fc1", "#d9822b", "#2a9d6f", "#b15fb0", "#8a8f98", "#c2a32b", "#d1495b")


def template(dark: bool = False) -> go.layout.Template:
    """Plotly template of the project; `dark` only chooses the ink of text and lines."""
    ink = "#e6e8eb" if dark else "#262a31"
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "automargin": True, "title_standoff": 8}
    return go.layout.Template(
        layout={
            "font": {"color": ink, "size": 13},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(MODEL_COLOURS),
            "margin": MARGIN,
            "hoverlabel": {"align": "left"},
            "modebar": {"orientation": "v"},  # upright it leaves the legend's row alone
            "legend": {
                "orientation": "h",
                "yanchor": "bottom",
                "y": 1.02,
                "x": 0,
                "title_text": "",
            },
            "xaxis": axis,
            "yaxis": axis,
            "bargap": 0.25,
        }
    )


def finish(
    figure: go.Figure, finding: str, shown: str, *, height: int = 380, dark: bool = False
) -> go.Figure:
    """The figure with the project's template, its finding as title and `shown` as subtitle.

    Margins and legend are set on the figure itself: the app's theme replaces the template's.
    """
    named = [trace for trace in figure.data if trace.name and trace.showlegend is not False]
    legend = figure.layout.showlegend is not False and len(named) > 1
    rows = max(0, len(named) - 3) if legend else 0  # long legends take a line per entry
    figure.update_layout(
        template=template(dark),
        height=height + (LEGEND_ROOM - MARGIN["t"]) * legend + 14 * rows,
        title={"text": finding, "subtitle": {"text": shown}},
        margin=MARGIN | ({"t": LEGEND_ROOM} if legend else {}),
        legend=LEGEND,
    )
    return figure


def wrapped(text: str, width: int = 24) -> str:
    """A label broken into lines of at most `width` characters, so that a phone can show it."""
    return "<br>".join(textwrap.wrap(text, width)) or text


def extent(label: str) -> tuple[int, int]:
    """Lines of a `wrapped` label, and characters of the longest."""
    lines = label.split("<br>")
    return len(lines), max(map(len, lines))


def headline(figure: go.Figure) -> tuple[str, str]:
    """(finding, what is shown) of a figure made by `finish`; empty where there is none."""
    title = figure.layout.title
    return title.text or "", (title.subtitle.text if title.subtitle else "") or ""


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """Colour of each class by its position in the model's order: the same on every page."""
    return {name: class_colour(index) for index, name in enumerate(classes)}


def model_styles(models: Sequence[str]) -> dict[str, dict[str, str]]:
    """Line colour and dash of each model by its position: two signs, so colour is never alone."""
    return {
        name: {"color": MODEL_COLOURS[i % len(MODEL_COLOURS)], "dash": DASHES[i % len(DASHES)]}
        for i, name in enumerate(models)
    }


def bars(values: pd.Series, low: pd.Series, high: pd.Series, colour: Any) -> dict[str, Any]:
    """Plotly's form of an asymmetric interval around values."""
    return {
        "type": "data",
        "symmetric": False,
        "array": high - values,
        "arrayminus": values - low,
        "thickness": 1.5,
        "width": 4,
        "color": colour,
    }


def percent(share: float | None, digits: int = 1) -> str:
    """0.8731 → "87.3 %"; a missing value is an en dash; only all there are is "100.0 %"."""
    if share is None or math.isnan(share):
        return "–"
    return f"{share:.{_decimals(share, digits)}%}".replace("%", "\u00a0%")


def _decimals(share: float, digits: int) -> int:
    """As many decimals as tell a share from all there are."""
    while share < 1 and digits < 4 and round(100 * share, digits) == 100:
        digits += 1
    return digits


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """(0.861, 0.884) → "86.1–88.4 %": a 95 % interval of a share; its ends as in `percent`."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "–"
    digits = _decimals(high, digits)
    return f"{100 * low:.{digits}f}–{100 * high:.{digits}f}\u00a0%"


def points(difference: float | None, digits: int = 1) -> str:
    """0.0512 → "+5.1 points": a difference of two shares in percentage points."""
    if difference is None or math.isnan(difference):
        return "–"
    return f"{_unsigned_zero(f'{100 * difference:+.{digits}f}')} points".replace("-", "\u2212")


def count(number: float | None) -> str:
    """10000 → "10,000"."""
    return "–" if number is None or math.isnan(number) else f"{number:,.0f}"


Formats = dict[str, Callable[..., str]]  # how a table writes each of its columns


def decimal(digits: int) -> Callable[[float | None], str]:
    """`number` with so many decimals, for the columns of a table."""
    return lambda value: number(value, digits)


def sample(size: float) -> str:
    """10000 → "n = 10,000", which no line break takes apart."""
    return f"n\u00a0=\u00a0{count(size)}"


def of_hundred(share: float) -> str:
    """0.874 → "87 of 100"; shares near the ends are not rounded to none or all."""
    hundredths = round(100 * share)
    if 0 < share < 1 and hundredths in (0, 100):
        return "more than 99 of 100" if hundredths else "fewer than 1 of 100"
    return f"{hundredths} of 100"


def confidence(share: float | None) -> str:
    """0.723 → "72.3 %"; 0.99997 → "99.997 %": as many digits as keep it apart from certainty."""
    if share is not None and share >= 0.999995:
        return f"more than {percent(0.99999)}"
    return percent(share)


def images(number_of: int) -> str:
    """0 → "no image", 1 → "1 image", 1234 → "1,234 images"."""
    return {0: "no image", 1: "1 image"}.get(number_of, f"{number_of:,} images")


def milliseconds(value: float | None) -> str:
    """0.0641 → "0.064 ms"; 0.128 → "0.13 ms"; 1.84 → "1.8 ms"; 12.4 → "12 ms"."""
    return "–" if value is None or math.isnan(value) else f"{_rounded(value)}\u00a0ms"


def milliseconds_interval(low: float, high: float) -> str:
    """(1.1, 2.13) → "1.1–2.1 ms"."""
    return f"{_rounded(low)}–{_rounded(high)}\u00a0ms"


def _rounded(value: float) -> str:
    decimals = sum(value < limit for limit in (0.1, 1, 10))  # two digits that count
    return f"{value:,.{decimals}f}"


def number(value: float | None, digits: int = 3) -> str:
    """0.41237 → "0.412"; with a true minus sign."""
    if value is None or math.isnan(value):
        return "–"
    return _unsigned_zero(f"{value:,.{digits}f}").replace("-", "\u2212")


def _unsigned_zero(number: str) -> str:
    """Nothing has no sign: "-0.00" is "0.00"."""
    return number if number.strip("+-0.,") else number.lstrip("+-")


def p_value(p: float) -> str:
    """0.0213 → "p = 0.021"; tiny ones as a bound, for their digits mean nothing."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def file_size(size: float | None) -> str:
    """1536000 → "1.5 MB" (decimal units, as a download would show)."""
    if size is None or math.isnan(size):
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size:.0f} bytes"


def duration(seconds: float | None) -> str:
    """4321 → "1 h 12 min"; 95 → "1 min 35 s"; 0.0042 → "4.2 ms"."""
    if seconds is None or math.isnan(seconds):
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60) if seconds >= 3600 else int(seconds // 60)
    if seconds < 3600:
        return f"{minutes} min {seconds % 60:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min"


def spelled(number_of: int) -> str:
    """5 → "Five", 12 → "12": a number that begins a sentence."""
    small = "No One Two Three Four Five Six Seven Eight Nine".split()
    return small[number_of] if number_of < len(small) else count(number_of)


def listing(names: Sequence[str]) -> str:
    """["a", "b", "c"] → "a, b and c"."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def sentence(text: str) -> str:
    """The text with its first letter in upper case and all others as they are."""
    return text[:1].upper() + text[1:]


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows as named tuples; typed as Any, because a type checker cannot know the columns."""
    return iter(frame.itertuples())
