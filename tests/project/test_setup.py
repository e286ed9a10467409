"""What surrounds the code: pinned environments, commands, the start, and what is deployed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pathspec import PathSpec

from src.charts.palette import PALETTE
from tests import factories

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("requirements.txt", "requirements-notebooks.txt", "requirements-dev.txt")
NEVER_DEPLOYED = {"tensorflow", "keras", "scikit-learn", "scipy", "matplotlib", "seaborn"}


def pins(name: str) -> dict[str, str]:
    """Package and version of each line, and of the file that a `-r` line names."""
    found: dict[str, str] = {}
    for line in (ROOT / name).read_text().splitlines():
        entry = line.split("#")[0].strip()
        if entry.startswith("-r "):
            found |= pins(entry[3:])
        elif entry:
            package, version = entry.split("==")
            assert package not in found, f"{package} is pinned twice"
            found[package] = version
    return found


def direct(name: str) -> set[str]:
    """Packages above the line `# What those need.`: those that our code names."""
    chosen, _ = (ROOT / name).read_text().split("# What those need.")
    return set(re.findall(r"^([a-z0-9-]+)==", chosen, re.MULTILINE))


def needed(packages: Iterable[str]) -> set[str]:
    """These packages and all that they require here, by the metadata of what is installed."""
    waiting, seen = [(name, "") for name in packages], set()
    while waiting:
        package, extra = waiting.pop()
        if (package, extra) in seen:
            continue
        seen.add((package, extra))
        for requirement in map(Requirement, requires(package) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                name = canonicalize_name(requirement.name)
                waiting += [(name, e) for e in ("", *requirement.extras)]
    return {package for package, _ in seen}


@pytest.mark.parametrize("name", LAYERS)
def test_every_requirement_is_pinned_exactly(name: str) -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    for line in filter(None, lines):
        assert re.fullmatch(r"-r requirements[a-z-]*\.txt|[a-z0-9-]+==[0-9][0-9a-z.]*", line), line


def test_pins_are_complete_and_none_is_superfluous() -> None:
    chosen: set[str] = set()
    for name in LAYERS:
        chosen |= direct(name)
        assert needed(chosen) == set(pins(name)), name


def test_this_environment_is_the_pinned_one() -> None:
    import importlib.metadata as installed

    wanted = pins("requirements-dev.txt")
    assert {name: installed.version(name) for name in wanted} == wanted


def test_the_deployed_set_stays_small() -> None:
    assert set(pins("requirements.txt")) & NEVER_DEPLOYED == set()
    assert set(pins("requirements-notebooks.txt")) >= NEVER_DEPLOYED


def test_one_version_of_python_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert (ROOT / "runtime.txt").read_text() == "python-3.11\n"
    assert project["project"]["requires-python"] == ">=3.11,<3.12"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert project["tool"]["mypy"]["python_version"] == "3.11"


def test_the_server_keeps_its_guards_and_the_palette_is_ours() -> None:
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    assert settings["server"]["enableCORS"] is True
    assert settings["server"]["enableXsrfProtection"] is True
    assert settings["server"]["maxUploadSize"] <= 25
    assert settings["client"]["showErrorDetails"] == "none"
    assert settings["browser"]["gatherUsageStats"] is False
    assert tuple(settings["theme"]["chartCategoricalColors"]) == PALETTE


def test_the_server_starts_only_after_the_check() -> None:
    kind, command = (ROOT / "Procfile").read_text().strip().split(": ", 1)
    assert kind == "web"
    assert command.startswith("sh setup.sh && streamlit run asgi.py --server.port $PORT ")
    assert "enableCORS" not in command
    assert "Xsrf" not in command


# --- setup.sh ------------------------------------------------------------------------------


def check(**environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", str(ROOT / "setup.sh")],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_setup_accepts_published_runs_and_those_without_keras_files(tmp_path: Path) -> None:
    run = factories.write_run(tmp_path, models=["best"])
    before = sorted(tmp_path.rglob("*"))
    assert check(OUTPUTS_DIR=str(tmp_path)).returncode == 0
    assert sorted(tmp_path.rglob("*")) == before
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"]["models/best/model.keras"] = {"sha256": "0" * 64, "bytes": 1}
    (run / "manifest.json").write_text(json.dumps(manifest))
    ran = check(OUTPUTS_DIR=str(tmp_path))
    assert (ran.returncode, ran.stdout) == (0, "1 published runs, 0 problems.\n")


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["changed", "missing", "added", "manifest"])
def test_setup_refuses_an_altered_run(tmp_path: Path, harm: str) -> None:
    run = factories.write_run(tmp_path, models=["best"])
    if harm == "changed":
        (run / "MODEL_CARD.md").write_text("better")
    elif harm == "missing":
        (run / "models/best/model.tflite").unlink()
    elif harm == "added":
        (run / "eda/more.csv").write_text("a\n1\n")
    else:
        (run / "manifest.json").write_text("{")
    ran = check(OUTPUTS_DIR=str(tmp_path))
    assert ran.returncode == 1
    named = {
        "changed": "MODEL_CARD.md was changed",
        "missing": "models/best/model.tflite is missing",
        "added": "eda/more.csv is not in the manifest",
        "manifest": "manifest of cifar10 v1 cannot be read",
    }
    assert named[harm] in ran.stderr
    assert "the server is not started" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("name", ["CORS", "XSRF_PROTECTION"])
def test_setup_refuses_weakened_guards(tmp_path: Path, name: str) -> None:
    ran = check(OUTPUTS_DIR=str(tmp_path), **{f"STREAMLIT_SERVER_ENABLE_{name}": "false"})
    assert ran.returncode == 1
    assert "CORS and XSRF protection stay on" in ran.stderr


# --- make and what is deployed -------------------------------------------------------------


def test_make_alone_explains_every_command() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commands = {line.split()[0] for line in said.splitlines() if line.startswith("  ")}
    assert commands == {
        "help",
        "app",
        "check",
        "test",
        "lint",
        "notebooks",
        "study",
        "bench",
        "bench-training",
        "slug",
        "docs",
        "clean",
    }


def test_app_installs_nothing_but_the_deployed_set() -> None:
    said = subprocess.run(
        ["make", "-n", "-B", "app", "VENV=elsewhere", "PORT=1234"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installs = [line for line in said.splitlines() if "pip install" in line]
    assert installs == ["elsewhere/bin/python -m pip install -q -r requirements.txt"]
    assert "PYTHON=elsewhere/bin/python sh setup.sh" in said
    assert "streamlit run asgi.py --server.port 1234" in said


def test_the_slug_carries_what_the_app_reads_and_nothing_more() -> None:
    ignored = PathSpec.from_lines("gitignore", (ROOT / ".slugignore").read_text().splitlines())
    kept = [
        *("app.py", "asgi.py", "setup.sh", "requirements.txt", "src/runs/published.py"),
        *("app_pages/loaders.py", ".streamlit/config.toml", "inputs/studies/shared.toml"),
        *("outputs/cifar10/v1/manifest.json", "outputs/cifar10/v1/MODEL_CARD.md"),
        *("outputs/cifar10/v1/models/best/model.tflite",),
        "outputs/cifar10/v1/models/best/predictions.parquet",
    ]
    left_out = [
        *("outputs/cifar10/v1/models/best/model.keras", "tests/live.py", "README.md"),
        "outputs/cifar10/v1/models/best/seed_predictions.parquet",
        *("outputs/cifar10/v1/eda/figures/montage.png", ".github/screenshots/studies.png"),
        *("jupyter_notebooks/01_data_collection.ipynb", "benchmarks/slug.py", "Makefile"),
    ]
    assert [path for path in kept if ignored.match_file(path)] == []
    assert [path for path in left_out if not ignored.match_file(path)] == []


def test_make_study_takes_a_folder_and_only_the_name_that_is_typed() -> None:
    command = ["make", "--no-print-directory", "-n", "study", "FOLDER=/some/My photos"]
    told = [
        subprocess.run(
            [*command, *more],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"NAME": "this-computer"},
        ).stdout.splitlines()[-1]
        for more in ([], ["NAME=shop"])
    ]
    assert '--folder "/some/My photos" --study "" ' in told[0]
    assert '--folder "/some/My photos" --study "shop" ' in told[1]
