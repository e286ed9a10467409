"""How large is what is deployed? The pinned packages and the project, as one zstd archive.

The packages are those of `requirements.txt` alone, as pip installed them here: the list is fully
resolved (a test holds that), so their files are exactly what a deployment installs. The project is
every committed file that `.slugignore` does not leave out. The host's Python is not counted.
"""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import zstandard
from pathspec import PathSpec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.report import Measure, finish  # noqa: E402

LIMIT_MB = 270  # 250, and 20 for libvips, which decodes what Pillow cannot or not in memory
LEVEL = 3


class Counter:
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> int:
        """Count the bytes and drop them."""
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""


def packages() -> list[str]:
    """Names pinned in `requirements.txt`."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    entries = (line.split("#")[0].strip() for line in lines)
    return [entry.split("==")[0] for entry in entries if entry]


def package_files() -> Iterator[Path]:
    """Every installed file of those packages, compiled modules included."""
    for name in packages():
        for file in distribution(name).files or []:
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                yield path


def project_files() -> Iterator[Path]:
    """Every committed file of the project that is deployed."""
    ignored = PathSpec.from_lines("gitignore", (ROOT / ".slugignore").read_text().splitlines())
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if not ignored.match_file(name) and (ROOT / name).is_file():
            yield ROOT / name


def compressed(files: list[Path]) -> float:
    """MB (10⁶ bytes) of the files as a tar archive under zstd."""
    counter = Counter()
    packer = zstandard.ZstdCompressor(level=LEVEL)
    with (
        packer.stream_writer(counter, closefd=False) as stream,  # type: ignore[type-var]
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        for file in files:
            archive.add(file, arcname=str(file).lstrip("/"), recursive=False)
    return counter.size / 1e6


def main() -> int:
    """Measure and print; 1 where the whole is over the limit."""
    installed, project = list(package_files()), list(project_files())
    weight = sum(file.stat().st_size for file in (*installed, *project)) / 1e6
    return finish(
        f"What is deployed, as tar under zstd level {LEVEL}",
        [
            Measure(f"{len(packages())} packages of requirements.txt", compressed(installed), "MB"),
            Measure(f"{len(project)} files of the project", compressed(project), "MB"),
            Measure("both, unpacked", weight, "MB"),
            Measure("both, compressed", compressed([*installed, *project]), "MB", LIMIT_MB),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
