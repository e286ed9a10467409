"""Rate limits, body-size limits and error responses."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from src import config

CLIENTS = 10_000  # remembered at most, about 1 MB


def error_response(
    status: int,
    message: str,
    details: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error of the HTTP API: {"error": {"status", "message", "details"}}."""
    error = {"status": status, "message": message, "details": list(details)}
    return JSONResponse({"error": error}, status, headers)


# --- rate limits ---------------------------------------------------------------------------


def requests_per_minute() -> int:
    """`API_REQUESTS_PER_MINUTE`, for each client; 0: no limit. ValueError where it is no number."""
    return config.setting("API_REQUESTS_PER_MINUTE", 600)


def trusted_proxies() -> int:
    """`TRUSTED_PROXIES`: how many servers in front of this one add to X-Forwarded-For.

    Without it none, and one on Heroku, whose router is always there.
    """
    return config.setting("TRUSTED_PROXIES", 1 if config.on_heroku() else 0)


def client(scope: Scope, proxies: int) -> str:
    """Who asks: the address that the outermost trusted proxy saw, else the connection's own.

    What stands further left in X-Forwarded-For was written by the client and counts for nothing.
    """
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED]
    chain = [entry.strip() for entry in ",".join(lines).split(",")] if lines else []
    if proxies and len(chain) >= proxies:
        return chain[-proxies]
    return str((scope.get("client") or ("unknown",))[0])


FORWARDED = b"x-forwarded-for"


class RateLimit:
    """Refuses clients that send too many requests: a token bucket each, full at first."""

    def __init__(self, app: ASGIApp, per_minute: int, proxies: int = 0) -> None:
        self.app, self.per_minute, self.proxies = app, per_minute, proxies
        # client → (requests left, when that was so); the one seen longest ago comes first
        self.buckets: dict[str, tuple[float, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429 and say when to come back."""
        wait = (
            self.take(client(scope, self.proxies), time.monotonic()) if self._counts(scope) else 0
        )
        if not wait:
            await self.app(scope, receive, send)
            return
        message = f"More than {self.per_minute} requests in a minute; try again in {wait} s."
        await error_response(429, message, headers={"retry-after": str(wait)})(scope, receive, send)

    def _counts(self, scope: Scope) -> bool:
        return bool(self.per_minute) and scope["type"] == "http"

    def take(self, who: str, now: float) -> int:
        """Count a request at `now` (s): 0, or where the bucket is empty the seconds to wait."""
        left, before = self.buckets.pop(who, (float(self.per_minute), now))
        left = min(self.per_minute, left + (now - before) * self.per_minute / 60)
        wait = 0 if left >= 1 else math.ceil((1 - left) * 60 / self.per_minute)
        self.buckets[who] = (left if wait else left - 1, now)
        if len(self.buckets) > CLIENTS:
            del self.buckets[next(iter(self.buckets))]
        return wait


# --- requests at work ----------------------------------------------------------------------


class Turns:
    """How many requests of one client are at work at the same time; its others wait.

    So a client that sends files which take long waits for itself, and not others for it.
    """

    def __init__(self, each: int) -> None:
        self.each = each
        self._taken: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, who: str) -> AsyncIterator[None]:
        """Wait for one of this client's turns and keep it."""
        turns = self._taken.get(who)
        if turns is None:
            turns = self._taken[who] = asyncio.Semaphore(self.each)
        async with turns:
            yield


# --- body-size limits ----------------------------------------------------------------------


class BodyBudget:
    """Bytes of request bodies held at the same time, for all clients together."""

    def __init__(self, total: int) -> None:
        self.total, self.taken = total, 0

    @contextmanager
    def limited(self, request: Request, limit: int) -> Iterator[Request]:
        """The request, its body counted while it is read.

        Raises HTTPException 413 for more than `limit` bytes, announced or sent, and 503 where
        the budget is used up.
        """
        taken = 0

        def count(size: int) -> None:
            nonlocal taken
            taken, self.taken = taken + size, self.taken + size
            _check(taken, limit)
            if self.taken > self.total:
                raise HTTPException(503, "Too much is being sent at once; try again in a moment.")

        async def receive() -> Message:
            message = await request.receive()
            count(len(message.get("body", b"")))
            return message

        announced = request.headers.get("content-length", "0")
        _check(int(announced) if announced.isdecimal() else 0, limit)
        try:
            yield Request(request.scope, receive)
        finally:
            self.taken -= taken


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise HTTPException(
            413, f"The body is larger than {limit / 2**20:g} MB, the most accepted."
        )
