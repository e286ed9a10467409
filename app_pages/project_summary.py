"""The business case, the data, the headline figures, the model card, and how to run it again."""

import json
import re
from typing import Any

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src.charts import hypotheses as charts
from src.charts import performance, theme
from src.evaluation import business, outlook, thresholds
from src.runs import ledger, published


def opening(run: published.Run, case: business.Case, sorting: thresholds.Sorting) -> None:
    """The answer to the client's question, and the figures behind it."""
    record = loaders.model(run.study, run.version, run.default_model)
    test = record.metrics["splits"]["test"]
    latency = record.metrics["cost"]["latency_ms"]["float32"]
    basis = f"{theme.sample(test['n'])} test images"
    counts = loaders.evaluation_table(
        loaders.Subject(run.study, run.version, run.default_model, "test"), "confusion"
    )
    shares = {
        name: {key: getattr(estimate, key) for key in ("value", "low", "high")}
        for name, estimate in (("coverage", sorting.coverage), ("precision", sorting.precision))
    }
    aim = f"Share of photos sorted automatically at {theme.percent(sorting.target, 0)} precision."
    figures = [
        components.share_figure("Accuracy", test["metrics"]["accuracy"], basis),
        components.share_figure("Automation rate", shares["coverage"], basis)._replace(help=aim),
        components.share_figure(
            "Correct among these",
            shares["precision"],
            f"{theme.sample(sorting.accepted)} of them",
        ),
        components.time_figure(latency),
    ]
    components.opening(
        case.title, performance.sorting_sentence(record.config["title"], sorting, counts), figures
    )


def how_sure(run: published.Run, sorting: thresholds.Sorting) -> None:
    """Where images are few: what cross-validation says, and how many more would settle it."""
    totals, lines = run.dataset["totals"], []
    if run.has(FOLDS):
        folds = loaders.table(run.study, run.version, FOLDS)
        for name in folds["model"].unique():
            hits, n = cross_validated(folds[folds["model"] == name])
            title = loaders.model(run.study, run.version, name).config["title"]
            said = outlook.accuracy(hits, n, totals["all"])
            lines.append(f"**{components.plain(title)}, cross-validated.** {said}")
    if lines or sorting.threshold is None:
        lines.append(
            outlook.sorting(sorting.target, sorting.threshold, totals["validation"], totals["all"])
        )
    for line in lines:
        st.markdown(line)


FOLDS = "cross_validation.csv"


def cross_validated(folds: pd.DataFrame) -> tuple[float, int]:
    """(mean of right answers over the repeats, images) of one model (repeat, n, accuracy)."""
    repeats = folds["repeat"].nunique()
    hits = (folds["n"] * folds["accuracy"]).sum() / repeats
    return float(hits), round(folds["n"].sum() / repeats)


def business_case(run: published.Run, case: business.Case) -> None:
    """Who asked, what for, and what each page answers."""
    st.header("The client’s question")
    for column, (heading, text) in zip(
        st.columns(3, gap="large"),
        (("Client", case.client), ("Problem", case.problem), ("Goal", case.goal)),
        strict=True,
    ):
        column.markdown(f"**{heading}**")
        column.markdown(text)
    st.subheader("What was asked for, and where it is answered")
    with st.grid(3, min_column_width=260):
        for requirement in case.requirements:
            with st.container(border=True, height="stretch"):
                st.markdown(f"**{requirement.title}**")
                st.markdown(requirement.text)
                st.space("stretch")
                if requirement.page == "project_summary":
                    st.caption("Answered on this page")
                else:
                    components.page_link(run, requirement.page)
    finding = charts.criteria_finding(loaders.judged(run.study, run.version))
    st.markdown(f"**{finding}.** The criteria are on the page of hypotheses and results.")


@components.section
def dataset_card(run: published.Run) -> None:
    """Where the images come from, how many there are, and how they are split."""
    card = run.dataset
    st.header("The images")
    st.markdown(card["description"])
    left, right = st.columns(2, gap="large")
    with left:
        counts = pd.DataFrame(card["counts"]).rename_axis("label").reset_index()
        components.chart(
            performance.class_counts(counts, card["classes"]),
            key="counts",
            data=counts,
            name=f"{run.study}_class_counts",
        )
    with right:
        st.table(dataset_facts(card), border="horizontal", alt="Dataset card")
        with st.expander("Files and hashes"):
            files = pd.DataFrame(card["source"]["files"]).T.rename_axis("file").reset_index()
            st.caption(f"Source: {card['source']['kind']}, {card['source']['detail']}")
            st.dataframe(files, hide_index=True, alt="Files of the data set with their SHA-256")


