"""Architectures: configuration → Keras model.

Every network takes images as they are stored, (n, H, W, C) float32 in 0–255, and normalises them
itself, so that nothing can be scaled one way in training and another in serving. Every network ends
in a feature map, its spatial mean (the embedding) and one linear layer (the logits): the class
activation map is then exact and costs one 1×1 convolution (Zhou et al. 2016, arXiv 1512.04150).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from src.data.plans import Architecture

WHITENING = "whitening"  # name of the first layer of a speed-run network
SMALLEST_MAP = 4  # pooling stops here, so that the activation map still says where
SMALL_MAP = 7  # side up to which maps are laid side by side (measured in benchmarks/LOG.md)
PACKED = 8  # so many of them
PACKABLE = ((3, 3), (1, 1), "same")  # filters, strides and padding that a gap of one suits


@keras.saving.register_keras_serializable(package="products")
class FusedBatchNorm(layers.Layer):
    """Batch normalisation over all but the last axis in one fused kernel.

    Keras's own layer computes the moments with separate operations, which on a CPU takes several
    times as long. `momentum` is the weight of the old moving statistics.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],)
        float32 = {"shape": shape, "dtype": "float32", "autocast": False}
        self.gamma = self.add_weight(name="gamma", initializer="ones", **float32)
        self.beta = self.add_weight(name="beta", initializer="zeros", **float32)
        self.mean = self.add_weight(name="mean", initializer="zeros", trainable=False, **float32)
        self.variance = self.add_weight(
            name="variance", initializer="ones", trainable=False, **float32
        )

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        training = training and self.trainable  # frozen: the stored statistics, as Keras has it
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=tf.convert_to_tensor(self.gamma, tf.float32),
            offset=tf.convert_to_tensor(self.beta, tf.float32),
            mean=tf.convert_to_tensor(self.mean, tf.float32),
            variance=tf.convert_to_tensor(self.variance, tf.float32),
            epsilon=self.epsilon,
            is_training=bool(training),
        )
        if training:
            self._move(self.mean, mean)
            self._move(self.variance, variance)
        return y

    def _move(self, statistic: keras.Variable, batch: tf.Tensor) -> None:
        statistic.assign(self.momentum * statistic + (1.0 - self.momentum) * batch)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return config | {"momentum": self.momentum, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="products")
class GELU(layers.Layer):
    """x · σ(1.702 x), a Gaussian error linear unit (Hendrycks and Gimpel 2016, arXiv 1606.08415).

    In training XLA compiles the value and the slope to one pass over the map each: as operations
    of their own they take several times as long. Elsewhere they are plain operations, which every
    converter knows.
    """

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return _compiled_gelu(x) if training else _gelu(x)

    def get_config(self) -> dict[str, Any]:
        """The default, said aloud: without this Keras does not save a layer that has a policy."""
        config: dict[str, Any] = super().get_config()
        return config


def _gelu(x: tf.Tensor) -> tf.Tensor:
    return x * tf.sigmoid(1.702 * x)


