"""How much faster does the served model answer than Keras? One image at a time, interleaved.

Both get the same uint8 image of the default model of the default study's newest version (or of
`--study`); Keras is called the way its documentation shows, `model.predict`. Rounds alternate, so
that whatever else the machine does slows both down; the ratio is that of the medians.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import keras
import numpy as np

from benchmarks.interleaved import median_times
from benchmarks.report import Measure, finish
from src.data import decoding
from src.runs import published
from src.serving import inference
from src.serving.classifier import Classifier
from src.serving.preparation import preparation, prepare
from src.training import architectures as _layers_that_keras_must_know  # noqa: F401

TIMES_AS_FAST = 30
ROUNDS = 60


def model_input(run: published.Run) -> np.ndarray:
    """One image of the run's gallery, uint8 (1, H, W, C)."""
    png = run.table("gallery.parquet")["png"].iloc[0]
    return prepare(decoding.decode(png), preparation(run)).pixels[None]


def main() -> int:
    """Measure and print; 1 where neither served precision is fast enough."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--study", default="cifar10" if "cifar10" in published.studies() else None)
    chosen, sys.argv[1:] = parser.parse_known_args()
    study = chosen.study or published.studies()[0]
    run = published.open_run(study, published.versions(study)[0])
    name = run.default_model
    pixels = model_input(run)
    trained = keras.models.load_model(run.folder / "models" / name / "model.keras", compile=False)
    served = {p: Classifier.of(run, precision=p).model for p in inference.PRECISIONS}

    calls: dict[str, Callable[[], object]] = {"keras": lambda: trained.predict(pixels, verbose=0)}
    for precision, model in served.items():
        calls[precision] = lambda model=model: model.predict(pixels)
    median = median_times(calls, ROUNDS)
    ratios = {precision: median["keras"] / median[precision] for precision in served}
    best = max(ratios, key=lambda precision: ratios[precision])
    return finish(
        f"One image, {study} {run.version}, model {name}, median of {ROUNDS} rounds interleaved",
        [
            Measure("Keras model.predict", median["keras"], "ms"),
            *(Measure(f"served, {p}", median[p], "ms") for p in served),
            *(Measure(f"{p}: times as fast", ratios[p], "×") for p in served if p != best),
            Measure(f"{best}: times as fast", ratios[best], "×", TIMES_AS_FAST, at_least=True),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
