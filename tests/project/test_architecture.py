"""The rules of the house: which package may import which, and where things may be written down.

The checks take the folder they look at, so that the last tests can show on small made-up houses
that each of them fails where it should.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pathspec import PathSpec

ROOT = Path(__file__).resolve().parents[2]

# Package or module of `src` → what of `src` it may import. Every one of them must stand here.
EVALUATION = {"config"}
DATA = {"environment", "evaluation"} | EVALUATION
RUNS = {"data"} | DATA
SERVING = {"runs"} | RUNS
CLASSICAL = {"serving"} | SERVING
TRAINING = {"classical"} | CLASSICAL
MAY_IMPORT = {
    "config": set(),
    "environment": {"config"},
    "evaluation": EVALUATION,
    "data": DATA,
    "runs": RUNS,
    "serving": SERVING,
    "classical": CLASSICAL,
    "training": TRAINING,
    "publication": {"training", "charts"} | TRAINING,
    "api": CLASSICAL,
    "charts": CLASSICAL,
}
NOTEBOOKS_ONLY = {"classical", "training", "publication"}
CALLERS = {"streamlit", "app", "app_pages", "asgi", "jupyter_notebooks", "tests", "benchmarks"}
HEAVY = {"tensorflow", "keras", "sklearn", "scipy", "matplotlib", "seaborn", "nbclient", "tqdm"}
TOP = {
    *(".ci", ".github", ".gitignore", ".slugignore", ".streamlit", "LICENSE", "Makefile"),
    *("Procfile", "README.md", "app.py", "app_pages", "asgi.py", "benchmarks", "docs", "inputs"),
    *("jupyter_notebooks", "outputs", "pyproject.toml", "requirements-dev.txt"),
    *("requirements-notebooks.txt", "requirements.txt", "runtime.txt", "setup.sh", "src", "tests"),
}


# --- reading imports ---------------------------------------------------------------------------


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


def modules(src: Path) -> dict[str, Path]:
    """Every module below `src` by its dotted name; a package is its `__init__`."""
    found = {}
    for path in sorted(src.rglob("*.py")):
        parts = path.relative_to(src).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of `src` that a file imports."""
    names = {name.removeprefix("src.") for name in imports(path) if name.startswith("src.")}
    return {name for name in names if name in known}


def package(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


# --- the checks --------------------------------------------------------------------------------


def arrows_that_are_forbidden(src: Path, table: dict[str, set[str]]) -> list[str]:
    """Imports between packages that the table does not allow, and what it does not know."""
    known = modules(src)
    packages = {package(module) for module in known}
    wrong = [f"{name} is not in the table" for name in sorted(packages - set(table))]
    wrong += [f"{name} is in the table, but not in src" for name in sorted(set(table) - packages)]
    for module, path in known.items():
        home = package(module)
        others = {package(name) for name in imported(path, known)} - {home}
        forbidden = sorted(others - table.get(home, set()))
        wrong += [f"{module} may not import {name}" for name in forbidden]
    return wrong


def circles(src: Path) -> list[str]:
    """Modules that import themselves by way of others."""
    known = modules(src)
    graph = {name: imported(path, known) - {name} for name, path in known.items()}
    return [name for name in graph if name in reachable(graph[name], graph)]


def reachable(start: set[str], graph: dict[str, set[str]]) -> set[str]:
    """These modules and every one that importing them can load."""
    waiting, seen = set(start), set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= graph[module] - seen
    return seen


def callers_imported(src: Path) -> list[str]:
    return [
        f"{module} imports {name}"
        for module, path in modules(src).items()
        for name in sorted(libraries(path) & CALLERS)
    ]


def deployed_modules(root: Path) -> set[str]:
    """Modules of `src` that the app, its pages and its server can load."""
    known = modules(root / "src")
    graph = {name: imported(path, known) for name, path in known.items()}
    entries = [*root.glob("*.py"), *root.glob("app_pages/*.py")]
    return reachable(set().union(*(imported(path, known) for path in entries)), graph)


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


def modules_that(root: Path, allowed: set[str], guilty: str) -> list[str]:
    """Files that do what only some packages may: name `outputs/` or read the environment."""
    known = {f"src.{name}": path for name, path in modules(root / "src").items()}
    for path in [*root.glob("*.py"), *root.glob("app_pages/*.py")]:
        known[path.relative_to(root).as_posix()] = path
    return [
        name
        for name, path in known.items()
        if not any(name == f"src.{a}" or name.startswith(f"src.{a}.") for a in allowed)
        and (any(map(names_outputs, texts(path))) if guilty == "outputs" else _reads(path))
    ]


def _reads(path: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


# --- this house --------------------------------------------------------------------------------


def test_packages_import_only_what_the_table_allows() -> None:
    assert arrows_that_are_forbidden(ROOT / "src", MAY_IMPORT) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    assert circles(ROOT / "src") == []


def test_src_knows_neither_streamlit_nor_its_callers() -> None:
    assert callers_imported(ROOT / "src") == []


def test_only_runs_and_config_know_the_inside_of_outputs() -> None:
    assert modules_that(ROOT, {"runs", "config"}, "outputs") == []


def test_only_config_reads_the_environment() -> None:
    assert modules_that(ROOT, {"config"}, "environment") == []


def test_every_package_says_what_lives_there() -> None:
    for name in MAY_IMPORT:
        path = ROOT / "src" / name / "__init__.py"
        if path.is_file():
            assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


def test_the_app_reaches_no_package_of_the_notebooks() -> None:
    deployed = deployed_modules(ROOT)
    assert {package(module) for module in deployed} & NOTEBOOKS_ONLY == set()
    assert "charts.notebook_plots" not in deployed
    assert {"runs.published", "serving.inference", "data.decoding"} <= deployed


def test_the_app_loads_nothing_heavy() -> None:
    names = ", ".join(f"src.{module}" for module in sorted(deployed_modules(ROOT)))
    script = f"import sys, {names}; print(*(name.split('.')[0] for name in sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(ran.stdout.split())
    assert "src" in loaded
    assert loaded & HEAVY == set()


def test_a_deployment_starts_without_what_it_leaves_out(tmp_path: Path) -> None:
    """The files that .slugignore keeps, with every library of the notebooks out of reach."""
    ignored = PathSpec.from_lines("gitignore", (ROOT / ".slugignore").read_text().splitlines())
    for path in tracked():
        if not ignored.match_file(path) and not path.startswith("outputs/"):
            copy = tmp_path / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / path).read_bytes())
    (tmp_path / "outputs").symlink_to(ROOT / "outputs")
    for name in NOTEBOOKS_ONLY:
        assert not (tmp_path / "src" / name).exists(), name
    script = f"""
import sys
for name in {sorted(HEAVY)}:
    sys.modules[name] = None  # importing it now fails
import asgi
asgi.api()
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=120).run()
assert not app.exception, app.exception
print(app.title[0].value)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


def test_only_loaders_cache() -> None:
    for path in sorted(ROOT.glob("app_pages/*.py")):
        if path.name != "loaders.py":
            assert "st.cache_" not in path.read_text("utf-8"), path


def test_no_chart_needs_what_the_content_policy_forbids() -> None:
    """Plotly's WebGL traces build scripts from text, and px chooses them by itself."""
    for path in [*ROOT.glob("*.py"), *ROOT.glob("app_pages/*.py"), *ROOT.glob("src/**/*.py")]:
        assert "plotly.express" not in imports(path), path
        assert "scattergl" not in path.read_text("utf-8").lower(), path


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_the_top_level_holds_only_what_the_design_names() -> None:
    top = {path.split("/")[0] for path in tracked()}
    assert top - TOP == set()
    assert {"app.py", "asgi.py", "src", "outputs"} <= top


