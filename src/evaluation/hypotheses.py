"""Hypotheses, written down beforehand in a study's file, and judged by a run's frames.

A `Hypothesis` is checked when it is made; `judge` turns evidence into the dicts of a run's
hypotheses.json. What can be tested is listed in `KINDS`.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from src.evaluation import comparison, metrics, sample_sizes, stats
from src.evaluation.stats import Estimate, FloatArray

VERDICTS = ("supported", "refuted", "undecided")
REALISTIC = 1_000_000  # images that someone might still collect
NUMBERS = {"value", "low", "high", "margin", "n", "needed"}  # what every meaning may quote
RESAMPLES = 10_000  # of a bootstrap


@dataclass(frozen=True)
class Kind:
    """One question that can be put to a run."""

    question: str
    unit: str  # of the margin and the effect
    margins: tuple[float, float]  # between which the margin lies
    models: tuple[int, int]  # fewest and most that it names
    facts: frozenset[str] = frozenset()  # what its meanings may quote beside `NUMBERS`
    label: bool = False  # whether it is about one category


MANY = 99
KINDS = {
    "accuracy": Kind("Does a model reach an accuracy?", "share", (0, 1), (1, 1)),
    "difference": Kind(
        "Is the last model better than the best of the others, on the same images?",
        "percentage points",
        (-100, 100),
        (2, MANY),
        frozenset({"reference"}),
    ),
    "error_ratio": Kind(
        "Which share of the mistakes of the best of the others does the last model still make?",
        "ratio",
        (0, 100),
        (2, MANY),
        frozenset({"reference"}),
    ),
    "gain": Kind(
        "What does a treatment add, over trainings paired by seed?",
        "percentage points",
        (-100, 100),
        (2, 2),
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
        frozenset({"classes", "confused", "alike"}),
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
    alpha: Annotated[float, Field(gt=0, lt=1)]
    meaning: Mapping[str, str]  # verdict → template
    also: tuple[str, ...] = ()  # gain: a second pair, reported but not judged
    label: str = ""  # the category it is about

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
    seeds: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # → seed, test_accuracy, …
    seed_predictions: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)  # of models, for the meanings


@dataclass(frozen=True)
class Finding:
    """What one kind of judge found, in the hypothesis's unit."""

    estimate: Estimate
    p_value: float
    n: int
    needed: str  # what would decide, if this does not
    facts: dict[str, str] = field(default_factory=dict)
    details: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    models: tuple[str, ...] = ()  # those compared, where the hypothesis names candidates


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
    if bool(h.label) != kind.label:
        raise ValueError(f"{h.kind} {'needs a' if kind.label else 'has no'} label")


def _check_template(name: str, text: str, allowed: set[str]) -> None:
    try:
        used = {key for _, key, _, _ in string.Formatter().parse(text) if key is not None}
    except ValueError as error:
        raise ValueError(f"{name}: {error}: {text!r}") from error
    if unknown := used - allowed:
        raise ValueError(f"{name} quotes {sorted(unknown)}; possible are {sorted(allowed)}")


# Judging ----------------------------------------------------------------------------------------


def judge(hypotheses: Sequence[Hypothesis], evidence: Evidence) -> list[dict[str, Any]]:
    """One dict per hypothesis, as hypotheses.json holds them.

    One about a model that was not trained (a quick profile, a small study) or about a class that
    was not tested is left out: nothing can be said about it. Raises HypothesisError where a table
    lacks what it must hold.
    """
    possible = [h for h in hypotheses if not lacking(h, evidence) and _tested(h, evidence)]
    return [_judged(h, JUDGES[h.kind](h, evidence)) for h in possible]


def lacking(h: Hypothesis, evidence: Evidence) -> list[str]:
    """The models that a hypothesis names and the run does not have, or not with several seeds."""
    known = evidence.seeds if h.kind == "gain" else evidence.predictions
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


