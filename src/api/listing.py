"""What is published, as the HTTP API tells it: runs in, the shapes of `schemas` out."""

import functools
from collections.abc import Mapping
from typing import Any, TypeVar

from src.api.schemas import (
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


def open_run(study: str, version: str | None = None) -> published.Run:
    """A published version, the newest unless named; RunError where it cannot be used."""
    names = published.studies()
    if study not in names:
        known = ", ".join(names) or "none"
        raise published.RunNotFound(f"There is no published study {study} (published: {known}).")
    versions = published.versions(study)
    if version is not None and version not in versions:
        return published.open_run(study, version)  # which says what there is
    return _run(study, version or versions[0])


@functools.lru_cache(maxsize=16)
def _run(study: str, version: str) -> published.Run:
    return published.open_run(study, version)


def studies() -> Studies:
    """Everything published here, the newest version of a study first."""
    return Studies(default=default_study(), studies=[_study(name) for name in published.studies()])


def _study(name: str) -> Study:
    opened = [open_run(name, version) for version in published.versions(name)]
    card = opened[0].dataset
    return Study(
        study=name,
        title=card["title"],
        description=card["description"],
        versions=[summary(run) for run in opened],
    )


def summary(run: published.Run) -> VersionSummary:
    """A version in short."""
    stated = run.manifest["headline"]
    accuracy = Measure(value=stated["accuracy"], low=stated["low"], high=stated["high"])
    return VersionSummary(
        version=run.version,
        created=run.manifest["created"],
        profile=run.manifest["profile"],
        classes=run.dataset["classes"],
        image_shape=run.dataset["image_shape"],
        default_model=run.default_model,
        models=run.served,
        headline=Headline(
            model=stated["model"], split=stated["split"], n=stated["n"], accuracy=accuracy
        ),
    )


def measured(record: published.ModelRecord) -> Model:
    """A model and its figures on test pictures."""
    test = record.metrics["splits"]["test"]
    cost, written = record.metrics.get("cost", {}), record.config
    return Model(
        name=record.name,
        title=written["title"],
        description=written["description"],
        family=written.get("family", "network"),
        served=record.served,
        precisions=list(inference.PRECISIONS) if record.served else [],
        parameters=cost.get("parameters"),
        split="test",
        n=test["n"],
        metrics={name: measure(Measure, entry) for name, entry in test["metrics"].items()},
        latency_ms={
            name: measure(Timing, entry) for name, entry in cost.get("latency_ms", {}).items()
        },
    )


def measure(kind: type[M], entry: Mapping[str, Any]) -> M:
    """A published figure; only the fields of its kind."""
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
        models=[measured(run.model(name)) for name in run.models],
    )
