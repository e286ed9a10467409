"""The studies that can be run: those with a file in `inputs/studies`, and the user's own folders.

Case, hypotheses and published results are also asked for studies that are published here without
their file, or were made of a folder that is gone: what all studies share holds for these.
"""

from __future__ import annotations

from collections.abc import Mapping

from src import config
from src.data import folders, study_files
from src.data.formats import DataError
from src.data.specification import Limit, Reference, StudySpec, Uploads
from src.data.study_files import Study
from src.evaluation.business import Case
from src.evaluation.hypotheses import Hypothesis

# --- which -------------------------------------------------------------------------------------


def default() -> str:
    """The study that is meant where none is named. Raises `DataError`."""
    return study_files.shared().default_study


def known() -> tuple[str, ...]:
    """The studies that have a file, the default one first. Raises `DataError`."""
    first = default()
    return tuple(sorted(study_files.names(), key=lambda name: (name != first, name)))


def names() -> tuple[str, ...]:
    """The studies that can be run: the known ones, default first, then the user's own folders."""
    return (*known(), *folders.names())


def get(name: str) -> StudySpec:
    """The specification of a study.

    Raises:
        DataError: there is no such study, or its file or its folder cannot be one.
    """
    if name in study_files.names():
        return study_files.study(name).spec
    if name in folders.names():
        return folders.specification(name)
    if place := folders.gone(name):
        raise DataError(
            f"The photos of {name} were linked from {place}, which is gone. Bring it back, or run "
            "make study with the folder where they are now."
        )
    raise DataError(
        f"There is no study {name!r}; there are: {', '.join(names())}. A folder of your own "
        f"goes to {config.inputs() / name}, with one sub-folder per class."
    )


def shown_with(notebook: int) -> str:
    """The study whose full run is the committed one of a notebook: the default one for most."""
    found = [name for name in known() if notebook in study_files.study(name).spec.notebooks]
    return (*found, default())[0]


# --- what its file says ------------------------------------------------------------------------


def case(name: str) -> Case:
    """The client's case as it applies to a study, published or not. Raises `DataError`."""
    found = _stated(name)
    return found.case if found else study_files.own_statements(name).case.case()


def stated_hypotheses(name: str) -> list[Hypothesis]:
    """The hypotheses of a study; none where nothing states them. Raises `DataError`."""
    found = _stated(name)
    return list(found.hypotheses if found else study_files.own_statements(name).hypotheses.values())


def file_of(name: str) -> str:
    """The file in which a study's case and hypotheses are stated, or would be, for a message."""
    if name in study_files.names():
        return study_files.shown(study_files.path_of(name))
    return study_files.shown(config.inputs() / name / "study.toml")


def references(name: str) -> list[Reference]:
    """Published results of others for a study, highest first. Raises `DataError`."""
    found = _stated(name)
    return list(found.references) if found else []


def limits(name: str) -> list[Limit]:
    """What is known about a study's test set itself. Raises `DataError`."""
    found = _stated(name)
    return list(found.limits) if found else []


def images_in(name: str) -> Mapping[str, str]:
    """Split → the Parquet file whose rows a study's ids are; empty where it has none.

    Raises:
        DataError: the study's file is wrong.
    """
    found = _stated(name)
    layouts = found.spec.layouts if found else ()
    return next((layout.images_in for layout in layouts if layout.images_in), {})


def uploads(name: str) -> Uploads:
    """How photos are prepared for a study, published or not; what all have without its file.

    Raises:
        DataError: the study's file is wrong.
    """
    found = _stated(name)
    return found.spec.uploads if found else Uploads()


def _stated(name: str) -> Study | None:
    return study_files.study(name) if name in study_files.names() else None
