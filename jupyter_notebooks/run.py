"""Run the numbered notebooks in order, for one study and profile, up to the published version.

    python jupyter_notebooks/run.py --study NAME --profile full
    python jupyter_notebooks/run.py --folder ~/photos --study shop
    python jupyter_notebooks/run.py --study NAME --base v2

Interrupted runs go on where they stopped when the same command is given again. With `--base`, only
the networks whose plan has changed since that version are trained. A notebook for which the study
has nothing planned is left out. The executed notebooks replace the committed ones for the
full run of the study they are shown with; those of any other run are kept beside its outputs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from src import config  # noqa: E402
from src.data import folders, studies  # noqa: E402
from src.data.formats import DataError  # noqa: E402
from src.data.specification import StudySpec  # noqa: E402
from src.runs import published  # noqa: E402

NETWORKS, CLASSICAL, TRANSFER = (3, 4, 5), 6, 7  # notebooks of what only some studies plan
# What the message of an error says well enough without the cell that raised it.
TOLD = ("DataError", "RunError")
# The kernel does not catch what libraries write to its file descriptors: that goes to the log.
KERNEL_OPTIONS = ["--IPKernelApp.capture_fd_output=False"]
# What progress bars and the notebooks' own results never begin with: a library's log record.
LIBRARY_RECORD = re.compile(
    r"^([IWEF]\d{4} [\d:.]+ +\d+ |\d{4}-\d\d-\d\d [\d:.,]+:? |(DEBUG|INFO|WARNING|ERROR|CRITICAL):"
    r"|WARNING: All log messages|fully_quantize: )"
)


class _Relayed(NotebookClient):
    """A notebook client that shows on the terminal what the notebook reports of its progress."""

    def __init__(self, notebook: Any, log: IO[str], **options: Any) -> None:
        super().__init__(notebook, extra_arguments=list(KERNEL_OPTIONS), **options)
        self._log = log

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        if msg["msg_type"] == "stream":
            content = msg["content"]
            content["text"], noise = parted(content["text"])
            self._log.write(noise)
            self._log.flush()
            if not content["text"]:
                return None
            sys.stderr.write(content["text"])
        return super().output(outs, msg, display_id, cell_index)


def parted(text: str) -> tuple[str, str]:
    """What a notebook printed, and the log records of libraries that came with it."""
    lines = text.splitlines(keepends=True)
    noise = [bool(LIBRARY_RECORD.match(line)) for line in lines]
    return (
        "".join(line for line, dropped in zip(lines, noise, strict=True) if not dropped),
        "".join(line for line, dropped in zip(lines, noise, strict=True) if dropped),
    )


def execute(path: Path, into: Path) -> None:
    """Execute one notebook and save it, whole or not at all, under its name in `into`.

    What its process and the libraries in it say goes to the file `log_of` names.

    Raises:
        CellExecutionError: a cell failed; nothing is saved.
    """
    notebook = nbformat.read(path, as_version=4)
    log = log_of(path)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        _Relayed(
            notebook,
            stream,
            timeout=None,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": str(HERE)}},
        ).execute(stdout=stream, stderr=stream)
    into.mkdir(parents=True, exist_ok=True)
    partial = into / f".{path.name}.partial"
    nbformat.write(_tidied(notebook), partial)
    os.replace(partial, into / path.name)


def _tidied(notebook: Any) -> Any:
    """Without timestamps, so that running a notebook again changes only what is new."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


def log_of(path: Path) -> Path:
    """Where the process of a notebook writes what is not for the terminal."""
    return _log(path.stem)


def _log(name: str) -> Path:
    study = config.parameters(studies.default()).study
    return config.outputs() / ".logs" / study / f"{name}.log"


