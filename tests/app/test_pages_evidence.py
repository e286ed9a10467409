"""The summary, performance and hypotheses pages on small runs, and what they do with bad links."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from app_pages import components, loaders, performance_making
from src import config
from src.evaluation import metrics as evaluation_metrics
from src.runs import published as runs_published
from tests import factories
from tests import words as vocabulary
from tests.app.visits import visit

TABS = [
    *("Overview", "Answers", "Confusion matrix", "Classes", "Curves", "Confidence", "Training"),
    "Comparison",
]
MODELS = ["best", "plain", "plain_augmented", "plain_subset", "plain_subset_augmented"]
SMALL = {"train": 80, "validation": 200, "test": 120}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 and v2 share their test images, v3 has others; a second study, made quickly."""
    outputs = tmp_path_factory.mktemp("outputs")
    factories.write_run(outputs, version="v1", counts=SMALL)
    factories.write_run(outputs, version="v2", counts=SMALL, models=("plain", "best"), bonus=0.5)
    factories.write_run(outputs, version="v3", counts=SMALL, models=("plain", "best"), test_seed=8)
    digits = ("0", "1", "2")
    factories.write_run(
        outputs, study="digits", counts=SMALL, classes=digits, models=("plain",), profile="quick"
    )
    factories.write_run(
        outputs,
        study="mnist",
        counts=SMALL,
        classes=digits,
        models=("plain", "best"),
        classical=True,
    )
    return outputs


@pytest.fixture(autouse=True)
def outputs(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTPUTS_DIR", str(published))
    return published


@pytest.mark.slow
def test_settings_are_spelled_for_people() -> None:
    changes = {"flip": True, "alternate": False, "shift": 2 / 28, "zoom": 0.0, "erasing": 0.3}
    spelled = performance_making._spelled
    assert spelled(changes) == "flip, shift 0.0714, erasing 0.3"
    assert [spelled(value) for value in (0.12, 512, "muon", None)] == ["0.12", "512", "muon", ""]


def words(app: AppTest) -> str:
    """All running text of a page."""
    return "\n".join(element.value for element in [*app.markdown, *app.caption])


def charts(app: AppTest) -> list[str]:
    """The alternative texts of the charts; none may lack one."""
    texts = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert all(texts), texts
    return texts


# --- states --------------------------------------------------------------------------------


def test_without_a_run_every_page_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    for page in ("project_summary", "model_performance", "hypotheses"):
        app = visit(page)
        assert app.title[0].value == "No study has been published yet"
        assert app.code[0].value == "make notebooks STUDY=digits PROFILE=quick"
        assert len(app.selectbox) == 0


def test_the_newest_version_of_the_main_study_opens_first_and_stays_in_the_link() -> None:
    app = visit()
    assert app.query_params["study"] == "cifar10"
    assert app.query_params["version"] == "v3"
    assert app.selectbox(key="version").options == ["v3", "v2", "v1"]


@pytest.mark.slow
def test_a_link_opens_its_version_on_every_page() -> None:
    for page in ("project_summary", "model_performance", "hypotheses"):
        app = visit(page, study="cifar10", version="v1")
        assert (app.selectbox(key="study").value, app.selectbox(key="version").value) == (
            "cifar10",
            "v1",
        )
        assert len(app.warning) == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"version": "v9"}, "There is no version “v9” here; showing “v3”."),
        ({"study": "cats", "version": "v1"}, "There is no study “cats” here; showing “cifar10”."),
        ({"version": "../../etc"}, "There is no version “"),
        ({"version": "<script>"}, "\\<script\\>"),
    ],
)
def test_a_link_to_what_is_gone_says_so_and_shows_what_there_is(
    query: dict[str, str], said: str
) -> None:
    app = visit("model_performance", **query)
    assert said in app.warning[0].value
    assert app.title[0].value == "Model performance"


def test_the_notice_goes_when_another_version_is_chosen() -> None:
    app = visit(version="v9")
    assert len(app.warning) == 1
    app.selectbox(key="version").select("v1").run()
    assert len(app.warning) == 0


