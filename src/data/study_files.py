"""Study files: `inputs/studies/<study>.toml` read, checked and composed into a study.

What all studies share stands in `shared.toml` beside them: a study's own values replace single
ones of these. Whatever is wrong is one `DataError` that names the file and the path of keys.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from src import config
from src.data.formats import DataError
from src.data.plans import (
    Augmentation,
    AugmentationStudy,
    Estimator,
    Experiment,
    Plan,
    PlannedTransfer,
)
from src.data.readers import PACKAGE_READERS, READERS
from src.data.specification import (
    DIGITS,
    Layout,
    Limit,
    Reference,
    RemoteFile,
    Sha256,
    StudySpec,
    Uploads,
)
from src.evaluation.business import Case, Criterion, Requirement
from src.evaluation.hypotheses import Hypothesis
from src.evaluation.thresholds import SortingTarget

SHARED = "shared"  # the file of what all studies share
LONGEST = 60  # characters of a wrong value that a message quotes

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Size = Annotated[int, Field(gt=0)]
Model = TypeVar("Model", bound=BaseModel)
Table = dict[str, Any]


# --- the form of a file ------------------------------------------------------------------------


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(_Table):
    """Shares of the official training set, or of all images where there is no official test set."""

    validation_share: Annotated[float, Field(ge=0, lt=1)]
    subset_share: Annotated[float, Field(gt=0, le=1)]
    test_share: Annotated[float, Field(gt=0, lt=1)] | None = None


class LayoutTable(_Table):
    """One form of the data: its files, and the reader of `readers.READERS` with its options."""

    name: Text
    reader: str
    files: Annotated[tuple[RemoteFile, ...], Field(min_length=1)]
    options: Table = {}
    images_in: Mapping[Literal["train", "validation", "test"], str] = {}

    @model_validator(mode="after")
    def _known(self) -> LayoutTable:
        if self.reader not in READERS:
            raise ValueError(f"reader {self.reader!r} is none of {', '.join(READERS)}")
        try:
            inspect.signature(READERS[self.reader]).bind(Path(), **self.options)
        except TypeError as error:
            raise ValueError(f"options do not fit the reader {self.reader}: {error}") from error
        return self

    def layout(self) -> Layout:
        """With the reader itself."""
        reader = READERS[self.reader]
        read = functools.partial(reader, **self.options) if self.options else reader
        return Layout(self.name, self.files, read, dict(self.images_in.items()))


class Source(_Table):
    """Where the data comes from: files in one of several layouts, or inside a Python package."""

    package: str = ""
    reader: str | None = None
    system: str | None = None
    layouts: tuple[LayoutTable, ...] = ()

    @model_validator(mode="after")
    def _either(self) -> Source:
        if bool(self.layouts) == bool(self.reader):
            raise ValueError("needs either layouts, or the reader of a package")
        return self

    @field_validator("reader")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in PACKAGE_READERS:
            raise ValueError(f"must be one of {', '.join(PACKAGE_READERS)}, not {value!r}")
        return value


class Sorting(_Table):
    """Automatic sorting: the precisions that it promises, and how sure that must be."""

    precision: Annotated[float, Field(gt=0, lt=1)]
    class_precision: Annotated[float, Field(gt=0, lt=1)]
    delta: Annotated[float, Field(gt=0, lt=0.5)]
    assured: bool


class CaseTable(_Table):
    """The client's case, requirements and criteria by their ids."""

    title: Text
    client: Text
    problem: Text
    goal: Text
    sorting: Sorting
    requirements: dict[str, Requirement]
    criteria: dict[str, Criterion]

    def case(self) -> Case:
        """As pages and judgements read it."""
        return Case(
            title=self.title,
            client=self.client,
            problem=self.problem,
            goal=self.goal,
            sorting=SortingTarget(**self.sorting.model_dump()),
            requirements=tuple(self.requirements.values()),
            criteria=tuple(self.criteria.values()),
        )


class Shared(_Table):
    """What all studies share. Parts of models are checked where a study uses them."""

    default_study: Text
    case: CaseTable
    every_hypothesis: Table = {}
    hypotheses: dict[str, Table] = {}
    augmentation_study: Table = {}
    recipes: dict[str, Table] = {}
    networks: dict[str, Table] = {}
    classical: dict[str, Table] = {}
    transfer: dict[str, Table] = {}
    own_folder: Table = {}


