"""The overview of all studies, the layers of a network, and pages of studies unlike each other."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app_pages import network
from src.charts import network as network_charts
from src.charts import studies as charts
from src.data.studies import stated_hypotheses
from src.runs import layers
from src.runs import published as runs_published
from tests import factories
from tests.app.visits import visit

SMALL = {"train": 40, "validation": 80, "test": 80}
DIGITS = tuple("0123456789")
ROWS = pd.DataFrame(
    {"id": [3, 5], "label": ["7", "1"], **{f"pixel{k}": [0, 255] for k in range(1, 785)}}
)
FOLDS = pd.DataFrame(
    {
        "model": "best",
        "repeat": [0, 0, 1, 1],
        "fold": [0, 1, 0, 1],
        "n": 60,
        "accuracy": [0.8, 0.9, 0.85, 0.95],
        "macro_f1": 0.8,
    }
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour in two comparable versions and one other; grey digits; photos named by their path."""
    outputs = tmp_path_factory.mktemp("outputs")
    for version, seed in (("v1", 1), ("v2", 7), ("v3", 7)):
        factories.write_run(
            outputs, version=version, counts=SMALL, models=("plain", "best"), test_seed=seed
        )
    factories.write_run(
        outputs,
        study="mnist",
        classes=DIGITS,
        counts=SMALL,
        models=("best",),
        shape=(28, 28, 1),
        more={"eda/first_rows.parquet": ROWS},
    )
    factories.write_run(
        outputs,
        study="wardrobe",
        classes=("hat", "été <shoe>"),
        counts=SMALL,
        models=("best",),
        shape=(224, 224, 3),
        paths=True,
        profile="quick",
        more={"cross_validation.csv": FOLDS},
    )
    return outputs


@pytest.fixture(autouse=True)
def setting(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(published))
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path))


def words(app: AppTest) -> str:
    """All running text of a page, without the marks that keep Markdown literal."""
    text = "\n".join(element.value for element in [*app.markdown, *app.caption])
    return text.replace("\\", "").replace("\u00a0", " ")


# --- overview ------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_overview_answers_first_and_lists_every_version(published: Path) -> None:
    app = visit("studies")
    assert app.title[0].value == "Studies"
    assert words(app).startswith("#### Three studies, with accuracies from ")
    table = app.dataframe[0].value
    assert list(zip(table["title"].str[:5], table["version"], strict=True)) == [
        ("CIFAR", "v3"),
        ("CIFAR", "v2"),
        ("CIFAR", "v1"),
        ("CIFAR", "v1"),
        ("CIFAR", "v1"),
    ]
    assert table["size"].tolist()[2:] == ["32 × 32, colour", "28 × 28, grey", "224 × 224, colour"]
    headline = factories.read(published / "cifar10/v3/manifest.json")["headline"]
    assert table["accuracy"][0] == pytest.approx(headline["accuracy"])
    assert table["profile"].tolist() == ["full"] * 4 + ["quick"]


def test_versions_are_ranked_only_on_the_same_test_pictures() -> None:
    text = words(visit("studies"))
    assert "Other test images than v3, so the two are not ranked." in text  # v1
    assert "On the same test images v3 is " in text  # v2
    assert text.count("On the same test images") == 1


def test_every_card_leads_to_the_pages_of_its_study() -> None:
    links = [
        (link.proto.page, link.proto.query_string) for link in visit("studies").get("page_link")
    ]
    wanted = [page for page, query in links if query == "study=wardrobe&version=v1"]
    assert wanted == [
        "",  # the page that opens first
        "data_visualizer",
        "model_performance",
        "image_classifier",
        "hypotheses",
    ]


def test_a_link_to_another_study_is_followed_and_then_left_alone() -> None:
    app = visit("studies", study="cifar10", version="v2")
    app.query_params["study"], app.query_params["version"] = "wardrobe", "v1"
    app.switch_page("app_pages/data_visualizer.py").run()
    chosen = app.selectbox(key="study").value, app.selectbox(key="version").value
    assert chosen == ("wardrobe", "v1")
    app.selectbox(key="study").select("mnist").run()
    assert app.selectbox(key="study").value == "mnist"
    assert [element.message for element in app.exception] == []


def test_numbers_of_others_have_split_and_source() -> None:
    tables = [table.value for table in visit("studies").table]
    others = [table for table in tables if "Published result" in table.columns]
    assert len(others) == 2  # nobody else has a wardrobe
    earlier = others[1].set_index("Published result").loc["An earlier CNN"]
    assert earlier["Split"] == "validation"
    assert (earlier["Accuracy"], earlier["n"]) == ("99.05\u00a0%", "12,000")


def test_what_could_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "shoes" / "red").mkdir(parents=True)
    codes = [code.value for code in visit("studies").code]
    assert "make notebooks STUDY=fashion_mnist" in codes[-2]
    assert "STUDY=mnist" not in codes[-2].replace("fashion_mnist", "")
    assert codes[-1] == "make study FOLDER=shoes"


def test_without_a_run_the_overview_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    assert visit("studies").title[0].value == "No study has been published yet"


def test_an_altered_run_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = factories.write_run(tmp_path, counts=SMALL, models=("best",))
    factories.write_run(tmp_path, study="digits", counts=SMALL, models=("best",))
    (folder / "dataset.json").write_text("{", "utf-8")
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    app = visit("studies", study="digits", version="v1")
    assert "cifar10 v1" in app.error[0].value.replace("\\", "")
    assert app.dataframe[0].value["version"].tolist() == ["v1"]


