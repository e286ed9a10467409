"""Study files: what they may say, what they share, and how a mistake in one is reported."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from src import config
from src.data import studies, study_files
from src.data.formats import DataError
from src.data.specification import Reference

NAMES = ("cifar10", "clothing", "digits", "fashion_mnist", "mnist")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's study files, to be changed."""
    folder = tmp_path / "files"
    shutil.copytree(config.study_files(), folder)
    monkeypatch.setattr(config, "study_files", lambda: folder)
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path / "inputs"))
    return folder


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")


# --- what the project's own files say ----------------------------------------------------------


def test_every_study_has_one_file_and_the_default_one_comes_first() -> None:
    assert study_files.names() == NAMES
    assert studies.known() == ("cifar10", "clothing", "digits", "fashion_mnist", "mnist")
    assert studies.default() == "cifar10"


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_whole(name: str) -> None:
    spec = studies.get(name)
    assert spec.name == name
    assert len(set(spec.classes)) == len(spec.classes) == 10
    assert spec.layouts or spec.read_package
    assert spec.plan.networks or spec.plan.transfer
    assert bool(studies.references(name)) == (name != "digits")


def test_what_a_study_does_not_state_is_shared() -> None:
    shared, clothing = studies.case("unheard of"), studies.case("clothing")
    assert studies.stated_hypotheses("unheard of") == []
    assert studies.references("unheard of") == studies.limits("unheard of") == []
    assert clothing.title != shared.title
    assert clothing.requirements[1:] == shared.requirements[1:]
    changed = [a.id for a, b in zip(clothing.criteria, shared.criteria, strict=True) if a != b]
    assert changed == ["S1", "F1"]


def test_references_come_highest_first() -> None:
    found = studies.references("clothing")
    assert found == [
        Reference(
            "Xception in a public course",
            0.85,
            0.90,
            "validation",
            "Alexey Grigorev, Machine Learning Zoomcamp: the same photos, about 85 to 90 %",
            341,
        )
    ]
    highs = [reference.high for reference in studies.references("cifar10")]
    assert highs == sorted(highs, reverse=True)


def test_networks_that_are_like_another_say_only_what_differs() -> None:
    networks = {e.name: e for e in studies.get("cifar10").plan.networks}
    medium, plain = networks["medium"], networks["long_unaugmented"]
    assert medium.architecture == plain.architecture
    assert medium.recipe.augmentation is not None
    assert plain.recipe.augmentation is None
    assert (plain.recipe.epochs, plain.recipe.patience) == (27, 27)
    assert medium.recipe.augmentation.shift == 2 / 32


def test_notebooks_are_shown_with_the_study_that_says_so() -> None:
    shown = [studies.shown_with(number) for number in range(1, 9)]
    assert shown == ["cifar10"] * 5 + ["mnist", "clothing", "mnist"]


# --- a folder of one's own ---------------------------------------------------------------------


def test_the_study_toml_of_a_folder_may_state_case_and_hypotheses(files: Path) -> None:
    folder = config.inputs() / "shop"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(
        '[case.criteria.S1]\ntarget = 0.9\n[hypotheses]\nshared = ["H1"]\n'
        '[hypotheses.H1]\nmodels = ["frozen"]\n'
    )
    assert studies.case("shop").criteria[0].target == 0.9
    assert [(h.id, h.models) for h in studies.stated_hypotheses("shop")] == [("H1", ("frozen",))]
    (folder / "study.toml").write_text("[case.criteria.S1]\ntarget = 90\n")
    with pytest.raises(DataError, match=r"study.toml: case.criteria.S1: target must be a share"):
        studies.case("shop")


# --- mistakes ----------------------------------------------------------------------------------


