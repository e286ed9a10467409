"""Figures say what their frames say: titles, bars, points and colours; and they draw silently."""

import io
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from numpy.testing import assert_allclose
from PIL import Image

from src.charts import notebook_plots as plots
from src.charts import palette
from src.data import images
from src.evaluation import metrics
from src.evaluation.reliability import CalibrationError, Reliability
from tests import factories

CLASSES = ("cat", "dog", "ship")


def png(value: int = 0) -> bytes:
    return images.to_png(np.full((4, 4, 3), value, np.uint8))


def gallery(split: str = "train") -> pd.DataFrame:
    rows = [(split, k, CLASSES[k % 3], png(k * 20)) for k in range(6)]
    return pd.DataFrame(rows, columns=["split", "id", "label", "png"]).sort_values("label")


def counts_frame() -> pd.DataFrame:
    rows = [("train", "cat", 3), ("train", "dog", 5), ("test", "cat", 1), ("test", "dog", 1)]
    return pd.DataFrame(rows, columns=["split", "label", "count"]).assign(share=0.5)


def class_pictures() -> pd.DataFrame:
    rows = [
        (name, kind, np.full(12, value, np.float32))
        for name, spread in (("cat", 30), ("dog", 50))
        for kind, value in (("mean", 100), ("variability", spread))
    ]
    return pd.DataFrame(rows, columns=["label", "kind", "values"])


def pairs(name: str, *values: float) -> pd.DataFrame:
    rows = [(a, b) for a in CLASSES for b in CLASSES]
    return pd.DataFrame(rows, columns=["label_a", "label_b"]).assign(**{name: list(values)})


def histogram() -> pd.DataFrame:
    rows = [
        (label, channel, left, left + 128, share)
        for label, dark in (("all", 0.5), ("cat", 0.75), ("dog", 0.25))
        for channel in ("red", "green", "blue")
        for left, share in ((0, dark), (128, 1 - dark))
    ]
    return pd.DataFrame(rows, columns=["label", "channel", "bin_left", "bin_right", "share"])


def statistics() -> pd.DataFrame:
    n = 30
    label = np.array(CLASSES)[np.arange(n) % 3]
    rising = np.arange(n) % 3 * 100.0 + np.arange(n)
    frame = pd.DataFrame({"split": "train", "id": np.arange(n), "label": label})
    frame = frame.assign(brightness=rising, contrast=rising[::-1], sharpness=rising + 1)
    other = frame.assign(split="test", brightness=rising + 1)
    return pd.concat([frame.assign(colourfulness=0.0), other.assign(colourfulness=0.0)])


def extremes() -> pd.DataFrame:
    rows = [
        ("brightness", end, rank, "train", k, "cat", 10.0 * k)
        for end, ids in (("lowest", (0, 1)), ("highest", (3, 2)))
        for rank, k in enumerate(ids, start=1)
    ]
    columns = ["measure", "end", "rank", "split", "id", "label", "value"]
    return pd.DataFrame(rows, columns=columns)


def places() -> pd.DataFrame:
    """Six cats and, far away, five dogs with a cat among them: 50 of 60 neighbours agree."""
    labels = ["cat"] * 6 + ["dog"] * 5 + ["cat"]
    frame = pd.DataFrame({"split": "validation", "id": range(12), "label": labels})
    x = np.array([*range(6), *range(100, 106)], np.float32)
    return frame.assign(x=x, y=np.float32(0))


def steps() -> pd.DataFrame:
    columns = ["order", "step", "description", "png"]
    return pd.DataFrame(
        [(0, "Decoded", "4 × 4", png()), (1, "Resized", "", png())], columns=columns
    )


def variants() -> pd.DataFrame:
    rows = [(k, f"turned by {k}°", png(k)) for k in range(9)]
    return pd.DataFrame(rows, columns=["variant", "description", "png"])


