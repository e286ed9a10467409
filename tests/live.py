"""The real server and a real browser, for the tests and for the benchmarks."""

import contextlib
import http.client
import itertools
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parent.parent
# Seconds. Waiting ends as soon as the state is there; only a test that fails waits all of PATIENCE.
PATIENCE = 300
REPEAT = 15  # without an effect for so long, an action is taken to be lost and is done again

# No sandbox for root, no traffic of Chromium's own, and a test picture as the camera.
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
UPLOADER = "[data-testid=stFileUploader] input[type=file]"
# Elements come and go while a page is drawn anew, and what covers them does too.
PASSING = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)


@dataclass(frozen=True)
class Server:
    """A running `streamlit run asgi.py`."""

    url: str
    pid: int
    log: Path

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower-case names) and body of one answer, error answers included."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
                found = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                found = error.code, error.headers, error.read()
        status, headers, body = found
        return status, {name.lower(): value for name, value in headers.items()}, body

    def post(self, path: str, body: Any, kind: str, client: str = "") -> tuple[int, Any]:
        """Status and JSON of one POST; an iterator is sent in chunks.

        Args:
            path: the address, from /api on.
            body: bytes or an iterator of them.
            kind: the content type.
            client: the address that a proxy before the server saw; empty: there is no proxy.
        """
        forwarded = {"x-forwarded-for": client} if client else {}
        address = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(address.netloc, timeout=PATIENCE)
        try:
            connection.request("POST", path, body, {"content-type": kind, **forwarded})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def free_port() -> int:
    """A port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve(environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run the server until the block ends; yields once it answers."""
    port = free_port()
    options = {"port": port, "address": "127.0.0.1", "headless": "true"}
    command = [sys.executable, "-m", "streamlit", "run", "asgi.py"]
    command += [f"--server.{name}={value}" for name, value in options.items()]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        server = Server(f"http://127.0.0.1:{port}", process.pid, log)
        try:
            _wait_until_it_answers(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(server: Server, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"The server stopped:\n{server.log.read_text()}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if server.get("/healthz")[0] == 200:
                return
        time.sleep(0.02)
    raise RuntimeError(f"The server does not answer:\n{server.log.read_text()}")


@contextlib.contextmanager
def browse() -> Iterator["Browser"]:
    """A headless Chromium with an empty profile until the block ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        for argument in (*CHROMIUM, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.binary_location = shutil.which("chromium") or ""
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # Named, so that Selenium looks for no driver of its own on the network.
        service = Service(shutil.which("chromedriver"))
        with webdriver.Chrome(options=options, service=service) as driver:
            yield Browser(driver)


class Browser:
    """What a person does and sees, in terms of the dashboard."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def look(self, width: int = 1400, height: int = 1000, *, dark: bool = False) -> None:
        """Set the size of the window and the colour scheme that the visitor prefers."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, url: str) -> None:
        """Open an address and wait until its page is drawn; earlier log entries are dropped."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(url)
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run and nothing on the page is loading any more."""
        quiet = (
            "const app = document.querySelector('[data-testid=stApp]');"
            "return !!app && app.dataset.testScriptState === 'notRunning'"
            " && app.dataset.testConnectionState === 'CONNECTED'"
            " && !!document.querySelector('h1')"
            " && !document.querySelector('[data-testid=stSkeleton], [data-testid=stSpinner],"
            " [data-stale=true]')"
        )
        calm_since: list[float] = []

        def calm() -> bool:
            if not self.driver.execute_script(quiet):
                calm_since.clear()
                return False
            calm_since.append(time.monotonic())
            return calm_since[-1] - calm_since[0] > 0.4

        self.wait_until(calm, "The page never came to rest.")

    def do_until(
        self, action: Callable[[], object], holds: Callable[[], object], otherwise: str = ""
    ) -> None:
        """Do something and wait for its effect; do it again where it has none for `REPEAT` s.

        An action is lost when it meets a page that is drawn but does not listen yet, or that is
        being drawn anew. So `action` must do no harm when it is done twice.

        Raises:
            TimeoutException: no effect within `PATIENCE`; the message is `otherwise`.
        """
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(*PASSING):
                action()
            try:
                return self.wait_until(holds, otherwise, REPEAT)
            except TimeoutException:
                if time.monotonic() > end:
                    raise

    def press(self, selector: str, text: str = "") -> None:
        """Click the last element that matches a CSS selector and, where given, has this text."""
        found = [element for element in self.all(selector) if text in ("", element.text)]
        if not found:
            raise NoSuchElementException(f"There is no {selector} {text}")
        self.driver.execute_script("arguments[0].click()", found[-1])

    def press_until(self, selector: str, holds: Callable[[], object], text: str = "") -> None:
        """`press` until it has its effect."""
        self.do_until(
            lambda: self.press(selector, text), holds, f"Pressing {selector} {text} has no effect."
        )

    def open_tab(self, name: str) -> None:
        """Choose a tab and wait until its content is drawn."""

        def chosen() -> bool:
            tabs = self.all("[role=tab][aria-selected=true]")
            return name in [tab.text for tab in tabs]

        self.press_until("[role=tab]", chosen, name)
        self.settle()

    def follow(self, page: str, heading: str) -> None:
        """Go to another page by its link in the navigation and wait until it is drawn."""
        link = f"[data-testid=stSidebarNav] a[href*='{page}']"
        self.press_until(link, lambda: heading in [head.text for head in self.all("h1")])
        self.settle()

    def upload(self, *files: Path) -> None:
        """Hand files to the page's uploader and wait until it names them."""

        def send() -> None:
            field = self.driver.find_element(By.CSS_SELECTOR, UPLOADER)
            field.send_keys("\n".join(map(str, files)))

        self.do_until(send, lambda: files[-1].name in self.text, "The file never arrived.")

    def wait_for(self, text: str) -> None:
        """Wait until the page says `text`."""
        self.wait_until(lambda: text in self.text, f"The page never said {text!r}.")

    def wait_until(
        self, holds: Callable[[], object], otherwise: str = "", patience: float = PATIENCE
    ) -> None:
        """Wait until `holds` answers something true; elements may come and go meanwhile."""
        # On a busy machine the page may take longer to answer at all than a script is given.
        ignored = (*PASSING, TimeoutException)
        WebDriverWait(self.driver, patience, 0.1, ignored).until(lambda _: holds(), otherwise)

    @property
    def text(self) -> str:
        """All text that can be read on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def all(self, selector: str) -> list[WebElement]:
        """The elements that match a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def test_ids(self, name: str) -> list[WebElement]:
        """The elements that Streamlit marks with this name for tests."""
        return self.all(f"[data-testid={name}]")

    def shadow(self, selector: str) -> WebElement:
        """The first element inside a component of our own that matches a CSS selector.

        Raises:
            NoSuchElementException: there is none yet.
        """
        found: list[WebElement] = self.driver.execute_script(
            "return [...document.querySelectorAll('*')].flatMap("
            "  e => e.shadowRoot ? [...e.shadowRoot.querySelectorAll(arguments[0])] : [])",
            selector,
        )
        if not found:
            raise NoSuchElementException(f"No component holds {selector}.")
        return found[0]

    def draw(
        self,
        field: WebElement,
        strokes: Iterable[Iterable[Sequence[float]]],
        kind: str = "mouse",
        pause: Callable[[], None] | None = None,
    ) -> None:
        """Draw strokes, lists of [x, y] in shares of the field's size, with a mouse, touch or pen.

        The pointer goes 50 pixels a tenth of a second, which is slow; `pause` is called at the end
        of each stroke, before the pointer is lifted (not with touch: the driver forgets it then).
        """
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
        left, top, width, height = self.driver.execute_script(
            "const r = arguments[0].getBoundingClientRect();"
            "return [r.left, r.top, r.width, r.height]",
            field,
        )
        for stroke in strokes:
            pointer = PointerInput(kind, kind)
            places = [(round(left + x * width), round(top + y * height)) for x, y in stroke]
            pointer.create_pointer_move(duration=0, x=places[0][0], y=places[0][1])
            pointer.create_pointer_down(button=0)
            for before, (x, y) in itertools.pairwise(places):
                pointer.create_pointer_move(duration=round(2 * math.dist(before, (x, y))), x=x, y=y)
            if pause is not None:
                ActionBuilder(self.driver, mouse=pointer, duration=0).perform()
                pause()
                pointer = PointerInput(kind, kind)
            pointer.create_pointer_up(button=0)
            ActionBuilder(self.driver, mouse=pointer, duration=0).perform()

    def severe(self) -> list[str]:
        """Errors of the browser's console since the page was opened or since the last call.

        Without Streamlit's own search for its base address: opened at `/page`, it asks for
        `/page/_stcore/…` first and takes the 404 as its answer.
        """
        entries = self.driver.get_log("browser")
        messages = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
        return [text for text in messages if not re.search(r"/\w+/_stcore/.* 404 ", text)]
