"""Automatic sorting: the promise holds in simulations where it is hardest to hold, and by hand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import beta, binom

from src.evaluation import thresholds
from src.evaluation.metrics import Scored
from src.evaluation.stats import FloatArray, wilson_bounds
from src.evaluation.thresholds import SortingTarget

DELTA = 0.05
REPETITIONS = 400
# A rule that breaks its promises with probability DELTA exceeds this once in a thousand times.
MOST = int(binom.ppf(0.999, REPETITIONS, DELTA))

Choose = Callable[[SortingTarget, Scored], FloatArray]


@dataclass(frozen=True)
class World:
    """Images whose confidence is uniform on 0 to 1, and how often their answers are correct.

    share: of the images that are taken for each class (K,). low, high: (K,) how often an answer is
    correct below the confidence `edge`, and from it on.
    """

    n: int
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    precision: float
    class_precision: float
    edge: float = 0.5

    @property
    def target(self) -> SortingTarget:
        return SortingTarget(self.precision, self.class_precision, DELTA, assured=True)

    def draw(self, rng: np.random.Generator) -> Scored:
        predicted = rng.choice(len(self.share), self.n, p=self.share)
        confidence = rng.random(self.n)
        correct = np.where(confidence < self.edge, self.low_of(predicted), self.high_of(predicted))
        right = rng.random(self.n) < correct
        labels = np.where(right, predicted, (predicted + 1) % len(self.share))
        probabilities = np.zeros((self.n, len(self.share)))
        probabilities[np.arange(self.n), predicted] = confidence
        names = tuple(map(str, range(len(self.share))))
        return Scored("validation", names, np.arange(self.n), labels, predicted, probabilities)

    def low_of(self, predicted: np.ndarray) -> FloatArray:
        return np.asarray(self.low)[predicted]

    def high_of(self, predicted: np.ndarray) -> FloatArray:
        return np.asarray(self.high)[predicted]

    def broken(self, limits: FloatArray) -> tuple[bool, bool]:
        """Whether a rule breaks the promise of the whole, and that of any of its classes."""
        limits = np.minimum(limits, 1)  # nobody is surer: an infinite threshold accepts nothing
        above, below = 1 - np.maximum(limits, self.edge), np.maximum(self.edge - limits, 0)
        accepted = np.asarray(self.share) * (above + below)
        correct = np.asarray(self.share) * (above * self.high + below * self.low)
        kept = accepted > 0
        whole = bool(correct.sum() < self.precision * accepted.sum())
        return whole, bool((correct[kept] < self.class_precision * accepted[kept]).any())


def even(k: int, value: float = 1.0) -> tuple[float, ...]:
    return (value,) * k


UNDER = (
    1e-6  # the hardest case: hardly under the target, so that every sorted image is one too many
)
WORLDS = {
    "the whole is not good enough anywhere": World(
        1500, even(2, 0.5), even(2, 0.95 - UNDER), even(2, 0.95 - UNDER), 0.95, 0.8
    ),
    "the whole is good enough only where the model is sure": World(
        1500, even(2, 0.5), even(2, 0.9), even(2, 0.985), 0.97, 0.8, edge=0.6
    ),
    "no class is good enough": World(
        1000, even(5, 0.2), even(5, 0.95 - UNDER), even(5, 0.95 - UNDER), 0.8, 0.95
    ),
    "one class is not good enough": World(
        1500,
        (0.5, *even(2, 0.25)),
        (0.95 - UNDER, *even(2, 1.0)),
        (0.95 - UNDER, *even(2, 1.0)),
        0.9,
        0.95,
    ),
    "half of the classes are good enough": World(
        1200,
        even(4, 0.25),
        (*even(2, 0.95 - UNDER), *even(2, 0.998)),
        (*even(2, 0.95 - UNDER), *even(2, 0.998)),
        0.9,
        0.95,
    ),
    "which classes are in depends on luck, and the whole is not good enough": World(
        1500, even(10, 0.1), even(10, 0.99 - UNDER), even(10, 0.99 - UNDER), 0.99, 0.95
    ),
    "classes of unequal size": World(
        1500,
        (0.6, *even(4, 0.1)),
        (0.985, *even(4, 0.97 - UNDER)),
        (0.985, *even(4, 0.97 - UNDER)),
        0.985 + UNDER,
        0.97,
    ),
}


def broken(world: World, choose: Choose, repetitions: int = REPETITIONS) -> tuple[int, int]:
    """How often a rule breaks the promise of the whole, and that of any class."""
    rng = np.random.default_rng(0)
    found = [world.broken(choose(world.target, world.draw(rng))) for _ in range(repetitions)]
    whole, classes = np.array(found).sum(0)
    return int(whole), int(classes)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_promises_are_broken_no_more_often_than_allowed(name: str) -> None:
    whole, classes = broken(WORLDS[name], thresholds.choose)
    assert max(whole, classes) <= MOST


def lowest_by_wilson(target: SortingTarget, validation: Scored) -> FloatArray:
    """The rule of earlier versions: the lowest of all thresholds whose Wilson bound is enough."""
    curve = thresholds.selective(validation, np.unique(validation.confidence))
    reached = curve.loc[curve["accuracy_low"] >= target.precision, "threshold"]
    return np.full(len(validation.classes), reached.min() if len(reached) else np.inf)


def kept_then_tested(target: SortingTarget, validation: Scored) -> FloatArray:
    """Classes chosen one by one (Bonferroni), then the whole tested on the same images."""
    k = len(validation.classes)
    n = np.bincount(validation.predicted, minlength=k)
    wrong = np.bincount(validation.predicted[~validation.correct], minlength=k)
    kept = binom.cdf(wrong, n, 1 - target.class_precision) <= target.delta / k
    passed = binom.cdf(wrong[kept].sum(), n[kept].sum(), 1 - target.precision) <= target.delta
    return np.where(kept & passed, 0.0, np.inf)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("the whole is not good enough anywhere", lowest_by_wilson),
        (
            "which classes are in depends on luck, and the whole is not good enough",
            kept_then_tested,
        ),
    ],
)
def test_rules_that_look_right_break_their_promise(name: str, wrong: Choose) -> None:
    assert broken(WORLDS[name], wrong)[0] > MOST


@pytest.mark.parametrize("starts", [[1.0, 0, 0, 0], [0.5, 0, 0.5, 0], [0.25] * 4])
def test_a_fixed_sequence_keeps_its_level_whatever_comes_first(starts: list[float]) -> None:
    rng = np.random.default_rng(0)
    levels = DELTA * np.array(starts)
    for nulls in ([0, 1, 2, 3], [1, 3], [2]):
        p_values = np.zeros((REPETITIONS, 4))
        p_values[:, nulls] = rng.random((REPETITIONS, len(nulls)))
        rejected = np.array([thresholds.fixed_sequence(p, levels) for p in p_values])
        assert rejected[:, nulls].any(1).sum() <= MOST


def test_a_fixed_sequence_by_hand() -> None:
    def tested(*p_values: float) -> list[bool]:
        return thresholds.fixed_sequence(p_values, [0.02, 0, 0.03, 0]).tolist()

    assert tested(0.02, 0.02, 0.05, 0.05) == [True] * 4  # the second start adds its part
    assert tested(0.03, 0.0, 0.03, 0.03) == [False, False, True, True]  # an early failure
    assert tested(0.01, 0.03, 0.04, 0.0) == [True, False, False, False]


# By hand ----------------------------------------------------------------------------------------


def answers(
    confidence: list[float], correct: list[bool], predicted: list[int], k: int = 3
) -> Scored:
    codes, right = np.array(predicted), np.array(correct, bool)
    probabilities = np.zeros((len(codes), k))
    probabilities[np.arange(len(codes)), codes] = confidence
    labels = np.where(right, codes, (codes + 1) % k)
    names = ("ant", "bee", "cow")[:k]
    return Scored("validation", names, np.arange(len(codes)), labels, codes, probabilities)


ASKED = SortingTarget(0.95, 0.95, DELTA, assured=True)


def perfect(n: int, k: int = 3) -> Scored:
    return answers([0.9] * n, [True] * n, [i % k for i in range(n)], k)


def test_a_perfect_model_sorts_everything_once_there_are_enough_images() -> None:
    assert thresholds.choose(ASKED, perfect(3 * 63)).tolist() == [0.9] * 3
    assert thresholds.choose(ASKED, perfect(3 * 62)).tolist() == [np.inf] * 3
    found = thresholds.sorting(ASKED, perfect(3 * 62), perfect(9))
    assert [(each.why, each.validation, each.needed) for each in found.classes] == [
        ("few", 62, 63)
    ] * 3
    assert (found.threshold, found.accepted, found.coverage.value) == (None, 0, 0)


def test_a_few_images_assure_nothing() -> None:
    assert thresholds.choose(ASKED, perfect(1)).tolist() == [np.inf] * 3


def test_a_class_that_validation_lacks_is_checked() -> None:
    validation = answers([0.9] * 200, [True] * 200, [0] * 100 + [1] * 100)
    found = thresholds.sorting(ASKED, validation, perfect(6))
    assert [each.threshold for each in found.classes] == [0.9, 0.9, None]
    assert [each.label for each in found.always_checked] == ["cow"]
    cow = found.of("cow")
    assert (cow.why, cow.validation, cow.needed, cow.n, cow.accepted) == ("few", 0, 63, 2, 0)
    assert (found.n, found.accepted, found.precision.value) == (6, 4, 1)
    with pytest.raises(KeyError):
        found.of("dog")


def test_a_class_of_many_mistakes_is_checked_and_the_others_are_sorted() -> None:
    predicted = [0] * 400 + [1] * 400 + [2] * 400
    correct = [True] * 800 + [i % 10 > 0 for i in range(400)]
    found = thresholds.sorting(ASKED, answers([0.9] * 1200, correct, predicted), perfect(6))
    assert [each.threshold for each in found.classes] == [0.9, 0.9, None]
    assert (found.of("cow").why, found.of("cow").needed) == ("mistakes", None)  # 10 % stay 10 %


def test_a_class_of_some_mistakes_says_how_many_images_would_assure_it() -> None:
    predicted, correct = [0] * 400 + [1] * 100, [True] * 400 + [i > 2 for i in range(100)]
    validation = answers([0.9] * 500, correct, predicted, 2)
    bee = thresholds.sorting(ASKED, validation, perfect(6, 2)).of("bee")
    assert (bee.threshold, bee.why, bee.validation) == (None, "mistakes", 100)
    assert bee.needed is not None
    assert binom.cdf(np.ceil(0.03 * bee.needed), bee.needed, 0.05) <= 0.8 * DELTA


def test_where_all_classes_err_none_is_sorted() -> None:
    validation = answers([0.9] * 900, [i % 5 > 0 for i in range(900)], [0] * 450 + [1] * 450)
    found = thresholds.sorting(ASKED, validation, perfect(6))
    assert (found.threshold, [each.why for each in found.classes]) == (
        None,
        ["mistakes", "mistakes", "few"],
    )


def test_early_mistakes_do_not_end_the_search() -> None:
    confidence = np.linspace(1, 0.4, 1200).tolist()
    correct = [i >= 400 or i % 17 > 0 for i in range(1200)]  # 24 mistakes, all where it is surest
    validation = answers(confidence, correct, [0] * 1200, 1)
    assert binom.cdf(24, 400, 0.05) > DELTA  # the first start fails
    assert thresholds.choose(ASKED, validation).tolist() == [0.4]


def test_images_of_equal_confidence_are_sorted_together_or_not_at_all() -> None:
    confidence, correct = [0.9] * 300 + [0.6] * 300, [True] * 300 + [i % 2 > 0 for i in range(300)]
    limits = thresholds.choose(ASKED, answers(confidence, correct, [0, 1] * 300, 2))
    assert limits.tolist() == [0.9, 0.9]


def test_the_threshold_reaches_the_bound_of_clopper_and_pearson() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.random(3000)
    correct = rng.random(3000) < 0.9 + 0.1 * confidence
    validation = answers(confidence.tolist(), correct.tolist(), [0, 1] * 1500, 2)
    limits = thresholds.choose(SortingTarget(0.97, 0.95, DELTA, assured=True), validation)
    accepted = validation.confidence >= limits[validation.predicted]
    hits, n = int(validation.correct[accepted].sum()), int(accepted.sum())
    assert n > 0
    assert beta.ppf(DELTA, hits, n - hits + 1) >= 0.97
    assert wilson_bounds(hits, n, 0.9)[0] >= 0.969  # of the same level, nearly the same


def test_thresholds_before_the_last_answer_do_not_depend_on_it() -> None:
    """The steps and starts come from confidences alone."""
    confidence = np.linspace(0.3, 1, 500).tolist()
    right = answers(confidence, [True] * 500, [0] * 500, 1)
    wrong = answers(confidence, [False] * 500, [0] * 500, 1)
    first, second = (thresholds._count(ASKED, each) for each in (right, wrong))
    np.testing.assert_array_equal(first.limits, second.limits)
    np.testing.assert_array_equal(first.accepted, second.accepted)


def test_the_unassured_rule_asks_for_the_share_alone() -> None:
    asked = SortingTarget(0.75, 0.95, DELTA, assured=False)
    validation = answers([0.9, 0.8, 0.7, 0.6], [True, True, False, True], [0, 1, 0, 1], 2)
    assert thresholds.choose(asked, validation).tolist() == [0.6, 0.6]
    assert thresholds.choose(ASKED, validation).tolist() == [np.inf, np.inf]
