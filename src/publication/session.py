"""What every notebook starts with: its parameters, the study they name, and the run's draft."""

from __future__ import annotations

from typing import NamedTuple

from src import config
from src.config import Parameters
from src.data import studies
from src.data.specification import StudySpec
from src.runs.drafts import Draft


class Session(NamedTuple):
    """One notebook's work on one study."""

    parameters: Parameters
    spec: StudySpec
    draft: Draft


def start() -> Session:
    """The session that the environment asks for (`config.parameters`).

    Raises:
        ValueError: there is no such profile.
        DataError: there is no such study, or its file or folder cannot be one.
    """
    parameters = config.parameters(studies.default())
    spec = studies.get(parameters.study)
    return Session(parameters, spec, Draft(spec.name, parameters.profile))
