"""A visitor's photos: what is kept of them, what a model says, the table of answers."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from src.data import decoding, images
from src.serving import inference, memory, uploads
from src.serving.classifier import Classifier
from src.serving.preparation import Preparation
from tests import factories

SHAPE = (2, 2, 3)
CROP, PAD = Preparation(SHAPE, "crop"), Preparation(SHAPE, "pad")
PAD_WIDE = Preparation((1, 4, 3), "pad")
WAYS = [CROP, PAD, PAD_WIDE]


class Named:
    """A model of three classes that says what it is told."""

    classes, image_shape = ("cat", "dog", "ship"), SHAPE

    def __init__(self, probabilities: list[list[float]]) -> None:
        self.said = np.array(probabilities, np.float32)
        self.saw: list[np.ndarray] = []

    def predict(self, pixels: np.ndarray) -> inference.Prediction:
        self.saw.append(pixels)
        activation = np.zeros((len(pixels), 1, 1, 3), np.float32)
        return inference.Prediction(self.said, self.said, self.said, activation, 6.0)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


LEFT_BLACK = np.repeat(np.array([[[0], [255], [255], [255]]], np.uint8), 3, axis=2)  # (1, 4, 3)


def test_a_photo_is_kept_small_and_as_the_models_see_it() -> None:
    data = png(LEFT_BLACK)
    photo = uploads.read(data, "a.png", [*WAYS, *WAYS], truth="cat")
    assert photo.sha256 == hashlib.sha256(data).hexdigest()
    assert (photo.name, photo.format, photo.size, photo.truth) == ("a.png", "PNG", (4, 1), "cat")
    assert photo.notes == ()
    assert photo.milliseconds > 0
    assert list(photo.inputs) == WAYS
    assert photo.told(PAD_WIDE) == ()
    assert photo.told(CROP) == ("cropped to the centre", "resized to 2 × 2")
    np.testing.assert_array_equal(photo.inputs[PAD_WIDE].pixels, LEFT_BLACK)
    np.testing.assert_array_equal(
        photo.inputs[CROP].pixels, images.model_input(LEFT_BLACK, SHAPE, "crop")
    )
    np.testing.assert_array_equal(images.from_png(photo.thumbnail), LEFT_BLACK)


def test_a_large_photo_gets_a_small_thumbnail_in_its_proportions() -> None:
    photo = uploads.read(png(np.zeros((300, 900, 3), np.uint8)), "wide.png", [CROP])
    assert images.from_png(photo.thumbnail).shape == (53, uploads.THUMBNAIL, 3)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(decoding.ImageError, match="not an image"):
        uploads.read(b"hello", "a.png", [CROP])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("photo.jpg", "photo.jpg"),
        ("a\u202egpj.exe\n\x00.jpg", "agpj.exe.jpg"),  # no reversed text, no control characters
        ("\u200b", "unnamed"),
        ("x" * 100 + ".jpg", "x" * 44 + "…" + "x" * 11 + ".jpg"),
    ],
)
def test_names_are_shown_without_tricks(name: str, shown: str) -> None:
    assert uploads.shown_name(name) == shown


def two() -> list[uploads.Photo]:
    """Photos of a black and a white column, of which the first gives the name."""
    columns = np.array([0, 255], np.uint8)
    return [
        uploads.read(
            png(np.broadcast_to(row, (2, 3, 2)).swapaxes(1, 2).copy()), f"{row[0]}.png", [CROP, PAD]
        )
        for row in (columns, columns[::-1])
    ]


def classifier(model: Named, threshold: float | None) -> Classifier:
    """A classifier of a model that needs no run."""
    sorting = factories.sorting(threshold, model.classes)
    return Classifier(None, model, sorting)  # type: ignore[arg-type]


def test_photos_are_classified_together() -> None:
    model = Named([[0.7, 0.2, 0.1], [0.1, 0.0, 0.9]])
    first, second = uploads.classify(classifier(model, 0.8), two(), CROP)
    (saw,) = model.saw
    assert saw[:, 0, 0, 0].tolist() == [0, 255]
    assert (first.label, second.label) == ("cat", "ship")
    assert (first.confidence, second.confidence) == (pytest.approx(0.7), pytest.approx(0.9))
    assert (first.decision, second.decision) == ("check", "automatic")
    assert (first.milliseconds, first.batch) == (3.0, 2)
    assert uploads.classify(classifier(model, 0.8), [], CROP) == []


def test_the_table_holds_every_result_in_full() -> None:
    model = Named([[0.75, 0.125, 0.125], [0.0, 0.0, 1.0]])
    kept = two()
    results = uploads.classify(classifier(model, 0.9), kept, PAD)
    rows = uploads.table(kept, results, model.classes, PAD)
    found = rows.to_dict("records")
    for row, photo in zip(found, kept, strict=True):
        assert row.pop("read_ms") == photo.milliseconds
        assert row.pop("sha256") == photo.sha256
    common = {"known_category": None, "model_ms": 3.0, "width": 2, "height": 2, "format": "PNG"}
    assert found == [
        {
            "file": "0.png",
            "category": "cat",
            "confidence": 0.75,
            "decision": "needs checking",
            "reason": "confidence 75.0\N{NO-BREAK SPACE}% < 90.0\N{NO-BREAK SPACE}%",
            "runner_up": "dog",
            "runner_up_confidence": 0.125,
            "notes": "",
            "p_cat": 0.75,
            "p_dog": 0.125,
            "p_ship": 0.125,
            **common,
        },
        {
            "file": "255.png",
            "category": "ship",
            "confidence": 1.0,
            "decision": "sort automatically",
            "reason": "confidence 100.0\N{NO-BREAK SPACE}% ≥ 90.0\N{NO-BREAK SPACE}%",
            "runner_up": "cat",
            "runner_up_confidence": 0.0,
            "notes": "",
            "p_cat": 0.0,
            "p_dog": 0.0,
            "p_ship": 1.0,
            **common,
        },
    ]
    assert uploads.table([], [], model.classes, PAD).columns[-1] == "p_ship"


def test_freed_memory_is_given_back() -> None:
    import pyarrow as pa

    before = pa.default_memory_pool()
    memory.configure_allocators.cache_clear()
    assert isinstance(memory.configure_allocators(), bool)
    assert pa.default_memory_pool().backend_name == "system"
    pa.set_memory_pool(before)
    memory.configure_allocators.cache_clear()
