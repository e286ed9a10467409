"""Charts of performance and hypotheses: complete values on tiny inputs, and their sentences."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from src.charts import hypotheses, performance, theme, wording
from src.charts.palette import PALETTE
from src.evaluation import curves as evaluation_curves
from src.evaluation import metrics, thresholds
from src.evaluation.reliability import CalibrationError, Reliability
from src.evaluation.stats import Estimate
from tests import factories

CLASSES = ["ant", "bee", "cow"]
# Rows: what it is; columns: what it was filed as.
COUNTS = pd.DataFrame([[8, 2, 0], [3, 7, 0], [0, 1, 9]], index=CLASSES, columns=CLASSES)


def traces(figure: go.Figure) -> dict[str, Any]:
    """Traces by name; a name twice would hide one, so it fails."""
    named = {trace.name: trace for trace in figure.data if trace.name}
    assert len(named) == sum(bool(trace.name) for trace in figure.data)
    return named


def floats(values: Any) -> list[float]:
    return [round(float(value), 6) for value in values]


# --- formats -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (theme.percent(0.8731), "87.3\u00a0%"),
        (theme.percent(0.9994), "99.9\u00a0%"),
        (theme.percent(0.9996), "99.96\u00a0%"),
        (theme.percent(0.99999999), "100.0000\u00a0%"),
        (theme.percent(1.0), "100.0\u00a0%"),
        (theme.percent(float("nan")), "–"),
        (theme.percent(None), "–"),
        (theme.interval(0.8612, 0.884), "86.1–88.4\u00a0%"),
        (theme.interval(0.9941, 0.9997), "99.41–99.97\u00a0%"),
        (theme.interval(0.5, 1.0), "50.0–100.0\u00a0%"),
        (theme.interval(None, 0.5), "–"),
        (theme.points(0.0512), "+5.1 points"),
        (theme.points(-0.0512), "\u22125.1 points"),
        (theme.count(10000), "10,000"),
        (theme.number(-0.41237), "\u22120.412"),
        (theme.sample(1234), "n\u00a0=\u00a01,234"),
        (theme.p_value(0.0213), "p = 0.021"),
        (theme.p_value(1e-9), "p < 0.0001"),
        (theme.file_size(1_536_000), "1.5 MB"),
        (theme.file_size(512), "512 bytes"),
        (theme.duration(4321), "1 h 12 min"),
        (theme.duration(95), "1 min 35 s"),
        (theme.duration(0.0042), "4.2 ms"),
        (theme.milliseconds(0.0641), "0.064\u00a0ms"),
        (theme.milliseconds(0.128), "0.13\u00a0ms"),
        (theme.milliseconds(1.84), "1.8\u00a0ms"),
        (theme.milliseconds_interval(11.6, 1234.4), "12–1,234\u00a0ms"),
        (theme.of_hundred(0.874), "87 of 100"),
        (theme.of_hundred(0.997), "more than 99 of 100"),
        (theme.of_hundred(0.001), "fewer than 1 of 100"),
        (theme.of_hundred(1.0), "100 of 100"),
        (theme.confidence(0.99997), "99.997\u00a0%"),
        (theme.confidence(1.0), "more than 99.999\u00a0%"),
        (theme.confidence(0.723), "72.3\u00a0%"),
        (theme.images(0), "no image"),
        (theme.images(1), "1 image"),
        (theme.images(1234), "1,234 images"),
        (theme.listing(["a"]), "a"),
        (theme.listing(["a", "b", "c"]), "a, b and c"),
        (theme.sentence("mNIST is easy"), "MNIST is easy"),
        (theme.wrapped("Plain network, all images", 14), "Plain network,<br>all images"),
    ],
)
def test_numbers_are_written_in_one_way(given: str, expected: str) -> None:
    assert given == expected


def test_a_class_keeps_its_colour_and_a_model_its_line() -> None:
    assert theme.class_colours(CLASSES) == dict(zip(CLASSES, PALETTE, strict=False))
    styles = theme.model_styles(["a", "b"])
    assert styles["a"] != styles["b"]
    assert styles["a"] == {"color": theme.MODEL_COLOURS[0], "dash": "solid"}


def test_a_finished_figure_carries_its_finding_and_leaves_room_for_its_legend() -> None:
    plain = theme.finish(go.Figure(go.Bar(name="x", y=[1])), "Found", "shown", height=300)
    assert theme.headline(plain) == ("Found", "shown")
    assert (plain.layout.height, plain.layout.margin.t) == (300, theme.MARGIN["t"])
    two = theme.finish(
        go.Figure([go.Bar(name="x", y=[1]), go.Bar(name="y", y=[1])]), "", "", height=300
    )
    assert two.layout.margin.t == theme.LEGEND_ROOM
    assert two.layout.height == 300 + theme.LEGEND_ROOM - theme.MARGIN["t"]
    assert theme.headline(go.Figure()) == ("", "")


# --- confusion -----------------------------------------------------------------------------


def cells(figure: go.Figure) -> dict[tuple[str, str], str]:
    """(label, prediction) → the number written, from the clickable layers."""
    return {
        (data[0], data[1]): text
        for layer in figure.data[1:]
        for data, text in zip(layer.customdata, layer.text, strict=True)
    }


@pytest.mark.parametrize(
    ("mode", "heat", "written"),
    [
        (
            "counts",
            [[8, 2, 0], [3, 7, 0], [0, 1, 9]],
            ["8", "2", "", "3", "7", "", "", "1", "9"],
        ),
        (
            "shares",
            [[0.8, 0.2, 0], [0.3, 0.7, 0], [0, 0.1, 0.9]],
            ["80%", "20%", "", "30%", "70%", "", "", "10%", "90%"],
        ),
        (
            "errors",
            [[0, 0.2, 0], [0.3, 0, 0], [0, 0.1, 0]],
            ["", "20%", "", "30%", "", "", "", "10%", ""],
        ),
    ],
)
def test_confusion_matrix_shows_and_offers_every_cell(
    mode: performance.Mode, heat: list[list[float]], written: list[str]
) -> None:
    figure = performance.confusion_matrix(COUNTS, mode)
    np.testing.assert_allclose(np.array(figure.data[0].z, float), heat)
    found = cells(figure)
    pairs = [(label, answer) for label in CLASSES for answer in CLASSES]
    assert [found[pair] for pair in pairs] == written
    assert len(found) == 9
    assert len(figure.layout.shapes) == 0


def test_rare_mistakes_keep_a_decimal() -> None:
    rare = pd.DataFrame([[995, 5], [120, 880]], index=["a", "b"], columns=["a", "b"])
    assert cells(performance.confusion_matrix(rare, "errors")) == {
        ("a", "a"): "",
        ("a", "b"): "0.5%",
        ("b", "a"): "12%",
        ("b", "b"): "",
    }


def test_the_picked_cell_is_outlined() -> None:
    (outline,) = performance.confusion_matrix(COUNTS, "counts", ("bee", "ant")).layout.shapes
    assert (outline.x0, outline.x1, outline.y0, outline.y1) == (-0.5, 0.5, 0.5, 1.5)
    gone = performance.confusion_matrix(COUNTS, "counts", ("bee", "yak"))
    assert len(gone.layout.shapes) == 0


def test_classes_named_by_numbers_stay_categories() -> None:
    digits = COUNTS.set_axis(["0", "1", "2"]).set_axis(["0", "1", "2"], axis=1)
    figure = performance.confusion_matrix(digits)
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("category", "category")


def test_confusion_sentences() -> None:
    expected = "Ant and bee are confused most: 83\u00a0% of all mistakes"
    assert wording.confusion(3 * COUNTS) == expected
    assert wording.confusion(COUNTS) == "6 mistakes; no two categories stand out"
    right = pd.DataFrame(np.diag([4, 4]), index=["a", "b"], columns=["a", "b"])
    assert wording.confusion(right) == "Every image is classified correctly"


# --- models and classes --------------------------------------------------------------------


def test_learning_curves_average_seeds_and_show_each() -> None:
    history = pd.DataFrame(
        {
            "model": ["A"] * 4,
            "seed": [1, 1, 2, 2],
            "epoch": [1, 2, 1, 2],
            "seconds": [1.0, 2.0, 1.0, 2.0],
            "validation_accuracy": [0.4, 0.6, 0.6, 0.9],
            "train_accuracy": [0.5, 0.8, 0.7, 1.0],
        }
    )
    figure = performance.learning_curves(history, ["A"], with_training=True)
    assert floats(traces(figure)["A"].y) == [0.5, 0.75]
    drawn = [floats(trace.y) for trace in figure.data]
    assert drawn == [[0.4, 0.6], [0.6, 0.9], [0.5, 0.75], [0.6, 0.9]]
    assert theme.headline(figure)[0] == "A reaches the best validation accuracy: 90.0\u00a0%"


def test_learning_curves_mark_where_fine_tuning_starts() -> None:
    history = pd.DataFrame(
        {
            "model": ["A"] * 3 + ["B"],
            "seed": 1,
            "epoch": [1, 2, 3, 1],
            "seconds": [5.0, 9.0, 20.0, 4.0],
            "validation_accuracy": [0.4, 0.5, 0.9, 0.3],
            "phase": ["head", "head", "fine_tuning", None],
        }
    )
    (line,) = performance.learning_curves(history, ["A", "B"]).layout.shapes
    assert line.x0 == 2.5
    figure = performance.learning_curves(history, ["A", "B"], over="seconds")
    assert figure.layout.shapes[0].x0 == 9
    assert figure.layout.annotations[0].text == "fine-tuning"
    plain = performance.learning_curves(history.drop(columns="phase"), ["A", "B"])
    assert len(plain.layout.shapes) == 0


def test_class_scores_draw_weakest_on_top_in_class_colours() -> None:
    report = pd.DataFrame({"label": CLASSES, "recall": [0.8, 0.7, 0.9], "support": 10}).assign(
        recall_low=[0.5, 0.4, 0.6], recall_high=[0.9, 0.85, 0.95]
    )
    figure = performance.class_scores(report, CLASSES, "recall")
    bars = [trace for trace in figure.data if trace.type == "bar"]
    dots = [trace for trace in figure.data if trace.type == "scatter"]
    assert [bar.y[0] for bar in bars] == ["cow", "ant", "bee"]  # drawn from the bottom up
    assert [bar.marker.color for bar in bars] == [PALETTE[2], PALETTE[0], PALETTE[1]]
    assert floats(dot.error_x.array[0] for dot in dots) == [0.05, 0.1, 0.15]
    assert theme.headline(figure)[0] == (
        "From 70.0\u00a0% to 90.0\u00a0%; the intervals of categories overlap"
    )


def test_a_class_without_images_is_shown_as_not_tested() -> None:
    report = pd.DataFrame(
        {"label": CLASSES, "recall": [0.8, np.nan, 0.9], "support": [10, 0, 10]}
    ).assign(recall_low=[0.5, np.nan, 0.6], recall_high=[0.9, np.nan, 0.95])
    figure = performance.class_scores(report, CLASSES, "recall")
    untested = CLASSES[1]
    assert list(figure.layout.yaxis.ticktext)[-1] == f"{untested}  not tested"
    assert untested.capitalize() not in theme.headline(figure)[0]
    assert "; 10 images per class" in theme.headline(figure)[1]
    heat = performance.class_heatmap(report.assign(model="A"), CLASSES, "recall")
    assert "nan" not in "".join(str(trace.text) for trace in heat.data[1:])


def test_class_heatmap_keeps_the_order_of_models_and_classes() -> None:
    reports = pd.DataFrame(
        {
            "model": ["Z", "Z", "Z", "A", "A", "A"],
            "label": ["cow", "ant", "bee"] * 2,
            "recall": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
        }
    )
    figure = performance.class_heatmap(reports, CLASSES, "recall")
    np.testing.assert_allclose(figure.data[0].z, [[0.8, 0.7, 0.9], [0.5, 0.4, 0.6]])
    assert list(figure.data[0].y) == ["Z", "A"]
    assert theme.headline(figure)[0] == "Every model finds bee the hardest"


def test_class_counts_stack_the_splits() -> None:
    counts = pd.DataFrame({"label": CLASSES, "train": [6, 6, 6], "test": [2, 2, 2]})
    figure = performance.class_counts(counts, CLASSES)
    assert {name: list(trace.x) for name, trace in traces(figure).items()} == {
        "train": [6, 6, 6],
        "test": [2, 2, 2],
    }
    assert theme.headline(figure) == (
        "Every category has 8 images",
        "Images per category and split, n\u00a0=\u00a024",
    )
    uneven = performance.class_counts(counts.assign(test=[2, 3, 1]), CLASSES)
    assert theme.headline(uneven)[0] == ("Bee has 1.3 times as many images as cow: 9 and 7")


# --- curves and confidence -----------------------------------------------------------------


@pytest.fixture
def scored() -> metrics.Scored:
    """Four images of two classes; the third answer is wrong."""
    probabilities = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]
    return metrics.score([0, 0, 1, 1], probabilities, ["ant", "bee"])


def test_curves_draw_one_line_per_class(scored: metrics.Scored) -> None:
    curves = evaluation_curves.roc_curves(scored)
    figure = performance.roc(curves, ["ant", "bee"], scored.n)
    ant = traces(figure)["ant"]
    assert floats(ant.x) == [0, 0, 0, 0.5, 1]
    assert floats(ant.y) == [0, 0.5, 1, 1, 1]
    assert ant.line.color == PALETTE[0]
    assert tuple(figure.layout.xaxis.range)[1] == 0.05  # all of the class is found without alarm
    recall = performance.precision_recall(
        evaluation_curves.precision_recall_curves(scored), ["ant", "bee"], scored.n
    )
    assert set(traces(recall)) == {"ant", "bee"}
    assert theme.headline(recall)[1] == (
        "Precision and recall, each class against the rest; n\u00a0=\u00a04"
    )


def test_curves_without_classes_say_so() -> None:
    empty = evaluation_curves.roc_curves(metrics.score([0], [[1.0, 0.0]], ["ant", "bee"]))
    assert empty.empty
    figure = performance.roc(empty, ["ant", "bee"], 1)
    assert theme.headline(figure)[0] == "No class can be drawn"


def test_threshold_trade_marks_the_choice(scored: metrics.Scored) -> None:
    curve = thresholds.selective(scored, [0.0, 0.65, 0.95])
    figure = performance.threshold_trade(curve, 0.65, scored.n)
    assert floats(traces(figure)["automation rate"].y) == [1.0, 0.75]  # nothing is left at 0.95
    assert floats(traces(figure)["precision (automatic)"].y) == [0.75, 1.0]
    assert figure.layout.shapes[0].x0 == 0.65
    assert theme.headline(figure)[0] == (
        "From 65\u00a0% confidence the model sorts 75 of 100 photos automatically; "
        "100.0\u00a0% of those are correct"
    )
    assert performance.threshold_finding(curve, 0.95) == (
        "From 95\u00a0% confidence the model sorts nothing automatically"
    )


def test_reliability_shows_what_chance_would() -> None:
    table = pd.DataFrame(
        {
            "n": [25, 100],
            "confidence": [0.75, 0.95],
            "accuracy": [0.7, 0.8],
            "band_low": [0.5, 0.9],
            "band_high": [0.9, 0.98],
        }
    )
    found = Reliability(125, CalibrationError(0.13, 0.0, 0.05, 0.001), table)
    figure = performance.reliability(found)
    drawn = traces(figure)
    assert floats(drawn["images in this range"].y) == [0.7, 0.8]
    assert list(drawn["images in this range"].marker.color) == [theme.ACCENT, theme.BAD]
    band = drawn["what chance alone would show"]
    assert floats(band.y) == [0.7, 0.94]
    assert floats(band.error_y.array) == floats(band.error_y.arrayminus) == [0.2, 0.04]
    assert theme.headline(figure)[0] == "Confidence is too high in 1 of 2 ranges of confidence"


def sorting(threshold: float | None, accepted: int) -> thresholds.Sorting:
    coverage, precision = Estimate(accepted / 24, 0, 1, ""), Estimate(0.995, 0, 1, "")
    found = factories.sorting(threshold, CLASSES)
    return replace(found, accepted=accepted, coverage=coverage, precision=precision)


def test_the_answer_says_what_people_check() -> None:
    assert performance.sorting_sentence("best CNN", sorting(0.8, 12), COUNTS) == (
        "Best CNN sorts 50 of 100 photos by itself; 99.5\u00a0% of those are right. People check "
        "the other 50."
    )
    assert performance.sorting_sentence("best CNN", sorting(None, 0), COUNTS) == (
        "Best CNN classifies 80.0\u00a0% of the photos correctly, but on validation "
        "images no confidence reaches 99\u00a0% precision: all photos need checking."
    )


def test_a_pair_is_named_only_where_it_stands_out() -> None:
    clear = COUNTS * 20  # the same shares of many more mistakes
    assert performance.sorting_sentence("best CNN", sorting(0.8, 12), clear).endswith(
        "People check the other 50. Ant and bee are confused most."
    )
    perfect = COUNTS * np.eye(len(COUNTS), dtype=int)
    assert performance.sorting_sentence("best CNN", sorting(0.8, 12), perfect).endswith(
        "People check the other 50."
    )


# --- two models ----------------------------------------------------------------------------


# --- hypotheses ----------------------------------------------------------------------------

ACCURACY = {
    "id": "H2",
    "metric": "accuracy",
    "n": 100,
    "alpha": 0.05,
    "margin": 0.7,
    "models": ["plain"],
    "effect": {"value": 0.8, "low": 0.71, "high": 0.87, "unit": "share"},
    "p_value": 0.03,
    "verdict": "supported",
    "details": [
        {"name": "best", "value": 0.9, "low": 0.82, "high": 0.94, "n": 100, "unit": "share"}
    ],
    "points": [],
}


def test_the_effect_is_drawn_against_its_margin() -> None:
    figure = hypotheses.effect(ACCURACY, {"plain": "Plain", "best": "Best"})
    tested = traces(figure)["what was tested"]
    assert (list(tested.y), floats(tested.x)) == (["H2: Plain"], [0.8])
    assert floats(tested.error_x.array) == [0.07]
    assert floats(tested.error_x.arrayminus) == [0.09]
    assert list(traces(figure)["reported beside it"].y) == ["Best"]
    assert figure.layout.shapes[0].x0 == 0.7
    assert theme.headline(figure) == (
        "80.0\u00a0% (71.0\u00a0% to 87.0\u00a0%), clearly above 70.0\u00a0%",
        "Accuracy, 95\u00a0% interval; n\u00a0=\u00a0100",
    )


@pytest.mark.parametrize(
    ("change", "ending"),
    [
        ({"low": 0.6, "high": 0.69}, ", clearly below 70.0\u00a0%"),
        ({"low": 0.6, "high": 0.75}, ", on both sides of 70.0\u00a0%"),
    ],
)
def test_the_finding_says_where_the_interval_lies(change: dict[str, float], ending: str) -> None:
    moved = ACCURACY | {"effect": ACCURACY["effect"] | change}  # type: ignore[operator]
    assert hypotheses.effect_finding(moved).endswith(ending)


def test_the_finding_names_chance_where_only_the_test_hesitates() -> None:
    hesitant = ACCURACY | {"verdict": "undecided", "p_value": 0.08}
    assert hypotheses.effect_finding(hesitant).endswith(
        "), above 70.0\u00a0%, but not significant (p = 0.08)"
    )


def test_points_are_pairs_of_classes_or_of_seeds_or_nothing() -> None:
    pairs = [
        {"label_a": "ant", "label_b": "bee", "similarity": 0.9, "confusion": 0.2},
        {"label_a": "ant", "label_b": "cow", "similarity": 0.1, "confusion": 0.0},
    ]
    drawn = hypotheses.points(ACCURACY | {"points": pairs}, {})
    assert drawn is not None
    assert (
        theme.headline(drawn)[0]
        == "Ant / bee is the pair confused most on these images, and the most alike"
    )
    seeds = [{"seed": 1, "a": 0.5, "b": 0.6}, {"seed": 2, "a": 0.5, "b": 0.4}]
    joined = hypotheses.points(ACCURACY | {"points": seeds}, {"a": "Without", "b": "With"})
    assert joined is not None
    assert floats(traces(joined)["With"].x) == [0.6, 0.4]
    assert theme.headline(joined)[0] == "Trainings of Without and With overlap"
    assert hypotheses.points(ACCURACY, {}) is None


def test_criteria_are_counted_and_coloured_by_outcome() -> None:
    frame = pd.DataFrame(
        {
            "id": ["S1", "S2", "F1", "F2"],
            "kind": ["success", "success", "failure", "failure"],
            "criterion": ["a", "b", "c", "d"],
            "target": [0.7, 0.9, 0.5, 100.0],
            "result": [0.8, 0.9, 0.8, 5.0],
            "low": [0.75, 0.85, 0.75, 4.0],
            "high": [0.85, 0.95, 0.85, 6.0],
            "unit": ["share", "share", "share", "ms"],
            "good": pd.Series([True, None, True, False], dtype=object),
        }
    )
    figure = hypotheses.criteria(frame)
    results = traces(figure)["result"]
    assert list(results.y) == ["S1", "S2", "F1"]  # milliseconds have no place on this axis
    assert list(results.marker.color) == [theme.GOOD, theme.REFERENCE, theme.GOOD]
    assert theme.headline(figure)[0] == (
        "1 of 2 success criteria are met and 1 failure criterion applies; 1 cannot be told yet"
    )


def test_the_policy_names_what_is_always_checked() -> None:
    found = sorting(0.8, 12)
    assert wording.policy(found) == (
        "Photos with at least 80.0\u00a0% confidence are sorted automatically; people check the "
        "others"
    )
    ant, bee, cow = found.classes
    checked = replace(found, classes=(ant, bee, replace(cow, threshold=None, why="few")))
    assert wording.policy(checked) == (
        "Photos with at least 80.0\u00a0% confidence are sorted automatically; people check the "
        "others, and all of cow"
    )
    most = [replace(each, threshold=None, why="few") for each in (bee, cow)]
    assert wording.policy(replace(found, classes=(ant, *most))) == (
        "Photos of ant with at least 80.0\u00a0% confidence are sorted automatically; people check "
        "all others"
    )


def test_the_policy_says_why_nothing_is_sorted() -> None:
    found = sorting(None, 0)
    assert wording.policy(found) == (
        "People check every photo: on validation images no confidence reaches 99\u00a0% precision"
    )
    few = tuple(replace(each, why="few") for each in found.classes)
    assert wording.policy(replace(found, classes=few)) == (
        "People check every photo: the validation images are too few to assure 95\u00a0% "
        "precision of any category"
    )


def test_the_promise_is_told_only_where_there_is_one() -> None:
    assert wording.promise(sorting(0.8, 12)) == (
        "Promised with 95\u00a0% confidence, from validation images: at least 99\u00a0% of all "
        "that is sorted automatically is correct, and at least 95\u00a0% in each category."
    )
    assert wording.promise(sorting(None, 0)) == (
        "Nothing is sorted automatically, so nothing is promised."
    )
    assert wording.promise(factories.sorting(0.8, assured=False)) == (
        "Not assured: 99\u00a0% of the validation images at or above the threshold are correct; "
        "nothing is promised for other images."
    )
