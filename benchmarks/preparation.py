"""Photos of clothes, asked of the model that learned Fashion-MNIST: as they are, and prepared.

    DATASET_MIRROR=/path/to/mirror python benchmarks/preparation.py [--split train]

The photos are those of the study `clothing` whose categories both studies have. The preparation was
settled on its training photos; the figures to quote are those of its validation photos. Its test
photos are not read.

Shoes count as right for each of the three categories of shoes. A long-sleeved top is taken for a
pullover and outwear for a coat, as nearest; hats, shorts and skirts have no counterpart.
"""

import argparse
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.report import Measure, line
from src.data import collection, decoding, studies
from src.data.decoding import DecodedImage
from src.evaluation import stats
from src.serving.classifier import Classification, Classifier
from src.serving.preparation import Preparation, preparation, prepare

COUNTERPARTS = {
    "t-shirt": ("T-shirt/top",),
    "shirt": ("Shirt",),
    "longsleeve": ("Pullover",),
    "outwear": ("Coat",),
    "dress": ("Dress",),
    "pants": ("Trouser",),
    "shoes": ("Sandal", "Sneaker", "Ankle boot"),
}
LEAST_RIGHT, MOST_WRONG = 0.40, 0.01


def shared(split: str) -> list[tuple[DecodedImage, tuple[str, ...]]]:
    """The photos of categories that both studies have, each with the answers that are right."""
    spec = studies.get("clothing")
    collection.collect(spec)
    (path,) = collection.folder_of(spec).glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        named = [(name, name.split("/")) for name in sorted(archive.namelist())]
        return [
            (decoding.decode(archive.read(name)), COUNTERPARTS[parts[2]])
            for name, parts in named
            if len(parts) == 4 and parts[1] == split and parts[2] in COUNTERPARTS and parts[3]
        ]


def answers(
    model: Classifier, photos: Sequence[DecodedImage], how: Preparation
) -> list[Classification]:
    """What a model says to photos prepared in one way."""
    prepared = [prepare(photo, how) for photo in photos]
    pixels = np.stack([one.pixels for one in prepared])
    return model.classify(pixels, [one.doubt for one in prepared])


def measures(
    name: str, found: Sequence[Classification], right: Sequence[tuple[str, ...]], *, bound: bool
) -> list[Measure]:
    """Accuracy, and the shares sorted automatically: all, and into a wrong category."""
    correct = [one.label in known for one, known in zip(found, right, strict=True)]
    automatic = [one.automatic for one in found]
    wrong = [auto and not ok for auto, ok in zip(automatic, correct, strict=True)]
    return [
        _share(f"{name}: accuracy", correct, LEAST_RIGHT if bound else None, at_least=True),
        _share(f"{name}: sorted automatically", automatic),
        _share(
            f"{name}: automatically into a wrong category", wrong, MOST_WRONG if bound else None
        ),
    ]


def _share(
    name: str, held: Sequence[bool], target: float | None = None, *, at_least: bool = False
) -> Measure:
    share = stats.wilson(sum(held), len(held))
    text = f"{name} ({100 * share.low:.1f}-{100 * share.high:.1f} %)"
    bound = None if target is None else 100 * target
    return Measure(text, 100 * share.value, "%", bound, at_least)


def main() -> int:
    """Measure and print; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=("train", "validation"), default="validation")
    split = parser.parse_args().split
    photos, right = zip(*shared(split), strict=True)
    model = Classifier.open("fashion_mnist")
    prepared = preparation(model.run)
    rows = [
        *measures(
            "as they are", answers(model, photos, Preparation(prepared.shape)), right, bound=False
        ),
        *measures("prepared", answers(model, photos, prepared), right, bound=True),
    ]
    print(
        f"{len(photos)} {split} photos of the study clothing, {model.run.version} of fashion_mnist"
    )
    print("\n".join(f"  {line(row)}" for row in rows))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
