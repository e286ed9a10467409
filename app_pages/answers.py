"""One answer of a model, in pieces that the cards of photos and of drawings share."""

import base64

import streamlit as st

from app_pages import components
from src.charts import classifier, theme
from src.data import images
from src.serving import uploads

SIDE = 160  # pixels of the pictures in a card: 5 × 32, 20 × 8


def verdict(said: uploads.Answer, classes: list[str], threshold: float | None) -> None:
    """The answer in words and what to do with it, side by side in a horizontal container."""
    label = components.plain(theme.sentence(classes[said.best]))
    st.markdown(f"#### {label}, {theme.confidence(said.confidence)}", width="content")
    if said.alone(threshold):
        st.badge("File automatically", icon=":material/check_circle:", color="green")
    else:
        look = "One colour only: a person should look" if said.blank else "A person should look"
        st.badge(look, icon=":material/visibility:", color="orange")


def data_uri(pixels: uploads.Pixels) -> str:
    """A picture, uint8 (H, W, 1 or 3), as an address that holds it: exact, and never out of date.

    Behind an address of the server a picture is gone as soon as the next one takes its place, which
    while somebody draws may be before the browser has asked for it.
    """
    return "data:image/png;base64," + base64.b64encode(images.to_png(pixels)).decode()


def seen(pixels: uploads.Pixels) -> None:
    """What the model saw, uint8 (H, W, C), enlarged a whole number of times."""
    height, width = pixels.shape[:2]
    st.image(
        data_uri(classifier.enlarge(pixels, SIDE)),
        caption=f"What the model saw: {width} × {height}",
        alt="What the model saw",
    )


def evidence(said: uploads.Answer, pixels: uploads.Pixels, classes: list[str], key: str) -> None:
    """Where what the model saw speaks for a category, as a veil that can be faded."""
    slot = st.container()
    index = st.selectbox(
        "Evidence for",
        range(len(classes)),
        said.best,
        format_func=lambda i: classes[i],
        key=f"why_{key}",
        persist_state="session",
    )
    strength = st.slider(
        "Veil", 0, 100, 60, 5, format="%d %%", key=f"veil_{key}", persist_state="session"
    )
    large = classifier.enlarge(pixels, SIDE)
    heat = classifier.evidence(said.activation, index, large.shape[:2])
    place = classifier.strongest_place(heat)
    where = f"mostly at the {place}" if place else "none in this picture"
    slot.image(
        data_uri(classifier.overlay(large, heat, strength / 100)),
        caption=f"Speaks for {classes[index]}: {where}",
        alt=f"What the model saw, with its evidence for {classes[index]}: {where}",
    )


def bars(said: uploads.Answer, classes: list[str], threshold: float | None, key: str) -> None:
    """All probabilities."""
    figure = classifier.probabilities(said.probabilities, classes, threshold)
    components.chart(figure, key=f"bars_{key}")
