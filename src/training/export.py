"""Fitted model → `.keras` and `.tflite` files, and how well they agree.

The saved model answers in one pass with logits, embedding and activation map
(`architectures.serving`). The int8 file computes in integers inside and takes and gives floats,
like the float32 one.
"""

from __future__ import annotations

import io
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from src.evaluation.calibration import Calibration
from src.serving.inference import UNCALIBRATED, ServedModel
from src.training import architectures

Pixels = NDArray[np.uint8]
# Models with more bytes of weights keep them in half precision; float32 is computed all the same.
LARGE_BYTES = 1_000_000
NORMALISATIONS = (layers.BatchNormalization, architectures.FusedBatchNorm)
BATCH_VALUES = 2**22  # of images that Keras answers at a time: 16 MB


@dataclass(frozen=True)
class Exported:
    """The three files of a model, as bytes."""

    keras: bytes
    float32: bytes
    int8: bytes


def export(model: keras.Model, calibration: Pixels) -> Exported:
    """Save a fitted classifier in all three forms.

    `calibration` (n, H, W, C) are *training* images, from which int8 takes its value ranges. Of
    large models the weights are rounded to half precision first, for all three forms alike.
    """
    copy = _in_float32(model)
    large = 4 * copy.count_params() > LARGE_BYTES
    if large:
        copy = _absorbed(copy)
        _halve(copy)
    served = architectures.serving(copy)
    whole = _saved(served)
    return Exported(
        keras=_packed(whole) if large else whole,
        float32=convert(served, half=large),
        int8=convert(served, calibration),
    )


