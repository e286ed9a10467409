"""Tiny inputs with complete values worked out by hand, larger ones against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import softmax as scipy_softmax
from sklearn import metrics

from src.evaluation import comparison
from src.evaluation import curves as evaluation_curves
from src.evaluation import metrics as evaluation_metrics
from src.evaluation import thresholds as evaluation_thresholds
from src.evaluation.metrics import Scored
from tests import factories

CLASSES = ("cat", "dog", "ship")
#                       label  answer  confidence
PROBABILITIES = [
    [0.7, 0.2, 0.1],  # cat    cat     0.7   right
    [0.3, 0.6, 0.1],  # cat    dog     0.6
    [0.1, 0.8, 0.1],  # dog    dog     0.8   right
    [0.9, 0.1, 0.0],  # dog    cat     0.9
    [0.0, 0.1, 0.9],  # ship   ship    0.9   right
]
LABELS = ["cat", "cat", "dog", "dog", "ship"]


@pytest.fixture
def tiny() -> Scored:
    return evaluation_metrics.score(LABELS, PROBABILITIES, CLASSES, ids=[10, 11, 12, 13, 14])


def drawn(n: int = 3_000, k: int = 6, seed: int = 0, *, ties: bool = False) -> Scored:
    """Plausible answers; with `ties`, probabilities in steps of 0.1 that repeat a lot."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(k, n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))
    logits = rng.normal(size=(n, k)) * 1.5
    logits[np.arange(n), labels] += 2
    p = scipy_softmax(logits, axis=1)
    if ties:
        p = np.round(p, 1)
        p[:, 0] += 1 - p.sum(1)
        p = np.abs(p) / np.abs(p).sum(1, keepdims=True)
    return evaluation_metrics.score(labels, p, [f"class {i}" for i in range(k)])


# Boundary ---------------------------------------------------------------------------------------


def test_names_and_codes_mean_the_same(tiny: Scored) -> None:
    coded = evaluation_metrics.score(np.array([0, 0, 1, 1, 2]), PROBABILITIES, CLASSES)
    assert coded.labels.tolist() == tiny.labels.tolist() == [0, 0, 1, 1, 2]
    assert tiny.predicted.tolist() == [0, 1, 1, 0, 2]
    assert tiny.correct.tolist() == [True, False, True, False, True]
    assert tiny.confidence.tolist() == [0.7, 0.6, 0.8, 0.9, 0.9]


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (["cat"], [[0.5, 0.5]], r"probabilities are \(1, 2\), expected \(1, 3\)"),
        (["cat", "dog"], [[1, 0, 0]], r"are \(1, 3\), expected \(2, 3\)"),
        (["frog"], [[1, 0, 0]], "label 'frog' is none of"),
        ([3], [[1, 0, 0]], "label 3 is none of"),
        ([-1], [[1, 0, 0]], "label -1 is none of"),
        (["cat"], [[0.5, 0.2, 0.1]], "sum to 1 in every row; one is off by 0.2"),
        (["cat"], [[1.5, -0.5, 0]], "not negative"),
        (["cat"], [[np.nan, 0.5, 0.5]], "finite"),
        ([], np.empty((0, 3)), "not empty"),
    ],
)
def test_score_refuses(labels: list, probabilities: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluation_metrics.score(labels if labels else np.empty(0, int), probabilities, CLASSES)


def test_frame_round_trip(tiny: Scored) -> None:
    frame = evaluation_metrics.to_frame(tiny)
    expected = pd.DataFrame(
        {
            "split": ["test"] * 5,
            "id": [10, 11, 12, 13, 14],
            "label": LABELS,
            "prediction": ["cat", "dog", "dog", "cat", "ship"],
            "p_cat": factories.published([0.7, 0.3, 0.1, 0.9, 0.0]),
            "p_dog": factories.published([0.2, 0.6, 0.8, 0.1, 0.1]),
            "p_ship": factories.published([0.1, 0.1, 0.1, 0.0, 0.9]),
        }
    )
    pd.testing.assert_frame_equal(frame, expected, check_exact=True)
    other = frame.assign(split="validation", label="ship")
    back = evaluation_metrics.from_frame(pd.concat([other, frame]), "test")
    assert (back.split, back.classes, back.ids.tolist()) == ("test", CLASSES, [10, 11, 12, 13, 14])
    assert back.labels.tolist() == tiny.labels.tolist()
    np.testing.assert_array_equal(back.probabilities, factories.published(PROBABILITIES))


def test_published_probabilities_are_rounded_to_sixteen_bits() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 10_000) ** 9  # many of them tiny
    rounded = evaluation_metrics._rounded(np.append(values, [0.0, 1.0]))
    assert not (rounded.view(np.uint32) & 0xFF).any()
    np.testing.assert_allclose(rounded[:-2], values, rtol=2**-16, atol=0)
    assert rounded[-2:].tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(evaluation_metrics._rounded(rounded.astype(float)), rounded)


