"""Every study and version: what is in it, how well its model does, and where to read on."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src.charts import studies as charts
from src.charts import theme
from src.data.specification import Reference
from src.runs import published
from src.runs.overview import Headline

SIDE = 64  # pixels of a sample image
PAGES = {
    "project_summary": "Summary",
    "data_visualizer": "Data",
    "model_performance": "Performance",
    "image_classifier": "Classifier",
    "hypotheses": "Hypotheses",
}
COLUMNS: dict[str, Any] = {
    "title": "Study",
    "version": "Version",
    "accuracy": "Test accuracy",
    "low": "from",
    "high": "to",
    "n": "Test images",
    "automatic": "Automation rate",
    "model": "Model",
    "parameters": "Parameters",
    "classes": "Categories",
    "images": "Images",
    "size": "Size",
    "made": st.column_config.DatetimeColumn("Made", format="D MMM YYYY"),
    "profile": "Profile",
}
FORMATS: theme.Formats = {
    **dict.fromkeys(("accuracy", "low", "high", "automatic"), theme.percent),
    **dict.fromkeys(("n", "parameters", "images"), theme.count),
}


def headlines() -> dict[str, list[Headline]]:
    """The rows of every study, newest version first; says which runs could not be read."""
    found: dict[str, list[Headline]] = {}
    for study in loaders.studies():
        for version in loaders.versions(study):
            try:
                row = loaders.headline(study, version)
                found.setdefault(study, []).append(row)
            except published.RunError as error:
                components.failed(error)
    return found


def place(row: Headline) -> tuple[str, str, str]:
    """Study, version and default model of a row."""
    return row.study, row.version, loaders.open_run(row.study, row.version).default_model


def tested(row: Headline) -> loaders.Subject:
    """The default model of a row on its test images."""
    return loaders.Subject(*place(row), "test")


def size_text(shape: tuple[int, int, int]) -> str:
    """(28, 28, 1) → "28 × 28, grey"."""
    height, width, channels = shape
    return f"{height} × {width}, {'grey' if channels == 1 else 'colour'}"


# --- all of them ---------------------------------------------------------------------------


def newest_of(found: dict[str, list[Headline]]) -> pd.DataFrame:
    """One row per study: its newest version."""
    return pd.DataFrame([asdict(rows[0]) for rows in found.values()])


def everything(found: dict[str, list[Headline]]) -> None:
    """The chart of the newest versions, and the table of all."""
    newest = newest_of(found)
    others = [
        {"title": rows[0].title, **asdict(reference)}
        for study, rows in found.items()
        for reference in loaders.references(study)
        if reference.split == "test"
    ]
    names = ["title", "name", "low", "high", "source"]
    components.chart(
        charts.accuracies(newest, pd.DataFrame(others, columns=names)),
        key="studies",
        data=newest,
        name="studies",
    )
    table = pd.DataFrame([_row(row) for rows in found.values() for row in rows])
    st.dataframe(
        components.formatted(table[list(COLUMNS)], FORMATS),
        column_config=COLUMNS,
        hide_index=True,
        alt="All studies and versions",
    )
    st.caption(
        "Test accuracy (with its 95\u00a0% interval) and automation rate: the default model "
        "on test images. A click on a heading sorts."
    )
    components.download_csv(table, "studies_and_versions", key="csv_versions")


def _row(row: Headline) -> dict[str, object]:
    sorting = loaders.sorting(*place(row))
    return asdict(row) | {
        "automatic": sorting.coverage.value,
        "size": size_text(row.shape),
        "made": pd.Timestamp(row.created),
    }


# --- one of them ---------------------------------------------------------------------------


@components.section
def card(rows: list[Headline]) -> None:
    """One study: its data, the newest version's figures, links, other versions, other people."""
    newest = rows[0]
    run = loaders.open_run(newest.study, newest.version)
    with st.container(border=True):
        st.subheader(newest.title, anchor=newest.study)
        st.markdown(run.dataset["description"])
        samples(run)
        components.metric_row(figures(newest))
        st.table(facts(newest, run), border="horizontal", alt=f"Facts about {newest.title}")
        with st.container(horizontal=True):
            for page, label in PAGES.items():
                components.page_link(run, page, label)
        other_versions(rows)
        other_people(newest)


def samples(run: published.Run) -> None:
    """One image of each of the first categories."""
    with st.container(horizontal=True, gap="small"):
        for label, png in loaders.samples(run.study, run.version):
            components.picture(png, caption=label, alt=f"An image of {label}", side=SIDE)


