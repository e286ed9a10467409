"""The two pages about images, run without a browser on a synthetic run and a stand-in model."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from app_pages import components, loaders
from src import config
from src.data import studies
from src.evaluation import thresholds
from src.runs import published
from src.serving import inference
from src.serving.classifier import Classifier, sorting
from tests import factories, words

CLASSES = factories.CLASSES
DATA, CLASSIFIER = "app_pages/data_visualizer.py", "app_pages/image_classifier.py"
TABS = {
    "Categories": 1,
    "Images": 0,
    "Light and colour": 2,
    "Map": 1,
    "Similar classes": 4,
    "Preparation": 0,
    "Exact copies": 0,
}  # charts each of them draws


class StandIn:
    """A model whose answer can be foreseen: white is an airplane, black none, spots nothing."""

    image_shape, name, precision = (32, 32, 3), "best", "float32"

    def __init__(self) -> None:
        self.classes: tuple[str, ...] = CLASSES
        self.batches: list[int] = []

    def predict(self, pixels: np.ndarray) -> inference.Prediction:
        self.batches.append(len(pixels))
        values = np.sort(pixels.reshape(len(pixels), -1), axis=1)
        spot = values.shape[1] // 20
        white = values[:, spot:-spot].mean(1) / 255
        others = len(self.classes) - 1
        rest = np.repeat((1 - white)[:, None] / others, others, axis=1)
        probabilities = np.hstack([white[:, None], rest]).astype(np.float32)
        activation = np.zeros((len(pixels), 4, 4, 1 + others), np.float32)
        activation[:, 0, 0, 0] = 1.0  # the upper left speaks for an airplane
        return inference.Prediction(
            logits=np.log(probabilities + 1e-9),
            probabilities=probabilities,
            embedding=np.zeros((len(pixels), 2), np.float32),
            activation=activation,
            milliseconds=float(len(pixels)),
        )


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    factories.write_run(folder, models=("best",))
    factories.write_run(folder, study="digits", classes=("0", "1", "2"), models=("plain", "best"))
    return folder


@pytest.fixture
def app(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("OUTPUTS_DIR", str(outputs))
    return AppTest.from_file(str(config.ROOT / "app.py"), default_timeout=60)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()

    def opened(run: published.Run, model: str, _: str = "float32") -> Classifier:
        return Classifier(run, stand_in, sorting(run, model))  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "of", opened)
    return stand_in


def texts(app: AppTest) -> str:
    shown = [*app.markdown, *app.caption, *app.warning]
    return "\n".join(str(element.value).replace("\\", "") for element in shown)


def images(app: AppTest) -> list[Any]:
    return [image for block in app.get("image") for image in block.proto.imgs]


def shown_alts(app: AppTest) -> list[str]:
    return [image.alt for image in images(app)]


def fine(app: AppTest) -> AppTest:
    assert not app.exception
    assert not app.error
    return app


# --- data visualizer -----------------------------------------------------------------------


@pytest.fixture
def data(app: AppTest) -> AppTest:
    return fine(app.switch_page(DATA).run())


def test_data_visualizer_opens_with_its_finding_and_five_figures(data: AppTest) -> None:
    assert data.title[0].value == "Data visualizer"
    assert data.markdown[0].value == (
        "#### Every category has 380 images. Cat and dog look most alike. "
        "2 images are exact copies of another."
    )
    assert [(metric.label, metric.value) for metric in data.metric] == [
        ("Images", "3,800"),
        ("Categories", "10"),
        ("Image size", "32 × 32"),
        ("Most similar", "cat, dog"),
        ("Exact copies", "2"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("tab", TABS)
def test_every_tab_draws_its_charts_with_alternative_texts(data: AppTest, tab: str) -> None:
    data.session_state["look"] = tab
    charts = fine(data.run()).get("plotly_chart")
    assert len(charts) == TABS[tab]
    assert all(chart.proto.alt for chart in charts)


def test_a_link_opens_the_tab_the_categories_and_the_draw(app: AppTest) -> None:
    app.query_params.update({"look": "Images", "show": ["cat", "dog"], "mix": "7"})
    fine(app.switch_page(DATA).run())
    assert app.pills(key="show").value == ["cat", "dog"]
    assert app.number_input(key="mix").value == 7
    captions = [image.caption for image in images(app)]
    assert len(captions) == 24
    assert set(captions) == {"cat", "dog"}


def test_montage_is_the_same_for_the_same_number_and_another_after_shuffling(
    data: AppTest,
) -> None:
    data.session_state["look"] = "Images"
    first = shown_alts(fine(data.run()))
    assert len(first) == 24
    assert shown_alts(fine(data.run())) == first
    next(b for b in data.button if b.label == "Shuffle").click()
    assert shown_alts(fine(data.run())) != first
    data.session_state["mix"] = 1
    assert shown_alts(fine(data.run())) == first


def test_counts_follow_the_category_filter(data: AppTest) -> None:
    data.pills(key="show").set_value(["ship"])
    assert "**Every category has 380 images**" in texts(fine(data.run()))
    assert "n = 380" in texts(data)


def test_two_chosen_classes_are_compared(data: AppTest) -> None:
    data.session_state["look"] = "Similar classes"
    fine(data.run())
    assert [data.selectbox(key=key).value for key in ("one", "two")] == ["cat", "dog"]
    data.selectbox(key="two").set_value("ship")
    assert [header.value for header in fine(data.run()).subheader] == ["Cat and ship"]
    data.selectbox(key="one").set_value("ship")
    assert "Choose two different categories" in texts(fine(data.run()))


def test_choices_of_one_study_do_not_break_another(data: AppTest) -> None:
    data.session_state["look"] = "Similar classes"
    data.pills(key="show").set_value(["ship"])
    fine(data.run())
    data.selectbox(key="study").set_value("digits")
    fine(data.run())
    assert data.markdown[0].value.startswith("#### The categories are nearly balanced")
    assert {data.selectbox(key=key).value for key in ("one", "two")} <= {"0", "1", "2"}


def test_identical_pictures_are_listed(data: AppTest) -> None:
    data.session_state["look"] = "Exact copies"
    table = fine(data.run()).dataframe[0].value
    assert list(table["images"]) == [2, 2]
    assert list(table["mislabelled"]) == [True, True]


# --- image classifier ----------------------------------------------------------------------


def picture(
    level: int = 255, size: tuple[int, int] = (64, 48), kind: str = "PNG", **how: Any
) -> bytes:
    """An image of one grey, but for a black spot in the upper left of its middle square."""
    image = Image.new("RGB", size, (level, level, level))
    corner, side = (max(size) - min(size)) // 2, min(size) // 8
    image.paste((0, 0, 0), (corner, 0, corner + side, side))
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def of_one_colour() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of validation images is asked for: a run of a test is too small to assure one."""
    case = studies.case("cifar10")
    target = replace(case.sorting, assured=False)
    monkeypatch.setattr(studies, "case", lambda _: replace(case, sorting=target))