def test_frame_refusals(tiny: Scored) -> None:
    frame = evaluation_metrics.to_frame(tiny)
    with pytest.raises(ValueError, match=r"no split 'validation', only \['test'\]"):
        evaluation_metrics.from_frame(frame, "validation")
    with pytest.raises(ValueError, match=r"lack the columns \['prediction'\]"):
        evaluation_metrics.from_frame(frame.drop(columns="prediction"), "test")
    with pytest.raises(ValueError, match="not the class of highest probability"):
        evaluation_metrics.from_frame(frame.assign(prediction="ship"), "test")


def test_of_two_equal_probabilities_the_stated_one_counts() -> None:
    scored = evaluation_metrics.score(["cat"], [[0.5, 0.5, 0.0]], CLASSES)
    frame = evaluation_metrics.to_frame(scored).assign(prediction="dog")
    assert evaluation_metrics.from_frame(frame, "test").predicted.tolist() == [1]


# Confusion and report ---------------------------------------------------------------------------


def test_confusion_as_counts_and_shares(tiny: Scored) -> None:
    counts = evaluation_metrics.confusion(tiny)
    assert counts.index.tolist() == counts.columns.tolist() == list(CLASSES)
    assert (counts.index.name, counts.columns.name) == ("label", "prediction")
    assert counts.to_numpy().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    shares = evaluation_metrics.confusion_shares(counts)
    assert shares.to_numpy().tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]


def test_confusion_shares_of_a_class_without_pictures() -> None:
    counts = evaluation_metrics.confusion(evaluation_metrics.score(["cat"], [[1, 0, 0]], CLASSES))
    assert evaluation_metrics.confusion_shares(counts).to_numpy().tolist() == [
        [1, 0, 0],
        [0] * 3,
        [0] * 3,
    ]


def test_report_by_hand(tiny: Scored) -> None:
    report = evaluation_metrics.report(tiny, resamples=200)
    assert report.columns.tolist() == [
        *("split", "label", "precision", "precision_low", "precision_high"),
        *("recall", "recall_low", "recall_high", "f1", "f1_low", "f1_high", "support"),
    ]
    assert report["split"].tolist() == ["test"] * 3
    assert report["label"].tolist() == list(CLASSES)
    assert report["support"].tolist() == [2, 2, 1]
    half = [0.5, 0.5, 1.0]
    for name in ("precision", "recall", "f1"):
        assert report[name].tolist() == half
    # Wilson of 1 of 2 and of 1 of 1
    low, high = [0.0945, 0.0945, 0.2065], [0.9055, 0.9055, 1.0]
    for name in ("precision", "recall"):
        assert report[f"{name}_low"].round(4).tolist() == low
        assert report[f"{name}_high"].round(4).tolist() == high
    assert report[["f1_low", "f1_high"]].to_numpy().tolist() == [[0, 1], [0, 1], [1, 1]]


def test_report_is_sklearns() -> None:
    scored = drawn()
    expected = metrics.precision_recall_fscore_support(scored.labels, scored.predicted)
    report = evaluation_metrics.report(scored, resamples=100)
    ours = report[["precision", "recall", "f1", "support"]].to_numpy().T
    np.testing.assert_allclose(ours, expected)
    for name in ("precision", "recall", "f1"):
        assert (report[f"{name}_low"] < report[name]).all()
        assert (report[name] < report[f"{name}_high"]).all()