@contextlib.contextmanager
def _noise_to(log: Path) -> Iterator[None]:
    """While TensorFlow is imported here: what it writes to the file descriptor goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    try:
        with log.open("w") as stream:
            os.dup2(stream.fileno(), 2)
            yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def notebooks() -> list[Path]:
    """The numbered notebooks, in order."""
    return sorted(HERE.glob("[0-9][0-9]_*.ipynb"))


def wanted(given: argparse.Namespace, spec: StudySpec) -> list[Path]:
    """The notebooks to run: in the asked range, and with something planned for the study."""
    inside = [p for p in notebooks() if given.first <= _number(p) <= given.last]
    return [p for p in inside if _planned(_number(p), spec)]


def _number(path: Path) -> int:
    return int(path.name[:2])


def _planned(number: int, spec: StudySpec) -> bool:
    if number in NETWORKS:
        return bool(spec.plan.networks)
    if number == CLASSICAL:
        return bool(spec.plan.classical)
    return number != TRANSFER or _transfer_planned(spec)


def _transfer_planned(spec: StudySpec) -> bool:
    if not spec.plan.transfer:
        return False
    with _noise_to(_log("plan")):
        from src.training import transfer
    return bool(transfer.plan(spec, "full"))


def _check_backbone(spec: StudySpec) -> None:
    """Whether the network that `BACKBONE` names can be had and fits, before anything is trained."""
    backbone = os.environ.get("BACKBONE")
    if not backbone:
        return
    with _noise_to(_log("plan")):
        from src.training import backbones
    try:
        backbones.load(backbone, spec.image_shape)
    except backbones.BackboneError as error:
        raise DataError(str(error)) from error


def _arguments(values: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--study", help="by default the default study; for a wrong one all are listed"
    )
    parser.add_argument(
        "--folder",
        help="photos of your own, one sub-folder per class: a name in inputs/, or the path of a "
        "folder or zip, which becomes the study named by --study",
    )
    parser.add_argument(
        "--merge-names",
        action="store_true",
        help="make one class of those whose names look alike: Shoes and shoes, say",
    )
    parser.add_argument("--profile", choices=config.PROFILES, default="full")
    parser.add_argument("--version", help="the version to publish; by default the next one")
    parser.add_argument(
        "--base", help="a published version whose networks are taken over where nothing changed"
    )
    parser.add_argument(
        "--reason", default="", help="why the test images are read again, for the ledger"
    )
    parser.add_argument(
        "--first", type=int, default=1, help="the number of the first notebook to run"
    )
    parser.add_argument("--last", type=int, default=99, help="the number of the last one")
    parser.add_argument("--into", type=Path, help="where the executed notebooks go")
    return parser.parse_args(values)


def _destination(given: argparse.Namespace, number: int) -> Path:
    if given.into is not None:
        return Path(given.into)
    if (given.study, given.profile) == (studies.shown_with(number), "full"):
        return HERE
    return config.outputs() / given.study / ".notebooks" / given.profile


def main(values: list[str]) -> int:
    """Run all notebooks; 0 when published, 1 when a cell failed, 130 when interrupted."""
    given = _arguments(values)
    try:
        return _run(given)
    except (DataError, published.RunError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 130


def _choose_study(given: argparse.Namespace) -> StudySpec:
    """Settle which study is meant; one of own photos is audited at once."""
    if given.merge_names:
        os.environ["MERGE_NAMES"] = "1"  # for the notebooks too
    if given.folder is not None:
        given.study = folders.adopt(given.folder, given.study or "")
    given.study = given.study or studies.default()
    spec = studies.get(given.study)
    if spec.folder is not None:
        print(folders.audited(spec)[1]["text"], file=sys.stderr, flush=True)
    return spec


def _run(given: argparse.Namespace) -> int:
    spec = _choose_study(given)
    os.environ |= {"STUDY": given.study, "PROFILE": given.profile}
    os.environ |= {"VERSION": given.version or "", "BASE": given.base or ""}
    os.environ["REASON"] = given.reason
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _check_backbone(spec)
    if given.base:
        published.open_run(given.study, given.base)
    paths = wanted(given, spec)
    for number, path in enumerate(paths, 1):
        print(f"[{number}/{len(paths)}] {path.stem}", file=sys.stderr, flush=True)
        started = time.perf_counter()
        try:
            execute(path, _destination(given, _number(path)))
        except CellExecutionError as error:
            if error.ename in TOLD:
                print(error.evalue, file=sys.stderr)
            else:
                print(error, file=sys.stderr)
                print(f"The libraries' own messages are in {log_of(path)}.", file=sys.stderr)
            return 1
        except DeadKernelError:
            print("The notebook's process was ended, perhaps for want of memory.", file=sys.stderr)
            print(f"What it said last is in {log_of(path)}.", file=sys.stderr)
            return 1
        print(f"    done in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    if paths[-1:] == notebooks()[-1:]:
        print(f"Published: {given.study} {published.versions(given.study)[0]}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
