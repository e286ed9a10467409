"""Hypotheses, stated in a study's file with their day, and judged by a run's frames.

A `Hypothesis` is checked when it is made; `judge` turns evidence into the dicts of a run's
hypotheses.json. What can be tested is listed in `KINDS`. Whoever tests the same expectation at
every reading of the test images finds it confirmed sooner or later, so each look has a level of
its own (`level_of_look`).
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from src.evaluation import comparison, gains, metrics, sample_sizes, stats
from src.evaluation.sample_sizes import Need
from src.evaluation.stats import Estimate, FloatArray, IntArray

VERDICTS = ("supported", "refuted", "undecided")
NUMBERS = {"value", "low", "high", "margin", "n", "needed"}  # what every meaning may quote
RESAMPLES = 10_000  # of a bootstrap or a permutation test, at least
UNKNOWN = ("", "unknown")  # revisions of code that say nothing
CHANCE = 0.05  # level at which one pair of categories is called more often confused than the next
TAIL = 20  # resamples beyond the level that a verdict needs, in each tail


@dataclass(frozen=True)
class Kind:
    """One question that can be put to a run."""

    question: str
    unit: str  # of the margin and the effect
    margins: tuple[float, float]  # between which the margin lies
    models: tuple[int, int]  # fewest and most that it names
    facts: frozenset[str] = frozenset()  # what its meanings may quote beside `NUMBERS`
    label: bool = False  # whether it is about one category
    compared: bool = False  # whether it sets models against each other that were trained for it


MANY = 99
KINDS = {
    "accuracy": Kind("Does a model reach an accuracy?", "share", (0, 1), (1, 1)),
    "difference": Kind(
        "Is the last model better than the best of the others, on the same images?",
        "percentage points",
        (-100, 100),
        (2, MANY),
        frozenset({"reference"}),
        compared=True,
    ),
    "error_ratio": Kind(
        "Which share of the mistakes of the best of the others does the last model still make?",
        "ratio",
        (0, 100),
        (2, MANY),
        frozenset({"reference"}),
        compared=True,
    ),
    "gain": Kind(
        "What does a treatment add, over seeds and test images?",
        "percentage points",
        (-100, 100),
        (2, 2),
        frozenset({"trainings"}),
        compared=True,
    ),
    "class_f1": Kind(
        "Does the F1 score of one category reach a value?",
        "F1",
        (0, 1),
        (1, 1),
        frozenset({"label"}),
        label=True,
    ),
    "weakest_class": Kind(
        "By how much does the F1 score of one category lie under that of every other one?",
        "percentage points",
        (-100, 100),
        (1, 1),
        frozenset({"label", "weakest"}),
        label=True,
    ),
    "pair_correlation": Kind(
        "Are the pairs of categories that look alike the pairs that are confused?",
        "correlation",
        (-1, 1),
        (1, 1),
        frozenset({"classes", "confused", "alike", "blocks"}),
    ),
}


class HypothesisError(ValueError):
    """The evidence cannot be used; the message says which part and why."""


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Hypothesis:
    """One entry of a study's file; `margin` is in `unit`."""

    id: str
    title: str
    statement: str
    kind: str
    models: tuple[str, ...]  # gain: without, with; difference and error_ratio: others, the one
    metric: str
    test: str
    split: Literal["validation", "test"]
    margin: float
    direction: Literal["at least", "at most"]
    alpha: Annotated[float, Field(gt=0, lt=1)]  # of all looks together
    stated: date  # the day on which it was written down
    since_reading: Annotated[int, Field(ge=1)]  # of the test images; looks are counted from it
    meaning: Mapping[str, str]  # verdict → template
    also: tuple[str, ...] = ()  # gain: a second pair, reported but not judged
    label: str = ""  # the category it is about
    blocks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # pair_correlation

    @model_validator(mode="after")
    def _checked(self) -> Hypothesis:
        _check(self)
        return self

    @property
    def unit(self) -> str:
        """Of the margin and the effect."""
        return KINDS[self.kind].unit

    @property
    def level(self) -> float:
        """Of the interval."""
        return 1 - self.alpha


