"""Notebook 7: what cross-validation found."""

from __future__ import annotations

from src.runs.drafts import Draft
from src.training.cross_validation import CrossValidation


def record_cross_validation(draft: Draft, found: CrossValidation) -> None:
    """Write what cross-validation found; nothing of it comes from test images."""
    draft.write_table("cross_validation.csv", found.folds)
    draft.write_table("cross_validation_predictions.parquet", found.predictions)
    draft.write_table("learning_curve.csv", found.curve)
