"""Notebook 8: the default model, the manifest and the publication itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from src import environment
from src.data import studies
from src.runs import model_card, published
from src.runs.drafts import Draft


def default_model(draft: Draft) -> str:
    """The served model with the highest accuracy on validation of those that are fast enough.

    Fast enough is what the client's case asks for; where no model is, the fastest one serves.
    """
    served = {name: draft.read_json(f"models/{name}/metrics.json") for name in draft.to_serve()}

    def accuracy(name: str) -> float:
        return float(served[name]["splits"]["validation"]["metrics"]["accuracy"]["value"])

    def milliseconds(name: str) -> float:
        return float(served[name]["cost"]["latency_ms"]["float32"]["value"])

    limit = studies.case(draft.study).latency_limit
    fast = [name for name in served if milliseconds(name) <= limit]
    return max(fast, key=accuracy) if fast else min(served, key=milliseconds)


def manifest(draft: Draft) -> dict[str, Any]:
    """What was made, when, from what and with what; `Draft.publish` adds the files."""
    card = draft.read_json("dataset.json")
    best = default_model(draft)
    made = {name: draft.read_json(f"models/{name}/config.json") for name in draft.models()}
    test = draft.read_json(f"models/{best}/metrics.json")["splits"]["test"]
    accuracy = test["metrics"]["accuracy"]
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_revision": environment.code_revision(),
        "environment": environment.describe(),
        "seeds": {"split": card["split_seed"], **{m: c["seeds"] for m, c in made.items()}},
        "peak_bytes": max(
            environment.peak_bytes(), *(c.get("peak_bytes", 0) for c in made.values())
        ),
        "data": {
            "source": card["source"]["kind"],
            "files": card["source"]["files"],
            "test_ids_sha256": card["test_ids_sha256"],
        },
        "inherited": {m: c["origin"]["version"] for m, c in made.items() if "origin" in c},
        "wall_seconds": {f"training {m}": sum(c["seconds"].values()) for m, c in made.items()},
        "headline": {
            "model": best,
            "split": "test",
            "n": test["n"],
            "accuracy": accuracy["value"],
            "low": accuracy["low"],
            "high": accuracy["high"],
        },
        "default_model": best,
    }


def publish(draft: Draft, version: str | None = None, reason: str = "") -> str:
    """Write the model card and publish; returns the version.

    The ledger of readings notes the `reason` to read the test images again.

    Only the default model can be trained further, and ablations are not served: a `.keras` file
    holds the same weights as the `.tflite` beside it, and a run must stay small.
    """
    content = manifest(draft)
    for name in set(draft.models()) - {content["default_model"]}:
        draft.remove(f"models/{name}/model.keras")
    for name in set(draft.models()) - set(draft.to_serve()):
        for file in published.MODEL_FILES.values():
            draft.remove(f"models/{name}/{file}")
    draft.write("MODEL_CARD.md", model_card.model_card(draft, content).encode())
    return draft.publish(content, version, reason)