def test_another_study_opens_its_own_newest_version() -> None:
    app = visit(study="cifar10", version="v2")
    app.selectbox(key="study").select("digits").run()
    assert [element.message for element in app.exception] == []
    assert app.selectbox(key="version").value == "v1"
    assert "quick profile" in words(app)
    assert len(app.warning) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "pages"),
    [
        ("manifest.json", ["project_summary", "model_performance", "hypotheses"]),
        ("models/best/metrics.json", ["project_summary", "model_performance", "hypotheses"]),
        ("dataset.json", ["project_summary", "hypotheses"]),
        ("hypotheses.json", ["hypotheses"]),
    ],
)
def test_an_altered_run_is_named_where_it_is_needed(
    file: str, pages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = factories.write_run(tmp_path, counts=SMALL, models=("best",))
    (folder / file).write_text("{", "utf-8")
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    for page in pages:
        app = visit(page)
        assert "This version cannot be shown" in app.error[0].value
        assert "cifar10 v1" in app.error[0].value.replace("\\", "")


# --- project summary -----------------------------------------------------------------------


def test_summary_answers_first_and_links_every_requirement(published: Path) -> None:
    app = visit(version="v1")
    assert app.title[0].value == "Sorting product photos automatically"
    assert app.markdown[0].value.startswith("#### Best model classifies ")
    assert [metric.label for metric in app.metric] == [
        "Accuracy",
        "Automation rate",
        "Correct among these",
        "Time per photo",
    ]
    headline = factories.read(published / "cifar10" / "v1" / "manifest.json")["headline"]
    assert app.metric[0].value == f"{headline['accuracy']:.1%}".replace("%", "\u00a0%")
    assert "n\u00a0=\u00a0120 test images" in words(app)
    assert [link.proto.page for link in app.get("page_link")] == [
        "data_visualizer",
        "image_classifier",
        "model_performance",
        "model_performance",
        "hypotheses",
    ]


def test_summary_shows_card_model_and_rerun() -> None:
    app = visit(version="v1")
    facts = app.table[0].value.iloc[:, 0].to_dict()
    assert facts["Images"] == "400, 32 × 32 pixels, colour"
    assert facts["Split"] == "80 train, 200 validation, 120 test (seed 20260)"
    assert facts["Licence"] == "for research and teaching"
    assert app.code[0].value == "make notebooks STUDY=cifar10 PROFILE=full"
    assert "### Best model" in words(app)  # the card's own heading, below those of the page
    assert charts(app) == ["Every category has 40 images"]


# --- model performance ---------------------------------------------------------------------


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("study", ["cifar10", "digits", "mnist"])
def test_every_tab_opens_from_its_link(tab: str, study: str) -> None:
    app = visit("model_performance", study=study, version="v1", tab=tab)
    assert len(app.error) == 0
    expected = {"Answers": 0, "Confusion matrix": 1, "Comparison": 0 if study == "digits" else 2}
    assert len(charts(app)) == expected.get(tab, 2)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["forest", "most_frequent", "vote"])
@pytest.mark.parametrize("tab", TABS)
def test_every_tab_serves_models_that_are_only_compared(tab: str, model: str) -> None:
    title = factories.COMPARED[model][2]
    app = visit("model_performance", study="mnist", version="v1", tab=tab, model=title)
    assert app.selectbox(key="model").value == model
    assert len(app.error) == 0
    assert len(charts(app)) == {"Answers": 0, "Confusion matrix": 1}.get(tab, 2)


def test_classical_models_stand_in_the_table_with_what_applies_to_them() -> None:
    app = visit("model_performance", study="mnist", version="v1")
    table = app.dataframe[0].value.set_index("title")
    assert table["family"].to_dict() == {
        "Best model": "Network",
        "Plain network, all images": "Network",
        "Random forest": "Classical model",
        "Logistic regression": "Classical model",
        "Always the most frequent class": "Baseline",
        "Soft vote": "Ensemble",
    }
    assert table.loc["Random forest", "megabytes"] == 12.3
    assert pd.isna(table.loc["Random forest", "parameters"])
    assert (table["n"] == 120).all()
    assert "In the table only: Always the most frequent class (" in words(app)
    assert len(app.dataframe[1].value) == 4  # served files of two networks, in two forms


