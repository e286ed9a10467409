"""The way in for drawings, without a browser, on a published run with a real model."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app_pages import canvas
from src import config
from src.data import images
from src.runs import published
from src.serving import drawing, inference
from tests import factories, words

CLASSIFIER = "app_pages/image_classifier.py"
DRAWINGS = drawing.load(config.drawings_file())
DIGITS = published.open_run("digits", published.versions("digits")[0])
SEVEN = next(d for d in DRAWINGS if d.label == "7")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published digits as v2, as v1 without what is measured on drawings, a colour study."""
    folder = tmp_path_factory.mktemp("outputs")
    factories.write_run(folder, models=("best",))
    for version in ("v1", "v2"):
        shutil.copytree(DIGITS.folder, folder / "digits" / version)
    remove_drawings(folder / "digits/v1")
    return folder


def remove_drawings(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("drawings.parquet", "drawings.json"):
        (folder / name).unlink()
        del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def app(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("OUTPUTS_DIR", str(outputs))
    return AppTest.from_file(str(config.ROOT / "app.py"), default_timeout=60)


def opened(app: AppTest, **query: str) -> AppTest:
    app.query_params.update({"study": "digits", "version": "v1"} | query)
    return fine(app.switch_page(CLASSIFIER).run())


def fine(app: AppTest) -> AppTest:
    assert not app.exception
    assert not app.error
    return app


def texts(app: AppTest) -> str:
    return "\n".join(
        str(element.value).replace("\\", "") for element in [*app.markdown, *app.caption]
    )


def alts(app: AppTest) -> list[str]:
    return [image.alt for block in app.get("image") for image in block.proto.imgs]


def boards(app: AppTest) -> list[dict[str, Any]]:
    """What the canvas on the page is given."""
    return [json.loads(board.proto.mixed.json or board.proto.json) for board in components(app)]


def components(app: AppTest) -> list[Any]:
    return list(app.get("bidi_component"))


def drawn(app: AppTest, strokes: tuple[drawing.Points, ...], turn: int = 0) -> AppTest:
    """Go on as after strokes came from the canvas."""
    app.session_state[canvas.KEPT] = canvas.Sketch(strokes, 1, turn)
    return fine(app.run())


def test_a_study_of_digits_opens_with_a_canvas_and_says_what_to_do(app: AppTest) -> None:
    opened(app)
    assert app.segmented_control(key="way").value == "draw"
    assert "Draw one digit. The result appears here while you draw." in texts(app)
    assert boards(app) == [{"strokes": [], "revision": 0, "turn": 0, "pen": drawing.PEN}]
    assert not app.get("plotly_chart")
    assert not app.get("file_uploader")


def test_photos_are_one_click_away_and_in_the_address(app: AppTest) -> None:
    opened(app, way="Photos")
    assert not components(app)
    assert "Drop photos into the field above" in texts(app)


def test_other_studies_have_no_canvas(app: AppTest) -> None:
    opened(app, study="cifar10", way="Draw")
    assert not components(app)
    assert [control.key for control in app.segmented_control] == ["precision", "fit"]


def test_a_drawing_is_answered_as_the_model_answers_it(app: AppTest) -> None:
    opened(app)
    drawn(app, SEVEN.strokes)
    served = inference.load(DIGITS, "best")
    said = served.predict(drawing.normalise(SEVEN.strokes, (8, 8, 1))[None]).probabilities[0]
    assert said.argmax() == 7
    assert f"#### 7, {100 * said[7]:.1f}\u00a0%" in texts(app)
    assert alts(app)[0] == "What the model saw"
    assert alts(app)[1].startswith("What the model saw. Strongest evidence for 7: ")
    assert len(app.get("plotly_chart")) == 1


def test_the_shown_picture_has_the_exact_pixels(app: AppTest) -> None:
    drawn(opened(app), SEVEN.strokes)
    image = next(i for block in app.get("image") for i in block.proto.imgs)
    assert image.caption == "What the model saw: 8 × 8"
    kind, content = image.url.split(",")
    assert kind == "data:image/png;base64"
    shown = images.from_png(base64.b64decode(content))
    seen = drawing.normalise(SEVEN.strokes, (8, 8, 1))
    np.testing.assert_array_equal(shown[::20, ::20, :1], seen)
    np.testing.assert_array_equal(shown[19::20, 19::20, :1], seen)


def test_a_drawing_survives_another_page_and_another_model(app: AppTest) -> None:
    drawn(opened(app), SEVEN.strokes)
    fine(app.switch_page("app_pages/project_summary.py").run())
    fine(app.switch_page(CLASSIFIER).run())
    (board,) = boards(app)
    assert board["strokes"] == [stroke.tolist() for stroke in SEVEN.strokes]
    app.selectbox(key="model").set_value("plain")
    assert "#### 7, " in texts(fine(app.run()))


def test_a_test_drawing_is_put_into_the_canvas(app: AppTest) -> None:
    opened(app)
    app.selectbox(key="test_drawing").set_value(0)
    fine(app.run())
    (board,) = boards(app)
    assert board["strokes"] == [stroke.tolist() for stroke in DRAWINGS[0].strokes]
    assert board["turn"] == 1
    assert app.selectbox(key="test_drawing").value is None
    assert "#### 0, " in texts(app)


def sent(app: AppTest, monkeypatch: pytest.MonkeyPatch, value: dict[str, Any]) -> canvas.Sketch:
    """What is kept after a browser sent something."""
    state: dict[str, Any] = {canvas.KEPT: canvas.Sketch(SEVEN.strokes, 4, 2)}
    monkeypatch.setattr(st, "session_state", state)
    canvas.keep(value)
    kept: canvas.Sketch = state[canvas.KEPT]
    return kept


def test_what_the_canvas_sends_is_kept_and_acknowledged(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"strokes": [[[0.1, 0.2], [0.3, 0.4]]], "revision": 5, "turn": 2}
    kept = sent(app, monkeypatch, value)
    assert [stroke.tolist() for stroke in kept.strokes] == value["strokes"]
    assert kept[1:] == (5, 2, "")


def test_what_was_sent_before_the_drawing_was_replaced_is_dropped(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = sent(app, monkeypatch, {"strokes": [], "revision": 9, "turn": 1})
    assert kept == canvas.Sketch(SEVEN.strokes, 4, 2)


def test_no_drawing_is_refused_with_a_reason(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = sent(app, monkeypatch, {"strokes": [["x"]], "revision": 5, "turn": 2})
    assert kept == canvas.Sketch((), 5, 2, "A stroke must be a list of [x, y].")
    monkeypatch.undo()


def test_the_reason_is_shown(app: AppTest) -> None:
    opened(app)
    app.session_state[canvas.KEPT] = canvas.Sketch((), 5, 2, "The drawing is too long.")
    assert [warning.value for warning in fine(app.run()).warning] == ["The drawing is too long."]


def test_without_measurements_nothing_is_claimed_about_drawings(app: AppTest) -> None:
    opened(app)
    assert app.markdown[0].value == "#### Draw a digit and see what the model reads while you draw"
    assert not app.dataframe
    assert [metric.label for metric in app.metric] == ["Accuracy", "Time per photo"]


def test_what_was_measured_on_drawings_is_shown_with_n_and_interval(
    app: AppTest, outputs: Path
) -> None:
    told = json.loads((outputs / "digits/v2/drawings.json").read_text())
    found = told["models"]["best"]["accuracy"]
    share, resized = (found[kind]["as drawn"] for kind in ("strokes", "resized"))
    opened(app, version="v2")
    assert app.markdown[0].value == (
        f"#### The model reads {share['right']} of 20 test drawings correctly. Draw your own"
    )
    metric = next(m for m in app.metric if m.label == "Drawings read correctly")
    assert metric.value == f"{100 * share['value']:.1f}\u00a0%"
    assert metric.delta == f"{100 * share['low']:.1f}–{100 * share['high']:.1f}\u00a0%"
    assert "n = 20 drawings" in texts(app)
    assert (
        f"model reads {resized['right']} of 20 drawings correctly instead of {share['right']}: "
        in texts(app)
    )
    table = app.dataframe[0].value
    assert list(table["variant"]) == [v.capitalize() for v in drawing.VARIANTS]
    assert table["resized"][0].startswith(f"{resized['right']} of 20, ")


def measured(ours: int, resized: int, p: float) -> dict[str, Any]:
    """What preparation gave on 20 drawings."""
    kinds = {"strokes": ours, "resized": resized}
    value = (ours - resized) / 20
    return {
        "accuracy": {name: {"as drawn": {"right": n, "n": 20}} for name, n in kinds.items()},
        "gain": {"as drawn": {"value": value, "low": value - 0.2, "high": value + 0.2, "p": p}},
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (measured(20, 20, 1.0), "20 of 20 drawings correctly with that, and as many if"),
        (measured(20, 18, 0.5), "18 of 20 drawings correctly instead of 20, which may be chance"),
        (measured(20, 4, 0.001), "4 of 20 drawings correctly instead of 20: a difference of +80.0"),
    ],
)
def test_preparation_is_said_to_help_only_where_it_did(found: dict[str, Any], said: str) -> None:
    assert said in canvas._finding(found)


def test_the_test_drawings_are_shown_as_the_model_saw_them(app: AppTest) -> None:
    opened(app, version="v2")
    assert len([alt for alt in alts(app) if " hand, read as " in alt]) == 20


def test_classifiers_script_is_served_from_a_folder_with_nothing_else() -> None:
    assert sorted(path.name for path in canvas.ASSETS.iterdir()) == [
        *("canvas.css", "canvas.html", "canvas.js")
    ]
    assert np.all([path.stat().st_size < 10_000 for path in canvas.ASSETS.iterdir()])


def test_the_canvas_uses_plain_words(app: AppTest) -> None:
    opened(app)
    drawn(app, SEVEN.strokes)
    assert words.found("\n".join(words.of_page(app))) == []