def _absorbed(model: keras.Model) -> keras.Model:
    """The network with the normalisation of its input done by its first filters, where it can be.

    The converter does the same, and what it multiplies would be rounded differently.
    """
    names = [layer.name for layer in model.layers]
    if architectures.WHITENING not in names:
        return model
    normalised = model.get_layer("normalised")
    mean, variance = (moment.numpy().ravel() for moment in (normalised.mean, normalised.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())  # as that layer has it
    # It has no padding: all its filters see whole patches.
    kernel, bias = model.get_layer(architectures.WHITENING).get_weights()
    scaled = kernel / deviation[:, None]
    config = model.get_config()
    left = config["layers"][names.index("normalised")]["config"]
    left |= {"mean": [0.0] * len(mean), "variance": [1.0] * len(mean)}
    copy = keras.Model.from_config(config)
    copy.set_weights(model.get_weights())
    moved = bias - (scaled * mean[:, None]).sum((0, 1, 2))
    copy.get_layer(architectures.WHITENING).set_weights([scaled, moved])
    return copy


def _halve(model: keras.Model) -> None:
    """Round the weights to half precision, which keeps 11 bits.

    A normalisation becomes a scale and a shift first, as the served files have it, and the scale
    goes into the filters where it can: so the same rounded numbers are used by all three forms.
    """
    for layer in model.layers:
        if isinstance(layer, NORMALISATIONS) and len(layer.get_weights()) == 4:
            _fold(layer, _feeding(model, layer))
    for variable in model.variables:
        if not variable.path.endswith("variance"):
            variable.assign(_rounded(variable.numpy()))


def _fold(normalisation: Any, convolution: Any) -> None:
    """Let a normalisation only scale and shift, or only shift where filters before it can scale."""
    gamma, beta, mean, variance = normalisation.get_weights()
    scale = gamma / np.sqrt(variance + normalisation.epsilon)
    ones, left = np.ones_like(gamma), beta - mean * scale
    plain = [left, 0 * mean, ones - normalisation.epsilon]
    if convolution is None:
        normalisation.set_weights([scale, *plain])
        return
    kernel, *bias = convolution.get_weights()
    depthwise = isinstance(convolution, layers.DepthwiseConv2D)  # (h, w, C, multiplier)
    per_filter = scale.reshape(kernel.shape[2:]) if depthwise else scale
    convolution.set_weights([kernel * per_filter, *(b * scale for b in bias)])
    normalisation.set_weights([ones, *plain])


def _feeding(model: keras.Model, layer: Any) -> Any:
    """The convolution whose output goes to this layer alone, unchanged; None where none does."""
    users = [o for o in model.operations if any(t is layer.input for t in tf.nest.flatten(o.input))]
    for other in model.layers:
        if other.output is layer.input and isinstance(
            other, layers.Conv2D | layers.DepthwiseConv2D
        ):
            linear = other.activation is keras.activations.linear
            return other if linear and len(users) == 1 else None
    return None


def _rounded(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest values of half precision; what is too large for it as it was."""
    with np.errstate(over="ignore"):
        half = weights.astype(np.float16).astype(np.float32)
    return half if np.isfinite(half).all() else weights


def _saved(served: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        served.save(path)
        return path.read_bytes()


def _packed(whole: bytes) -> bytes:
    """A `.keras` file, which is a zip, compressed: rounded weights take half the space."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(whole)) as stored,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    return stream.getvalue()


def _in_float32(model: keras.Model) -> keras.Model:
    """The same network with the same weights, computing in float32 as it is served."""
    config = model.get_config()
    for layer in config["layers"]:
        if "dtype" in layer["config"]:  # an operation like `x + 3` has none
            layer["config"]["dtype"] = "float32"
    copy = keras.Model.from_config(config)
    copy.set_weights(model.get_weights())
    return copy


def convert(served: keras.Model, calibration: Pixels | None = None, *, half: bool = False) -> bytes:
    """A model with one input, `image`, and named outputs as `.tflite`.

    Computing in int8 where there are images for `calibration`, else in float32, with weights in
    half precision if `half`.
    """
    module = tf.Module()
    module.serve = _frozen(served)
    with tempfile.TemporaryDirectory() as folder:
        tf.get_logger().setLevel("ERROR")  # else it names the temporary folder
        tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: (
                {"image": image[None].astype(np.float32)} for image in calibration
            )
        elif half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        with warnings.catch_warnings():  # the converter calibrates with an interpreter of its own
            warnings.filterwarnings("ignore", r"[\s\S]*tf\.lite\.Interpreter is deprecated")
            converted: bytes = converter.convert()
    return converted


def _frozen(served: keras.Model) -> Any:
    """The model as a function whose weights are constants: int8 calibration takes no variables."""
    signature = tf.TensorSpec((None, *served.input.shape[1:]), tf.float32, name="image")
    concrete = tf.function(lambda image: served(image, training=False)).get_concrete_function(
        signature
    )
    constant = convert_variables_to_constants_v2(concrete)

    @tf.function(input_signature=[signature])
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = tf.nest.pack_sequence_as(
            concrete.structured_outputs, tf.nest.flatten(constant(image))
        )
        return outputs

    return serve


def parity(
    exported: Exported,
    images: Pixels,
    labels: NDArray[np.int64],
    calibration: Calibration = UNCALIBRATED,
) -> dict[str, Any]:
    """How far the served files are from Keras on `images` (validation), calibrated alike.

    For each precision: `max_abs_dp`, the largest difference of any probability; `top1_agreement`,
    the share of equal answers; `accuracy`, each one's own.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(exported.keras)
        logits = _keras_logits(keras.saving.load_model(path), images)
    expected = calibration.probabilities(logits)
    result: dict[str, Any] = {
        "split": "validation",
        "n": len(labels),
        "keras": {"accuracy": float((expected.argmax(1) == labels).mean())},
    }
    for precision in ("float32", "int8"):
        served = served_model(
            getattr(exported, precision), images.shape[1:], precision, calibration
        )
        found = served.predict(images).probabilities
        answers = found.argmax(1)
        result[precision] = {
            "max_abs_dp": float(np.abs(found - expected).max()),
            "top1_agreement": float((answers == expected.argmax(1)).mean()),
            "accuracy": float((answers == labels).mean()),
        }
    return result


def served_model(
    content: bytes,
    image_shape: tuple[int, ...],
    precision: str,
    calibration: Calibration = UNCALIBRATED,
) -> ServedModel:
    """An exported file as the app will serve it, before it is published."""
    height, width, channels = image_shape
    return ServedModel(
        content,
        name="draft",
        precision=precision,
        classes=(),
        image_shape=(height, width, channels),
        calibration=calibration,
    )


def _keras_logits(model: keras.Model, images: Pixels) -> NDArray[np.float32]:
    batch = max(1, min(500, BATCH_VALUES // images[0].size))
    parts = [
        model(images[start : start + batch].astype(np.float32), training=False)["logits"].numpy()
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(parts)