def test_searches_and_blends_are_shown_where_a_run_has_them() -> None:
    app = visit("model_performance", study="mnist", version="v1", tab="Classical models")
    assert charts(app) == [
        "Settings matter most for random forest: 4.0 points",
        "The blend relies most on random forest",
        "Random forest and logistic regression differ most (0.40)",
        "2 of 3 components hold 95\u00a0% of the variance",
    ]
    assert app.dataframe[0].value["settings"].tolist() == ["trees 50", "trees 100", "C 1"]
    without = visit("model_performance", study="digits", version="v1")
    assert "Classical models" not in [tab.label for tab in without.tabs]


def test_with_many_models_one_stands_against_all(published: Path) -> None:
    app = visit("model_performance", study="mnist", version="v1", tab="Comparison")
    assert app.selectbox(key="against").value == "best"
    assert charts(app)[1].startswith("Best model beats ")
    assert " of 5 other models" in charts(app)[1]
    app.selectbox(key="against").select("forest").run()
    assert charts(app)[1].startswith("Random forest beats ")


def test_a_random_sample_marks_right_and_wrong(published: Path) -> None:
    app = visit(
        "model_performance", study="mnist", version="v1", tab="Answers", model="Random forest"
    )
    rows = pd.read_parquet(published / "mnist/v1/models/forest/predictions.parquet")
    rows = rows[rows["split"] == "test"].set_index("id")
    kept = rows.loc[evaluation_metrics.drawn(rows.index, evaluation_metrics.DRAWN)]
    right = int((kept["label"] == kept["prediction"]).sum())
    assert 0 < right < 48
    assert f"**{right} of 48 images drawn at random are classified correctly**" in words(app)
    app.segmented_control(key="drawn").select("wrong").run()
    captions = [image.proto.imgs[0].caption for image in app.get("image")]
    assert len(captions) == 48 - right
    assert all(caption.startswith("✗ ") and "→" in caption for caption in captions)


def test_without_a_random_sample_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.write_run(tmp_path, models=("plain",))  # keeps only part of its test images
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    app = visit("model_performance", tab="Answers")
    assert "without a random sample" in app.info[0].value
    assert len(app.get("image")) == 0


def test_cross_validation_is_shown_where_a_run_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = pd.DataFrame(
        {"model": "plain", "repeat": 0, "fold": [0, 1], "n": [50, 50], "accuracy": [0.9, 0.8]}
    )
    factories.write_run(
        tmp_path, counts=SMALL, models=("plain",), more={"cross_validation.csv": folds}
    )
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    found = charts(visit("model_performance"))
    assert found[2] == (
        "Cross-validated, Plain network, all images is right in 85.0\u00a0% of the cases"
    )


def test_bad_parameters_fall_back_to_what_there_is() -> None:
    app = visit(
        "model_performance",
        version="v1",
        tab="Nowhere",
        model="../x",
        split="train",
        threshold="many",
        really="unicorn",
    )
    assert app.selectbox(key="model").value == "best"
    assert len(charts(app)) == 2  # the overview
    assert len(app.error) == 0
    assert sorted(warning.value for warning in app.warning) == [
        "There is no model “\\.\\./x” here; showing “Best model”.",
        "There is no split “train” here; showing “Test”.",
        "There is no tab “Nowhere” here; showing “Overview”.",
    ]


@pytest.mark.parametrize(
    ("model", "tab", "split"),
    [
        ("plain", "confusion", "validation"),  # keys
        (factories.TITLES["plain"], "Mix-ups", "Validation"),  # what links of old versions hold
        (factories.TITLES["plain"], "Confusion matrix", "Validation"),  # what is shown
    ],
)
def test_links_hold_keys_and_old_ones_go_on_working(model: str, tab: str, split: str) -> None:
    app = visit("model_performance", version="v1", model=model, tab=tab, split=split)
    chosen = {"model": "plain", "tab": "confusion", "split": "validation"}
    assert {key: app.query_params[key] for key in chosen} == chosen
    assert app.session_state["tab"] == "Confusion matrix"
    assert len(app.warning) == 0


