"""The shapes of the HTTP API's answers, as its description publishes them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

Precision = Literal["float32", "int8"]
Fit = Literal["crop", "pad"]
# Optional parameters. A URL cannot hold null, so the description does not offer it.
Name = Annotated[str | None, WithJsonSchema({"type": "string"})]
Count = Annotated[int | None, WithJsonSchema({"type": "integer", "minimum": 1})]


class Strict(BaseModel):
    """A shape with these fields and no others."""

    model_config = ConfigDict(extra="forbid")


# --- errors --------------------------------------------------------------------------------


class Detail(Strict):
    """One of several things that are wrong."""

    where: str = Field(description="The parameter or file it is about.", examples=["top"])
    message: str = Field(examples=["Input should be greater than or equal to 1"])


class Problem(Strict):
    """What went wrong, for a person and for a program."""

    status: int = Field(description="The HTTP status that fits it.", examples=[415])
    message: str = Field(
        description="What is wrong and what to do, in a sentence.",
        examples=["The file is a PDF document. Accepted are images in one of these formats: …"],
    )
    details: list[Detail] = Field(
        default=[], description="Every single problem, where there can be more than one."
    )


class Error(Strict):
    """The body of every answer that is not a success."""

    error: Problem


# --- predictions ---------------------------------------------------------------------------


class Options(Strict):
    """The query parameters of a prediction."""

    study: Name = Field(
        None,
        description="Default: the project's default study where it is published, else the first.",
    )
    version: Name = Field(None, description="Default: the study's newest version.")
    model: Name = Field(None, description="Default: the version's default model.")
    precision: Precision = Field("float32", description="int8 is smaller and mostly faster.")
    fit: Annotated[Fit | None, WithJsonSchema({"type": "string", "enum": ["crop", "pad"]})] = Field(
        None,
        description="Images of other proportions: `crop` to the centre, or `pad` with the study's "
        "ground. Default: as the study says. Where the study places what is shown in the image "
        "(garments, digits), this decides nothing.",
    )
    top: Count = Field(
        None, ge=1, description="Answer with so many probabilities only, the largest ones."
    )
    activation: Literal["false", "true", "all"] = Field(
        "false",
        description="Add the class-activation map of the predicted class (true) or of every class.",
    )


class Received(Strict):
    """The image as received, and what was done to it."""

    format: str = Field(description="Of the file, or `pixels` for numbers.", examples=["JPEG"])
    width: int = Field(description="In pixels, as sent.", examples=[4032])
    height: int = Field(examples=[3024])
    input: tuple[int, int, int] = Field(
        description="Height, width and channels of the model input.", examples=[[32, 32, 3]]
    )
    notes: list[str] = Field(
        description="What was done to it, in words and in order.",
        examples=[["rotated by its EXIF tag", "cropped to the centre", "resized to 32 × 32"]],
    )


class Milliseconds(Strict):
    """Wall time spent on one image."""

    decode: float = Field(description="Decoding and preparing.", ge=0, examples=[3.1])
    model: float = Field(
        description="The model's time for all images of the request, divided by their number.",
        ge=0,
        examples=[1.4],
    )


class Prediction(Strict):
    """What a model says about one image; complete in itself, so it can be stored alone."""

    index: int = Field(description="Position of the image in the request, from 0.", examples=[0])
    name: str | None = Field(description="Name of the file as received.", examples=["cat.jpg"])
    label: str = Field(description="The most probable class.", examples=["cat"])
    confidence: float = Field(ge=0, le=1, description="Its probability.", examples=[0.97])
    decision: Literal["automatic", "check"] = Field(
        description="automatic: no person needs to check the image. check: a person should. "
        "Images of one colour always need checking.",
        examples=["automatic"],
    )
    reason: str = Field(
        description="Why, in a few words.", examples=["confidence 97.0\u00a0% ≥ 60.0\u00a0%"]
    )
    automatic: bool = Field(
        description="Whether the decision is `automatic`; kept for older programs.",
        examples=[True],
    )
    threshold: float | None = Field(
        description="Images with at least this confidence are sorted automatically. It was chosen "
        "on validation images; null: none is sorted automatically.",
        examples=[0.6],
    )
    probabilities: dict[str, float] = Field(
        description="By class, the most probable first; they add up to 1 unless `top` cuts them.",
        examples=[{"cat": 0.97, "dog": 0.03}],
    )
    study: str = Field(examples=["cifar10"])
    version: str = Field(examples=["v1"])
    model: str = Field(examples=["best"])
    precision: Precision
    sha256: str = Field(
        description="SHA-256 of the image's bytes as received; of numbers, of the uint8 values "
        "row by row.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    picture: Received
    milliseconds: Milliseconds
    activation: dict[str, list[list[float]]] = Field(
        default={},
        description=(
            "By class, rows of evidence for it at each place (negative: against it); their mean "
            "differs from the class's logit by a constant. Only where it was asked for."
        ),
        examples=[{"cat": [[3.5, -0.25], [8.0, 1.5]]}],
    )


class Failure(Strict):
    """One of several images that could not be classified."""

    index: int = Field(description="Position of the image in the request, from 0.", examples=[1])
    name: str | None = Field(description="Name of the file as received.", examples=["notes.pdf"])
    error: Problem


class Predictions(Strict):
    """One entry for each image, in the order received."""

    predictions: list[Prediction | Failure]


# --- studies -------------------------------------------------------------------------------


class Measure(Strict):
    """A measured value with a 95 % interval."""

    value: float = Field(examples=[0.95])
    low: float = Field(examples=[0.94])
    high: float = Field(examples=[0.96])


class Timing(Measure):
    """Milliseconds per image: the median, and the range (see `docs/method.md`)."""

    n: int = Field(description="Images timed one by one.", examples=[200])


class Headline(Strict):
    """How good the default model is."""

    model: str = Field(examples=["best"])
    split: str = Field(description="The split it was measured on.", examples=["test"])
    n: int = Field(description="Images of the split.", examples=[10000])
    accuracy: Measure


class VersionSummary(Strict):
    """A published version in short."""

    version: str = Field(examples=["v1"])
    created: str = Field(examples=["2026-01-02T03:04:05+00:00"])
    profile: str = Field(description="`quick` versions only show that everything works.")
    classes: list[str] = Field(description="In the model's order.", examples=[["cat", "dog"]])
    image_shape: tuple[int, int, int] = Field(
        description="Height, width and channels of the model input.", examples=[[32, 32, 3]]
    )
    default_model: str = Field(examples=["best"])
    models: list[str] = Field(
        description="Those that classify new images, the default one first.",
        examples=[["best", "plain"]],
    )
    headline: Headline


class Study(Strict):
    """A study and its versions, newest first."""

    study: str = Field(examples=["cifar10"])
    title: str = Field(examples=["CIFAR-10"])
    description: str
    versions: list[VersionSummary]


class Studies(Strict):
    """Everything published here."""

    default: str = Field(description="The study that is used unless another is asked for.")
    studies: list[Study]
    problems: list[str] = Field(
        description="Versions that cannot be read and are left out, a sentence each.",
        examples=[["The manifest of cifar10 v1 cannot be read."]],
    )


class CalibrationFigure(Strict):
    """A calibration error, and what a perfectly calibrated model would show, 0 to 1."""

    value: float
    low: float = Field(description="95 % of perfectly calibrated models show low to high.")
    high: float
    p_value: float = Field(description="How often a perfectly calibrated model shows as much.")


class Model(Strict):
    """A model of a version and what was measured of it."""

    name: str = Field(examples=["best"])
    title: str
    description: str
    family: str = Field(description="network, transfer, classical, …", examples=["network"])
    served: bool = Field(description="Whether it classifies new images.")
    precisions: list[str] = Field(examples=[["float32", "int8"]])
    parameters: int | None
    split: str = Field(examples=["test"])
    n: int = Field(description="Images of the split.", examples=[10000])
    metrics: dict[str, Measure]
    calibration: dict[str, CalibrationFigure] = Field(
        description="Of the answers and class-wise; empty where the version was published "
        "without it."
    )
    latency_ms: dict[str, Timing] = Field(
        description="By engine, on the machine that published the version."
    )


class Version(Strict):
    """A published version with all its models."""

    study: str = Field(examples=["cifar10"])
    title: str
    description: str
    licence: str
    citation: str
    homepage: str
    summary: VersionSummary
    pictures: dict[str, int] = Field(
        description="Images by split.",
        examples=[{"train": 45000, "validation": 5000, "test": 10000}],
    )
    code_revision: str
    models: list[Model] = Field(description="Also those that are only compared.")
