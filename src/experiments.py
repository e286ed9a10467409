"""Which models a study trains, and how: the written-down plan that the notebooks carry out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from src import config
from src.studies import Augmentation, StudySpec


@dataclass(frozen=True)
class Architecture:
    """A network: `plain` (convolution, batch norm, ReLU, pooling) or `fast` (see `models`)."""

    kind: str
    widths: tuple[int, ...]  # channels per stage
    dropout: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Every choice was made on validation pictures."""

    epochs: int
    batch_size: int = 64
    optimizer: str = "adam"  # or "muon": orthogonalised momentum for the filters
    learning_rate: float = 2e-3  # at its peak
    warmup: float = 0.1  # share of all steps over which the rate rises; then it falls to zero
    schedule: str = "cosine"  # or "linear"
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    patience: int = 10  # epochs without a lower validation loss before stopping
    augmentation: Augmentation | None = None


@dataclass(frozen=True)
class Experiment:
    """One model of a study: an architecture and a recipe, run once per seed."""

    name: str
    title: str
    description: str
    architecture: Architecture
    recipe: Recipe
    trained_on: str  # "full": the training set; "subset": its stratified part
    seeds: tuple[int, ...] = (config.SEED,)


def plan(spec: StudySpec, profile: str) -> dict[str, Experiment]:
    """The experiments of a study, by name.

    Profile `quick` has the same experiments with two seeds, two epochs and the subset only: it
    shows that everything works, not how well.
    """
    experiments = {e.name: e for e in (*_augmentation_study(spec), _best(spec))}
    if profile == "quick":
        return {name: _quickened(e) for name, e in experiments.items()}
    return experiments


def _quickened(experiment: Experiment) -> Experiment:
    return replace(
        experiment,
        recipe=replace(experiment.recipe, epochs=2),
        trained_on="subset",
        seeds=experiment.seeds[:2],
    )


def _augmentation_study(spec: StudySpec) -> list[Experiment]:
    """The same plain CNN without and with augmentation, on the subset and on the full set."""
    small = spec.image_shape[0] < 16
    architecture = Architecture("plain", (16, 32, 64) if small else (24, 48, 96, 128), 0.2)
    seeds = tuple(config.SEED + i for i in range(5))
    experiments = []
    for trained_on, epochs, runs in (("subset", 20, seeds), ("full", 8, seeds[:1])):
        for augmentation in (None, spec.augmentation):
            epochs_here = 30 if small else epochs
            recipe = Recipe(epochs_here, augmentation=augmentation)
            experiments.append(_plain(architecture, recipe, trained_on, runs))
    return experiments


def _plain(
    architecture: Architecture, recipe: Recipe, trained_on: str, seeds: tuple[int, ...]
) -> Experiment:
    part = "_subset" if trained_on == "subset" else ""
    suffix, with_ = ("", "without") if recipe.augmentation is None else ("_augmented", "with")
    where = "the stratified subset" if part else "the full training set"
    return Experiment(
        name=f"plain{part}{suffix}",
        title=f"Plain CNN, {with_} augmentation{', subset' if part else ''}",
        description=f"The textbook CNN trained {with_} augmentation on {where}.",
        architecture=architecture,
        recipe=recipe,
        trained_on=trained_on,
        seeds=seeds,
    )


def _best(spec: StudySpec) -> Experiment:
    small = spec.image_shape[0] < 16
    # Mirrored in turn rather than at random, and shifted by whole pixels: nothing is resampled.
    augmentation = Augmentation(
        flip=spec.augmentation.flip,
        alternate=True,
        shift=2 / spec.image_shape[0] if not small else 0.125,
    )
    recipe = Recipe(
        epochs=30 if small else 9,
        batch_size=64 if small else 512,
        optimizer="muon",
        learning_rate=0.12,
        warmup=0.05,
        schedule="linear",
        label_smoothing=0.2,
        patience=30,
        augmentation=augmentation,
    )
    return Experiment(
        name="best",
        title="Fast CNN",
        description=(
            "The strongest network that trains in about half an hour on two cores: whitening first "
            "layer, orthogonalised momentum, alternating mirror images, label smoothing."
        ),
        architecture=Architecture("fast", (32, 64, 128) if small else (32, 128, 256)),
        recipe=recipe,
        trained_on="full",
    )
