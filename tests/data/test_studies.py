"""Data: what is collected, how it is checked, and how it is split."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from src import config
from src.data import collection, datasets, studies
from src.data.formats import DataError, Part, Raw
from src.data.specification import Layout, RemoteFile, StudySpec

CONTENT = b"twelve bytes"
MIRROR = config.mirror()  # before the tests hide it


def _read(folder: Path) -> Raw:
    assert (folder / "data.bin").read_bytes() == CONTENT
    images = np.arange(20 * 4, dtype=np.uint8).reshape(20, 2, 2, 1)
    labels = np.repeat([0, 1], 10)
    return {"train": Part(images, labels), "test": Part(images[::5], labels[::5])}


def _spec(url: str | None = None, content: bytes = CONTENT) -> StudySpec:
    file = RemoteFile("data.bin", hashlib.sha256(content).hexdigest(), len(content), url)
    keys = [datasets._keys(part.images, part.labels) for part in _read_raw().values()]
    return dataclasses.replace(
        studies.get("digits"),
        name="toy",
        classes=("left", "right"),
        image_shape=(2, 2, 1),
        read_package=None,
        test_share=None,
        layouts=(Layout("only", (file,), _read),),
        content_sha256=datasets.content_sha256(keys),
    )


def _read_raw() -> Raw:
    images = np.arange(20 * 4, dtype=np.uint8).reshape(20, 2, 2, 1)
    labels = np.repeat([0, 1], 10)
    return {"train": Part(images, labels), "test": Part(images[::5], labels[::5])}


@pytest.fixture(autouse=True)
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path / "inputs"))
    monkeypatch.delenv("DATASET_MIRROR", raising=False)
    return tmp_path / "inputs"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATASET_MIRROR", str(tmp_path / "mirror"))
    folder = tmp_path / "mirror" / "toy"
    folder.mkdir(parents=True)
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address on this machine that serves it."""
    folder = tmp_path / "host"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_split_of_digits_is_stratified_disjoint_and_complete() -> None:
    data = datasets.load(studies.get("digits"))
    assert [len(split) for split in data.splits] == [1079, 359, 359]
    ids = np.concatenate([split.ids for split in data.splits])
    assert sorted(ids) == list(range(1797))
    assert len(data.subset) == 538
    assert set(data.subset_ids) <= set(data.train.ids)
    shares = [np.bincount(split.labels, minlength=10) / len(split) for split in data.splits]
    assert np.abs(np.array(shares) - shares[0]).max() < 0.005
    assert data.source.kind == "package"


def test_split_does_not_depend_on_the_order_of_the_file() -> None:
    raw = _read_raw()
    order = np.random.default_rng(0).permutation(20)
    images, labels, *_ = raw["train"]
    shuffled = {"train": Part(images[order], labels[order]), "test": raw["test"]}
    source = collection.Source("mirror", "", "only")
    found = []
    for data in (raw, shuffled):
        keys = {name: datasets._keys(part.images, part.labels) for name, part in data.items()}
        found.append(datasets._split(_spec(), data, keys, source))
    for first, second in zip(found[0].splits, found[1].splits, strict=True):
        assert {i.tobytes() for i in first.images} == {i.tobytes() for i in second.images}
    assert [len(s) for s in found[0].splits] == [16, 4, 4]


def test_collects_from_inputs_then_mirror(inputs: Path, mirror: Path) -> None:
    (mirror / "data.bin").write_bytes(CONTENT)
    assert collection.collect(_spec()).kind == "mirror"
    assert _names(inputs / "toy") == ["data.bin", "source.json"]
    (mirror / "data.bin").unlink()
    assert collection.collect(_spec()).kind == "mirror"  # recorded, read from inputs
    (inputs / "toy" / "source.json").unlink()
    assert collection.collect(_spec()).kind == "inputs"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"twelve", "is truncated: 6 bytes instead of 12"),
        (b"twelve bytes and more", "is too long: 21 bytes instead of 12"),
        (b"TWELVE bytes", "is not the published file: its SHA-256 is"),
    ],
)
def test_damaged_file_is_refused_and_nothing_stays(
    inputs: Path, mirror: Path, content: bytes, message: str
) -> None:
    (mirror / "data.bin").write_bytes(content)
    with pytest.raises(DataError, match=message):
        collection.collect(_spec())
    assert _names(inputs / "toy") == []