def figures(row: Headline) -> list[components.Figure]:
    """Test accuracy, the automation rate, and how large the model is."""
    sorting = loaders.sorting(*place(row))
    accuracy = {"value": row.accuracy, "low": row.low, "high": row.high}
    return [
        components.share_figure("Test accuracy", accuracy, f"{theme.sample(row.n)} test images"),
        components.Figure(
            "Automation rate",
            theme.percent(sorting.coverage.value),
            theme.interval(sorting.coverage.low, sorting.coverage.high),
            f"at {theme.percent(sorting.target)} precision",
        ),
        components.Figure("Model size", millions(row.parameters), basis=row.model),
    ]


def millions(parameters: int | None) -> str:
    """1091394 → "1.09 M": the parameters of a network, short enough for a phone."""
    return "–" if parameters is None else f"{parameters / 1e6:.2f} M"


def facts(row: Headline, run: published.Run) -> dict[str, str]:
    """What is in the study and when its newest version was made."""
    card = run.dataset
    totals = card["totals"]
    split = ", ".join(f"{theme.count(totals[name])} {name}" for name in ("train", "validation"))
    return {
        "Images": f"{theme.count(row.images)}, {size_text(row.shape)}; {split}, "
        f"{theme.count(totals['test'])} test",
        "Model": f"{row.model}, {theme.count(row.parameters)} parameters",
        "Categories": f"{row.classes}: {components.plain(theme.listing(card['classes']))}",
        "Source": components.plain(f"{card['source']['kind']}, {card['source']['detail']}"),
        "Licence": components.plain(card["licence"]) or "not stated",
        "Made": f"{row.version} on {pd.Timestamp(row.created):%d %B %Y}, profile {row.profile}",
    }


def other_versions(rows: list[Headline]) -> None:
    """The older versions, ranked against the newest only on the same test images."""
    newest, *older = rows
    if not older:
        return
    with st.expander(f"Older versions ({len(older)})"):
        for row in older:
            st.markdown(f"**{row.version}**: {compared(newest, row)}")
            components.page_link(
                loaders.open_run(row.study, row.version),
                "model_performance",
                f"Performance of {row.version}",
            )


def compared(newest: Headline, row: Headline) -> str:
    """How an older version does, and how the newest one does against it, if that can be said."""
    own = (
        f"{theme.percent(row.accuracy, 2)} ({theme.interval(row.low, row.high, 2)}, "
        f"{theme.sample(row.n)} test images), {row.model}. "
    )
    if row.test_ids_sha256 != newest.test_ids_sha256:
        return own + f"Other test images than {newest.version}, so the two are not ranked."
    difference = loaders.compared(tested(newest), tested(row))["difference"]
    low, high = (theme.points(difference[end]) for end in ("low", "high"))
    return own + (
        f"On the same test images {newest.version} is {theme.points(difference['value'])} "
        f"({low} to {high}) against it."
    )


def other_people(row: Headline) -> None:
    """Published results with their split and source; never mixed with ours."""
    references = loaders.references(row.study)
    if not references:
        return
    with st.expander("Published results, for comparison"):
        st.table(
            pd.DataFrame([_reference_row(reference) for reference in references]),
            hide_index=True,
            alt=f"Published results for {row.title}",
        )
        st.caption(
            f"Ours: {theme.percent(row.accuracy, 2)} on {theme.count(row.n)} test images. "
            "Do not compare validation results with test results: models were chosen by validation."
        )


def _reference_row(reference: Reference) -> dict[str, str]:
    return {
        "Published result": reference.name,
        "Accuracy": charts.share_range(reference.low, reference.high),
        "Split": reference.split,
        "n": theme.count(reference.n),
        "Source": reference.source,
    }


# --- what there could be -------------------------------------------------------------------


def possible(found: dict[str, list[Headline]]) -> None:
    """How the studies that are not published here are made, and one's own."""
    st.header("Make another one")
    left, right = st.columns(2, gap="large")
    with left:
        missing = [name for name in loaders.known_studies() if name not in found]
        if missing:
            st.markdown("These are known but not published here:")
            st.code("\n".join(f"make notebooks STUDY={name}" for name in missing), language="bash")
        else:
            st.markdown("Every study that this project knows is published here.")
    with right:
        folders = [name for name in loaders.waiting() if name not in found]
        if folders:
            st.markdown("These folders of photos wait in `inputs`:")
            st.code("\n".join(f"make study FOLDER={name}" for name in folders), language="bash")
        else:
            st.markdown(
                "A folder of your own, with one sub-folder of photos per category, "
                "becomes a study with one command:"
            )
            st.code("make study FOLDER=path/to/photos", language="bash")


found = headlines()
if found:
    answer = charts.finding(newest_of(found))
    components.opening("Studies", f"{components.plain(answer)}.")
    everything(found)
    for rows in found.values():
        card(rows)
    possible(found)
else:
    components.current_run()  # says what to do where nothing is published
