"""A network explained layer by layer: what each one does, and the arithmetic of its sizes.

In: the rows of a model's config.json["layers"] (name, type, output_shape, parameters; newer runs
also input_shape, kernel, strides, padding, filters or units, bias, rate). Out: `Layer`, with the
formulas filled in beside the real shapes and counts, so that the two can be compared. Output sizes
follow Dumoulin and Visin (2016), A guide to convolution arithmetic, arXiv 1603.07285.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

Shape = tuple[int, ...]
Row = Mapping[str, Any]
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
POOLINGS = ("MaxPooling2D", "AveragePooling2D")


@dataclass(frozen=True)
class Formula:
    """A formula with its numbers, what it gives, and whether that is what the network has."""

    text: str
    result: int
    agrees: bool


@dataclass(frozen=True)
class Layer:
    """One layer; shapes are (height, width, channels) or (values,), without the batch."""

    name: str
    type: str
    does: str
    input: Shape
    output: Shape
    parameters: int
    sizes: tuple[Formula, ...] = field(default=())  # height and width, or one where they are equal
    count: Formula | None = None  # of the parameters

    @property
    def values(self) -> int:
        """How many numbers it gives per image."""
        return math.prod(self.output)


@dataclass(frozen=True)
class Stage:
    """Neighbouring layers whose outputs share a shape, or, in a deep network, height and width."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def values(self) -> int:
        """The most numbers that one of its layers gives per image."""
        return max(layer.values for layer in self.layers)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)


def explain(rows: Sequence[Row]) -> list[Layer]:
    """Every layer of a network in its order; what older runs did not write down is worked out."""
    return [_layer(row) for row in _completed(rows)]


def stages(layers: Sequence[Layer], most: int = 16) -> list[Stage]:
    """Neighbours of one output shape together; of one height and width where that gives too many.

    `most` is the number of stages from which there are too many.
    """
    fine = [Stage(size_text(s), tuple(g)) for s, g in groupby(layers, key=lambda x: x.output)]
    if len(fine) <= most:
        return fine
    return [Stage(name, tuple(group)) for name, group in groupby(layers, key=_resolution)]


def _resolution(layer: Layer) -> str:
    return size_text(layer.output[:2]) if len(layer.output) == 3 else "no map"


def size_text(shape: Shape) -> str:
    """(15, 15, 32) → "15 × 15 × 32"."""
    return " × ".join(f"{size:,}" for size in shape)


# --- what was not written down -----------------------------------------------------------------


def _completed(rows: Sequence[Row]) -> list[dict[str, Any]]:
    completed: list[dict[str, Any]] = []
    for row in rows:
        before = completed[-1]["output_shape"] if completed else []
        filled = {"input_shape": before, **row}
        if row["type"] in CONVOLUTIONS and before and "kernel" not in row:
            filled |= _inferred(filled)
        elif row["type"] in POOLINGS:
            filled = {"kernel": [2, 2], "strides": [2, 2], "padding": "valid"} | filled
        completed.append(filled)
    return completed


def _inferred(row: Row) -> dict[str, Any]:
    """Kernel of a convolution from its parameters, padding from its sizes; steps of one pixel."""
    inputs, outputs = row["input_shape"], row["output_shape"]
    per_place = outputs[-1] if row["type"] == "DepthwiseConv2D" else inputs[-1] * outputs[-1]
    found = {"strides": [1, 1], "padding": "same" if inputs[:2] == outputs[:2] else "valid"}
    for bias in (False, True):
        area = (row["parameters"] - bias * outputs[-1]) / per_place
        side = math.isqrt(max(int(area), 0))
        if side**2 == area:
            return found | {"kernel": [side] * 2, "bias": bias}
    return {}


# --- one layer ---------------------------------------------------------------------------------


def _layer(row: Row) -> Layer:
    given, made = tuple(row["input_shape"]), tuple(row["output_shape"])
    known = row["type"] == "InputLayer" or (given and _has_kernel(row))
    kind = row["type"] if known else "unknown"
    does = DOES.get(kind, _unknown)
    count = COUNTS[kind](row) if kind in COUNTS else None
    return Layer(
        name=row["name"],
        type=row["type"],
        does=does if isinstance(does, str) else does(row),
        input=given,
        output=made,
        parameters=row["parameters"],
        sizes=_sizes(row, given, made),
        count=_formula(count, row["parameters"]) if count else None,
    )


def _has_kernel(row: Row) -> bool:
    return row["type"] not in CONVOLUTIONS or "kernel" in row


def _formula(text: str, real: int) -> Formula:
    """A formula of +, · and whole numbers, worked out."""
    result = sum(
        math.prod(int(factor.replace(",", "")) for factor in term.split("·"))
        for term in text.split(" + ")
    )
    return Formula(f"{text} = {result:,}", result, result == real)


def _sizes(row: Row, given: Shape, made: Shape) -> tuple[Formula, ...]:
    if row["type"] == "Flatten":
        return (_formula("·".join(map(str, given)), made[0]),)
    if row["type"] not in (*CONVOLUTIONS, *POOLINGS) or not given or not _has_kernel(row):
        return ()
    found = [
        _size(given[axis], row["kernel"][axis], row["strides"][axis], row["padding"], made[axis])
        for axis in (0, 1)
    ]
    return tuple(dict.fromkeys(found))


def _size(size: int, kernel: int, stride: int, padding: str, real: int) -> Formula:
    """⌊(size + padding − kernel) / stride⌋ + 1; "same" pads as TensorFlow does."""
    steps = math.ceil(size / stride)
    padded = max((steps - 1) * stride + kernel - size, 0) if padding == "same" else 0
    result = (size + padded - kernel) // stride + 1
    added = f" + 2·{padded // 2}" if padded and padded % 2 == 0 else f" + {padded}" * bool(padded)
    return Formula(
        f"⌊({size}{added} − {kernel}) / {stride}⌋ + 1 = {result}", result, result == real
    )