def test_damaged_file_in_inputs_is_named(inputs: Path) -> None:
    (inputs / "toy").mkdir(parents=True)
    (inputs / "toy" / "data.bin").write_bytes(b"TWELVE bytes")
    with pytest.raises(DataError, match=r"data.bin is not the published file.*Delete it"):
        collection.collect(_spec())


def test_downloads_from_the_original_host(inputs: Path, host: tuple[Path, str]) -> None:
    folder, address = host
    (folder / "data.bin").write_bytes(CONTENT)
    source = collection.collect(_spec(f"{address}/data.bin"), progress=False)
    assert (source.kind, source.detail) == ("original", f"{address}/data.bin")
    assert (inputs / "toy" / "data.bin").read_bytes() == CONTENT


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attempt comes without a wait."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.mark.usefixtures("at_once")
def test_wrong_or_missing_download_says_what_to_do(inputs: Path, host: tuple[Path, str]) -> None:
    folder, address = host
    (folder / "data.bin").write_bytes(b"TWELVE bytes")
    for name in ("data.bin", "gone.bin"):
        with pytest.raises(DataError, match=r"could not be fetched.*DATASET_MIRROR"):
            collection.collect(_spec(f"{address}/{name}"), progress=False)
        assert _names(inputs / "toy") == []


@pytest.mark.usefixtures("at_once")
def test_no_network_says_what_to_do(inputs: Path) -> None:
    with pytest.raises(DataError, match="Check the network"):
        collection.collect(_spec("http://127.0.0.1:9/data.bin"), progress=False)
    assert _names(inputs / "toy") == []


def test_missing_class_wrong_shape_and_other_pictures_are_refused(mirror: Path) -> None:
    (mirror / "data.bin").write_bytes(CONTENT)
    spec = _spec()
    for change, message in (
        ({"classes": ("left", "right", "up")}, "no image of .*up"),
        ({"image_shape": (4, 4, 1)}, "expected"),
        ({"content_sha256": "0" * 64}, "not the published ones"),
    ):
        with pytest.raises(DataError, match=message):
            datasets.load(dataclasses.replace(spec, **change))  # type: ignore[arg-type]
    assert len(datasets.load(spec).train) == 16


def test_unknown_study() -> None:
    with pytest.raises(DataError, match="no study 'nothing'; there are: cifar10, "):
        studies.get("nothing")


def test_card_counts_every_picture() -> None:
    card = datasets.card(datasets.load(studies.get("digits")))
    assert card["totals"] == {"train": 1079, "validation": 359, "test": 359, "all": 1797}
    assert sum(card["counts"]["test"].values()) == 359
    assert card["classes"] == list("0123456789")


@pytest.mark.mirror
@pytest.mark.skipif(MIRROR is None, reason="DATASET_MIRROR is not set")
def test_cifar10_in_the_mirror_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(MIRROR))
    data = datasets.load(studies.get("cifar10"))
    assert [len(split) for split in data.splits] == [45_000, 5_000, 10_000]
    assert data.test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    whole = np.concatenate([data.train.images, data.validation.images]).reshape(-1, 3)
    assert whole.mean(0).round(3).tolist() == [125.307, 122.950, 113.865]
    assert np.bincount(data.subset.labels).tolist() == [500] * 10


@pytest.mark.mirror
@pytest.mark.skipif(MIRROR is None, reason="DATASET_MIRROR is not set")
def test_what_people_reach_on_cifar10_is_counted_from_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(MIRROR))
    test = datasets.load(studies.get("cifar10")).test
    votes = np.load(MIRROR / "cifar10" / "cifar10h-counts.npy")[test.ids.astype(int)].astype(int)  # type: ignore[operator]
    right = votes[np.arange(len(votes)), test.labels]
    stated = {known.name: known for known in studies.references("cifar10")}
    single, majority = stated["People, single annotator"], stated["People, majority vote"]
    assert single.low == single.high == round(right.sum() / votes.sum(), 4)
    alone = (votes == votes.max(1, keepdims=True)).sum(1) == 1
    assert (
        majority.low == majority.high == round(float((alone & (right == votes.max(1))).mean()), 4)
    )
