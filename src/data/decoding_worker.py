"""The process that decodes: files in, pixels out, over one socket, until the socket closes.

Started by `decoding_pool` as `python -m src.data.decoding_worker <socket> <bytes of memory>`. Both
limits are the system's own: no more memory than given, and no more processor time for one file
than its order says; the system ends the process where a library goes beyond it.
"""

import json
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from src.data import image_headers

LENGTH = struct.Struct("!Q")  # stands before every message


def send(channel: socket.socket, head: bytes, body: bytes) -> None:
    """Send a message of two parts, each with its length before it."""
    lengths = LENGTH.pack(len(head)), LENGTH.pack(len(body))
    channel.sendall(lengths[0] + head + lengths[1])  # at once: each piece would wake the other side
    channel.sendall(body)


def receive(channel: socket.socket, most: int | None = None) -> bytearray:
    """Receive one part; EOFError where the other side has gone, ValueError for too many bytes."""
    (length,) = LENGTH.unpack(_exactly(channel, LENGTH.size))
    if most is not None and length > most:
        raise ValueError(f"{length} bytes")
    return _exactly(channel, length)


def _exactly(channel: socket.socket, length: int) -> bytearray:
    found = bytearray(length)
    view = memoryview(found)
    while view:
        count = channel.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return found


def limit_memory(count: int) -> None:
    """Let this process take at most so many bytes beyond what it has now."""
    _, highest = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_bytes() + count
    if highest == resource.RLIM_INFINITY or wanted < highest:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, highest))


def _data_bytes() -> int:
    """What counts against RLIMIT_DATA so far; 0 where the system does not say."""
    pages = Path("/proc/self/statm")  # proc(5): its sixth number is data and stack
    taken = int(pages.read_text().split()[5]) if pages.is_file() else 0
    return taken * resource.getpagesize()


def answer(data: bytes) -> tuple[dict[str, Any], bytes]:
    """What `decoders.decode` gives, or why it gives nothing; and the pixels."""
    from src.data import decoders

    try:
        found = decoders.decode(data, image_headers.read(data))
    except image_headers.ImageError as error:
        return {
            "error": str(error),
            "too_large": isinstance(error, image_headers.TooLarge),
        }, b""
    return {**found._asdict(), "pixels": len(found.pixels)}, found.pixels


def serve(channel: socket.socket) -> None:
    """Decode one file after the other; each order is seconds of processor time, and a file.

    The answer says by how many bytes the process has grown since its start.
    """
    start = _data_bytes()
    while True:
        seconds = json.loads(receive(channel))
        data = bytes(receive(channel))
        signal.setitimer(signal.ITIMER_PROF, seconds)  # SIGPROF ends the process
        found, pixels = answer(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        del data
        found["grown"] = _data_bytes() - start
        send(channel, json.dumps(found).encode(), pixels)
        del pixels


def main() -> None:
    """Serve until the parent closes its end, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    from src.data import decoders  # noqa: F401  # before the limit and the first file

    limit_memory(int(sys.argv[2]))
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        try:
            serve(channel)
        except (EOFError, OSError):
            return


if __name__ == "__main__":
    main()