# Summary ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
def test_summary_values_are_sklearns(ties: bool) -> None:
    scored = drawn(ties=ties)
    y, answers, p = scored.labels, scored.predicted, scored.probabilities
    eps = np.finfo(np.float32).eps
    expected = {"accuracy": metrics.accuracy_score(y, answers)}
    for average in ("macro", "weighted"):
        three = metrics.precision_recall_fscore_support(y, answers, average=average)[:3]
        expected |= {f"{average}_{m}": v for m, v in zip(("precision", "recall", "f1"), three)}  # noqa: B905
    expected["log_loss"] = -np.log(np.maximum(p[np.arange(len(y)), y], eps)).mean()
    expected["roc_auc"] = metrics.roc_auc_score(y, p, multi_class="ovr")
    summary = evaluation_metrics.summary(scored, resamples=200)
    assert summary["n"] == 3_000
    ours = {name: metric["value"] for name, metric in summary["metrics"].items()}
    assert list(ours) == list(expected)
    assert ours == pytest.approx(expected)
    for name, metric in summary["metrics"].items():
        assert set(metric) == {"value", "low", "high", "method"}
        assert metric["low"] < metric["value"] < metric["high"], name


def test_log_loss_is_sklearns() -> None:
    scored = drawn()
    value = evaluation_metrics.summary(scored, 10)["metrics"]["log_loss"]["value"]
    assert value == pytest.approx(metrics.log_loss(scored.labels, scored.probabilities))


def macro_f1(y: np.ndarray, predicted: np.ndarray) -> float:
    classes = np.arange(3)[:, None]
    hits = ((y == classes) & (predicted == classes)).sum(1)
    return (2 * hits / ((y == classes).sum(1) + (predicted == classes).sum(1))).mean()


def rank_area(positive: np.ndarray, values: np.ndarray) -> float:
    n, m = positive.sum(), (~positive).sum()
    return (stats.rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * m)


def test_intervals_are_a_plain_loop_over_resamples() -> None:
    """The shortcuts (multinomial confusion, weighted areas) against resampling pictures."""
    scored, rng = drawn(600, 3), np.random.default_rng(9)
    of_class = [np.flatnonzero(scored.labels == k) for k in range(3)]
    y, p = scored.labels, scored.probabilities
    loss = -np.log(p[np.arange(len(y)), y])
    area = np.mean([rank_area(y == k, p[:, k]) for k in range(3)])
    f1, t, areas = [], [], []
    for _ in range(1_500):
        rows = np.concatenate([rng.choice(members, len(members)) for members in of_class])
        f1.append(macro_f1(y[rows], p[rows].argmax(1)))
        t.append((loss[rows].mean() - loss.mean()) / (loss[rows].std() / np.sqrt(600)))
        areas.append(np.mean([rank_area(y[rows] == k, p[rows, k]) for k in range(3)]))
    assert macro_f1(y, p.argmax(1)) == pytest.approx(
        metrics.f1_score(y, p.argmax(1), average="macro")
    )
    assert rank_area(y == 0, p[:, 0]) == pytest.approx(metrics.roc_auc_score(y == 0, p[:, 0]))
    reach = np.quantile(t, [0.975, 0.025]) * loss.std() / np.sqrt(600)
    factor = np.exp(1.959964 * np.std(areas) / (1 - area) * np.array([1, -1]))
    beside = np.quantile(areas, [0.025, 0.975])
    expected = {
        "macro_f1": np.quantile(f1, [0.025, 0.975]),
        "log_loss": loss.mean() - reach,
        "roc_auc": (
            min(1 - (1 - area) * factor[0], beside[0]),
            max(1 - (1 - area) * factor[1], beside[1]),
        ),
    }
    ours = evaluation_metrics.summary(scored, resamples=3_000)["metrics"]
    for name, (low, high) in expected.items():
        tolerance = 0.08 * (high - low)
        assert ours[name]["low"] == pytest.approx(low, abs=tolerance), name
        assert ours[name]["high"] == pytest.approx(high, abs=tolerance), name


REPETITIONS = 200
ONE_IN_A_THOUSAND = 0.001 / 8  # for all intervals tested here together


