"""Generated parts of README and docs: what stands between `<!-- generated: … -->` marks.

Command line: `python -m src.runs.documents` rewrites all of them.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from src import config
from src.data import audit, decoding, image_headers
from src.runs import result_tables

# --- what the code says of itself ----------------------------------------------------------------


def layout() -> str:
    """The packages and entry files, each with the first sentence of its docstring."""
    files = (*_python("app.py", "asgi.py"), *_python("*/__init__.py"))
    return _listing([*files, *_python("src/*.py"), *_python("src/*/__init__.py")])


def modules() -> str:
    """Every module with the first sentence of its docstring, and the notebooks' titles."""
    return _listing(_python("app.py", "asgi.py", "app_pages/*.py", "src/*.py", "src/*/*.py"))


def notebooks() -> str:
    """The numbered notebooks with their titles."""
    paths = sorted(config.ROOT.glob("jupyter_notebooks/[0-9]*.ipynb"))
    titles = (json.loads(path.read_text("utf-8"))["cells"][0]["source"][0] for path in paths)
    return "\n".join(
        f"- [{title.strip('# ').strip()}](../{_relative(path)})"
        for path, title in zip(paths, titles, strict=True)
    )


def pages() -> str:
    """The pages of the dashboard, as `app.py` names and explains them."""
    tree = ast.parse((config.ROOT / "app.py").read_text("utf-8"))
    said = [_texts(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return "\n".join(f"- **{page['title']}**: {page['help']}" for page in said if "help" in page)


def _texts(call: ast.Call) -> dict[str, str]:
    """The named arguments of a call that are plain texts."""
    return {
        keyword.arg: keyword.value.value
        for keyword in call.keywords
        if isinstance(keyword.value, ast.Constant)
        and isinstance(keyword.value.value, str)
        and keyword.arg is not None
    }


def commands() -> str:
    """The commands of the Makefile with their explanations."""
    text = (config.ROOT / "Makefile").read_text("utf-8")
    found = re.findall(r"^([a-z-]+):.*## (.*)$", text, re.MULTILINE)
    rows = ([f"`make {name}`", said] for name, said in found)
    return result_tables.table(["command", "what it does"], rows)


def refusals() -> str:
    """What the audit of an own folder finds: what is not used, and what is only warned of."""
    parts = [
        f"{said}:\n\n"
        + "\n".join(f"- {several}" for kind, _, several in audit.KINDS.values() if kind == severity)
        for severity, said in (("refused", "Not used"), ("warning", "Used, with a warning"))
    ]
    few = (
        f"A category needs at least {audit.MINIMUM} training images to be used. It gets a warning "
        f"where it has fewer than {audit.FEW}."
    )
    return "\n\n".join([few, *parts])


def photo_limits() -> str:
    """What is decoded: formats, bytes and pixels, of uploads and in own folders."""
    upload, folder = decoding.UPLOAD, decoding.OWN_FOLDER
    largest = max(folder.megapixels.values())
    return (
        f"Read are {', '.join(decoding.FORMATS)} (also as {_endings()}).\n\n"
        f"- Page and API: files of up to {upload.size // 2**20} MB; {decoding.limits()}.\n"
        f"- Of these, an image whose decoding would take more than "
        f"{upload.large.memory // 10**6} MB of memory is refused: interlaced PNGs, TIFFs in one "
        "strip, and progressive JPEGs or AVIFs without subsampled colour may have fewer pixels.\n"
        f"- Own folders: files of up to {folder.size // 2**20} MB and {largest} megapixels.\n"
        f"- No side longer than {image_headers.MAX_SIDE:,} pixels, and no JPEG of more than "
        f"{image_headers.MAX_SCANS} scans."
    )


def _endings() -> str:
    return ", ".join(f".{ending}" for ending in decoding.EXTENSIONS)


def _python(*patterns: str) -> Iterator[Path]:
    """The project's files that match, in the order of the patterns."""
    for pattern in patterns:
        yield from sorted(config.ROOT.glob(pattern))


def _listing(paths: list[Path] | Iterator[Path]) -> str:
    lines = [f"{_shown(path):37}{sentence}" for path in paths if (sentence := _sentence(path))]
    return "```text\n" + "\n".join(lines) + "\n```"


def _relative(path: Path) -> str:
    return path.relative_to(config.ROOT).as_posix()


def _shown(path: Path) -> str:
    """A path, or that of the folder where it is a package."""
    return _relative(path).removesuffix("__init__.py")


def _sentence(path: Path) -> str:
    """The first sentence of a file's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return re.split(r"(?<=\.)\s", text.replace("\n", " "))[0].removesuffix(".")


# --- documents ---------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], str]] = {
    "summary": result_tables.summary,
    "models": result_tables.models,
    "training": result_tables.training,
    "published": result_tables.published_results,
    "data": result_tables.data,
    "verdicts": result_tables.hypotheses,
    "readings": result_tables.readings,
    "layout": layout,
    "modules": modules,
    "notebooks": notebooks,
    "pages": pages,
    "commands": commands,
    "audit": refusals,
    "limits": photo_limits,
}
MARK = re.compile(r"<!-- (generated|end): ([a-z]+) -->")
PART = re.compile(r"<!-- generated: ([a-z]+) -->.*?<!-- end: \1 -->", re.DOTALL)


def paths() -> list[Path]:
    """The documents that have generated parts: the README and everything in docs/."""
    return [config.ROOT / "README.md", *sorted(config.ROOT.glob("docs/**/*.md"))]


def rewritten(text: str) -> str:
    """A document with its generated parts made anew.

    Raises:
        ValueError: there is no such part, or a part has no end.
    """
    if unknown := [name for _, name in MARK.findall(text) if name not in PARTS]:
        known = ", ".join(PARTS)
        raise ValueError(f"There is no generated part {unknown[0]!r}; there are: {known}.")
    if marks := MARK.findall(PART.sub("", text)):
        raise ValueError(f"The part {marks[0][1]!r} has no matching start and end marks.")
    return PART.sub(lambda part: _part(part[1]), text)


def _part(name: str) -> str:
    return f"<!-- generated: {name} -->\n\n{PARTS[name]()}\n\n<!-- end: {name} -->"


def written_by_hand(text: str) -> str:
    """A document without its generated parts."""
    return PART.sub("", text)


def main() -> int:
    """Rewrite README and docs in place."""
    for path in paths():
        path.write_text(rewritten(path.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
