"""Image files and numbers of a request → predictions in the shapes of `schemas`."""

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
from src.data import decoding, images
from src.data.formats import DataError
from src.serving import inference, uploads
from src.serving.classifier import Classification, Classifier, NotServed, find_run
from src.serving.preparation import Preparation, Shape, preparation, prepare

MAX_FILES = 32  # images of one request


@dataclass(frozen=True)
class Setup:
    """What classifies a request's images, and how they are prepared for it."""

    classifier: Classifier
    preparation: Preparation
    options: Options


def resolve(options: Options) -> Setup:
    """Load what the options name.

    Raises:
        published.RunError: it is not there, or was changed after publication.
        HTTPException: 422, the model is published but not served; 503, the study's file is wrong.
    """
    run = find_run(options.study or listing.default_study(), options.version)
    name = options.model or run.default_model
    try:
        found = _classifier(run.study, run.version, name, options.precision)
    except NotServed as error:
        raise HTTPException(422, str(error)) from error
    try:
        return Setup(found, preparation(run, options.fit), options)
    except DataError as error:
        raise HTTPException(503, str(error)) from error


_classifier = functools.lru_cache(maxsize=2)(Classifier.open)  # as many as the dashboard keeps


# --- images ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """A model input, uint8 (H, W, C), how it came, its SHA-256, and the milliseconds it took.

    doubt: why it may not show what the image shows.
    """

    pixels: images.Pixels
    received: Received
    sha256: str
    milliseconds: float
    doubt: str = ""


def read(data: bytes, how: Preparation) -> Input:
    """The model input of a file's bytes. ImageError where they are no image that can be read."""
    started = time.perf_counter()
    decoded = decoding.decode(data)
    prepared = prepare(decoded, how)
    width, height = decoded.size
    received = Received(
        format=decoded.format,
        width=width,
        height=height,
        input=how.shape,
        notes=[*decoded.notes, *prepared.notes],
    )
    milliseconds = 1000 * (time.perf_counter() - started)
    return Input(prepared.pixels, received, uploads.sha256(data), milliseconds, prepared.doubt)


def pixels(body: bytes, shape: Shape) -> images.Pixels:
    """The images of a JSON body {"pixels": …} as uint8 (n, H, W, 1), n up to MAX_FILES.

    Raises HTTPException: 400 where it is no JSON, 413 for too many images, else 422.
    """
    given = _json(body)
    height, width, channels = shape
    if channels != 1:
        raise HTTPException(
            422, f"This study has colour images, {width} × {height}: send files, not pixels."
        )
    if not isinstance(given, dict) or set(given) != {"pixels"}:
        raise HTTPException(422, 'The body must be an object with "pixels" and nothing else.')
    values = _numbers(given["pixels"])
    if values.shape[-2:] != (height, width) or values.ndim > 3 or not values.size:
        found = " × ".join(map(str, values.shape)) or "one number"
        raise HTTPException(
            422,
            f"pixels must be {height} rows of {width} numbers, or a list of such images; these "
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
        raise HTTPException(413, f"A request may have {MAX_FILES} images, not {count}.")


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
    """Predictions for the files that can be read; one of them is in memory at a time.

    Raises Unreadable where that is so for none of them.
    """
    inputs: list[Input | Problem] = []
    for _, content in files:
        try:
            inputs.append(read(content(), setup.preparation))
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
    shape = setup.preparation.shape
    given = pixels(body, shape)
    each = 1000 * (time.perf_counter() - started) / len(given)
    received = Received(format="pixels", width=shape[1], height=shape[0], input=shape, notes=[])
    inputs = [Input(image, received, uploads.sha256(image.tobytes()), each) for image in given]
    return predictions(setup, [None] * len(inputs), inputs)


def predictions(
    setup: Setup, names: Sequence[str | None], inputs: Sequence[Input | Problem]
) -> Predictions:
    """An entry for each input, in order; all readable ones are classified together."""
    readable = [given for given in inputs if isinstance(given, Input)]
    results = iter(
        setup.classifier.classify(
            np.stack([given.pixels for given in readable]), [given.doubt for given in readable]
        )
    )
    return Predictions(
        predictions=[
            Failure(index=i, name=name, error=given)
            if isinstance(given, Problem)
            else prediction(setup, i, name, given, next(results))
            for i, (name, given) in enumerate(zip(names, inputs, strict=True))
        ]
    )


def prediction(
    setup: Setup, index: int, name: str | None, given: Input, result: Classification
) -> Prediction:
    """The entry of one image; activation maps only where the options ask for them."""
    classes, classifier = result.classes, setup.classifier
    order = np.argsort(-result.probabilities, kind="stable")[: setup.options.top]
    shares = [fewest_digits(share) for share in result.probabilities]
    maps = _activation(result, setup.options.activation)
    return Prediction(
        index=index,
        name=name,
        label=result.label,
        confidence=shares[result.index],
        decision=result.decision,
        reason=result.reason,
        automatic=result.automatic,
        threshold=classifier.threshold(result.label),
        probabilities={classes[k]: shares[k] for k in order},
        study=classifier.run.study,
        version=classifier.run.version,
        model=classifier.model.name,
        precision=setup.options.precision,
        sha256=given.sha256,
        picture=given.received,
        milliseconds=Milliseconds(
            decode=round(given.milliseconds, 3), model=round(result.milliseconds, 3)
        ),
        **({"activation": maps} if maps else {}),
    )


def _activation(result: Classification, asked: str) -> dict[str, list[list[float]]]:
    """Class-activation maps by class: of none, of the predicted class, or of all."""
    every = range(len(result.classes))
    shown = {"false": [], "true": [result.index], "all": every}[asked]
    return {result.classes[k]: rows(result.activation[..., k]) for k in shown}


def rows(values: inference.Floats) -> list[list[float]]:
    """(h, w) as lists."""
    return [[fewest_digits(value) for value in row] for row in values]


def fewest_digits(value: np.float32) -> float:
    """The number with the fewest digits that is the same float32: 0.1 and not 0.100000001."""
    return float(str(value))
