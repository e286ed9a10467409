"""One result of a model, in pieces that the cards of photos and of drawings share."""

import base64

import streamlit as st

from app_pages import components
from src.charts import classifier, theme
from src.data import images
from src.serving.classifier import Classification
from src.serving.preparation import Pixels

SIDE = 160  # pixels of the images in a card: 5 × 32, 20 × 8


def verdict(result: Classification) -> None:
    """The category and the decision, side by side in a horizontal container."""
    label = components.plain(theme.sentence(result.label))
    st.markdown(f"#### {label}, {theme.confidence(result.confidence)}", width="content")
    if result.automatic:
        st.badge("Sorted automatically", icon=":material/check_circle:", color="green")
    else:
        st.badge("Needs checking", icon=":material/visibility:", color="orange")


def data_uri(pixels: Pixels) -> str:
    """An image, uint8 (H, W, 1 or 3), as an address that holds it: exact, and never out of date.

    Behind an address of the server an image is gone as soon as the next one takes its place, which
    while somebody draws may be before the browser has asked for it.
    """
    return "data:image/png;base64," + base64.b64encode(images.to_png(pixels)).decode()


def seen(pixels: Pixels) -> None:
    """What the model saw, uint8 (H, W, C), enlarged a whole number of times."""
    height, width = pixels.shape[:2]
    st.image(
        data_uri(classifier.enlarge(pixels, SIDE)),
        caption=f"What the model saw: {width} × {height}",
        alt="What the model saw",
    )


def evidence(result: Classification, pixels: Pixels, key: str) -> None:
    """Where the evidence for a category lies in what the model saw, as a highlight."""
    slot, classes = st.container(), result.classes
    index = st.selectbox(
        "Evidence for",
        range(len(classes)),
        result.index,
        format_func=lambda i: classes[i],
        key=f"why_{key}",
        persist_state="session",
    )
    strength = st.slider(
        "Highlight strength",
        0,
        100,
        60,
        5,
        format="%d %%",
        key=f"highlight_{key}",
        persist_state="session",
    )
    large = classifier.enlarge(pixels, SIDE)
    heat = classifier.evidence(result.activation, index, large.shape[:2])
    place = classifier.strongest_place(heat)
    found = f"Strongest evidence for {classes[index]}: {place}"
    text = found if place else f"No evidence for {classes[index]} in this image"
    slot.image(
        data_uri(classifier.overlay(large, heat, strength / 100)),
        caption=text,
        alt=f"What the model saw. {text}",
    )


def bars(result: Classification, threshold: float | None, key: str) -> None:
    """The probabilities of all categories."""
    figure = classifier.probabilities(result.probabilities, list(result.classes), threshold)
    components.chart(figure, key=f"bars_{key}")
