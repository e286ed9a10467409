"""Specifications: everything in which one study differs from another."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from src.data import formats, image_folders
from src.data.formats import DataError, Raw


@dataclass(frozen=True)
class RemoteFile:
    """One file of a source: its name, content hash, size in bytes and, if public, its address."""

    name: str
    sha256: str | None  # None: not known beforehand; what was found is recorded
    bytes: int | None
    url: str | None = None


@dataclass(frozen=True)
class Layout:
    """One form in which a data set is distributed, and the function that reads it."""

    name: str
    files: tuple[RemoteFile, ...]
    read: Callable[[Path], Raw]


@dataclass(frozen=True)
class Augmentation:
    """Random changes that keep a picture's class: what each picture may become in an epoch."""

    flip: bool = False  # mirror left to right with probability 1/2
    alternate: bool = False  # mirror in every other epoch instead of at random
    shift: float = 0.0  # up to this share of the side, both directions
    rotation: float = 0.0  # up to this many degrees, both directions
    zoom: float = 0.0  # scale between 1 - zoom and 1 + zoom
    erasing: float = 0.0  # half the pictures lose a rectangle of up to this share of their area
    cutout: float = 0.0  # every picture loses a square of this share of its sides
    colour: float = 0.0  # brightness, contrast, saturation each by up to this share, both ways


@dataclass(frozen=True)
class StudySpec:
    """Everything in which one study differs from another."""

    name: str
    title: str
    description: str
    classes: tuple[str, ...]  # in the order of the labels and of every model's outputs
    image_shape: tuple[int, int, int]
    licence: str
    citation: str
    homepage: str
    augmentation: Augmentation
    content_sha256: str | None  # of all pictures with their labels, in any order; None: not known
    validation_share: float  # of the official training set
    subset_share: float  # of the official training set
    layouts: tuple[Layout, ...] = ()
    read_package: Callable[[], Raw] | None = None  # data that ships inside a Python package
    package: str = ""  # the Python or Debian package that carries the data
    system: Path | None = None  # where that Debian package puts it
    folder: Path | None = None  # the user's own pictures: a folder or a zip
    test_share: float | None = None  # None: the official test set stays the test set


# The files of the MNIST family: pictures and labels of the training and the test part.
IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _idx(name: str, *facts: tuple[str, int], host: str | None = None) -> Layout:
    """The four files with their SHA-256 and size, in the order of `IDX`."""
    files = (
        RemoteFile(file, sha256, size, host and f"{host}/{file}")
        for file, (sha256, size) in zip(IDX, facts, strict=True)
    )
    return Layout(name, tuple(files), formats.idx)


CIFAR10 = StudySpec(
    name="cifar10",
    title="CIFAR-10",
    description=(
        "Sixty thousand colour photographs of ten kinds of things, 32 pixels wide: the e-commerce "
        "client's stand-in for a catalogue whose pictures have to be filed into categories."
    ),
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    image_shape=(32, 32, 3),
    licence="No explicit licence; the authors ask to be cited.",
    citation=(
        "Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, "
        "technical report, University of Toronto, 2009."
    ),
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    augmentation=Augmentation(flip=True, shift=0.125, rotation=10.0, zoom=0.1),
    content_sha256="8b1a891abf275a707f37892c50b3ec9b946452e323929c2fe55738f71dbfac5e",
    validation_share=0.1,
    subset_share=0.1,
    layouts=(
        Layout(
            "parquet",
            (
                RemoteFile(
                    "train.parquet",
                    "ac89f39e840145b33aa05caea8cb685f380883dc2c97c13a0edcff820deb06d5",
                    114_977_296,
                ),
                RemoteFile(
                    "test.parquet",
                    "40b92f90eda747425487f6c139ebf9c9ef4efe5bb651272615e24ce705b1ede2",
                    22_997_424,
                ),
            ),
            formats.cifar_parquet,
        ),
        Layout(
            "archive",
            (
                RemoteFile(
                    "cifar-10-python.tar.gz",
                    "6d958be074577803d12ecdefd02955f39262c83c16fe9324329d7fe0b5c001ce",
                    170_498_071,
                    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                ),
            ),
            formats.cifar_archive,
        ),
    ),
)

DIGITS = StudySpec(
    name="digits",
    title="Digits",
    description=(
        "1,797 handwritten digits, 8 pixels wide, inside the scikit-learn wheel: the quick start, "
        "and what the tests run on."
    ),
    classes=tuple("0123456789"),
    image_shape=(8, 8, 1),
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    citation=(
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, "
        "UCI Machine Learning Repository, 1998."
    ),
    homepage="https://archive.ics.uci.edu/dataset/80",
    # A mirrored or strongly turned digit is another digit, so neither is allowed.
    augmentation=Augmentation(flip=False, shift=0.125, rotation=10.0, zoom=0.1),
    content_sha256="fd3c91f0aa0a20c506b724cd9d63fbfdcb866a2d437f24c4647f696d466a8c23",
    validation_share=0.2,
    subset_share=0.3,
    read_package=formats.sklearn_digits,
    package="scikit-learn",
    test_share=0.2,
)

_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"