@pytest.fixture
def classifier(app: AppTest, model: StandIn, lenient: None) -> AppTest:
    return fine(app.switch_page(CLASSIFIER).run())


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    for name, content in files:
        app.file_uploader[0].upload(name, content)
    return fine(app.run())


def table(app: AppTest) -> pd.DataFrame:
    return app.dataframe[0].value


def threshold() -> float:
    scored = [
        loaders.scored(loaders.Subject("cifar10", "v1", "best", split))
        for split in ("validation", "test")
    ]
    found = thresholds.sorting(studies.case("cifar10").sorting, *scored).threshold
    assert found is not None
    return found


def test_classifier_without_photos_says_the_policy_and_what_to_do(classifier: AppTest) -> None:
    answer = classifier.markdown[0].value
    assert answer == (
        f"#### Photos with at least {100 * threshold():.1f}\u00a0% confidence are sorted "
        "automatically; people check the others"
    )
    assert "Drop photos into the field above" in texts(classifier)
    assert len(classifier.metric) <= 5


def test_many_photos_are_answered_together_in_their_order(
    classifier: AppTest, model: StandIn
) -> None:
    upload(classifier, ("white.png", picture(255)), ("grey.png", picture(128)))
    assert model.batches == [2]
    rows = table(classifier)
    assert list(rows["file"]) == ["white.png", "grey.png"]
    assert list(rows["category"]) == ["airplane", "airplane"]
    assert list(rows["confidence"]) == pytest.approx([1.0, 128 / 255])
    assert list(rows["decision"]) == ["sort automatically", "needs checking"]
    assert list(rows["model_ms"]) == [1.0, 1.0]
    assert "1 of 2 photos sorted automatically, 1 needs checking" in texts(classifier)
    assert len(classifier.get("plotly_chart")) == 2


def test_a_photo_of_one_colour_needs_checking(classifier: AppTest) -> None:
    upload(classifier, ("empty.png", of_one_colour()))
    assert list(table(classifier)["decision"]) == ["needs checking"]
    assert "Decision: one colour only, nothing to recognise." in texts(classifier)


