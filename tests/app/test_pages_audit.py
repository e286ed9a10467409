"""The audit of somebody's own files on the page about the pictures."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from src import config
from src.data import audit, folders, images
from tests import factories
from tests.albums import faulty

FOUND = pd.DataFrame(
    [
        ("a/1.jpg", "a", "damaged", "The file is empty.", "refused"),
        ("=b/2.jpg", "b", "copy", "the same as b/1.jpg", "refused"),
        ("b/3.jpg", "b", "copy", "the same as b/1.jpg", "refused"),
    ],
    columns=audit.COLUMNS,
)
REPORT = {
    "files": 43,
    "used": 40,
    "classes": {"a": 20, "b": 20},
    "left_out": ["c_1: 1 image"],
    "text": "",
}


def _publish(
    outputs: Path,
    found: pd.DataFrame,
    report: dict[str, Any] = REPORT,
    pictures: pd.DataFrame | None = None,
) -> None:
    folder = factories.write_run(
        outputs, study="shop", classes=("a", "b"), models=("best",), profile="quick"
    )
    stream = io.BytesIO()
    found.to_parquet(stream, index=False)
    kinds = found["kind"].value_counts(sort=False).to_dict()
    manifest = factories.read(folder / "manifest.json")
    if pictures is None:
        black = images.thumbnail(np.zeros((30, 30, 3), np.uint8))
        pictures = found.assign(png=[black] * len(found))
    kept = io.BytesIO()
    pictures.to_parquet(kept, index=False)
    for name, content in {
        "audit_images.parquet": kept.getvalue(),
        "audit.json": json.dumps({"kinds": kinds} | report).encode(),
        "audit.parquet": stream.getvalue(),
    }.items():
        (folder / name).write_bytes(content)
        known = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        manifest["files"][name] = known
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    app = AppTest.from_file(str(config.ROOT / "app.py"), default_timeout=60)
    app.query_params["study"] = "shop"
    app.query_params["look"] = "Exact copies"
    return app


def _opened(app: AppTest) -> str:
    app.switch_page("app_pages/data_visualizer.py").run()
    assert not app.exception
    assert not app.error
    return "\n".join(str(element.value).replace("\\", "") for element in app.markdown)


def _captions(app: AppTest) -> list[str]:
    """Of the images that the audit shows."""
    shown = [image.proto.imgs[0].caption for image in app.get("image")]
    texts = [caption.replace("\\", "") for caption in shown]
    return [text for text in texts if text.startswith(("damaged: ", "copy: ", "dark: "))]


def test_what_was_found_is_counted_and_listed(tmp_path: Path, page: AppTest) -> None:
    _publish(tmp_path, FOUND)
    text = _opened(page)
    assert "**40 of 43 files are images of this study**" in text
    assert "Class left out: c_1: 1 image." in text
    assert page.table[0].value.to_numpy().tolist() == [
        ["Damaged or unreadable images", "1", "refused"],
        ["Copies of other images", "2", "refused"],
    ]
    assert _captions(page) == ["damaged: a/1.jpg", "copy: =b/2.jpg", "copy: b/3.jpg"]
    page.selectbox(key="audit_kind").select("copy").run()
    assert _captions(page) == ["copy: =b/2.jpg", "copy: b/3.jpg"]
    assert page.dataframe[-1].value["path"].tolist() == ["=b/2.jpg", "b/3.jpg"]


# What only a zip, a table of labels, several users or merging can bring about.
ELSEWHERE = {
    *("encrypted", "oversized", "same name", "unreadable", "merged names"),
    *("no label", "no file", "split product", "product of classes"),
}


def test_every_fault_of_a_folder_ends_in_one_audit(
    tmp_path: Path, page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on the terminal, which prints the text, and on the page."""
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path / "inputs"))
    faulty(tmp_path / "inputs" / "shop")
    spec = folders.specification("shop", (64, 64, 3))
    found, report = folders.audited(spec)
    assert set(report["kinds"]) == set(audit.KINDS) - ELSEWHERE
    lines = report["text"].splitlines()
    few = "few: 3 images, 3 usable for training, at least 5 are needed: 2 more would keep it"
    assert lines[0] == "111 images of 6 classes can be used, out of 129 files."
    assert lines[1:3] == [f"Class left out: {few}.", "Not used:"]
    assert len(lines) == 4 + len(report["kinds"])
    assert max(map(len, lines)) < 200
    assert "\t" not in report["text"]

    _publish(tmp_path, found, report, folders.pictured(spec))
    text = _opened(page)
    assert "**111 of 129 files are images of this study**" in text
    assert page.table[0].value["Number"].tolist() == [f"{n}" for n in report["kinds"].values()]
    assert len(page.dataframe[-1].value) == len(found)
    page.selectbox(key="audit_kind").select("dark").run()
    assert "dark: train/bags/dark.png" in _captions(page)


def test_a_folder_without_fault(tmp_path: Path, page: AppTest) -> None:
    _publish(tmp_path, FOUND[:0])
    assert "Nothing is wrong with any of them." in _opened(page)


def test_a_class_without_test_images_is_named_with_the_figures(
    tmp_path: Path, page: AppTest
) -> None:
    counts = {"train": 80, "validation": 20, "test": len(factories.CLASSES) - 1}
    factories.write_run(tmp_path, study="shop", models=("best",), counts=counts)
    page.query_params["tab"] = "classes"
    page.run()
    page.switch_page("app_pages/model_performance.py").run()
    assert not page.exception
    assert not page.error
    texts = [str(element.value) for element in page.markdown]
    untested = [text for text in texts if "Not tested, because there are no test images" in text]
    assert len(untested) == 1
    n = len(factories.CLASSES)
    captions = [str(element.value) for element in page.caption]
    assert f"n\u00a0=\u00a0{n - 1} test, {n - 1} of {n} classes" in captions


def test_a_published_data_set_has_no_audit(tmp_path: Path, page: AppTest) -> None:
    factories.write_run(tmp_path, study="shop", models=("best",))
    assert "files are images of this study" not in _opened(page)