class StudyTable(_Table):
    """A whole study, what it shares with others filled in."""

    title: Text
    description: Text
    licence: Text
    citation: Text
    homepage: str
    image_shape: tuple[Size, Size, Literal[1, 3]]
    classes: Annotated[tuple[Text, ...], Field(min_length=2)]
    content_sha256: Sha256 | None = None
    drawing: bool = False
    notebooks: tuple[Size, ...] = ()
    split: Split
    augmentation: Augmentation
    uploads: Uploads = Uploads()
    source: Source | None = None
    case: CaseTable
    hypotheses: dict[str, Hypothesis] = {}
    published_results: tuple[Reference, ...] = ()
    test_set_limits: tuple[Limit, ...] = ()
    augmentation_study: AugmentationStudy | None = None
    networks: dict[str, Experiment] = {}
    classical: dict[str, Estimator] = {}
    transfer: dict[str, PlannedTransfer] = {}

    @model_validator(mode="after")
    def _preparable(self) -> StudyTable:
        if self.uploads.ground == "dark" and self.image_shape[2] != 1:
            raise ValueError(
                'uploads.ground = "dark" is for grey images: image_shape must end with 1'
            )
        if self.uploads.placement == "digit" and self.image_shape not in DIGITS:
            shapes = " or ".join(map(str, map(list, DIGITS)))
            raise ValueError(f'uploads.placement = "digit" needs image_shape = {shapes}')
        return self

    def plan(self) -> Plan:
        """All models, those of the augmentation study first."""
        study = self.augmentation_study
        plain = study.networks(self.augmentation) if study else ()
        return Plan(
            networks=(*plain, *self.networks.values()),
            classical=tuple(self.classical.values()),
            transfer=tuple(self.transfer.values()),
        )


class OwnTable(_Table):
    """The study.toml of a folder of one's own; `classes` gives folders a title and the order."""

    title: Text | None = None
    description: Text | None = None
    licence: Text | None = None
    citation: Text | None = None
    homepage: Text | None = None
    classes: dict[str, Text] = {}
    case: Table = {}
    hypotheses: Table = {}


class OwnStatements(_Table):
    """What a study.toml states before its study is made, what all studies share filled in."""

    case: CaseTable
    hypotheses: dict[str, Hypothesis] = {}


@plain_dataclass(frozen=True)
class Study:
    """What a study's file says."""

    spec: StudySpec
    case: Case
    hypotheses: tuple[Hypothesis, ...]
    references: tuple[Reference, ...]  # highest first
    limits: tuple[Limit, ...]


# --- which files -------------------------------------------------------------------------------


def names() -> tuple[str, ...]:
    """The studies that have a file, in alphabetical order."""
    found = {path.stem for path in config.study_files().glob("*.toml")}
    return tuple(sorted(found - {SHARED}))


def path_of(name: str) -> Path:
    """Where a study's file is, or would be."""
    return config.study_files() / f"{name}.toml"


def shared() -> Shared:
    """What all studies share. Raises `DataError`."""
    path = path_of(SHARED)
    return _shared(path, _stamp(path))


def study(name: str) -> Study:
    """A study as its file states it; read again only where a file has changed.

    Raises:
        DataError: the file, or the shared one, is missing or wrong.
    """
    path, common = path_of(name), path_of(SHARED)
    return _study(path, common, _stamp(path), _stamp(common))


def own(name: str, given: Mapping[str, Any]) -> StudySpec:
    """The study of a folder of one's own: what `given` says over what all such folders share.

    Raises:
        DataError: the shared file is wrong.
    """
    path = path_of(SHARED)
    data = shared().own_folder | dict(given)
    return _composed(name, data, path, read_toml(path)).spec


def own_settings(path: Path) -> OwnTable:
    """What the study.toml of a folder says; nothing where there is none. Raises `DataError`."""
    if not path.is_file():
        return OwnTable()
    return validated(OwnTable, read_toml(path), path)


def own_statements(name: str) -> OwnStatements:
    """Case and hypotheses of a study without a file of its own: all that is shared, and changes.

    These stand in the study.toml of the study's folder, where it has one. Raises `DataError`.
    """
    path, common = config.inputs() / name / "study.toml", read_toml(path_of(SHARED))
    settings = own_settings(path).model_dump(include={"case", "hypotheses"}, exclude_unset=True)
    _check_shared(settings.get("hypotheses"), common, path)
    return validated(OwnStatements, _filled(settings, common), path, settings, common)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{shown(path)} is missing or cannot be read.") from error
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=4)
def _shared(path: Path, _stamp_of_file: tuple[int, int]) -> Shared:
    return validated(Shared, _with_ids(read_toml(path)), path)


@functools.lru_cache(maxsize=32)
def _study(path: Path, common: Path, *stamps: tuple[int, int]) -> Study:
    _shared(common, stamps[1])
    return _composed(path.stem, read_toml(path), path, read_toml(common))