def history(n_seeds: int) -> pd.DataFrame:
    rows = [
        (seed, epoch, 2 / epoch, 0.5 + 0.1 * epoch, 2.1 / epoch, 0.4 + 0.1 * epoch + seed / 100)
        for seed in range(n_seeds)
        for epoch in (1, 2, 3)
    ]
    columns = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]
    return pd.DataFrame(rows, columns=["seed", "epoch", *columns])


def confusion() -> pd.DataFrame:
    counts = [[6, 3, 1], [2, 8, 0], [0, 0, 20]]
    return pd.DataFrame(counts, index=pd.Index(CLASSES), columns=pd.Index(CLASSES))


def calibration() -> Reliability:
    columns = {"bin_low": [0.0, 0.5], "bin_high": [0.5, 1.0], "n": [10, 30]}
    columns |= {"confidence": [0.4, 0.8], "accuracy": [0.3, 0.7]}
    table = pd.DataFrame(columns | {"band_low": [0.2, 0.75], "band_high": [0.6, 0.85]})
    return Reliability(40, CalibrationError(0.1, 0.01, 0.04, 0.001), table)


def reports() -> dict[str, pd.DataFrame]:
    one = pd.DataFrame({"split": "test", "label": CLASSES, "f1": [0.5, 0.7, 0.9]})
    other = one.assign(f1=[0.6, 0.8, 0.9])
    validation = one.assign(split="validation", f1=0.0)
    return {"Plain": pd.concat([one, validation]), "Best": pd.concat([other, validation])}


def seeds() -> dict[str, pd.DataFrame]:
    """Of ten images, 6 and 7 right answers of one model, 9 and 9 of another."""
    return {"Plain": trainings(6, 7), "Best": trainings(9, 9)}


def trainings(*right: int) -> pd.DataFrame:
    images = pd.DataFrame({"id": range(10), "split": "test", "label": "cat"})
    return pd.concat(
        images.assign(seed=seed, prediction=["cat"] * n + ["dog"] * (10 - n))
        for seed, n in enumerate(right)
    )


def classical(name: str) -> pd.DataFrame:
    return factories.classical_tables()[f"classical/{name}.parquet"]


def glance() -> pd.DataFrame:
    table = pd.DataFrame({"title": ["Forest", "Guess"], "value": [0.9, 0.1]})
    return table.assign(low=table["value"] - 0.05, high=table["value"] + 0.05, milliseconds=[2, 1])


def mistakes() -> pd.DataFrame:
    rows = [("test", 3, "cat", "dog", 0.99), ("test", 1, "dog", "cat", 0.9)]
    return pd.DataFrame(rows, columns=["split", "id", "label", "prediction", "confidence"])


def judged() -> list[dict[str, Any]]:
    def item(name: str, verdict: str, unit: str) -> dict[str, Any]:
        effect = {"value": 0.65, "low": 0.6, "high": 0.7, "unit": unit}
        return {"id": name, "title": "T", "verdict": verdict, "margin": 0.5, "effect": effect}

    return [item("H1", "supported", "correlation"), item("H2", "undecided", "share")]