def test_choices_survive_another_page() -> None:
    app = visit("model_performance", version="v1", model="plain", tab="confusion")
    app.selectbox(key="really").select("cat").run()
    app.switch_page("app_pages/hypotheses.py").run()
    app.query_params.clear()  # as a click in the sidebar does
    app.switch_page("app_pages/model_performance.py").run()
    chosen = {"version": "v1", "model": "plain", "tab": "confusion", "really": "cat"}
    assert {key: app.query_params[key] for key in chosen} == chosen
    assert app.selectbox(key="model").value == "plain"
    assert app.session_state["tab"] == "Confusion matrix"


def test_what_is_shown_at_first_is_left_out_of_the_link() -> None:
    app = visit("model_performance", version="v1", split="validation")
    app.segmented_control(key="split").select("test").run()
    assert app.query_params == {"study": "cifar10", "version": "v1"}


def test_the_back_button_takes_what_the_address_says(monkeypatch: pytest.MonkeyPatch) -> None:
    app = visit("model_performance", version="v1")
    app.selectbox(key="model").select("plain").run()
    app.segmented_control(key="split").select("validation").run()
    app.query_params = {"study": "cifar10", "version": "v1", "split": "validation"}
    monkeypatch.setattr(components, "_came_back", lambda: True)
    app.run()
    assert app.selectbox(key="model").value == "best"
    assert app.segmented_control(key="split").value == "validation"


def test_the_table_holds_every_model_with_interval_and_cost(published: Path) -> None:
    app = visit("model_performance", version="v1")
    table = app.dataframe[0].value
    assert list(table["title"]) == [factories.TITLES[name] for name in MODELS]
    metrics = factories.read(published / "cifar10/v1/models/plain/metrics.json")
    row = table.iloc[1]
    accuracy = metrics["splits"]["test"]["metrics"]["accuracy"]
    assert [row["accuracy"], row["accuracy_low"], row["accuracy_high"]] == pytest.approx(
        [accuracy[key] for key in ("value", "low", "high")]
    )
    assert row["parameters"] == metrics["cost"]["parameters"]
    assert row["latency"] == metrics["cost"]["latency_ms"]["float32"]["value"]


def written(app: AppTest, table: int = 0) -> pd.DataFrame:
    """A table as a person reads it: the texts that its numbers are written as."""
    return pa.ipc.open_stream(
        app.dataframe[table].proto.arrow_data.styler.display_values
    ).read_pandas()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_card_and_a_table_write_the_same_number_alike(version: str) -> None:
    app = visit("model_performance", version=version)
    cards = {metric.label: metric for metric in app.metric}
    default = written(app).iloc[0]
    assert default["accuracy"] == cards["Accuracy"].value
    low, high = default["accuracy_low"], default["accuracy_high"]
    assert cards["Accuracy"].delta == low.partition("\u00a0")[0] + "–" + high
    assert default["macro_f1"] == cards["Macro F1"].value
    assert default["latency"] == cards["Time per photo"].value
    rows = written(visit("studies"))
    row = rows[rows["version"] == version].iloc[0]
    assert row["accuracy"] == cards["Accuracy"].value


def test_ablations_cost_time_to_train_and_never_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = property(lambda model: "subset" in model.name)
    monkeypatch.setattr(runs_published.ModelRecord, "ablation", ablation)
    app = visit("model_performance", version="v1")
    assert len(app.dataframe[1].value) == 6  # served files of three networks, in two forms
    assert _drawn(app) == {factories.TITLES[name] for name in MODELS[:3]}
    app.segmented_control(key="timed").select("training").run()
    assert _drawn(app) == {factories.TITLES[name] for name in MODELS}


def _drawn(app: AppTest) -> set[str]:
    """The models whose sign stands in the chart of costs."""
    traces = json.loads(app.get("plotly_chart")[1].proto.spec)["data"]
    shown = {text for trace in traces for text in np.ravel(trace.get("customdata", []))}
    return shown & set(factories.TITLES.values())  # costs and references stand beside them


def test_the_selectors_of_one_tab_leave_those_of_another_alone() -> None:
    app = visit("model_performance", study="mnist", version="v1", timed="Training")
    app.session_state["tab"] = "Comparison"
    app.run()
    app.selectbox(key="against").select("forest").run()
    app.session_state["tab"] = "Overview"
    app.run()
    assert app.segmented_control(key="timed").value == "training"
    assert [element.message for element in app.exception] == []