def _judged(h: Hypothesis, found: Finding) -> dict[str, Any]:
    result = verdict(found.estimate, h.margin, h.direction, found.p_value, h.alpha)
    margin = _margin(h)
    numbers = {k: _number(getattr(found.estimate, k), h.unit) for k in ("value", "low", "high")}
    numbers |= {"margin": margin, "n": f"{found.n:,}", "needed": found.needed}
    effect = {k: getattr(found.estimate, k) for k in ("value", "low", "high")}
    return {
        "id": h.id,
        "title": h.title,
        "statement": h.statement.format(margin=margin),
        "metric": h.metric,
        "split": h.split,
        "n": found.n,
        "method": found.estimate.method,
        "test": h.test,
        "alpha": h.alpha,
        "margin": h.margin,
        "direction": h.direction,
        "models": list(found.models or h.models),
        "effect": effect | {"unit": h.unit},
        "p_value": found.p_value,
        "verdict": result,
        "needed": found.needed if result == "undecided" else None,
        "meaning": h.meaning[result].format(**numbers, **found.facts),
        "details": found.details,
        "points": found.points,
    }


def _number(value: float, unit: str) -> str:
    if unit == "share":
        return f"{value:.1%}".replace("%", " %")
    return f"{value:.{DIGITS[unit]}f}"


DIGITS = {"correlation": 2, "ratio": 2, "F1": 3, "percentage points": 1}


def _margin(h: Hypothesis) -> str:
    return f"{100 * h.margin:g} %" if h.unit == "share" else _number(h.margin, h.unit)


def _needed(count: int | None, thing: str, things: str) -> str:
    """The number that would decide if the result stayed as it is, in words before "would"."""
    if count is None:
        return f"no number of further {things}, for the result lies on the margin,"
    if count > REALISTIC:
        return (
            f"no realistic number of further {things}, for the result all but lies on the margin,"
        )
    return f"about {max(count, 1):,} more {thing if count <= 1 else things}"


def _detail(name: str, estimate: Estimate, n: int, unit: str, **more: Any) -> dict[str, Any]:
    interval = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {"name": name} | interval | {"n": n, "unit": unit} | more


def _scored(evidence: Evidence, model: str, split: str) -> metrics.Scored:
    return metrics.from_frame(evidence.predictions[model], split)


# One table of class pairs against another -------------------------------------------------------


def _pair_correlation(h: Hypothesis, evidence: Evidence) -> Finding:
    model = h.models[0]
    scored = _scored(evidence, model, h.split)
    tested = metrics.tested(scored)
    classes = [scored.classes[k] for k in tested]
    similarity = _square(evidence.similarity, classes, h.id)
    confused = pair_confusion(scored)[np.ix_(tested, tested)]
    estimate = _defined(stats.pair_correlation(similarity, confused, h.level))
    names = _pair_names(classes)
    needed = sample_sizes.classes_needed(estimate, h.margin, len(classes))
    return Finding(
        estimate=estimate,
        p_value=stats.mantel_test(similarity, confused),
        n=len(names),
        needed=_needed(needed, "category", "categories"),
        facts={
            "classes": str(len(classes)),
            "confused": _largest(confused, names) if confused.any() else "no pair",
            "alike": _largest(similarity, names),
        },
        details=_other_correlations(h, evidence, similarity),
        points=[
            {"label_a": a, "label_b": b, "similarity": float(s), "confusion": float(c)}
            for (a, b), s, c in zip(
                names, stats.pairs(similarity), stats.pairs(confused), strict=True
            )
        ],
    )


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


def _largest(square: FloatArray, names: list[tuple[str, str]]) -> str:
    return " and ".join(names[int(stats.pairs(square).argmax())])


def _defined(estimate: Estimate) -> Estimate:
    """A model without any confusion, or similarities all equal, correlates with nothing."""
    if math.isfinite(estimate.value):
        return estimate
    return Estimate(0.0, -1.0, 1.0, estimate.method)