MISTAKES = [
    ("epochs = 32", "epochs = -1", "networks.best.recipe.epochs: must be greater than 0, not -1"),
    ("epochs = 32", 'epochs = "long"', "networks.best.recipe.epochs: must be a valid integer"),
    ("epochs = 32", "epoch = 32", "networks.best.recipe.epochs: is missing"),
    ("batch_size = 256\nlabel", "batches = 9\nlabel", "recipe.batches: is not a key that can"),
    (
        '"2/28"',
        '"2:28"',
        'augmentation.shift: must be a number from 0 to 1 or a text such as "2/28"',
    ),
    ('title = "MNIST"', 'titel = "MNIST"', "mnist.toml: title: is missing"),
    ("drawing = true", 'drawing = "yes"', "drawing: must be a valid boolean, not 'yes'"),
    (
        'reader = "idx"',
        'reader = "idy"',
        r"source.layouts[0]: reader 'idy' is none of cifar_parquet",
    ),
    ("bytes = 29_499", "bytes = 0", "source.layouts[0].files[1].bytes: must be greater than 0"),
    ('"9fca27', '"xx', "source.layouts[0].files[0].sha256: must match pattern"),
    (
        "precision = 0.998",
        "precision = 99.8",
        "case.sorting.precision: must be less than 1, not 99.8",
    ),
    ("[case.criteria.F4]", "[case.criteria.F9]", "case.criteria.F9.kind: is missing"),
    ('kind = "error_ratio"', 'kind = "guess"', "hypotheses.M2: kind 'guess' is none of accuracy"),
    ('"blend"]', '"blent"]', "hypotheses.M3.models: must be of plain_subset"),
    ("margin = 0.995", "margin = 99.5", "hypotheses.M5: margin 99.5 is not between 0 and 1"),
    ('shared = ["H1", ', 'shared = ["H9", ', "hypotheses.shared: must be of H1, H2, H3, not H9"),
    ("high = 0.9991", "high = 0.5", "published_results[0]: low (0.9987) must not be above high"),
    (
        "validation_share = 0.1",
        "validation_share = 1",
        "split.validation_share: must be less than 1",
    ),
    ("[networks.best]", '[networks.best]\nlike = "worst"', "networks.best.like: is not a key"),
    ("[networks.best]", '[networks.best]\nteacher = "me"', "networks.best.teacher: must be of"),
    (
        "[networks.best]",
        "[networks.best]\nseeds = 0",
        "must be a number of seeds from 1 to 99, not 0",
    ),
]


@pytest.mark.parametrize(("before", "after", "message"), MISTAKES)
def test_a_mistake_is_one_line_with_file_and_keys(
    files: Path, before: str, after: str, message: str
) -> None:
    change(files / "mnist.toml", before, after)
    with pytest.raises(DataError, match=r"mnist\.toml: [\w\[\].]+: ") as caught:
        studies.get("mnist")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert studies.get("digits").title == "Digits"  # the others are as they were


def test_options_that_a_reader_does_not_take_are_named(files: Path) -> None:
    change(files / "fashion_mnist.toml", "shape = [28, 28] }", "size = [28, 28] }")
    with pytest.raises(DataError, match=r"layouts\[2\]: options do not fit the reader pixel_csv"):
        studies.get("fashion_mnist")


@pytest.mark.parametrize("name", ["mnist", "shared"])
def test_broken_toml_is_reported_with_its_line(files: Path, name: str) -> None:
    (files / f"{name}.toml").write_text('title = "x"\nlicence\n')
    with pytest.raises(DataError, match=rf"{name}\.toml is not valid TOML: .*\(at line 2, "):
        studies.case("mnist")


def test_a_mistake_in_what_is_shared_names_the_shared_file(files: Path) -> None:
    change(files / "shared.toml", "dropout = 0.2", "dropout = 2")
    with pytest.raises(DataError, match=r"shared\.toml: augmentation_study.dropout: must be less"):
        studies.get("mnist")
    (files / "shared.toml").unlink()
    with pytest.raises(DataError, match=r"shared\.toml is missing"):
        studies.case("anything")


def test_a_file_is_read_again_when_it_changes(files: Path) -> None:
    assert studies.get("digits").title == "Digits"
    change(files / "digits.toml", 'title = "Digits"', 'title = "Small digits"')
    assert studies.get("digits").title == "Small digits"


# --- nothing else names a study ----------------------------------------------------------------


def strings(path: Path) -> list[str]:
    """The texts and names of a module, its docstrings left out."""
    tree = ast.parse(path.read_text("utf-8"))
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        id(n.body[0].value)
        for n in ast.walk(tree)
        if isinstance(n, owners) and n.body and isinstance(n.body[0], ast.Expr)
    }
    return [
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in docs
    ]


def names_in(path: Path) -> set[str]:
    """Studies that a module names: a text that is one, or in which one is quoted as a value."""
    found = re.compile(rf"^(?:{'|'.join(NAMES)})$|(?:STUDY|study)[ =]+({'|'.join(NAMES)})\b")
    return {text for text in strings(path) if found.search(text)}


# An example value of the API's description is no decision.
EXAMPLES = {config.ROOT / "src" / "api" / "schemas.py"}
MODULES = [
    *sorted((config.ROOT / "src").rglob("*.py")),
    *sorted((config.ROOT / "app_pages").rglob("*.py")),
    *(config.ROOT / name for name in ("app.py", "asgi.py", "jupyter_notebooks/run.py")),
]


@pytest.mark.parametrize(
    "path", sorted({*MODULES} - EXAMPLES), ids=lambda path: str(path.relative_to(config.ROOT))
)
def test_no_module_names_a_study(path: Path) -> None:
    assert names_in(path) == set()


def test_a_module_that_names_a_study_is_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""About cifar10."""\nplans = {"mnist": 1}\nhint = "make STUDY=digits"\n')
    assert names_in(path) == {"mnist", "make STUDY=digits"}
