"""The HTTP API: the answers of the dashboard for programs, and a clear refusal for all else."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image
from starlette.types import Message, Scope

import asgi
from src import config
from src.api import listing, predictions, reference
from src.api import routes as api
from src.data import images, studies
from src.runs import published
from src.serving import inference, uploads
from src.serving.classifier import Classifier
from src.serving.preparation import preparation
from tests import factories, words
from tests.live import PATIENCE, Browser, Server

ROOT = config.ROOT
NEWEST = [(study, published.versions(study)[0]) for study in published.studies()]
THREE = api.BODY["content"]["application/json"]["example"]  # type: ignore[index]
CRLF = "\r\n"


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    predictions._classifier.cache_clear()


# --- asking --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """Status, headers (lower-case names), the JSON sent back, and bytes taken of the body."""

    status: int
    headers: dict[str, str]
    json: Any
    taken: int

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


def ask(
    target: str,
    body: bytes | Iterable[bytes] = b"",
    kind: str | None = None,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """One request to the API in this process, without a server around it.

    A ConnectionError of `body` is a client that goes away.
    """
    chunks = iter([body] if isinstance(body, bytes) else body)
    sent, taken = [], 0  # type: tuple[list[Message], int]

    async def receive() -> Message:
        nonlocal taken
        try:
            chunk = next(chunks, None)
        except ConnectionError:
            return {"type": "http.disconnect"}
        taken += len(chunk or b"")
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    fields = {**({"content-type": kind} if kind else {}), **(headers or {})}
    asyncio.run(api.app(request(method, target, fields), receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    text = b"".join(message.get("body", b"") for message in sent[1:])
    return Reply(sent[0]["status"], found, json.loads(text) if text else None, taken)


def request(method: str, target: str, fields: Mapping[str, str]) -> Scope:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": urllib.parse.unquote(path),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "client": ("127.0.0.1", 1),
    }


def form(*files: tuple[str, bytes], field: str = "files") -> tuple[bytes, str]:
    """A multipart body and its Content-Type."""
    body = b""
    for name, content in files:
        head = f'--x{CRLF}Content-Disposition: form-data; name="{field}"; filename="{name}"'
        body += f"{head}{CRLF}{CRLF}".encode() + content + CRLF.encode()
    return body + f"--x--{CRLF}".encode(), "multipart/form-data; boundary=x"


def text_form(field: str) -> tuple[bytes, str]:
    head = f'--x{CRLF}Content-Disposition: form-data; name="{field}"{CRLF}{CRLF}'
    return f"{head}here{CRLF}--x--{CRLF}".encode(), "multipart/form-data; boundary=x"


def picture(size: tuple[int, int], kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(stream, kind, **options)
    return stream.getvalue()


def stored(study: str, count: int) -> list[bytes]:
    """Test pictures that a study's newest run carries, as PNG files."""
    gallery = published.open_run(study, published.versions(study)[0]).table("gallery.parquet")
    return list(gallery[gallery["split"] == "test"]["png"][:count])


SMALL = picture((32, 32))


# --- the same answers as the page ----------------------------------------------------------


@pytest.mark.parametrize("precision", inference.PRECISIONS)
@pytest.mark.parametrize(("study", "version"), NEWEST)
def test_the_answers_are_those_of_the_page(study: str, version: str, precision: str) -> None:
    files = stored(study, 5)
    query = f"study={study}&version={version}&precision={precision}&activation=all"
    reply = ask(f"/predict?{query}", *form(*((f"{i}.png", file) for i, file in enumerate(files))))
    assert reply.status == 200
    run = published.open_run(study, version)
    classifier = Classifier.open(study, version, precision=precision)
    how = preparation(run)
    kept = [uploads.read(file, "x", [how]) for file in files]
    for i, (entry, said) in enumerate(
        zip(reply.json["predictions"], uploads.classify(classifier, kept, how), strict=True)
    ):
        found = [np.float32(entry["probabilities"][name]) for name in said.classes]
        assert found == list(said.probabilities)
        maps = np.array([entry["activation"][name] for name in said.classes], np.float32)
        np.testing.assert_array_equal(maps, np.moveaxis(said.activation, -1, 0))
        assert np.float32(entry["confidence"]) == said.probabilities.max()
        assert entry["label"] == said.label
        assert (entry["decision"], entry["reason"]) == (said.decision, said.reason)
        assert (entry["automatic"], entry["threshold"]) == (
            said.automatic,
            classifier.threshold(said.label),
        )
        assert entry["sha256"] == hashlib.sha256(files[i]).hexdigest()
        named = {key: entry[key] for key in ("index", "name", "study", "version", "model")}
        assert named == {
            "index": i,
            "name": f"{i}.png",
            "study": study,
            "version": version,
            "model": run.default_model,
        }


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    keys = ("label", "confidence", "probabilities", "automatic", "threshold", "decision", "reason")
    return all(first[key] == second[key] for key in keys)


