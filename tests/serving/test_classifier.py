"""The one place that decides: thresholds, reasons, and who else may look at a threshold."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.config import ROOT
from src.evaluation import thresholds
from src.runs import published
from src.serving import inference
from src.serving.classifier import Classifier, NotServed, sorting
from tests import factories

CASES = [(study, published.versions(study)[0]) for study in published.studies()]


def classifier(threshold: float | None) -> Classifier:
    return Classifier(None, None, factories.sorting(threshold))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("threshold", "confidence", "decision", "reason"),
    [
        (0.7, 0.7, "automatic", "confidence 70.0 % ≥ 70.0 %"),
        (0.71, 0.7, "check", "confidence 70.0 % < 71.0 %"),
        (0.9, 0.8999, "check", "confidence 89.99 % < 90.00 %"),  # as many decimals as it takes
        (0.0, 0.1, "automatic", "confidence 10.0 % ≥ 0.0 %"),
        (None, 1.0, "check", "no threshold reaches 99 % precision on validation"),
    ],
)
def test_a_decision_has_its_reason(
    threshold: float | None, confidence: float, decision: str, reason: str
) -> None:
    said = reason.replace(" %", "\N{NO-BREAK SPACE}%")
    assert classifier(threshold).decide("cat", confidence) == (decision, said)


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("few", "sneakers is always checked: too few validation images"),
        ("mistakes", "sneakers is always checked: too many mistakes on validation images"),
    ],
)
def test_a_class_that_is_not_assured_is_always_checked(why: thresholds.Why, said: str) -> None:
    found = factories.sorting(0.5, ("boots", "sneakers"))
    boots, sneakers = found.classes
    sneakers = replace(sneakers, threshold=None, why=why)
    decider = Classifier(None, None, replace(found, classes=(boots, sneakers)))  # type: ignore[arg-type]
    assert decider.decide("sneakers", 1.0) == ("check", said)
    assert decider.decide("boots", 0.6)[0] == "automatic"
    assert (decider.threshold("sneakers"), decider.threshold("boots")) == (None, 0.5)


def test_an_image_of_one_colour_always_needs_checking() -> None:
    said = ("check", "one colour only, nothing to recognise")
    assert classifier(0.5).decide("cat", 1.0, blank=True) == said


def test_without_a_target_everything_needs_checking() -> None:
    nothing = Classifier(None, None, None)  # type: ignore[arg-type]
    assert nothing.decide("cat", 1.0) == ("check", "this study has no target precision")
    assert nothing.threshold("cat") is None


@pytest.mark.parametrize(("study", "version"), CASES)
def test_the_newest_version_and_its_default_model_decide(study: str, version: str) -> None:
    found = Classifier.open(study)
    run = published.open_run(study, version)
    assert (found.run.version, found.model.name) == (version, run.default_model)
    assert found.sorting is not None
    shape = (3, *run.dataset["image_shape"])
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for result in found.classify(pixels):
        threshold = found.threshold(result.label)
        expected = threshold is not None and result.confidence >= threshold
        assert result.automatic is expected
        assert result.label == run.dataset["classes"][int(result.probabilities.argmax())]


@pytest.mark.parametrize(("study", "version"), CASES)
def test_the_figures_of_a_decision_are_those_of_the_published_predictions(
    study: str, version: str
) -> None:
    run = published.open_run(study, version)
    found = sorting(run, run.default_model)
    rows = run.model(run.default_model).predictions
    test = rows[rows["split"] == "test"]
    share = test[[c for c in test if c.startswith("p_")]].max(axis=1)
    limits = {each.label: each.threshold or np.inf for each in found.classes}
    accepted = test[share >= test["prediction"].map(limits)]
    assert (found.n, found.accepted) == (len(test), len(accepted))
    for each in found.classes:
        own = accepted[accepted["prediction"] == each.label]
        assert (each.n, each.accepted) == ((test["prediction"] == each.label).sum(), len(own))
    if len(accepted):
        correct = (accepted["label"] == accepted["prediction"]).mean()
        assert found.precision.value == pytest.approx(correct)


def test_what_is_not_there_is_named() -> None:
    study = published.studies()[0]
    with pytest.raises(published.RunNotFound, match="no published study nowhere"):
        Classifier.open("nowhere")
    with pytest.raises(published.RunNotFound, match="no published version v999"):
        Classifier.open(study, "v999")
    with pytest.raises(published.RunNotFound, match="no model nobody"):
        Classifier.open(study, model="nobody")
    with pytest.raises(inference.InferenceError, match="float32, int8"):
        Classifier.open(study, precision="int4")
    run = published.open_run("mnist", published.versions("mnist")[0])
    compared = next(name for name in run.models if not run.model(name).served)
    with pytest.raises(NotServed, match=f"{compared} was only compared"):
        Classifier.open("mnist", model=compared)


def attributes(path: Path) -> set[str]:
    """Every name and attribute that a file uses."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def test_nothing_else_chooses_a_threshold_or_decides() -> None:
    """`evaluation` defines the rule and reports on it; `serving.classifier` alone applies it."""
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("app_pages/*.py"), *ROOT.glob("*.py")]
    users = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if {"threshold_for_precision", "fixed_sequence", "decide"} & attributes(path)
    }
    assert users == {"src/evaluation/thresholds.py", "src/serving/classifier.py"}
