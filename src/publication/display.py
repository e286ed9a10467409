"""Small tables for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def table(values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Nested figures as a frame: one row per key, or per entry of a sequence.

    Single values among mappings are left out: they belong into a sentence.
    """
    if not isinstance(values, Mapping):
        return pd.DataFrame(values)
    rows = {key: row for key, row in values.items() if isinstance(row, Mapping)}
    return pd.DataFrame.from_dict(rows, orient="index")
