"""Notebook 2: the figures of the exploration, kept in the draft."""

from __future__ import annotations

import io

from matplotlib.figure import Figure
from PIL import Image

from src.runs.drafts import Draft


def record_figure(draft: Draft, name: str, figure: Figure) -> Figure:
    """Keep a figure of the exploration as PNG; returns it, for the notebook to show."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight")
    palette = Image.open(stream).convert("RGB").quantize(256)  # a third of the bytes
    small = io.BytesIO()
    palette.save(small, "PNG", optimize=True)
    draft.write(f"eda/figures/{name}.png", small.getvalue())
    return figure
