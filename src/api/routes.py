"""The addresses of the HTTP API: what is published, and predictions for received images.

Images are prepared and classified as on the dashboard; asgi.py mounts the API at `/api`. Work on
images runs in threads of its own, so it never holds up the dashboard, and each client has only some
of them, so it never holds up the others.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from src.api import limits, listing, predictions, reference
from src.api.limits import error_response
from src.api.predictions import MAX_FILES, Setup, Unreadable
from src.api.schemas import Error, Options, Predictions, Studies, Version
from src.data import decoding
from src.runs import published
from src.serving.classifier import find_run

# Longest body of each form, and of all bodies that are held at the same time. Uploaded files
# of more than 1 MB wait on disk, other bodies in memory.
FILES_BYTES = 50 * 2**20
IMAGE_BYTES = decoding.MAX_BYTES
JSON_BYTES = 2**20
BUDGET_BYTES = 100 * 2**20

P = ParamSpec("P")
R = TypeVar("R")

DESCRIPTION = f"""
Predictions for images, from the models published here; the dashboard gives the same ones.

**Limits.** At most {MAX_FILES} files and {FILES_BYTES // 2**20} MB in one request,
{IMAGE_BYTES // 2**20} MB for one file, and for one image {decoding.limits()}. A
client that asks too often gets 429 and the seconds to wait in `Retry-After`; of one client, two
requests are worked on at a time. Nothing that is sent is stored.

**Errors** are JSON, `{{"error": {{"status", "message", "details"}}}}`, and the message says what to
do. Each of several files succeeds or fails on its own; the request fails only where every file
fails.

**Health.** [`/healthz`](/healthz) answers 200 while the server runs, [`/readyz`](/readyz) 200 once
a published version opens and otherwise 503 with the reason; both stand beside this API.

**Other sites.** There are no CORS headers, so scripts of other web sites cannot read the answers.
"""


FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is broken: no valid JSON or multipart."},
    404: {"description": "There is no such study, version, model or address."},
    413: {"description": "The body, a file or an image is too large, or there are too many."},
    415: {"description": "The body or a file is of a kind that is not accepted."},
    422: {"description": "A parameter or an image cannot be used; the message says why."},
    429: {"description": "Too many requests; `Retry-After` says for how many seconds to wait."},
    503: {"description": "Too much is being sent at once, or a version cannot be read."},
    "default": {"description": "Any other failure, in the same form."},
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How these errors look, for the description of an address."""
    wanted: tuple[int | str, ...] = (*statuses, "default")
    return {status: {**FAILURES[status], "model": Error} for status in wanted}


app = FastAPI(
    title="Product photo studies",
    version="1",
    description=DESCRIPTION,
    docs_url=None,  # ours is api/reference.py
    redoc_url=None,
    redirect_slashes=False,  # a redirect would name a scheme and host that a proxy may have changed
)
app.include_router(reference.router)


# --- reading a body ----------------------------------------------------------------------


WORKERS = CapacityLimiter(8)
TURNS = limits.Turns(2)
BUDGET = limits.BodyBudget(BUDGET_BYTES)


async def run_in_worker(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a function in one of the threads for work on images."""
    call = functools.partial(function, *args, **kwargs)
    return await to_thread.run_sync(call, limiter=WORKERS)


async def work_on(
    request: Request, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Run a function as soon as one of the client's turns is free.

    A body has arrived by then, so a client that stalls takes no turn from others at its address.
    """
    async with TURNS.of(limits.client(request.scope, limits.trusted_proxies())):
        return await run_in_worker(function, *args, **kwargs)


class FilesParser(MultiPartParser):
    """Starlette's parser, which also notices a body that was cut off, and closes its files."""

    complete = False

    def on_end(self) -> None:
        self.complete = True

    def close(self) -> None:
        for file in self._files_to_close_on_error:
            file.close()


async def from_files(setup: Setup, request: Request) -> Predictions:
    """The multipart form."""
    parser = FilesParser(
        request.headers, request.stream(), max_files=MAX_FILES, max_fields=8, max_part_size=4096
    )
    try:
        form = await parser.parse()
        if not parser.complete:
            raise MultiPartException("The multipart body has no end.")
        uploads = [_upload(field, value) for field, value in form.multi_items()]
        if not uploads:
            raise HTTPException(422, "There is no file in the request; its field is called files.")
        files = [(upload.filename, upload.file.read) for upload in uploads]
        return await work_on(request, predictions.of_files, setup, files)
    except MultiPartException as error:
        status = 413 if "Too many files" in error.message else 400
        raise HTTPException(status, error.message) from error
    finally:
        parser.close()


def _upload(field: str, value: UploadFile | str) -> UploadFile:
    if isinstance(value, str):
        raise HTTPException(
            422, f"{field} holds text; images go as files into files, options into the address."
        )
    if field != "files":
        raise HTTPException(422, f"Images go into the field files, not {field}.")
    return value


async def from_pixels(setup: Setup, request: Request) -> Predictions:
    """The JSON form."""
    body = await request.body()
    return await work_on(request, predictions.of_pixels, setup, body)


async def from_image(setup: Setup, request: Request) -> Predictions:
    """The body is a file."""
    body = await request.body()
    return await work_on(request, predictions.of_files, setup, [(None, lambda: body)])


FORMS = {
    "multipart/form-data": (from_files, FILES_BYTES),
    "application/json": (from_pixels, JSON_BYTES),
    "image/*": (from_image, IMAGE_BYTES),
}


def form_of(request: Request) -> str:
    """Which of `FORMS` the body has; HTTPException 415 where it is none of them."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "Compressed bodies are not accepted: send it as it is.")
    stated = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = "image/*" if stated.startswith("image/") else stated
    if form not in FORMS:
        raise HTTPException(
            415,
            f"Content-Type is {stated or 'missing'}; send files as multipart/form-data in the "
            "field files, pixels as application/json, or one image as image/….",
        )
    return form


# --- addresses -----------------------------------------------------------------------------


FILE = {"type": "string", "format": "binary"}
ROWS = {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}
THREE = """
0 0 7 15 13 1 0 0
0 8 13 6 15 4 0 0
0 2 1 13 13 0 0 0
0 0 2 15 11 1 0 0
0 0 0 1 12 12 1 0
0 0 0 0 1 10 8 0
0 0 8 4 5 14 9 0
0 0 7 13 13 9 0 0
"""  # of the digits, 0 to 16
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["files"],
                "properties": {"files": {"type": "array", "maxItems": MAX_FILES, "items": FILE}},
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["pixels"],
                "additionalProperties": False,
                "properties": {
                    "pixels": {
                        "description": "Rows of an image, 0 to 255, or a list of images; only for "
                        "studies of grey images, in exactly their shape.",
                        "anyOf": [ROWS, {"type": "array", "maxItems": MAX_FILES, "items": ROWS}],
                    }
                },
            },
            "example": {
                "pixels": [
                    [round(int(value) * 255 / 16) for value in row.split()]
                    for row in THREE.strip().splitlines()
                ]
            },
        },
        "image/*": {"schema": FILE},
    },
}


@app.post(
    "/predict",
    operation_id="predict",
    tags=["Predictions"],
    summary="Predict the class of images",
    responses=failures(400, 404, 413, 415, 422, 429, 503),
    response_model_exclude_unset=True,
    openapi_extra={"requestBody": BODY},
)
async def predict(request: Request, options: Annotated[Options, Query()]) -> Predictions:
    """Send one or several images, in one of three forms.

    - files, in the multipart field `files`;
    - one image as the whole body, with its own Content-Type (`image/jpeg`, …);
    - numbers as JSON, `{"pixels": [[…], …]}`, for studies of small grey images (`study=digits`).

    A file that cannot be read has an `error` in its entry; the others get predictions. Where no
    file can be read, the request fails with the status of the first.
    """
    receive, limit = FORMS[form_of(request)]
    setup = await run_in_worker(predictions.resolve, options)
    with BUDGET.limited(request, limit) as limited:
        return await receive(setup, limited)


@app.get(
    "/studies",
    operation_id="studies",
    tags=["What is published"],
    summary="List what is published",
    responses=failures(404, 429, 503),
)
def studies() -> Studies:
    """Every study with its versions, newest first.

    For each its classes, the shape of its model input, the models that classify new images, and
    the accuracy of the default one with a 95 % interval.
    """
    return listing.studies()


@app.get(
    "/studies/{study}/versions/{version}",
    operation_id="version",
    tags=["What is published"],
    summary="Describe a version",
    responses=failures(404, 429, 503),
)
def describe(study: str, version: str) -> Version:
    """One version with every model, its metrics on test images, and its times."""
    return listing.details(find_run(study, version))


# --- errors ------------------------------------------------------------------------------


@app.exception_handler(HTTPException)
async def refused(request: Request, error: HTTPException) -> Response:
    """Errors of the framework and our own, in our form."""
    message, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 404:
        message = f"There is nothing at {request.url.path}; see /api/docs for what there is."
    if error.status_code == 405:
        message = f"{request.method} is not answered here, only {headers.get('Allow')}."
    return error_response(error.status_code, message, headers=headers)


@app.exception_handler(RequestValidationError)
async def invalid(_request: Request, error: RequestValidationError) -> Response:
    """Parameters that are unknown or out of range."""
    details = [
        {"where": str(entry["loc"][-1]), "message": _worded(entry)} for entry in error.errors()
    ]
    message = "; ".join(f"{entry['where']}: {entry['message']}" for entry in details)
    return error_response(422, f"{message}.", details)


def _worded(entry: Mapping[str, Any]) -> str:
    if entry["type"] == "extra_forbidden":
        return f"there is no such parameter, only {', '.join(Options.model_fields)}"
    return str(entry["msg"])


@app.exception_handler(Unreadable)
async def unreadable(_request: Request, error: Unreadable) -> Response:
    """One file: its problem. Several: all of them, with the status of the first."""
    (_, first), *others = error.problems
    if not others:
        return error_response(first.status, first.message)
    details = [
        {"where": name or f"file {i}", "message": found.message}
        for i, (name, found) in enumerate(error.problems)
    ]
    return error_response(first.status, f"None of the {len(details)} files can be read.", details)


@app.exception_handler(published.RunError)
async def unusable(_request: Request, error: published.RunError) -> Response:
    """What is not published, or was damaged since."""
    return error_response(404 if isinstance(error, published.RunNotFound) else 503, str(error))


@app.exception_handler(ClientDisconnect)
async def gone(_request: Request, _error: ClientDisconnect) -> Response:
    """For the log alone: nobody is there to read it."""
    return error_response(400, "The connection ended before the body did.")


@app.exception_handler(Exception)
async def broken(_request: Request, _error: Exception) -> Response:
    """A mistake of ours, which goes on to the log."""
    return error_response(500, "The server made a mistake. What happened is in its log.")
