"""A person at the dashboard: every page in a real browser, and photos handed to the classifier."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.support.color import Color

from src import config
from src.charts import theme
from src.data import decoding
from src.runs import published
from src.serving import drawing, inference
from src.serving.preparation import preparation, prepare
from tests.live import Browser, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Page and the number of charts at least that it shows on opening; the summary is the address alone.
CHARTS = {
    "": 0,
    "data_visualizer": 1,
    "model_performance": 1,
    "image_classifier": 0,
    "hypotheses": 1,
}
WIDE, PHONE = (1400, 1000), (390, 844)
STUDIES = published.studies()
NEWEST = [(study, published.versions(study)[0]) for study in STUDIES]


def address(server: Server, page: str, run: tuple[str, str]) -> str:
    study, version = run
    return f"{server.url}/{page}?study={study}&version={version}"


def assert_sound(browser: Browser) -> None:
    """No failed script, no error box, no blocked or missing resource, every chart drawn."""
    assert [box.text for box in browser.test_ids("stException")] == []
    assert [box.text for box in browser.test_ids("stAlertContentError")] == []
    assert browser.severe() == []
    charts = browser.test_ids("stPlotlyChart")
    drawn = browser.all("[data-testid=stPlotlyChart] .main-svg:first-of-type")
    assert len(drawn) == len(charts)


def overflow(browser: Browser) -> int:
    """Pixels by which the page is wider than the window: something would be cut off."""
    return int(
        browser.driver.execute_script(
            "const main = document.querySelector('[data-testid=stMain]');"
            "return Math.max(main.scrollWidth - main.clientWidth, 0);"
        )
    )


def brightness(browser: Browser) -> float:
    """Mean of the page's background, 0 (black) to 255."""
    ground = browser.test_ids("stApp")[0].value_of_css_property("background-color")
    colour = Color.from_string(ground)
    return (int(colour.red) + int(colour.green) + int(colour.blue)) / 3


def test_there_is_something_to_show() -> None:
    assert STUDIES, "no published run: every test below would be empty"


# Studies differ in what their pages show, not in how a phone lays it out: two are enough there,
# one of photos and one with drawings and classical models.
LOOKS = [pytest.param(run, WIDE, False, id="-".join((*run, "wide-light"))) for run in NEWEST] + [
    pytest.param(run, PHONE, True, id="-".join((*run, "phone-dark")))
    for run in NEWEST
    if run[0] in ("cifar10", "mnist")
]


@pytest.mark.parametrize("page", CHARTS, ids=lambda page: page or "project_summary")
@pytest.mark.parametrize(("run", "size", "dark"), LOOKS)
def test_every_page_opens_with_all_its_tabs(
    server: Server,
    browser: Browser,
    run: tuple[str, str],
    page: str,
    size: tuple[int, int],
    dark: bool,
) -> None:
    browser.look(*size, dark=dark)
    browser.open(address(server, page, run))
    assert len(browser.all("h1")) == 1
    assert len(browser.test_ids("stPlotlyChart")) >= CHARTS[page]
    assert (brightness(browser) < 60) if dark else (brightness(browser) > 240)
    assert_sound(browser)
    assert overflow(browser) == 0
    for name in [tab.text for tab in browser.all("[role=tab]") if tab.is_displayed()]:
        browser.open_tab(name)
        assert_sound(browser)
        assert overflow(browser) == 0, name


def test_the_address_alone_opens_the_default_study(server: Server, browser: Browser) -> None:
    browser.look(*WIDE)
    browser.open(server.url)
    assert_sound(browser)
    assert (
        f"study={'cifar10' if 'cifar10' in STUDIES else STUDIES[0]}" in browser.driver.current_url
    )


def test_nothing_failed_on_the_server(server: Server) -> None:
    """Stands after the pages: a script that raises leaves its traceback in the log."""
    assert "Traceback" not in server.log.read_text()


