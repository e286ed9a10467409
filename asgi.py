"""The server: the dashboard, the HTTP API, `/healthz`, `/readyz`, and every answer's headers.

Started with `streamlit run asgi.py`; any ASGI server can also serve `asgi:app`.
"""

import base64
import functools
import gc
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.path_security import is_unsafe_path_pattern
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from src.api import limits
from src.runs import published
from src.serving import memory

# Streamlit answers here with figures about the process, to anyone.
PRIVATE_PATHS = ("/_stcore/metrics",)
# Uploads wait in memory until a page has read them; those of all visitors together may be this big.
UPLOAD_PATH = "/_stcore/upload_file/"
WAITING_BYTES = 150_000_000


def inline_script_hashes(html: str) -> list[str]:
    """CSP sources that allow exactly the inline scripts of a page, in their order."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def content_security_policy(script_sources: Iterable[str] = ()) -> str:
    """What the dashboard may load and run: itself, and nothing from another host.

    Styles are set by scripts, so they need `unsafe-inline`; charts, downloads and the camera make
    `data:` and `blob:` addresses. No script is built from text, which is why no chart may be one
    of Plotly's WebGL kinds: those are.
    """
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self'", *script_sources)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "connect-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )


def security_headers() -> dict[str, str]:
    """The headers of every answer; the policy admits the scripts of the installed Streamlit."""
    page = Path(st.__file__).with_name("static") / "index.html"
    return {
        "content-security-policy": content_security_policy(inline_script_hashes(page.read_text())),
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
        "cross-origin-opener-policy": "same-origin",
    }


def waiting_bytes() -> int:
    """Bytes of all uploads that no page has read yet."""
    manager = Runtime.instance().uploaded_file_mgr if Runtime.exists() else None
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    sessions = list(manager.file_storage.values())
    return sum(len(file.data) for files in sessions for file in list(files.values()))


class Guard:
    """Adds headers to every HTTP answer, closes private paths, and limits waiting uploads.

    Bodies stream through.
    """

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the only message looked at is the start of an HTTP answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await (self._refusal(scope) or self.app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["path"].rstrip("/").endswith(PRIVATE_PATHS):
            return PlainTextResponse("Not found", status_code=404)
        if scope["path"].startswith("/api/") and is_unsafe_path_pattern(scope["path"][1:]):
            return limits.error_response(
                404, "There is nothing at this address."
            )  # Streamlit: plain 400
        if UPLOAD_PATH in scope["path"] and scope["method"] == "PUT":
            announced = int(Headers(scope=scope).get("content-length") or 0)
            if announced + waiting_bytes() > WAITING_BYTES:
                return PlainTextResponse(
                    "Too many photos are waiting; try again in a moment with fewer.", 413
                )
        return None


async def healthz(_request: Request) -> JSONResponse:
    """200 as long as the process answers."""
    return JSONResponse({"status": "ok"})


def readyz(_request: Request) -> JSONResponse:
    """200 once at least one published run opens, else 503 with the reason."""
    problems = []
    for study in published.studies():
        try:
            run = published.open_run(study, published.versions(study)[0])
        except published.RunError as error:
            problems.append(str(error))
        else:
            return JSONResponse({"status": "ready", "study": run.study, "version": run.version})
    reason = " ".join(problems) or "No published run."
    return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)


@functools.cache
def api() -> ASGIApp:
    """The HTTP API, imported with its first request: FastAPI takes 0.4 s and 13 MB."""
    from src.api.routes import app

    return app


async def serve_api(scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a request on to the API; importing it must not hold up the dashboard."""
    serve = await run_in_threadpool(api)
    await serve(scope, receive, send)


memory.configure_allocators()  # before anything is read

app = st.App(
    "app.py",
    routes=[
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/api", RedirectResponse("/api/docs")),
        Mount(
            "/api",
            limits.RateLimit(serve_api, limits.requests_per_minute(), limits.trusted_proxies()),
        ),
    ],
    middleware=[Middleware(Guard, headers=security_headers())],
)

# Streamlit collects garbage after every run of a page, all threads waiting: not among the modules.
gc.freeze()