@tf.function(jit_compile=True)
def _gelu_value(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(_gelu(tf.cast(x, tf.float32)), x.dtype)


@tf.function(jit_compile=True)
def _gelu_gradient(x: tf.Tensor, by_output: tf.Tensor) -> tf.Tensor:
    wide = tf.cast(x, tf.float32)
    share = tf.sigmoid(1.702 * wide)
    slope = share + 1.702 * wide * share * (1.0 - share)
    return tf.cast(tf.cast(by_output, tf.float32) * slope, x.dtype)


@tf.custom_gradient
def _compiled_gelu(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
    return _gelu_value(x), lambda by_output: _gelu_gradient(x, by_output)


@keras.saving.register_keras_serializable(package="products")
class Conv2D(layers.Conv2D):
    """Keras's layer with a faster gradient by the filters where maps are small and in bfloat16.

    oneDNN leaves most of a processor's vectors and tiles empty there. The forward pass and the
    gradient by the input are as ever.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        small = max(inputs.shape[1:3]) <= SMALL_MAP
        fits = (self.kernel_size, self.strides, self.padding) == PACKABLE
        if small and fits and self.compute_dtype == "bfloat16":
            # A tensor: outside of a graph a custom gradient takes no variables.
            return _packed_convolution(inputs, tf.convert_to_tensor(kernel))
        return super().convolution_op(inputs, kernel)


@tf.custom_gradient
def _packed_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Convolution (n, h, w, C) with filters (h, w, C, K); its gradient sees images in rows."""
    settings: dict[str, Any] = {"strides": [1, 1, 1, 1], "padding": "SAME"}

    def gradient(by_output: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        by_input = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=kernel, out_backprop=by_output, **settings
        )
        by_filter = tf.raw_ops.Conv2DBackpropFilter(
            input=_side_by_side(x),
            filter_sizes=kernel.shape,
            out_backprop=_side_by_side(by_output),
            **settings,
        )
        return by_input, by_filter

    return tf.nn.conv2d(x, kernel, 1, "SAME"), gradient


def _side_by_side(maps: tf.Tensor) -> tf.Tensor:
    """(n, h, w, C) → (n / PACKED, h, PACKED · (w + 1), C): rows of maps with a gap of zeros.

    A gap of one keeps 3×3 filters from reaching over; maps of zeros fill up the last row.
    """
    _, height, width, channels = maps.shape
    missing = -tf.shape(maps)[0] % PACKED
    maps = tf.pad(maps, [[0, missing], [0, 0], [0, 1], [0, 0]])
    rows = tf.reshape(maps, (-1, PACKED, height, width + 1, channels))
    rows = tf.transpose(rows, (0, 2, 1, 3, 4))
    return tf.reshape(rows, (-1, height, PACKED * (width + 1), channels))


ACTIVATIONS = {"relu": layers.ReLU, "gelu": GELU}


def build(
    architecture: Architecture,
    images: NDArray[np.uint8],
    n_classes: int,
    seed: int,
    precision: str = "float32",
) -> keras.Model:
    """A freshly initialised network: float32 (n, H, W, C) in 0–255 → float32 logits (n, K).

    `images` (n, H, W, C) are training images, from which normalisation and whitening come;
    `precision` is a Keras dtype policy. The layers `features` and `embedding` are its last two
    before the logits.
    """
    keras.utils.set_random_seed(seed)
    policy = keras.dtype_policies.get(precision)
    statistics = images.reshape(-1, images.shape[-1]).astype(np.float64)
    mean, variance = statistics.mean(0), statistics.var(0)
    image = keras.Input(images.shape[1:], name="image")
    x = layers.Normalization(mean=mean.tolist(), variance=variance.tolist(), name="normalised")(
        image
    )
    body = {"dense": _dense, "plain": _plain, "fast": _fast}[architecture.kind]
    features = layers.Identity(name="features")(body(x, architecture, policy))
    x = layers.GlobalAveragePooling2D(name="embedding", dtype="float32")(features)
    if architecture.dropout:
        x = layers.Dropout(architecture.dropout, seed=seed, dtype="float32")(x)
    logits = layers.Dense(n_classes, name="logits", dtype="float32")(x)
    model = keras.Model(image, logits, name=architecture.kind)
    if architecture.kind == "fast":
        _whiten(model, images)
    return model


def _dense(x: Any, architecture: Architecture, policy: Any) -> Any:
    """Fully connected layers. The map they end in has one place: they do not know where."""
    x = layers.Flatten(dtype=policy)(x)
    for place, units in enumerate(architecture.widths):
        if place and architecture.dropout:
            x = layers.Dropout(architecture.dropout, dtype=policy)(x)
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", dtype=policy)(x)
    return layers.Reshape((1, 1, architecture.widths[-1]), dtype=policy)(x)


def _plain(x: Any, architecture: Architecture, policy: Any) -> Any:
    """The textbook network: convolution, batch normalisation, ReLU, pooling, dropout per stage."""
    for stage, width in enumerate(architecture.widths):
        if stage and x.shape[1] > SMALLEST_MAP:
            x = layers.MaxPooling2D(2, dtype=policy)(x)
        if stage and architecture.dropout:
            x = layers.SpatialDropout2D(architecture.dropout / 2, dtype=policy)(x)
        x = _convolution(x, width, policy, "he_normal", layers.ReLU)
    return x


def _fast(x: Any, architecture: Architecture, policy: Any) -> Any:
    """Whitening 2×2 convolution, then convolutions stage by stage, each with pooling in front.

    The first `unpooled` stages keep the image's size: small grey images have details that are
    lost otherwise, at half again the cost (benchmarks/LOG.md).

    After the speed-run networks of Keller Jordan (cifar10-airbench), with a mean at the end, which
    keeps the activation map exact. The whitening's filters come with their negatives, so that ReLU
    loses nothing there.
    """
    activation = ACTIVATIONS[architecture.activation]
    channels = 2 * 4 * x.shape[-1]
    x = layers.Conv2D(channels, 2, activation="relu", name=WHITENING, dtype=policy)(x)
    for stage, width in enumerate(architecture.widths):
        x = _filters(x, width, policy, _identity)
        if stage >= architecture.unpooled and x.shape[1] > SMALLEST_MAP:
            x = layers.MaxPooling2D(2, dtype=policy)(x)
        x = shortcut = activation(dtype=policy)(FusedBatchNorm(dtype=policy)(x))
        for _ in range(architecture.depth - 2):
            x = _convolution(x, width, policy, _identity, activation)
        x = FusedBatchNorm(dtype=policy)(_filters(x, width, policy, _identity))
        if architecture.depth > 2:
            x = layers.Add(dtype=policy)([x, shortcut])
        x = activation(dtype=policy)(x)
    return x


def _convolution(x: Any, width: int, policy: Any, initializer: Any, activation: Any) -> Any:
    x = _filters(x, width, policy, initializer)
    return activation(dtype=policy)(FusedBatchNorm(dtype=policy)(x))


def _filters(x: Any, width: int, policy: Any, initializer: Any) -> Any:
    return Conv2D(
        width,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer,
        dtype=policy,
    )(x)


@keras.saving.register_keras_serializable(package="products")
def _identity(shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
    """Random 3×3 filters whose first ones pass their input channel through unchanged."""
    height, width, fan_in, fan_out = shape
    limit = 1.0 / np.sqrt(height * width * fan_in)
    kernel = keras.random.uniform(shape, -limit, limit, dtype="float32")
    passed = min(fan_in, fan_out)
    delta = np.zeros(shape, np.float32)
    delta[height // 2, width // 2, range(passed), range(passed)] = 1.0
    keep = np.arange(fan_out) >= passed
    return tf.cast(kernel * keep.astype(np.float32) + delta, dtype or "float32")


def _whiten(model: keras.Model, images: NDArray[np.uint8], n: int = 2000) -> None:
    """Set the first convolution to the whitening of 2×2 patches and their negatives; freeze it."""
    layer = model.get_layer(WHITENING)
    normalised = model.get_layer("normalised")(images[:n].astype(np.float32)).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(normalised, (2, 2), axis=(1, 2))
    channels = normalised.shape[-1]
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 4 * channels)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    filters = (vectors / np.sqrt(values + 1e-2)).reshape(2, 2, channels, -1)
    layer.set_weights([np.concatenate([filters, -filters], -1), layer.bias.numpy()])
    layer.kernel.trainable = False


def stem(model: keras.Model) -> list[Any]:
    """What a fixed whitening layer still learns, its bias; nothing where the filters learn too.

    It matters little after the first epochs, and its gradient needs that of the largest map.
    """
    first = [layer for layer in model.layers if layer.name == WHITENING]
    fixed = [layer for layer in first if not layer.kernel.trainable]
    return [variable for layer in fixed for variable in layer.trainable_variables]


def serving(model: keras.Model) -> keras.Model:
    """The model as it is saved and served: one pass gives logits, embedding and activation map.

    Outputs, float32: `logits` (n, K); `embedding` (n, D); `activation` (n, h, w, K), each class's
    evidence per place: its spatial mean plus the bias is the logit.
    """
    features = model.get_layer("features").output
    dense = model.get_layer("logits")
    kernel, _ = dense.get_weights()
    activation = layers.Conv2D(
        kernel.shape[-1], 1, use_bias=False, name="activation", dtype="float32"
    )
    embedding = model.get_layer("embedding").output
    outputs = {
        "logits": dense(embedding),
        "embedding": embedding,
        "activation": activation(features),
    }
    served = keras.Model(model.input, outputs, name=model.name)
    activation.set_weights([kernel[None, None]])
    return served


def layer_table(model: keras.Model) -> list[dict[str, Any]]:
    """One row per layer, sizes without the batch axis.

    Keys: name, type, input_shape, output_shape, parameters, and where the layer has them: filters,
    units, kernel (h, w), strides (h, w), padding ("same" or "valid"), bias, rate.
    """
    return [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "input_shape": _sizes(layer.input),
            "output_shape": _sizes(layer.output),
            "parameters": int(layer.count_params()),
        }
        | _settings(layer)
        for layer in model.layers
    ]


def _sizes(tensor: Any) -> list[int | None]:
    """Shape of a tensor, of the first of several, or nothing: an input layer has no input."""
    tensors = tensor if isinstance(tensor, list) else [tensor]
    return [size for first in tensors[:1] for size in first.shape[1:]]


LAYER_SETTINGS = {
    "filters": ("filters",),
    "units": ("units",),
    "kernel": ("kernel_size", "pool_size"),
    "strides": ("strides",),
    "padding": ("padding",),
    "bias": ("use_bias",),
    "rate": ("rate",),
}


def _settings(layer: keras.layers.Layer) -> dict[str, Any]:
    found = {}
    for key, attributes in LAYER_SETTINGS.items():
        values = [getattr(layer, name) for name in attributes if hasattr(layer, name)]
        if values and values[0] is not None:
            found[key] = list(values[0]) if isinstance(values[0], tuple) else values[0]
    return found
