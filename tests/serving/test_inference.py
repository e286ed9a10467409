"""Serving: the published file answers like Keras, alone or in a batch, from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src import config
from src.data import datasets, decoding, formats, images, studies
from src.evaluation import calibration
from src.evaluation.calibration import Calibration
from src.runs import published as runs_published
from src.serving import inference

RUNS = [(s, v) for s in runs_published.studies() for v in runs_published.versions(s)]


def test_something_is_published() -> None:
    assert {study for study, _ in RUNS} >= {"cifar10", "digits"}


def _small(study: str, version: str) -> bool:
    return max(runs_published.open_run(study, version).dataset["image_shape"]) <= images.THUMBNAIL


@pytest.mark.slow
@pytest.mark.parametrize(("study", "version"), [run for run in RUNS if _small(*run)])
def test_published_predictions_are_what_the_served_model_says(study: str, version: str) -> None:
    """Same picture → same tensor → same probabilities, from the notebook's path to the app's."""
    run = runs_published.open_run(study, version)
    gallery = run.table("gallery.parquet").set_index(["split", "id"])
    for name in run.served:
        published = run.model(name).predictions.set_index(["split", "id"])
        shown = published.loc[published.index.isin(gallery.index)].head(40)
        pngs = gallery.loc[shown.index, "png"]
        pixels = np.stack([_uploaded(png, run.dataset["image_shape"]) for png in pngs])
        found = inference.load(run, name).predict(pixels).probabilities
        expected = shown[[f"p_{c}" for c in run.dataset["classes"]]].to_numpy()
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(("study", "version"), [run for run in RUNS if not _small(*run)])
def test_example_photos_are_answered_as_published(study: str, version: str) -> None:
    """Photos are kept with losses: the confidence may move a little, the answers hardly."""
    run = runs_published.open_run(study, version)
    examples = run.table("examples.parquet")
    published = run.model(run.default_model).predictions.set_index(["split", "id"])
    expected = published.loc[pd.MultiIndex.from_frame(examples[["split", "id"]]), "prediction"]
    pixels = np.stack([_uploaded(png, run.dataset["image_shape"]) for png in examples["png"]])
    found = inference.load(run, run.default_model).predict(pixels).probabilities.argmax(1)
    named = np.array(run.dataset["classes"])[found]
    assert len(examples) == 4 * len(run.dataset["classes"])
    assert (named == expected.to_numpy()).mean() >= 0.95


def _uploaded(png: bytes, shape: list[int]) -> images.Pixels:
    height, width, channels = shape
    return images.model_input(decoding.decode(png).rgb, (height, width, channels))


@pytest.fixture(scope="module")
def digits() -> runs_published.Run:
    return runs_published.open_run("digits", runs_published.versions("digits")[0])


@pytest.fixture(scope="module")
def pictures() -> formats.Pixels:
    return datasets.load(studies.get("digits")).test.images[:70]


@pytest.mark.parametrize("precision", inference.PRECISIONS)
def test_alone_in_a_batch_and_from_threads_the_answer_is_the_same(
    digits: runs_published.Run, pictures: formats.Pixels, precision: str
) -> None:
    model = inference.load(digits, digits.default_model, precision)
    batch = model.predict(pictures)
    assert [a.shape for a in (batch.logits, batch.probabilities)] == [(70, 10)] * 2
    np.testing.assert_allclose(batch.probabilities.sum(1), 1, atol=1e-5)
    with ThreadPoolExecutor(8) as pool:
        alone = list(pool.map(lambda i: model.predict(pictures[i : i + 1]), range(70)))
    for field in ("logits", "probabilities", "embedding", "activation"):
        parts = np.concatenate([getattr(answer, field) for answer in alone])
        np.testing.assert_allclose(parts, getattr(batch, field), atol=1e-4)


def test_activation_map_adds_up_to_the_logits(
    digits: runs_published.Run, pictures: formats.Pixels
) -> None:
    answer = inference.load(digits, digits.default_model).predict(pictures[:5])
    bias = answer.logits - answer.activation.mean((1, 2))
    np.testing.assert_allclose(bias, np.repeat(bias[:1], 5, 0), atol=1e-3)


class _Noting:
    """Stands for a model whose logits are the corner pixel and its opposite."""

    calibration = Calibration(temperature=2.0)

    def __init__(self) -> None:
        self.seen: list[formats.Pixels] = []

    def predict(self, pixels: formats.Pixels) -> Any:
        self.seen.append(pixels)
        return SimpleNamespace(logits=pixels[:, [0, -1], [0, -1], 0].astype(np.float32))


@pytest.mark.parametrize("mirrored", [False, True])
def test_averaging_asks_for_every_view_and_weighs_the_unmoved_double(mirrored: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 9, (3, 5, 4, 1), np.uint8)
    model = _Noting()
    found = inference.averaged(model, pixels, mirrored)  # type: ignore[arg-type]
    whole, right, left, *rest = model.seen
    assert (whole == pixels).all()
    assert (right[:, 1:, 1:] == pixels[:, :-1, :-1]).all()
    assert (left[:, :-1, :-1] == pixels[:, 1:, 1:]).all()
    assert (right[:, 0, 1:] == pixels[:, 1, :-1]).all()  # continued by reflection
    assert len(rest) == (3 if mirrored else 0)
    for view, image in zip(rest, (whole, right, left), strict=False):
        assert (view == image[:, :, ::-1]).all()
    logits = [seen[:, [0, -1], [0, -1], 0].astype(float) for seen in model.seen]
    expected = np.average(logits, axis=0, weights=[2, 1, 1] * (1 + mirrored))
    np.testing.assert_allclose(found, calibration.softmax(expected, 2.0), rtol=1e-5)


def test_wrong_input_and_precision_are_refused(digits: runs_published.Run) -> None:
    model = inference.load(digits, digits.default_model)
    for wrong in (
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((1, 8, 8, 1), np.float32),
        np.zeros((0, 8, 8, 1), np.uint8),
    ):
        with pytest.raises(inference.InferenceError, match=r"takes images \(n, 8, 8, 1\) uint8"):
            model.predict(wrong)  # type: ignore[arg-type]
    with pytest.raises(inference.InferenceError, match="not 'int4'"):
        inference.load(digits, digits.default_model, "int4")


def test_published_metrics_follow_from_the_published_predictions(
    digits: runs_published.Run,
) -> None:
    for run in (digits, *(runs_published.open_run(s, v) for s, v in RUNS if s == "cifar10")):
        for name in run.models:
            record = run.model(name)
            for split, part in record.metrics["splits"].items():
                rows: pd.DataFrame = record.predictions.query("split == @split")
                assert len(rows) == part["n"] == run.dataset["totals"][split]
                accuracy = (rows["label"] == rows["prediction"]).mean()
                assert part["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)


def test_altered_model_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    shutil.copytree(config.outputs() / "digits", tmp_path / "digits")
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    run = runs_published.open_run("digits", runs_published.versions("digits")[0])
    path = run.folder / "models" / run.default_model / "model.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(
        runs_published.RunCorrupt, match="model.tflite was changed after publication"
    ):
        inference.load(run, run.default_model)
