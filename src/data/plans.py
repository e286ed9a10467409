"""Which models a study trains, and how: the written-down plan that the notebooks carry out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from src import config
from src.data.specification import Augmentation, StudySpec


@dataclass(frozen=True)
class Architecture:
    """A network: `dense`, `plain` (convolution, batch norm, ReLU, pooling) or `fast` (`models`)."""

    kind: str
    widths: tuple[int, ...]  # channels per stage, or units per layer of a dense network
    dropout: float = 0.0
    depth: int = 2  # convolutions per stage of a fast network; from 3 on with a shortcut
    activation: str = "relu"  # of a fast network, or "gelu"
    unpooled: int = 0  # first stages of a fast network that keep the picture's size


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Every choice was made on validation pictures."""

    epochs: int
    batch_size: int = 64
    optimizer: str = "adam"  # or "muon": orthogonalised momentum for the filters
    learning_rate: float = 2e-3  # at its peak
    warmup: float = 0.1  # share of all steps over which the rate rises; then it falls to zero
    schedule: str = "cosine"  # or "linear", or "constant"
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    patience: int = 10  # epochs without a better validation accuracy before stopping
    augmentation: Augmentation | None = None
    plateau: int = 0  # epochs without a lower validation loss before the rate falls; 0: never
    reduction: float = 0.3  # to this share of itself
    class_weights: float = 0.0  # power of a class's inverse frequency; 1: every class counts alike
    distillation: float = 0.0  # share of the target that is what a teacher says, see `Experiment`
    averaging: float = 0.0  # what a running mean of the weights keeps of itself each step; 0: none
    pruning: float = 0.0  # share of the pictures already learnt that an epoch leaves out


@dataclass(frozen=True)
class Experiment:
    """One network of a study: an architecture and a recipe, run once per seed."""

    name: str
    title: str
    description: str
    architecture: Architecture
    recipe: Recipe
    trained_on: str = "full"  # the training set; "subset": its stratified part
    seeds: tuple[int, ...] = (config.SEED,)
    teacher: str = ""  # a network of the same plan, trained before, whose answers this one learns
    control: bool = False  # trained for comparison only: its answers are published, not itself


@dataclass(frozen=True)
class Scale:
    """How much of everything one study needs: small pictures and few of them need less."""

    plain: tuple[int, ...]  # channels of the plain network
    subset_epochs: int
    full_epochs: int
    seeds: int  # runs on the subset
    fast: tuple[Experiment, ...]  # the strong networks
    dense: tuple[int, ...] = ()  # units of the fully connected network, where there is one


def _seeds(n: int) -> tuple[int, ...]:
    return tuple(range(config.SEED, config.SEED + n))


def _strong(
    epochs: int, batch_size: int, augmentation: Augmentation | None, smoothing: float = 0.2
) -> Recipe:
    return Recipe(
        epochs,
        batch_size,
        optimizer="muon",
        learning_rate=0.12,
        warmup=0.05,
        schedule="linear",
        label_smoothing=smoothing,
        patience=epochs,  # the rate falls as planned, and the last epochs are the best
        augmentation=augmentation,
    )


def _best(architecture: Architecture, recipe: Recipe) -> Experiment:
    return Experiment(
        name="best",
        title="Fast CNN",
        description=(
            "The strongest network that two cores train in a sitting: whitening first layer, "
            "orthogonalised momentum, label smoothing, whole epochs augmented at once."
        ),
        architecture=architecture,
        recipe=recipe,
    )


# Mirrored in turn rather than at random, and shifted by whole pixels: nothing is resampled.
_MIRRORED = Augmentation(flip=True, alternate=True)
_SHIFTED = replace(_MIRRORED, shift=2 / 32)
_CIFAR10_QUICK = Experiment(
    name="quick",
    title="Fast CNN, quick",
    description="The strong recipe, for no longer than one likes to wait.",
    architecture=Architecture("fast", (64, 128, 192), activation="gelu"),
    recipe=replace(_strong(11, 256, replace(_MIRRORED, shift=3 / 32)), learning_rate=0.085),
    seeds=_seeds(5),
)
_CIFAR10_STANDARD = replace(
    _CIFAR10_QUICK,
    name="standard",
    title="Fast CNN, standard",
    description="A wider network for longer, on pictures shifted further and cut out of.",
    architecture=Architecture("fast", (64, 256, 256), activation="gelu"),
    recipe=_strong(17, 512, replace(_MIRRORED, shift=4 / 32, cutout=0.25)),
    seeds=_seeds(3),
)
_CIFAR10_BEST = _best(
    Architecture("fast", (128, 256, 256), depth=3, activation="gelu"),
    replace(
        _strong(60, 512, replace(_MIRRORED, shift=4 / 32, cutout=0.375)),
        learning_rate=0.09,
        pruning=0.5,
    ),
)
# What augmentation gives, and whether length makes up for it: one network in several lengths.
_CIFAR10_MEDIUM = replace(
    _CIFAR10_QUICK,
    name="medium",
    title="Fast CNN with ReLU, medium",
    description="The quick network with ReLU, to compare with the same without augmentation.",
    architecture=Architecture("fast", (64, 128, 192)),
    recipe=_strong(9, 512, _SHIFTED),
    control=True,
)
_LONG = 27
_CIFAR10_LONG = replace(
    _CIFAR10_MEDIUM,
    name="long",
    title="Fast CNN with ReLU, long",
    description="The same for longer, on pictures shifted further and partly erased.",
    recipe=_strong(_LONG, 512, replace(_MIRRORED, shift=4 / 32, erasing=0.2)),
    seeds=_seeds(1),
)


