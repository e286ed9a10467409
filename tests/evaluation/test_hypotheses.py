"""Hypotheses: what the file may say, and what tiny runs make of it."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from src.data import studies
from src.evaluation import hypotheses, metrics
from src.evaluation import stats as evaluation_stats
from src.evaluation.hypotheses import Evidence, Hypothesis, HypothesisError
from src.evaluation.stats import Estimate

MEANING = {"supported": "yes {value}", "refuted": "no {value}", "undecided": "open: {needed}"}
ENTRIES: dict[str, dict[str, Any]] = {
    "pair_correlation": {"models": ["net"], "margin": 0.0},
    "accuracy": {"models": ["net"], "margin": 0.7, "statement": "at least {margin}"},
    "gain": {"models": ["without", "with"], "margin": 5.0, "statement": "adds {margin} points"},
    "difference": {"models": ["old", "new"], "margin": 0.0},
    "error_ratio": {"models": ["old", "new"], "margin": 0.5, "direction": "at most"},
    "class_f1": {"models": ["net"], "margin": 0.5, "label": "a"},
    "weakest_class": {"models": ["net"], "margin": 10.0, "label": "a"},
}


def entry(kind: str, /, **changes: Any) -> dict[str, Any]:
    common = {"id": "H", "title": "title", "statement": "statement", "kind": kind, "metric": "m"}
    common |= {"test": "t", "split": "test", "direction": "at least", "alpha": 0.05}
    return common | {"meaning": MEANING} | ENTRIES[kind] | changes


def judged(kind: str, evidence: Evidence, **changes: Any) -> dict[str, Any]:
    (result,) = hypotheses.judge([Hypothesis(**entry(kind, **changes))], evidence)
    json.dumps(result, allow_nan=False)  # it can be published as it is
    return result


def predictions(labels: np.ndarray, answers: np.ndarray, classes: str = "ab") -> pd.DataFrame:
    p = np.eye(len(classes))[answers]
    return metrics.to_frame(metrics.score(labels, p, list(classes)))


def right(hits: int, n: int) -> pd.DataFrame:
    """Answers to n pictures of class a, the first `hits` of them right."""
    return predictions(np.zeros(n, int), (np.arange(n) >= hits).astype(int))


# The file ---------------------------------------------------------------------------------------


WRITTEN_DOWN = {
    "cifar10": ("H1 0", "H2 0.7", "H3 5", "H4 1", "H5 1"),
    "digits": ("H1 0", "H2 0.95", "H3 0.5"),
    "fashion_mnist": ("H1 0", "H2 0.9", "H3 1", "C1 0.95", "C2 3", "C3 0.85"),
    "mnist": ("H1 0", "H2 0.985", "H3 0.5", "M1 0.3", "M2 0.5", "M3 0", "M4 1", "M5 0.995"),
    "clothing": ("H1 0", "C1 2", "C2 0.9", "C3 0.8"),
    "unheard of": (),
}


@pytest.mark.parametrize("study", WRITTEN_DOWN)
def test_the_written_down_hypotheses_are_valid(study: str) -> None:
    loaded = studies.stated_hypotheses(study)
    assert tuple(f"{h.id} {h.margin:g}" for h in loaded) == WRITTEN_DOWN[study]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "guess"}, "kind 'guess' is none of"),
        ({"direction": "about"}, "direction\n.*'at least'"),
        ({"alpha": 0}, "alpha\n.*greater than 0"),
        ({"margin": 70}, "margin 70 is not between 0 and 1"),
        ({"models": ["a", "b"]}, "needs 1 in models"),
        ({"also": ["a"]}, "none or 2 in also"),
        ({"colour": "red"}, "colour\n.*Unexpected"),
        ({"meaning": {"supported": "yes"}}, "meaning needs exactly"),
        ({"meaning": MEANING | {"refuted": "{valeu}"}}, r"meaning.refuted quotes \['valeu'\]"),
        (
            {"meaning": MEANING | {"refuted": "{confused}"}},
            r"refuted quotes \['confused'\]",
        ),
        ({"statement": "{value}"}, r"statement quotes \['value'\]; possible are \['margin'\]"),
        ({"label": "Shirt"}, "accuracy has no label"),
        ({"kind": "class_f1"}, "class_f1 needs a label"),
        ({"kind": "difference"}, "needs at least 2 in models"),
    ],
)
def test_a_wrong_entry_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Hypothesis(**entry("accuracy", **changes))


# Verdicts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "direction", "p", "expected"),
    [
        (5.1, 6, "at least", 0.01, "supported"),
        (5.0, 6, "at least", 0.05, "supported"),
        (4, 4.9, "at least", 0.01, "refuted"),
        (4, 6, "at least", 0.01, "undecided"),
        (5.1, 6, "at least", 0.06, "undecided"),
        (4, 4.9, "at most", 0.01, "supported"),
        (5.1, 6, "at most", 0.01, "refuted"),
        (4, 6, "at most", 0.01, "undecided"),
    ],
)
def test_verdict(low: float, high: float, direction: str, p: float, expected: str) -> None:
    estimate = Estimate((low + high) / 2, low, high, "")
    assert hypotheses.verdict(estimate, 5.0, direction, p, 0.05) == expected


def test_accuracy_in_full() -> None:
    evidence = Evidence({"net": right(80, 100), "other": right(50, 100)})
    result = judged("accuracy", evidence)
    interval = stats.binomtest(80, 100).proportion_ci(method="wilson")
    other = stats.binomtest(50, 100).proportion_ci(method="wilson")
    assert result == {
        "id": "H",
        "title": "title",
        "statement": "at least 70 %",
        "metric": "m",
        "split": "test",
        "n": 100,
        "method": "Wilson",
        "test": "t",
        "alpha": 0.05,
        "margin": 0.7,
        "direction": "at least",
        "models": ["net"],
        "effect": {
            "value": 0.8,
            "low": pytest.approx(interval.low),
            "high": pytest.approx(interval.high),
            "unit": "share",
        },
        "p_value": pytest.approx(2 * stats.norm.sf(0.1 / np.sqrt(0.7 * 0.3 / 100))),
        "verdict": "supported",
        "needed": None,
        "meaning": "yes 80.0 %",
        "details": [
            {
                "name": "other",
                "value": 0.5,
                "low": pytest.approx(other.low),
                "high": pytest.approx(other.high),
                "n": 100,
                "unit": "share",
            }
        ],
        "points": [],
    }


def test_accuracy_refuted_and_undecided() -> None:
    assert judged("accuracy", Evidence({"net": right(50, 100)}))["verdict"] == "refuted"
    result = judged("accuracy", Evidence({"net": right(75, 100)}))
    total = int(np.ceil(1.959964**2 * 0.7 * 0.3 / 0.05**2))
    assert result["verdict"] == "undecided"
    assert result["needed"] == f"about {total - 100} more test images"
    assert result["meaning"] == f"open: about {total - 100} more test images"
    even = judged("accuracy", Evidence({"net": right(70, 100)}))
    assert even["needed"].startswith("no number of further test images")
    close = judged("accuracy", Evidence({"net": right(70_010, 100_000)}))
    assert close["needed"].startswith("no realistic number of further test images")


def test_alpha_sets_the_level_of_the_interval() -> None:
    result = judged("accuracy", Evidence({"net": right(80, 100)}), alpha=0.01)
    interval = stats.binomtest(80, 100).proportion_ci(0.99, method="wilson")
    assert result["effect"]["low"] == pytest.approx(interval.low)
    assert result["verdict"] == "undecided"


def test_a_hypothesis_about_a_model_that_was_not_trained_is_left_out() -> None:
    parsed = [Hypothesis(**entry("accuracy")), Hypothesis(**entry("gain", id="G"))]
    evidence = Evidence({"net": right(8, 10), "with": right(1, 2)})
    assert [result["id"] for result in hypotheses.judge(parsed, evidence)] == ["H"]
    assert hypotheses.lacking(parsed[0], Evidence({"other": right(1, 2)})) == ["net"]
    assert hypotheses.lacking(parsed[1], evidence) == ["without", "with"]  # no seeds


# Pairs ------------------------------------------------------------------------------------------


def six_classes(related: bool) -> Evidence:
    """100 pictures a class; pair number i of 15 is confused i times, and is i alike or not."""
    labels, answers = [], []
    pairs = [(a, b) for a in range(6) for b in range(a + 1, 6)]
    for i, (a, b) in enumerate(pairs):
        labels += [a] * i
        answers += [b] * i
    for k in range(6):
        wrong = labels.count(k)
        labels += [k] * (100 - wrong)
        answers += [k] * (100 - wrong)
    square = np.eye(6) * 99
    order = np.random.default_rng(1).permutation(15)
    for i, (a, b) in enumerate(pairs):
        square[a, b] = square[b, a] = i if related else order[i]
    names = np.array(list("abcdef"))
    similarity = pd.DataFrame(
        {"label_a": names.repeat(6), "label_b": np.tile(names, 6), "similarity": square.ravel()}
    ).sample(frac=1, random_state=0)  # the order of its rows means nothing
    net = predictions(np.array(labels), np.array(answers), "abcdef")
    return Evidence({"net": net, "twin": net}, similarity)


def test_pair_correlation_supported() -> None:
    meaning = MEANING | {"supported": "{confused}; {alike}; {classes}; {n}; {value}"}
    result = judged("pair_correlation", six_classes(related=True), meaning=meaning)
    assert result["verdict"] == "supported"
    assert result["effect"]["value"] == pytest.approx(1)
    assert result["effect"]["unit"] == "correlation"
    assert (result["n"], result["method"]) == (15, "jackknife over classes")
    assert result["p_value"] < 0.01  # 720 relabelings, of which one matches
    assert result["meaning"] == "e and f; e and f; 6; 15; 1.00"
    assert result["points"][:2] == [
        {"label_a": "a", "label_b": "b", "similarity": 0, "confusion": 0},
        {"label_a": "a", "label_b": "c", "similarity": 1, "confusion": 1 / 200},
    ]
    assert len(result["points"]) == 15
    (twin,) = result["details"]
    assert (twin["name"], twin["value"], twin["n"]) == ("twin", pytest.approx(1), 15)


def test_pair_correlation_undecided() -> None:
    result = judged("pair_correlation", six_classes(related=False))
    assert result["verdict"] == "undecided"
    assert result["p_value"] > 0.05
    assert result["effect"]["low"] < 0 < result["effect"]["high"]
    assert result["needed"].endswith("more categories")


def test_pair_correlation_of_a_model_without_mistakes_is_open() -> None:
    evidence = six_classes(related=True)
    labels = np.arange(6).repeat(5)
    perfect = predictions(labels, labels, "abcdef")
    meaning = MEANING | {"undecided": "{confused}; {alike}"}
    evidence = Evidence({"net": perfect}, evidence.similarity)
    result = judged("pair_correlation", evidence, meaning=meaning)
    assert result["meaning"] == "no pair; e and f"
    assert (result["verdict"], result["p_value"]) == ("undecided", 1)
    assert result["effect"] == {"value": 0, "low": -1, "high": 1, "unit": "correlation"}


def test_pair_confusion_is_fair_to_small_classes() -> None:
    labels = np.array([0] * 8 + [1] * 2 + [2] * 2)
    answers = np.array([0] * 7 + [1] + [1, 0] + [0, 2])
    scored = metrics.score(labels, np.eye(3)[answers], list("abc"))
    expected = [[0, 2 / 10, 1 / 10], [2 / 10, 0, 0], [1 / 10, 0, 0]]
    np.testing.assert_allclose(hypotheses.pair_confusion(scored), expected)


def test_an_incomplete_similarity_table_is_refused() -> None:
    evidence = six_classes(related=True)
    short = evidence.similarity[evidence.similarity["label_a"] != "c"]
    with pytest.raises(HypothesisError, match="lacks pairs"):
        judged("pair_correlation", Evidence(evidence.predictions, short))
    with pytest.raises(HypothesisError, match="needs the table label_a, label_b, similarity"):
        judged("pair_correlation", Evidence(evidence.predictions))


# Seeds ------------------------------------------------------------------------------------------


def seed_frame(accuracies: list[float], first: int = 1) -> pd.DataFrame:
    return pd.DataFrame(
        {"seed": range(first, first + len(accuracies)), "test_accuracy": accuracies}
    )


def gain_evidence(without: list[float], with_: list[float]) -> Evidence:
    return Evidence({}, seeds={"without": seed_frame(without), "with": seed_frame(with_)})


def test_gain_supported_refuted_undecided() -> None:
    without = [0.50, 0.52, 0.51, 0.49, 0.53]
    gains = {
        "supported": [7.0, 7.5, 6.5, 7.2, 6.8],
        "refuted": [3.0, 3.5, 2.5, 3.2, 2.8],
        "undecided": [4.0, 7.0, 5.5, 6.5, 4.5],
    }
    for expected, points in gains.items():
        with_ = [a + g / 100 for a, g in zip(without, points, strict=True)]
        result = judged("gain", gain_evidence(without, with_))
        test = stats.ttest_1samp(points, 5.0)
        interval = test.confidence_interval(0.95)
        assert result["verdict"] == expected
        assert result["effect"] == {
            "value": pytest.approx(np.mean(points)),
            "low": pytest.approx(interval.low),
            "high": pytest.approx(interval.high),
            "unit": "percentage points",
        }
        assert result["p_value"] == pytest.approx(test.pvalue)
        assert (result["n"], result["method"]) == (5, "Student, paired by seed")
        assert result["statement"] == "adds 5.0 points"
        needed = "about 23 more seeds" if expected == "undecided" else None
        assert result["needed"] == needed


def test_gain_pairs_by_seed_and_shows_the_pairs() -> None:
    evidence = Evidence(
        {},
        seeds={
            "without": seed_frame([0.1, 0.2, 0.3], first=1),
            "with": seed_frame([0.9, 0.5, 0.4], first=2).sort_values("seed", ascending=False),
        },
    )
    result = judged("gain", evidence)
    assert result["points"] == [
        {"seed": 2, "without": 0.2, "with": 0.9},
        {"seed": 3, "without": 0.3, "with": 0.5},
    ]
    assert result["effect"]["value"] == pytest.approx(45)


def test_gain_of_one_seed_is_open() -> None:
    result = judged("gain", gain_evidence([0.5], [0.9]))
    assert (result["verdict"], result["n"]) == ("undecided", 1)
    assert result["needed"] == "about 1 more seed"
    assert (result["effect"]["low"], result["effect"]["high"]) == (-100, 100)


def test_gain_without_seeds_in_common() -> None:
    with pytest.raises(HypothesisError, match="share no seed"):
        judged(
            "gain",
            Evidence({}, seeds={"without": seed_frame([0.5]), "with": seed_frame([0.5], first=7)}),
        )


def test_gain_details_are_paired_on_the_pictures() -> None:
    def kept(answers: dict[int, str], order: int = 1) -> pd.DataFrame:
        rows = [
            {"seed": seed, "split": split, "id": i, "label": "a", "prediction": letter}
            for seed, word in answers.items()
            for split in ("validation", "test")
            for i, letter in list(enumerate(word))[::order]
        ]
        return pd.DataFrame(rows)

    plain = gain_evidence([0.5, 0.5], [0.75, 0.5])
    evidence = Evidence(
        {"small": right(1, 4), "large": right(3, 4)},
        seeds=plain.seeds,
        seed_predictions={
            "without": kept({1: "aabb", 2: "abab"}),
            "with": kept({1: "aaab", 2: "baab"}, order=-1),
        },
    )
    details = judged("gain", evidence, also=["small", "large"])["details"]
    values = [(d["name"], d["value"], d["n"], d["unit"], round(d["p_value"], 9)) for d in details]
    points = "percentage points"
    assert values == [
        ("seed 1", 25, 4, points, 1),  # one more right, none less
        ("seed 2", 0, 4, points, 1),  # one more, one less
        ("large minus small", 50, 4, points, 0.5),  # two more
    ]
    assert all(d["low"] < d["value"] < d["high"] for d in details)


# Two models on the same pictures ----------------------------------------------------------------


def answered(test: str, validation: str = "11") -> pd.DataFrame:
    """Pictures of class a, answered right where 1."""
    parts = []
    for split, word in (("test", test), ("validation", validation)):
        wrong = np.array([letter == "0" for letter in word], int)
        parts.append(predictions(np.zeros(len(word), int), wrong).assign(split=split))
    return pd.concat(parts, ignore_index=True)


def test_difference_against_the_best_of_the_others_on_validation() -> None:
    evidence = Evidence(
        {
            "weak": answered("1" * 100, validation="01"),  # not the best before test was seen
            "old": answered("1" * 70 + "0" * 30),
            "new": answered("1" * 65 + "0" * 5 + "1" * 25 + "0" * 5, validation="00"),
        },
        titles={"old": "Old net"},
    )
    meaning = MEANING | {"supported": "{value} over {reference}"}
    result = judged("difference", evidence, models=["weak", "old", "new"], meaning=meaning)
    tango = evaluation_stats.paired_difference(25, 5, 100).scaled(100)
    assert result["effect"] == {
        "value": 20,
        "low": tango.low,
        "high": tango.high,
        "unit": "percentage points",
    }
    assert result["p_value"] == pytest.approx(stats.chi2.sf(20**2 / 30, 1))
    assert (result["n"], result["method"], result["verdict"]) == (100, "Tango", "supported")
    assert (result["models"], result["meaning"]) == (["old", "new"], "20.0 over Old net")
    (other,) = result["details"]
    assert (other["name"], other["value"], other["p_value"]) == (
        "new minus weak",
        -10,
        pytest.approx(2 / 2**10),
    )


def test_difference_undecided_says_how_many_pictures_would_do() -> None:
    evidence = Evidence({"old": answered("1110" * 5), "new": answered("1111" * 5)})
    result = judged("difference", evidence, margin=10.0)
    assert (result["effect"]["value"], result["verdict"]) == (25, "undecided")
    half = 25 - result["effect"]["low"]
    assert result["needed"] == f"about {int(np.ceil(20 * (half / 15) ** 2)) - 20} more test images"


def test_error_ratio() -> None:
    """100 wrong before, of which 30 stay wrong, and 5 new mistakes."""
    old = answered("0" * 100 + "1" * 900)
    new = answered("0" * 30 + "1" * 70 + "0" * 5 + "1" * 895)
    result = judged("error_ratio", Evidence({"old": old, "new": new}))
    assert (result["effect"]["value"], result["effect"]["unit"]) == (0.35, "ratio")
    assert (result["n"], result["verdict"]) == (1000, "supported")
    assert (
        result["effect"]["high"]
        < 0.5
        < judged("error_ratio", Evidence({"old": new, "new": old}))["effect"]["low"]
    )


def test_error_ratio_without_a_mistake_to_compare_with_is_open() -> None:
    perfect = answered("1" * 10)
    result = judged("error_ratio", Evidence({"old": perfect, "new": perfect}))
    assert (result["verdict"], result["p_value"]) == ("undecided", 1)


# One category -----------------------------------------------------------------------------------


def shirts() -> Evidence:
    """Of 100 pictures each: a 60 right, 40 taken for b; b 90 right, 10 for c; c all right."""
    labels = np.arange(3).repeat(100)
    answers = np.array([0] * 60 + [1] * 40 + [1] * 90 + [2] * 10 + [2] * 100)
    return Evidence({"net": predictions(labels, answers, "abc")})


def test_class_f1() -> None:
    result = judged("class_f1", shirts())
    assert result["effect"]["value"] == pytest.approx(2 * 60 / (60 + 100))
    assert (result["effect"]["unit"], result["method"]) == ("F1", metrics.STRATIFIED)
    # Nothing else is taken for a, so F1 only varies with the binomial number of hits.
    ends = stats.binom(100, 0.6).ppf([0.025, 0.975])
    exact = 2 * ends / (ends + 100)
    found = [result["effect"]["low"], result["effect"]["high"]]
    np.testing.assert_allclose(found, exact, atol=0.01)
    assert (result["verdict"], result["meaning"]) == ("supported", "yes 0.750")
    assert judged("class_f1", shirts(), margin=0.9)["verdict"] == "refuted"


def test_weakest_class() -> None:
    # F1: a 0.75, b 180 / 230, c 200 / 210
    meaning = MEANING | {"undecided": "{label}, {weakest}: {value}"}
    result = judged("weakest_class", shirts(), meaning=meaning)
    assert result["effect"]["value"] == pytest.approx(100 * (180 / 230 - 0.75))
    assert result["effect"]["low"] < 3.26 < result["effect"]["high"]
    assert judged("weakest_class", shirts(), label="c")["verdict"] == "refuted"
    easy = judged("weakest_class", shirts(), margin=-20.0)
    assert (easy["verdict"], easy["p_value"]) == ("supported", pytest.approx(2 / 10_001))


def test_what_was_not_tested_is_in_no_judgement() -> None:
    labels, answers = np.repeat([0, 1, 3], 20), np.repeat([0, 1, 3, 3], [20, 10, 10, 20])
    four = Evidence({"net": predictions(labels, answers, "abcd")})
    assert hypotheses.judge([Hypothesis(**entry("class_f1", label="c"))], four) == []
    three = Evidence({"net": predictions(np.minimum(labels, 2), np.minimum(answers, 2), "abd")})
    meaning = MEANING | {"refuted": "{weakest} {value}"}
    for found in (judged("weakest_class", e, meaning=meaning) for e in (four, three)):
        assert found["effect"]["value"] == pytest.approx(100 * (20 / 30 - 1))
        assert found["meaning"] == "b -33.3"


def test_an_unknown_category_is_named() -> None:
    with pytest.raises(HypothesisError, match=r"H: 'z' is none of \['a', 'b', 'c'\]"):
        judged("class_f1", shirts(), label="z")