# --- houses in which each check must fail ------------------------------------------------------


def house(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


SOUND = {
    "app.py": "from src.low import reader\n",
    "src/low/__init__.py": "",
    "src/low/reader.py": "import json\n",
    "src/high/__init__.py": "",
    "src/high/writer.py": "def f():\n    from src.low import reader\n",
}
TABLE = {"low": set(), "high": {"low"}}


def test_the_reader_of_imports_sees_every_form(tmp_path: Path) -> None:
    source = "import a.b as c\nfrom src import runs\ndef f():\n    from src.charts import theme\n"
    (tmp_path / "x.py").write_text(source)
    assert imports(tmp_path / "x.py") == {
        *("a.b", "src", "src.runs", "src.charts", "src.charts.theme"),
    }


def test_a_sound_house_passes(tmp_path: Path) -> None:
    root = house(tmp_path, SOUND)
    assert arrows_that_are_forbidden(root / "src", TABLE) == []
    assert circles(root / "src") == []
    assert deployed_modules(root) == {"low", "low.reader"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"src/low/reader.py": "from src.high import writer\n"}, "low.reader may not import high"),
        ({"src/low/reader.py": "import src.high.writer\n"}, "low.reader may not import high"),
        ({"src/new/__init__.py": ""}, "new is not in the table"),
        ({"src/loose.py": ""}, "loose is not in the table"),
    ],
)
def test_a_turned_arrow_or_an_unknown_package_fails(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    root = house(tmp_path, SOUND | changes)
    assert said in arrows_that_are_forbidden(root / "src", TABLE)


def test_a_rule_about_a_package_that_was_renamed_fails_instead_of_being_lost(
    tmp_path: Path,
) -> None:
    root = house(tmp_path, {name.replace("low", "lower"): text for name, text in SOUND.items()})
    assert arrows_that_are_forbidden(root / "src", TABLE) == [
        "lower is not in the table",
        "low is in the table, but not in src",
    ]


def test_circles_callers_paths_and_settings_are_found(tmp_path: Path) -> None:
    changes = {
        "src/low/reader.py": "from src.low import other\nimport streamlit\nF = 'outputs/x'\n",
        "src/low/other.py": "from src.low import reader\nimport os\nX = os.environ['X']\n",
    }
    root = house(tmp_path, SOUND | changes)
    assert circles(root / "src") == ["low.other", "low.reader"]
    assert callers_imported(root / "src") == ["low.reader imports streamlit"]
    assert modules_that(root, {"high"}, "outputs") == ["src.low.reader"]
    assert modules_that(root, {"low"}, "outputs") == []
    assert modules_that(root, {"high"}, "environment") == ["src.low.other"]
