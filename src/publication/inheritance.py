"""What a new version takes over from a published one, instead of training it again.

A network is inherited where its plan and its images are what they were: architecture, recipe,
seeds, training and validation images, and its teacher; its name may have changed.
Its files are copied, tables in today's encoding, with a note of where they come from; only its
calibration and evaluation are done anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from src import config
from src.data import plans
from src.data.datasets import Dataset, Split
from src.data.plans import Architecture, Augmentation, Experiment, Recipe
from src.evaluation import calibration
from src.runs import published
from src.runs.drafts import Draft
from src.runs.published import Run
from src.serving import inference

T = TypeVar("T", Architecture, Augmentation, Recipe)


def from_base(draft: Draft, dataset: Dataset, parameters: config.Parameters) -> list[str]:
    """Take over the unchanged networks of the version that the parameters name, if they name one.

    The draft's data set must have been recorded. Returns the names of the networks.

    Raises:
        RunError: there is no such version, or it was made of other images.
    """
    if parameters.base is None:
        return []
    base = published.open_run(parameters.study, parameters.base)
    _check_images(draft, base)
    planned = plans.networks(dataset.spec.plan, parameters.profile)
    names = unchanged(planned.values(), base)
    for name, known_as in names.items():
        _take_over(draft, planned[name], base, known_as, dataset.validation)
    return list(names)


def inherited(draft: Draft, name: str) -> bool:
    """Whether a network of a draft was taken over."""
    path = f"models/{name}/config.json"
    return draft.has(path) and "origin" in draft.read_json(path)


def unchanged(planned: Iterable[Experiment], base: Run) -> dict[str, str]:
    """Names of the planned networks that a version has just as they are planned → its names."""
    names: dict[str, str] = {}
    for experiment in planned:
        taught_alike = not experiment.teacher or experiment.teacher in names
        known_as = _as_planned(experiment, base)
        if taught_alike and known_as is not None:
            names[experiment.name] = known_as
    return names


def _check_images(draft: Draft, base: Run) -> None:
    if not draft.read_table("splits.parquet").equals(base.table("splits.parquet")):
        raise published.RunError(
            f"{base.study} {base.version} was made of other images, or of other splits of them, "
            "so nothing can be taken over from it. Run this without --base."
        )


def _as_planned(experiment: Experiment, base: Run) -> str | None:
    """A version's network with the plan of an experiment, the one of its name before others."""
    plan = experiment.architecture, experiment.recipe
    wanted = list(experiment.seeds), experiment.trained_on, plan
    networks = [name for name in base.models if base.model(name).family == "network"]
    for name in sorted(networks, key=lambda name: name != experiment.name):
        made = base.model(name).config
        if (made["seeds"], made["trained_on"], _plan_of(made)) == wanted:
            return name
    return None


def _plan_of(made: dict[str, Any]) -> tuple[Architecture, Recipe] | None:
    """Architecture and recipe that a network's `config.json` states; none where it knows others."""
    changes = made["augmentation"]
    architecture = _stated(Architecture, made["architecture"])
    augmentation = None if changes is None else _stated(Augmentation, changes)
    recipe = _stated(Recipe, made["training"])
    if architecture is None or recipe is None or (changes is not None and augmentation is None):
        return None
    widths = tuple(architecture.widths)
    return replace(architecture, widths=widths), replace(recipe, augmentation=augmentation)


def _stated(kind: type[T], values: dict[str, Any]) -> T | None:
    """Settings as they were written down; none where one was in use that is no more.

    A setting that was not there yet had what is now its default.
    """
    known = {field.name for field in fields(kind)}
    if any(value for name, value in values.items() if name not in known):
        return None
    return kind(**{name: value for name, value in values.items() if name in known})


def _take_over(
    draft: Draft, experiment: Experiment, base: Run, known_as: str, validation: Split
) -> None:
    folder, source = f"models/{experiment.name}/", f"models/{known_as}/"
    for path in base.manifest["files"]:
        if path.startswith(source) and base.has(path):
            _copy(draft, folder + path.removeprefix(source), base, path)
    record = base.model(known_as)
    about = {
        "name": experiment.name,
        "title": experiment.title,
        "description": experiment.description,
        published.ABLATION: experiment.ablation,
        "needs": [experiment.teacher] if experiment.teacher else [],
        "origin": _origin(record.config, base),
    }
    if record.served:
        # it may be asked to teach
        draft.keep_seed_model(experiment.name, experiment.seeds[0], record.tflite("float32"))
        logits = inference.load(base, known_as).predict(validation.images).logits
        about |= asdict(calibration.fit(logits, validation.labels))
    draft.write_json(f"{folder}config.json", record.config | about)


def _copy(draft: Draft, path: str, base: Run, known_as: str) -> None:
    """A file as it is; a table's values, since tables are written smaller than they once were."""
    if known_as.endswith(".parquet"):
        draft.write_table(path, base.table(known_as))
    else:
        draft.write(path, base.data(known_as))


def _origin(made: dict[str, Any], base: Run) -> dict[str, Any]:
    """Where and when a network was trained: version, created, code_revision, environment."""
    known = ("version", "created", "code_revision", "environment")
    found: dict[str, Any] = made.get("origin") or {key: base.manifest[key] for key in known}
    return found
