"""The README says what is so: its figures, commands, files and links."""

from __future__ import annotations

import re
import subprocess

import pytest

from src import config
from src.runs import documents

TEXT = (config.ROOT / "README.md").read_text()


def test_generated_parts_are_up_to_date() -> None:
    assert documents.readme_with_results(TEXT) == TEXT


def test_missing_marks_are_named() -> None:
    with pytest.raises(ValueError, match="no <!-- generated: verdicts -->"):
        documents.readme_with_results(TEXT.replace("<!-- generated: verdicts -->", ""))


def test_every_make_command_exists() -> None:
    spoken = r"<!-- generated: verdicts -->.*<!-- end: verdicts -->"
    own = re.sub(spoken, "", TEXT, flags=re.DOTALL)
    assert len(own) < len(TEXT)
    named = set(re.findall(r"\bmake ([a-z]+)", own)) - {"alone"}
    named |= set(re.findall(r"`make ([a-z]+)", TEXT))
    command = ["make", "help"]
    listed = subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, check=True)
    known = set(re.findall(r"^  ([a-z]+)", listed.stdout, re.MULTILINE))
    assert named >= {"app", "test", "notebooks", "slug", "bench", "readme"}
    assert named <= known


def test_every_linked_file_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", TEXT)
    assert len(links) > 5
    assert [link for link in links if not (config.ROOT / link).is_file()] == []


def test_deployment_command_is_the_one_of_the_procfile() -> None:
    _, _, command = (config.ROOT / "Procfile").read_text().strip().partition("web: ")
    assert command in TEXT.replace('"$PORT"', "$PORT")
