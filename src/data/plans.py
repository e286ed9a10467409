"""Which models a study trains, and how: networks, classical models, transfer from other networks.

A study's file says it (`study_files`); the notebooks carry it out. Profile `quick` has the same
models, but shorter and on the subset only: it shows that everything works, not how well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from src import config

CHECKED = ConfigDict(extra="forbid")
COMBINED = ("hard", "soft", "blend")  # kinds of classical models that only combine their members
MOST_SEEDS = 99


def _fraction(value: object) -> object:
    """A text as a number: "2/28" is two of 28 pixels."""
    if not isinstance(value, str):
        return value
    above, slash, below = value.partition("/")
    if not (slash and above.isdecimal() and below.isdecimal() and int(below)):
        raise ValueError(f'must be a number from 0 to 1 or a text such as "2/28", not {value!r}')
    return int(above) / int(below)


def _seeds(value: object) -> object:
    """A number of seeds as the seeds themselves."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if not 1 <= value <= MOST_SEEDS:
        raise ValueError(f"must be a number of seeds from 1 to {MOST_SEEDS}, not {value}")
    return tuple(range(config.SEED, config.SEED + value))


Share = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[float, Field(ge=0, le=1), BeforeValidator(_fraction)]  # as a share of the side
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Number = Annotated[int, Field(ge=0)]
Seeds = Annotated[tuple[int, ...], BeforeValidator(_seeds)]
Part = Literal["full", "subset"]  # the training set, or its stratified part


# --- networks ----------------------------------------------------------------------------------


@dataclass(frozen=True, config=CHECKED)
class Augmentation:
    """Random changes that keep an image's class: what each image may become in an epoch."""

    flip: bool = False  # mirror left to right with probability 1/2
    alternate: bool = False  # mirror in every other epoch instead of at random
    shift: Pixels = 0.0  # up to this share of the side, both directions
    rotation: Annotated[float, Field(ge=0, le=180)] = (
        0.0  # up to this many degrees, both directions
    )
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0  # scale between 1 - zoom and 1 + zoom
    erasing: Share = 0.0  # half the images lose a rectangle of up to this share of their area
    cutout: Share = 0.0  # every image loses a square of this share of its sides
    colour: Share = 0.0  # brightness, contrast, saturation each by up to this share, both ways


@dataclass(frozen=True, config=CHECKED)
class Architecture:
    """A network: `dense`, `plain` (convolution, batch norm, ReLU, pooling) or `fast`.

    See `training.architectures`.
    """

    kind: Literal["dense", "plain", "fast"]
    widths: tuple[Count, ...]  # channels per stage, or units per layer of a dense network
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    depth: Count = 2  # convolutions per stage of a fast network; from 3 on with a shortcut
    activation: Literal["relu", "gelu"] = "relu"  # of a fast network
    unpooled: Number = 0  # first stages of a fast network that keep the image's size


@dataclass(frozen=True, config=CHECKED)
class Recipe:
    """How a network is trained. Every choice was made on validation images."""

    epochs: Count
    batch_size: Count = 64
    optimizer: Literal["adam", "muon"] = "adam"  # muon: orthogonalised momentum for the filters
    learning_rate: Positive = 2e-3  # at its peak
    warmup: Share = 0.1  # share of all steps over which the rate rises; then it falls to zero
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Amount = 0.0
    patience: Count = 10  # epochs without a better validation accuracy before stopping
    augmentation: Augmentation | None = None
    plateau: Number = 0  # epochs without a lower validation loss before the rate falls; 0: never
    reduction: Annotated[float, Field(gt=0, lt=1)] = 0.3  # to this share of itself
    class_weights: Amount = 0.0  # power of a class's inverse frequency; 1: all count alike
    distillation: Share = 0.0  # share of the target that is what a teacher says
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the running mean of weights; 0: none
    pruning: Share = 0.0  # data pruning: share of the images learned best that an epoch skips


@dataclass(frozen=True, config=CHECKED)
class Experiment:
    """One network of a study: an architecture and a recipe, run once per seed."""

    name: str
    title: str
    description: str
    architecture: Architecture
    recipe: Recipe
    trained_on: Part = "full"
    seeds: Seeds = (config.SEED,)
    teacher: str = ""  # a network of the same plan, trained before, whose answers this one learns
    ablation: bool = False  # trained for comparison only: its answers are published, not itself


@dataclass(frozen=True, config=CHECKED)
class AugmentationStudy:
    """The same plain CNN without and with augmentation, on the subset and on the full set."""

    widths: tuple[Count, ...]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    subset_epochs: Count
    full_epochs: Count
    seeds: Seeds  # on the subset; on the full set the first one only

    def networks(self, augmentation: Augmentation) -> tuple[Experiment, ...]:
        """Its four networks."""
        parts: tuple[tuple[Part, int, tuple[int, ...]], ...] = (
            ("subset", self.subset_epochs, self.seeds),
            ("full", self.full_epochs, self.seeds[:1]),
        )
        return tuple(
            self._plain(Recipe(epochs, augmentation=changes), trained_on, seeds)
            for trained_on, epochs, seeds in parts
            for changes in (None, augmentation)
        )

    def _plain(self, recipe: Recipe, trained_on: Part, seeds: tuple[int, ...]) -> Experiment:
        part = "_subset" if trained_on == "subset" else ""
        suffix, with_ = ("", "without") if recipe.augmentation is None else ("_augmented", "with")
        where = "the stratified subset" if part else "the full training set"
        return Experiment(
            name=f"plain{part}{suffix}",
            title=f"Plain CNN, {with_} augmentation{', subset' if part else ''}",
            description=f"The textbook CNN trained {with_} augmentation on {where}.",
            architecture=Architecture("plain", self.widths, self.dropout),
            recipe=recipe,
            trained_on=trained_on,
            seeds=seeds,
            ablation=trained_on == "subset",
        )