# --- the classifier ------------------------------------------------------------------------


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An image of 400 × 300 pixels that no data set holds."""
    x, y = np.meshgrid(np.linspace(0, 1, 400), np.linspace(0, 1, 300))
    rgb = np.stack([255 * x, 255 * y, 255 * (1 - x)], axis=-1).astype(np.uint8)
    path = tmp_path / "my photo.png"
    Image.fromarray(rgb).save(path)
    return path


def expected(run: tuple[str, str], path: Path) -> tuple[str, float]:
    """Class and probability that the run's default model gives a file, without the app."""
    opened = published.open_run(*run)
    served = inference.load(opened, opened.default_model)
    pixels = prepare(decoding.decode(path.read_bytes()), preparation(opened)).pixels
    probabilities = served.predict(pixels[None]).probabilities[0]
    return served.classes[int(probabilities.argmax())], float(probabilities.max())


@pytest.mark.parametrize("run", NEWEST, ids="-".join)
def test_a_photo_is_classified(
    server: Server, browser: Browser, run: tuple[str, str], photo: Path
) -> None:
    answer, probability = expected(run, photo)
    browser.look(*WIDE)
    browser.open(address(server, "image_classifier", run) + "&way=Photos")
    browser.upload(photo)
    browser.settle()
    assert answer in browser.text
    assert theme.confidence(probability) in browser.text.replace(" %", "\u00a0%")
    assert_sound(browser)


def test_one_bad_file_does_not_spoil_the_others(
    server: Server, browser: Browser, photo: Path, tmp_path: Path
) -> None:
    broken, cut = tmp_path / "broken.png", tmp_path / "cut.jpg"
    broken.write_bytes(b"not an image")
    whole = io.BytesIO()
    Image.open(photo).save(whole, "JPEG")
    cut.write_bytes(whole.getvalue()[:2000])
    answer, probability = expected(NEWEST[0], photo)
    browser.look(*WIDE)
    browser.open(address(server, "image_classifier", NEWEST[0]) + "&way=Photos")
    browser.upload(broken, photo, cut)
    browser.wait_for(f"{probability:.1%}".removesuffix("%"))
    browser.settle()
    said = browser.text
    assert answer in said
    assert broken.name in said
    assert cut.name in said
    assert browser.test_ids("stException") == []
    assert server.get("/healthz")[0] == 200


def test_a_file_over_the_limit_is_refused_beside_one_that_is_taken(
    server: Server, browser: Browser, photo: Path, tmp_path: Path
) -> None:
    answer, _ = expected(NEWEST[0], photo)
    huge = tmp_path / "huge.png"
    with huge.open("wb") as stream:
        stream.truncate(decoding.MAX_BYTES + 1)
    browser.look(*WIDE)
    browser.open(address(server, "image_classifier", NEWEST[0]) + "&way=Photos")
    browser.upload(huge, photo)
    browser.wait_for("Results for 1 photo")
    browser.settle()
    assert answer in browser.text
    assert "must be" in browser.text  # Streamlit's own words: "File must be 25.0MB or smaller."
    assert browser.test_ids("stException") == []
    assert server.get("/healthz")[0] == 200


def test_the_camera_hands_over_a_picture(server: Server, browser: Browser) -> None:
    """Chromium's test camera shows a green pattern; what counts is that an answer comes."""
    browser.look(*WIDE)
    browser.open(address(server, "image_classifier", NEWEST[0]) + "&way=Photos")

    def switch_on() -> None:
        if not browser.all("video"):
            browser.press("[data-testid=stCheckbox] input")

    playing = "const v = document.querySelector('video'); return !!v && v.currentTime > 0"
    browser.do_until(switch_on, lambda: browser.driver.execute_script(playing), "No camera.")
    browser.settle()
    browser.press_until("[data-testid=stCameraInputButton]", lambda: ".jpg" in browser.text)
    browser.settle()
    assert_sound(browser)


# --- the canvas ----------------------------------------------------------------------------