FASHION_MNIST = StudySpec(
    name="fashion_mnist",
    title="Fashion-MNIST",
    description=(
        "Seventy thousand catalogue pictures of a clothing shop in ten categories, grey and 28 "
        "pixels wide: what a shop's own photographs look like once they are cut out and small."
    ),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    image_shape=(28, 28, 1),
    licence="MIT (Zalando SE)",
    citation=(
        "Han Xiao, Kashif Rasul, Roland Vollgraf, Fashion-MNIST: a Novel Image Dataset for "
        "Benchmarking Machine Learning Algorithms, arXiv 1708.07747, 2017."
    ),
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    augmentation=Augmentation(flip=True, shift=0.07, rotation=5.0, zoom=0.1),
    content_sha256="705121361a81ae534c706e0d5485523b7c5f69f532ef8c8ff27f624eb3015302",
    validation_share=0.1,
    subset_share=0.05,
    layouts=(
        _idx(
            "idx",
            ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
            ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
            ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
            ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
            host=_FASHION,
        ),
        # Debian compresses the same four files anew.
        _idx(
            "idx-debian",
            ("b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7", 26_421_856),
            ("0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056", 29_491),
            ("cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa", 4_422_079),
            ("8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05", 5_125),
        ),
        # As it is passed around on Kaggle; its pictures are checked, not its bytes.
        Layout(
            "csv",
            (
                RemoteFile("fashion-mnist_train.csv", None, None),
                RemoteFile("fashion-mnist_test.csv", None, None),
            ),
            functools.partial(
                formats.pixel_csv,
                names={"train": "fashion-mnist_train.csv", "test": "fashion-mnist_test.csv"},
                shape=(28, 28),
            ),
        ),
    ),
    package="dataset-fashion-mnist",
    system=Path("/usr/share/datasets/fashion-mnist"),
)

MNIST = StudySpec(
    name="mnist",
    title="MNIST",
    description=(
        "Seventy thousand handwritten digits, grey and 28 pixels wide: the set on which classical "
        "models, ensembles and networks are compared, and on which a drawing can be tried."
    ),
    classes=tuple("0123456789"),
    image_shape=(28, 28, 1),
    licence="CC BY-SA 3.0",
    citation=(
        "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document "
        "recognition, Proceedings of the IEEE 86, 1998."
    ),
    homepage="http://yann.lecun.com/exdb/mnist/",
    # A mirrored digit is no digit.
    augmentation=Augmentation(shift=0.07, rotation=10.0, zoom=0.1),
    content_sha256="394765b0a8bc739f13bb7cc37151fdc7288e284f87c47bde19eadbde4aedddfc",
    validation_share=0.1,
    subset_share=0.05,
    layouts=(
        _idx(
            "idx",
            ("9fca27e37196eb5ddae6ab39a96951f0b8cb1746ba49a639d0bc779848e5592f", 9_653_999),
            ("0eb5fab4565d39ac4e82c98556175a7fa806cc3366b3c98a60afff46bfd31179", 29_499),
            ("167310007f03058885c7e95e6c0b19c20de5c7fd3031f4cbdadc9014a523d80b", 1_648_877),
            ("fc607395669ec21321ea83e4b82c0544b7e8e63ff5b34337c06bc0a17cc0da3c", 4_542),
        ),
        Layout(
            "npz",
            (
                RemoteFile(
                    "mnist.npz",
                    "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
                    11_490_434,
                    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
                ),
            ),
            formats.keras_npz,
        ),
    ),
)

_CLOTHING_SHAPE = (224, 224, 3)
_CLOTHING_COUNTS = {"train": 3_068, "validation": 341, "test": 372}


def _clothing(folder: Path, name: str) -> Raw:
    raw = image_folders.read_pictures(folder / name, _CLOTHING_SHAPE)
    counts = {part: len(found.labels) for part, found in raw.items()}
    if counts != _CLOTHING_COUNTS:
        raise DataError(f"{name} holds {counts} pictures, expected {_CLOTHING_COUNTS}.")
    return raw


CLOTHING = StudySpec(
    name="clothing",
    title="Clothing photos",
    description=(
        "3,781 photographs of clothes that people took at home and in shops, in ten categories of "
        "unequal size: what a shop's own pictures look like before anybody has cut them out."
    ),
    classes=(
        "dress",
        "hat",
        "longsleeve",
        "outwear",
        "pants",
        "shirt",
        "shoes",
        "shorts",
        "skirt",
        "t-shirt",
    ),
    image_shape=_CLOTHING_SHAPE,
    licence="CC0 1.0",
    citation=(
        "Alexey Grigorev, Clothing dataset (full, high resolution), "
        "github.com/alexeygrigorev/clothing-dataset, 2020."
    ),
    homepage="https://github.com/alexeygrigorev/clothing-dataset-small",
    augmentation=Augmentation(flip=True, shift=0.08, rotation=10.0, zoom=0.15, colour=0.2),
    # Its two forms hold the same photos at different sizes, and decoders differ in a last bit.
    content_sha256=None,
    validation_share=0.0,
    subset_share=0.2,
    layouts=(
        Layout(
            "zip",
            (
                RemoteFile(
                    "clothing-dataset-small.zip",
                    "92bc4115b854018da28ed6c5225d28bf4f136a26cc51739ed89834d966cd484c",
                    44_452_578,
                ),
            ),
            functools.partial(_clothing, name="clothing-dataset-small.zip"),
        ),
        # The archive of a branch, whose bytes may change; the photos are counted.
        Layout(
            "archive",
            (
                RemoteFile(
                    "master.zip",
                    None,
                    None,
                    "https://github.com/alexeygrigorev/clothing-dataset-small/archive/refs/heads/"
                    "master.zip",
                ),
            ),
            functools.partial(_clothing, name="master.zip"),
        ),
    ),
)

KNOWN = {spec.name: spec for spec in (CIFAR10, FASHION_MNIST, MNIST, CLOTHING, DIGITS)}
