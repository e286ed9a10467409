"""Frozen features: what the frozen layers answer, computed once and kept on the disk.

LiteRT computes them, on a CPU more than twice as fast as TensorFlow. For each image and each
augmented view of it: the embedding, and, where the layers above one are to be trained, that layer's
activations in half precision. Interrupted readings go on with the next view.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tqdm import tqdm

from src.data.datasets import Split
from src.data.plans import Augmentation
from src.serving import inference
from src.training import augmentation, export

BATCH = 8  # images that LiteRT takes at a time


@dataclass(frozen=True)
class Views:
    """How images are looked at: as they are, and `n` times augmented."""

    augmentation: Augmentation
    n: int
    seed: int

    def of(self, images: NDArray[np.uint8], view: int) -> NDArray[np.uint8]:
        """View 0 is the images themselves, view k what epoch k of a training would show."""
        if view == 0:
            return images
        return augmentation.augment(images, self.augmentation, self.seed, view)


@dataclass(frozen=True)
class Features:
    """What was computed for one split of n images, by view."""

    embeddings: NDArray[np.float32]  # (1 + views, n, D)
    activations: list[NDArray[np.float16]]  # 1 + views of (n, h, w, C), on the disk; or none
    key: str  # of the images, the network and the views
    seconds: float
    cpu_seconds: float

    def mixed(self, seed: int, epoch: int) -> NDArray[np.float16]:
        """Activations (n, h, w, C) of one view of each image: each in turn, over the epochs."""
        start = np.random.default_rng(seed).integers(len(self.activations), size=self.n)
        view = (start + epoch) % len(self.activations)
        mixed = np.empty_like(self.activations[0])
        for number, stored in enumerate(self.activations):
            mixed[view == number] = stored[view == number]
        return mixed

    @property
    def n(self) -> int:
        return int(self.embeddings.shape[1])


class Reader:
    """The frozen layers of a model; `below` is the layer whose activations are kept, if any.

    The model has a layer `embedding`. Everything is kept in `folder`.
    """

    def __init__(self, model: keras.Model, below: str | None, folder: Path) -> None:
        outputs = {"embedding": model.get_layer("embedding").output}
        if below is not None:
            outputs["activation"] = model.get_layer(below).output
        self.frozen = keras.Model(model.input, outputs)
        self.below, self.folder = below, folder

    def read(self, split: Split, views: Views) -> Features:
        """The features of every image and view, computed where they are not kept yet."""
        key = self._key(split, views)
        paths = [self.folder / key / str(view) for view in range(views.n + 1)]
        missing = [view for view, path in enumerate(paths) if not _embedding(path).is_file()]
        with tqdm(total=len(missing) * len(split), unit="image", disable=not missing) as bar:
            for view in missing:
                self._compute(views.of(split.images, view), paths[view], bar)
        kept = [np.load(_embedding(path)) for path in paths]
        return Features(
            np.stack([stored["embedding"] for stored in kept]),
            [np.load(_activation(p), mmap_mode="r") for p in paths if self.below is not None],
            key,
            sum(float(stored["seconds"]) for stored in kept),
            sum(float(stored["cpu_seconds"]) for stored in kept),
        )

    def _key(self, split: Split, views: Views) -> str:
        """Changes with the images, the network's weights and what is done to the images."""
        digest = hashlib.sha256(json.dumps([self.below, asdict(views) | {"n": 0}]).encode())
        for array in (split.images, *self.frozen.get_weights()):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    @cached_property
    def _interpreter(self) -> Any:
        return Interpreter(model_content=export.convert(self.frozen), num_threads=inference.THREADS)

    @cached_property
    def _runner(self) -> Any:
        return self._interpreter.get_signature_runner("serving_default")

    def _compute(self, images: NDArray[np.uint8], path: Path, bar: Any) -> None:
        """Write the features of one view; the embeddings last, so that they mean completeness."""
        path.parent.mkdir(parents=True, exist_ok=True)
        runner, partial = self._runner, _activation(path).with_suffix(".partial")
        wall, cpu = time.perf_counter(), time.process_time()
        parts, activations = [], None
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH].astype(np.float32)
            found = runner(image=batch)
            parts.append(found["embedding"].copy())
            if self.below is not None:
                if activations is None:
                    shape = (len(images), *found["activation"].shape[1:])
                    activations = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
                activations[start : start + BATCH] = found["activation"]
            bar.update(len(batch))
        if activations is not None:
            activations.flush()
            os.replace(partial, _activation(path))
        with partial.open("wb") as stream:
            np.savez(
                stream,
                embedding=np.concatenate(parts),
                seconds=time.perf_counter() - wall,
                cpu_seconds=time.process_time() - cpu,
            )
        os.replace(partial, _embedding(path))


def _embedding(path: Path) -> Path:
    return path.with_suffix(".npz")


def _activation(path: Path) -> Path:
    return path.with_suffix(".npy")