def test_a_card_shows_the_photo_what_the_model_saw_and_the_evidence(classifier: AppTest) -> None:
    upload(classifier, ("white.png", picture(255)))
    assert shown_alts(classifier)[-3:] == [
        "The photo white.png",
        "What the model saw",
        "What the model saw. Strongest evidence for airplane: upper left",
    ]
    assert "#### Airplane, more than 99.999\u00a0%" in texts(classifier)
    assert "white.png: PNG, 64 × 48, cropped to the centre, resized to 32 × 32." in texts(
        classifier
    )
    why = next(box for box in classifier.selectbox if box.label == "Evidence for")
    why.set_value(1)
    fine(classifier.run())
    assert shown_alts(classifier)[-1].endswith("No evidence for automobile in this image")
    exact = [image.url.startswith("data:image/png") for image in images(classifier)[-2:]]
    assert exact == [True, True]


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(200, (64, 48), "JPEG", exif=exif)


def animated() -> bytes:
    frames = [Image.new("RGB", (20, 20), (level,) * 3) for level in (250, 5)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def saved(mode: str, colour: Any, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (20, 20), colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "note", "white"),
    [
        (rotated, "rotated by its EXIF tag; cropped to the centre", 200 / 255),
        (animated, "first of several frames", 250 / 255),
        (lambda: saved("RGBA", (0, 0, 0, 0)), "transparency laid on white", 1.0),
        (lambda: saved("I;16", 204 * 257), "16-bit scaled to 8-bit", 0.8),
        (lambda: saved("CMYK", (0, 0, 0, 0), "JPEG"), "CMYK converted", 1.0),
    ],
    ids=["rotated", "animated", "transparent", "16-bit", "CMYK"],
)
def test_unusual_photos_get_a_right_answer_and_a_note(
    classifier: AppTest, make: Callable[[], bytes], note: str, white: float
) -> None:
    upload(classifier, ("unusual.png", make()))
    (row,) = table(classifier).to_dict("records")
    assert row["notes"] == f"{note}; resized to 32 × 32"
    assert row["p_airplane"] == pytest.approx(white, abs=0.01)


