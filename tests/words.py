"""Words that the project does not use, and what it says instead: for tests of pages and documents.

One thing has one name. A pattern is a regular expression, matched without regard to case.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from streamlit.testing.v1 import AppTest

SAID_INSTEAD = {
    r"filed (alone|automatically|correctly)|files? .{0,40} alone": "sorted automatically",
    r"\bfil(ed|ing)\b|\bfiles (photos|images|pictures)\b": "sort",
    r"of these (right|correct)|right among those": "correct among these",
    r"a person should look|go(es)? to a person": "needs checking",
    r"time per picture|per picture|one picture": "time per photo, per image",
    r"\bpictures?\b": "images; photos where a visitor's own are meant",
    r"(numbers|figures|accuracies) of others": "published results, for comparison",
    r"claims more than it keeps|keeps its word": "overconfident; perfectly calibrated",
    r"false alarms": "false positive rate",
    r"views averaged|averaged views|mean over \d+ views": "test-time augmentation (TTA)",
    r"cut to the middle|photos of another shape": "crop to the centre; photos that are not square",
    r"\bveil\b": "highlight strength",
    r"speaks? for\b": "evidence for",
    r"really cat": "true label",
    r"as the trained model does": "identical to the trained model",
    r"none is (both )?faster and better": "best trade-off",
    r"at everyone's best length": "each variant trained to its own best length",
    r"turned out": "verdict",
    r"mix-?ups?\b": "confusion matrix",
    r"look-?alikes?\b": "similar classes",
    r"\btaught\b|\bpupils?\b": "student, teacher",
    r"\bcontestants?\b|\bthe race\b|taking turns": "training benchmark, interleaved runs",
    r"\bstrangers?\b": "client",
    r"learn(t|ed) to see": "pretrained",
    r"how weights move": "optimizers and schedules",
    r"already learnt": "data pruning",
}


def found(text: str) -> list[str]:
    """What the text says although the project does not, each with what to say instead."""
    return [
        f"{match[0]!r}: say {instead!r}"
        for pattern, instead in SAID_INSTEAD.items()
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]


def of_page(app: AppTest, *, charts: bool = True) -> Iterator[str]:
    """All that a page says: text, labels, options, tables, and everything in its charts."""
    for element in [*app.title, *app.header, *app.subheader, *app.markdown, *app.caption]:
        yield f"{element.value}\n{element.proto.help}"
    for element in [*app.info, *app.warning, *app.error]:
        yield str(element.value)
    for metric in app.metric:
        yield metric.label
    for widget in [*app.selectbox, *app.segmented_control, *app.select_slider, *app.toggle]:
        yield widget.label
    for widget in [*app.selectbox, *app.segmented_control]:
        yield from map(str, widget.options)
    yield from [tab.label for tab in app.tabs]
    yield from [expander.label for expander in app.expander]
    yield from [frame.proto.columns for frame in app.dataframe]
    for table in app.table:
        yield table.value.to_csv()
    for chart in app.get("plotly_chart") if charts else []:
        spec = json.loads(chart.proto.spec)
        yield json.dumps([spec["layout"], [_words_of(trace) for trace in spec["data"]]])
        yield chart.proto.alt


def _words_of(trace: dict[str, Any]) -> dict[str, Any]:
    return {key: trace[key] for key in ("name", "hovertemplate") if key in trace}
