"""What is in a data set, before any model: data set in, the `eda/` frames of a run out.

Statistics that a hypothesis or a model could lean on come from the training split alone; only
counts and per-image measures cover all splits. Class columns hold class names; image values
are 0–255. C is 3 (red, green, blue) or 1 (grey). Everything random takes a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src import config
from src.data import images
from src.data.datasets import Dataset, Split
from src.data.findings import MEASURES
from src.data.formats import Integers, Pixels

Floats = NDArray[np.float32]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
BATCH = 2_000  # images in float32 at a time: 25 MB at 32×32×3
BINS = 32  # of the intensity histograms: 8 grey values each
GRID = 4  # cells per side of the features of `class_similarity`
ORIENTATIONS = 9  # of edges, 20 degrees each, as in Dalal and Triggs
MAP_SIZE = 1_000
COMPONENTS = 50  # of the PCA before t-SNE, as its authors do (van der Maaten and Hinton, 2008)
TABLE_PIXELS = 1_024  # of a grey image that is still shown as a row of numbers
SIDE = 48  # pixels: larger images are reduced before what is measured over many of them
SPREAD = 3.0  # standard deviations an image of standardised values shows


# --- classes -----------------------------------------------------------------------------------


def class_counts(dataset: Dataset) -> pd.DataFrame:
    """Columns split, label, count, share (of the split, 0–1); every class in every split."""
    classes = dataset.spec.classes
    counted = [(s.name, np.bincount(s.labels, minlength=len(classes))) for s in dataset.splits]
    return pd.concat(
        [
            pd.DataFrame({"split": name, "label": classes, "count": n, "share": n / n.sum()})
            for name, n in counted
        ],
        ignore_index=True,
    )


def class_pictures(dataset: Dataset) -> pd.DataFrame:
    """Columns label, kind ("mean" or "variability"), values: H·W·C float32, row by row, 0–255.

    Variability is the standard deviation of each pixel and channel over the class's images.
    """
    kinds: dict[str, Callable[[Pixels], NDArray[np.float64]]] = {
        "mean": lambda pixels: pixels.mean(0),
        "variability": lambda pixels: pixels.std(0),
    }
    rows = [
        (name, kind, reduce(pixels).astype(np.float32).ravel())
        for name, pixels in _by_class(dataset)
        for kind, reduce in kinds.items()
    ]
    return pd.DataFrame(rows, columns=["label", "kind", "values"])


def mean_differences(dataset: Dataset) -> pd.DataFrame:
    """Columns label_a, label_b, distance: RMS difference of two classes' mean images, 0–255.

    All K·K ordered pairs, the diagonal 0.
    """
    means = np.stack([pixels.mean(0).ravel() for _, pixels in _by_class(dataset)])
    distance = np.sqrt(((means[:, None] - means[None]) ** 2).mean(-1))
    return _pairs(dataset.spec.classes, "distance", distance)


def class_similarity(dataset: Dataset) -> pd.DataFrame:
    """Columns label_a, label_b, similarity (−1 to 1): how much two classes look alike.

    Cosine of the two classes' mean features (`look_features`), each feature standardised over the
    training images first. Means are therefore counted from the average image: 1 says that two
    classes deviate from it in the same way, −1 in opposite ways. The measure knows no
    model and sees training images only. All K·K ordered pairs, the diagonal 1.
    """
    features = _batched(look_features, dataset.train.images)  # (n, D)
    spread = features.std(0)
    standard = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    classes = range(len(dataset.spec.classes))
    centres = np.stack([standard[dataset.train.labels == k].mean(0) for k in classes])  # (K, D)
    length = np.linalg.norm(centres, axis=1, keepdims=True)
    unit = centres / np.where(length > 0, length, 1)
    return _pairs(dataset.spec.classes, "similarity", np.clip(unit @ unit.T, -1, 1))


def look_features(pixels: Pixels) -> Floats:
    """uint8 (n, H, W, C) → float32 (n, GRID²·(ORIENTATIONS + C)): shape and colour, coarsely.

    In each cell of a GRID×GRID raster: the histogram of edge orientations, weighted by edge
    strength and scaled by the image's overall strength (after N. Dalal and B. Triggs, Histograms
    of Oriented Gradients, 2005), and the mean of each channel.
    """
    n = len(pixels)
    edges = _edge_histograms(luma(pixels)).reshape(n, -1)
    edges /= np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-6)
    colours = _cell_sums(pixels.astype(np.float32)) / _cell_sizes(pixels.shape[1:3])
    return np.concatenate([edges, colours.reshape(n, -1)], axis=1).astype(np.float32)


def _edge_histograms(grey: Floats) -> Floats:
    """(n, H, W) → (n, GRID, GRID, ORIENTATIONS): summed edge strength per cell and direction."""
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(down, right)
    angle = np.arctan2(down, right) % np.pi  # an edge and its negative are the same edge
    place = np.minimum((angle / np.pi * ORIENTATIONS).astype(np.int64), ORIENTATIONS - 1)
    apart = [_cell_sums(np.where(place == k, strength, 0)) for k in range(ORIENTATIONS)]
    return np.stack(apart, -1)


def _cell_sums(values: Floats) -> Floats:
    """(n, H, W, …) → (n, GRID, GRID, …): sums over a raster of nearly equal cells."""
    rows = [part.sum(1) for part in np.array_split(values, GRID, axis=1)]
    stacked = np.stack(rows, 1)  # (n, GRID, W, …)
    columns = [part.sum(2) for part in np.array_split(stacked, GRID, axis=2)]
    return np.stack(columns, 2)


def _cell_sizes(shape: Sequence[int]) -> Floats:
    return _cell_sums(np.ones((1, *shape, 1), np.float32))


# --- pixels ------------------------------------------------------------------------------------


def intensity_histogram(dataset: Dataset) -> pd.DataFrame:
    """Columns label (class or "all"), channel, bin_left, bin_right (0–256), share (0–1).

    Shares of a label and channel sum to 1; a bin holds bin_left ≤ value < bin_right.
    """
    counts = _value_counts(dataset.train, len(dataset.spec.classes))  # (K, C, 256)
    counts = np.concatenate([counts.sum(0, keepdims=True), counts])
    binned = counts.reshape(*counts.shape[:2], BINS, -1).sum(-1)
    shares = binned / np.maximum(binned.sum(-1, keepdims=True), 1)
    names = ("all", *dataset.spec.classes)
    edges = np.linspace(0, 256, BINS + 1).astype(int)
    keys = product(names, channels(dataset.spec.image_shape), pairwise(edges.tolist()))
    rows = [(label, channel, left, right) for label, channel, (left, right) in keys]
    frame = pd.DataFrame(rows, columns=["label", "channel", "bin_left", "bin_right"])
    return frame.assign(share=shares.ravel())


def channels(shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Names of the channels of images of shape (H, W, C)."""
    return ("grey",) if shape[2] == 1 else ("red", "green", "blue")


