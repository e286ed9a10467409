"""What a program sends → what a model says: files and numbers in, the shapes of `schemas` out.

The same decoding, models and threshold as the dashboard's classifier.
"""

import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException

from src.api import listing
from src.api.schemas import (
    Failure,
    Milliseconds,
    Options,
    Prediction,
    Predictions,
    Problem,
    Received,
)
from src.data import decoding, images, studies
from src.data.formats import DataError
from src.evaluation import metrics, thresholds
from src.runs import published
from src.serving import inference, uploads

MAX_FILES = 32  # pictures of one request


@dataclass(frozen=True)
class Setup:
    """What answers, and how pictures are fitted to it."""

    run: published.Run
    model: inference.ServedModel
    threshold: float | None  # confidence from which a picture is filed without a person
    options: Options


def resolve(options: Options) -> Setup:
    """Load what the options name.

    Raises:
        runs.RunError: it is not there, or was changed after publication.
        HTTPException: 422, the model is published but does not answer.
    """
    run = listing.open_run(options.study or listing.default_study(), options.version)
    name = options.model or run.default_model
    if not run.model(name).served:
        served = ", ".join(run.served)
        raise HTTPException(422, f"{name} is only compared, it does not answer (use {served}).")
    model = _model(run.study, run.version, name, options.precision)
    return Setup(run, model, _threshold(run.study, run.version, name), options)


@functools.lru_cache(maxsize=2)  # as many as the dashboard keeps
def _model(study: str, version: str, name: str, precision: str) -> inference.ServedModel:
    return inference.load(listing.open_run(study, version), name, precision)


@functools.lru_cache(maxsize=64)
def _threshold(study: str, version: str, name: str) -> float | None:
    """As the classifier page uses it; None without a case for this study: never."""
    try:
        case = studies.case(study)
    except DataError:
        return None
    rows = listing.open_run(study, version).model(name).predictions
    parts = (metrics.from_frame(rows, split) for split in ("validation", "test"))
    return thresholds.filed(case.filing, *parts).threshold


# --- pictures ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """A picture as the model gets it: uint8 (H, W, C), how it came, and milliseconds it took."""

    pixels: images.Pixels
    received: Received
    milliseconds: float


def read(data: bytes, setup: Setup) -> Input:
    """A file's bytes for a model. ImageError where they are no picture that can be read."""
    started = time.perf_counter()
    shape, fit = setup.model.image_shape, setup.options.fit
    picture = decoding.decode(data)
    pixels = images.model_input(picture.rgb, shape, fit)
    notes = [*picture.notes, *fitting(picture.rgb.shape, shape, fit)]
    width, height = picture.size
    received = Received(format=picture.format, width=width, height=height, input=shape, notes=notes)
    return Input(pixels, received, 1000 * (time.perf_counter() - started))


def fitting(given: tuple[int, ...], shape: uploads.Shape, fit: uploads.Fit) -> list[str]:
    """What `images.model_input` does to a picture of shape (h, w, C), in words."""
    (rows, columns, channels), (height, width, wanted) = given, shape
    notes = []
    middle = images.centred(np.empty((rows, columns, 0), np.uint8), width / height)
    if middle.shape[:2] != (rows, columns):
        notes.append("cut to the middle" if fit == "crop" else "padded with white")
    if (rows, columns) != (height, width):
        notes.append(f"resized to {width} × {height}")
    return [*notes, "made grey"] if wanted < channels else notes


def pixels(body: bytes, shape: uploads.Shape) -> images.Pixels:
    """The pictures of a JSON body {"pixels": …} as uint8 (n, H, W, 1), n up to MAX_FILES.

    Raises HTTPException: 400 where it is no JSON, 413 for too many pictures, else 422.
    """
    given = _json(body)
    height, width, channels = shape
    if channels != 1:
        raise HTTPException(
            422, f"This study has colour pictures, {width} × {height}: send files, not pixels."
        )
    if not isinstance(given, dict) or set(given) != {"pixels"}:
        raise HTTPException(422, 'The body must be an object with "pixels" and nothing else.')
    values = _numbers(given["pixels"])
    if values.shape[-2:] != (height, width) or values.ndim > 3 or not values.size:
        found = " × ".join(map(str, values.shape)) or "one number"
        raise HTTPException(
            422,
            f"pixels must be {height} rows of {width} numbers, or a list of such pictures; these "
            f"are {found}.",
        )
    values = values.reshape(-1, height, width)
    _check_count(len(values))
    _check_values(values)
    return values.astype(np.uint8)[..., np.newaxis]


def _json(body: bytes) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number in JSON")

    try:
        return json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The body is not valid JSON: {error}.") from error


