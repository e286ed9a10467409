"""The canvas: a visitor draws a digit, and the model's result appears while it is drawn."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest
from streamlit.delta_generator import DeltaGenerator

from app_pages import answers, components, loaders
from src.charts import theme
from src.runs import published
from src.serving import drawing
from src.serving.preparation import preparation, prepare

ASSETS = Path(__file__).parent / "assets"
HTML, CSS = ((ASSETS / f"canvas.{kind}").read_text("utf-8") for kind in ("html", "css"))
NAME = "studies.canvas"
KEY = "canvas"  # of the component's state, which is gone with the page
KEPT = "drawing"  # of the drawing, which is not
SIDE = 320  # pixels of the canvas at most
TREATMENTS = {  # "pixels": only older versions have it
    "strokes": ("Strokes", "The strokes, prepared as the training images were, as above"),
    "pixels": ("Pixels", "The canvas as an image, prepared as the training images were"),
    "resized": ("Only resized", "The canvas as an image, only made smaller"),
}


def _declare() -> None:
    """Let the server hand out the component's script.

    A script given as text would be loaded from a blob: address, which the content policy forbids;
    only components that are declared with a folder are loaded from the server's own address.
    """
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(NAME) is None:
        package, name = NAME.split(".")
        manifest = ComponentManifest(package, "1", [ComponentConfig(name, ASSETS.name)])
        manager.register_from_manifest(manifest, ASSETS.parent)


def _mount(**arguments: Any) -> Any:
    _declare()
    component = st.components.v2.component(
        NAME,
        html=HTML,
        css=CSS,
        js="canvas.js",
    )
    return component(**arguments)


# --- what is kept --------------------------------------------------------------------------


class Sketch(NamedTuple):
    """The visitor's drawing.

    revision: the number that the canvas gave it. turn: changes when something else than the canvas
    changes the drawing. refused: why what came from the canvas is no drawing.
    """

    strokes: tuple[drawing.Points, ...] = ()
    revision: int = 0
    turn: int = 0
    refused: str = ""


def kept() -> Sketch:
    """The drawing of this visit; survives going to another page."""
    found: Sketch = st.session_state.setdefault(KEPT, Sketch())
    return found


def keep(sent: dict[str, Any]) -> None:
    """Take what a browser sent: {"strokes", "revision", "turn"}."""
    if sent["turn"] != kept().turn:
        return  # it was under way when the drawing was replaced
    try:
        sketch = Sketch(drawing.parse(sent["strokes"]), int(sent["revision"]), kept().turn)
    except drawing.DrawingError as error:
        sketch = Sketch((), int(sent["revision"]), kept().turn, str(error))
    st.session_state[KEPT] = sketch


def put(strokes: tuple[drawing.Points, ...]) -> None:
    """Replace the drawing by another one."""
    st.session_state[KEPT] = Sketch(strokes, kept().revision, kept().turn + 1)


# --- the canvas and the answer -------------------------------------------------------------


@components.section
def reading(run: published.Run, model: str, precision: str) -> None:
    """The canvas, and what the model reads: below it in short, beside it in full."""
    left, right = st.columns([2, 3], gap="large")
    with left, st.container(width=SIDE):
        field, short = st.container(), st.container()
        test_drawings()
    if kept().strokes:
        answer(run, model, precision, short, right)
    else:
        nothing(short)
    with field:  # last: the canvas sends the next drawing once it has come back with this one
        board()


def board() -> None:
    """The canvas with its buttons."""
    sketch = kept()
    _mount(
        key=KEY,
        data={
            "strokes": [stroke.tolist() for stroke in sketch.strokes],
            "revision": sketch.revision,
            "turn": sketch.turn,
            "pen": drawing.PEN,
        },
        on_drawing_change=lambda: keep(st.session_state[KEY]["drawing"]),
    )


def test_drawings() -> None:
    """Drawings to try without drawing, which also serves those who cannot."""
    drawn = loaders.drawings()

    def take() -> None:
        if st.session_state["test_drawing"] is not None:
            put(drawn[st.session_state["test_drawing"]].strokes)
        st.session_state["test_drawing"] = None  # so that the same one can be taken again

    st.selectbox(
        "Or take a test drawing",
        range(len(drawn)),
        index=None,
        format_func=lambda i: f"{drawn[i].label}, {drawn[i].hand} hand",
        key="test_drawing",
        on_change=take,
        placeholder="Choose one",
    )


def nothing(short: DeltaGenerator) -> None:
    """What to do where nothing is drawn, or why nothing could be made of it."""
    with short:
        if refused := kept().refused:
            st.warning(refused, icon=":material/gesture:")
        st.markdown("**Nothing drawn yet**")
        st.caption("Draw one digit. The result appears here while you draw.")


def answer(
    run: published.Run,
    model: str,
    precision: str,
    short: DeltaGenerator,
    full: DeltaGenerator,
) -> None:
    """What the model reads in the drawing, in two places."""
    found = loaders.classifier(run.study, run.version, model, precision)
    pixels = prepare(kept().strokes, preparation(run)).pixels
    (result,) = found.classify(pixels[None])
    with short.container(horizontal=True, vertical_alignment="center"):
        answers.verdict(result)
    with full:
        with st.container(horizontal=True, gap="small"):
            with st.container(width=answers.SIDE):
                answers.seen(pixels)
            with st.container(width=answers.SIDE):
                answers.evidence(result, pixels, f"drawing_{result.index}")
        answers.bars(result, found.threshold, KEPT)


# --- how well drawings are read ------------------------------------------------------------


def drawing_results(run: published.Run, model: str) -> dict[str, Any] | None:
    """What the run holds about a model and test drawings (`drawing.summary`); None without."""
    if not run.has("drawings.json"):
        return None
    found: dict[str, Any] | None = run.json("drawings.json")["models"].get(model)
    return found


def figure(run: published.Run, model: str) -> list[components.Figure]:
    """The share of the test drawings that the model reads right, for the head of the page."""
    found = drawing_results(run, model)
    if found is None:
        return []
    share = found["accuracy"]["strokes"]["as drawn"]
    return [components.share_figure("Drawings read correctly", share, f"n = {share['n']} drawings")]


def sentence(run: published.Run, model: str) -> str:
    """The finding of the page about drawings."""
    found = drawing_results(run, model)
    if found is None:
        return "Draw a digit and see what the model reads while you draw"
    share = found["accuracy"]["strokes"]["as drawn"]
    return (
        f"The model reads {share['right']} of {share['n']} test drawings correctly. Draw your own"
    )


@components.section
def accuracy(run: published.Run, model: str) -> None:
    """How well drawings are read, brought to the form of the training images or not."""
    found = drawing_results(run, model)
    if found is None:
        return
    st.subheader("How well drawings are read")
    st.markdown(_finding(found))
    st.dataframe(
        _table(found["accuracy"]),
        hide_index=True,
        column_config={"variant": "Drawings"}
        | {
            key: st.column_config.TextColumn(name, help=help_)
            for key, (name, help_) in TREATMENTS.items()
            if key in found["accuracy"]
        },
        alt="Drawings read correctly, by what was changed and by how they were prepared",
    )
    st.caption(
        "Two hands for every digit, coded by hand as strokes before a model had seen them, and "
        "unchanged since. Ranges are 95\u00a0% intervals (Wilson); the rows show the same drawings."
    )
    with st.expander("The drawings as the model sees them", icon=":material/draw:"):
        drawings(run, model)


CHANCE = 0.05  # above this p-value a difference is not called one
PREPARED = (
    "Before the model sees a drawing, it is prepared as the training images were: scaled, drawn "
    "with their pen, and centred as they are. "
)


def _finding(found: dict[str, Any]) -> str:
    """What preparation changes, and whether these few drawings can tell."""
    ours, resized = (found["accuracy"][kind]["as drawn"] for kind in ("strokes", "resized"))
    gain, n = found["gain"]["as drawn"], ours["n"]
    if ours["right"] == resized["right"]:
        return (
            f"{PREPARED}The model reads {ours['right']} of {n} drawings correctly with that, and "
            "as many if the canvas is only made smaller."
        )
    counts = (
        f"{PREPARED}If the canvas is only made smaller, the model reads {resized['right']} of {n} "
        f"drawings correctly instead of {ours['right']}"
    )
    if gain["p"] > CHANCE:
        return f"{counts}, which may be chance ({theme.p_value(gain['p'])})."
    return (
        f"{counts}: a difference of {theme.points(gain['value'])} "
        f"(95\u00a0% interval {100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}, "
        f"{theme.p_value(gain['p'])})."
    ).replace("-", "\u2212")


def _table(accuracy: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """One row per variant, one column per treatment: "19 of 20, 76–99 %"."""

    def text(share: dict[str, Any]) -> str:
        return f"{share['right']} of {share['n']}, {theme.interval(share['low'], share['high'], 0)}"

    return pd.DataFrame(
        [
            {"variant": theme.sentence(variant)}
            | {treatment: text(shares[variant]) for treatment, shares in accuracy.items()}
            for variant in accuracy["strokes"]
        ]
    )


def drawings(run: published.Run, model: str) -> None:
    """The test drawings with their answers, the way the visitor chooses."""
    rows = loaders.table(run.study, run.version, "drawings.parquet")
    rows = rows[rows["model"] == model]
    with st.container(horizontal=True):
        variant = st.selectbox("The drawings", rows["variant"].unique(), format_func=theme.sentence)
        treatment = st.selectbox(
            "What was done to them",
            [name for name in TREATMENTS if name in set(rows["treatment"])],
            format_func=lambda name: TREATMENTS[name][0],
        )
    shown = rows[(rows["variant"] == variant) & (rows["treatment"] == treatment)]
    components.picture_grid(
        [components.Picture(row.png, *_texts(row)) for row in theme.rows(shown)],
        key="drawings",
        side=84,  # 3 × 28, 10 × 8
    )


def _texts(row: Any) -> tuple[str, str]:
    """Caption and alternative text of a test drawing."""
    said = f"{row.prediction}, {theme.percent(row.confidence, 0)}"
    caption = said if row.correct else f"{row.label} → {said}"
    return caption, f"A {row.label} in {row.hand} hand, read as {said}"