@dataclass(frozen=True)
class Evidence:
    """The frames of one run that hypotheses are judged by, in the published columns."""

    predictions: Mapping[str, pd.DataFrame]  # model → split, id, label, prediction, p_<class>…
    similarity: pd.DataFrame = field(default_factory=pd.DataFrame)  # label_a, label_b, similarity
    seed_predictions: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # seed, split, id, …
    titles: Mapping[str, str] = field(default_factory=dict)  # of models, for the meanings
    revisions: Mapping[str, str] = field(default_factory=dict)  # of the code that trained a model


@dataclass(frozen=True)
class Finding:
    """What one kind of judge found, in the hypothesis's unit."""

    estimate: Estimate
    p_value: float
    n: int
    needed: Callable[[float], Need | str]  # level of the next look → what would settle it then
    facts: dict[str, str] = field(default_factory=dict)
    details: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    models: tuple[str, ...] = ()  # those compared, where the hypothesis names candidates
    tied: tuple[Finding, ...] = ()  # with other references that are as good; each must agree


# Checking ---------------------------------------------------------------------------------------


def _check(h: Hypothesis) -> None:
    if h.kind not in KINDS:
        raise ValueError(f"kind {h.kind!r} is none of {', '.join(KINDS)}")
    kind = KINDS[h.kind]
    low, high = kind.margins
    if not low < h.margin < high:
        raise ValueError(f"margin {h.margin:g} is not between {low} and {high}")
    _check_names(h, kind)
    if set(h.meaning) != set(VERDICTS):
        raise ValueError(f"meaning needs exactly {VERDICTS}, has {list(h.meaning)}")
    _check_template("statement", h.statement, {"margin"})
    for verdict_, text in h.meaning.items():
        _check_template(f"meaning.{verdict_}", text, NUMBERS | kind.facts)


def _check_names(h: Hypothesis, kind: Kind) -> None:
    fewest, most = kind.models
    if not fewest <= len(h.models) <= most or len(h.also) not in (0, 2):
        wanted = fewest if fewest == most else f"at least {fewest}"
        raise ValueError(f"{h.kind} needs {wanted} in models and none or 2 in also")
    if h.blocks and h.kind != "pair_correlation":
        raise ValueError(f"{h.kind} has no blocks")
    if bool(h.label) != kind.label:
        raise ValueError(f"{h.kind} {'needs a' if kind.label else 'has no'} label")


def _check_template(name: str, text: str, allowed: set[str]) -> None:
    try:
        used = {key for _, key, _, _ in string.Formatter().parse(text) if key is not None}
    except ValueError as error:
        raise ValueError(f"{name}: {error}: {text!r}") from error
    if unknown := used - allowed:
        raise ValueError(f"{name} quotes {sorted(unknown)}; possible are {sorted(allowed)}")


# Looks ------------------------------------------------------------------------------------------


def level_of_look(alpha: float, look: int) -> float:
    """The level of the k-th look at the test images: α · 6 / (π² k²), k = `look` from 1.

    The levels of all looks that there can ever be sum to α, so the chance that a true margin is
    ever called missed or reached stays under α, however the looks depend on each other: alpha
    spending by the union bound, after Lan and DeMets (1983), Discrete sequential boundaries for
    clinical trials, Biometrika 70:659-663.
    """
    return alpha * 6 / (math.pi * look) ** 2


def look(since_reading: int, reading: int) -> int:
    """How many times the test images were read for a hypothesis, this time included; at least 1."""
    return max(reading - since_reading + 1, 1)


# Judging ----------------------------------------------------------------------------------------


def judge(
    hypotheses: Sequence[Hypothesis], evidence: Evidence, reading: int
) -> list[dict[str, Any]]:
    """One dict per hypothesis, as hypotheses.json holds them.

    One about a model that was not trained (a quick profile, a small study) or about a class that
    was not tested is left out: nothing can be said about it. Raises HypothesisError where a table
    lacks what it must hold.

    Args:
        reading: how many times the study's test images were read, this time included.
    """
    possible = [h for h in hypotheses if not lacking(h, evidence) and _tested(h, evidence)]
    return [_at_look(h, evidence, reading) for h in possible]


def _at_look(h: Hypothesis, evidence: Evidence, reading: int) -> dict[str, Any]:
    k = look(h.since_reading, reading)
    now = replace(h, alpha=level_of_look(h.alpha, k))
    found = JUDGES[h.kind](now, evidence)
    settled = _settled(now, found, refusal(h, evidence))
    needed = found.needed(1 - level_of_look(h.alpha, k + 1))
    looks = {"reading": reading, "look": k, "alpha": now.alpha, "alpha_of_all_looks": h.alpha}
    return _record(now, found, settled, str(needed)) | looks


