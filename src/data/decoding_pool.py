"""Decoding processes: started when first needed, kept, and replaced when one ends.

Small files and large ones wait in lanes of their own, so that a large file never holds up a small
one; a small file that takes longer than its kind does goes over to the large ones.
"""

import atexit
import json
import os
import queue
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

from src import config
from src.data import decoding_worker

# One thread decodes, and freed memory goes back to the system at once, but for blocks of everyday
# photos: with those too a small photo takes half a millisecond longer.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "2097152",
    "MALLOC_MMAP_THRESHOLD_": "2097152",
    "VIPS_CONCURRENCY": "1",
}
START = 30  # seconds that a new process may take on a busy machine
SLACK = 90 * 10**6  # bytes; headers promise about what decoding takes, libraries load late
GROWTH = 60 * 10**6  # bytes; what a library keeps of its files is missing for the next one
BUFFER = 4 * 2**20  # bytes; the system may grant less
ANSWER = 16 * 2**20  # bytes, more than any answer has
WALL = 6  # times the processor time of a file, after which its process is ended even if it sleeps


class WorkerLost(Exception):
    """The process ended on a file: it took too much time or memory, or the library crashed."""


class Worker:
    """One process; used by one thread at a time."""

    def __init__(self, memory: int) -> None:
        self._channel, far = socket.socketpair()
        for end in (self._channel, far):  # a whole small image at once, not in turns
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        command = [sys.executable, "-m", decoding_worker.__name__, str(far.fileno()), str(memory)]
        self._process = subprocess.Popen(
            command,
            cwd=config.ROOT,
            env=config.child_environment(**ENVIRONMENT),
            pass_fds=[far.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        far.close()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def decode(self, data: bytes, seconds: float) -> tuple[dict[str, Any], bytearray]:
        """What `decoding_worker.answer` gives. WorkerLost where the process ends before."""
        try:
            self._channel.settimeout(START + WALL * seconds)
            decoding_worker.send(self._channel, json.dumps(seconds).encode(), data)
            answer = json.loads(decoding_worker.receive(self._channel, ANSWER))
            pixels = decoding_worker.receive(self._channel, ANSWER)
            if len(pixels) != 3 * answer.get("height", 0) * answer.get("width", 0):
                raise ValueError("a library has taken the process over")
            return answer, pixels
        except (OSError, EOFError, ValueError) as error:
            raise WorkerLost from error

    def leave(self) -> None:
        """Close this process's copy of another one's worker, whose process goes on."""
        self._channel.close()
        self._process.returncode = 0  # not ours to wait for

    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """Close the channel, which ends the process, and see that it does."""
        self._channel.close()
        self._process.kill()
        self._process.wait()


@dataclass
class Lane:
    """Files of one kind: how many at a time, with how much memory and processor time each.

    memory: bytes for the file and its decoding. seconds: of the processor.
    """

    count: int
    memory: int
    seconds: float
    _idle: "queue.LifoQueue[Worker | None]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._clear()
        LANES.append(self)

    def _clear(self) -> None:
        """Start with no processes: each is started when it is first taken."""
        self._idle = queue.LifoQueue()
        for _ in range(self.count):
            self._idle.put(None)

    def forget(self) -> None:
        """Leave the processes to the one that this one is a copy of."""
        for worker in filter(None, list(self._idle.queue)):
            worker.leave()
        self._clear()

    def decode(self, data: bytes) -> tuple[dict[str, Any], bytearray]:
        """Wait for a process and let it decode. WorkerLost where that ends it."""
        worker = self._idle.get()
        keep = False
        try:
            if worker and not worker.alive():  # the system may end one that waits
                worker.end()
                worker = None
            worker = worker or Worker(self.memory + SLACK)
            answer, pixels = worker.decode(data, self.seconds)
            keep = answer["grown"] <= GROWTH
            return answer, pixels
        finally:
            if worker and not keep:
                worker.end()
            self._idle.put(worker if keep else None)

    def pids(self) -> list[int]:
        """The numbers of the processes that wait for work."""
        return sorted(worker.pid for worker in list(self._idle.queue) if worker)

    def busy(self) -> bool:
        """Whether every process is at work."""
        return self._idle.empty()

    def end(self) -> None:
        """End the processes that wait; those at work end with this process."""
        while True:
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                break
            if worker:
                worker.end()
        self._clear()


LANES: list[Lane] = []


def _forget_all() -> None:
    for lane in LANES:
        lane.forget()


def _end_all() -> None:
    for lane in LANES:
        lane.end()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_forget_all)  # a copy of this process may not share a channel