# --- how many parameters -----------------------------------------------------------------------


def _patch(row: Row) -> str:
    height, width = row["kernel"]
    return f"{height}·{width}"


def _bias(row: Row) -> str:
    return f" + {row['output_shape'][-1]}" if row.get("bias", True) else ""


def _convolution_count(row: Row) -> str:
    return f"{_patch(row)}·{row['input_shape'][-1]}·{row['output_shape'][-1]}{_bias(row)}"


def _depthwise_count(row: Row) -> str:
    return f"{_patch(row)}·{row['output_shape'][-1]}{_bias(row)}"


def _separable_count(row: Row) -> str:
    given, made = row["input_shape"][-1], row["output_shape"][-1]
    return f"{_patch(row)}·{given} + {given}·{made}{_bias(row)}"


def _dense_count(row: Row) -> str:
    return f"{row['input_shape'][-1]}·{row['output_shape'][-1]}{_bias(row)}"


def _normalisation_count(row: Row) -> str:
    """Mean and variance of every map, and a factor and an offset, of which networks leave some."""
    maps = row["output_shape"][-1]
    kinds = row["parameters"] // maps
    return f"{kinds if kinds in (2, 3) else 4}·{maps}"


COUNTS: dict[str, Callable[[Row], str]] = {
    "Conv2D": _convolution_count,
    "DepthwiseConv2D": _depthwise_count,
    "SeparableConv2D": _separable_count,
    "Dense": _dense_count,
    "BatchNormalization": _normalisation_count,
    "FusedBatchNorm": _normalisation_count,
}


# --- what they do ------------------------------------------------------------------------------


def _unknown(row: Row) -> str:
    return (
        f"Turns {size_text(tuple(row['input_shape'])) or 'nothing'} into "
        f"{size_text(tuple(row['output_shape']))} numbers."
    )


def _area(row: Row) -> str:
    height, width = row["kernel"]
    return f"{height} × {width}"


def _steps(row: Row) -> str:
    step = row["strides"][0]
    return "" if step == 1 else f", moving {step} pixels at a time"


def _input(row: Row) -> str:
    *size, channels = row["output_shape"]
    kind = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    return f"Takes the image: {kind}, {size_text(tuple(size))} pixels, values 0 to 255."


def _conv(row: Row) -> str:
    filters = f"{row['output_shape'][-1]:,} learnt filters"
    if _area(row) == "1 × 1":
        return f"Mixes the maps at every place with {filters}; neighbours are not looked at."
    return (
        f"Compares every {_area(row)} patch with {filters}{_steps(row)}; each gives a map of where "
        "its pattern is found."
    )


def _depthwise(row: Row) -> str:
    return f"Compares every {_area(row)} patch of each map with a filter of its own{_steps(row)}."


def _separable(row: Row) -> str:
    return (
        f"Filters each map by itself with {_area(row)} patches{_steps(row)}, then mixes the maps "
        "at every place: a convolution with far fewer parameters."
    )


def _max_pooling(row: Row) -> str:
    return (
        f"Keeps the largest of every {_area(row)} values: a smaller map that still says what was "
        "found, and roughly where."
    )


def _average_pooling(row: Row) -> str:
    return f"Takes the average of every {_area(row)} values: a smaller, smoother map."


def _dropout(row: Row) -> str:
    share = f"{100 * row['rate']:g} % of" if "rate" in row else "some of"
    what = "maps" if row["type"].startswith("Spatial") else "values"
    return (
        f"While training, switches {share} the {what} off at random, so that no single one is "
        "relied on; does nothing afterwards."
    )


def _dense(row: Row) -> str:
    given, made = row["input_shape"][-1], row["output_shape"][-1]
    scores = ": one score per category" if row["name"] == "logits" else ""
    return f"Weighs all {given:,} values against each other, {made:,} times{scores}."


_NORMALISED = (
    "Brings each map to a mean around 0 and a spread around 1: training is faster and steadier."
)
DOES: dict[str, str | Callable[[Row], str]] = {
    "InputLayer": _input,
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "MaxPooling2D": _max_pooling,
    "AveragePooling2D": _average_pooling,
    "Dropout": _dropout,
    "SpatialDropout2D": _dropout,
    "Dense": _dense,
    "BatchNormalization": _NORMALISED,
    "FusedBatchNorm": _NORMALISED,
    "Normalization": (
        "Subtracts the mean of the training images and divides by their standard deviation."
    ),
    "Rescaling": "Brings the values from 0–255 to the range the network learned with.",
    "Resizing": "Brings the image to the size the network learned with.",
    "ReLU": (
        "Sets negative values to 0: a pattern is either there or not. Without such a step, all "
        "layers together could only add and multiply."
    ),
    "GELU": (
        "Lets clearly positive values pass and dampens all others to about 0, without an edge in "
        "between: a pattern is there, not there, or only just."
    ),
    "Activation": "Bends the values, so that layers can combine into more than one sum.",
    "Add": "Adds what entered the block to what it found: a short cut for what is known.",
    "Multiply": "Multiplies two results, so that one can turn the other up or down.",
    "Concatenate": "Puts several results behind each other.",
    "ZeroPadding2D": "Puts a frame of zeros around each map.",
    "Flatten": "Writes all values in one row; where they were is no longer known.",
    "Reshape": "Arranges the same values in another shape.",
    "Identity": "Passes the maps on unchanged: what the explanation of an answer is drawn from.",
    "GlobalAveragePooling2D": (
        "Takes the average of each map: one number that says how much of a pattern there is."
    ),
    "GlobalMaxPooling2D": "Takes the largest value of each map.",
}
