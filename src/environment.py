"""What a run was made with: hardware, packages, revision of the code."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from src import config

PACKAGES = (
    "ai-edge-litert keras matplotlib numpy pandas pi-heif pillow pyarrow pyvips-binary "
    "scikit-learn streamlit tensorflow"
).split()


def describe() -> dict[str, Any]:
    """Python, platform, processor, cores, memory (GB) and package versions of this machine."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "packages": {name: found for name in PACKAGES if (found := _installed(name))},
    }


def code_revision() -> str:
    """The commit the code was at, with `+changes` where the work tree differed; or `unknown`."""
    try:
        revision = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "src")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return revision + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(config.ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def cpu_flags() -> set[str]:
    """What the processor can do, in Linux's words; empty elsewhere."""
    return set(_cpu("flags").split())


def _processor() -> str:
    return _cpu("model name") or platform.processor()


def _cpu(key: str) -> str:
    """What Linux says of the first processor; empty where it says nothing."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


CGROUP = Path("/sys/fs/cgroup")  # version 2, as containers have it


def available_bytes() -> int:
    """Memory this process may still take: what the machine has free, or what its container has."""
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = (_cgroup(name) for name in ("memory.max", "memory.current"))
    return free if limit is None or used is None else min(free, max(0, limit - used))


def _cgroup(name: str) -> int | None:
    """One number of this process's control group; none where it has no such limit."""
    path = CGROUP / name
    text = path.read_text().strip() if path.is_file() else "max"
    return None if text == "max" else int(text)


def peak_bytes() -> int:
    """Most memory this process has held so far (resident set), bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
