"""The rules of the house: which room may import what, and where things may be written down."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
RUNTIME = [ROOT / "app.py", ROOT / "asgi.py", *sorted(ROOT.glob("app_pages/*.py"))]
TRAINING = {"augmentation", "models", "optimizers", "training", "export", "backbones", "features"}
TRAINING |= {"transfer"}
TRAINING_LIBRARIES = {"tensorflow", "keras"}
NOT_SERVED = TRAINING_LIBRARIES | {"sklearn", "scipy", "matplotlib", "seaborn", "nbclient", "tqdm"}
# Frames and arrays in, frames and figures out: they know neither files nor runs.
PURE = {
    *("statistics", "evaluation", "hypotheses", "business", "palette", "images"),
    *("quality", "exploration", "plots", "charts", "layers", "audit", "outlook"),
}
# These two take a whole data set, so they know its type, and the seed of their samples.
EXPLORING, DATA = {"quality", "exploration"}, {"studies", "config", "formats"}
ALLOWED_TOP = {
    *(
        ".ci",
        ".github",
        ".gitignore",
        ".slugignore",
        ".streamlit",
        "LICENSE",
        "Makefile",
        "Procfile",
    ),
    *("README.md", "app.py", "app_pages", "asgi.py", "benchmarks", "docs", "inputs"),
    *("jupyter_notebooks", "outputs", "pyproject.toml", "requirements-dev.txt"),
    *("requirements-notebooks.txt", "requirements.txt", "runtime.txt", "setup.sh", "src", "tests"),
}


def imports(path: Path) -> set[str]:
    """Dotted names a module imports, anywhere in it: `from src import runs` gives `src.runs`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def libraries(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def rooms(path: Path) -> set[str]:
    """Modules and packages of `src` that a file imports, by their first name."""
    return {
        name.split(".")[1]
        for name in imports(path)
        if name.startswith("src.") and room_files(name.split(".")[1])
    }


def room_files(room: str) -> list[Path]:
    """The files of one room: a module, or all modules of a package."""
    module = SRC / f"{room}.py"
    return [module] if module.is_file() else sorted((SRC / room).glob("**/*.py"))


def all_rooms() -> list[str]:
    names = {path.relative_to(SRC).parts[0].removesuffix(".py") for path in SRC.rglob("*.py")}
    return sorted(names - {"__init__"})


def rooms_of(room: str) -> set[str]:
    return set().union(*(rooms(path) for path in room_files(room))) - {room}


def reachable(start: set[str]) -> set[str]:
    """These rooms and every one that importing them can load."""
    waiting = set(start)
    seen: set[str] = set()
    while waiting:
        room = waiting.pop()
        seen.add(room)
        waiting |= rooms_of(room) - seen
    return seen


def served_rooms() -> set[str]:
    return reachable(set().union(*(rooms(path) for path in RUNTIME)))


def test_the_reader_of_imports_sees_every_form(tmp_path: Path) -> None:
    source = "import a.b as c\nfrom src import runs\ndef f():\n    from src.charts import theme\n"
    (tmp_path / "x.py").write_text(source)
    assert imports(tmp_path / "x.py") == {
        *("a.b", "src", "src.runs", "src.charts", "src.charts.theme"),
    }
    assert rooms(tmp_path / "x.py") == {"runs", "charts"}


def test_only_training_rooms_import_tensorflow() -> None:
    guilty = {
        room
        for room in all_rooms()
        if any(libraries(path) & TRAINING_LIBRARIES for path in room_files(room))
    }
    assert guilty == TRAINING


@pytest.mark.parametrize("room", all_rooms())
def test_src_knows_neither_streamlit_nor_its_callers(room: str) -> None:
    forbidden = {
        "streamlit",
        "app",
        "app_pages",
        "asgi",
        "jupyter_notebooks",
        "tests",
        "benchmarks",
    }
    for path in room_files(room):
        assert libraries(path) & forbidden == set(), path


@pytest.mark.parametrize("room", sorted(PURE & set(all_rooms())))
def test_pure_rooms_know_only_pure_rooms(room: str) -> None:
    assert rooms_of(room) <= PURE | (DATA if room in EXPLORING else set())


def test_arrows_go_one_way() -> None:
    assert rooms_of("config") == set()
    assert rooms_of("studies") <= {"config", "folders", "formats", "specifications"}
    assert "studies" not in reachable({"folders", "specifications"})
    assert "training" not in reachable({"models"})
    assert "export" not in reachable({"training"})
    assert rooms_of("runs") <= {"config"}
    for room in all_rooms():
        assert room not in reachable(rooms_of(room)), f"{room} imports itself in a circle"


def test_the_app_reaches_no_training_room() -> None:
    assert (
        served_rooms()
        & (TRAINING | {"quality", "plots", "publication", "classical", "classifiers"})
        == set()
    )
    assert {"runs", "inference", "images"} <= served_rooms()


def test_only_loaders_cache() -> None:
    for path in sorted(ROOT.glob("app_pages/*.py")):
        if path.name != "loaders.py":
            assert "st.cache_" not in path.read_text("utf-8"), path


@pytest.mark.parametrize("room", sorted(served_rooms()))
def test_the_app_loads_nothing_heavy(room: str) -> None:
    """Imports a room alone, as the app does, and looks at what came with it."""
    module = "src." + room
    script = f"import sys, {module}; print(*(name.split('.')[0] for name in sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(ran.stdout.split())
    assert "src" in loaded
    assert loaded & NOT_SERVED == set()


def texts(path: Path) -> Iterator[str]:
    """String constants of a module that are not docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documented
        ):
            yield node.value


def names_outputs(text: str) -> bool:
    return text == "outputs" or text.startswith("outputs/") or "/outputs/" in text


def test_only_two_modules_name_the_outputs_folder() -> None:
    files = [*RUNTIME, *SRC.rglob("*.py"), *ROOT.glob("jupyter_notebooks/*.py")]
    guilty = {path.name for path in files if any(map(names_outputs, texts(path)))}
    assert guilty <= {"config.py", "runs.py"}
    assert any(map(names_outputs, texts(SRC / "config.py")))


def test_no_chart_needs_what_the_content_policy_forbids() -> None:
    """Plotly's WebGL traces build scripts from text, and px chooses them by itself."""
    for path in [*RUNTIME, *SRC.rglob("*.py")]:
        assert "plotly.express" not in imports(path), path
        assert "scattergl" not in path.read_text("utf-8").lower(), path


def test_the_top_level_holds_only_what_the_design_names() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert top - ALLOWED_TOP == set()
    assert {"app.py", "asgi.py", "src", "outputs"} <= top