@dataclass(frozen=True)
class _Settled:
    verdict: str
    refusal: str | None = None  # why there is no verdict


def _settled(h: Hypothesis, found: Finding, refused: str | None) -> _Settled:
    """The verdict; undecided where it is refused, or where equally good references disagree."""
    each = {
        verdict(f.estimate, h.margin, h.direction, f.p_value, h.alpha) for f in (found, *found.tied)
    }
    return _Settled("undecided" if refused or len(each) > 1 else each.pop(), refused)


def refusal(h: Hypothesis, evidence: Evidence) -> str | None:
    """Why the models of a comparison cannot be compared; None where they can.

    What sets two models apart must be what was varied, not a change of the code between them.
    """
    if not KINDS[h.kind].compared:
        return None
    revisions = {model: evidence.revisions.get(model, "") for model in h.models}
    if unknown := [model for model, revision in revisions.items() if revision in UNKNOWN]:
        return f"No verdict: it is not recorded by which code {_listed(unknown)} was trained."
    if len(set(revisions.values())) == 1:
        return None
    made = _listed([f"{model} by {revision[:7]}" for model, revision in revisions.items()])
    return (
        "No verdict: the models that it compares were trained by different revisions of the code "
        f"({made}), so a difference may come from the code."
    )


def _listed(names: Sequence[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def lacking(h: Hypothesis, evidence: Evidence) -> list[str]:
    """The models that a hypothesis names and the run does not have, or not with several seeds."""
    known = evidence.seed_predictions if h.kind == "gain" else evidence.predictions
    return [model for model in h.models if model not in known]


def _tested(h: Hypothesis, evidence: Evidence) -> bool:
    """Whether there are images of the class that a hypothesis is about, if it is about one."""
    if not h.label:
        return True
    scored, k = _with_label(h, evidence)
    return bool((scored.labels == k).any())


def verdict(estimate: Estimate, margin: float, direction: str, p_value: float, alpha: float) -> str:
    """supported or refuted where the interval lies on one side of the margin, and p <= alpha."""
    above, below = estimate.low >= margin, estimate.high < margin
    if direction == "at most":
        above, below = estimate.high <= margin, estimate.low > margin
    if p_value > alpha or not (above or below):
        return "undecided"
    return "supported" if above else "refuted"


def _record(h: Hypothesis, found: Finding, settled: _Settled, needed: str) -> dict[str, Any]:
    effect = {k: getattr(found.estimate, k) for k in ("value", "low", "high")}
    return {
        "id": h.id,
        "title": h.title,
        "statement": h.statement.format(margin=_margin(h)),
        "stated": h.stated.isoformat(),
        "since_reading": h.since_reading,
        "metric": h.metric,
        "split": h.split,
        "n": found.n,
        "method": found.estimate.method,
        "test": h.test,
        "margin": h.margin,
        "direction": h.direction,
        "models": list(found.models or h.models),
        "effect": effect | {"unit": h.unit},
        "p_value": found.p_value,
        "verdict": settled.verdict,
        "refusal": settled.refusal,
        "needed": needed if settled.verdict == "undecided" and not settled.refusal else None,
        "meaning": settled.refusal or _meaning(h, found, settled.verdict, needed),
        "details": found.details,
        "points": found.points,
    }


def _meaning(h: Hypothesis, found: Finding, verdict: str, needed: str) -> str:
    numbers = {k: _number(getattr(found.estimate, k), h.unit) for k in ("value", "low", "high")}
    numbers |= {"margin": _margin(h), "n": f"{found.n:,}", "needed": needed}
    return h.meaning[verdict].format(**numbers, **found.facts)


def _number(value: float, unit: str) -> str:
    text = f"{100 * value:.1f}" if unit == "share" else f"{value:.{DIGITS[unit]}f}"
    text = text.replace("-", "") if float(text) == 0 else text  # nothing is "-0.00"
    return f"{text} %" if unit == "share" else text


DIGITS = {"correlation": 2, "ratio": 2, "F1": 3, "percentage points": 1}


def _margin(h: Hypothesis) -> str:
    return f"{100 * h.margin:g} %" if h.unit == "share" else _number(h.margin, h.unit)


def _detail(name: str, estimate: Estimate, n: int, unit: str, **more: Any) -> dict[str, Any]:
    interval = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {"name": name} | interval | {"n": n, "unit": unit} | more


def _scored(evidence: Evidence, model: str, split: str) -> metrics.Scored:
    return metrics.from_frame(evidence.predictions[model], split)


# One table of class pairs against another -------------------------------------------------------


def _pair_correlation(h: Hypothesis, evidence: Evidence) -> Finding:
    scored = _scored(evidence, h.models[0], h.split)
    tested = metrics.tested(scored)
    classes = [scored.classes[k] for k in tested]
    blocks = _blocks(h, classes)
    similarity = _square(evidence.similarity, classes, h.id)
    confused = pair_confusion(scored)[np.ix_(tested, tested)]
    counts = metrics.confusion(scored).to_numpy(np.float64)[np.ix_(tested, tested)]
    estimate = _defined(stats.pair_correlation(similarity, confused, h.level, blocks))
    names = _pair_names(classes)
    return Finding(
        estimate=estimate,
        p_value=_correlation_test(h, similarity, confused, blocks),
        n=len(names),
        needed=_no_more_categories,
        facts={
            "classes": str(len(classes)),
            "confused": _most_confused(confused, counts, names),
            "alike": _most_alike(similarity, names),
            "blocks": _listed(list(h.blocks)) if h.blocks else "",
        },
        details=_whole_correlation(h, similarity, confused)
        + _other_correlations(h, evidence, similarity, blocks),
        points=[
            {"label_a": a, "label_b": b, "similarity": float(s), "confusion": float(c)}
            for (a, b), s, c in zip(
                names, stats.pairs(similarity), stats.pairs(confused), strict=True
            )
        ],
    )


def _no_more_categories(_level: float) -> str:
    return sample_sizes.FIXED


def _correlation_test(
    h: Hypothesis, similarity: FloatArray, confused: FloatArray, blocks: IntArray | None
) -> float:
    """Permutation against 0, which is exact; else the test that the interval inverts."""
    if h.margin:
        return stats.pair_correlation_test(similarity, confused, h.margin, blocks)
    return stats.mantel_test(similarity, confused, _resamples(h) - 1, blocks=blocks)


def _blocks(h: Hypothesis, classes: Sequence[str]) -> IntArray | None:
    """(K,) the number of each class's block; None where the hypothesis names none."""
    if not h.blocks:
        return None
    block_of = {name: k for k, names in enumerate(h.blocks.values()) for name in names}
    if missing := [name for name in classes if name not in block_of]:
        raise HypothesisError(f"{h.id}: {_listed(missing)} is in none of its blocks")
    return np.array([block_of[name] for name in classes])


def _whole_correlation(
    h: Hypothesis, similarity: FloatArray, confused: FloatArray
) -> list[dict[str, Any]]:
    """The correlation that the blocks bring about, beside the one within them."""
    if not h.blocks:
        return []
    estimate = _defined(stats.pair_correlation(similarity, confused, h.level))
    return [_detail("blocks not removed", estimate, len(stats.pairs(confused)), h.unit)]


def pair_confusion(scored: metrics.Scored) -> FloatArray:
    """(K, K) symmetric: share of the images of two classes that are taken for the other one.

    Ranks as the symmetric counts do where classes have equal support, and fairly where not.
    The diagonal is 0.
    """
    counts = metrics.confusion(scored).to_numpy(np.float64)
    support = counts.sum(1)
    both = support[:, None] + support[None, :]
    shares: FloatArray = (counts + counts.T) / np.maximum(both, 1)
    np.fill_diagonal(shares, 0)
    return shares


def _square(similarity: pd.DataFrame, classes: Sequence[str], name: str) -> FloatArray:
    if not {"label_a", "label_b", "similarity"} <= set(similarity.columns):
        raise HypothesisError(f"{name} needs the table label_a, label_b, similarity")
    square = similarity.pivot(index="label_a", columns="label_b", values="similarity")
    square = square.reindex(index=list(classes), columns=list(classes))
    values = square.to_numpy(np.float64)
    if not np.isfinite(stats.pairs(values)).all():
        raise HypothesisError(f"{name}: the similarity table lacks pairs of {list(classes)}")
    return values


def _pair_names(classes: Sequence[str]) -> list[tuple[str, str]]:
    return [(a, b) for i, a in enumerate(classes) for b in classes[i + 1 :]]


def _most_confused(shares: FloatArray, counts: FloatArray, names: list[tuple[str, str]]) -> str:
    """A sentence on the pair that is confused most; none is called first where chance may be why.

    Args:
        shares: (K, K) `pair_confusion`.
        counts: (K, K) images of the one class that were taken for the other.
        names: of the pairs, in the order of `stats.pairs`.
    """
    if not shares.any():
        return "No two categories were confused."
    order = np.argsort(-stats.pairs(shares), kind="stable")[:2]
    first, second = stats.pairs(counts + counts.T)[order].astype(int)
    named = [" and ".join(names[k]) for k in order]
    if stats.mcnemar(first, 0) > CHANCE:
        return "Too few images were confused to name a pair."
    if stats.mcnemar(first, second) <= CHANCE:
        return f"The pair confused most is {named[0]} ({first:,} images)."
    return f"Confused most are {named[0]} ({first:,} images) and {named[1]} ({second:,})."


def _most_alike(similarity: FloatArray, names: list[tuple[str, str]]) -> str:
    values = stats.pairs(similarity)
    largest = [" and ".join(names[k]) for k in np.flatnonzero(values == values.max())]
    if len(largest) > 1:
        return f"{len(largest)} pairs of categories look equally alike."
    return f"The pair that looks most alike is {largest[0]}."


def _defined(estimate: Estimate) -> Estimate:
    """A model without any confusion, or similarities all equal, correlates with nothing."""
    if math.isfinite(estimate.value):
        return estimate
    return Estimate(0.0, -1.0, 1.0, estimate.method)


def _other_correlations(
    h: Hypothesis, evidence: Evidence, similarity: FloatArray, blocks: IntArray | None
) -> list[dict[str, Any]]:
    details = []
    for model in evidence.predictions:
        if model not in h.models:
            scored = _scored(evidence, model, h.split)
            tested = metrics.tested(scored)
            confused = pair_confusion(scored)[np.ix_(tested, tested)]
            estimate = _defined(stats.pair_correlation(similarity, confused, h.level, blocks))
            details.append(_detail(model, estimate, len(stats.pairs(confused)), h.unit))
    return details


# One model against a margin ---------------------------------------------------------------------


def _accuracy(h: Hypothesis, evidence: Evidence) -> Finding:
    scored = _scored(evidence, h.models[0], h.split)
    hits = int(scored.correct.sum())
    estimate = stats.wilson(hits, scored.n, h.level)
    others = {m: _scored(evidence, m, h.split) for m in evidence.predictions}

    def needed(level: float) -> Need:
        ends = (estimate.value, _far_end(estimate, h.margin))
        found, least = (
            sample_sizes.images_for_share(share, h.margin, scored.n, level) for share in ends
        )
        return Need(f"{h.split} images", found, least, sample_sizes.IMAGES)

    return Finding(
        estimate=estimate,
        p_value=stats.score_test(hits, scored.n, h.margin),
        n=scored.n,
        needed=needed,
        details=[
            _detail(m, stats.wilson(int(s.correct.sum()), s.n, h.level), s.n, h.unit)
            for m, s in others.items()
            if m not in h.models
        ],
    )


def _far_end(estimate: Estimate, margin: float) -> float:
    """The end of an interval that lies farther from the margin."""
    return max(estimate.low, estimate.high, key=lambda end: abs(end - margin))


def _images_needed(h: Hypothesis, estimate: Estimate, n: int) -> Callable[[float], Need | str]:
    """What would settle it, for an interval that shrinks with the square root of the images."""
    toward = estimate.low if estimate.value > h.margin else estimate.high
    error = abs(toward - estimate.value) / stats.z_of_level(h.level)

    def needed(level: float) -> Need:
        found, least = (
            sample_sizes.images_for_value(value, h.margin, error, n, level)
            for value in (estimate.value, _far_end(estimate, h.margin))
        )
        return Need(f"{h.split} images", found, least, sample_sizes.IMAGES)

    return needed


# Two models on the same images ----------------------------------------------------------------


def _difference(h: Hypothesis, evidence: Evidence) -> Finding:
    references, tested = _references(h, evidence), h.models[-1]
    others = {m: _compared(h, evidence, m) for m in h.models[:-1]}
    found = [_difference_from(h, evidence, reference) for reference in references]
    found.sort(key=lambda f: f.estimate.value, reverse=h.direction == "at most")
    least, *tied = found
    details = [
        _paired_detail(h, f"{tested} minus {m}", other)
        for m, other in others.items()
        if m != least.models[0]
    ]
    return replace(least, details=details, tied=tuple(tied))


def _difference_from(h: Hypothesis, evidence: Evidence, reference: str) -> Finding:
    result = _compared(h, evidence, reference)
    counts = result["only_first"], result["only_second"], result["n"]
    estimate = stats.paired_difference(*counts, h.level).scaled(100)
    return Finding(
        estimate=estimate,
        p_value=stats.paired_test(*counts, h.margin / 100),
        n=result["n"],
        needed=_images_needed(h, estimate, result["n"]),
        facts={"reference": evidence.titles.get(reference, reference)},
        models=(reference, h.models[-1]),
    )


def _paired_detail(h: Hypothesis, name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    counts = result["only_first"], result["only_second"], result["n"]
    estimate = stats.paired_difference(*counts, h.level).scaled(100)
    return _detail(name, estimate, result["n"], h.unit, p_value=result["p_value"])


def _error_ratio(h: Hypothesis, evidence: Evidence) -> Finding:
    found = [_ratio_to(h, evidence, reference) for reference in _references(h, evidence)]
    found.sort(key=lambda f: f.estimate.value, reverse=h.direction == "at most")
    return replace(found[0], tied=tuple(found[1:]))


def _ratio_to(h: Hypothesis, evidence: Evidence, reference: str) -> Finding:
    result = _compared(h, evidence, reference)
    # An image that only one model got right is one that only the other got wrong.
    counts = result["neither"], result["only_second"], result["only_first"]
    estimate = stats.paired_ratio(*counts, h.level)
    return Finding(
        estimate=estimate,
        p_value=stats.ratio_test(*counts, h.margin),
        n=result["n"],
        needed=_images_needed(h, estimate, result["n"]),
        facts={"reference": evidence.titles.get(reference, reference)},
        models=(reference, h.models[-1]),
    )


def _references(h: Hypothesis, evidence: Evidence) -> list[str]:
    """Of the models before the last, those that do best on validation: several where they tie."""
    right = {m: int(_scored(evidence, m, "validation").correct.sum()) for m in h.models[:-1]}
    return [model for model, hits in right.items() if hits == max(right.values())]


def _compared(h: Hypothesis, evidence: Evidence, other: str) -> dict[str, Any]:
    """The hypothesis's last model against another one, on the same images."""
    return comparison.compare(*(_scored(evidence, m, h.split) for m in (h.models[-1], other)))


# One category -----------------------------------------------------------------------------------


def _class_f1(h: Hypothesis, evidence: Evidence) -> Finding:
    scored, k = _with_label(h, evidence)
    values, samples = metrics.f1_samples(scored, _resamples(h))
    return _resampled(h, scored.n, float(values[k]), samples[:, k], {"label": h.label})


def _weakest_class(h: Hypothesis, evidence: Evidence) -> Finding:
    scored, k = _with_label(h, evidence)
    found, p_value = metrics.weakest_gap(scored, k, h.margin / 100, h.level, _resamples(h))
    estimate = found.scaled(100)
    values, _ = metrics.f1_samples(scored, 1)
    return Finding(
        estimate=estimate,
        p_value=p_value,
        n=scored.n,
        needed=_images_needed(h, estimate, scored.n),
        facts={"label": h.label, "weakest": scored.classes[int(np.nanargmin(values))]},
    )


def _with_label(h: Hypothesis, evidence: Evidence) -> tuple[metrics.Scored, int]:
    scored = _scored(evidence, h.models[0], h.split)
    if h.label not in scored.classes:
        raise HypothesisError(f"{h.id}: {h.label!r} is none of {list(scored.classes)}")
    return scored, scored.classes.index(h.label)


def _resampled(
    h: Hypothesis, n: int, value: float, samples: FloatArray, facts: dict[str, str]
) -> Finding:
    """A finding whose interval and p-value come from the same bootstrap samples (B,)."""
    estimate = stats.percentile_interval(value, samples, metrics.STRATIFIED, h.level)
    return Finding(
        estimate=estimate,
        p_value=stats.bootstrap_test(samples, h.margin),
        n=n,
        needed=_images_needed(h, estimate, n),
        facts=facts,
    )


def _resamples(h: Hypothesis) -> int:
    """So many that some lie beyond the level of this look."""
    return max(RESAMPLES, math.ceil(2 * TAIL / h.alpha))


# A treatment over seeds -------------------------------------------------------------------------


def _gain(h: Hypothesis, evidence: Evidence) -> Finding:
    """All trainings of both arms count, whether their seeds are paired or not."""
    without, with_ = (_right_answers(evidence.seed_predictions[m], h.split) for m in h.models)
    if not without.columns.equals(with_.columns):
        raise HypothesisError(f"{h.id}: {_listed(h.models)} answered different images")
    gain = gains.gain(with_.to_numpy(), without.to_numpy())
    return Finding(
        estimate=gain.interval(h.level).scaled(100),
        p_value=gain.p_value(h.margin / 100),
        n=without.shape[1],
        needed=lambda level: _trainings_needed(h, gain, level),
        facts={"trainings": f"{len(without)} and {len(with_)} trainings"},
        details=_seed_details(h, without, with_) + _also_details(h, evidence),
        points=_accuracies(h, without, with_),
    )


def _right_answers(seed_predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    """Whether each training (rows, by seed) answered each image (columns, by id) correctly."""
    rows = seed_predictions[seed_predictions["split"] == split]
    right = rows["label"].to_numpy(str) == rows["prediction"].to_numpy(str)
    return rows.assign(right=right).pivot(index="seed", columns="id", values="right")


def _trainings_needed(h: Hypothesis, gain: gains.Gain, level: float) -> Need | str:
    if min(gain.trainings) < 2:
        return sample_sizes.ONE_TRAINING
    far = _far_end(gain.interval(h.level), h.margin / 100)
    found, least = (
        sample_sizes.trainings_for_gain(replace(gain, value=value), h.margin / 100, level)
        for value in (gain.value, far)
    )
    have = min(gain.trainings)
    return Need(
        "seeds of each variant",
        None if found is None else found - have,
        None if least is None else least - have,
        sample_sizes.SEEDS,
    )


def _accuracies(h: Hypothesis, without: pd.DataFrame, with_: pd.DataFrame) -> list[dict[str, Any]]:
    """Each seed's accuracy (0 to 1) in both arms; None where an arm was not trained with it."""
    arms = pd.concat([without.mean(axis=1), with_.mean(axis=1)], axis=1, keys=h.models)
    arms = arms.sort_index().astype(object).where(lambda frame: frame.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in arms.reset_index().to_dict("records")]


def _seed_details(
    h: Hypothesis, without: pd.DataFrame, with_: pd.DataFrame
) -> list[dict[str, Any]]:
    """The gain of each seed that both arms have, over the test images alone."""
    details = []
    for seed in without.index.intersection(with_.index):
        before, after = without.loc[seed].to_numpy(), with_.loc[seed].to_numpy()
        counts = int((after & ~before).sum()), int((before & ~after).sum())
        estimate = stats.paired_difference(*counts, len(before), h.level).scaled(100)
        p_value = stats.paired_test(*counts, len(before), 0.0)
        details.append(_detail(f"seed {seed}", estimate, len(before), h.unit, p_value=p_value))
    return details


def _also_details(h: Hypothesis, evidence: Evidence) -> list[dict[str, Any]]:
    """The second pair, such as the full training set: one seed, the same images."""
    if not h.also or any(m not in evidence.predictions for m in h.also):
        return []
    without, with_ = (_scored(evidence, m, h.split) for m in h.also)
    result = comparison.compare(with_, without)
    return [_paired_detail(h, f"{h.also[1]} minus {h.also[0]}", result)]


JUDGES: dict[str, Callable[[Hypothesis, Evidence], Finding]] = {
    "pair_correlation": _pair_correlation,
    "accuracy": _accuracy,
    "difference": _difference,
    "error_ratio": _error_ratio,
    "gain": _gain,
    "class_f1": _class_f1,
    "weakest_class": _weakest_class,
}
