"""Fitted model → `.keras` and `.tflite` files, and how well they agree.

The saved model answers in one pass with logits, embedding and activation map (`models.serving`).
The int8 file computes in integers inside and takes and gives floats, like the float32 one.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from src import evaluation, models
from src.inference import ServedModel

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Exported:
    """The three files of a model, as bytes."""

    keras: bytes
    float32: bytes
    int8: bytes


def export(model: keras.Model, calibration: Pixels) -> Exported:
    """Save a fitted classifier in all three forms.

    `calibration` (n, H, W, C) are *training* pictures, from which int8 takes its value ranges.
    """
    served = models.serving(_in_float32(model))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        served.save(path)
        whole = path.read_bytes()
    return Exported(whole, _convert(served, None), _convert(served, calibration))


def _in_float32(model: keras.Model) -> keras.Model:
    """The same network with the same weights, computing in float32 as it is served."""
    config = model.get_config()
    for layer in config["layers"]:
        layer["config"]["dtype"] = "float32"
    copy = keras.Model.from_config(config)
    copy.set_weights(model.get_weights())
    return copy


def _convert(served: keras.Model, calibration: Pixels | None) -> bytes:
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
                {"image": picture[None].astype(np.float32)} for picture in calibration
            )
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
    exported: Exported, images: Pixels, labels: NDArray[np.int64], temperature: float
) -> dict[str, Any]:
    """How far the served files are from Keras on `images` (validation), at one temperature.

    For each precision: `max_abs_dp`, the largest difference of any probability; `top1_agreement`,
    the share of equal answers; `accuracy`, each one's own.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(exported.keras)
        logits = _keras_logits(keras.saving.load_model(path), images)
    expected = evaluation.softmax(logits, temperature)
    result: dict[str, Any] = {
        "split": "validation",
        "n": len(labels),
        "keras": {"accuracy": float((expected.argmax(1) == labels).mean())},
    }
    for precision in ("float32", "int8"):
        served = served_model(
            getattr(exported, precision), images.shape[1:], precision, temperature
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
    content: bytes, image_shape: tuple[int, ...], precision: str, temperature: float
) -> ServedModel:
    """An exported file as the app will serve it, before it is published."""
    height, width, channels = image_shape
    return ServedModel(
        content,
        name="draft",
        precision=precision,
        classes=(),
        image_shape=(height, width, channels),
        temperature=temperature,
    )


def _keras_logits(model: keras.Model, images: Pixels, batch: int = 500) -> NDArray[np.float32]:
    parts = [
        model(images[start : start + batch].astype(np.float32), training=False)["logits"].numpy()
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(parts)
