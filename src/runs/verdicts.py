"""Verdicts on hypotheses: every one that was published, and what published runs say today.

    inputs/verdicts/published.csv            one row per version and hypothesis, append-only
    inputs/verdicts/<study>_<version>.json   a published run, judged by the methods of today

A published run never changes, but the methods do. A run that was judged without regard to how many
times its test images had been read is judged again from its own predictions; its own verdicts stay
in `published.csv`.

Command line: `python -m src.runs.verdicts` writes what is missing or out of date.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from src import config
from src.data import studies
from src.evaluation import hypotheses
from src.evaluation.hypotheses import Evidence
from src.runs import published
from src.runs.published import Run

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = "published.csv"
COLUMNS = ["study", "version", "reading", "hypothesis", "verdict", "value", "low", "high", "unit"]
COLUMNS += ["p_value", "alpha"]


# --- every verdict that was published ------------------------------------------------------------


def table() -> pd.DataFrame:
    """Every verdict as it was published: `COLUMNS`, in the order of publication."""
    return published.read_table(PUBLISHED, (config.verdicts() / PUBLISHED).read_bytes())


def earlier(study: str, reading: int) -> pd.DataFrame:
    """The verdicts of a study's earlier readings of its test images, oldest first: `COLUMNS`."""
    rows = table()
    return rows[(rows["study"] == study) & (rows["reading"] < reading)].reset_index(drop=True)


def reading(study: str, version: str) -> int:
    """Which reading of its test images a version was; the next one where it is not published.

    Versions are counted, and one that was made twice counts twice.
    """
    rows = table()
    rows = rows[rows["study"] == study]
    known = rows.loc[rows["version"] == version, "reading"]
    found = known if len(known) else rows["reading"] + 1
    return int(found.max()) if len(found) else 1


def rows_of(run: Run, nth: int) -> pd.DataFrame:
    """A run's own verdicts as rows of `table`.

    Args:
        nth: which reading of the study's test images it was.
    """
    import pandas as pd

    rows = [
        {"study": run.study, "version": run.version, "reading": nth, "hypothesis": h["id"]}
        | {key: h[key] for key in ("verdict", "p_value", "alpha")}
        | h["effect"]
        for h in run.hypotheses
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def record(run: Run, nth: int) -> None:
    """Append a run's own verdicts to the table, unless they are in it."""
    known = table()
    if ((known["study"] == run.study) & (known["version"] == run.version)).any():
        return
    lines = rows_of(run, nth).to_csv(index=False, header=False)
    with (config.verdicts() / PUBLISHED).open("a") as file:
        file.write(lines)


# --- what a published run says today -------------------------------------------------------------


def judged(run: Run) -> list[dict[str, Any]]:
    """The hypotheses of a run with the verdicts of today: judged again, or else its own."""
    path = config.verdicts() / f"{run.study}_{run.version}.json"
    if path.is_file():
        again = json.loads(path.read_text("utf-8"))
        if again["created"] == run.manifest["created"]:  # else it is a run of somebody else's
            found: list[dict[str, Any]] = again["hypotheses"]
            return found
    return run.hypotheses


def judge_again(run: Run, nth: int) -> list[dict[str, Any]]:
    """What the methods of today say about the hypotheses that a run judged.

    Args:
        nth: which reading of the study's test images it was.
    """
    known = {h["id"] for h in run.hypotheses}
    stated = [h for h in studies.stated_hypotheses(run.study) if h.id in known]
    made = {name: run.model(name).config for name in run.models}
    found = evidence(made, run.has, run.table, run.manifest["code_revision"])
    return hypotheses.judge(stated, found, nth)


def evidence(
    made: Mapping[str, Mapping[str, Any]],
    has: Callable[[str], bool],
    read: Callable[[str], pd.DataFrame],
    revision: str,
) -> Evidence:
    """What hypotheses are judged by, from the files of a run or of a draft.

    Args:
        made: the `config.json` of every model.
        has: whether there is a file of this name.
        read: the table of this name.
        revision: of the code, where a model's `config.json` has none of its own.
    """
    path = "models/{}/{}predictions.parquet"
    seeded = [name for name in made if has(path.format(name, "seed_"))]
    return Evidence(
        predictions={name: read(path.format(name, "")) for name in made},
        similarity=read("eda/class_similarity.parquet"),
        seed_predictions={name: read(path.format(name, "seed_")) for name in seeded},
        titles={name: config_["title"] for name, config_ in made.items()},
        revisions={name: _revision(config_, revision) for name, config_ in made.items()},
    )


def _revision(made: Mapping[str, Any], otherwise: str) -> str:
    """By which code a model was trained: what it says itself, or else the version that made it."""
    of_version = made.get("origin", {}).get("code_revision", otherwise)
    return str(made.get("code_revision", of_version))


def current(run: Run) -> str:
    """The content of the file with a run's verdicts of today."""
    content = {
        "study": run.study,
        "version": run.version,
        "created": run.manifest["created"],
        "hypotheses": judge_again(run, reading(run.study, run.version)),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_judge_again() -> list[Run]:
    """The newest run of every study that was judged before looks were counted."""
    newest = (published.open_run(s, published.versions(s)[0]) for s in published.studies())
    return [run for run in newest if run.hypotheses and "look" not in run.hypotheses[0]]


def main() -> None:
    """Append what is missing to the table, and judge old runs again."""
    for study in published.studies():
        for version in reversed(published.versions(study)):
            record(published.open_run(study, version), reading(study, version))
    for run in to_judge_again():
        (config.verdicts() / f"{run.study}_{run.version}.json").write_text(current(run), "utf-8")


if __name__ == "__main__":
    main()