DIGITS = [run for run in NEWEST if drawing.suits(published.open_run(*run).dataset)]
SEVEN = next(
    drawn
    for drawn in drawing.load(config.drawings_file())
    if (drawn.label, drawn.hand) == ("7", "quick")
)
# Notes when the pen went up and when the image of what the model saw changed.
WATCH = """
window.ups = []; window.answers = [];
arguments[0].addEventListener('pointerup', () => window.ups.push(performance.now()));
(function look(before) {
  const now = document.querySelector('img[alt="What the model saw"]')?.src;
  if (now && now !== before) window.answers.push(performance.now());
  requestAnimationFrame(() => look(now));
})();
"""


def read(run: tuple[str, str], strokes: drawing.Strokes) -> str:
    """What the run's default model reads in strokes, without the app."""
    opened = published.open_run(*run)
    served = inference.load(opened, opened.default_model)
    pixels = drawing.normalise(strokes, served.image_shape)
    return served.classes[int(served.predict(pixels[None]).probabilities.argmax())]


def answer(browser: Browser) -> str:
    """The category in the heading of an answer, such as "7, 81.9 %"."""
    headings = [heading.text for heading in browser.all("h4")]
    return next((text.split(", ")[0] for text in headings if "%" in text), "")


def inked(browser: Browser) -> int:
    """How many pixels of the canvas are drawn on."""
    return int(
        browser.driver.execute_script(
            "const c = arguments[0];"
            "const all = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return all.filter((value, place) => place % 4 === 3 && value > 127).length",
            browser.shadow("canvas"),
        )
    )


@pytest.mark.parametrize(
    ("size", "dark", "kind"),
    [(WIDE, False, "mouse"), (PHONE, True, "touch")],
    ids=["wide-light-mouse", "phone-dark-touch"],
)
@pytest.mark.parametrize("run", DIGITS, ids="-".join)
def test_a_drawn_digit_is_read_while_it_is_drawn(
    server: Server,
    browser: Browser,
    run: tuple[str, str],
    size: tuple[int, int],
    dark: bool,
    kind: str,
) -> None:
    browser.look(*size, dark=dark)
    browser.open(address(server, "image_classifier", run))
    browser.driver.execute_script(WATCH, browser.shadow("canvas"))

    def answered() -> None:
        browser.wait_until(lambda: answer(browser), "No answer while drawing.")

    pause = answered if kind == "mouse" else None
    browser.draw(browser.shadow("canvas"), SEVEN.strokes, kind, pause)
    browser.wait_until(lambda: answer(browser) == read(run, SEVEN.strokes))
    browser.settle()
    assert inked(browser) > 1000
    assert_sound(browser)
    assert overflow(browser) == 0
    ups, answers = browser.driver.execute_script("return [window.ups, window.answers]")
    assert len(ups) == len(SEVEN.strokes)
    during = sum(time < ups[-1] for time in answers)
    after = [round(time - ups[-1]) for time in answers if time >= ups[-1]]
    print(f"{kind}: {during} answers while drawing, then after {after} ms")


@pytest.mark.parametrize("run", DIGITS[:1], ids="-".join)
def test_a_drawing_survives_another_page_and_can_be_taken_back(
    server: Server, browser: Browser, run: tuple[str, str]
) -> None:
    browser.look(*WIDE)
    browser.open(address(server, "image_classifier", run))
    browser.draw(browser.shadow("canvas"), SEVEN.strokes)
    browser.wait_until(lambda: answer(browser))
    browser.settle()
    before = inked(browser)
    browser.follow("data_visualizer", "Data visualizer")
    browser.follow("image_classifier", "Image classifier")
    browser.wait_until(lambda: inked(browser) == before, "The drawing is not there any more.")

    def undo() -> None:
        if inked(browser) == before:  # a second press would take back another stroke
            browser.shadow(".undo").click()

    browser.do_until(undo, lambda: inked(browser) < before, "Nothing is taken back.")
    assert read(run, SEVEN.strokes[:1]) == "7"
    browser.wait_until(lambda: answer(browser) == "7")
    browser.do_until(
        lambda: browser.shadow(".clear").click(),
        lambda: "Nothing drawn yet" in browser.text,
        "The drawing cannot be cleared.",
    )
    assert inked(browser) == 0
    assert browser.shadow(".clear").get_attribute("disabled")
    assert_sound(browser)
