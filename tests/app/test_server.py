"""The server around the app: headers, health, and what it refuses."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.types import Message, Receive, Scope, Send
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import asgi
from tests import factories
from tests.live import Server

# `server` is the real one, started once by conftest.py.
EVERYWHERE = ["/", "/healthz", "/readyz", "/image_classifier", "/_stcore/health", "/media/none"]


# --- the pieces ----------------------------------------------------------------------------


def test_inline_scripts_are_allowed_by_their_own_hash() -> None:
    html = "<script>window.ready = false</script><script src='x.js'></script><script>a</script>"
    assert asgi.inline_script_hashes(html) == [
        "'sha256-Z7L2T8khoKWK3qtQF/wSktj9xGCtCfem3Y6SPjwBwdU='",
        "'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='",
    ]


def test_the_policy_builds_no_script_from_text_and_loads_from_no_other_host() -> None:
    policy = asgi.content_security_policy(["'sha256-a'"])
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["script-src"] == ["'self'", "'sha256-a'"]
    assert rules["frame-ancestors"] == ["'self'"]
    allowed = {source for sources in rules.values() for source in sources}
    assert allowed == {"'self'", "'sha256-a'", "'unsafe-inline'", "data:", "blob:", "'none'"}
    assert [name for name in rules if "'unsafe-inline'" in rules[name]] == ["style-src"]


def passed_on(scope: Scope, answer: list[Message]) -> list[Message]:
    """What leaves `asgi.Guard` when the app behind it answers `answer`."""
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in answer:
            await send(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(asgi.Guard(app, {"x-a": "1"})(scope, receive, send))
    return sent


def test_guard_adds_headers_and_streams_bodies_through() -> None:
    body = [
        {"type": "http.response.body", "body": b"1", "more_body": True},
        {"type": "http.response.body", "body": b"2", "more_body": False},
    ]
    start = {"type": "http.response.start", "status": 200, "headers": [(b"x-b", b"2")]}
    sent = passed_on({"type": "http", "path": "/"}, [start, *body])
    headers = [(b"x-b", b"2"), (b"x-a", b"1")]
    assert sent == [{"type": "http.response.start", "status": 200, "headers": headers}, *body]


def test_guard_leaves_websockets_alone() -> None:
    answer = [{"type": "websocket.accept"}, {"type": "websocket.send", "bytes": b"x"}]
    assert passed_on({"type": "websocket", "path": "/_stcore/stream"}, list(answer)) == answer


@pytest.mark.parametrize(
    ("method", "size", "waiting", "refused"),
    [
        ("PUT", 10, 0, False),
        ("PUT", 10, asgi.WAITING_BYTES - 10, False),
        ("PUT", 11, asgi.WAITING_BYTES - 10, True),
        ("DELETE", 0, asgi.WAITING_BYTES + 1, False),
    ],
)
def test_guard_refuses_uploads_that_memory_cannot_hold(
    monkeypatch: pytest.MonkeyPatch, method: str, size: int, waiting: int, refused: bool
) -> None:
    monkeypatch.setattr(asgi, "waiting_bytes", lambda: waiting)
    scope = {
        "type": "http",
        "method": method,
        "path": "/_stcore/upload_file/session/file",
        "headers": [(b"content-length", str(size).encode())],
    }
    accepted = {"type": "http.response.start", "status": 204, "headers": []}
    sent = passed_on(scope, [accepted])
    assert sent[0]["status"] == (413 if refused else 204)


def test_waiting_uploads_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asgi.waiting_bytes() == 0  # no server runs
    manager = MemoryUploadedFileManager("/upload")
    for session, name, data in (("a", "1", b"four"), ("a", "2", b"x"), ("b", "1", b"seven b")):
        manager.add_file(session, UploadedFileRec(name, name, "image/png", data))
    monkeypatch.setattr(asgi.Runtime, "exists", lambda: True)
    monkeypatch.setattr(
        asgi.Runtime, "instance", lambda: SimpleNamespace(uploaded_file_mgr=manager)
    )
    assert asgi.waiting_bytes() == 12


def ready() -> tuple[int, dict[str, str]]:
    answer = asgi.readyz(None)  # type: ignore[arg-type]  # it does not look at the request
    return answer.status_code, json.loads(bytes(answer.body))


def test_ready_says_which_run_opens_or_why_none_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    assert ready() == (503, {"status": "not ready", "reason": "No published run."})
    run = factories.write_run(tmp_path, models=["best"])
    assert ready() == (200, {"status": "ready", "study": "cifar10", "version": "v1"})
    (run / "manifest.json").write_text("{")
    reason = "The manifest of cifar10 v1 cannot be read."
    assert ready() == (503, {"status": "not ready", "reason": reason})


# --- the running server --------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_answer_carries_the_headers(server: Server, path: str) -> None:
    _, headers, _ = server.get(path)
    wanted = asgi.security_headers()
    assert {name: headers.get(name) for name in wanted} == wanted


def test_health_and_readiness(server: Server) -> None:
    assert server.get("/healthz")[::2] == (200, b'{"status":"ok"}')
    status, _, body = server.get("/readyz")
    assert (status, json.loads(body)["status"]) == (200, "ready")


def test_figures_about_the_process_are_private(server: Server) -> None:
    assert server.get("/_stcore/metrics")[::2] == (404, b"Not found")
    assert server.get("/_stcore/metrics/")[0] == 404


def test_another_site_cannot_open_the_websocket(server: Server) -> None:
    address = server.url.replace("http", "ws") + "/_stcore/stream"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin="http://elsewhere.example")
    assert refused.value.response.status_code == 403
    with connect(address, origin=server.url) as allowed:
        assert allowed.response is not None
        assert allowed.response.status_code == 101