def test_the_three_forms_of_a_body_give_the_same_answer() -> None:
    png = images.to_png(np.array(THREE["pixels"], np.uint8))
    body = json.dumps(THREE).encode()
    replies = [
        ask("/predict?study=digits", *form(("3.png", png))),
        ask("/predict?study=digits", png, "image/png"),
        ask("/predict?study=digits", body, "application/json; charset=utf-8"),
    ]
    assert [reply.status for reply in replies] == [200, 200, 200]
    upload, raw, pixels = (reply.json["predictions"][0] for reply in replies)
    assert upload["label"] == "3"
    assert same(upload, raw)
    assert [entry["sha256"] for entry in (upload, raw, pixels)] == [
        *[hashlib.sha256(png).hexdigest()] * 2,
        hashlib.sha256(np.array(THREE["pixels"], np.uint8).tobytes()).hexdigest(),
    ]
    assert same(upload, pixels)
    assert [entry["name"] for entry in (upload, raw, pixels)] == ["3.png", None, None]
    seen = {"width": 8, "height": 8, "input": [8, 8, 1], "notes": []}
    assert pixels["picture"] == {**seen, "format": "pixels"}
    assert raw["picture"] == {**seen, "format": "PNG"}


def test_several_pictures_of_numbers_at_once() -> None:
    blank = np.zeros((8, 8), int).tolist()
    body = json.dumps({"pixels": [blank, THREE["pixels"], blank]}).encode()
    answers = ask("/predict?study=digits&top=1", body, "application/json").json["predictions"]
    alone = ask("/predict?study=digits&top=1", json.dumps(THREE).encode(), "application/json")
    assert [answer["index"] for answer in answers] == [0, 1, 2]
    assert same(answers[1], alone.json["predictions"][0])
    assert same(answers[0], answers[2])


def test_what_was_done_to_a_picture_is_told() -> None:
    tall = picture((60, 90), "JPEG", exif=exif(orientation=6))
    reply = ask("/predict?study=digits", *form(("a.jpg", tall)))
    assert reply.json["predictions"][0]["picture"] == {
        "format": "JPEG",
        "width": 60,
        "height": 90,
        "input": [8, 8, 1],
        "notes": [
            "rotated by its EXIF tag",
            "no strokes found, so the whole photo is used",
            "cropped to the centre",
            "resized to 8 × 8",
            "made grey",
        ],
    }
    padded = ask("/predict?fit=pad", *form(("a.jpg", tall))).json["predictions"][0]["picture"]
    assert padded["notes"] == ["rotated by its EXIF tag", "padded with white", "resized to 32 × 32"]


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def test_options_cut_and_add() -> None:
    plain = ask("/predict", SMALL, "image/png").json["predictions"][0]
    assert (plain["study"], len(plain["probabilities"])) == (studies.default(), 10)
    shares = list(plain["probabilities"].values())
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert "activation" not in plain
    short = ask("/predict?top=2&activation=true", SMALL, "image/png").json["predictions"][0]
    assert short["probabilities"] == dict(list(plain["probabilities"].items())[:2])
    assert list(short["activation"]) == [plain["label"]]
    assert np.array(short["activation"][plain["label"]]).ndim == 2
    every = ask("/predict?top=99", SMALL, "image/png").json["predictions"][0]
    assert every["probabilities"] == plain["probabilities"]


