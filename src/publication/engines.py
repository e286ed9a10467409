"""Engines: the forms in which a draft's models answer, through the very files that are served."""

from __future__ import annotations

from src.classical import store
from src.classical.store import Classifier
from src.data.datasets import Dataset
from src.evaluation.calibration import Calibration
from src.runs import published
from src.runs.drafts import Draft
from src.serving.inference import PRECISIONS, ServedModel
from src.training import export

Engine = ServedModel | Classifier


def engines(draft: Draft, dataset: Dataset, name: str) -> dict[str, Engine]:
    """A model by form (float32 and int8, or scikit-learn); the first one's answers are published.

    Empty for an ablation whose files are gone: it was taken over, or a publication was refused.
    """
    if not draft.is_network(name):
        return {"scikit-learn": store.kept(draft.checkpoints, name)}
    if not draft.has(f"models/{name}/{published.MODEL_FILES['float32']}"):
        return {}
    return {precision: served(draft, dataset, name, precision) for precision in PRECISIONS}


def served(draft: Draft, dataset: Dataset, name: str, precision: str) -> ServedModel:
    """A network of the draft as the app will load it."""
    made = draft.read_json(f"models/{name}/config.json")
    content = (draft.folder / f"models/{name}/{published.MODEL_FILES[precision]}").read_bytes()
    return export.served_model(content, dataset.spec.image_shape, precision, Calibration.of(made))
