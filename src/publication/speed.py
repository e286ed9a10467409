"""Speed: how long all models of a run take to answer, measured together in interleaved rounds.

Measured one after another, equal networks differ by as much as the machine's other work changes
meanwhile. So every round asks every model, each time in another order, and what is published is the
median of the rounds with the fastest and the slowest of them: models that do not differ overlap
(Georges, Buytaert and Eeckhout, Statistically rigorous Java performance evaluation, OOPSLA 2007).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src import config
from src.data.datasets import Dataset
from src.publication.engines import Engine, engines
from src.runs.drafts import Draft
from src.serving.inference import BATCH

ROUNDS = 11
SINGLE = 20  # images that a model answers one by one in a round

Pixels = NDArray[np.uint8]
Task = Callable[[Engine, Pixels], Callable[[], float]]


def record_speed(draft: Draft, dataset: Dataset) -> dict[str, Any]:
    """Measure every model that can answer; its metrics get `latency_ms` and `throughput`.

    latency_ms: milliseconds of one image. throughput: images per second in batches. Both by form
    (float32, int8, scikit-learn), each the median of `rounds` with the smallest and largest as low
    and high. Models whose files are gone have none.
    """
    forms_of = {name: engines(draft, dataset, name) for name in draft.models()}
    images = dataset.validation.images

    def together(task: Task) -> dict[Any, dict[str, Any]]:
        return rounds(
            {
                (name, form): task(engine, images)
                for name, forms in forms_of.items()
                for form, engine in forms.items()
            }
        )

    latency, batches = together(_single), together(_batch)
    measured = {}
    for name, forms in forms_of.items():
        found = draft.read_json(f"models/{name}/metrics.json")
        found["cost"]["latency_ms"] = {
            form: latency[name, form] | {"n": SINGLE * ROUNDS} for form in forms
        }
        found["cost"]["throughput"] = {
            form: batches[name, form] | {"batch": BATCH} for form in forms
        }
        draft.write_json(f"models/{name}/metrics.json", found)
        measured[name] = found
    return measured


def rounds(tasks: Mapping[Any, Callable[[], float]]) -> dict[Any, dict[str, Any]]:
    """Run all tasks in each of `ROUNDS` rounds, in a new order each time, after one for practice.

    Each task returns its own measurement. Returns for each {value: the median, low and high: the
    smallest and largest, rounds}.
    """
    rng = np.random.default_rng(config.SEED)
    keys = list(tasks)
    found: dict[Any, list[float]] = {key: [] for key in keys}
    for number in range(ROUNDS + 1):
        for place in rng.permutation(len(keys)):
            value = tasks[keys[place]]()
            if number:  # the first round allocates
                found[keys[place]].append(value)
    return {
        key: {
            "value": float(np.median(values)),
            "low": min(values),
            "high": max(values),
            "rounds": len(values),
        }
        for key, values in found.items()
    }


def _single(model: Engine, images: Pixels) -> Callable[[], float]:
    """Median milliseconds of some images, one by one, once the caches are the model's own."""

    def task() -> float:
        model.predict(images[:1])
        times = [model.predict(images[i % len(images)][None]).milliseconds for i in range(SINGLE)]
        return float(np.median(times))

    return task


def _batch(model: Engine, images: Pixels) -> Callable[[], float]:
    """Images per second of one batch."""
    batch = np.resize(images, (BATCH, *images.shape[1:]))

    def task() -> float:
        model.predict(batch[:1])
        started = time.perf_counter()
        model.predict(batch)
        return BATCH / (time.perf_counter() - started)

    return task
