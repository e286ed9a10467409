"""The studies that can be run: the published data sets, and the user's own folders."""

from __future__ import annotations

from src import config
from src.data import folders, specification
from src.data.formats import DataError
from src.data.specification import StudySpec
from src.evaluation import business, hypotheses

# --- which -------------------------------------------------------------------------------------


def names() -> tuple[str, ...]:
    """The studies that can be run: the known ones, default first, then the user's own folders."""
    return (*specification.KNOWN, *folders.names())


def get(name: str) -> StudySpec:
    """The specification of a study.

    Raises:
        DataError: there is no such study, or its folder cannot be one.
    """
    if name in specification.KNOWN:
        return specification.KNOWN[name]
    if name in folders.names():
        return folders.specification(name)
    raise DataError(
        f"There is no study {name!r}; there are: {', '.join(names())}. A folder of your own "
        f"goes to {config.inputs() / name}, with one sub-folder per class."
    )


# --- what was written down beforehand ----------------------------------------------------------


def case(name: str) -> business.Case:
    """The client's case as it applies to a study, published or not. Raises `BusinessError`."""
    return business.load(config.stated() / "business.toml", name)


def stated_hypotheses(name: str) -> list[hypotheses.Hypothesis]:
    """The hypotheses of a study. Raises `HypothesisError`."""
    return hypotheses.load(config.stated() / "hypotheses.toml", name)
