"""Shared pieces of the pages: each draws something and returns what the person chose."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app_pages import loaders
from src.charts import theme
from src.data.formats import DataError
from src.runs import published

P = ParamSpec("P")
Option = TypeVar("Option", bound=str)

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
CHART_CONFIG = {"displaylogo": False, "scrollZoom": False}
# What a chart that cannot be dragged has no use for; the camera (PNG) stays.
ZOOM_BUTTONS = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d"]
SELECT_BUTTONS = ["select2d", "lasso2d"]


class Figure(NamedTuple):
    """One number of a metric row: its text, its interval and what it counts."""

    label: str
    value: str
    interval: str = ""
    basis: str = ""  # such as "n = 10,000 test pictures"
    help: str | None = None


# --- which run -----------------------------------------------------------------------------


def choose_run(page: str) -> None:
    """Draw the study and version selectors in the sidebar; both live in the URL.

    `page` is the page that is shown: a link from another one may name another study.
    """
    studies = loaders.studies()
    if not studies:
        return
    arrived = st.session_state.get("page") not in (None, page)
    st.session_state["page"] = page
    with st.sidebar:
        _note_gone("study", studies)
        _follow_link("study", studies, arrived)
        study = choose(
            "Study", "study", studies, loaders.first_study(studies), on_change=_forget_gone
        )
        versions = loaders.versions(study)
        _note_gone("version", versions)
        _follow_link("version", versions, arrived)
        choose("Version", "version", versions, versions[0], on_change=_forget_gone)


def _follow_link(key: str, options: Sequence[str], arrived: bool) -> None:
    """Take the value of the link by which somebody came; else the selector keeps its own."""
    asked = st.query_params.get(key)
    if arrived and asked in options:
        st.session_state[key] = asked


def _note_gone(key: str, options: Sequence[str]) -> None:
    """Remember what an old link asks for in vain, for `current_run` to tell."""
    asked = st.query_params.get(key)
    if key not in st.session_state and asked not in (None, *options):
        st.session_state[f"gone_{key}"] = asked


def _forget_gone() -> None:
    for key in ("gone_study", "gone_version"):
        st.session_state.pop(key, None)


def choose(
    label: str,
    key: str,
    options: Sequence[str],
    first: str,
    on_change: Callable[[], None] | None = None,
) -> str:
    """A selector whose value is always written in the URL, so that a link keeps its meaning.

    Its widget default is "nothing": a value equal to the default would be left out of the URL,
    and a link to today's newest version would show another one tomorrow.
    """
    if key not in st.session_state:
        if st.query_params.get(key) not in options:
            st.query_params[key] = st.session_state[key] = first
    elif st.session_state[key] not in options:  # another study, which has no such version
        st.session_state[key] = first
    st.caption(label)  # the widget's own label would add "(required)"
    chosen = st.selectbox(
        label,
        options,
        index=None,
        key=key,
        bind="query-params",
        required=True,
        label_visibility="collapsed",
        on_change=on_change or "rerun",
    )
    return chosen if chosen is not None and chosen in options else first


def switch(
    label: str,
    options: Sequence[Option],
    key: str,
    *,
    named: Callable[[Option], str] = str.capitalize,
    **more: Any,
) -> Option:
    """One of a few options side by side, the first unless chosen; in the URL."""
    chosen = st.segmented_control(
        label,
        options,
        default=options[0],
        format_func=named,
        key=key,
        bind="query-params",
        required=True,
        **more,
    )
    return chosen if chosen in options else options[0]


def current_run() -> published.Run:
    """The run that the sidebar points at; where none is published, say what to do and stop.

    Raises `runs.RunError` for a run that is gone or altered; `readable` tells the person.
    """
    studies = loaders.studies()
    if not studies:
        _nothing_published()
        st.stop()
    study, version = st.session_state.get("study"), st.session_state.get("version")
    study = study if study in studies else studies[0]
    versions = loaders.versions(study)
    version = version if version in versions else versions[0]
    _tell_gone(study, version)
    run = loaders.open_run(study, version)
    if run.manifest.get("profile") == "quick":
        st.caption(
            ":material/timer: Made with the quick profile: to try the dashboard, not to decide by."
        )
    return run


def _nothing_published() -> None:
    st.title("No study has been published yet")
    st.markdown(
        "The dashboard shows finished studies from the outputs folder, and there is none. "
        "A small one takes a few minutes and no download:"
    )
    st.code("make notebooks STUDY=digits PROFILE=quick", language="bash")
    st.markdown("Then reload this page. The whole study of product photos is:")
    st.code("make notebooks STUDY=cifar10 PROFILE=full", language="bash")


def _tell_gone(study: str, version: str) -> None:
    for key, kind in (("gone_study", "study"), ("gone_version", "version")):
        if asked := st.session_state.get(key):
            st.warning(
                f"This link asks for {kind} “{plain(asked)}”, which is not published here. "
                f"You are looking at {study} {version}; choose another one in the sidebar.",
                icon=":material/link_off:",
            )


def failed(error: Exception) -> None:
    """Say that a published run could not be read, and what to do about it."""
    st.error(f"This version cannot be shown. {plain(str(error))}", icon=":material/broken_image:")
    st.markdown(
        "Choose another version in the sidebar, or bring the files back from version control. "
        "`./setup.sh` lists what is missing or altered."
    )


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turn a run, or a file of `inputs/`, that cannot be read into a message on the page."""
    try:
        yield
    except published.RunError as error:
        failed(error)
    except DataError as error:
        st.error(f"What was written down cannot be used. {plain(str(error))}")
        st.markdown("Correct the file in the folder `inputs/studies`, then reload this page.")


