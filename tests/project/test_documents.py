"""README and docs say what is so: their figures, commands, examples, files, links and words."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src import config
from src.classical import store
from src.runs import documents, published
from tests import words

ROOT = config.ROOT
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in documents.paths()}
BY_HAND = {name: documents.written_by_hand(text) for name, text in DOCUMENTS.items()}
README_BYTES = 9_000
each = pytest.mark.parametrize("name", DOCUMENTS)


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """A document without its code blocks and inline code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M))


def inline(text: str) -> list[str]:
    """The inline code of a document."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M))


def test_the_documents_are_those_that_the_readme_names() -> None:
    linked = set(re.findall(r"\]\((docs/[a-z-]+\.md)\)", DOCUMENTS["README.md"]))
    assert linked == set(DOCUMENTS) - {"README.md"}


def test_the_readme_stays_small() -> None:
    assert len(DOCUMENTS["README.md"].encode()) <= README_BYTES


# --- generated parts ---------------------------------------------------------------------------


@each
def test_generated_parts_are_up_to_date(name: str) -> None:
    assert documents.rewritten(DOCUMENTS[name]) == DOCUMENTS[name]


def test_every_generated_part_is_used_once() -> None:
    used = [name for text in DOCUMENTS.values() for name in documents.PART.findall(text)]
    assert sorted(used) == sorted(documents.PARTS)


# --- commands and examples ---------------------------------------------------------------------


def make_commands() -> set[str]:
    """The commands that `make` lists."""
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(re.findall(r"^  ([a-z-]+)", listed.stdout, re.MULTILINE))


@each
def test_every_make_command_exists(name: str) -> None:
    spoken = [*inline(BY_HAND[name]), *"\n".join(blocks(BY_HAND[name], "sh")).splitlines()]
    named = {match[1] for text in spoken if (match := re.match(r"make ([a-z-]+)", text))}
    assert named - make_commands() == set()


def test_the_readme_names_the_commands_of_daily_use() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", DOCUMENTS["README.md"]))
    assert named >= {"app", "test", "notebooks", "study", "bench", "slug", "docs"}


def shell_commands() -> list[str]:
    """Every command in the shell blocks of the documents, without those of the HTTP API."""
    text = "\n".join(
        block
        for name, text in BY_HAND.items()
        if name != "docs/api.md"
        for block in blocks(text, "sh")
    )
    lines = (shlex.join(shlex.split(line, comments=True)) for line in text.splitlines())
    return sorted({line for line in lines if line and not line.startswith(("pip ", "sh setup.sh"))})


@pytest.mark.slow
@pytest.mark.parametrize("command", shell_commands())
def test_every_command_can_be_given(command: str) -> None:
    """`make` says what it would do, `pytest` collects, everything else runs."""
    program, *rest = shlex.split(command)
    if program == "make":
        arguments = [program, "-n", *rest]
    else:
        assert program == ".venv/bin/python"
        arguments = [sys.executable, *rest]
    if "pytest" in rest:
        arguments += ["--collect-only", "-q"]
    ran = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_deployment_commands_are_those_of_the_procfile() -> None:
    _, _, command = (ROOT / "Procfile").read_text().strip().partition("web: ")
    install, start = (
        "\n".join(blocks(DOCUMENTS["docs/operations.md"], "sh"))
        .split("pip install", 1)[1]
        .splitlines()[:2]
    )
    assert install == " -r requirements.txt"
    assert start.replace('"$PORT"', "$PORT") == command


def python_example(word: str) -> str:
    """The Python block of docs/method.md that holds a word."""
    (found,) = [b for b in blocks(DOCUMENTS["docs/method.md"], "python") if word in b]
    return found


def run_example(source: str, **names: object) -> dict[str, object]:
    space: dict[str, object] = dict(names)
    exec(compile(source, "docs/method.md", "exec"), space)  # noqa: S102 it is our own text
    return space


@pytest.mark.slow
def test_a_published_network_loads_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    model = run_example(python_example("keras"))["model"]
    assert {"logits", "embedding", "activation"} == set(model.output)  # type: ignore[attr-defined]


def test_a_fitted_classical_model_is_asked_for_as_documented() -> None:
    """Its file stays where the run was made; elsewhere the message names it."""
    source, images = python_example("store"), np.zeros((1, 28, 28, 1), np.uint8)
    file = published.estimators("mnist", "v2") / "svc_shifted.joblib"
    if file.is_file():
        assert np.shape(run_example(source, images=images)["probabilities"]) == (1, 10)
        return
    with pytest.raises(store.ClassifierError, match=r"svc_shifted\.joblib"):
        run_example(source, images=images)


# --- what is named -----------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    titles = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M), re.M
    )
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(name: str, link: str) -> bool:
    """Whether a relative link leads nowhere."""
    path, _, anchor = link.partition("#")
    target = (ROOT / name).parent / path if path else ROOT / name
    if not target.is_file():
        return True
    return bool(anchor) and anchor not in anchors(target.read_text())


@each
def test_every_link_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?://)([^)]+)\)", DOCUMENTS[name])
    assert [link for link in links if broken(name, link)] == []


def test_broken_links_are_found() -> None:
    assert broken("README.md", "docs/nothing.md")
    assert broken("README.md", "docs/method.md#nothing")
    assert broken("docs/method.md", "#nothing")
    assert not broken("docs/method.md", "results.md#data-sets")


def test_every_screenshot_is_shown() -> None:
    shown = re.findall(r"screenshots/([a-z_]+\.png)", "\n".join(DOCUMENTS.values()))
    assert sorted(shown) == sorted(p.name for p in ROOT.glob(".github/screenshots/*"))


FOLDERS = ("app_pages/", "src/", "tests/", "benchmarks/", "docs/", "jupyter_notebooks/", "inputs/")
FILES = (".toml", ".txt", ".py", ".sh", ".md")
DOWNLOADED = {"inputs/fashion_mnist/"}  # a folder that git does not hold
WITHIN = {"study.toml", "MODEL_CARD.md"}  # files of an own folder or of a run


def is_path(text: str) -> bool:
    """Whether inline code names a path of the repository; `<…>` stands for any name."""
    looks = text.startswith(FOLDERS) or ("/" not in text and text.endswith(FILES))
    return looks and not re.search(r"[<> *]", text) and text not in WITHIN


@each
def test_every_path_exists(name: str) -> None:
    named = {text for text in inline(BY_HAND[name]) if is_path(text)}
    missing = {text for text in named if not (ROOT / text).exists()}
    assert missing - DOWNLOADED == set()


def test_every_setting_is_read_by_the_code() -> None:
    places = [*ROOT.glob("*.py"), *ROOT.glob("src/**/*.py"), ROOT / "Makefile", ROOT / "Procfile"]
    code = "\n".join(path.read_text() for path in places)
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|", "\n".join(BY_HAND.values()), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert {"PORT", "STUDY", "OUTPUTS_DIR", "TRUSTED_PROXIES"} <= named
    assert [name for name in sorted(named) if name not in code] == []


# --- words -------------------------------------------------------------------------------------


LOGS = ("benchmarks/README.md", "benchmarks/LOG.md")


@pytest.mark.parametrize("name", LOGS)
def test_benchmarks_are_described_in_the_words_of_the_project(name: str) -> None:
    assert words.found(prose((ROOT / name).read_text())) == []


@each
def test_documents_use_the_words_of_the_project(name: str) -> None:
    assert words.found(prose(BY_HAND[name])) == []


NOTEBOOKS = sorted((ROOT / "jupyter_notebooks").glob("*.ipynb"), key=lambda path: path.name)
STUDY_FILES = sorted((ROOT / "inputs/studies").glob("*.toml"), key=lambda path: path.name)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_explain_in_the_words_of_the_project(path: Path) -> None:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    assert texts
    assert words.found("\n".join(texts)) == []


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: path.stem)
def test_study_files_use_the_words_of_the_project(path: Path) -> None:
    assert words.found(path.read_text("utf-8")) == []


def test_words_that_are_not_used_are_found() -> None:
    said = words.found("The model files pictures alone; the rest goes to a person.")
    assert len(said) == 4
    assert words.found("A photo is sorted automatically; its file is an image.") == []


def test_no_document_names_a_path_of_this_machine() -> None:
    assert [name for name, text in DOCUMENTS.items() if str(Path.home()) + "/" in text] == []