def at_least(coverage: float) -> float:
    """Hits of so many repetitions that a method of this coverage misses once in a thousand runs."""
    return float(stats.binom.ppf(ONE_IN_A_THOUSAND, REPETITIONS, coverage))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "skill", "n"),
    [(10, 4.2, 360), (10, 3.0, 370), (2, 2.0, 100), (10, 4.5, 1_000)],
    ids=["4 mistakes", "36 mistakes", "8 mistakes of 100", "5 mistakes of 1,000"],
)
def test_few_mistakes_are_enough_for_log_loss_and_roc_auc(k: int, skill: float, n: int) -> None:
    """Both were covered in 80 to 90 % of cases by percentiles of the bootstrap."""
    rng = np.random.default_rng([k, n])
    y = rng.integers(0, k, 60_000)
    z = rng.normal(size=(len(y), k))
    z[np.arange(len(y)), y] += skill
    p, names = scipy_softmax(skill * z, axis=1), [str(i) for i in range(k)]
    population = evaluation_metrics.summary(evaluation_metrics.score(y, p, names), 2)["metrics"]
    truth = {name: population[name]["value"] for name in ("log_loss", "roc_auc")}
    of_class = [np.flatnonzero(y == i) for i in range(k)]
    covered = dict.fromkeys(truth, 0)
    for seed in range(REPETITIONS):
        rows = np.concatenate([rng.choice(members, n // k) for members in of_class])
        sample = evaluation_metrics.score(y[rows], p[rows], names)
        found = evaluation_metrics._probability_estimates(sample, 250, np.random.default_rng(seed))
        for name, value in truth.items():
            covered[name] += found[name].low <= value <= found[name].high
    assert min(covered.values()) >= at_least(0.93), covered


def test_a_perfect_model_is_not_certain_to_be_perfect() -> None:
    labels = np.arange(100) % 2
    sure = evaluation_metrics.score(labels, np.eye(2)[labels], ["a", "b"])
    found = evaluation_metrics.summary(sure, 50)["metrics"]
    assert (found["roc_auc"]["value"], found["roc_auc"]["high"]) == (1, 1)
    assert found["roc_auc"]["low"] == pytest.approx(0.963, abs=0.001)
    assert found["log_loss"]["value"] == found["log_loss"]["high"] == 0
    assert found["log_loss"]["method"] == "stratified bootstrap-t, too narrow: hardly a mistake"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recalls", "support", "k"),
    [([0.8] + [0.9] * 9, 100, 0), ([0.9] * 10, 100, 3), ([0.8, 0.85] + [0.95] * 8, 500, 0)],
    ids=["others equal", "all equal", "apart"],
)
def test_the_gap_of_the_weakest_class_is_covered(
    recalls: list[float], support: int, k: int
) -> None:
    """Percentiles of the gap covered it in 53 to 68 % of cases where others are equal."""
    rng, size = np.random.default_rng([k, support]), len(recalls)
    shares = np.tile((1 - np.array(recalls))[:, None] / (size - 1), size)
    np.fill_diagonal(shares, recalls)
    f1 = evaluation_metrics._rates((shares * 1e9).astype(np.int64))[2]
    truth = np.delete(f1, k).min() - f1[k]
    labels, covered, rejected = np.repeat(np.arange(size), support), 0, 0
    for _ in range(REPETITIONS):
        answers = np.concatenate([rng.choice(size, support, p=row) for row in shares])
        sample = evaluation_metrics.score(labels, np.eye(size)[answers], list("abcdefghij"))
        found, p_value = evaluation_metrics.weakest_gap(sample, k, truth, resamples=250)
        covered += found.low <= truth <= found.high
        rejected += p_value < 0.05
    assert covered >= at_least(0.93)
    assert rejected <= REPETITIONS - at_least(0.93)


def test_the_gap_of_the_weakest_class_agrees_with_its_p_value() -> None:
    scored = drawn(600, 4)
    found, _ = evaluation_metrics.weakest_gap(scored, 1, 0.0)
    width = found.high - found.low
    for margin, inside in (
        (found.low - 0.02 * width, False),
        (found.low + 0.02 * width, True),
        (found.high - 0.02 * width, True),
        (found.high + 0.02 * width, False),
    ):
        _, p_value = evaluation_metrics.weakest_gap(scored, 1, margin)
        assert (p_value > 0.05) == inside


def test_summary_is_reproducible_and_seeded() -> None:
    scored = drawn(300, 3)
    assert evaluation_metrics.summary(scored, 50, seed=1) == evaluation_metrics.summary(
        scored, 50, seed=1
    )
    first, second = (evaluation_metrics.summary(scored, 50, seed=s)["metrics"] for s in (1, 2))
    assert first["accuracy"] == second["accuracy"]
    assert first["roc_auc"]["low"] != second["roc_auc"]["low"]


def test_summary_where_all_labels_are_the_same() -> None:
    scored = evaluation_metrics.score([1, 1], [[0.2, 0.8], [0.6, 0.4]], ["a", "b"])
    summary = evaluation_metrics.summary(scored, 50)["metrics"]
    assert "roc_auc" not in summary
    assert summary["macro_recall"]["value"] == 0.5  # over the one class that was tested


def test_averages_are_over_the_classes_that_have_images() -> None:
    """As scikit-learn's recall and F1, asked for these labels alone."""
    scored = drawn(300, 3)
    kept = np.flatnonzero(scored.labels != 1)
    y, p = scored.labels[kept], scored.probabilities[kept]
    part = evaluation_metrics.score(y, p, scored.classes)
    summary = evaluation_metrics.summary(part, 50)["metrics"]
    assert summary["macro_recall"]["value"] == pytest.approx(
        metrics.recall_score(y, p.argmax(1), average="macro", labels=[0, 2])
    )
    assert summary["macro_f1"]["value"] == pytest.approx(
        metrics.f1_score(y, p.argmax(1), average="macro", labels=[0, 2])
    )
    report = evaluation_metrics.report(part, 50).set_index("label")
    untested = report.loc[scored.classes[1]]
    assert untested["support"] == 0
    assert untested.drop(["split", "support"]).isna().all()
    assert report.drop(index=scored.classes[1]).notna().all(axis=None)


def test_resamples_reweight_one_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are put in order once per class, however many resamples: that keeps them cheap."""
    sorted_rows: list[int] = []
    argsort = np.argsort

    def counting(values: np.ndarray, *args: object, **kwargs: object) -> np.ndarray:
        sorted_rows.append(len(values))
        return argsort(values, *args, **kwargs)

    monkeypatch.setattr(np, "argsort", counting)
    scored = drawn(400, 4)
    negatives = [int((scored.labels != k).sum()) for k in range(4)]
    evaluation_metrics.summary(scored, 50)
    assert sorted_rows == [*negatives, 400]  # and all once, by label, to draw within strata


# Curves -----------------------------------------------------------------------------------------


def test_roc_by_hand(tiny: Scored) -> None:
    curves = evaluation_curves.roc_curves(tiny)
    assert curves.columns.tolist() == [
        *("label", "threshold", "false_positive_rate", "true_positive_rate", "auc")
    ]
    cat = curves[curves["label"] == "cat"]
    third, two = 1 / 3, 2 / 3
    assert cat["threshold"].tolist() == [np.inf, 0.9, 0.7, 0.3, 0.1, 0]
    assert cat["false_positive_rate"].tolist() == [0, third, third, third, two, 1]
    assert cat["true_positive_rate"].tolist() == [0, 0, 0.5, 1, 1, 1]
    assert cat["auc"].tolist() == pytest.approx([two] * 6)


@pytest.mark.parametrize("ties", [False, True])
def test_curves_are_sklearns(ties: bool) -> None:
    scored = drawn(400, 3, ties=ties)
    roc = evaluation_curves.roc_curves(scored, points=10_000)
    recall = evaluation_curves.precision_recall_curves(scored, points=10_000)
    for k, name in enumerate(scored.classes):
        y, p = scored.labels == k, scored.probabilities[:, k]
        x, hits, thresholds = metrics.roc_curve(y, p, drop_intermediate=False)
        ours = roc[roc["label"] == name]
        np.testing.assert_allclose(ours["false_positive_rate"], x)
        np.testing.assert_allclose(ours["true_positive_rate"], hits)
        np.testing.assert_allclose(ours["threshold"], thresholds)
        assert ours["auc"].iloc[0] == pytest.approx(metrics.roc_auc_score(y, p))
        precision, sensitivity, _ = metrics.precision_recall_curve(y, p)
        ours = recall[recall["label"] == name]
        np.testing.assert_allclose(ours["precision"], precision[::-1])
        np.testing.assert_allclose(ours["recall"], sensitivity[::-1])
        area = metrics.average_precision_score(y, p)
        assert ours["average_precision"].iloc[0] == pytest.approx(area)


def test_thinned_curves_stay_close_and_bounded() -> None:
    scored = drawn(5_000, 3)
    thin, full = (evaluation_curves.roc_curves(scored, points=n) for n in (100, 10**6))
    pr = evaluation_curves.precision_recall_curves(scored, points=100)
    assert thin.groupby("label").size().between(90, 100).all()
    assert pr.groupby("label").size().between(90, 100).all()
    for name in scored.classes:
        a, b = (f[f["label"] == name] for f in (thin, full))
        x, y = a["false_positive_rate"], a["true_positive_rate"]
        assert (x.iloc[0], y.iloc[0], x.iloc[-1], y.iloc[-1]) == (0, 0, 1, 1)
        steps = np.abs(np.diff(x)) + np.abs(np.diff(y))
        assert steps.max() < 2 * 2 / 100  # the whole way is 2 long, in at most 100 points
        assert a.merge(b, on=list(a.columns)).shape == a.shape  # every point is of the full curve
        assert a["auc"].iloc[0] == b["auc"].iloc[0]


def test_curves_leave_out_classes_without_pictures() -> None:
    scored = evaluation_metrics.score(["cat", "dog"], [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]], CLASSES)
    assert evaluation_curves.roc_curves(scored)["label"].unique().tolist() == ["cat", "dog"]
    assert evaluation_curves.precision_recall_curves(scored)["label"].unique().tolist() == [
        "cat",
        "dog",
    ]
    alone = evaluation_metrics.score(["cat"], [[1.0, 0.0, 0.0]], CLASSES)
    assert evaluation_curves.roc_curves(alone).shape == (0, 5)


# Confidence -------------------------------------------------------------------------------------


def test_selective_by_hand(tiny: Scored) -> None:
    curve = evaluation_thresholds.selective(tiny, [0, 0.65, 0.8, 0.85, 0.95])
    assert curve["threshold"].tolist() == [0, 0.65, 0.8, 0.85, 0.95]
    assert curve["accepted"].tolist() == [5, 4, 3, 2, 0]
    assert curve["coverage"].tolist() == [1, 0.8, 0.6, 0.4, 0]
    np.testing.assert_allclose(curve["accuracy"], [0.6, 0.75, 2 / 3, 0.5, np.nan])
    # Wilson of 3 of 5, 3 of 4, 2 of 3, 1 of 2, nothing; and of the coverage
    assert curve["accuracy_low"].round(4).tolist() == [0.2307, 0.3006, 0.2077, 0.0945, 0]
    assert curve["accuracy_high"].round(4).tolist() == [0.8824, 0.9544, 0.9385, 0.9055, 1]
    assert curve["coverage_low"].round(4).tolist() == [0.5655, 0.3755, 0.2307, 0.1176, 0]
    assert curve["coverage_high"].round(4).tolist() == [1, 0.9638, 0.8824, 0.7693, 0.4345]


def test_selective_default_thresholds(tiny: Scored) -> None:
    thresholds = evaluation_thresholds.selective(tiny)["threshold"]
    assert thresholds.tolist()[::50] == [0, 0.5, 0.995]
    assert (len(thresholds), thresholds.is_monotonic_increasing) == (102, True)


def test_threshold_for_precision_by_hand(tiny: Scored) -> None:
    assert evaluation_thresholds.threshold_for_precision(tiny, 0.5) == 0.6  # all: 3 of 5
    assert evaluation_thresholds.threshold_for_precision(tiny, 0.7) == 0.7  # 3 of 4
    assert evaluation_thresholds.threshold_for_precision(tiny, 0.8) is None  # best is 3 of 4


def test_threshold_for_precision_accepts_as_much_as_can_be() -> None:
    scored = drawn()
    threshold = evaluation_thresholds.threshold_for_precision(scored, 0.8)
    curve = evaluation_thresholds.selective(scored, np.unique(scored.confidence))
    assert curve.set_index("threshold").loc[threshold, "accuracy"] >= 0.8
    assert (curve.loc[curve["threshold"] < threshold, "accuracy"] < 0.8).all()
    assert 0.2 < (scored.confidence >= threshold).mean() < 0.9


def test_most_confident_mistakes_by_hand(tiny: Scored) -> None:
    expected = pd.DataFrame(
        {
            "split": ["test", "test"],
            "id": [13, 11],
            "label": ["dog", "cat"],
            "prediction": ["cat", "dog"],
            "confidence": [0.9, 0.6],
            "p_label": [0.1, 0.3],
        }
    )
    pd.testing.assert_frame_equal(evaluation_metrics.most_confident_mistakes(tiny), expected)
    assert evaluation_metrics.most_confident_mistakes(tiny, limit=1)["id"].tolist() == [13]


# Two models -------------------------------------------------------------------------------------


def answers(predictions: str, ids: list[int], labels: str = "aabb") -> Scored:
    """One letter per picture, answered with certainty."""
    return evaluation_metrics.score(
        list(labels), [[c == "a", c == "b"] for c in predictions], ("a", "b"), ids
    )


def test_compare_pairs_by_id_whatever_the_order() -> None:
    first = answers("aaba", [1, 2, 3, 4])  # wrong on 4
    second = answers("aabb", [4, 3, 2, 1], labels="bbaa")  # 4 → a, 3 → a, 2 → b, 1 → b
    result = comparison.compare(first, second)
    difference = result.pop("difference")
    assert result == {
        "split": "test",
        "n": 4,
        "only_first": 3,
        "only_second": 0,
        "both": 0,
        "neither": 1,
        "p_value": pytest.approx(stats.chi2.sf(3, 1)),
    }
    assert (difference["value"], difference["method"]) == (0.75, "Tango")
    assert difference["low"] < 0.75 < difference["high"] < 1


def test_compare_refuses_different_pictures_or_labels() -> None:
    with pytest.raises(ValueError, match="different images"):
        comparison.compare(answers("aabb", [1, 2, 3, 4]), answers("aabb", [1, 2, 3, 5]))
    with pytest.raises(ValueError, match="different labels"):
        comparison.compare(
            answers("aabb", [1, 2, 3, 4]), answers("aabb", [1, 2, 3, 4], labels="abab")
        )


def test_compare_all_corrects_for_the_number_of_pairs() -> None:
    n = 40
    ids, labels = list(range(n)), "a" * n
    models = {
        "weak": answers("b" * n, ids, labels),
        "middle": answers("a" * 7 + "b" * 33, ids, labels),
        "strong": answers("a" * n, ids, labels),
    }
    frame = comparison.compare_all(models)
    assert frame[["first", "second"]].to_numpy().tolist() == [
        ["weak", "middle"],
        ["weak", "strong"],
        ["middle", "strong"],
    ]
    assert frame["difference"].tolist() == [-7 / 40, -1, -33 / 40]
    p = stats.chi2.sf([7, 40, 33], 1)
    np.testing.assert_allclose(frame["p_value"], p)
    np.testing.assert_allclose(frame["p_holm"], [p[0], 3 * p[1], 2 * p[2]])
    assert frame.columns.tolist()[-2:] == ["p_value", "p_holm"]
    assert comparison.compare_all({"alone": models["weak"]}).empty
    against = comparison.compare_all(models, "middle")
    assert against[["first", "second"]].to_numpy().tolist() == [
        ["middle", "weak"],
        ["middle", "strong"],
    ]
    assert against["difference"].tolist() == [7 / 40, -33 / 40]
    np.testing.assert_allclose(against["p_holm"], [p[0], 2 * p[2]])


def test_a_random_sample_is_the_same_whatever_the_order() -> None:
    ids = np.arange(1000)
    sample = evaluation_metrics.drawn(ids, 5)
    assert sample.tolist() == evaluation_metrics.drawn(ids[::-1], 5).tolist()
    assert len(set(sample.tolist())) == 5
    assert evaluation_metrics.drawn(ids, 4).tolist() == sample[:4].tolist()
    paths = evaluation_metrics.drawn(["cat/1.jpg", "dog/2.jpg"], 48)
    assert sorted(paths.tolist()) == ["cat/1.jpg", "dog/2.jpg"]