def section(draw: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that reruns alone and whose missing tables never break the others."""

    @st.fragment
    @functools.wraps(draw)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        with readable():
            draw(*args, **kwargs)

    return guarded


def page_link(run: published.Run, page: str, label: str | None = None) -> None:
    """A link to another page of the app, keeping study and version."""
    st.page_link(
        f"app_pages/{page}.py",
        label=label,
        icon=":material/arrow_forward:",
        query_params={"study": run.study, "version": run.version},
    )


# --- text and numbers ----------------------------------------------------------------------


def plain(text: str) -> str:
    """Text from outside as Markdown that shows it literally."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]()#+-.!|$:~<>" else char for char in text)


def opening(title: str, answer: str, figures: Sequence[Figure] = ()) -> None:
    """Open a page: its title, its finding in one sentence, at most five figures."""
    st.title(title)
    st.markdown(f"#### {answer}")
    metric_row(figures)


def metric_row(figures: Sequence[Figure]) -> None:
    """A row of numbers with their intervals; wraps on a phone."""
    if not figures:
        return
    with st.grid(len(figures), min_column_width=150):
        for figure in figures:
            with st.container(border=True, height="stretch", gap="xsmall"):
                st.metric(
                    figure.label,
                    figure.value,
                    figure.interval or None,
                    delta_color="off",
                    delta_arrow="off",
                    help=figure.help,
                )
                st.caption(figure.basis)


def share_figure(label: str, metric: Mapping[str, Any], basis: str) -> Figure:
    """A `Figure` of a share: {value, low, high} → percent with its 95 % interval."""
    value = metric["value"]
    known = not math.isnan(value)
    return Figure(
        label,
        theme.percent(value),
        theme.interval(metric["low"], metric["high"]) if known else "",
        basis,
        "The range is the 95\u00a0% interval.",
    )


