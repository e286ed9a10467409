"""Shared pieces of the pages: each draws something and returns what the person chose."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from pandas.io.formats.style import Styler
from streamlit.elements.lib.mutable_tab_container import TabContainer
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app_pages import loaders
from src.charts import theme
from src.data.formats import DataError
from src.runs import published

P = ParamSpec("P")
Option = TypeVar("Option", bound=str)
Options: TypeAlias = Mapping[Option, str] | Sequence[Option]  # key → text, or keys that are texts

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
    basis: str = ""  # such as "n = 10,000 test images"
    help: str | None = None


# --- choosing ------------------------------------------------------------------------------
#
# Every chooser has options with stable keys. A link holds the key, a person reads the text. What a
# link asks for is taken once, when it is followed (`follow_link`); then the widget decides.

PINNED = ("study", "version")  # always in the URL; what is said about them stands on the page


def follow_link(page: str) -> None:
    """Take over what the address asks for: at the first run, on another page, or after Back."""
    state = st.session_state
    came_back = _came_back()
    if state.get("page") != page or came_back:
        state["asked"] = st.query_params.to_dict()
    if came_back:  # what the address does not name is as at first
        for key in state.pop("chosen", {}):
            state.pop(key, None)
    state["page"] = page


def _came_back() -> bool:
    """Whether the browser's Back or Forward led here, which Streamlit tells nowhere else."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def choose(
    label: str,
    key: str,
    options: Options[Option],
    first: Option | None = None,
    *,
    old: Mapping[str, Option] | None = None,
    noun: str | None = None,
    on_change: Callable[[], None] | None = None,
    **more: Any,
) -> Option:
    """A drop-down list whose value lives in the URL as `key=<option's key>`.

    Args:
        label: what a person reads above it.
        key: name in the URL and in the session state, where the option's key stands.
        options: {key: text}, or a list of keys that are their own text.
        first: the key that is chosen at first, which the URL leaves out; the first option if None.
        old: keys by texts of earlier versions, so that old links go on working.
        noun: what a message about an unknown value calls it; `key` where it is not given.
        on_change: called after a person has chosen another one.

    Returns:
        The key of the chosen option; a value that is none of them is told in one line.
    """
    texts = _texts(options)
    value = _settle(key, texts, first, old)
    with _place(key, texts, value, noun):
        st.selectbox(
            label,
            list(texts),
            format_func=lambda one: texts.get(one, one),
            key=key,
            on_change=_changed,
            args=(on_change,),
            **more,
        )
    return value


def switch(
    label: str,
    key: str,
    options: Options[Option],
    first: Option | None = None,
    *,
    old: Mapping[str, Option] | None = None,
    noun: str | None = None,
    **more: Any,
) -> Option:
    """One of a few options side by side; otherwise like `choose`."""
    texts = _texts(options)
    value = _settle(key, texts, first, old)
    with _place(key, texts, value, noun):
        st.segmented_control(
            label,
            list(texts),
            format_func=lambda one: texts.get(one, one),
            key=key,
            required=True,
            on_change=_changed,
            **more,
        )
    return value


def tabs(
    key: str, options: Mapping[Option, str], *, old: Mapping[str, Option] | None = None
) -> dict[Option, TabContainer]:
    """Tabs by the keys of `options`, of which the open one lives in the URL; see `choose`."""
    value = _settle(key, options, None, old, shown=True)
    with _place(key, options, value, None):
        drawn = st.tabs(list(options.values()), key=key, on_change=_changed)
    return dict(zip(options, drawn, strict=True))


def _texts(options: Options[Option]) -> Mapping[Option, str]:
    return options if isinstance(options, Mapping) else {one: one for one in options}


def _settle(
    key: str,
    texts: Mapping[Option, str],
    first: Option | None,
    old: Mapping[str, Option] | None,
    *,
    shown: bool = False,
) -> Option:
    """Decide what a chooser shows, tell its widget and the URL, and return the option's key.

    A link that has just been followed comes first, then the widget, then what was chosen before
    the widget was last out of sight. `shown` says that the widget's state is the text.
    """
    state = st.session_state
    default = first if first is not None and first in texts else next(iter(texts))
    asked = state.get("asked", {}).pop(key, None)
    held = state.get(key, state.setdefault("chosen", {}).get(key))
    known = [_option(text, texts, old) for text in (asked, held)]
    _note_unknown(key, asked, *known)
    value = next((option for option in known if option is not None), default)
    state["chosen"][key] = value
    said = texts[value] if shown else value
    if state.get(key) != said:
        state[key] = said
    _write_link(key, value, default)
    return value


def _note_unknown(key: str, asked: str | None, found: str | None, held: str | None) -> None:
    """Remember what a link asks for in vain, until it asks for something else."""
    unknown = st.session_state.setdefault("unknown", {})
    if asked is not None and found is None:
        unknown[key] = asked
    elif found not in (None, held):
        unknown.pop(key, None)


def _option(
    text: str | None, texts: Mapping[Option, str], old: Mapping[str, Option] | None
) -> Option | None:
    """The key that a text means: the key itself, what is shown for it, or was in old versions."""
    if text is None:
        return None
    shown = {name.casefold(): option for option, name in texts.items()}
    known = shown | {name.casefold(): option for name, option in (old or {}).items()}
    found = next((option for option in texts if option == text), known.get(text.casefold()))
    return found if found in texts else None


def _write_link(key: str, value: str, default: str) -> None:
    """Write a choice in the URL; leave out what a link without it shows anyway.

    Study and version are always written: a link to today's newest version must not show another
    one tomorrow.
    """
    wanted = value if value != default or key in PINNED else None
    if st.query_params.get(key) == wanted:
        return
    if wanted is None:
        del st.query_params[key]
    else:
        st.query_params[key] = wanted