def test_the_chart_of_all_studies() -> None:
    studies = pd.DataFrame(
        {
            "title": ["Photos", "Digits"],
            "version": "v1",
            "accuracy": [0.9, 0.99],
            "low": [0.85, 0.98],
            "high": [0.94, 0.995],
            "n": [372, 10_000],
        }
    )
    others = pd.DataFrame(
        {"title": "Photos", "name": "A course", "low": [0.85], "high": [0.89], "source": "a page"}
    )
    figure = charts.accuracies(studies, others)
    marks, dots = figure.data
    assert (list(marks.x), list(marks.y)) == ([pytest.approx(0.87)], ["Photos"])
    assert marks.customdata[0][1] == "85.00–89.00\u00a0%"
    assert (list(dots.x), list(dots.y)) == ([0.9, 0.99], ["Photos", "Digits"])
    np.testing.assert_allclose(dots.error_x.arrayminus, [0.05, 0.01])
    assert charts.standing(studies, others).startswith("Our accuracy exceeds 1 of 1 published")
    assert charts.standing(studies, others.iloc[:0]).startswith("No published results")
    assert charts.finding(studies.head(1)).replace("\u00a0", " ") == (
        "One study, with an accuracy of 90.0 % (Photos)"
    )


# --- layers --------------------------------------------------------------------------------


def _explain() -> None:
    from app_pages import loaders, network
    from src.runs import published

    network.explain(loaders.open_run("cifar10", published.versions("cifar10")[0]), "best")


def test_a_network_is_explained_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTPUTS_DIR")  # the published network of the repository
    app = AppTest.from_function(_explain, default_timeout=60).run()
    assert [element.message for element in app.exception] == []
    made = (
        runs_published.open_run("cifar10", runs_published.versions("cifar10")[0])
        .model("best")
        .config
    )
    assert words(app).startswith(f"**{len(made['layers'])} layers turn the 3,072 numbers")
    assert "all agree with the network" in words(app)
    table = app.table[0].value
    whitening = table[table["Layer"].str.contains("whitening")].iloc[0]
    assert whitening["Output"].startswith("31 × 31 × 24  \n⌊(32 − 2) / 1⌋ + 1 = 31 :green[")
    assert whitening["Parameters"].startswith("312  \n2·2·3·24 + 24 = 312 :green[")


def test_a_formula_that_does_not_agree_is_counted() -> None:
    given = {"name": "x", "type": "Conv2D", "output_shape": [9, 9, 2], "input_shape": [8, 8, 1]}
    settings = {"kernel": [3, 3], "strides": [1, 1], "padding": "same", "parameters": 20}
    explained = layers.explain([given | settings])
    assert "of 2 calculations, 1 do not agree with the network" in network.checked(explained)
    assert network.layer_frame(explained)["output_formula"][0] == "⌊(8 + 2·1 − 3) / 1⌋ + 1 = 8"


def test_the_chart_of_a_network_has_a_bar_per_stage() -> None:
    rows = [
        {"name": "image", "type": "InputLayer", "output_shape": [4, 4, 1], "parameters": 0},
        {"name": "flat", "type": "Flatten", "output_shape": [16], "parameters": 0},
        {"name": "logits", "type": "Dense", "output_shape": [2], "parameters": 34},
    ]
    stages = layers.stages(layers.explain(rows))
    values, parameters = network_charts.tensor_sizes(stages).data
    assert (list(values.y), list(parameters.y)) == ([16, 16, 2], [0, 0, 34])
    assert network_charts.finding(stages).replace("\u00a0", " ") == (
        "3 layers turn the 16 numbers of an image into 2 scores, with 34 parameters, "
        "100 % of them in the stage 2"
    )


# --- pages that adapt ----------------------------------------------------------------------


def test_grey_pictures_have_no_colour_and_show_their_first_rows() -> None:
    app = visit("data_visualizer", study="mnist", version="v1", look="Images")
    assert "An image is 784 numbers: the first 2 training images" in words(app)
    assert app.dataframe[0].value.equals(ROWS)
    app = visit("data_visualizer", study="mnist", version="v1", look="Light and colour")
    measures = next(c for c in app.get("button_group") if c.proto.label == "Measure")
    assert [option.content for option in measures.proto.options] == [
        "Brightness",
        "Contrast",
        "Sharpness",
    ]


@pytest.mark.parametrize("look", ["Categories", "Images", "Map", "Similar classes", "Preparation"])
def test_photos_named_by_their_path_have_every_tab(look: str) -> None:
    app = visit("data_visualizer", study="wardrobe", version="v1", look=look)
    assert app.title[0].value == "Data visualizer"
    assert not app.error


def test_the_summary_of_few_photos_says_what_cross_validation_found() -> None:
    text = words(visit("project_summary", study="wardrobe", version="v1"))
    # 105 of 120 photos on average over the two repeats
    assert "Best model, cross-validated.** Of 120 photos" in text
    assert "87.5 % were classified correctly" in text


def test_a_study_without_hypotheses_says_how_to_state_one() -> None:
    app = visit("hypotheses", study="wardrobe", version="v1")
    assert "Nothing was written down for this study" in words(app)
    assert app.code[0].value.startswith("[hypotheses.H1]")
    assert 'models = ["best"]' in app.code[0].value


def test_the_example_of_a_hypothesis_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = visit("hypotheses", study="wardrobe", version="v1").code[0].value
    monkeypatch.setenv("INPUTS_DIR", str(tmp_path))
    (tmp_path / "wardrobe").mkdir()
    (tmp_path / "wardrobe" / "study.toml").write_text(code)
    (stated,) = stated_hypotheses("wardrobe")
    assert (stated.id, stated.margin) == ("H1", 0.8)


def test_a_mistake_in_what_was_written_down_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.config.study_files", lambda: tmp_path)
    (tmp_path / "shared.toml").write_text("[")
    app = visit("project_summary", study="wardrobe", version="v1")
    assert "shared.toml is not valid TOML" in app.error[0].value.replace("\\", "")