def in_percent(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Shares as percentages, for tables that print them with a fixed number of decimals."""
    return frame.assign(**{column: 100 * frame[column] for column in columns})


# --- charts --------------------------------------------------------------------------------


def chart(
    figure: go.Figure,
    *,
    alt: str | None = None,
    sentence: str | None = None,
    key: str | None = None,
    select: bool | Callable[[], None] = False,
    zoom: bool = False,
    data: pd.DataFrame | None = None,
    name: str = "chart",
) -> list[dict[str, Any]]:
    """Draw a figure with its finding above it and a sentence below.

    Args:
        figure: its title (the finding) and subtitle (what is plotted) are written as text,
            which wraps on a phone.
        alt: for those who cannot see it; the finding where it is not given.
        sentence: what the chart means, computed by the caller.
        key: needed where `select` is set or two equal charts are on a page.
        select: True to return the clicked points, or a callback for a click.
        zoom: allow dragging to zoom; otherwise a finger scrolls the page.
        data: the numbers behind the chart, offered as CSV.
        name: file name of the downloads, without extension.

    Returns:
        The selected points, as Plotly describes them; empty without a selection.
    """
    finding, shown = theme.headline(figure)
    figure = go.Figure(figure).update_layout(title=None, dragmode="zoom" if zoom else False)
    if finding:
        st.markdown(f"**{finding}**")
    if shown:
        st.caption(shown)
    config = CHART_CONFIG | {
        "toImageButtonOptions": {"filename": name, "scale": 2},
        "modeBarButtonsToRemove": SELECT_BUTTONS + ([] if zoom else ZOOM_BUTTONS),
    }
    event: Any = st.plotly_chart(
        figure,
        key=key,
        alt=alt or finding or None,
        on_select=select if callable(select) else ("rerun" if select else "ignore"),
        selection_mode="points",
        config=config,
    )
    if sentence:
        st.markdown(sentence)
    if data is not None:
        download_csv(data, name, key=f"csv_{key or name}")
    return list(event["selection"]["points"]) if select else []


# --- downloads -----------------------------------------------------------------------------


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """UTF-8 CSV whose text cells never start a formula in a spreadsheet."""
    safe = frame.copy()
    for column in safe.select_dtypes(["object", "str", "string", "category"]):
        safe[column] = safe[column].astype("object").map(_unformula)
    safe.columns = [_unformula(name) for name in safe.columns]
    return safe.to_csv(index=False).encode("utf-8")


def _unformula(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet would run as a formula."""
    starts = isinstance(value, str) and value.lstrip(" \n").startswith(FORMULA_STARTS)
    return f"'{value}" if starts else value


def download_csv(frame: pd.DataFrame, name: str, *, key: str, label: str = "CSV") -> None:
    """Offer a frame as CSV; it is written only when somebody asks for it."""
    st.download_button(
        label,
        data=lambda: csv_bytes(frame),
        file_name=f"{name}.csv",
        mime="text/csv",
        key=key,
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        help="The numbers behind this, as a table.",
    )


def download_png(png: bytes, name: str, *, key: str, label: str = "PNG") -> None:
    """Offer a picture as PNG."""
    st.download_button(
        label,
        data=png,
        file_name=f"{name}.png",
        mime="image/png",
        key=key,
        on_click="ignore",
        icon=":material/image:",
        type="tertiary",
    )


# --- pictures ------------------------------------------------------------------------------


class Picture(NamedTuple):
    """A small picture to show: PNG in its original size, text below it, text instead of it."""

    png: bytes
    caption: str
    alt: str


def picture(png: bytes, *, caption: str | None = None, alt: str, side: int = 128) -> None:
    """One picture, enlarged a whole number of times without smoothing up to `side` pixels."""
    larger, width = loaders.enlarged(png, side)
    # Without a width, a longer caption would stretch the picture.
    # PNG said aloud: "auto" would send colour pictures as JPEG, which smears small ones.
    st.image(
        larger,
        caption=caption and plain(caption),
        alt=alt,
        width=width,
        output_format="PNG",
    )


def picture_grid(
    pictures: Sequence[Picture], *, key: str, side: int = 128, per_page: int = 24
) -> None:
    """Pictures with captions, in pages of at most `per_page`."""
    pages = math.ceil(len(pictures) / per_page)
    page = st.pagination(pages, key=key) if pages > 1 else 1
    shown = pictures[(page - 1) * per_page : page * per_page]
    with st.container(horizontal=True, gap="small"):
        for item in shown:
            picture(item.png, caption=item.caption, alt=item.alt, side=side)


def answers(run: published.Run, rows: pd.DataFrame, *, key: str, per_page: int = 24) -> None:
    """The pictures of some answers (split, id, label, prediction, confidence), in their order.

    A run carries only part of its pictures; says how many of `rows` those are.
    """
    stored = loaders.gallery(run.study, run.version)
    shown = [
        Picture(stored[row.split, row.id], *_answer_texts(row))
        for row in theme.rows(rows)
        if (row.split, row.id) in stored
    ]
    picture_grid(shown, key=key, per_page=per_page)
    if len(shown) < len(rows):
        st.caption(f"{len(shown):,} of these {len(rows):,} pictures are stored with this version.")


def _answer_texts(row: Any) -> tuple[str, str]:
    """Caption and alternative text of one answered picture."""
    sure = theme.percent(row.confidence, 0)
    if row.label == row.prediction:
        return f"{row.label}, {sure}", f"{row.label}, filed correctly with {sure} confidence"
    text = f"{row.label} filed as {row.prediction} with {sure} confidence"
    return f"{row.label} → {row.prediction}, {sure}", text