# --- filling in what is shared -----------------------------------------------------------------


def _composed(name: str, data: Table, path: Path, common: Table) -> Study:
    _check_shared(data.get("hypotheses"), common, path)
    table = validated(StudyTable, _filled(data, common), path, data, common)
    _check_names(table, path)
    if table.source is None and path.stem != SHARED:
        raise DataError(f"{shown(path)}: source: is missing")
    return Study(
        spec=_specification(name, table),
        case=table.case.case(),
        hypotheses=tuple(table.hypotheses.values()),
        references=tuple(sorted(table.published_results, key=lambda r: -r.high)),
        limits=table.test_set_limits,
    )


def _specification(name: str, table: StudyTable) -> StudySpec:
    source = table.source
    return StudySpec(
        name=name,
        title=table.title,
        description=table.description,
        classes=table.classes,
        image_shape=table.image_shape,
        licence=table.licence,
        citation=table.citation,
        homepage=table.homepage,
        augmentation=table.augmentation,
        content_sha256=table.content_sha256,
        validation_share=table.split.validation_share,
        subset_share=table.split.subset_share,
        test_share=table.split.test_share,
        layouts=tuple(la.layout() for la in source.layouts) if source else (),
        read_package=PACKAGE_READERS[source.reader] if source and source.reader else None,
        package=source.package if source else "",
        system=Path(source.system) if source and source.system else None,
        drawing=table.drawing,
        uploads=table.uploads,
        plan=table.plan(),
        notebooks=table.notebooks,
    )


def _merged(below: Any, above: Any) -> Any:
    """`above`, its tables filled up with what `below` has besides."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}


def _filled(data: Table, common: Table) -> Table:
    """A study's file with everything that it takes from the shared one."""
    filled = _with_ids(data | {"case": _merged(common.get("case", {}), data.get("case", {}))})
    if "hypotheses" in data:
        filled["hypotheses"] = _hypotheses(data["hypotheses"], common)
    if "augmentation_study" in data:
        filled["augmentation_study"] = _merged(
            common.get("augmentation_study", {}), data["augmentation_study"]
        )
    fillers = {"networks": _networks, "classical": _classical, "transfer": _transfer}
    for key, fill in fillers.items():
        if isinstance(data.get(key), Mapping):
            filled[key] = fill(data, common)
    return filled


def _with_ids(data: Table) -> Table:
    """Requirements and criteria know their ids."""
    case = data.get("case")
    if not isinstance(case, Mapping):
        return data
    lists = {key: _named(case[key], "id") for key in ("requirements", "criteria") if key in case}
    return data | {"case": {**case, **lists}}


def _named(entries: Any, key: str) -> Any:
    """Each table of a table of tables knows the name it has there."""
    if not isinstance(entries, Mapping):
        return entries
    return {
        name: {key: name, **entry} if isinstance(entry, Mapping) else entry
        for name, entry in entries.items()
    }


def _hypotheses(stated: Any, common: Table) -> Any:
    """Those of the shared ones that the study lists as `shared`, with its changes, then its own."""
    if not isinstance(stated, Mapping):
        return stated
    known, every = common.get("hypotheses", {}), common.get("every_hypothesis", {})
    own = {name: entry for name, entry in stated.items() if name != "shared"}
    taken = {name: known.get(name) for name in stated.get("shared", ())}
    entries = {name: _merged(taken.get(name), own.get(name, {})) for name in (*taken, *own)}
    return _named({name: _merged(every, entry) for name, entry in entries.items()}, "id")


def _networks(data: Table, common: Table) -> Any:
    known = _merged(common.get("networks", {}), data["networks"])
    recipes = common.get("recipes", {})
    entries = {name: _like(name, known) for name in data["networks"]}
    return _named({name: _with_recipe(entry, recipes) for name, entry in entries.items()}, "name")


def _like(name: str, known: Table, seen: tuple[str, ...] = ()) -> Any:
    """A network's table, over that of the network it is `like`."""
    entry = known[name]
    if not isinstance(entry, Mapping) or "like" not in entry:
        return entry
    rest = {key: value for key, value in entry.items() if key != "like"}
    model = entry["like"]
    if model not in known or model in (*seen, name):
        return entry  # which `like` is refused with
    return _merged(_like(model, known, (*seen, name)), rest)


