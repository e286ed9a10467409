"""What a stranger may ask: how often, how much, and who counts as one."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from src import config
from src.api import limits


def scope(*forwarded: str, length: str | None = None) -> Scope:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    headers += [(b"content-length", length.encode())] if length else []
    return {"type": "http", "method": "POST", "headers": headers, "client": ("10.0.0.1", 5)}


# --- at work -------------------------------------------------------------------------------


def test_a_client_waits_for_itself_and_not_for_others() -> None:
    turns, order = limits.Turns(2), []

    async def work(who: str, done: asyncio.Event) -> None:
        async with turns.of(who):
            order.append(who)
            await done.wait()

    async def all_of_them() -> None:
        done = asyncio.Event()
        tasks = [asyncio.create_task(work(who, done)) for who in ("a", "a", "a", "b")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["a", "a", "b"]
        done.set()
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())
    assert order == ["a", "a", "b", "a"]
    assert not turns._taken  # nobody is remembered


# --- how often -----------------------------------------------------------------------------


def test_a_bucket_empties_and_refills_steadily() -> None:
    limit = limits.RateLimit(nothing, per_minute=3)
    assert [limit.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 20]
    assert limit.take("b", 100.0) == 0  # each client has its own
    assert limit.take("a", 119.5) == 1
    assert [limit.take("a", 120.1), limit.take("a", 120.1)] == [0, 20]
    assert [limit.take("a", 1000.0) for _ in range(4)] == [0, 0, 0, 20]  # full again, not fuller


def test_only_so_many_clients_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENTS", 2)
    limit = limits.RateLimit(nothing, per_minute=3)
    for who in ("a", "b", "a", "c"):
        limit.take(who, 1.0)
    assert list(limit.buckets) == ["a", "c"]


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        ([], 0, "10.0.0.1"),
        (["1.1.1.1"], 0, "10.0.0.1"),  # nobody in front of us wrote this
        ([], 1, "10.0.0.1"),
        (["1.1.1.1"], 1, "1.1.1.1"),
        (["6.6.6.6, 1.1.1.1"], 1, "1.1.1.1"),  # 6.6.6.6 is what the client claims to be
        (["6.6.6.6", "1.1.1.1, 2.2.2.2"], 2, "1.1.1.1"),
        (["1.1.1.1"], 2, "10.0.0.1"),
    ],
)
def test_a_client_cannot_claim_to_be_another(
    forwarded: list[str], proxies: int, expected: str
) -> None:
    assert limits.client(scope(*forwarded), proxies) == expected


def test_the_limit_is_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_REQUESTS_PER_MINUTE", "TRUSTED_PROXIES", "DYNO"):
        monkeypatch.delenv(name, raising=False)
    assert (limits.requests_per_minute(), limits.trusted_proxies()) == (600, 0)
    assert "with 429. 600 unless set;" in (config.ROOT / "docs/api.md").read_text()
    monkeypatch.setenv("DYNO", "web.1")
    monkeypatch.setenv("API_REQUESTS_PER_MINUTE", "0")
    assert (limits.requests_per_minute(), limits.trusted_proxies()) == (0, 1)
    monkeypatch.setenv("TRUSTED_PROXIES", "-1")
    said = "TRUSTED_PROXIES must be a whole number of 0 or more, not '-1'"
    with pytest.raises(ValueError, match=said):
        limits.trusted_proxies()


async def nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def statuses(limit: limits.RateLimit, count: int) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def ask() -> None:
        for _ in range(count):
            await limit(scope(), receive, send)

    asyncio.run(ask())
    return sent


def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    sent = statuses(limits.RateLimit(nothing, per_minute=2), 3)
    starts = [message for message in sent if "status" in message]
    assert [start["status"] for start in starts] == [204, 204, 429]
    assert (b"retry-after", b"30") in starts[2]["headers"]
    message = "More than 2 requests in a minute; try again in 30 s."
    assert json.loads(sent[-1]["body"]) == {
        "error": {"status": 429, "message": message, "details": []}
    }
    unlimited = statuses(limits.RateLimit(nothing, per_minute=0), 50)
    assert {start["status"] for start in unlimited if "status" in start} == {204}


# --- how much ------------------------------------------------------------------------------


def sending(chunks: Iterator[bytes], length: str | None = None) -> Request:
    async def receive() -> Message:
        chunk = next(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    return Request(scope(length=length), receive)


def endless(taken: list[int]) -> Iterator[bytes]:
    while True:
        taken.append(1000)
        yield bytes(1000)


async def read(budget: limits.BodyBudget, request: Request, limit: int) -> int:
    with budget.limited(request, limit) as admitted:
        return len(await admitted.body())


def test_a_body_up_to_the_limit_is_read_and_its_budget_given_back() -> None:
    budget = limits.BodyBudget(5000)
    for _ in range(10):
        assert asyncio.run(read(budget, sending(iter([bytes(1000)] * 5)), 5000)) == 5000
    assert budget.taken == 0


def test_a_body_without_end_is_given_up_at_the_limit() -> None:
    budget, taken = limits.BodyBudget(10**9), []  # type: tuple[limits.BodyBudget, list[int]]
    with pytest.raises(HTTPException) as refused:
        asyncio.run(read(budget, sending(endless(taken)), 5000))
    assert (refused.value.status_code, sum(taken), budget.taken) == (413, 6000, 0)


def test_an_announced_length_is_refused_before_anything_is_read() -> None:
    taken: list[int] = []
    with pytest.raises(HTTPException) as refused:
        asyncio.run(read(limits.BodyBudget(10**9), sending(endless(taken), "2097153"), 2**21))
    assert (refused.value.status_code, taken) == (413, [])
    assert refused.value.detail == "The body is larger than 2 MB, the most accepted."


def test_bodies_of_all_clients_together_have_a_limit_too() -> None:
    budget = limits.BodyBudget(5000)

    async def two() -> None:
        with budget.limited(sending(iter([bytes(3000)])), 4000) as first:
            await first.body()
            with budget.limited(sending(iter([bytes(3000)])), 4000) as second:
                await second.body()

    with pytest.raises(HTTPException) as refused:
        asyncio.run(two())
    assert (refused.value.status_code, budget.taken) == (503, 0)
