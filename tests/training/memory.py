"""What a training takes of the machine's memory, measured in a process of its own."""

from pathlib import Path

import numpy as np

from src import config, environment
from src.data.datasets import Split
from src.data.plans import Architecture, Recipe
from src.training import architectures, loop


def estimate_ratio(folder: Path) -> float:
    """Estimated over taken bytes, of what batches of 2048 need beyond batches of 128."""
    images = np.random.default_rng(config.SEED).integers(0, 256, (2048, 32, 32, 3), np.uint8)
    split = Split("train", np.arange(2048), images, np.arange(2048) % 10)
    held = Split("validation", np.arange(64), images[:64], np.arange(64) % 10)
    record = loop.Record(folder)
    architecture, small, large = Architecture("fast", (32, 64)), Recipe(1, 128), Recipe(1, 2048)
    loop.fit(architecture, small, split, held, seed=0, record=record, compute="float32")
    before = environment.peak_bytes()
    loop.fit(architecture, large, split, held, seed=0, record=record, compute="float32")
    taken = environment.peak_bytes() - before
    model = architectures.build(architecture, images, 10, 0)
    return (loop.needed_bytes(model, large) - loop.needed_bytes(model, small)) / taken
