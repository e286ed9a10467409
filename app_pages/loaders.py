"""Everything the pages read, cached. The only place of the app that caches.

A published run never changes, so what is read from it is shared by all sessions until newer
entries push it out. Frames are shared, not copied: read them, never write into them.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from src import config
from src.data import folders, images
from src.data import studies as known
from src.data.formats import DataError
from src.data.specification import Limit, Reference
from src.evaluation import (
    business,
    comparison,
    curves,
    hypotheses,
    metrics,
    reliability,
    thresholds,
)
from src.runs import ledger, overview, published, verdicts
from src.serving import drawing
from src.serving.classifier import Classifier
from src.serving.classifier import sorting as sorting_of
from src.serving.preparation import Preparation, ways


@st.cache_data(ttl=15, show_spinner=False, max_entries=1)
def studies() -> list[str]:
    """Studies with at least one published version; looked up afresh every 15 seconds."""
    return published.studies()


@st.cache_data(ttl=15, show_spinner=False, max_entries=20)
def versions(study: str) -> list[str]:
    """Published versions of a study, newest first; looked up afresh every 15 seconds."""
    return published.versions(study)


@st.cache_data(ttl=15, show_spinner=False, max_entries=20)
def reading(study: str, version: str) -> int | None:
    """Which reading of its test images a version is; None where no ledger says."""
    return ledger.number(study, version)


@st.cache_resource(show_spinner=False, max_entries=8)
def open_run(study: str, version: str) -> published.Run:
    """A published run. Raises `runs.RunError` (never cached) when it is gone or altered."""
    return published.open_run(study, version)


@st.cache_resource(show_spinner=False, max_entries=64)
def table(study: str, version: str, path: str) -> pd.DataFrame:
    """One table of a run, such as `eda/class_counts.parquet`. Read only."""
    return open_run(study, version).table(path)


@st.cache_resource(show_spinner=False, max_entries=40)
def model(study: str, version: str, name: str) -> published.ModelRecord:
    """The record of one model of a run: configuration, metrics, history, predictions."""
    return open_run(study, version).model(name)


class Subject(NamedTuple):
    """One model of a published run, and the split on which it is judged."""

    study: str
    version: str
    model: str
    split: str


@st.cache_resource(show_spinner=False, max_entries=48)
def scored(subject: Subject) -> metrics.Scored:
    """One split as one model of a run answered it."""
    return metrics.from_frame(model(*subject[:3]).predictions, subject.split)


MEASURES: dict[str, Callable[[metrics.Scored], pd.DataFrame]] = {
    "confusion": metrics.confusion,
    "roc": curves.roc_curves,
    "precision_recall": curves.precision_recall_curves,
    "selective": thresholds.selective,
    "mistakes": functools.partial(metrics.most_confident_mistakes, limit=10**9),
}


@st.cache_resource(show_spinner=False, max_entries=64)
def evaluation_table(subject: Subject, measure: str) -> pd.DataFrame:
    """One of `MEASURES` of a model's answers. Read only."""
    return MEASURES[measure](scored(subject))


@st.cache_resource(show_spinner=False, max_entries=128)
def reliability_of(subject: Subject) -> reliability.Reliability:
    """Confidence against accuracy of a model's answers, with its test."""
    return reliability.measure(scored(subject))


@st.cache_data(show_spinner=False, max_entries=128)
def over_seeds(subject: Subject) -> overview.OverSeeds | None:
    """The accuracy of all trainings of a model; None where there was only one."""
    return overview.over_seeds(model(*subject[:3]), subject.split)


@st.cache_data(show_spinner=False, max_entries=128)
def classwise(subject: Subject) -> reliability.CalibrationError:
    """The class-wise calibration error of a model, with its test."""
    return reliability.classwise(scored(subject))


@st.cache_data(show_spinner=False, max_entries=128)
def classwise_value(subject: Subject) -> float:
    """The class-wise calibration error alone, which takes no time."""
    return reliability.classwise_value(scored(subject))


@st.cache_resource(show_spinner=False, max_entries=16)
def answers(subject: Subject) -> pd.DataFrame:
    """id, label, prediction, confidence of one split, most confident first. Read only."""
    rows = model(*subject[:3]).predictions
    rows = rows[rows["split"] == subject.split]
    columns = [column for column in rows.columns if column.startswith("p_")]
    rows = rows[["split", "id", "label", "prediction"]].assign(confidence=rows[columns].max(axis=1))
    return rows.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)


@st.cache_resource(show_spinner=False, max_entries=16)
def random_sample(study: str, version: str, name: str) -> pd.DataFrame:
    """What a model said to the test images that a run keeps at random. Read only."""
    rows = answers(Subject(study, version, name, "test"))
    ids = metrics.drawn(rows["id"], metrics.DRAWN)
    return rows.set_index("id").loc[ids].reset_index()


@st.cache_data(show_spinner=False, max_entries=64)
def compared(first: Subject, second: Subject) -> dict[str, Any]:
    """Two models on the same images; ValueError where they answered others."""
    return comparison.compare(scored(first), scored(second))


@st.cache_resource(show_spinner=False, max_entries=8)
def all_compared(
    study: str, version: str, split: str, reference: str | None = None
) -> pd.DataFrame:
    """Pairs of models of a run, all or those of one (`evaluation.compare_all`). Read only."""
    names = open_run(study, version).models
    return comparison.compare_all(
        {name: scored(Subject(study, version, name, split)) for name in names}, reference
    )