def _numbers(given: Any) -> np.ndarray[Any, Any]:
    try:
        values = np.array(given)
    except ValueError:
        values = np.array(None)  # rows of different lengths
    if values.dtype.kind not in "iuf":
        raise HTTPException(422, "pixels must be rows of equal length that hold only numbers.")
    return values


def _check_values(values: np.ndarray[Any, Any]) -> None:
    if values.min() < 0 or values.max() > 255:
        low, high = values.min(), values.max()
        raise HTTPException(422, f"pixels go from 0 to 255; these go from {low:g} to {high:g}.")
    if (values % 1).any():
        raise HTTPException(422, "pixels must be whole numbers from 0 to 255, not fractions.")


def _check_count(count: int) -> None:
    if count > MAX_FILES:
        raise HTTPException(413, f"A request may have {MAX_FILES} pictures, not {count}.")


# --- answers -------------------------------------------------------------------------------


File = tuple[str | None, Callable[[], bytes]]  # its name, and what reads it


class Unreadable(Exception):
    """Not one file of the request can be read: (name, problem) of each."""

    def __init__(self, problems: Sequence[tuple[str | None, Problem]]) -> None:
        self.problems = problems


def problem(error: decoding.ImageError) -> Problem:
    """What is wrong with a file; the kind of error decides the status."""
    kinds = {decoding.UnknownFormat: 415, decoding.TooLarge: 413}
    return Problem(status=kinds.get(type(error), 422), message=str(error))


def of_files(setup: Setup, files: Sequence[File]) -> Predictions:
    """Predictions for those files that can be read; one is in memory at a time.

    Raises Unreadable where that is so for none of them.
    """
    inputs: list[Input | Problem] = []
    for _, content in files:
        try:
            inputs.append(read(content(), setup))
        except decoding.ImageError as error:
            inputs.append(problem(error))
    names = [name for name, _ in files]
    failed = [given for given in inputs if isinstance(given, Problem)]
    if len(failed) == len(files):
        raise Unreadable(list(zip(names, failed, strict=True)))
    return predictions(setup, names, inputs)


def of_pixels(setup: Setup, body: bytes) -> Predictions:
    """Predictions for a JSON body; see `pixels` for what is raised."""
    started = time.perf_counter()
    pictures = pixels(body, setup.model.image_shape)
    each = 1000 * (time.perf_counter() - started) / len(pictures)
    height, width, channels = setup.model.image_shape
    received = Received(
        format="pixels", width=width, height=height, input=(height, width, channels), notes=[]
    )
    inputs = [Input(picture, received, each) for picture in pictures]
    return predictions(setup, [None] * len(inputs), inputs)


def predictions(
    setup: Setup, names: Sequence[str | None], inputs: Sequence[Input | Problem]
) -> Predictions:
    """An entry for each input, in order; all readable ones go through the model together."""
    readable = [given for given in inputs if isinstance(given, Input)]
    answers = iter(uploads.ask(setup.model, np.stack([given.pixels for given in readable])))
    return Predictions(
        predictions=[
            Failure(index=i, name=name, error=given)
            if isinstance(given, Problem)
            else prediction(setup, i, name, given, next(answers))
            for i, (name, given) in enumerate(zip(names, inputs, strict=True))
        ]
    )


def prediction(
    setup: Setup, index: int, name: str | None, given: Input, said: uploads.Answer
) -> Prediction:
    """One picture's entry; activation maps only where the options ask for them."""
    classes, asked = setup.model.classes, setup.options.activation
    order = np.argsort(-said.probabilities, kind="stable")[: setup.options.top]
    shares = [shortest(share) for share in said.probabilities]
    shown = {"false": [], "true": [said.best], "all": range(len(classes))}[asked]
    maps = {classes[k]: rows(said.activation[..., k]) for k in shown}
    return Prediction(
        index=index,
        name=name,
        label=classes[said.best],
        confidence=shares[said.best],
        automatic=said.alone(setup.threshold),
        threshold=setup.threshold,
        probabilities={classes[k]: shares[k] for k in order},
        study=setup.run.study,
        version=setup.run.version,
        model=setup.model.name,
        precision=setup.options.precision,
        picture=given.received,
        milliseconds=Milliseconds(
            decode=round(given.milliseconds, 3), model=round(said.milliseconds, 3)
        ),
        **({"activation": maps} if maps else {}),
    )


def rows(values: inference.Floats) -> list[list[float]]:
    """(h, w) as lists."""
    return [[shortest(value) for value in row] for row in values]


def shortest(value: np.float32) -> float:
    """The number with the fewest digits that is still the same float32: 0.1 and not 0.100000001."""
    return float(str(value))
