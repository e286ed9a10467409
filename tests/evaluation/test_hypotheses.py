"""Hypotheses: what the file may say, and what tiny runs make of it."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from src.data import studies
from src.evaluation import gains, hypotheses, metrics, sample_sizes
from src.evaluation import stats as evaluation_stats
from src.evaluation.hypotheses import Evidence, Hypothesis, HypothesisError
from src.evaluation.stats import Estimate

MEANING = {"supported": "yes {value}", "refuted": "no {value}", "undecided": "open. {needed}"}
ALPHA = 0.05 * np.pi**2 / 6  # of all looks, so that the first one is judged at 0.05
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
    common |= {"test": "t", "split": "test", "direction": "at least", "alpha": ALPHA}
    common |= {"stated": date(2026, 1, 2), "since_reading": 1}
    return common | {"meaning": MEANING} | ENTRIES[kind] | changes


def judged(kind: str, evidence: Evidence, reading: int = 1, **changes: Any) -> dict[str, Any]:
    """What is said of one hypothesis; one revision trained all models, unless others are given."""
    if not evidence.revisions:
        one = dict.fromkeys([*evidence.predictions, *evidence.seed_predictions], "abc")
        evidence = replace(evidence, revisions=one)
    (result,) = hypotheses.judge([Hypothesis(**entry(kind, **changes))], evidence, reading)
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
        ({"blocks": {"x": ("a",)}}, "accuracy has no blocks"),
        ({"since_reading": 0}, "since_reading\n.*greater than or equal to 1"),
        ({"stated": "soon"}, "stated\n.*valid date"),
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
        "stated": "2026-01-02",
        "since_reading": 1,
        "reading": 1,
        "look": 1,
        "metric": "m",
        "split": "test",
        "n": 100,
        "method": "Wilson",
        "test": "t",
        "alpha": pytest.approx(0.05),
        "alpha_of_all_looks": ALPHA,
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
        "refusal": None,
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
    assert result["verdict"] == "undecided"
    assert result["needed"].startswith("With 80 % power, about ")
    assert result["meaning"] == f"open. {result['needed']}"
    even = judged("accuracy", Evidence({"net": right(70, 100)}))
    assert even["needed"].startswith("More test images will not settle this")
    close = judged("accuracy", Evidence({"net": right(70_010, 100_000)}))
    assert close["needed"].startswith("More test images will not settle this")


def test_what_is_needed_is_judged_at_the_next_look() -> None:
    more = sample_sizes.images_for_share(0.75, 0.7, 100, 1 - ALPHA * 6 / (np.pi * 4) ** 2)
    said = judged("accuracy", Evidence({"net": right(75, 100)}), reading=3)["needed"]
    assert f"about {-(-more // 100) * 100:,} more test images" in said


# What a conclusion may not say: it was not varied, or not measured, by the test of its hypothesis.
NOT_TESTED = {
    "better investment": "labelling more photos was never set against augmentation",
    "stronger model": "no other network was part of the test",
    "risky categories": "a correlation of ranks names no category",
    "where the model is sure": "an F1 score is over all photos, not those sorted automatically",
    "would decide": "it says nothing about power",
    "go live": "no target of the client is tested",
    "trust the rest": "the other categories were not tested",
}


@pytest.mark.parametrize("study", [name for name in WRITTEN_DOWN if name != "unheard of"])
def test_no_conclusion_says_what_was_not_tested(study: str) -> None:
    for h in studies.stated_hypotheses(study):
        for text in h.meaning.values():
            assert [phrase for phrase in NOT_TESTED if phrase in text] == []


@pytest.mark.parametrize("study", [name for name in WRITTEN_DOWN if name != "unheard of"])
def test_an_open_question_says_what_would_settle_it(study: str) -> None:
    for h in studies.stated_hypotheses(study):
        assert "{needed}" in h.meaning["undecided"]
        assert "{low} to {high}" in " ".join(h.meaning.values())


# Looks ------------------------------------------------------------------------------------------


def test_the_levels_of_all_looks_sum_to_alpha() -> None:
    levels = [hypotheses.level_of_look(0.05, k) for k in range(1, 200_000)]
    assert sum(levels) == pytest.approx(0.05, rel=1e-5)
    assert sum(levels) < 0.05
    assert [hypotheses.look(3, k) for k in (1, 3, 4, 7)] == [1, 1, 2, 5]


def test_looking_again_until_it_turns_out_is_wrong_no_more_than_alpha_often() -> None:
    """Six readings of 400 images whose true accuracy is the margin, each time another network."""
    rng, repetitions, level = np.random.default_rng(5), 2_000, 0.05
    hits = rng.binomial(400, 0.7, (repetitions, 6))
    z = np.abs(hits / 400 - 0.7) / np.sqrt(0.7 * 0.3 / 400)
    levels = np.array([hypotheses.level_of_look(level, k) for k in range(1, 7)])
    wrong = (z >= stats.norm.ppf(1 - levels / 2)).any(1).mean()
    # Three standard deviations of a binomial share of `repetitions` at the level.
    tolerance = 3 * np.sqrt(level * (1 - level) / repetitions)
    assert wrong <= level + tolerance
    assert (z >= stats.norm.ppf(1 - level / 2)).any(1).mean() > 0.2  # as it was done before


def test_a_later_look_needs_more_evidence() -> None:
    evidence = Evidence({"net": right(80, 100)})
    looks = [judged("accuracy", evidence, reading=k, since_reading=3) for k in (3, 4, 5)]
    assert [(r["look"], r["verdict"]) for r in looks] == [
        (1, "supported"),
        (2, "undecided"),
        (3, "undecided"),
    ]
    assert [r["alpha"] for r in looks] == pytest.approx([0.05, 0.05 / 4, 0.05 / 9])
    assert looks[2]["effect"]["low"] < 0.7 < looks[0]["effect"]["low"]


def test_alpha_sets_the_level_of_the_interval() -> None:
    evidence = Evidence({"net": right(80, 100)})
    result = judged("accuracy", evidence, alpha=0.01 * np.pi**2 / 6)
    interval = stats.binomtest(80, 100).proportion_ci(0.99, method="wilson")
    assert result["effect"]["low"] == pytest.approx(interval.low)
    assert result["verdict"] == "undecided"


def test_a_hypothesis_about_a_model_that_was_not_trained_is_left_out() -> None:
    parsed = [Hypothesis(**entry("accuracy")), Hypothesis(**entry("gain", id="G"))]
    evidence = Evidence({"net": right(8, 10), "with": right(1, 2)})
    assert [result["id"] for result in hypotheses.judge(parsed, evidence, 1)] == ["H"]
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
    assert result["meaning"] == (
        "Confused most are e and f (14 images) and d and f (13).; "
        "The pair that looks most alike is e and f.; 6; 15; 1.00"
    )
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
    assert result["needed"] == sample_sizes.FIXED  # nobody can have more of a fixed list


@pytest.mark.parametrize("margin", [-0.9, 0.5, 0.9])
def test_a_correlation_is_judged_against_any_margin(margin: float) -> None:
    """Related or not, an interval on one side of the margin gives a verdict."""
    related = judged("pair_correlation", six_classes(related=True), margin=margin)
    assert related["verdict"] == "supported"
    unrelated = judged("pair_correlation", six_classes(related=False), margin=margin)
    interval = unrelated["effect"]
    inside = interval["low"] <= margin <= interval["high"]
    assert (unrelated["p_value"] > 0.05) == inside  # interval and test are one method
    expected = "undecided" if inside else "supported" if margin < 0 else "refuted"
    assert unrelated["verdict"] == expected


def divided(within: bool) -> Evidence:
    """Eight classes in two blocks: alike and confused within a block, unlike between them.

    `within`: whether it is also the more alike of the pairs of one block that are confused more.
    """
    rng, names = np.random.default_rng(3), np.array(list("abcdefgh"))
    square, labels, answers = np.zeros((8, 8)), [], []
    for a in range(8):
        for b in range(a + 1, 8):
            same = (a < 4) == (b < 4)
            rank, other = rng.random(2)
            square[a, b] = square[b, a] = 10 * same + rank
            confused = int(20 * same + 10 * (rank if within else other))
            labels += [a] * confused
            answers += [b] * confused
    labels += list(np.arange(8).repeat(300))
    answers += list(np.arange(8).repeat(300))
    similarity = pd.DataFrame(
        {"label_a": names.repeat(8), "label_b": np.tile(names, 8), "similarity": square.ravel()}
    )
    return Evidence(
        {"net": predictions(np.array(labels), np.array(answers), "abcdefgh")}, similarity
    )


BLOCKS = {"first": tuple("abcd"), "second": tuple("efgh")}


@pytest.mark.slow
def test_a_division_into_blocks_is_no_correlation_within_them() -> None:
    meaning = MEANING | {"undecided": "{blocks}: {value}"}
    ignored = judged("pair_correlation", divided(within=False))
    assert ignored["verdict"] == "supported"  # it is the division alone
    removed = judged("pair_correlation", divided(within=False), blocks=BLOCKS, meaning=meaning)
    assert removed["verdict"] == "undecided"
    assert removed["meaning"].startswith("first and second: ")
    assert removed["method"] == "jackknife over classes within blocks"
    (whole,) = (d for d in removed["details"] if d["name"] == "blocks not removed")
    assert whole["value"] == pytest.approx(ignored["effect"]["value"])
    assert judged("pair_correlation", divided(within=True), blocks=BLOCKS)["verdict"] == "supported"


def test_a_category_in_no_block_is_named() -> None:
    with pytest.raises(HypothesisError, match="H: h is in none of its blocks"):
        judged("pair_correlation", divided(within=True), blocks=BLOCKS | {"second": tuple("efg")})


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ([0, 0, 0], "No two categories were confused."),
        ([5, 1, 0], "Too few images were confused to name a pair."),
        ([12, 10, 1], "Confused most are a and b (12 images) and a and c (10)."),
        ([5, 30, 4], "The pair confused most is a and c (30 images)."),
    ],
)
def test_a_pair_is_called_most_confused_only_where_that_is_no_chance(
    counts: list[int], sentence: str
) -> None:
    labels, answers = [*np.arange(3).repeat(100)], [*np.arange(3).repeat(100)]
    for (a, b), n in zip([(0, 1), (0, 2), (1, 2)], counts, strict=True):
        labels += [a] * n
        answers += [b] * n
    net = predictions(np.array(labels), np.array(answers), "abc")
    names = np.array(list("abc"))
    similarity = pd.DataFrame(
        {"label_a": names.repeat(3), "label_b": np.tile(names, 3), "similarity": 0.5}
    )
    meaning = dict.fromkeys(MEANING, "{confused} {alike}")
    result = judged("pair_correlation", Evidence({"net": net}, similarity), meaning=meaning)
    assert result["meaning"] == f"{sentence} 3 pairs of categories look equally alike."


def test_pair_correlation_of_a_model_without_mistakes_is_open() -> None:
    evidence = six_classes(related=True)
    labels = np.arange(6).repeat(5)
    perfect = predictions(labels, labels, "abcdef")
    meaning = MEANING | {"undecided": "{confused}; {alike}"}
    evidence = Evidence({"net": perfect}, evidence.similarity)
    result = judged("pair_correlation", evidence, meaning=meaning)
    assert result["meaning"] == (
        "No two categories were confused.; The pair that looks most alike is e and f."
    )
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


def kept(answers: dict[int, str], order: int = 1) -> pd.DataFrame:
    """The answers of trainings by seed to pictures of class a."""
    rows = [
        {"seed": seed, "split": split, "id": i, "label": "a", "prediction": letter}
        for seed, word in answers.items()
        for split in ("validation", "test")
        for i, letter in list(enumerate(word))[::order]
    ]
    return pd.DataFrame(rows)


def arm(hits: list[int], first: int = 1, n: int = 1_000, start: int = 0) -> pd.DataFrame:
    """One training a number of right answers to n pictures, those from `start` on."""
    words = ["b" * start + "a" * h + "b" * (n - h - start) for h in hits]
    return kept(dict(enumerate(words, first)))


def gain_evidence(without: list[int], with_: list[int], **more: Any) -> Evidence:
    return Evidence({}, seed_predictions={"without": arm(without), "with": arm(with_)}, **more)


@pytest.mark.parametrize(
    ("with_", "expected"),
    [
        ([620, 625, 615, 622, 618], "supported"),
        ([510, 515, 505, 512, 508], "refuted"),
        ([560, 570, 555, 565, 545], "undecided"),
    ],
)
def test_gain_supported_refuted_undecided(with_: list[int], expected: str) -> None:
    without = [500, 505, 510, 495, 490]
    evidence = gain_evidence(without, with_)
    result = judged("gain", evidence)
    found = gains.gain(*(np.arange(1_000) < np.array(hits)[:, None] for hits in (with_, without)))
    interval = found.interval(0.95)
    assert result["verdict"] == expected
    assert result["effect"] == {
        "value": pytest.approx((np.mean(with_) - np.mean(without)) / 10),
        "low": pytest.approx(100 * interval.low),
        "high": pytest.approx(100 * interval.high),
        "unit": "percentage points",
    }
    assert result["p_value"] == pytest.approx(found.p_value(0.05))
    assert (result["n"], result["method"]) == (1_000, gains.METHOD)
    assert result["statement"] == "adds 5.0 points"
    assert (result["needed"] is not None) == (expected == "undecided")


def test_gain_uses_unpaired_seeds_and_shows_them() -> None:
    evidence = Evidence(
        {},
        seed_predictions={"without": arm([100, 200, 300]), "with": arm([900, 500, 400], first=2)},
    )
    meaning = dict.fromkeys(MEANING, "{trainings}, {n} images")
    result = judged("gain", evidence, meaning=meaning)
    assert result["points"] == [
        {"seed": 1, "without": 0.1, "with": None},
        {"seed": 2, "without": 0.2, "with": 0.9},
        {"seed": 3, "without": 0.3, "with": 0.5},
        {"seed": 4, "without": None, "with": 0.4},
    ]
    assert result["effect"]["value"] == pytest.approx(40)
    assert result["meaning"] == "3 and 3 trainings, 1,000 images"
    assert [d["name"] for d in result["details"]] == ["seed 2", "seed 3"]


def test_gain_of_one_seed_is_open() -> None:
    result = judged("gain", gain_evidence([500], [900]))
    assert (result["verdict"], result["n"]) == ("undecided", 1_000)
    assert result["needed"] == sample_sizes.ONE_TRAINING
    assert (result["effect"]["low"], result["effect"]["high"]) == (-100, 100)


def test_gain_over_different_images_is_refused() -> None:
    evidence = Evidence({}, seed_predictions={"without": arm([5], n=10), "with": arm([5], n=9)})
    with pytest.raises(HypothesisError, match="H: without and with answered different images"):
        judged("gain", evidence)


def test_gain_details_are_paired_on_the_pictures() -> None:
    evidence = Evidence(
        {"small": right(1, 4), "large": right(3, 4)},
        seed_predictions={
            "without": kept({1: "aabb", 2: "abab"}),
            "with": kept({1: "aaab", 2: "baab"}, order=-1),
        },
    )
    details = judged("gain", evidence, also=["small", "large"])["details"]
    values = [(d["name"], d["value"], d["n"], d["unit"], round(d["p_value"], 6)) for d in details]
    points = "percentage points"
    assert values == [
        ("seed 1", 25, 4, points, round(stats.chi2.sf(1, 1), 6)),  # one more right, none less
        ("seed 2", 0, 4, points, 1),  # one more, one less
        ("large minus small", 50, 4, points, round(stats.chi2.sf(2, 1), 6)),  # two more
    ]
    assert all(d["low"] < d["value"] < d["high"] for d in details)


# Revisions of the code --------------------------------------------------------------------------

DIFFERENT = (
    "No verdict: the models that it compares were trained by different revisions of the code "
    "(without by 1234567 and with by abcdef0), so a difference may come from the code."
)


@pytest.mark.parametrize(
    ("revisions", "said"),
    [
        ({"without": "1234567890", "with": "1234567890"}, None),
        (
            {"without": "1234567890", "with": "abcdef0123"},
            DIFFERENT,
        ),
        (
            {"without": "1234567890"},
            "No verdict: it is not recorded by which code with was trained.",
        ),
        (
            {"without": "unknown", "with": "unknown"},
            "No verdict: it is not recorded by which code without and with was trained.",
        ),
    ],
)
def test_arms_of_different_code_get_no_verdict(revisions: dict[str, str], said: str | None) -> None:
    evidence = gain_evidence([500, 505, 495], [900, 905, 895], revisions=revisions)
    result = judged("gain", evidence)
    assert (result["verdict"], result["refusal"]) == ("undecided" if said else "supported", said)
    assert result["needed"] is None  # no number of seeds mends it
    if said:
        assert result["meaning"] == said


def test_one_model_against_a_margin_needs_no_revision() -> None:
    result = judged("accuracy", Evidence({"net": right(80, 100)}, revisions={"other": "abc"}))
    assert result["verdict"] == "supported"


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
        pytest.approx(stats.chi2.sf(10, 1)),
    )


def tied(second: str) -> Evidence:
    """Two references that are equally good on validation, and a model to compare with them."""
    return Evidence(
        {
            "first": answered("0" * 30 + "1" * 70),
            "second": answered(second),
            "new": answered("1" * 100),
        }
    )


def test_references_that_tie_on_validation_must_agree() -> None:
    models = ["first", "second", "new"]
    agreed = judged("difference", tied("1" * 80 + "0" * 20), models=models)
    assert (agreed["verdict"], agreed["models"]) == ("supported", ["second", "new"])
    assert agreed["effect"]["value"] == 20  # the reference that leaves least
    torn = judged("difference", tied("1" * 98 + "0" * 2), models=models)
    assert (torn["verdict"], torn["effect"]["value"]) == ("undecided", 2)
    assert [d["name"] for d in torn["details"]] == ["new minus first"]


def test_difference_undecided_says_how_many_pictures_would_do() -> None:
    evidence = Evidence({"old": answered("1110" * 5), "new": answered("1111" * 5)})
    result = judged("difference", evidence, margin=10.0)
    assert (result["effect"]["value"], result["verdict"]) == (25, "undecided")
    error = (25 - result["effect"]["low"]) / stats.norm.ppf(0.975)
    level = 1 - hypotheses.level_of_look(ALPHA, 2)
    more = sample_sizes.images_for_value(25, 10, error, 20, level)
    assert f"about {more} more test images" in result["needed"]


@pytest.mark.parametrize("value", [-0.001, 0.0, -0.004])
def test_nothing_is_not_negative(value: float) -> None:
    assert hypotheses._number(value, "correlation") == "0.00"
    assert hypotheses._number(-0.012, "correlation") == "-0.01"


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
    assert (easy["verdict"], easy["p_value"]) == ("supported", pytest.approx(1 / 10_001))


def test_what_was_not_tested_is_in_no_judgement() -> None:
    labels, answers = np.repeat([0, 1, 3], 20), np.repeat([0, 1, 3, 3], [20, 10, 10, 20])
    four = Evidence({"net": predictions(labels, answers, "abcd")})
    assert hypotheses.judge([Hypothesis(**entry("class_f1", label="c"))], four, 1) == []
    three = Evidence({"net": predictions(np.minimum(labels, 2), np.minimum(answers, 2), "abd")})
    meaning = MEANING | {"refuted": "{weakest} {value}"}
    for found in (judged("weakest_class", e, meaning=meaning) for e in (four, three)):
        assert found["effect"]["value"] == pytest.approx(100 * (20 / 30 - 1))
        assert found["meaning"] == "b -33.3"


def test_an_unknown_category_is_named() -> None:
    with pytest.raises(HypothesisError, match=r"H: 'z' is none of \['a', 'b', 'c'\]"):
        judged("class_f1", shirts(), label="z")
