"""What is published, for the HTTP API: runs in, the shapes of `schemas` out."""

from collections.abc import Mapping
from typing import Any, TypeVar

from src.api.schemas import (
    CalibrationFigure,
    Headline,
    Measure,
    Model,
    Studies,
    Study,
    Timing,
    Version,
    VersionSummary,
)
from src.data import studies as study_data
from src.data.formats import DataError
from src.runs import published
from src.serving import inference

M = TypeVar("M", bound=Measure)


def default_study() -> str:
    """The study that answers unless another is asked for. RunNotFound where there is none."""
    names = published.studies()
    if not names:
        raise published.RunNotFound("Nothing is published here yet.")
    try:
        preferred = study_data.default()
    except DataError:  # the studies' own files are damaged; what is published answers all the same
        return names[0]
    return preferred if preferred in names else names[0]


def studies() -> Studies:
    """Everything published here, the newest version of a study first.

    A version that cannot be read is left out and named in `problems`.
    """
    listed, problems = [], []
    for name in published.studies():
        versions, damaged = _readable(name)
        problems += damaged
        if versions:
            listed.append(_study(name, versions))
    return Studies(default=default_study(), studies=listed, problems=problems)


def _readable(study: str) -> tuple[list[VersionSummary], list[str]]:
    """The versions of a study in short, and what is wrong with those that cannot be read."""
    summaries, problems = [], []
    for version in published.versions(study):
        try:
            summaries.append(summary(published.open_run(study, version)))
        except published.RunError as error:
            problems.append(str(error))
    return summaries, problems


def _study(name: str, versions: list[VersionSummary]) -> Study:
    card = published.open_run(name, versions[0].version).dataset
    return Study(
        study=name, title=card["title"], description=card["description"], versions=versions
    )


def summary(run: published.Run) -> VersionSummary:
    """A version in short."""
    headline = run.manifest["headline"]
    accuracy = Measure(value=headline["accuracy"], low=headline["low"], high=headline["high"])
    return VersionSummary(
        version=run.version,
        created=run.manifest["created"],
        profile=run.manifest["profile"],
        classes=run.dataset["classes"],
        image_shape=run.dataset["image_shape"],
        default_model=run.default_model,
        models=run.served,
        headline=Headline(
            model=headline["model"], split=headline["split"], n=headline["n"], accuracy=accuracy
        ),
    )


def model_of(record: published.ModelRecord) -> Model:
    """A model and its metrics on test images."""
    test = record.metrics["splits"]["test"]
    cost, config = record.metrics.get("cost", {}), record.config
    return Model(
        name=record.name,
        title=config["title"],
        description=config["description"],
        family=config.get("family", "network"),
        served=record.served,
        precisions=list(inference.PRECISIONS) if record.served else [],
        parameters=cost.get("parameters"),
        split="test",
        n=test["n"],
        metrics={name: figure(Measure, entry) for name, entry in test["metrics"].items()},
        calibration={
            name: CalibrationFigure(**entry) for name, entry in test.get("calibration", {}).items()
        },
        latency_ms={
            name: figure(Timing, entry) for name, entry in cost.get("latency_ms", {}).items()
        },
    )


def figure(kind: type[M], entry: Mapping[str, Any]) -> M:
    """A published figure, with only the fields of its kind."""
    return kind(**{field: entry[field] for field in kind.model_fields})


def details(run: published.Run) -> Version:
    """A version with all its models, also those that are only compared."""
    card = run.dataset
    return Version(
        study=run.study,
        **{key: card[key] for key in ("title", "description", "licence", "citation", "homepage")},
        summary=summary(run),
        pictures={split: card["totals"][split] for split in ("train", "validation", "test")},
        code_revision=run.manifest["code_revision"],
        models=[model_of(run.model(name)) for name in run.models],
    )
