"""What was wrong with the files of somebody's own folder, found before anything was trained."""

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src.charts import theme
from src.data import audit
from src.runs import published

EVERYTHING = "everything"


@components.section
def files(run: published.Run) -> None:
    """The audit of a study's files: in numbers, then file by file."""
    report = run.json("audit.json")
    found = loaders.table(run.study, run.version, "audit.parquet")
    st.markdown(
        f"**{theme.count(report['used'])} of {theme.count(report['files'])} files "
        f"are images of this study**"
    )
    st.caption(
        "All files of the folder were looked at before anything was trained. What was refused is "
        "in no split; a warning is worth a look."
    )
    for line in report["left_out"]:
        st.markdown(components.plain(f"Class left out: {line}."))
    if found.empty:
        st.markdown("Nothing is wrong with any of them.")
        return
    st.table(overview(report["kinds"]), hide_index=True, alt="What was found, by kind")
    listed(run, found)


def overview(kinds: dict[str, int]) -> pd.DataFrame:
    """What was found, how often, and what became of it; in the order of `audit.KINDS`."""
    rows = [
        (theme.sentence(audit.KINDS[kind][2]), theme.count(n), audit.KINDS[kind][0])
        for kind, n in kinds.items()
    ]
    return pd.DataFrame(rows, columns=["Found", "Number", "Was"])


def listed(run: published.Run, found: pd.DataFrame) -> None:
    """Every file something was found about, or those of one kind."""
    kinds = [EVERYTHING, *found["kind"].unique()]
    kind = st.selectbox("Show", kinds, key="audit_kind", format_func=theme.sentence)
    shown = found if kind == EVERYTHING else found[found["kind"] == kind]
    if run.has("audit_images.parquet"):
        found_images(run, kind)
    st.dataframe(shown, hide_index=True, alt="Files and what was found about them")
    components.download_csv(shown, f"{run.study}_{run.version}_audit", key="audit_csv")


def found_images(run: published.Run, kind: str) -> None:
    """The images that something was found about, as far as the run keeps them."""
    kept = loaders.table(run.study, run.version, "audit_images.parquet")
    rows = kept if kind == EVERYTHING else kept[kept["kind"] == kind]
    shown = [
        components.Picture(
            row.png, f"{row.kind}: {row.path}", f"{row.kind}: {row.path}, {row.detail}"
        )
        for row in theme.rows(rows)
    ]
    components.picture_grid(shown, key="audit_images", side=96, per_page=12)
    if shown:
        st.caption("The first images of each kind, as the model sees them.")