def _unaugmented(length: str, epochs: int, seeds: int = 1) -> Experiment:
    """The control without augmentation, whose best length is its own."""
    return replace(
        _CIFAR10_MEDIUM,
        name=f"{length}_unaugmented",
        title=f"Fast CNN with ReLU, {length}, without augmentation",
        description=f"The same network on the pictures as they are, for {epochs} epochs.",
        recipe=_strong(epochs, 512, None),
        seeds=_seeds(seeds),
    )


_CIFAR10 = (
    _CIFAR10_QUICK,
    _CIFAR10_STANDARD,
    _CIFAR10_BEST,
    Experiment(
        name="compact",
        title="Compact CNN",
        description="A network for the smallest machine, which learns from the best one.",
        architecture=Architecture("fast", (24, 64, 128)),
        recipe=replace(_strong(30, 512, _SHIFTED), distillation=0.9),
        teacher="best",
    ),
    _CIFAR10_MEDIUM,
    _unaugmented("short", 5),
    _unaugmented("medium", _CIFAR10_MEDIUM.recipe.epochs, seeds=3),
    _unaugmented("long", _LONG),
    _CIFAR10_LONG,
)

_SCALES = {
    "cifar10": Scale(
        plain=(24, 48, 96, 128),
        subset_epochs=20,
        full_epochs=10,
        seeds=5,
        fast=_CIFAR10,
    ),
    "fashion_mnist": Scale(
        plain=(24, 48, 96),
        subset_epochs=12,
        full_epochs=5,
        seeds=3,
        fast=(
            _best(
                Architecture("fast", (32, 64, 128, 176), depth=3, unpooled=1),
                replace(  # most pictures are easy: bags, trousers, boots
                    _strong(110, 512, replace(_MIRRORED, shift=2 / 28, erasing=0.3), smoothing=0.1),
                    pruning=0.5,
                ),
            ),
        ),
    ),
    "mnist": Scale(
        plain=(16, 32, 64),
        subset_epochs=12,
        full_epochs=5,
        seeds=3,
        fast=(
            _best(
                Architecture("fast", (24, 64, 128)),
                _strong(32, 256, Augmentation(shift=2 / 28, rotation=10.0, zoom=0.1), 0.1),
            ),
        ),
        dense=(512, 256),
    ),
    "digits": Scale(
        plain=(16, 32, 64),
        subset_epochs=30,
        full_epochs=30,
        seeds=5,
        fast=(
            _best(
                Architecture("fast", (32, 64, 128)),
                _strong(30, 64, Augmentation(alternate=True, shift=0.125)),
            ),
        ),
        dense=(128, 64),
    ),
}


def plan(spec: StudySpec, profile: str) -> dict[str, Experiment]:
    """The networks that a study trains from scratch, by name; none where photos are too few.

    Profile `quick` has the same experiments with two seeds, two epochs and the subset only: it
    shows that everything works, not how well.
    """
    scale = _SCALES.get(spec.name)
    if scale is None:
        return {}
    networks = (*_augmentation_study(spec, scale), *_dense(scale), *scale.fast)
    experiments = {experiment.name: experiment for experiment in networks}
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


def _augmentation_study(spec: StudySpec, scale: Scale) -> list[Experiment]:
    """The same plain CNN without and with augmentation, on the subset and on the full set."""
    architecture = Architecture("plain", scale.plain, 0.2)
    seeds = _seeds(scale.seeds)
    parts = (("subset", scale.subset_epochs, seeds), ("full", scale.full_epochs, seeds[:1]))
    return [
        _plain(architecture, Recipe(epochs, augmentation=augmentation), trained_on, runs)
        for trained_on, epochs, runs in parts
        for augmentation in (None, spec.augmentation)
    ]


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
        control=trained_on == "subset",
    )


def _dense(scale: Scale) -> list[Experiment]:
    if not scale.dense:
        return []
    return [
        Experiment(
            name="dense",
            title="Fully connected network",
            description="Two layers of neurons that see all pixels at once and know no neighbours.",
            architecture=Architecture("dense", scale.dense, 0.2),
            recipe=Recipe(epochs=15, batch_size=128, learning_rate=1e-3),
        )
    ]