def test_a_broken_file_does_not_spoil_the_others() -> None:
    files = [("a.png", SMALL), ("b.pdf", b"%PDF-1.7"), ("", b""), ("d.png", SMALL)]
    reply = ask("/predict", *form(*files))
    first, second, third, fourth = reply.json["predictions"]
    assert reply.status == 200
    assert same(first, fourth)
    assert (second["index"], second["name"], second["error"]["status"]) == (1, "b.pdf", 415)
    assert second["error"]["message"].startswith("The file is a PDF document.")
    assert third == {
        "index": 2,
        "name": "",
        "error": {"status": 422, "message": "The file is empty."},
    }
    assert fourth["index"] == 3


def test_where_no_file_can_be_read_the_request_fails() -> None:
    one = ask("/predict", *form(("a.pdf", b"%PDF-1.7")))
    assert (one.status, one.json["error"]["details"]) == (415, [])
    two = ask("/predict", *form(("", b""), ("a.pdf", b"%PDF-1.7")))
    assert (two.status, two.message) == (422, "None of the 2 files can be read.")
    details = two.json["error"]["details"]
    assert [entry["where"] for entry in details] == ["file 0", "a.pdf"]
    assert details[0]["message"] == "The file is empty."


# --- refusals ------------------------------------------------------------------------------

JSON = "application/json"
DIGITS = "/predict?study=digits"
ROW = "[0, 0, 0, 0, 0, 0, 0, 0]"


def numbers(value: object) -> bytes:
    """A digit that holds `value` once."""
    rows = [[0] * 8 for _ in range(8)]
    return json.dumps({"pixels": [[value, *rows[0][1:]], *rows[1:]]}).encode()