FIGURES: dict[str, tuple[Callable[[], plots.Figure], str]] = {
    "class_counts": (
        lambda: plots.class_counts(counts_frame()),
        "Dog has 1.5 times as many images as cat: 6 and 4",
    ),
    "sample_grid": (
        lambda: plots.sample_grid(gallery()),
        "Training images of each class, drawn at random",
    ),
    "class_pictures": (
        lambda: plots.class_pictures(class_pictures(), (2, 2, 3)),
        (
            "Images of dog vary most (standard deviation of a pixel 50 of 255), "
            "those of cat least (30)"
        ),
    ),
    "mean_differences": (
        lambda: plots.mean_differences(pairs("distance", 0, 9, 30, 9, 0, 21, 30, 21, 0)),
        "The mean images of cat and ship differ most (30 of 255), those of cat and dog least (9)",
    ),
    "class_similarity": (
        lambda: plots.class_similarity(pairs("similarity", 1, 0.5, -0.7, 0.5, 1, 0, -0.7, 0, 1)),
        "Cat and dog look most alike (0.50), cat and ship least (−0.70)",
    ),
    "intensity_histogram": (
        lambda: plots.intensity_histogram(histogram()),
        "Dog is brightest on average (160 of 255), cat darkest (96)",
    ),
    "distributions": (
        lambda: plots.distributions(statistics(), CLASSES),
        ("Highest median of 60 images – brightness: ship, contrast: cat, sharpness: ship"),
    ),
    "extremes": (
        lambda: plots.extremes(extremes(), gallery()),
        "The images at either end of each measure, with label and value",
    ),
    "embedding_map": (
        lambda: plots.embedding_map(places(), CLASSES[:2]),
        (
            "83\u00a0% of the 5 nearest neighbours are of the same category; by chance it would be "
            "47\u00a0%"
        ),
    ),
    "preprocessing": (
        lambda: plots.preprocessing(steps()),
        "An image passes 2 steps before the model sees it",
    ),
    "augmentation_preview": (
        lambda: plots.augmentation_preview(variants()),
        "Training also sees changed copies: one image and 8 variants",
    ),
    "learning_curves": (
        lambda: plots.learning_curves(history(1)),
        "Best validation accuracy 70.0\u00a0%, in epoch 3",
    ),
    "learning_curves_of_seeds": (
        lambda: plots.learning_curves(history(3), "Plain"),
        "Plain: best validation accuracy 70.0\u00a0% to 72.0\u00a0% over 3 seeds",
    ),
    "confusion": (
        lambda: plots.confusion(confusion(), "Plain"),
        "Plain: 6 mistakes; no two categories stand out",
    ),
    "explained_variance": (
        lambda: plots.explained_variance(classical("explained_variance")),
        "2 of 3 components hold 95\u00a0% of the variance",
    ),
    "member_importance": (
        lambda: plots.member_importance(classical("importance")),
        "The blend relies most on random forest",
    ),
    "member_correlation": (
        lambda: plots.member_correlation(classical("correlation")),
        "Random forest and logistic regression differ most (0.40)",
    ),
    "accuracy_against_time": (
        lambda: plots.accuracy_against_time(glance(), "validation"),
        "On validation, Forest has the highest accuracy: 90.0\u00a0%",
    ),
    "seeds": (
        lambda: plots.seeds(seeds()),
        "Highest mean test accuracy: Best, 90.0\u00a0% (2 seeds)",
    ),
    "f1_by_class": (
        lambda: plots.f1_by_class(reports()),
        "Mean F1 of the models: Cat is lowest (55.0\u00a0%), ship highest (90.0\u00a0%)",
    ),
    "reliability": (
        lambda: plots.reliability(calibration()),
        "Confidence is too high in 1 of 2 ranges of confidence",
    ),
    "mistakes": (
        lambda: plots.mistakes(mistakes(), gallery("test")),
        "The 2 mistakes the model was surest of",
    ),
    "hypotheses": (lambda: plots.hypotheses(judged()), "1 supported, 1 undecided"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_the_title_is_the_finding_and_the_figure_draws(name: str) -> None:
    draw, title = FIGURES[name]
    figure = draw()
    assert figure.get_suptitle().replace("\n", " ") == title
    shown = figure._repr_png_()  # what a notebook shows; warnings are errors
    with Image.open(io.BytesIO(shown)) as drawn:
        assert np.asarray(drawn.convert("L")).std() > 5  # not an empty page


def test_every_public_function_has_its_figure_here() -> None:
    public = {
        name
        for name, member in vars(plots).items()
        if callable(member)
        and member.__module__ == plots.__name__
        and not name.startswith("_")
        and not isinstance(member, type)
    }
    assert public == set(FIGURES) - {"learning_curves_of_seeds"}


def test_bars_are_the_counts_in_the_colour_of_the_class() -> None:
    axes = plots.class_counts(counts_frame()).axes[0]
    bars = [
        (bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_width()) for bar in axes.patches
    ]
    assert_allclose(bars, [(0, 0, 3), (1, 0, 5), (0, 3, 1), (1, 5, 1)], atol=1e-9)
    assert [to_hex(bar.get_facecolor()).upper() for bar in axes.patches[:2]] == [
        *palette.PALETTE[:2]
    ]


def test_a_class_keeps_its_colour_when_another_is_missing() -> None:
    frame = places()
    both = plots.embedding_map(frame, CLASSES[:2]).axes[0].collections
    only = plots.embedding_map(frame[frame["label"] == "dog"], ("cat", "dog")).axes[0].collections
    assert to_hex(only[1].get_facecolor()[0]) == to_hex(both[1].get_facecolor()[0])
    assert to_hex(both[1].get_facecolor()[0]).upper() == palette.class_colour(1)


def test_seed_points_and_the_interval_of_their_mean() -> None:
    axes = plots.seeds(seeds()).axes[0]
    assert axes.collections[0].get_offsets().tolist() == [[0.6, 0], [0.7, 0]]
    low, high = axes.collections[1].get_segments()[0][:, 0]
    found = metrics.accuracy_over_seeds(seeds()["Plain"], "test")
    assert_allclose([low, high], [found.low, found.high], atol=1e-6)
    assert axes.collections[2].get_offsets().tolist() == [[0.9, 1], [0.9, 1]]


def test_effects_without_bounds_run_out_of_the_picture() -> None:
    item = judged()[0]
    item["effect"] |= {"low": float("-inf"), "high": None}
    axes = plots.hypotheses([item]).axes[0]
    (low, high), (left, right) = axes.collections[0].get_segments()[0][:, 0], axes.get_xlim()
    assert low < left < 0.5
    assert 0.65 < right < high
    item["effect"] |= {"value": float("nan")}
    assert len(plots.hypotheses([item]).axes[0].collections) == 0  # the margin alone


def test_confusion_cells_show_shares_of_the_label() -> None:
    axes = plots.confusion(confusion()).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["60%", "30%", "10%", "20%", "80%", "0%", "0%", "0%", "100%"]
    assert axes.get_ylabel() == "label (40 images)"


def test_learning_curves_have_a_line_per_seed_and_part() -> None:
    loss, accuracy = plots.learning_curves(history(3)).axes
    assert len(loss.lines) == len(accuracy.lines) == 6
    assert_allclose(accuracy.lines[3].get_ydata(), [0.5, 0.6, 0.7])
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train", "validation"]


def test_small_pictures_keep_their_pixels() -> None:
    shown = plots.sample_grid(gallery()).axes[0].images[0]
    assert shown.get_interpolation() == "nearest"
    assert shown.get_array().shape == (4, 4, 3)


# ── palette ───────────────────────────────────────────────────────────────────────────────────────

# Machado, Oliveira and Fernandes (2009): linear RGB as seen without red or without green cones.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)  # of linear sRGB, D65


def linear(colour: str) -> np.ndarray:
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB."""
    x, y, z = np.cbrt(XYZ @ rgb / XYZ.sum(1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_classes_are_told_apart(sight: str) -> None:
    seen = [lab(np.clip(SIGHTS[sight] @ linear(c), 0, 1)) for c in palette.PALETTE]
    closest = min(np.linalg.norm(a - b) for a, b in combinations(seen, 2))
    assert len(palette.PALETTE) == 10
    assert closest > 17  # 2.3 is just noticeable side by side


@pytest.mark.parametrize("page", ["#FFFFFF", "#0E1117"])
def test_every_class_colour_reads_on_white_and_on_a_dark_page(page: str) -> None:
    for colour in palette.PALETTE:
        light, dark = sorted((XYZ[1] @ linear(colour), XYZ[1] @ linear(page)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 2


def test_colours_repeat_after_the_last() -> None:
    assert [palette.class_colour(k) for k in (0, 9, 10)] == [
        palette.PALETTE[0],
        palette.PALETTE[9],
        palette.PALETTE[0],
    ]


def test_a_model_without_mistakes_can_be_plotted() -> None:
    figure = plots.mistakes(mistakes().head(0), gallery("test"))
    assert figure.get_suptitle() == "No mistake: every image is classified correctly"
