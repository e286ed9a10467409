"""How fast does a network train here, against the usual recipe and against PyTorch?

The same images, network and machine; interleaved runs, each in a process of its own:

    usual      Keras as its documentation shows it: model.fit, augmentation layers, Adam, float32
    ours32     the project's engine in float32, where the machine's best precision is another
    ours       the project's engine in this machine's best precision
    brief      the same, planned for so few epochs that 90 % are just reached (for curves)
    torch      PyTorch, eager, channels last, the same precision (in an environment of its own)

Speed is images per second, forward, backward and update, in the last of three epochs: the first
two build the graphs. The project's engine has two, and the second one, without the first layer's
gradient, is what two thirds of a training go by. `--curves` trains each to the end instead, the
usual recipe, which has none, for `--epochs`: accuracy on validation by wall time.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import Measure, finish

HERE = Path(__file__).resolve().parent
TORCH = HERE.parent / ".venv-torch"
PROGRAMS = ("usual", "ours32", "ours", "brief", "torch")
ROUNDS, IMAGES, HELD = 5, 4_096, 512
TIMES_THE_USUAL, TIMES_TORCH = 5, 1.3
LEVELS = (0.75, 0.80, 0.90, 0.93, 0.94)
EPOCHS = {"usual": 30, "brief": 4}  # of a whole training; the others' are planned

Curve = list[tuple[float, float]]  # (seconds of training so far, accuracy on validation)


# --- one program, in a process of its own ---------------------------------------------------


def train_one(name: str, images: int, epochs: int, folder: Path) -> Curve:
    """Train on the first images of CIFAR-10 for some epochs; 0: as the plan has it."""
    from src.data import datasets, studies

    dataset = datasets.load(studies.get("cifar10"))
    train, held = dataset.train, dataset.validation
    if images:
        train = datasets.take(train, slice(0, images))
        held = datasets.take(held, slice(0, HELD))
    epochs = epochs or EPOCHS.get(name, 0)
    if name == "usual":
        return usual(train, held, epochs)
    if name == "torch":
        return torch(train, held, epochs, folder)
    return ours(train, held, epochs, folder, "float32" if name == "ours32" else None)


def ours(train: Any, held: Any, epochs: int, folder: Path, compute: str | None) -> Curve:
    """The project's engine; time is that of training and of looking at validation."""
    from src.training import loop

    architecture, recipe = planned()
    recipe = replace(recipe, epochs=epochs or recipe.epochs)
    history = loop.fit(
        architecture, recipe, train, held, seed=1, record=loop.Record(folder), compute=compute
    ).history
    return list(zip(history["seconds"], history["validation_accuracy"], strict=True))


def planned() -> Any:
    """Architecture and recipe of the network that trains in minutes."""
    from src.data import plans, studies

    quick = plans.networks(studies.get("cifar10").plan, "full")["quick"]
    return quick.architecture, quick.recipe


def usual(train: Any, held: Any, epochs: int) -> Curve:
    """The same network of Keras's own layers, trained as its guides do."""
    import keras

    model = plainly(keras, train)
    started, curve = time.perf_counter(), []

    def note(_: int, logs: dict[str, float]) -> None:
        curve.append((time.perf_counter() - started, float(logs["val_accuracy"])))

    model.fit(
        train.images.astype("float32"),
        train.labels,
        batch_size=128,
        epochs=epochs,
        validation_data=(held.images.astype("float32"), held.labels),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=note)],
        verbose=0,
    )
    return curve


def plainly(keras: Any, train: Any) -> Any:
    """The planned network with Keras's normalisation and augmentation layers, compiled."""
    from src.training import architectures

    def standard(layer: Any) -> Any:
        if isinstance(layer, architectures.FusedBatchNorm):
            return keras.layers.BatchNormalization(name=layer.name)
        if isinstance(layer, architectures.GELU):
            return keras.layers.Activation("gelu", name=layer.name)
        if isinstance(layer, architectures.Conv2D):
            return keras.layers.Conv2D.from_config(layer.get_config())
        return layer.__class__.from_config(layer.get_config())

    network = architectures.build(planned()[0], train.images, 10, seed=1)
    copy = keras.models.clone_model(network, clone_function=standard)
    for ours, theirs in zip(network.layers, copy.layers, strict=True):
        theirs.set_weights(ours.get_weights())
    augmentation = [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomTranslation(0.1, 0.1),
    ]
    model = keras.Sequential([keras.Input(train.images.shape[1:]), *augmentation, copy])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def torch(train: Any, held: Any, epochs: int, folder: Path) -> Curve:
    """PyTorch, in its own environment, on the same images and the same first weights."""
    import numpy as np

    from src.training import architectures, loop

    architecture, recipe = planned()
    network = architectures.build(architecture, train.images, 10, seed=1)
    weights = {f"w{i}": array for i, array in enumerate(network.get_weights())}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "problem.npz",
        images=train.images,
        labels=train.labels,
        held_images=held.images,
        held_labels=held.labels,
        **weights,
    )
    settings = {
        "widths": architecture.widths,
        "activation": architecture.activation,
        "epochs": epochs or recipe.epochs,
        "batch": recipe.batch_size,
        "bfloat16": loop.precision(recipe) != "float32",
    }
    command = [environment(), HERE / "torch_baseline.py", folder, json.dumps(settings)]
    return answer(command)