# Two models in memory at most: the app must stay small with many visitors.
@st.cache_resource(show_spinner="Loading the model…", max_entries=2)
def classifier(study: str, version: str, model: str, precision: str = "float32") -> Classifier:
    """A classifier, thread-safe and shared by all sessions; see `Classifier.of`."""
    return Classifier.of(open_run(study, version), model, precision)


@st.cache_data(ttl=15, show_spinner=False, max_entries=1)
def preparations() -> tuple[Preparation, ...]:
    """Every way to prepare a photo for a published version that can be read."""
    found: dict[Preparation, None] = {}
    for study in published.studies():
        for version in published.versions(study):
            with contextlib.suppress(published.RunError, DataError):  # its own page says why
                found |= dict.fromkeys(ways(open_run(study, version)))
    return tuple(found)


@st.cache_resource(show_spinner=False, max_entries=4)
def gallery(study: str, version: str) -> dict[tuple[str, int | str], bytes]:
    """PNG bytes of the images a run carries, by (split, id)."""
    frame = table(study, version, "gallery.parquet")
    return dict(zip(zip(frame["split"], frame["id"], strict=True), frame["png"], strict=True))


@st.cache_data(show_spinner=False, max_entries=512)
def enlarged(png: bytes, side: int) -> tuple[bytes, int]:
    """(PNG, its width): enlarged a whole number of times, no smoothing, up to `side` pixels."""
    pixels = images.from_png(png)  # (H, W, 3)
    factor = max(1, side // max(pixels.shape[:2]))
    larger = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    return images.to_png(larger), larger.shape[1]


@st.cache_data(show_spinner=False, max_entries=8)
def case(study: str) -> business.Case:
    """The client's case as it applies to a study. Raises `DataError`."""
    return known.case(study)


@st.cache_data(show_spinner=False, max_entries=8)
def stated_hypotheses(study: str) -> list[hypotheses.Hypothesis]:
    """What was written down for a study. Raises `DataError`."""
    return known.stated_hypotheses(study)


@st.cache_data(show_spinner=False, max_entries=16)
def hypotheses_of(study: str, version: str) -> list[dict[str, Any]]:
    """The hypotheses of a run with today's verdicts (`verdicts.judged`)."""
    return verdicts.judged(open_run(study, version))


@st.cache_data(show_spinner=False, max_entries=16)
def earlier_verdicts(study: str, reading: int) -> pd.DataFrame:
    """The verdicts of a study's earlier readings of its test images (`verdicts.earlier`)."""
    return verdicts.earlier(study, reading)


@st.cache_data(show_spinner=False, max_entries=64)
def sorting(study: str, version: str, name: str) -> thresholds.Sorting:
    """Automatic sorting of test images with a model of a run (`classifier.sorting`)."""
    return sorting_of(open_run(study, version), name)


@st.cache_data(show_spinner=False, max_entries=16)
def judged(study: str, version: str) -> pd.DataFrame:
    """The criteria of the case against the default model of a run (`business.judge`)."""
    run = open_run(study, version)
    record = model(study, version, run.default_model)
    return business.judge(case(study), record.metrics, record.predictions)


# --- all studies ---------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=100)
def headline(study: str, version: str) -> overview.Headline:
    """A published run in one row. Raises `runs.RunError` (never cached)."""
    return overview.headline(open_run(study, version))


@st.cache_data(show_spinner=False, max_entries=50)
def references(study: str) -> list[Reference]:
    """The numbers of others for a study, highest first. Raises `DataError`."""
    return known.references(study)


@st.cache_data(show_spinner=False, max_entries=50)
def limits(study: str) -> list[Limit]:
    """What is known about a study's test set itself. Raises `DataError`."""
    return known.limits(study)


@st.cache_data(show_spinner=False, max_entries=50)
def samples(study: str, version: str, limit: int = 10) -> list[tuple[str, bytes]]:
    """(label, PNG) of one validation image of each of the first categories.

    Test images of a run are chosen by how they were answered, validation images at random.
    """
    run = open_run(study, version)
    frame = run.table("gallery.parquet")  # not kept: a page needs only these few
    drawn = frame[frame["split"] == "validation"].drop_duplicates("label").set_index("label")["png"]
    names = [name for name in run.dataset["classes"] if name in drawn.index]
    return [(name, drawn[name]) for name in names[:limit]]


@st.cache_resource(show_spinner=False, max_entries=1)
def drawings() -> list[drawing.Drawing]:
    """The drawings that models are tried with."""
    return drawing.load(config.drawings_file())


def known_studies() -> tuple[str, ...]:
    """Studies that this project can make, published or not. Raises `DataError`."""
    return known.known()


def file_of(study: str) -> str:
    """The file in which a study's hypotheses are stated, or would be."""
    return known.file_of(study)


def first_studies() -> tuple[str, str]:
    """The studies to begin with: one that needs no download, and the default one."""
    without = [name for name in known.known() if known.get(name).read_package is not None]
    return next(iter(without), known.default()), known.default()


def first_study(studies: list[str]) -> str:
    """The study that is shown where none is named: the default one, if it is among these."""
    try:
        default = known.default()
    except DataError:  # pages that need the studies' files say what is wrong with them
        return studies[0]
    return default if default in studies else studies[0]


@st.cache_data(ttl=15, show_spinner=False, max_entries=1)
def waiting() -> tuple[str, ...]:
    """Folders and zips of images in `inputs/`; looked up afresh every 15 seconds."""
    return folders.names()