def test_bad_files_are_named_with_a_reason_and_spoil_nothing(
    classifier: AppTest, model: StandIn
) -> None:
    whole = picture(90, (300, 300), "JPEG")
    upload(
        classifier,
        ("empty.png", b""),
        ("not an image.png", b"hello"),
        ("good.png", picture(255)),
        ("half.jpg", whole[: len(whole) // 2]),
        ("huge.png", picture(0, (9000, 5000))),
    )
    assert list(table(classifier)["file"]) == ["good.png"]
    assert model.batches == [1]
    (warning,) = classifier.warning
    lines = warning.value.replace("\\", "").splitlines()
    assert lines[0] == "4 files were not added."
    assert [line.split("**")[1] for line in lines if line.startswith("- ")] == [
        "empty.png",
        "not an image.png",
        "half.jpg",
        "huge.png",
    ]
    for part in ("is empty", "not an image", "damaged or incomplete", "too large"):
        assert part in warning.value


def test_the_warning_goes_with_the_next_addition(classifier: AppTest) -> None:
    upload(classifier, ("bad.png", b"hello"))
    assert len(classifier.warning) == 1
    upload(classifier, ("good.png", picture()))
    assert not classifier.warning


def test_the_same_bytes_are_kept_once_and_answered_once(
    classifier: AppTest, model: StandIn
) -> None:
    upload(classifier, ("a.png", picture(255)))
    upload(classifier, ("b.png", picture(255)), ("c.png", picture(10)))
    assert list(table(classifier)["file"]) == ["b.png", "c.png"]
    assert model.batches == [1, 1]
    (told,) = classifier.info
    assert told.value.replace("\\", "") == (
        "**b.png** is the same photo as **a.png**. The list holds it once."
    )
    upload(classifier, ("d.png", picture(77)))
    assert not classifier.info


def test_a_file_of_another_type_is_named_beside_the_accepted_ones(classifier: AppTest) -> None:
    upload(classifier, ("good.png", picture()), ("drawing.psd", b"8BPS\0\1"))
    assert list(table(classifier)["file"]) == ["good.png"]
    assert "is a Photoshop document" in classifier.warning[0].value


def test_the_list_has_a_limit_and_says_so(
    classifier: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 40
    upload(classifier, *((f"{level}.png", picture(level)) for level in range(limit + 2)))
    assert len(table(classifier)) == limit
    assert classifier.warning[0].value.count(f"holds {limit} photos") == 2
    assert len(classifier.get("plotly_chart")) == 5  # the cards come in pages


def test_photos_and_answers_survive_another_page(classifier: AppTest, model: StandIn) -> None:
    upload(classifier, ("a.png", picture(255)))
    fine(classifier.switch_page("app_pages/project_summary.py").run())
    fine(classifier.switch_page(CLASSIFIER).run())
    assert list(table(classifier)["file"]) == ["a.png"]
    assert model.batches == [1]


def test_another_precision_or_fit_is_answered_anew_and_kept(
    classifier: AppTest, model: StandIn
) -> None:
    upload(classifier, ("wide.png", picture(0, (64, 32))))
    assert table(classifier)["p_airplane"].tolist() == [0.0]
    classifier.segmented_control(key="fit").set_value("pad")
    fine(classifier.run())
    assert table(classifier)["p_airplane"].tolist() == pytest.approx([0.5], abs=0.05)
    classifier.segmented_control(key="fit").set_value("crop")
    fine(classifier.run())
    assert model.batches == [1, 1]
    (before,) = [metric.value for metric in classifier.metric if metric.label == "Accuracy"]
    classifier.segmented_control(key="precision").set_value("int8")
    fine(classifier.run())
    assert model.batches == [1, 1, 1]
    (after,) = [metric.value for metric in classifier.metric if metric.label == "Accuracy"]
    assert float(after.split()[0]) < float(before.split()[0])  # the figures are those of the file


def test_another_study_keeps_the_photos_and_asks_its_own_model(
    classifier: AppTest, model: StandIn
) -> None:
    upload(classifier, ("a.png", picture(255)))
    model.classes = ("0", "1", "2")
    classifier.selectbox(key="study").set_value("digits")
    fine(classifier.run())
    assert list(table(classifier)["file"]) == ["a.png"]
    assert model.batches == [1, 1]


def test_an_example_is_classified_with_a_click(classifier: AppTest) -> None:
    examples = [button for button in classifier.button if button.label in CLASSES]
    assert [button.label for button in examples] == list(CLASSES)
    examples[3].click()
    (row,) = table(fine(classifier.run())).to_dict("records")
    assert row["known_category"] == "cat"
    assert "True label: cat" in texts(classifier)


def chosen(app: AppTest) -> dict[str, str]:
    keys = ("precision", "fit")
    return {key: app.segmented_control(key=key).value for key in keys} | {
        "model": app.selectbox(key="model").value
    }


@pytest.fixture
def visit(app: AppTest, model: StandIn) -> Callable[..., AppTest]:
    """Opens the page by a link to the digits, in a browser that was not here before."""

    def follow(**query: str) -> AppTest:
        opened = AppTest.from_file(str(config.ROOT / "app.py"), default_timeout=60)
        opened.query_params.update({"study": "digits", "version": "v1"} | query)
        return fine(opened.switch_page(CLASSIFIER).run())

    return follow


@pytest.mark.parametrize(
    "query",
    [
        {"model": "plain", "fit": "pad", "precision": "int8"},
        {"model": factories.TITLES["plain"], "fit": "Pad with white", "precision": "int8"},
    ],
    ids=["keys", "titles of older links"],
)
def test_a_link_opens_the_model_the_fit_and_the_precision(
    visit: Callable[..., AppTest], query: dict[str, str]
) -> None:
    app = visit(**query)
    assert chosen(app) == {"model": "plain", "fit": "pad", "precision": "int8"}
    assert not app.warning


def test_an_older_link_to_the_default_fit_is_understood(visit: Callable[..., AppTest]) -> None:
    app = visit(fit="Cut to the middle")
    assert (chosen(app)["fit"], list(app.warning)) == ("crop", [])


@pytest.mark.parametrize(
    ("key", "noun", "shown"),
    [("model", "model", factories.TITLES["best"]), ("fit", "fit", "Crop to the centre")],
)
def test_a_link_to_what_is_not_there_says_so_in_one_line(
    visit: Callable[..., AppTest], key: str, noun: str, shown: str
) -> None:
    app = visit(**{key: "nonsense"})
    (warning,) = app.warning
    assert warning.value == f"There is no {noun} “nonsense” here; showing “{shown}”."
    assert chosen(app) == {"model": "best", "fit": "crop", "precision": "float32"}


def test_photos_can_be_removed(classifier: AppTest) -> None:
    upload(classifier, ("a.png", picture(255)), ("b.png", picture(9)))
    next(button for button in classifier.button if button.label == "Remove").click()
    fine(classifier.run())
    assert list(table(classifier)["file"]) == ["b.png"]
    next(button for button in classifier.button if button.label == "Remove all").click()
    assert not fine(classifier.run()).dataframe


def test_the_csv_never_starts_a_formula(classifier: AppTest) -> None:
    upload(classifier, ("=HYPERLINK(1).png", picture(255)), ("@b.png", picture(9)))
    frame = table(classifier).drop(columns="image")
    written = pd.read_csv(io.BytesIO(components.csv_bytes(frame)))
    assert list(written["file"]) == ["'=HYPERLINK(1).png", "'@b.png"]
    assert written["p_airplane"].iloc[0] == 1.0


def test_an_altered_model_is_told_and_the_rest_of_the_page_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: AppTest
) -> None:
    run = factories.write_run(tmp_path, models=("best",))
    (run / "models/best/model.tflite").write_bytes(b"something else")
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    st.cache_data.clear()
    st.cache_resource.clear()
    app.switch_page(CLASSIFIER).run()
    app.file_uploader[0].upload("a.png", picture())
    app.run()
    assert not app.exception
    (error,) = app.error
    assert "was changed after publication" in error.value.replace("\\", "")
    assert app.title[0].value == "Image classifier"


def test_an_uploads_own_bytes_are_never_shown(classifier: AppTest) -> None:
    secret = picture(255, kind="JPEG") + b"<script>alert(1)</script>"
    upload(classifier, ("<b>x</b>.jpg", secret))
    kept = classifier.session_state["photos"]
    (photo,) = kept.values()
    assert photo.thumbnail.startswith(b"\x89PNG")
    assert b"script" not in photo.thumbnail
    assert r"\<b\>x\</b\>\.jpg" in "\n".join(str(c.value) for c in classifier.caption)


@pytest.mark.slow
def test_a_damaged_study_does_not_block_uploads_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: AppTest
) -> None:
    factories.write_run(tmp_path, models=("best",))
    damaged = factories.write_run(tmp_path, study="digits", classes=("0", "1"), models=("best",))
    (damaged / "manifest.json").write_text("{")
    card = factories.write_run(tmp_path, study="mnist", classes=("0", "1"), models=("best",))
    (card / "dataset.json").write_text("{}")
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    st.cache_data.clear()
    st.cache_resource.clear()
    monkeypatch.setattr(
        Classifier,
        "of",
        lambda run, model, _="float32": Classifier(run, StandIn(), sorting(run, model)),
    )
    fine(app.switch_page(CLASSIFIER).run())
    upload(app, ("white.png", picture(255)))
    assert list(table(app)["category"]) == ["airplane"]


@pytest.mark.slow
def test_a_version_with_another_image_shape_classifies_the_same_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: AppTest
) -> None:
    factories.write_run(tmp_path, models=("best",), shape=(16, 16, 3))
    factories.write_run(tmp_path, version="v2", models=("best",))
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    st.cache_data.clear()
    st.cache_resource.clear()
    saw: list[tuple[int, ...]] = []

    class Seeing(StandIn):
        def predict(self, pixels: np.ndarray) -> inference.Prediction:
            saw.append(pixels.shape)
            return super().predict(pixels)

    monkeypatch.setattr(
        Classifier,
        "of",
        lambda run, model, _="float32": Classifier(run, Seeing(), sorting(run, model)),
    )
    fine(app.switch_page(CLASSIFIER).run())
    upload(app, ("white.png", picture(255)))
    for version in ("v1", "v2"):
        app.selectbox(key="version").set_value(version)
        fine(app.run())
        assert list(table(app)["category"]) == ["airplane"]
    assert set(saw) == {(1, 32, 32, 3), (1, 16, 16, 3)}


# --- words ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", TABS)
def test_the_data_visualizer_uses_plain_words(data: AppTest, tab: str) -> None:
    data.session_state["look"] = tab
    assert words.found("\n".join(words.of_page(fine(data.run())))) == []


def test_the_classifier_uses_plain_words(classifier: AppTest) -> None:
    assert words.found("\n".join(words.of_page(classifier))) == []
    upload(classifier, ("white.png", picture(255)), ("broken.png", b"hello"))
    said = list(words.of_page(classifier))
    assert words.found("\n".join(said)) == []