# --- classical models --------------------------------------------------------------------------

Kind = Literal[
    "baseline",
    "logistic",
    "svc",
    "random_forest",
    "extra_trees",
    "knn",
    "gradient_boosting",
    "hard",
    "soft",
    "blend",
]


@dataclass(frozen=True, config=CHECKED)
class Estimator:
    """A classical model of a study and where its settings come from."""

    name: str
    title: str
    description: str
    kind: Kind
    family: Literal["classical", "baseline", "ensemble"] = "classical"
    settings: Mapping[str, Any] = field(default_factory=dict)  # fixed
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # every combination is tried
    part: Number = 0  # training images per candidate
    like: str | None = None  # takes the settings chosen for this model
    shifts: Literal["all", "support"] | None = None  # shifts all images, or the support vectors
    members: tuple[str, ...] = ()
    trained_on: Part = "full"


# --- transfer ----------------------------------------------------------------------------------


@dataclass(frozen=True, config=CHECKED)
class Transfer:
    """One model of a study that goes on from another network, run once per seed."""

    name: str
    title: str
    description: str  # {backbone} stands for the backbone's name
    backbone: str  # see `training.backbones`
    augmentation: Augmentation
    views: Number = 0  # augmented versions of every training image, beside itself
    class_weights: Amount = 0.0  # of the head, as in `Recipe`
    below: str | None = None  # the last layer that is never tuned, or "narrowest"
    tuning: Recipe | None = None  # None: the backbone stays as it is
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the embedding, while the top is trained
    trained_on: Part = "full"
    seeds: Seeds = (config.SEED,)


@dataclass(frozen=True, config=CHECKED)
class OtherBackbone:
    """What is different where the user asks for another backbone; None: as planned."""

    below: str | None = None
    views: Number | None = None


@dataclass(frozen=True, config=CHECKED)
class PlannedTransfer(Transfer):
    """A transfer model with the study's usual backbone, and what another one changes."""

    other_backbone: OtherBackbone = OtherBackbone()

    def with_backbone(self, backbone: str | None) -> Transfer:
        """The model itself, on the usual backbone (None) or on another one."""
        settings = {f.name: getattr(self, f.name) for f in fields(Transfer)}
        if backbone not in (None, self.backbone):
            changes = {f.name: getattr(self.other_backbone, f.name) for f in fields(OtherBackbone)}
            settings |= {name: value for name, value in changes.items() if value is not None}
            settings["backbone"] = backbone
        settings["description"] = self.description.replace("{backbone}", settings["backbone"])
        return Transfer(**settings)


# --- the plan of a study -----------------------------------------------------------------------


@dataclass(frozen=True, config=CHECKED)
class Plan:
    """All models of a study, in the order in which they are trained."""

    networks: tuple[Experiment, ...] = ()
    classical: tuple[Estimator, ...] = ()
    transfer: tuple[PlannedTransfer, ...] = ()


def networks(plan: Plan, profile: str) -> dict[str, Experiment]:
    """The networks that a study trains from scratch, by name; none where photos are too few.

    Profile `quick` trains two seeds for two epochs, on the subset.
    """
    chosen = [_quick_network(e) if profile == "quick" else e for e in plan.networks]
    return {experiment.name: experiment for experiment in chosen}


def classical(plan: Plan, profile: str) -> dict[str, Estimator]:
    """The classical models of a study by name, in the order of fitting; none where it has none.

    Profile `quick` fits them to the subset with at most two candidates each.
    """
    chosen = [_quick_estimator(e) if profile == "quick" else e for e in plan.classical]
    return {estimator.name: estimator for estimator in chosen}


def transfer(plan: Plan, profile: str, backbone: str | None = None) -> dict[str, Transfer]:
    """The models that a study builds on another network, by name; none where it needs no other.

    `backbone` replaces the study's usual one. Profile `quick` tunes for two epochs, on the subset.
    """
    chosen = [planned.with_backbone(backbone) for planned in plan.transfer]
    return {t.name: _quick_transfer(t) if profile == "quick" else t for t in chosen}


def _quick_network(experiment: Experiment) -> Experiment:
    return replace(
        experiment,
        recipe=replace(experiment.recipe, epochs=2),
        trained_on="subset",
        seeds=experiment.seeds[:2],
    )


def _quick_estimator(estimator: Estimator) -> Estimator:
    grid = {name: values[:1] for name, values in estimator.grid.items()}
    grid |= {name: values[:2] for name, values in list(estimator.grid.items())[:1]}
    fewer = {name: 10 for name in ("n_estimators", "max_iter") if name in estimator.settings}
    settings = {**estimator.settings, **(fewer if estimator.kind != "logistic" else {})}
    return replace(estimator, settings=settings, grid=grid, part=200, trained_on="subset")


def _quick_transfer(planned: Transfer) -> Transfer:
    tuning = planned.tuning and replace(planned.tuning, epochs=2)
    views = min(1, planned.views)
    return replace(planned, views=views, tuning=tuning, trained_on="subset")