def test_versions_with_other_test_pictures_are_shown_but_not_ranked() -> None:
    app = visit("model_performance", version="v1")
    versions = app.dataframe[2].value.set_index("version")
    assert sorted(versions.index) == ["v1", "v2", "v3"]
    assert versions.loc["v3", ["rank", "tested"]].tolist() == ["–", "other images"]
    assert sorted(versions.loc[["v1", "v2"], "rank"]) == ["1", "2"]
    comparison = visit("model_performance", version="v1", tab="Comparison")
    assert "tested on other images: v3" in words(comparison)
    offered = comparison.selectbox(key="first").options
    assert {label.split(" · ")[0] for label in offered} == {"v1", "v2"}


def test_the_matrix_cell_of_a_link_shows_its_pictures(published: Path) -> None:
    app = visit(
        "model_performance",
        version="v1",
        tab="Mix-ups",
        model=factories.TITLES["plain"],
        really="cat",
        answer="dog",
    )
    rows = pd.read_parquet(published / "cifar10/v1/models/plain/predictions.parquet")
    rows = rows[
        (rows["split"] == "test") & (rows["label"] == "cat") & (rows["prediction"] == "dog")
    ]
    assert len(rows) > 1
    assert f"**{len(rows)} images of cat are classified as dog**" in words(app)
    shown = app.get("image")
    assert 0 < len(shown) <= 12
    images = [element.proto.imgs[0] for element in shown]
    assert all(image.caption.startswith("cat → dog, ") for image in images)
    assert all(image.url.endswith(".png") for image in images)
    assert app.query_params["really"] == "cat"


def test_comparing_a_model_with_itself_asks_for_another() -> None:
    app = visit(
        "model_performance", version="v1", tab="Comparison", first="v1 · best", second="v1 · best"
    )
    assert app.info[0].value == "Choose two different models."


def test_the_threshold_lives_in_the_link() -> None:
    app = visit("model_performance", version="v1", tab="Confidence", threshold="60 %")
    assert any(text.startswith("From 60\u00a0% confidence") for text in charts(app))


def test_what_was_promised_stands_beside_what_was_kept() -> None:
    app = visit("model_performance", version="v1", tab="Confidence")
    assert "Promised and kept" in [heading.value for heading in app.subheader]
    (table,) = [frame.value for frame in app.dataframe if "kept" in frame.value]
    found = loaders.sorting("cifar10", "v1", "best")
    assert table["label"].tolist() == ["all", *(each.label for each in found.classes)]
    assert table["n"].tolist() == [found.n, *(each.n for each in found.classes)]
    assert table["accepted"].sum() == 2 * found.accepted  # once as a whole, once by category
    assert table["promised"].isna()[1:].tolist() == [e.threshold is None for e in found.classes]
    assert (table["people"] != "").sum() == len(found.always_checked)


# --- hypotheses ----------------------------------------------------------------------------


def test_every_hypothesis_has_verdict_effect_and_meaning(published: Path) -> None:
    judged = factories.read(published / "cifar10/v1/hypotheses.json")
    app = visit("hypotheses", version="v1")
    text = words(app)
    assert [h["id"] for h in judged] == ["H1", "H2", "H3"]
    for hypothesis in judged:
        assert hypothesis["statement"] in text
        assert hypothesis["meaning"] in text
    assert [heading.value for heading in app.subheader] == [
        f"{h['id']}. {h['title']}" for h in judged
    ]
    assert len(charts(app)) == 6  # three effects, pairs, seeds, criteria
    assert text.count("-badge[") == 3