def environment() -> Path:
    """The interpreter of PyTorch's environment, which is made where there is none."""
    python = TORCH / "bin" / "python"
    if not (TORCH / "ready").exists():
        print("Installing PyTorch into .venv-torch", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", TORCH], check=True)
        wanted = HERE / "requirements-torch.txt"
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True)
        (TORCH / "ready").touch()
    return python


def answer(command: list[Any]) -> Curve:
    """What the process prints last."""
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True
    )
    return [tuple(point) for point in json.loads(done.stdout.splitlines()[-1])]


# --- all of them -------------------------------------------------------------------------------


def sent(name: str, images: int, epochs: int) -> Curve:
    """Have one program train in a process of its own."""
    command = [sys.executable, __file__, "--one", name]
    return answer([*command, "--images", images, "--epochs", epochs])


def speeds(names: list[str], rounds: int) -> dict[str, float]:
    """Median images per second of each, from interleaved runs."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            _, (before, _), (after, _) = sent(name, IMAGES, 3)
            found[name].append(IMAGES / (after - before))
            print(f"round {number + 1}: {name} {found[name][-1]:,.0f} images/s", file=sys.stderr)
    return {name: statistics.median(values) for name, values in found.items()}


def of_speed(names: list[str], rounds: int) -> list[Measure]:
    """Images per second, and the ratios that are promised."""
    median = speeds(names, rounds)
    measures = [Measure(f"{name}: images per second", median[name], "/s") for name in names]
    promised: list[tuple[str, str, float]] = [("ours", "usual", TIMES_THE_USUAL)]
    promised += [("ours32", "usual", 1), ("ours", "torch", TIMES_TORCH)]
    return measures + [
        Measure(f"{one}: times {other}", median[one] / median[other], "×", least, at_least=True)
        for one, other, least in promised
        if one in median and other in median
    ]


def of_curves(names: list[str], epochs: int) -> list[Measure]:
    """Wall time to each level of accuracy on validation, where it is reached."""
    reached: dict[str, dict[float, float]] = {}
    measures = []
    for name in names:
        curve = sent(name, 0, epochs if name == "usual" else 0)
        print(f"{name}: " + ", ".join(f"{s:,.0f} s {a:.1%}" for s, a in curve), file=sys.stderr)
        reached[name] = {level: reaching(curve, level) for level in LEVELS}
        measures += [
            Measure(f"{name}: {level:.0%} on validation", seconds, "s")
            for level, seconds in reached[name].items()
            if math.isfinite(seconds)
        ]
        measures.append(Measure(f"{name}: at the end", 100 * curve[-1][1], "%"))
    return measures + sooner(reached)


def sooner(reached: dict[str, dict[float, float]]) -> list[Measure]:
    """The promise: 90 % in less time than the usual recipe takes for 75 %."""
    if not {"brief", "usual"} <= reached.keys():
        return []
    times = reached["usual"][0.75] / reached["brief"][0.90]
    return [Measure("usual to 75 %: times brief to 90 %", times, "×", 1, at_least=True)]


def reaching(curve: Curve, level: float) -> float:
    """Seconds until an accuracy is reached for the first time; infinity: never."""
    return next((seconds for seconds, accuracy in curve if accuracy >= level), math.inf)


def main() -> int:
    """Measure and print; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--one", choices=PROGRAMS)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=compared())
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--curves", action="store_true")
    given, sys.argv[1:] = parser.parse_known_args()
    if given.one:
        return alone(lambda folder: train_one(given.one, given.images, given.epochs, folder))
    names = [name for name in given.only if given.curves or name != "brief"]
    measures = of_curves(names, given.epochs) if given.curves else of_speed(names, given.rounds)
    return finish("Training the quick network of CIFAR-10, interleaved runs", measures)


def compared() -> list[str]:
    """All of them, but the project's engine once where its best precision is float32."""
    from src.training import loop

    same = loop.precision(planned()[1]) == "float32"
    return [name for name in PROGRAMS if not (same and name == "ours32")]


def alone(train: Callable[[Path], Curve]) -> int:
    """Be one program: its curve is the last line printed."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(train(Path(folder) / "run")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