def _other_correlations(
    h: Hypothesis, evidence: Evidence, similarity: FloatArray
) -> list[dict[str, Any]]:
    details = []
    for model in evidence.predictions:
        if model not in h.models:
            scored = _scored(evidence, model, h.split)
            tested = metrics.tested(scored)
            confused = pair_confusion(scored)[np.ix_(tested, tested)]
            estimate = _defined(stats.pair_correlation(similarity, confused, h.level))
            details.append(_detail(model, estimate, len(stats.pairs(confused)), h.unit))
    return details


# One model against a margin ---------------------------------------------------------------------


def _accuracy(h: Hypothesis, evidence: Evidence) -> Finding:
    scored = _scored(evidence, h.models[0], h.split)
    hits = int(scored.correct.sum())
    estimate = stats.wilson(hits, scored.n, h.level)
    needed = sample_sizes.images_needed(estimate.value, h.margin, scored.n, h.level)
    others = {m: _scored(evidence, m, h.split) for m in evidence.predictions}
    return Finding(
        estimate=estimate,
        p_value=stats.score_test(hits, scored.n, h.margin),
        n=scored.n,
        needed=_needed(needed, f"{h.split} image", f"{h.split} images"),
        details=[
            _detail(m, stats.wilson(int(s.correct.sum()), s.n, h.level), s.n, h.unit)
            for m, s in others.items()
            if m not in h.models
        ],
    )


# Two models on the same images ----------------------------------------------------------------


def _difference(h: Hypothesis, evidence: Evidence) -> Finding:
    reference, tested = _reference(h, evidence), h.models[-1]
    result = _compared(h, evidence, reference)
    counts = result["only_first"], result["only_second"], result["n"]
    estimate = stats.paired_difference(*counts, h.level).scaled(100)
    needed = sample_sizes.images_for_interval(estimate, h.margin, result["n"])
    others = {m: _compared(h, evidence, m) for m in h.models[:-1] if m != reference}
    return Finding(
        estimate=estimate,
        p_value=stats.paired_test(*counts, h.margin / 100),
        n=result["n"],
        needed=_needed(needed, f"{h.split} image", f"{h.split} images"),
        facts={"reference": evidence.titles.get(reference, reference)},
        details=[_paired_detail(h, f"{tested} minus {m}", other) for m, other in others.items()],
        models=(reference, tested),
    )