REFUSED: list[tuple[str, bytes, str | None, int, str]] = [
    # the body as a whole
    ("/predict", b"", None, 415, "Content-Type is missing; send files as multipart/form-data"),
    ("/predict", SMALL, "application/x-www-form-urlencoded", 415, "x-www-form-urlencoded; send"),
    ("/predict", b"<svg/>", "text/xml", 415, "Content-Type is text/xml; send"),
    ("/predict", b"--y", "multipart/form-data", 400, "Missing boundary in multipart"),
    ("/predict", b"nonsense", "multipart/form-data; boundary=x", 400, "Invalid multipart data"),
    ("/predict", b"--x--\r\n", "multipart/form-data; boundary=x", 422, "There is no file in"),
    ("/predict", *form(("a.png", SMALL), field="file"), 422, "into the field files, not file."),
    ("/predict", form(("a.png", SMALL))[0][:-9], form()[1], 400, "The multipart body has no end."),
    ("/predict", *text_form("study"), 422, "study holds text; images go as files into files"),
    ("/predict", *form(*[("a.png", SMALL)] * 33), 413, "Maximum number of files is 32."),
    # one picture
    ("/predict", b"", "image/png", 422, "The file is empty."),
    ("/predict", SMALL[:60], "image/png", 422, "The PNG file is damaged or incomplete."),
    ("/predict", b"<svg/>", "image/svg+xml", 415, "The file is an SVG drawing."),
    ("/predict", picture((9000, 9000), "PNG"), "image/png", 413, "81.0 megapixels"),
    # pixels
    (DIGITS, b"", JSON, 400, "not valid JSON: Expecting value"),
    (DIGITS, b'{"pixels": [', JSON, 400, "not valid JSON"),
    (DIGITS, b"\xff\xfe\xff", JSON, 400, "not valid JSON"),
    (DIGITS, b"[" * 100_000, JSON, 400, "not valid JSON: maximum recursion depth"),
    (DIGITS, b'{"pixels": NaN}', JSON, 400, "NaN is no number in JSON"),
    (DIGITS, b"[]", JSON, 422, 'must be an object with "pixels" and nothing else'),
    (DIGITS, b'{"pixels": [], "x": 1}', JSON, 422, 'an object with "pixels" and nothing else'),
    (DIGITS, b'{"pixels": 7}', JSON, 422, "8 rows of 8 numbers"),
    (DIGITS, b'{"pixels": []}', JSON, 422, "8 rows of 8 numbers"),
    (
        DIGITS,
        b'{"pixels": [[1, 2], [3]]}',
        JSON,
        422,
        "rows of equal length that hold only numbers",
    ),
    (DIGITS, f'{{"pixels": [{ROW}, {ROW}]}}'.encode(), JSON, 422, "these are 2 × 8."),
    (DIGITS, json.dumps({"pixels": np.zeros((2, 8, 9)).tolist()}).encode(), JSON, 422, "2 × 8 × 9"),
    (DIGITS, json.dumps({"pixels": [THREE["pixels"]] * 33}).encode(), JSON, 413, "32 images"),
    (DIGITS, numbers(256), JSON, 422, "pixels go from 0 to 255; these go from 0 to 256."),
    (DIGITS, numbers(-1), JSON, 422, "these go from -1 to 0."),
    (DIGITS, numbers(1e300), JSON, 422, "these go from 0 to 1e+300."),
    (DIGITS, numbers(0.5), JSON, 422, "whole numbers from 0 to 255, not fractions"),
    (DIGITS, numbers("7"), JSON, 422, "hold only numbers"),
    (DIGITS, numbers(None), JSON, 422, "hold only numbers"),
    (DIGITS, numbers(10**30), JSON, 422, "hold only numbers"),
    ("/predict", json.dumps(THREE).encode(), JSON, 422, "colour images, 32 × 32: send files"),
    # options
    ("/predict?top=0", SMALL, "image/png", 422, "top: Input should be greater than or equal to 1"),
    ("/predict?top=many", SMALL, "image/png", 422, "top: Input should be a valid integer"),
    ("/predict?precision=int4", SMALL, "image/png", 422, "should be 'float32' or 'int8'"),
    ("/predict?activation=yes", SMALL, "image/png", 422, "should be 'false', 'true' or 'all'"),
    ("/predict?fit=stretch", SMALL, "image/png", 422, "should be 'crop' or 'pad'"),
    ("/predict?modle=best", SMALL, "image/png", 422, "modle: there is no such parameter, only st"),
    ("/predict?study=cats", SMALL, "image/png", 404, "There is no published study cats (publ"),
    ("/predict?study=../src", SMALL, "image/png", 404, "no published study ../src"),
    ("/predict?study=a%00b", SMALL, "image/png", 404, "no published study a\0b"),
    ("/predict?study=" + "x" * 5000, SMALL, "image/png", 404, "no published study xxx"),
    ("/predict?version=v99", SMALL, "image/png", 404, "no published version v99 (published: v"),
    ("/predict?model=magic", SMALL, "image/png", 404, "has no model magic (it has best, "),
]


