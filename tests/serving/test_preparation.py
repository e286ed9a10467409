"""Photos of what light-on-black studies learned: found, inverted and placed as their images are."""

import functools
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw

from src import config
from src.data import folders, images, studies
from src.data.decoding import DecodedImage
from src.data.specification import DIGITS, Uploads
from src.runs import published
from src.serving import drawing, garment, ink
from src.serving.classifier import Classifier
from src.serving.preparation import Preparation, Prepared, Shape, preparation, prepare, ways

GARMENT = Preparation((28, 28, 1), "crop", "dark", "garment")
DIGIT = Preparation((28, 28, 1), "crop", "dark", "digit")
PAPER, INK = 225.0, 45.0


def decoded(rgb: images.Pixels) -> DecodedImage:
    return DecodedImage(rgb, "PNG", (rgb.shape[1], rgb.shape[0]), ())


def photographed(strokes: drawing.Strokes, side: int = 300) -> DecodedImage:
    """A drawing with a dark pen on paper, a shadow over one corner, and the camera's noise."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 0.55 * side / max(high - low)
    page = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(page)
    for stroke in strokes:
        placed = (stroke - (low + high) / 2) * scale + side / 2
        pen.line([tuple(point) for point in placed.tolist()], fill=255, width=12, joint="curve")
    drawn = np.asarray(page, np.float64)[..., np.newaxis] / 255
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    light = (1 - 0.4 * x * y)[..., np.newaxis] * np.array([1.0, 0.97, 0.9])
    noise = np.random.default_rng(config.SEED).normal(0, 4, (side, side, 3))
    pixels = (PAPER * (1 - drawn) + INK * drawn) * light + noise
    return decoded(np.clip(pixels, 0, 255).astype(np.uint8))


def shirt(ground: Sequence[int], cloth: Sequence[int], noise: float = 3) -> images.Pixels:
    """A T-shirt, 150 pixels high and 140 wide, to the left of the middle of a photo."""
    outline = [(0, 20), (45, 0), (95, 0), (140, 20), (130, 60), (105, 50), (105, 150), (35, 150)]
    outline += [(35, 50), (10, 60)]
    photo = Image.new("RGB", (240, 220), tuple(ground))
    ImageDraw.Draw(photo).polygon([(x + 40, y + 30) for x, y in outline], fill=tuple(cloth))
    grain = np.random.default_rng(config.SEED).normal(0, noise, (220, 240, 3))
    return np.clip(np.asarray(photo, np.float64) + grain, 0, 255).astype(np.uint8)


# --- the study's own images --------------------------------------------------------------------


@pytest.mark.parametrize("study", ["fashion_mnist", "mnist", "digits"])
def test_a_studys_own_images_pass_unchanged(study: str) -> None:
    run = published.open_run(study, published.versions(study)[0])
    how = preparation(run)
    assert how.ground == "dark"
    for png in run.table("gallery.parquet")["png"]:
        own = images.from_png(png)
        result = prepare(decoded(own), how)
        assert result.notes == ()
        assert result.doubt == ""
        np.testing.assert_array_equal(result.pixels, own[..., :1])


def test_their_negatives_are_inverted() -> None:
    own = np.zeros((28, 28, 3), np.uint8)
    own[6:22, 10:18] = 200
    result = prepare(decoded(255 - own), DIGIT)
    np.testing.assert_array_equal(result.pixels, own[..., :1])
    assert result.notes == ("inverted, as the study's images are light on black",)


# --- garments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ground", "cloth"),
    [
        ((250, 250, 250), (30, 40, 90)),
        ((214, 200, 180), (150, 30, 40)),
        ((90, 95, 90), (235, 220, 60)),
    ],
    ids=["navy on white", "red on beige", "yellow on grey"],
)
def test_a_garment_is_cut_out_and_placed(ground: Sequence[int], cloth: Sequence[int]) -> None:
    result = prepare(decoded(shirt(ground, cloth)), GARMENT)
    assert result.doubt == ""
    image = result.pixels[..., 0]
    rows, columns = (np.flatnonzero((image > 8).any(axis)) for axis in (1, 0))
    assert (rows[0], rows[-1]) == (0, 27)  # the longer side fills the image
    assert abs(columns[0] - (27 - columns[-1])) <= 1
    assert image[14:, :5].max() == image[14:, -5:].max() == 0  # beside the body
    assert image[10:24, 10:18].min() > 40


def test_a_plain_background_under_a_shadow_is_certain() -> None:
    for ground in ((226, 214, 196), (250, 250, 250), (120, 80, 50)):
        shade = np.linspace(1, 0.7, 240)[np.newaxis, :, np.newaxis]
        found = garment.find((shirt(ground, (30, 50, 120)) * shade).astype(np.uint8))
        assert found is not None
        assert found.certainty >= 0.9


def test_a_photo_without_a_plain_background_is_doubted() -> None:
    noise = np.random.default_rng(config.SEED).integers(0, 256, (200, 200, 3), np.uint8)
    assert prepare(decoded(noise), GARMENT).doubt


def test_one_colour_has_no_garment() -> None:
    plain = np.full((60, 80, 3), 200, np.uint8)
    assert prepare(decoded(plain), GARMENT).doubt == "no plain background found"


def test_doubted_photos_are_checked_however_sure_the_model_is() -> None:
    model = Classifier.open("fashion_mnist")
    label = model.model.classes[0]
    assert model.decide(label, 1.0)[0] == "automatic"
    assert model.decide(label, 1.0, doubt="no plain background found") == (
        "check",
        "no plain background found",
    )


# --- digits ------------------------------------------------------------------------------------


@functools.cache
def written() -> tuple[drawing.Drawing, ...]:
    return tuple(drawing.load(config.drawings_file()))


@pytest.mark.slow
@pytest.mark.parametrize("study", ["mnist", "digits"])
def test_digits_on_paper_are_read(study: str) -> None:
    model = Classifier.open(study)
    how = preparation(model.run)
    results: list[Prepared] = [prepare(photographed(drawn.strokes), how) for drawn in written()]
    assert [result.doubt for result in results] == [""] * len(results)
    answers = model.classify(np.stack([result.pixels for result in results]))
    right = [one.label == drawn.label for one, drawn in zip(answers, written(), strict=True)]
    assert sum(right) >= len(right) - 1


@pytest.mark.parametrize("axis", [0, 1], ids=["one below another", "side by side"])
def test_several_digits_in_a_photo_are_told(axis: int) -> None:
    both = np.concatenate([photographed(drawn.strokes).rgb for drawn in written()[:2]], axis)
    result = prepare(decoded(both), DIGIT)
    assert result.doubt == "more than one character found"
    assert result.pixels.any()


def test_chalk_on_a_board_is_read_as_ink_on_paper() -> None:
    strokes = written()[0].strokes
    paper = photographed(strokes).rgb
    dark, light = (prepare(decoded(rgb), DIGIT) for rgb in (paper, 255 - paper))
    assert dark.notes[0] == "dark strokes found"
    assert light.notes[0] == "light strokes found"
    assert np.abs(dark.pixels.astype(int) - light.pixels).mean() < 4


def test_bare_paper_has_no_ink() -> None:
    grain = np.random.default_rng(config.SEED).normal(220, 5, (120, 120, 3))
    paper = grain.astype(np.uint8)
    assert ink.find(paper) is None
    assert prepare(decoded(paper), DIGIT).doubt == "no strokes found on a plain background"


# --- whatever comes ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("study", ["fashion_mnist", "mnist", "digits"])
@pytest.mark.parametrize("negative", [False, True], ids=["on black", "on white"])
def test_a_studys_own_images_enlarged_get_the_same_answers(study: str, negative: bool) -> None:
    model = Classifier.open(study)
    how = preparation(model.run)
    own = [images.from_png(png) for png in model.run.table("gallery.parquet")["png"][:25]]
    larger = [np.asarray(Image.fromarray(one).resize((280, 280))) for one in own]
    before = model.classify(np.stack([one[..., :1] for one in own]))
    shown = [prepare(decoded(255 - one if negative else one), how).pixels for one in larger]
    after = model.classify(np.stack(shown))
    alike = [a.label == b.label for a, b in zip(before, after, strict=True)]
    assert np.mean(alike) >= 0.8


@pytest.mark.parametrize("how", [GARMENT, DIGIT, Preparation((28, 28, 1), "pad", "dark")])
@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 1), (2, 3), (7, 900), (28, 28)])
@pytest.mark.parametrize("kind", ["black", "grey", "white", "noise"])
def test_every_photo_gives_an_input(how: Preparation, size: tuple[int, int], kind: str) -> None:
    level = {"black": 0, "grey": 128, "white": 255}.get(kind)
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3))
    rgb = (noise if level is None else np.full((*size, 3), level)).astype(np.uint8)
    result = prepare(decoded(rgb), how)
    assert (result.pixels.shape, result.pixels.dtype) == ((28, 28, 1), np.uint8)


def test_padding_has_the_studys_own_ground() -> None:
    tall = np.full((40, 20, 3), 90, np.uint8)
    dark = prepare(decoded(tall), Preparation((8, 8, 1), "pad", "dark"))
    light = prepare(decoded(tall), Preparation((8, 8, 3), "pad"))
    assert (dark.pixels[:, 0].max(), light.pixels[:, 0].min()) == (0, 255)
    assert "padded with black" in dark.notes
    assert "padded with white" in light.notes


def test_a_choice_of_fit_is_there_only_for_whole_photos() -> None:
    cifar10, mnist = (published.open_run(s, published.versions(s)[0]) for s in ("cifar10", "mnist"))
    shape: Shape = (32, 32, 3)
    assert ways(cifar10) == (Preparation(shape, "crop"), Preparation(shape, "pad"))
    assert ways(mnist) == (DIGIT,)
    assert preparation(mnist, "pad") == DIGIT


def test_a_study_without_a_file_is_cropped_and_no_folder_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("a folder was read")

    monkeypatch.setattr(folders, "names", read)
    monkeypatch.setattr(folders, "specification", read)
    assert studies.uploads("a folder that is gone") == Uploads("crop", "any", "whole")


def test_digits_can_be_placed_where_they_can_be_drawn() -> None:
    assert set(DIGITS) == set(drawing.STYLES)