def _value_counts(split: Split, n_classes: int) -> Integers:
    """How often each value occurs: int64 (K, C, 256)."""
    n_channels = split.images.shape[3]
    counts = np.zeros(n_classes * n_channels * 256, np.int64)
    for rows in _batches(len(split.images)):
        pixels, labels = split.images[rows], split.labels[rows]
        place = (labels[:, None, None, None] * n_channels + np.arange(n_channels)) * 256 + pixels
        counts += np.bincount(place.ravel(), minlength=len(counts))
    return counts.reshape(n_classes, n_channels, 256)


def image_statistics(dataset: Dataset) -> pd.DataFrame:
    """Columns split, id, label and the four of `measures`: one row per image of all splits."""
    return pd.concat(
        [
            _identity(dataset, split).assign(
                **dict(zip(MEASURES, _batched(measures, split.images).T, strict=True))
            )
            for split in dataset.splits
        ],
        ignore_index=True,
    )


def measures(pixels: Pixels) -> Floats:
    """uint8 (n, H, W, C) → float32 (n, 4): brightness, contrast, sharpness, colourfulness.

    Brightness and contrast: mean and standard deviation of the luma, 0–255. Sharpness: variance of
    its Laplacian over the inner pixels (J. Pech-Pacheco et al. 2000); 0 below 3×3 pixels.
    """
    grey = luma(pixels)
    brightness, contrast = grey.mean((1, 2)), grey.std((1, 2))
    return np.stack([brightness, contrast, sharpness(grey), colourfulness(pixels)], 1)


