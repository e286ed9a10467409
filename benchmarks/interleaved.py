"""Interleaved runs: whatever else the machine does slows all calls down alike."""

import statistics
import time
from collections.abc import Callable, Mapping

WARM_UP = 5


def median_times(
    calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = WARM_UP
) -> dict[str, float]:
    """Median milliseconds of wall time of each call, over the rounds after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up + rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn >= warm_up:
                times[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in times.items()}
