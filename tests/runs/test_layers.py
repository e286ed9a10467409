"""Networks explained: the arithmetic against numbers worked out by hand and against real runs."""

from typing import Any

import pytest

from src.runs import layers, published
from src.runs.layers import Formula


def row(kind: str, output: list[int], parameters: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": "x", "type": kind, "output_shape": output, "parameters": parameters} | more


PICTURE = row("InputLayer", [28, 28, 1])


def second(kind: str, output: list[int], parameters: int = 0, **more: Any) -> layers.Layer:
    """The layer behind a grey image of 28 × 28."""
    return layers.explain([PICTURE, row(kind, output, parameters, **more)])[1]


CONVOLUTION = {"kernel": [3, 3], "strides": [1, 1], "padding": "same", "bias": True}


def test_a_convolution_in_full() -> None:
    found = second("Conv2D", [28, 28, 24], 240, filters=24, **CONVOLUTION)
    assert found == layers.Layer(
        name="x",
        type="Conv2D",
        does="Compares every 3 × 3 patch with 24 learnt filters; each gives a map of where its "
        "pattern is found.",
        input=(28, 28, 1),
        output=(28, 28, 24),
        parameters=240,
        sizes=(Formula("⌊(28 + 2·1 − 3) / 1⌋ + 1 = 28", 28, agrees=True),),
        count=Formula("3·3·1·24 + 24 = 240", 240, agrees=True),
    )
    assert found.values == 28 * 28 * 24


@pytest.mark.parametrize(
    ("settings", "output", "formula"),
    [
        ({"kernel": [3, 3], "strides": [1, 1], "padding": "valid"}, 26, "⌊(28 − 3) / 1⌋ + 1 = 26"),
        (
            {"kernel": [2, 2], "strides": [1, 1], "padding": "same"},
            28,
            "⌊(28 + 1 − 2) / 1⌋ + 1 = 28",
        ),
        (
            {"kernel": [3, 3], "strides": [2, 2], "padding": "same"},
            14,
            "⌊(28 + 1 − 3) / 2⌋ + 1 = 14",
        ),
        ({"kernel": [5, 5], "strides": [3, 3], "padding": "valid"}, 8, "⌊(28 − 5) / 3⌋ + 1 = 8"),
        ({"kernel": [1, 1], "strides": [2, 2], "padding": "same"}, 14, "⌊(28 − 1) / 2⌋ + 1 = 14"),
    ],
)
def test_output_sizes(settings: dict[str, Any], output: int, formula: str) -> None:
    found = second("Conv2D", [output, output, 1], 0, **settings)
    assert found.sizes == (Formula(formula, output, agrees=True),)


def test_a_wrong_shape_or_count_is_noticed() -> None:
    found = second("Conv2D", [27, 28, 24], 241, **CONVOLUTION)
    assert [size.agrees for size in found.sizes] == [False, True]
    assert found.count == Formula("3·3·1·24 + 24 = 240", 240, agrees=False)


@pytest.mark.parametrize(
    ("kind", "given", "output", "parameters", "settings", "formula"),
    [
        ("Conv2D", [9, 9, 8], [9, 9, 4], 288, CONVOLUTION | {"bias": False}, "3·3·8·4 = 288"),
        ("DepthwiseConv2D", [9, 9, 8], [9, 9, 8], 80, CONVOLUTION, "3·3·8 + 8 = 80"),
        ("SeparableConv2D", [9, 9, 8], [9, 9, 4], 108, CONVOLUTION, "3·3·8 + 8·4 + 4 = 108"),
        ("Dense", [128], [10], 1290, {}, "128·10 + 10 = 1,290"),
        ("BatchNormalization", [9, 9, 8], [9, 9, 8], 32, {}, "4·8 = 32"),
        ("BatchNormalization", [9, 9, 8], [9, 9, 8], 24, {}, "3·8 = 24"),
    ],
)
def test_parameters(
    kind: str,
    given: list[int],
    output: list[int],
    parameters: int,
    settings: dict[str, Any],
    formula: str,
) -> None:
    (found,) = layers.explain([row(kind, output, parameters, input_shape=given, **settings)])
    assert found.count == Formula(formula, parameters, agrees=True)


def test_what_older_runs_did_not_write_down_is_worked_out() -> None:
    convolution = second("Conv2D", [27, 27, 8], 40)
    assert convolution.count == Formula("2·2·1·8 + 8 = 40", 40, agrees=True)
    assert convolution.sizes == (Formula("⌊(28 − 2) / 1⌋ + 1 = 27", 27, agrees=True),)
    unbiased = second("Conv2D", [28, 28, 8], 72)
    assert unbiased.count == Formula("3·3·1·8 = 72", 72, agrees=True)
    pooled = second("MaxPooling2D", [14, 14, 1])
    assert pooled.sizes == (Formula("⌊(28 − 2) / 2⌋ + 1 = 14", 14, agrees=True),)


def test_flattening_multiplies() -> None:
    assert second("Flatten", [784]).sizes == (Formula("28·28·1 = 784", 784, agrees=True),)


def test_an_unknown_layer_is_described_by_its_shapes() -> None:
    found = second("Mystery", [7, 7, 2], 5)
    assert found.does == "Turns 28 × 28 × 1 into 7 × 7 × 2 numbers."
    assert (found.sizes, found.count) == ((), None)
    strange = second("Conv2D", [7, 7, 2], 5)  # no square of filters has five parameters
    assert (strange.does, strange.sizes, strange.count) == (found.does, (), None)


def test_sentences_say_what_is_special() -> None:
    assert second("Dropout", [28, 28, 1], rate=0.2).does.startswith(
        "While training, switches 20 % of"
    )
    one = {"kernel": [1, 1], "strides": [1, 1], "padding": "same"}
    assert second("Conv2D", [28, 28, 6], 12, **one).does.startswith("Mixes the maps")
    wide = {"kernel": [3, 3], "strides": [2, 2], "padding": "same"}
    assert ", moving 2 pixels at a time;" in second("Conv2D", [14, 14, 6], 60, **wide).does
    assert layers.explain([PICTURE])[0].does == (
        "Takes the image: grey, 28 × 28 pixels, values 0 to 255."
    )


def test_stages_group_neighbours_of_one_shape() -> None:
    rows = [PICTURE, row("ReLU", [28, 28, 1]), row("Conv2D", [28, 28, 4], 40), row("Dense", [3], 9)]
    explained = layers.explain(rows)
    found = [(s.name, len(s.layers), s.values, s.parameters) for s in layers.stages(explained)]
    assert found == [
        ("28 × 28 × 1", 2, 784, 0),
        ("28 × 28 × 4", 1, 3136, 40),
        ("3", 1, 3, 9),
    ]
    coarse = [(s.name, len(s.layers)) for s in layers.stages(explained, most=2)]
    assert coarse == [("28 × 28", 3), ("no map", 1)]


@pytest.mark.parametrize("study", published.studies())
def test_every_published_network_adds_up(study: str) -> None:
    run = published.open_run(study, published.versions(study)[0])
    for name in run.models:
        made = run.model(name).config
        explained = layers.explain(made.get("layers", []))
        wrong = [
            layer
            for layer in explained
            if not all(s.agrees for s in layer.sizes) or (layer.count and not layer.count.agrees)
        ]
        assert wrong == []
        assert sum(layer.parameters for layer in explained) == made.get("parameters", 0)
