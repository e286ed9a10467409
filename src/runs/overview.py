"""Every published run in one row."""

from __future__ import annotations

from dataclasses import dataclass

from src.evaluation import metrics
from src.evaluation.stats import Estimate
from src.runs.published import ModelRecord, Run


@dataclass(frozen=True)
class Headline:
    """What a run amounts to: its default model on its test images."""

    study: str
    version: str
    title: str  # of the data set
    profile: str
    created: str  # ISO 8601, UTC
    model: str  # title of the default model
    accuracy: float  # 0 to 1, of the test images, with its 95 % interval
    low: float
    high: float
    n: int  # test images
    parameters: int | None
    images: int  # of all splits
    classes: int
    shape: tuple[int, int, int]  # height, width, channels
    test_ids_sha256: str  # runs of a study are only ranked where it is equal


def headline(run: Run) -> Headline:
    """The row of a run. Raises `runs.RunError` where it cannot be read."""
    record, card = run.model(run.default_model), run.dataset
    test = record.metrics["splits"]["test"]
    accuracy = test["metrics"]["accuracy"]
    height, width, channels = card["image_shape"]
    return Headline(
        study=run.study,
        version=run.version,
        title=card["title"],
        profile=run.manifest["profile"],
        created=run.manifest["created"],
        model=record.config["title"],
        accuracy=accuracy["value"],
        low=accuracy["low"],
        high=accuracy["high"],
        n=test["n"],
        parameters=record.metrics["cost"].get("parameters"),
        images=card["totals"]["all"],
        classes=len(card["classes"]),
        shape=(height, width, channels),
        test_ids_sha256=card["test_ids_sha256"],
    )


@dataclass(frozen=True)
class OverSeeds:
    """A model that was trained several times, on one split.

    The published model is the one of the first seed, by rule: it was named before any was trained.
    """

    trainings: int
    mean: Estimate  # accuracy, 0 to 1, for other seeds and other images
    spread: float  # standard deviation of the trainings' accuracies, 0 to 1
    first: float  # accuracy of the published model


def over_seeds(record: ModelRecord, split: str) -> OverSeeds | None:
    """The accuracy of all trainings of a model; None where there was only one."""
    if record.seeds is None or record.seed_predictions is None:
        return None
    accuracies = record.seeds[f"{split}_accuracy"]
    return OverSeeds(
        trainings=len(accuracies),
        mean=metrics.accuracy_over_seeds(record.seed_predictions, split),
        spread=float(accuracies.std(ddof=1)),
        first=float(record.metrics["splits"][split]["metrics"]["accuracy"]["value"]),
    )