def _changed(then: Callable[[], None] | None = None) -> None:
    """A person has chosen: what an old link asked for in vain is no longer news."""
    st.session_state["unknown"] = {}
    if then:
        then()


@contextlib.contextmanager
def _place(
    key: str, texts: Mapping[Option, str], value: Option, noun: str | None
) -> Iterator[None]:
    """Where a widget stands: below a line about a value of the link that is none of its options."""
    asked = st.session_state.get("unknown", {}).get(key)
    if asked is None or key in PINNED:  # a phone hides the sidebar: see `current_run`
        yield
        return
    with st.container():
        tell_unknown(noun or key, asked, texts[value])
        yield


def tell_unknown(noun: str, asked: str, shown: str) -> None:
    """One line: a link asks for what is not here, and what is shown instead."""
    st.warning(
        f"There is no {noun} “{plain(asked)}” here; showing “{plain(shown)}”.",
        icon=":material/link_off:",
    )


# --- which run -----------------------------------------------------------------------------


def choose_run(page: str) -> None:
    """Draw the study and version selectors in the sidebar; both live in the URL.

    `page` is the page that is shown: a link from another one may name another study.
    """
    follow_link(page)
    studies = loaders.studies()
    if not studies:
        return
    with st.sidebar:
        study = choose("Study", "study", studies, loaders.first_study(studies))
        choose("Version", "version", loaders.versions(study))


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
    _tell_unknown(study, version)
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
    quick, whole = loaders.first_studies()
    st.code(f"make notebooks STUDY={quick} PROFILE=quick", language="bash")
    st.markdown("Then reload this page. The whole study of product photos is:")
    st.code(f"make notebooks STUDY={whole} PROFILE=full", language="bash")


def _tell_unknown(study: str, version: str) -> None:
    """What a link asks for in vain, on the page: a phone hides the sidebar."""
    unknown = st.session_state.get("unknown", {})
    for key, shown in (("study", study), ("version", version)):
        if key in unknown:
            tell_unknown(key, unknown[key], shown)


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
                # A text wraps where a metric’s own label is cut off.
                st.markdown(f":small[{figure.label}]", help=figure.help)
                st.metric(
                    figure.label,
                    figure.value,
                    figure.interval or None,
                    delta_color="off",
                    delta_arrow="off",
                    label_visibility="collapsed",
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


def time_figure(latency: Mapping[str, Any]) -> Figure:
    """A `Figure` of the time per photo: {value, low, high, n, perhaps rounds} in milliseconds."""
    together = "rounds" in latency
    return Figure(
        "Time per photo",
        theme.milliseconds(latency["value"]),
        theme.milliseconds_interval(latency["low"], latency["high"]),
        theme.sample(latency["n"]) + (f" in {latency['rounds']} rounds" if together else " images"),
        "One photo at a time, on the machine that published this version. "
        + (
            "Every round asked all models; the range is from the fastest round to the slowest."
            if together
            else "The range is the 95\u00a0% interval of one sitting; another sitting may differ "
            "by more than that."
        ),
    )


def formatted(frame: pd.DataFrame, formats: theme.Formats) -> Styler:
    """A table whose cells read as on a card: `theme` formats both. Columns stay sortable numbers.

    Args:
        formats: a function of `theme` by column; columns that the frame has not are passed over.
    """
    known: Any = {name: form for name, form in formats.items() if name in frame}
    return frame.style.format(known, na_rep="–")


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
    """Offer an image as PNG."""
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


# --- images ------------------------------------------------------------------------------


class Picture(NamedTuple):
    """A small image to show: PNG in its original size, text below it, text instead of it."""

    png: bytes
    caption: str
    alt: str


def picture(png: bytes, *, caption: str | None = None, alt: str, side: int = 128) -> None:
    """One image, enlarged a whole number of times without smoothing up to `side` pixels."""
    larger, width = loaders.enlarged(png, side)
    # Without a width, a longer caption would stretch the image.
    # PNG said aloud: "auto" would send colour images as JPEG, which smears small ones.
    st.image(
        larger,
        caption=caption and plain(caption),
        alt=alt,
        width=width,
        output_format="PNG",
    )


def picture_grid(
    images: Sequence[Picture], *, key: str, side: int = 128, per_page: int = 24
) -> None:
    """Images with captions, in pages of at most `per_page`."""
    pages = math.ceil(len(images) / per_page)
    page = st.pagination(pages, key=key) if pages > 1 else 1
    shown = images[(page - 1) * per_page : page * per_page]
    with st.container(horizontal=True, gap="small"):
        for item in shown:
            picture(item.png, caption=item.caption, alt=item.alt, side=side)


def answers(run: published.Run, rows: pd.DataFrame, *, key: str, per_page: int = 24) -> None:
    """The images of some answers (split, id, label, prediction, confidence), in their order.

    A run carries only part of its images; says how many of `rows` those are.
    """
    stored = loaders.gallery(run.study, run.version)
    shown = [
        Picture(stored[row.split, row.id], *_answer_texts(row))
        for row in theme.rows(rows)
        if (row.split, row.id) in stored
    ]
    picture_grid(shown, key=key, per_page=per_page)
    if len(shown) < len(rows):
        st.caption(f"{len(shown):,} of these {len(rows):,} images are stored with this version.")


def _answer_texts(row: Any) -> tuple[str, str]:
    """Caption and alternative text of one answered image."""
    sure = theme.percent(row.confidence, 0)
    if row.label == row.prediction:
        return f"{row.label}, {sure}", f"{row.label}, correct with {sure} confidence"
    text = f"True label {row.label}, predicted {row.prediction} with {sure} confidence"
    return f"{row.label} → {row.prediction}, {sure}", text