def _with_recipe(entry: Any, recipes: Table) -> Any:
    """With the shared recipe that it is `like`, and what its words stand for."""
    recipe = entry.get("recipe") if isinstance(entry, Mapping) else None
    if not isinstance(recipe, Mapping):
        return entry
    if recipe.get("like") in recipes:
        rest = {key: value for key, value in recipe.items() if key != "like"}
        recipe = _merged(recipes[recipe["like"]], rest)
    if recipe.get("augmentation") == "none":
        recipe = {key: value for key, value in recipe.items() if key != "augmentation"}
    if recipe.get("patience") == "all" and "epochs" in recipe:
        recipe = {**recipe, "patience": recipe["epochs"]}
    return {**entry, "recipe": recipe}


def _classical(data: Table, common: Table) -> Any:
    """All shared ones with the study's changes, then its own; `part` of those that are searched."""
    own = {key: value for key, value in data["classical"].items() if key != "part"}
    entries = _named(_merged(common.get("classical", {}), own), "name")
    return {
        name: {"kind": name, "part": data["classical"].get("part", 0), **entry}
        if isinstance(entry, Mapping) and "grid" in entry
        else entry
        for name, entry in entries.items()
    }


def _transfer(data: Table, common: Table) -> Any:
    """Single values of the table hold for each of its models."""
    whole = data["transfer"]
    known = common.get("transfer", {})
    models = [
        name
        for name, value in whole.items()
        if name in known or (isinstance(value, Mapping) and "title" in value)
    ]
    every = {key: value for key, value in whole.items() if key not in models}
    every |= {"augmentation": data.get("augmentation", {})}
    return _named(
        {name: _merged(every, _merged(known.get(name, {}), whole[name])) for name in models},
        "name",
    )


# --- checking ----------------------------------------------------------------------------------


def read_toml(path: Path) -> Table:
    """The content of a TOML file. Raises `DataError`, with the line, where it is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{shown(path)} is missing or cannot be read.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{shown(path)} is not valid TOML: {error}") from error


def validated(
    kind: type[Model],
    data: Table,
    path: Path,
    own: Table | None = None,
    common: Table | None = None,
) -> Model:
    """Data in the form of `kind`; where `own` and `common` are given, it was filled from both.

    Raises:
        DataError: it has another form; says where, in which file, and what is expected.
    """
    try:
        return kind.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        keys = first["loc"]
        if common is not None and not _has(own, keys) and _has(common, keys):
            path = path_of(SHARED)
        raise DataError(f"{shown(path)}: {_dotted(keys)}: {_complaint(first)}") from None


def shown(path: Path) -> str:
    """A path as a message shows it: from the project's folder on."""
    return str(path.relative_to(config.ROOT) if path.is_relative_to(config.ROOT) else path)


def _has(data: Any, keys: tuple[int | str, ...]) -> bool:
    for key in keys:
        inside = isinstance(data, Mapping) and key in data
        if not inside and not (isinstance(data, list) and isinstance(key, int) and key < len(data)):
            return False
        data = data[key]
    return True


def _dotted(keys: tuple[int | str, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def _complaint(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind.startswith("missing"):
        return "is missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return "is not a key that can stand here"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    value = repr(error["input"])
    short = value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    message = re.sub("^(Input|String) should", "must", error["msg"])
    return f"{message.replace('an object', 'a table')}, not {short}"


def _check_shared(stated: Any, common: Table, path: Path) -> None:
    """Whether the hypotheses that a study takes over are there."""
    wanted = stated.get("shared", []) if isinstance(stated, Mapping) else []
    place = f"{shown(path)}: hypotheses.shared"
    if not isinstance(wanted, list):
        raise DataError(f"{place}: must be a list of ids, not {wanted!r}")
    _check_known(place, wanted, common.get("hypotheses", {}))


def _check_names(table: StudyTable, path: Path) -> None:
    """Whatever names a model or a class names one of this study."""
    plan = table.plan()
    networks = [experiment.name for experiment in plan.networks]
    models = [*networks, *table.classical, *table.transfer]
    for name, hypothesis in table.hypotheses.items():
        place = f"{shown(path)}: hypotheses.{name}"
        _check_known(f"{place}.models", hypothesis.models, models)
        _check_known(f"{place}.also", hypothesis.also, models)
        _check_known(f"{place}.label", [hypothesis.label or table.classes[0]], table.classes)
    for name, network in table.networks.items():
        place = f"{shown(path)}: networks.{name}.teacher"
        _check_known(place, [network.teacher] if network.teacher else [], networks)
    for name, estimator in table.classical.items():
        place = f"{shown(path)}: classical.{name}"
        _check_known(f"{place}.members", estimator.members, table.classical)
        _check_known(f"{place}.like", [estimator.like] if estimator.like else [], table.classical)


def _check_known(place: str, wanted: Any, known: Any) -> None:
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise DataError(
            f"{place}: must be of {', '.join(known)}, not {', '.join(map(str, unknown))}"
        )