def _paired_detail(h: Hypothesis, name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    counts = result["only_first"], result["only_second"], result["n"]
    estimate = stats.paired_difference(*counts, h.level).scaled(100)
    return _detail(name, estimate, result["n"], h.unit, p_value=result["p_value"])


def _error_ratio(h: Hypothesis, evidence: Evidence) -> Finding:
    reference, tested = _reference(h, evidence), h.models[-1]
    result = _compared(h, evidence, reference)
    # An image that only one model got right is one that only the other got wrong.
    counts = result["neither"], result["only_second"], result["only_first"]
    estimate = stats.paired_ratio(*counts, h.level)
    needed = sample_sizes.images_for_interval(estimate, h.margin, result["n"])
    return Finding(
        estimate=estimate,
        p_value=stats.ratio_test(*counts, h.margin),
        n=result["n"],
        needed=_needed(needed, f"{h.split} image", f"{h.split} images"),
        facts={"reference": evidence.titles.get(reference, reference)},
        models=(reference, tested),
    )


def _reference(h: Hypothesis, evidence: Evidence) -> str:
    """Of the models before the last, the one that does best on validation."""
    others = h.models[:-1]
    return max(others, key=lambda m: _scored(evidence, m, "validation").correct.mean())


def _compared(h: Hypothesis, evidence: Evidence, other: str) -> dict[str, Any]:
    """The hypothesis's last model against another one, on the same images."""
    return comparison.compare(*(_scored(evidence, m, h.split) for m in (h.models[-1], other)))


# One category -----------------------------------------------------------------------------------


def _class_f1(h: Hypothesis, evidence: Evidence) -> Finding:
    scored, k = _with_label(h, evidence)
    values, samples = metrics.f1_samples(scored, RESAMPLES)
    return _resampled(h, scored.n, float(values[k]), samples[:, k], {"label": h.label})


def _weakest_class(h: Hypothesis, evidence: Evidence) -> Finding:
    scored, k = _with_label(h, evidence)
    values, samples = metrics.f1_samples(scored, RESAMPLES)
    gap = 100 * (np.nanmin(np.delete(values, k)) - values[k])  # NaN: not tested
    gaps = 100 * (np.nanmin(np.delete(samples, k, axis=1), axis=1) - samples[:, k])
    facts = {"label": h.label, "weakest": scored.classes[int(np.nanargmin(values))]}
    return _resampled(h, scored.n, float(gap), gaps, facts)


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
    needed = sample_sizes.images_for_interval(estimate, h.margin, n)
    return Finding(
        estimate=estimate,
        p_value=stats.bootstrap_test(samples, h.margin),
        n=n,
        needed=_needed(needed, f"{h.split} image", f"{h.split} images"),
        facts=facts,
    )


# A treatment over paired seeds ------------------------------------------------------------------


def _gain(h: Hypothesis, evidence: Evidence) -> Finding:
    paired = _paired_seeds(h, evidence)
    without, with_ = h.models
    gains = 100 * (paired[with_] - paired[without]).to_numpy(np.float64)
    interval = stats.mean_interval(gains, h.level)
    # One seed has no spread; its interval is all there can be, and stays finite for JSON.
    low, high = max(interval.low, -100.0), min(interval.high, 100.0)
    needed = sample_sizes.seeds_needed(gains, h.margin, h.level)
    return Finding(
        estimate=Estimate(interval.value, low, high, f"{interval.method}, paired by seed"),
        p_value=stats.mean_test(gains, h.margin),
        n=len(gains),
        needed=_needed(needed, "seed", "seeds"),
        details=_seed_details(h, evidence) + _also_details(h, evidence),
        points=[{str(k): v for k, v in row.items()} for row in paired.to_dict("records")],
    )


def _paired_seeds(h: Hypothesis, evidence: Evidence) -> pd.DataFrame:
    """seed and the accuracy (0 to 1) of both models, for the seeds that both were trained with."""
    column = f"{h.split}_accuracy"
    frames = [evidence.seeds[m].set_index("seed")[column].rename(m) for m in h.models]
    paired = pd.concat(frames, axis=1, join="inner").reset_index()
    if paired.empty:
        raise HypothesisError(f"{h.id}: {' and '.join(h.models)} share no seed")
    return paired


def _seed_details(h: Hypothesis, evidence: Evidence) -> list[dict[str, Any]]:
    """Each seed's gain on the same images, where their predictions were kept."""
    if any(m not in evidence.seed_predictions for m in h.models):
        return []
    rows = [_right_answers(evidence.seed_predictions[m], h.split) for m in h.models]
    both = pd.concat(rows, axis=1, join="inner", keys=["without", "with"])
    details = []
    for seed, group in both.groupby(level="seed"):
        without, with_ = group["without"].to_numpy(), group["with"].to_numpy()
        counts = int((with_ & ~without).sum()), int((without & ~with_).sum())
        estimate = stats.paired_difference(*counts, len(group), h.level).scaled(100)
        p_value = stats.mcnemar(*counts)
        details.append(_detail(f"seed {seed}", estimate, len(group), h.unit, p_value=p_value))
    return details


def _right_answers(seed_predictions: pd.DataFrame, split: str) -> pd.Series:
    rows = seed_predictions[seed_predictions["split"] == split]
    right = rows["label"].to_numpy(str) == rows["prediction"].to_numpy(str)
    return rows.assign(right=right).set_index(["seed", "id"])["right"]


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