@pytest.mark.parametrize(
    ("target", "body", "kind", "status", "message"),
    REFUSED,
    ids=[f"{i}-{message[:30]}" for i, (*_, message) in enumerate(REFUSED)],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(
    target: str, body: bytes, kind: str | None, status: int, message: str
) -> None:
    reply = ask(target, body, kind)
    assert message in reply.message
    assert (reply.status, reply.json["error"]["status"]) == (status, status)
    assert reply.headers["content-type"] == "application/json"
    assert api.BUDGET.taken == 0


@pytest.mark.parametrize(
    ("method", "target", "status", "message"),
    [
        ("GET", "/nothing", 404, "There is nothing at /nothing; see /api/docs"),
        ("POST", "/studies/cifar10", 404, "There is nothing at /studies/cifar10"),
        ("GET", "/studies/", 404, "There is nothing at /studies/"),
        ("GET", "/docs/__init__.py", 404, "There is nothing at /docs/__init__.py"),
        ("GET", "/studies/cats/versions/v1", 404, "There is no published study cats"),
        ("GET", "/studies/cifar10/versions/v0", 404, "cifar10 has no published version v0"),
        ("GET", "/predict", 405, "GET is not answered here, only POST."),
        ("PUT", "/predict", 405, "PUT is not answered here, only POST."),
        ("POST", "/studies", 405, "POST is not answered here, only GET."),
        ("OPTIONS", "/predict", 405, "OPTIONS is not answered here, only POST."),
    ],
)
def test_other_addresses_and_methods(method: str, target: str, status: int, message: str) -> None:
    reply = ask(target, method=method)
    assert (reply.status, reply.json["error"]["status"]) == (status, status)
    assert message in reply.message
    if status == 405:
        assert reply.headers["allow"] in message


def test_compressed_bodies_are_refused() -> None:
    reply = ask("/predict", SMALL, "image/png", headers={"content-encoding": "gzip"})
    assert (reply.status, reply.message[:30]) == (415, "Compressed bodies are not acce")


def endless(start: bytes = b"") -> Iterator[bytes]:
    yield start
    while True:
        yield bytes(2**16)


PART = f'--x{CRLF}Content-Disposition: form-data; name="files"; filename="a.png"{CRLF}{CRLF}'


@pytest.mark.parametrize(
    ("kind", "start", "limit"),
    [
        ("application/json", b"", 2**20),
        ("image/png", b"", 25 * 2**20),
        ("multipart/form-data; boundary=x", PART.encode(), 50 * 2**20),
    ],
)
def test_a_body_without_end_is_refused_at_its_limit(kind: str, start: bytes, limit: int) -> None:
    reply = ask(DIGITS, endless(start), kind)
    message = f"The body is larger than {limit / 2**20:g} MB, the most accepted."
    assert (reply.status, reply.message) == (413, message)
    assert limit < reply.taken <= limit + 2**16
    announced = ask(DIGITS, endless(start), kind, headers={"content-length": str(limit + 1)})
    assert (announced.status, announced.message, announced.taken) == (413, message, 0)
    assert api.BUDGET.taken == 0


@pytest.mark.parametrize("kind", ["application/json", "image/png", form()[1]])
def test_a_client_that_goes_away_leaves_nothing_behind(kind: str) -> None:
    def leaving() -> Iterator[bytes]:
        yield PART.encode() + bytes(2**21)
        raise ConnectionError

    reply = ask("/predict", leaving(), kind)
    assert reply.status == (413 if kind == "application/json" else 400)
    assert api.BUDGET.taken == 0


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=x", JSON])
def test_damaged_bodies_never_break_the_server(kind: str) -> None:
    jpeg = picture((40, 30), "JPEG")
    whole = {"image/jpeg": jpeg, JSON: json.dumps(THREE).encode()}.get(kind, form(("a", jpeg))[0])
    rng = np.random.default_rng(0)
    statuses = set()
    for attempt in range(60):
        body = bytearray(whole)
        body[rng.integers(0, len(body))] = rng.integers(32, 127)
        end = rng.integers(1, len(body)) if attempt % 3 == 0 else len(body)
        reply = ask(DIGITS, bytes(body[:end]), kind)
        statuses.add(reply.status)
    assert statuses <= {200, 400, 415, 422}
    assert len(statuses) > 1


def test_a_full_room_asks_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.BUDGET, "total", 10)
    reply = ask("/predict", SMALL, "image/png")
    assert (reply.status, reply.message[:31]) == (503, "Too much is being sent at once;")


def test_what_is_published_but_not_served_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    assert ask("/studies", method="GET").message == "Nothing is published here yet."
    assert ask("/predict", SMALL, "image/png").status == 404
    folder = factories.write_run(tmp_path, models=["plain", "best"])
    monkeypatch.setattr(published.ModelRecord, "served", property(lambda self: self.name == "best"))
    reply = ask("/predict?model=plain", SMALL, "image/png")
    assert (reply.status, reply.message) == (
        422,
        "plain was only compared and classifies nothing (use best).",
    )
    (folder / "models/best/model.tflite").write_bytes(b"other")
    altered = ask("/predict", SMALL, "image/png")
    assert altered.status == 503
    assert altered.message == "cifar10 v1: models/best/model.tflite was changed after publication."