def dataset_facts(card: dict[str, Any]) -> dict[str, str]:
    """The dataset card as a list of facts."""
    height, width, channels = card["image_shape"]
    totals = card["totals"]
    return {
        "Name": f"[{card['title']}]({card['homepage']})" if card["homepage"] else card["title"],
        "Images": f"{theme.count(totals['all'])}, {height} × {width} pixels, "
        f"{'colour' if channels == 3 else 'grey'}",
        "Split": f"{theme.count(totals['train'])} train, {theme.count(totals['validation'])} "
        f"validation, {theme.count(totals['test'])} test (seed {card['split_seed']})",
        "Small training subset": f"{theme.count(card['subset']['n'])} images, stratified",
        "Categories": theme.listing(card["classes"]),
        "On disk": theme.file_size(card["disk_bytes"]),
        "Licence": card["licence"],
        "Citation": card["citation"],
    }


def model_card(run: published.Run) -> None:
    """The model card as it was published, its headings below those of the page."""
    st.header("The model")
    readings(run)
    with st.expander("Model card", icon=":material/description:"):
        st.markdown(re.sub(r"^(#+) ", r"##\1 ", run.model_card, flags=re.MULTILINE))
        st.download_button(
            "Model card",
            run.model_card,
            f"{run.study}_{run.version}_MODEL_CARD.md",
            "text/markdown",
            key="model_card",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )


def readings(run: published.Run) -> None:
    """How often the test images were read, for which versions and why."""
    number = loaders.reading(run.study, run.version)
    if number is None:
        return
    st.markdown(ledger.sentence(number))
    if number > 1:
        with st.expander("All readings of the test images", icon=":material/menu_book:"):
            st.table(
                pd.DataFrame(
                    [
                        (
                            one.version,
                            one.date.replace("-", "\N{NON-BREAKING HYPHEN}"),
                            one.reason,
                            one.models.replace(" ", ", ") or "none",
                        )
                        for one in ledger.readings(run.study)
                    ],
                    columns=["Version", "Date", "Why", "Models scored for the first time"],
                ),
                hide_index=True,
                alt="Every reading of the test images",
            )


def how_to_rerun(run: published.Run) -> None:
    """How this version was made and how to make the next one."""
    manifest = run.manifest
    st.header("Make it again")
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(
            "One command runs all notebooks of the study and publishes the next version; "
            f"{run.version} stays as it is."
        )
        st.code(f"make notebooks STUDY={run.study} PROFILE={manifest['profile']}", language="bash")
        minutes = sum(manifest["wall_seconds"].values())
        st.markdown(f"It took {theme.duration(minutes)} on the machine described here.")
        st.download_button(
            "Manifest",
            json.dumps(manifest, indent=1),
            f"{run.study}_{run.version}_manifest.json",
            "application/json",
            key="manifest",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )
    with right:
        st.table(provenance(manifest), border="horizontal", alt="How this version was made")


def provenance(manifest: dict[str, Any]) -> dict[str, str]:
    """When, from what code and on what machine a version was made."""
    machine = manifest["environment"]
    steps = sorted(manifest["wall_seconds"].items(), key=lambda step: -step[1])
    inherited = manifest.get("inherited", {})
    return {
        "Published": f"{pd.Timestamp(manifest['created']):%d %B %Y, %H:%M} UTC",
        "Profile": manifest["profile"],
        "Code": str(manifest["code_revision"])[:12],
        "Machine": f"{machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gb']:.0f} GB memory",
        "Python": machine["python"],
        "Longest steps": "; ".join(
            f"{name} {theme.duration(seconds)}" for name, seconds in steps[:3]
        ),
        **({"Taken over": _taken_over(inherited)} if inherited else {}),
    }


def _taken_over(inherited: dict[str, str]) -> str:
    """Networks that an earlier version trained, by that version."""
    versions = sorted(set(inherited.values()))
    return "; ".join(
        f"{', '.join(name for name, of in inherited.items() if of == version)} from {version}"
        for version in versions
    )


run = components.current_run()
case = loaders.case(run.study)
sorting = loaders.sorting(run.study, run.version, run.default_model)
opening(run, case, sorting)
how_sure(run, sorting)
business_case(run, case)
dataset_card(run)
model_card(run)
how_to_rerun(run)