def luma(pixels: Pixels) -> Floats:
    """uint8 (n, H, W, C) → float32 (n, H, W): ITU-R BT.601 luma, 0–255; of grey images itself."""
    values = pixels.astype(np.float32)
    return values[..., 0] if pixels.shape[3] == 1 else values @ LUMA


def sharpness(grey: Floats) -> Floats:
    """float32 (n, H, W) → (n,): variance of the 4-neighbour Laplacian over the inner pixels."""
    if min(grey.shape[1:]) < 3:
        return np.zeros(len(grey), np.float32)
    inner = grey[:, 1:-1, 1:-1]
    beside = grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    above_below = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1]
    return np.asarray((beside + above_below - 4 * inner).var((1, 2)))


def colourfulness(pixels: Pixels) -> Floats:
    """uint8 (n, H, W, C) → float32 (n,), 0 for grey; M³ of Hasler and Süsstrunk (2003)."""
    if pixels.shape[3] == 1:
        return np.zeros(len(pixels), np.float32)
    red, green, blue = np.moveaxis(pixels.astype(np.float32), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std((1, 2)), yellow_blue.std((1, 2)))
    distance = np.hypot(red_green.mean((1, 2)), yellow_blue.mean((1, 2)))
    return np.asarray(spread + 0.3 * distance)


def extremes(statistics: pd.DataFrame, n: int = 10) -> pd.DataFrame:
    """The `n` training images at either end of every measure that varies at all.

    `statistics` comes from `image_statistics`. Columns measure, end ("lowest" or "highest"), rank
    (from 1), split, id, label, value; of equal values the smaller id comes first.
    """
    train = statistics[statistics["split"] == "train"].sort_values("id")
    varying = [measure for measure in MEASURES if train[measure].nunique() > 1]
    ends = [_end(train, measure, end, n) for measure in varying for end in ("lowest", "highest")]
    return pd.concat(ends, ignore_index=True)


def _end(statistics: pd.DataFrame, measure: str, end: str, n: int) -> pd.DataFrame:
    ordered = statistics.sort_values(measure, ascending=end == "lowest", kind="stable").head(n)
    return pd.DataFrame(
        {
            "measure": measure,
            "end": end,
            "rank": np.arange(1, len(ordered) + 1),
            "split": ordered["split"].to_numpy(),
            "id": ordered["id"].to_numpy(),
            "label": ordered["label"].to_numpy(),
            "value": ordered[measure].to_numpy(),
        }
    )


# --- map ---------------------------------------------------------------------------------------


