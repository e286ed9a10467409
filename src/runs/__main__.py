"""Command line: `python -m src.runs verify` checks every published run; `list` names them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from src.runs import published

if TYPE_CHECKING:
    pass


# --- command line ------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """`verify`: 1 and a line per problem, else 0. `list`: one line per published run."""
    if arguments == ["list"]:
        print(
            "\n".join(f"{s} {v}" for s in published.studies() for v in published.versions(s))
            or "none published"
        )
        return 0
    if arguments == ["verify"]:
        problems = published.verify_all()
        for problem in problems:
            print(problem, file=sys.stderr)
        count = sum(len(published.versions(study)) for study in published.studies())
        print(f"{count} published runs, {len(problems)} problems.")
        return 1 if problems else 0
    print("usage: python -m src.runs verify | list", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