def test_earlier_verdicts_stand_beside_the_present_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the committed run: an expectation that was tested until it turned."""
    monkeypatch.setenv("OUTPUTS_DIR", str(config.ROOT / "outputs"))
    app = visit("hypotheses", study="fashion_mnist", version="v5")
    text = words(app)
    looks = "Stated on 2026-11-21. Reading 5 of these test images, look 5 at this hypothesis."
    assert text.count(looks) == 6
    tables = [table.value for table in app.table if "Due" in table.value]
    assert [len(table) for table in tables] == [4] * 6
    c1 = tables[3]
    assert c1["Verdict"].tolist() == ["refuted", "undecided", "undecided", "supported"]
    assert c1["Due"].tolist() == ["α = 0.03", "α = 0.0076", "α = 0.0034", "α = 0.0019"]
    assert "Of 6 hypotheses, 1 is supported, 2 are refuted and 3 are undecided." in text


def test_criteria_are_judged_against_results() -> None:
    app = visit("hypotheses", version="v1")
    table = app.table[-1].value.set_index("")
    assert list(table.index) == ["S1", "S2", "S3", "S4", "F1", "F2", "F3", "F4"]
    assert table.loc["S4", "Verdict"] == ":green-badge[:material/check: Met]"
    assert table.loc["F4", "Verdict"] == ":green-badge[:material/check: Does not apply]"


def test_a_run_without_hypotheses_still_has_criteria() -> None:
    app = visit("hypotheses", version="v2")
    assert "**Written down, but not judged by this version**" in words(app)
    assert "- H3. Augmentation helps: about `plain_subset` and `plain_subset_augmented`." in words(
        app
    )
    assert len(charts(app)) == 1
    assert len(app.table[0].value) == 8


# --- words ---------------------------------------------------------------------------------

BANNED = re.compile(
    r"filed? (alone|automatically|correctly)|files \S+ of|of these right|right among those"
    r"|goe?s? to a person|person should look|time per image|numbers? of others|lies all"
    r"|claims more|keeps its word|file alone|another shape|cut to the middle|veil|speaks for"
    r"|^others$|really|served file|none is faster|everyone’s|turned out|mix-up|look-alike"
    r"|false alarm|views averaged",
    re.IGNORECASE | re.MULTILINE,
)


def banned(texts: Iterable[str]) -> list[str]:
    """The private words, of those the vocabulary replaces, that stand in these texts."""
    return [found.group() for text in texts for found in BANNED.finditer(text)]


def test_private_words_are_found() -> None:
    told = ["Net files 79 of 100 photos", "Mix-ups", "Turned out", "Sorted automatically"]
    assert banned(told) == ["files 79 of", "Mix-up", "Turned out"]


@pytest.mark.parametrize(
    ("page", "tab"),
    [("studies", ""), *(("model_performance", tab) for tab in [*TABS, "Classical models"])],
)
def test_no_page_uses_private_words(page: str, tab: str) -> None:
    app = visit(page, study="mnist", version="v1", **({"tab": tab} if tab else {}))
    assert banned(vocabulary.of_page(app)) == []


@pytest.mark.parametrize("study", ["cifar10", "mnist"])
@pytest.mark.parametrize("page", ["project_summary", "hypotheses"])
def test_pages_with_texts_of_the_study_use_plain_words(page: str, study: str) -> None:
    app = visit(page, study=study, version="v1")
    said = list(vocabulary.of_page(app))
    assert [text for text in said if vocabulary.found(text)] == []


# --- shared pieces -------------------------------------------------------------------------


def test_csv_cells_never_start_a_formula() -> None:
    frame = pd.DataFrame(
        {
            "=name": ["=1+1", "+a", "-b", "@c", "\td", " =e", "plain", None],
            "number": [-1.5, 2.0, 0, 0, 0, 0, 0, 0],
        }
    )
    assert components.csv_bytes(frame.iloc[[0, 1, 2, 3, 5, 6]]).decode() == (
        "'=name,number\n'=1+1,-1.5\n'+a,2.0\n'-b,0.0\n'@c,0.0\n' =e,0.0\nplain,0.0\n"
    )
    assert components.csv_bytes(frame.iloc[[4]]).decode().startswith("'=name,number\n'\td,")
    assert components.csv_bytes(frame.iloc[[7]]).decode() == "'=name,number\n,0.0\n"


def test_text_from_outside_is_shown_literally() -> None:
    assert components.plain("a*b_[x](y) :red[z] <b>") == (
        "a\\*b\\_\\[x\\]\\(y\\) \\:red\\[z\\] \\<b\\>"
    )


def test_the_factory_is_deterministic_and_complete(tmp_path: Path, published: Path) -> None:
    again = factories.write_run(tmp_path, counts=SMALL)
    first = factories.read(published / "cifar10/v1/manifest.json")["files"]
    assert factories.read(again / "manifest.json")["files"] == first
    assert os.environ["OUTPUTS_DIR"] == str(published)
