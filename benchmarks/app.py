"""How soon does the app answer, and how much memory does it take with ten and thirty visitors?

The command is what `make app` runs once the environment is there: the check of the published runs,
then the server. Memory is the server's resident set after so many browser sessions have each opened
all pages and had a photo classified; the sessions stay open. Then the API gets the file that takes
most of all to decode, and the server is counted together with the processes that decode.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.report import Measure, finish  # noqa: E402
from src.data import decoding, image_headers  # noqa: E402
from src.runs import published  # noqa: E402
from tests.live import PATIENCE, Browser, Server, browse, free_port, serve  # noqa: E402

START_LIMIT_S = 2
MEMORY_LIMIT_MB = 300
# Sessions → with the processes that decode, on the largest file that is accepted.
TOGETHER_LIMITS_MB = {10: 512, 30: 768}
STARTS = 3
# Address → heading; the classifier last, for it gets a photo.
PAGES = {
    "data_visualizer": "Data visualizer",
    "model_performance": "Model performance",
    "hypotheses": "Hypotheses and results",
    "image_classifier": "Image classifier",
}


def start_seconds() -> float:
    """Wall time from the command to the first page, with the check of the runs before it."""
    port = free_port()
    command = (
        f"exec 2>&1; sh setup.sh && exec {sys.executable} -m streamlit run asgi.py "
        f"--server.port {port} --server.headless true"
    )
    started = time.perf_counter()
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - started < PATIENCE and process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE).close()
                return time.perf_counter() - started
            time.sleep(0.01)
        raise RuntimeError("The server never answered.")
    finally:
        process.terminate()
        process.wait()


def megabytes(server: Server) -> float:
    """Resident memory of the server's process, in 10⁶ bytes."""
    return float(psutil.Process(server.pid).memory_info().rss) / 1e6


def together(server: Server) -> float:
    """The same with the processes that decode; their library's own file counts once."""
    process = psutil.Process(server.pid)
    others = [child.memory_info() for child in process.children(recursive=True)]
    private = sum(float(one.rss - one.shared) for one in others)
    shared = max((float(one.shared) for one in others), default=0.0)
    return megabytes(server) + (private + shared) / 1e6


def worst_photo() -> bytes:
    """The largest progressive JPEG without subsampled colour that is accepted."""
    kept = decoding.UPLOAD.large.memory / (6 + image_headers.BYTES_PER_PIXEL["JPEG"])
    side = int((0.99 * kept) ** 0.5)
    stream = io.BytesIO()
    image = Image.effect_noise((side // 16, side // 16), 60).resize((side, side)).convert("RGB")
    image.save(stream, "JPEG", progressive=True, subsampling=0)
    return stream.getvalue()


def peak_while_decoding(server: Server, photo: bytes) -> float:
    """The most that server and processes take while the API classifies a photo."""
    seen, done = [together(server)], threading.Event()

    def ask() -> None:
        request = urllib.request.Request(
            f"{server.url}/api/predict", photo, {"content-type": "image/jpeg"}
        )
        urllib.request.urlopen(request, timeout=PATIENCE).close()
        done.set()

    thread = threading.Thread(target=ask)
    thread.start()
    while thread.is_alive():
        seen.append(together(server))
        time.sleep(0.005)
    if not done.is_set():
        raise RuntimeError("The API refused the photo.")
    return max(seen)


def visit(browser: Browser, server: Server, photo: Path) -> None:
    """One visitor, in a window that stays open: all pages by their links, then one photo."""
    browser.open(server.url)
    for page, heading in PAGES.items():
        browser.follow(page, heading)
    browser.upload(photo)
    browser.settle()


def memory() -> list[Measure]:
    """Memory after the start, after one visitor, and with all of them."""
    study = "cifar10" if "cifar10" in published.studies() else published.studies()[0]
    run = published.open_run(study, published.versions(study)[0])
    with serve() as server, browse() as browser, tempfile.TemporaryDirectory() as folder:
        idle = megabytes(server)
        photo = Path(folder) / "photo.png"
        photo.write_bytes(run.table("gallery.parquet")["png"].iloc[0])
        seen, most = [], {}
        for session in range(1, max(TOGETHER_LIMITS_MB) + 1):
            if session > 1:
                browser.driver.switch_to.new_window("tab")
            visit(browser, server, photo)
            seen.append(megabytes(server))
            if session in TOGETHER_LIMITS_MB:
                most[session] = peak_while_decoding(server, worst_photo())
    few = min(TOGETHER_LIMITS_MB)
    return [
        Measure("memory, idle", idle, "MB"),
        Measure("memory, one session, model loaded", seen[0], "MB"),
        Measure(f"memory, {few} sessions, model loaded", seen[few - 1], "MB", MEMORY_LIMIT_MB),
        *(
            Measure(f"{n} sessions and the largest photo being decoded", most[n], "MB", limit)
            for n, limit in TOGETHER_LIMITS_MB.items()
        ),
    ]


def main() -> int:
    """Measure and print; 1 where a limit is broken."""
    start_seconds()  # warms the disk and Python's caches
    fastest = min(start_seconds() for _ in range(STARTS))
    return finish(
        "The running app",
        [Measure("from the command to the first page", fastest, "s", START_LIMIT_S), *memory()],
    )


if __name__ == "__main__":
    sys.exit(main())