def test_without_a_case_every_image_needs_checking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "study_files", lambda: tmp_path)
    entry = ask("/predict", stored("cifar10", 1)[0], "image/png").json["predictions"][0]
    assert (entry["automatic"], entry["threshold"]) == (False, None)
    assert (entry["decision"], entry["reason"]) == ("check", "this study has no target precision")


def test_a_mistake_of_ours_is_told_without_its_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise KeyError("secret")

    monkeypatch.setattr(listing, "studies", fail)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    with pytest.raises(KeyError):  # for the server's log
        asyncio.run(api.app(request("GET", "/studies", {}), receive, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["error"]["message"].startswith("The server made a mistake.")


# --- what is published ---------------------------------------------------------------------


def test_every_study_and_version_is_listed() -> None:
    listed = ask("/studies", method="GET").json
    assert listed["default"] == studies.default()
    found = [(s["study"], v["version"]) for s in listed["studies"] for v in s["versions"]]
    assert found == [
        (study, version) for study in published.studies() for version in published.versions(study)
    ]
    for study in listed["studies"]:
        for entry in study["versions"]:
            run = published.open_run(study["study"], entry["version"])
            assert entry["classes"] == run.dataset["classes"]
            assert entry["image_shape"] == run.dataset["image_shape"]
            assert entry["models"] == run.served
            headline, stated = entry["headline"], run.manifest["headline"]
            assert (headline["split"], headline["n"]) == ("test", stated["n"])
            assert headline["accuracy"] == {
                "value": stated["accuracy"],
                "low": stated["low"],
                "high": stated["high"],
            }


def test_a_damaged_study_is_named_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    factories.write_run(tmp_path, models=["best"])
    damaged = factories.write_run(tmp_path, study="digits", models=["best"])
    assert [s["study"] for s in ask("/studies", method="GET").json["studies"]] == [
        *("cifar10", "digits")
    ]
    (damaged / "manifest.json").write_text("{")
    listed = ask("/studies", method="GET").json
    assert [(s["study"], len(s["versions"])) for s in listed["studies"]] == [("cifar10", 1)]
    assert listed["problems"] == ["The manifest of digits v1 cannot be read."]
    (damaged / "manifest.json").write_text("{}")  # JSON, but no manifest
    assert ask("/studies", method="GET").json == listed


@pytest.mark.parametrize(("study", "version"), NEWEST)
def test_a_version_tells_what_was_measured(study: str, version: str) -> None:
    told = ask(f"/studies/{study}/versions/{version}", method="GET").json
    run = published.open_run(study, version)
    assert [model["name"] for model in told["models"]] == run.models
    assert [model["name"] for model in told["models"] if model["served"]] == run.served
    assert told["pictures"]["test"] == run.dataset["totals"]["test"]
    for model in told["models"]:
        test = run.model(model["name"]).metrics["splits"]["test"]
        assert (model["split"], model["n"]) == ("test", test["n"])
        stated = test["metrics"]["accuracy"]
        assert model["metrics"]["accuracy"] == {
            key: stated[key] for key in ("value", "low", "high")
        }


# --- the description -----------------------------------------------------------------------


def described() -> dict[str, Any]:
    found: dict[str, Any] = ask("/openapi.json", method="GET").json
    return found


def holds(reply: Reply, path: str, method: str = "get") -> None:
    """That a reply has exactly the shape which the description promises."""
    spec = described()
    answers = spec["paths"][path][method]["responses"]
    answer = answers[str(reply.status)] if str(reply.status) in answers else answers["default"]
    schema = answer["content"]["application/json"]["schema"]
    jsonschema.validate(reply.json, {**schema, "components": spec["components"]})


def sentences(node: Any) -> Iterator[str]:
    """Everything in a description that a person reads: no names of fields."""
    if isinstance(node, dict):
        yield from (str(node[key]) for key in ("description", "summary", "examples") if key in node)
    for inner in node.values() if isinstance(node, dict) else node:
        if isinstance(inner, dict | list):
            yield from sentences(inner)


def test_the_description_uses_the_words_of_the_project() -> None:
    said = list(sentences(described()))
    assert len(said) > 50
    assert words.found("\n".join(said)) == []


def test_answers_and_errors_have_the_described_shape() -> None:
    holds(ask("/studies", method="GET"), "/studies")
    for study, version in NEWEST:
        path = "/studies/{study}/versions/{version}"
        holds(ask(f"/studies/{study}/versions/{version}", method="GET"), path)
    mixed = form(("a.png", SMALL), ("b.pdf", b"%PDF"))
    for target in ("/predict", "/predict?activation=all&top=1", "/predict?top=0"):
        holds(ask(target, *mixed), "/predict", "post")
    for target, body, kind, *_ in REFUSED:
        holds(ask(target, body, kind), "/predict", "post")
    holds(ask("/predict", method="PUT"), "/predict", "post")


def test_the_description_is_complete_and_its_examples_are_true() -> None:
    spec = described()
    assert set(spec["paths"]) == {"/predict", "/studies", "/studies/{study}/versions/{version}"}
    post = spec["paths"]["/predict"]["post"]
    assert set(post["requestBody"]["content"]) == set(api.FORMS)
    assert set(post["responses"]) == {
        *("200", "400", "404", "413", "415", "422", "429", "503", "default"),
    }
    assert "HTTPValidationError" not in spec["components"]["schemas"]
    for text in ("/healthz", "/readyz", "32 files", "50 MB", "25 MB", "CORS"):
        assert text in spec["info"]["description"]
    for name, schema in spec["components"]["schemas"].items():
        for field, entry in schema["properties"].items():
            for example in entry.get("examples", []):
                jsonschema.validate(example, {**entry, "components": spec["components"]})
            assert entry, f"{name}.{field}"
    pixels = post["requestBody"]["content"]["application/json"]
    jsonschema.validate(pixels["example"], pixels["schema"])


def test_the_reference_is_swagger_ui_as_released_and_loads_nothing_else() -> None:
    released = {  # swagger-ui-dist 5.34.0
        "swagger-ui-bundle.js": "3f6abf70480db7e07914df4c98a77385f22ea585eaf457a3e6415ba0eae2d167",
        "swagger-ui.css": "c3cfe8248c4b0b89673600fb829924eafbac6de4bc4b2b06f5f5243483074d0a",
    }
    for name, digest in released.items():
        content = (reference.ASSETS / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
    links = re.findall(r'(?:src|href)="([^"]+)"', reference.PAGE)
    assert [link for link in links if ":" in link or link.startswith("/")] == ["data:,"]
    assert re.findall(r"<script>", reference.PAGE) == []


# --- the running server --------------------------------------------------------------------

NEWEST_DIGITS = "studies/digits/versions/" + published.versions("digits")[0]
ADDRESSES = ["studies", NEWEST_DIGITS, "docs", "docs/start.js", "openapi.json"]


@pytest.mark.parametrize("path", [*ADDRESSES, "", "nothing", "predict", "a/%2e%2e/b", "docs/x"])
def test_every_answer_carries_the_headers_and_none_allows_other_sites(
    server: Server, path: str
) -> None:
    status, headers, body = server.get(f"/api/{path}")
    wanted = asgi.security_headers()
    assert {name: headers.get(name) for name in wanted} == wanted
    assert [name for name in headers if name.startswith("access-control")] == []
    expected = 200 if path in (*ADDRESSES, "") else 405 if path == "predict" else 404
    assert status == expected
    if expected != 200:
        assert json.loads(body)["error"]["status"] == expected


def test_the_bare_address_leads_to_the_reference(server: Server) -> None:
    assert server.get("/api")[2] == server.get("/api/docs")[2] == reference.PAGE.encode()
    assert json.loads(server.get("/api/openapi.json")[2])["servers"] == [{"url": "/api"}]


def test_threads_get_the_answers_that_one_gets(server: Server) -> None:
    files = stored("cifar10", 6) * 2
    targets = ["/predict", "/predict?precision=int8", "/predict?model=plain"] * 4
    jobs = list(zip(targets, files, strict=True))
    alone = [server.post(f"/api{target}", file, "image/png") for target, file in jobs]
    with ThreadPoolExecutor(6) as pool:
        together = list(
            pool.map(lambda job: server.post(f"/api{job[0]}", job[1], "image/png"), jobs)
        )
    assert [status for status, _ in together] == [200] * len(jobs)
    for (_, one), (_, other) in zip(alone, together, strict=True):
        assert same(one["predictions"][0], other["predictions"][0])


def memory(server: Server, name: str) -> int:
    """VmRSS or VmHWM of the server, in MB."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024


def test_a_huge_body_is_refused_without_taking_memory(server: Server) -> None:
    assert server.post("/api/predict", SMALL, "image/png")[0] == 200
    before = memory(server, "VmRSS")
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak starts here
    chunks = (bytes(2**18) for _ in range(4 * 150))  # 150 MB, their length not announced
    status, answer = server.post("/api/predict?study=digits", chunks, "application/json")
    assert (status, answer["error"]["status"]) == (413, 413)
    assert memory(server, "VmHWM") - before < 30


def test_the_api_waits_for_its_first_request() -> None:
    """The start of the dashboard must not pay for FastAPI."""
    script = "import sys, asgi; print('fastapi' in sys.modules, 'src.api.routes' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["False", "False"]


@pytest.mark.browser
@pytest.mark.slow
def test_the_reference_works_under_the_content_policy(server: Server, browser: Browser) -> None:
    browser.look()
    browser.driver.get("about:blank")
    browser.driver.get_log("browser")
    browser.driver.get(f"{server.url}/api/docs")
    browser.wait_until(lambda: len(browser.all(".opblock")) == 3, "The reference stays empty.")
    operation = "#operations-What_is_published-studies"
    execute = f"{operation} .btn.execute"

    def unfold() -> None:
        if not browser.all(execute):
            browser.press(f"{operation} .opblock-summary-control")

    browser.do_until(unfold, lambda: browser.all(execute), "There is nothing to try.")
    # Swagger UI shows the button before it has resolved the operation; a press then is lost.
    browser.press_until(execute, lambda: '"default": "cifar10"' in browser.text)
    assert browser.severe() == []


# --- docs/api.md ---------------------------------------------------------------------------


def documented(language: str) -> list[str]:
    """The examples of docs/api.md in one language."""
    section = (ROOT / "docs/api.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def run_example(folder: Path, server: Server, command: list[str], text: str) -> str:
    """What an example prints, run as it is written but for the address."""
    (folder / "cat.jpg").write_bytes(picture((300, 200), "JPEG"))
    (folder / "dog.jpg").write_bytes(picture((40, 60), "JPEG"))
    (folder / ".curlrc").write_text("fail\nsilent\nshow-error\n")  # an error stops the example
    here = text.replace("http://localhost:8501", server.url)
    assert here != text
    environment = {**os.environ, "CURL_HOME": str(folder), "no_proxy": "*"}
    ran = subprocess.run(
        [*command, here],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def parsed(text: str) -> list[dict[str, Any]]:
    """JSON documents one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


def test_curl_examples_of_the_document(server: Server, tmp_path: Path) -> None:
    blocks = documented("sh")
    printed = run_example(tmp_path, server, ["sh", "-euc"], "\n".join(blocks))
    documents = parsed(printed)
    assert len(documents) == sum(len(re.findall(r"^curl ", block, re.M)) for block in blocks)
    answers = [entry for d in documents for entry in d.get("predictions", [])]
    assert len(answers) == 5
    assert all("label" in entry for entry in answers)
    assert answers[-1]["label"] == "3"


def test_python_examples_of_the_document(server: Server, tmp_path: Path) -> None:
    blocks = documented("python")
    assert len(blocks) == 1
    printed = run_example(tmp_path, server, [sys.executable, "-c"], blocks[0])
    assert [line.split()[0] for line in printed.splitlines()] == ["cat.jpg", "dog.jpg"]