def embedding_map(dataset: Dataset, n: int = MAP_SIZE, seed: int = config.SEED) -> pd.DataFrame:
    """Columns split, id, label, x, y: validation images laid out so that similar ones are near.

    About `n` images in the proportions of the classes; their pixels, reduced to COMPONENTS
    principal components, then t-SNE. Only neighbourhood means anything: axes have no unit.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = stratified(dataset.validation.labels, n, seed)
    pixels = dataset.validation.images[rows].reshape(len(rows), -1).astype(np.float32) / 255
    components = min(COMPONENTS, *pixels.shape)
    perplexity = min(30.0, (len(rows) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    # one thread: the same result on every machine, and no slower on a busy one
    with threadpool_limits(1):
        places = tsne.fit_transform(PCA(components, random_state=seed).fit_transform(pixels))
    frame = _identity(dataset, dataset.validation).iloc[rows].reset_index(drop=True)
    return frame.assign(x=places[:, 0].astype(np.float32), y=places[:, 1].astype(np.float32))


def stratified(labels: Integers, n: int, seed: int = config.SEED) -> Integers:
    """Positions of about `n` of the labels (m,), every class in its proportion and at least once.

    All positions where n ≥ m. Sorted, int64.
    """
    random = np.random.default_rng(seed)
    share = min(1.0, n / len(labels))
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        chosen.append(random.choice(rows, max(1, round(share * len(rows))), replace=False))
    return np.sort(np.concatenate(chosen)).astype(np.int64)


# --- images ----------------------------------------------------------------------------------


def reduced(dataset: Dataset, side: int = SIDE) -> Dataset:
    """The data set with images at most `side` pixels long: for what does not need every pixel."""
    shape = images.reduced_shape(dataset.spec.image_shape, side)
    if shape == dataset.spec.image_shape:
        return dataset
    train, validation, test = (
        replace(split, images=np.stack([images.model_input(p, shape) for p in split.images]))
        for split in dataset.splits
    )
    spec = replace(dataset.spec, image_shape=shape)
    return replace(dataset, spec=spec, train=train, validation=validation, test=test)


def gallery(dataset: Dataset, wanted: pd.DataFrame, side: int = images.THUMBNAIL) -> pd.DataFrame:
    """Columns split, id, label, png (bytes, `images.thumbnail`) of the `wanted` (split, id) rows.

    In the order of `wanted`, photos at most `side` pixels long. Raises KeyError for an id that is
    not in its split.
    """
    rows = {s.name: dict(zip(s.ids.tolist(), range(len(s)), strict=True)) for s in dataset.splits}
    splits = {split.name: split for split in dataset.splits}
    classes = dataset.spec.classes
    found = [
        (name, key, classes[splits[name].labels[row]], splits[name].images[row])
        for name, key in zip(wanted["split"], wanted["id"], strict=True)
        for row in [_row(rows[name], name, key)]
    ]
    frame = pd.DataFrame(found, columns=["split", "id", "label", "png"])
    return frame.assign(png=[images.thumbnail(pixels, side) for pixels in frame["png"]])


def _row(rows: dict[int, int], split: str, key: int) -> int:
    if key not in rows:
        raise KeyError(f"the {split} split has no image with id {key}")
    return rows[key]


def samples(dataset: Dataset, per_class: int = 8, seed: int = config.SEED) -> pd.DataFrame:
    """Gallery of random training images: up to `per_class` of each class, in class order."""
    order = np.random.default_rng(seed).permutation(len(dataset.train))
    labels = dataset.train.labels[order]
    rows = [order[labels == k][:per_class] for k in range(len(dataset.spec.classes))]
    ids = dataset.train.ids[np.concatenate(rows)]
    return gallery(dataset, pd.DataFrame({"split": "train", "id": ids}))


def preprocessing(
    pixels: Pixels, shape: tuple[int, int, int], mean: Sequence[float], std: Sequence[float]
) -> pd.DataFrame:
    """What happens to an image on its way into the model: order, step, description, png.

    `pixels` is uint8 (h, w, 1 or 3) as decoded, `shape` the model's (H, W, C); `mean` and `std`
    (C,) are the training images' per-channel values, 0–255. The last step is what the network
    computes with: real numbers around 0, shown with 0 as mid-grey.
    """
    height, width, n_channels = shape
    cropped = images.centred(pixels, width / height)
    resized = images.model_input(pixels, (height, width, pixels.shape[2]))
    final = images.model_input(pixels, shape)
    steps = [
        ("Decoded", f"{_size(pixels)}, upright, opaque, sRGB", pixels),
        (
            "Cropped",
            f"the largest centred part of the model's proportions, {_size(cropped)}",
            cropped,
        ),
        ("Resized", f"to {_size(resized)}, bicubic and antialiased", resized),
    ]
    if n_channels != pixels.shape[2]:
        steps.append(("Grey" if n_channels == 1 else "Colour", f"{n_channels} channel", final))
    shown = f"(value − training mean) / standard deviation, shown from −{SPREAD:g} to {SPREAD:g}"
    steps.append(("Standardised", shown, standardised(final, mean, std)))
    rows = [
        (k, name, text, images.thumbnail(pixels)) for k, (name, text, pixels) in enumerate(steps)
    ]
    return pd.DataFrame(rows, columns=["order", "step", "description", "png"])


def first_rows(dataset: Dataset, n: int = 5) -> pd.DataFrame:
    """Columns id, label, pixel1 … pixelN (0–255, row by row): the first `n` training images.

    As such a data set is passed around as a table. Raises ValueError for colour images and for
    those of more than `TABLE_PIXELS` pixels, which nobody reads as a row.
    """
    height, width, n_channels = dataset.spec.image_shape
    if not tabular(dataset.spec.image_shape):
        raise ValueError(f"images of {height} × {width} × {n_channels} are no row of a table")
    rows = np.argsort(dataset.train.ids, kind="stable")[:n]
    pixels = dataset.train.images[rows].reshape(len(rows), -1)
    frame = pd.DataFrame(pixels, columns=[f"pixel{k + 1}" for k in range(height * width)])
    frame.insert(0, "label", np.array(dataset.spec.classes)[dataset.train.labels[rows]])
    frame.insert(0, "id", dataset.train.ids[rows])
    return frame


def tabular(shape: tuple[int, int, int]) -> bool:
    """Whether images of a shape (H, W, C) can be shown as rows of numbers."""
    height, width, n_channels = shape
    return n_channels == 1 and height * width <= TABLE_PIXELS


def standardised(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> Pixels:
    """(pixels − mean) / std made visible, uint8: −SPREAD is black, 0 mid-grey, SPREAD white."""
    values = (pixels - np.asarray(mean)) / np.asarray(std)
    shares: NDArray[np.float64] = np.clip((values / SPREAD + 1) / 2, 0, 1)
    return np.rint(shares * 255).astype(np.uint8)


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} × {pixels.shape[0]} pixels"


def augmentation_preview(
    original: Pixels, variants: Pixels, descriptions: Sequence[str]
) -> pd.DataFrame:
    """Columns variant (0 is the original), description, png.

    `original` uint8 (H, W, C), `variants` uint8 (n, H, W, C) as the training made them, one
    description for each.
    """
    shown = [original, *variants]
    texts = ["original", *descriptions]
    rows = [
        (k, text, images.thumbnail(pixels))
        for k, (text, pixels) in enumerate(zip(texts, shown, strict=True))
    ]
    return pd.DataFrame(rows, columns=["variant", "description", "png"])


# --- shared ------------------------------------------------------------------------------------


def _by_class(dataset: Dataset) -> Iterator[tuple[str, Pixels]]:
    """Each class's name and training images, in the order of classes."""
    for label, name in enumerate(dataset.spec.classes):
        yield name, dataset.train.images[dataset.train.labels == label]


def _pairs(classes: Sequence[str], name: str, values: NDArray[np.floating]) -> pd.DataFrame:
    """(K, K) → tidy frame label_a, label_b, `name`, K·K rows."""
    keys = list(product(classes, classes))
    frame = pd.DataFrame(keys, columns=["label_a", "label_b"])
    return frame.assign(**{name: values.ravel().astype(np.float64)})


def _identity(dataset: Dataset, split: Split) -> pd.DataFrame:
    label = np.array(dataset.spec.classes)[split.labels]
    return pd.DataFrame({"split": split.name, "id": split.ids, "label": label})


def _batches(n: int) -> Iterator[slice]:
    return (slice(start, start + BATCH) for start in range(0, n, BATCH))


def _batched(function: Callable[[Pixels], Floats], pixels: Pixels) -> Floats:
    """`function` over all images, a batch at a time, which bounds the float32 copies."""
    return np.concatenate([function(pixels[rows]) for rows in _batches(len(pixels))])
