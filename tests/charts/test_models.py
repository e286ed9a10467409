"""Charts that set models side by side, and those of classical models."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.charts import classical, models, theme
from src.evaluation.stats import wilson_bounds
from tests import factories
from tests.charts.test_performance import floats, traces


def test_accuracy_ranking_draws_intervals_and_other_peoples_numbers_apart() -> None:
    table = pd.DataFrame(
        {"title": ["A", "B"], "value": [0.9, 0.7], "low": [0.88, 0.6], "high": [0.93, 0.75]}
    ).assign(n=100)
    others = pd.DataFrame({"name": ["People"], "low": [0.94], "high": [0.96]})
    figure = models.accuracy_ranking(table, others, "test")
    ours = traces(figure)["this version"]
    assert list(ours.y) == ["B", "A"]
    assert floats(ours.error_x.array) == [0.05, 0.03]
    assert floats(ours.error_x.arrayminus) == [0.1, 0.02]
    assert floats(traces(figure)["published"].x) == [0.95]
    assert theme.headline(figure) == (
        "A has the highest accuracy: 90.0\u00a0%",
        "Test accuracy with 95\u00a0% interval, n\u00a0=\u00a0100 images per model",
    )


MODELS = pd.DataFrame(
    {
        "title": ["Slow", "Quick", "Beaten", "Forest"],
        "family": ["network", "network", "classical", "classical"],
        "value": [0.9, 0.7, 0.65, 0.8],
        "low": [0.8, 0.6, 0.6, 0.75],
        "high": [0.95, 0.8, 0.7, 0.85],
        "latency": [6.0, 2.0, 5.0, 3.0],
        "n": 100,
    }
)


NOBODY = pd.DataFrame(columns=["name", "low", "high"], dtype=float)


def _against(table: pd.DataFrame, others: pd.DataFrame = NOBODY) -> Any:
    return models.cost_against_accuracy(table, others, "test", models.COSTS["answering"])


def test_long_titles_have_room_for_all_their_lines() -> None:
    title = "One network in three lines, without augmentation"
    assert theme.extent(theme.wrapped(title)) == (3, len("One network in three"))
    many = pd.concat([MODELS] * 3)
    others = pd.DataFrame({"name": ["People"], "low": [0.94], "high": [0.96]})
    heights = [
        models.accuracy_ranking(*tables, "test").layout.height - 120
        for tables in (
            (many, others),
            (many.replace({"title": {"Slow": title}}), others),
            (many, others.assign(name=title)),
        )
    ]
    assert heights[0] < 3 * models.LINE * (len(many) + 1) <= heights[1] == heights[2]


def test_the_frontier_holds_what_nothing_beats_in_both() -> None:
    answering = models.COSTS["answering"]
    assert models.frontier(MODELS, answering)["title"].tolist() == ["Quick", "Forest", "Slow"]
    same = MODELS.assign(latency=1.0)
    assert models.frontier(same, answering)["title"].tolist() == ["Slow"]
    alike = MODELS.assign(latency=[1.05, 1.0, 1.2, 1.02])
    assert models.frontier(alike, answering)["title"].tolist() == ["Slow"]  # 5 % is not noticed


def test_cost_against_accuracy_draws_families_and_the_frontier() -> None:
    figure = _against(MODELS)
    drawn = traces(figure)
    assert {name: floats(trace.x) for name, trace in drawn.items()} == {
        "best trade-off": [2, 3, 6],
        "Network": [6, 2],
        "Classical model": [5, 3],
    }
    assert floats(drawn["Network"].error_y.array) == [0.05, 0.1]
    assert figure.layout.xaxis.type == "log"
    assert list(drawn["Network"].textposition) == ["top left", "top left"]
    assert list(drawn["Classical model"].textposition) == ["middle right", "top left"]
    assert theme.headline(figure)[0] == (
        "The most accurate model takes 3.0 times as long to answer as the fastest"
    )
    alone = _against(MODELS.head(2).assign(latency=[1.0, 2.0]))
    assert theme.headline(alone)[0] == (
        "No model is faster to answer than the most accurate one, Slow"
    )


def test_costs_that_are_nearly_equal_look_nearly_equal() -> None:
    figure = _against(MODELS.assign(latency=[20.1, 20.0, 20.2, 20.3]))
    left, right = 10 ** np.array(figure.layout.xaxis.range, float)
    shown = [tick for tick in figure.layout.xaxis.tickvals if left < tick < right]
    assert shown == [10, 20, 50]
    named = {
        t: p for trace in figure.data for t, p in zip(trace.text, trace.textposition, strict=True)
    }
    # Beside the signs, where no interval strikes the names through.
    assert named == dict.fromkeys(MODELS["title"], "middle right") | {"Slow": "top left"}
    wide = 10 ** np.array(_against(MODELS.assign(latency=[1, 3, 5, 9])).layout.xaxis.range, float)
    assert wide[0] < 1 / 2  # room for the first name


def test_of_many_models_of_nearly_equal_cost_only_the_frontier_is_named() -> None:
    many = pd.concat([MODELS, *[MODELS[MODELS["title"] == "Beaten"]] * 5])
    figure = _against(many.assign(latency=np.linspace(20, 21, len(many))))
    assert [text for trace in figure.data for text in trace.text if text] == ["Slow"]


def test_ticks_are_round_numbers_and_few() -> None:
    near = _against(MODELS.assign(latency=[6.0, 2.0, 5.0, 30.0])).layout.xaxis
    assert [tick for tick in near.tickvals if 1 <= tick <= 50] == [1, 2, 5, 10, 20, 50]
    assert "20" in near.ticktext
    far = _against(MODELS.assign(latency=[0.01, 0.02, 5.0, 30.0])).layout.xaxis
    shown = [tick for tick in far.ticktext if 0.01 <= float(tick) <= 30]
    assert shown == ["0.01", "0.1", "1", "10"]


def test_numbers_from_elsewhere_stand_beside_ours_where_they_are_near() -> None:
    others = pd.DataFrame(
        {"name": ["People", "Guess"], "low": [0.94, 0.1], "high": [0.96, 0.1]}, index=[7, 3]
    )
    beside = traces(_against(MODELS, others))["published, at unknown cost"]
    assert floats(beside.y) == [0.95]
    assert list(beside.customdata) == ["People"]
    assert beside.x[0] > MODELS["latency"].max()


def test_cost_of_training_is_an_axis_of_its_own() -> None:
    trained = MODELS.drop(columns="latency").assign(training=[60.0, 3.0, 4.0, 5.0])
    figure = models.cost_against_accuracy(trained, NOBODY, "test", models.COSTS["training"])
    assert theme.headline(figure)[0] == (
        "The most accurate model takes 20 times as long to train as the fastest"
    )
    assert figure.layout.xaxis.title.text == "processor time of training (minutes)"
    assert floats(traces(figure)["best trade-off"].x) == [3, 5, 60]


def test_of_many_models_only_those_on_the_frontier_are_named() -> None:
    many = pd.concat([MODELS, *[MODELS[MODELS["title"] == "Beaten"]] * 5])
    figure = _against(many)
    named = [text for trace in figure.data[1:] for text in trace.text if text]
    assert sorted(named) == ["Forest", "Quick", "Slow"]
    places = [zip(trace.text, trace.textposition, strict=True) for trace in figure.data[1:]]
    assert {place for pairs in places for text, place in pairs if text} == {"top left"}
    left, right = figure.layout.xaxis.range  # room for a name, and for numbers from elsewhere
    assert left < np.log10(2.0) - 0.1
    assert right > np.log10(models.BESIDE * 6.0)
    crowded = _against(many.assign(latency=many["latency"].replace(3.0, 2.1)))
    named = [text for trace in crowded.data[1:] for text in trace.text if text]
    assert sorted(named) == ["Forest", "Slow"]  # of two neighbours the better one
    long = many.replace({"title": {"Slow": "Slow and careful"}})
    named = [text for trace in _against(long).data[1:] for text in trace.text if text]
    assert sorted(named) == ["Forest", "Quick", "Slow and careful"]
    near = long.assign(latency=many["latency"].replace(3.0, 4.0))
    named = [text for trace in _against(near).data[1:] for text in trace.text if text]
    assert sorted(named) == ["Quick", "Slow and careful"]  # a name in the way of a longer one


def test_high_accuracies_keep_two_decimals() -> None:
    cases = ((0.98, 10_000), (0.99, 10_000), (0.99, 400))
    tables = [pd.DataFrame({"value": [0.5, top], "n": n}) for top, n in cases]
    assert [models.digits(table) for table in tables] == [1, 2, 1]


def test_cross_validation_counts_every_picture_once() -> None:
    folds = pd.DataFrame(
        {
            "title": "Head",
            "repeat": [0, 0, 1, 1],
            "fold": [0, 1, 0, 1],
            "n": [60, 40, 60, 40],
            "accuracy": [0.9, 0.8, 0.8, 0.75],
        }
    )
    figure = models.cross_validation(folds)
    pooled = traces(figure)["all folds together"]
    assert floats(pooled.x) == [0.82]  # (54 + 32 + 48 + 30) / 200
    low, high = wilson_bounds(82, 100)
    assert floats(pooled.error_x.array) == pytest.approx([high - 0.82], abs=1e-6)
    assert floats(pooled.error_x.arrayminus) == pytest.approx([0.82 - low], abs=1e-6)
    assert floats(traces(figure)["one fold"].x) == [0.9, 0.8, 0.8, 0.75]
    assert theme.headline(figure)[1].endswith("n\u00a0=\u00a0100")


def test_comparison_names_the_better_one_or_chance() -> None:
    result = {
        "split": "test",
        "n": 100,
        "both": 70,
        "only_first": 15,
        "only_second": 5,
        "neither": 10,
        "difference": {"value": 0.1, "low": 0.02, "high": 0.18, "method": "Tango"},
        "p_value": 0.041,
    }
    figure = models.agreement(result, "A", "B")
    assert {name: floats(trace.x) for name, trace in traces(figure).items()} == {
        "both right: 70": [0.7],
        "only A: 15": [0.15],
        "only B: 5": [0.05],
        "both wrong: 10": [0.1],
    }
    assert theme.headline(figure)[0] == "A beats B by 10.0 percentage points (p = 0.041)"
    unclear = result | {"difference": {"value": 0.1, "low": -0.02, "high": 0.2}, "p_value": 0.2}
    assert models.comparison_finding(unclear, "A", "B") == (
        "A and B do not differ significantly (p = 0.2)"
    )


def test_differences_count_what_survives_holm() -> None:
    pairs = pd.DataFrame(
        {
            "first": ["A", "A"],
            "second": ["B", "C"],
            "n": [50, 50],
            "difference": [0.2, 0.01],
            "low": [0.1, 0.001],  # its own interval leaves 0 out, Holm does not
            "high": [0.3, 0.019],
            "p_holm": [0.001, 0.8],
        }
    )
    figure = models.differences(pairs)
    assert floats(figure.data[0].x) == [20, 1]
    assert list(figure.data[0].marker.color) == [theme.ACCENT, theme.REFERENCE]
    assert theme.headline(figure)[0] == "1 of 2 differences is significant"


def test_one_model_against_all_others() -> None:
    pairs = pd.DataFrame(
        {
            "first": "A",
            "second": ["B", "C", "D"],
            "n": 50,
            "difference": [0.2, 0.01, -0.1],
            "low": [0.1, -0.05, -0.2],
            "high": [0.3, 0.07, -0.05],
            "p_holm": [0.001, 0.8, 0.01],
        }
    )
    figure = models.differences(pairs, "A")
    assert list(figure.data[0].y) == ["D", "C", "B"]
    assert figure.layout.xaxis.title.text == "accuracy of A minus theirs (points)"
    assert theme.headline(figure)[0] == (
        "A beats 1 of 3 other models, is beaten by 1; 1 not significantly different"
    )
    better = models.differences(pairs.head(1), "A")
    assert theme.headline(better)[0] == "A beats 1 of 1 other models"


# --- classical models ----------------------------------------------------------------------

TABLES = {
    path.split("/")[1].split(".")[0]: table for path, table in factories.classical_tables().items()
}


def test_the_search_fills_what_was_chosen() -> None:
    figure = classical.search(TABLES["search"])
    assert floats(traces(figure)["tried"].x) == [0.8]
    assert floats(traces(figure)["chosen"].x) == [0.84, 0.7]
    assert theme.headline(figure) == (
        "Settings matter most for random forest: 4.0 points",
        "Accuracy on validation (n\u00a0=\u00a0200) after fitting to 60 training images",
    )


def test_importance_puts_the_weightiest_member_on_top() -> None:
    figure = classical.importance(TABLES["importance"])
    assert list(figure.data[0].y) == ["Logistic regression", "Random forest"]  # from the bottom
    assert floats(figure.data[0].error_x.array) == [0.05, 0.05]
    assert theme.headline(figure)[0] == "The blend relies most on random forest"


def test_correlation_fills_the_square() -> None:
    figure = classical.correlation(TABLES["correlation"])
    np.testing.assert_allclose(figure.data[0].z, [[1, 0.4], [0.4, 1]])
    assert theme.headline(figure)[0] == ("Random forest and logistic regression differ most (0.40)")
    never = TABLES["correlation"].assign(errors=[1.0, float("nan"), float("nan")])
    assert theme.headline(classical.correlation(never))[0].startswith("Nothing to correlate")


def test_explained_variance_counts_the_components() -> None:
    figure = classical.explained_variance(TABLES["explained_variance"])
    assert (list(figure.data[1].x), list(figure.data[1].y)) == ([2], [0.95])
    assert theme.headline(figure)[0] == "2 of 3 components hold 95\u00a0% of the variance"
