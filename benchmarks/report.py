"""One table for every benchmark: what was measured, against what, and whether it holds."""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measure:
    """One figure; `target` is a bound in the same unit, None where there is nothing to hold."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False  # the target is the least allowed, not the most

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its target."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target


def line(measure: Measure) -> str:
    """One row of the table."""
    text = f"{measure.name:<52} {measure.value:>10,.3g} {measure.unit:<6}"
    if measure.value >= 1000:
        text = f"{measure.name:<52} {measure.value:>10,.0f} {measure.unit:<6}"
    if measure.target is None:
        return text.rstrip()
    bound = f"{'at least' if measure.at_least else 'at most'} {measure.target:,g}"
    return f"{text} {bound:<16} {'ok' if measure.holds else 'MISSED'}"


def finish(title: str, measures: list[Measure]) -> int:
    """Print the table, write it where `--json` says, and return the exit code."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    into = parser.parse_args().json
    print(title)
    print("\n".join(f"  {line(measure)}" for measure in measures))
    if into:
        rows = [asdict(measure) | {"holds": measure.holds} for measure in measures]
        into.write_text(json.dumps({"title": title, "measures": rows}, indent=1))
    return 0 if all(measure.holds for measure in measures) else 1
