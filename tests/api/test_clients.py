"""Clients beside each other, on the real server: what one of them does keeps no other waiting."""

import contextlib
import socket
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from src.data import images
from tests import image_files, live
from tests.live import Server

PHOTO = images.to_png(np.full((32, 32, 3), 90, np.uint8) + np.eye(32, dtype=np.uint8)[..., None])
STALLED = (
    "POST /api/predict HTTP/1.1\r\nHost: server\r\nContent-Type: image/png\r\n"
    "Content-Length: 1000\r\n\r\n\x89PNG"
)


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[Server]:
    with live.serve({"TRUSTED_PROXIES": "1"}) as running:
        yield running


@pytest.mark.slow
def test_clients_that_stall_hold_up_nobody_at_their_address(server: Server) -> None:
    address = urllib.parse.urlsplit(server.url)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            connection = socket.create_connection((address.hostname, address.port))
            stack.enter_context(contextlib.closing(connection))
            connection.sendall(STALLED.encode("latin-1"))
        assert server.post("/api/predict", PHOTO, "image/png")[0] == 200


@pytest.mark.slow
def test_files_that_take_long_hold_up_their_sender_alone(behind_proxy: Server) -> None:
    """Four of them are not done while a photo of another client is answered again and again."""
    slow, target = image_files.slow_png(), "/api/predict"
    assert behind_proxy.post(target, PHOTO, "image/png", "10.0.0.2")[0] == 200  # all is loaded
    with ThreadPoolExecutor(4) as pool:
        sent = [
            pool.submit(behind_proxy.post, target, slow, "image/png", "10.0.0.1") for _ in range(4)
        ]
        for _ in range(5):
            assert behind_proxy.post(target, PHOTO, "image/png", "10.0.0.2")[0] == 200
        assert not all(one.done() for one in sent)
        assert [one.result()[0] for one in sent] == [200] * 4
