"""How far a model's confidence can be trusted, and the curves behind its answers."""

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src.charts import performance, theme, wording
from src.evaluation import outlook, thresholds
from src.runs import published

PERCENTS = [*map(float, range(100)), 99.5, 99.9]  # steps of the confidence slider

# --- opening -------------------------------------------------------------------------------


def automation_figure(sorting: thresholds.Sorting) -> components.Figure:
    """The automation rate, as a number of a metric row."""
    if sorting.threshold is None:
        why = wording.nothing_sorted(sorting)
        return components.Figure("Automation rate", "none", "", "no category is assured", why)
    return components.Figure(
        "Automation rate",
        theme.percent(sorting.coverage.value),
        theme.interval(sorting.coverage.low, sorting.coverage.high),
        f"{theme.sample(sorting.n)} test",
        f"Test images with at least {theme.confidence(sorting.threshold)} confidence, in a "
        f"category that is not always checked. {wording.promise(sorting)}",
    )


def precision_figure(sorting: thresholds.Sorting) -> components.Figure:
    """The precision of automatic sorting, as a number of a metric row."""
    precision = {key: getattr(sorting.precision, key) for key in ("value", "low", "high")}
    return components.share_figure(
        "Correct among these", precision, f"{theme.sample(sorting.accepted)}"
    )


# --- curves --------------------------------------------------------------------------------


@components.section
def curves(run: published.Run, subject: loaders.Subject) -> None:
    """ROC and precision–recall curves of the chosen classes."""
    names = run.dataset["classes"]
    chosen = st.multiselect(
        "Classes", names, key="only", bind="query-params", placeholder="All classes"
    )
    n = len(loaders.scored(subject).labels)
    left, right = st.columns(2, gap="large")
    for column, measure, draw in (
        (left, "roc", performance.roc),
        (right, "precision_recall", performance.precision_recall),
    ):
        frame = loaders.evaluation_table(subject, measure)
        frame = frame[frame["label"].isin(chosen or names)]
        with column:
            components.chart(
                draw(frame, names, n),
                key=measure,
                data=frame,
                name=f"{'_'.join(subject)}_{measure}",
            )


# --- confidence ----------------------------------------------------------------------------


@components.section
def confidence(run: published.Run, subject: loaders.Subject) -> None:
    """What to sort automatically, how well calibrated confidence is, and where it errs."""
    curve = loaders.evaluation_table(subject, "selective")
    n = len(loaders.scored(subject).labels)
    left, right = st.columns(2, gap="large")
    with left:
        _threshold(subject, curve, n)
    with right:
        found = loaders.reliability_of(subject)
        components.chart(
            performance.reliability(found),
            key="reliability",
            sentence=wording.calibration_error(found, loaders.classwise(subject)),
            data=found.table,
            name=f"{'_'.join(subject)}_calibration",
        )
    _promises(run, loaders.sorting(*subject[:3]), subject)
    st.subheader("The most confident mistakes")
    st.caption("Check these first: they include wrong labels, similar classes and odd crops.")
    components.answers(
        run, loaders.evaluation_table(subject, "mistakes"), key="mistakes", per_page=24
    )


def _threshold(subject: loaders.Subject, curve: pd.DataFrame, n: int) -> None:
    """The slider that decides which images need checking."""
    sorting = loaders.sorting(*subject[:3])
    chosen = st.select_slider(
        "Sort automatically at this confidence or above",
        PERCENTS,
        _next_percent(sorting.threshold),
        format_func="{:g} %".format,
        key="threshold",
        bind="query-params",
    )
    components.chart(
        performance.threshold_trade(curve, chosen / 100, n),
        key="trade",
        sentence=f"{wording.policy(sorting)}. The slider shows all categories together.",
        data=curve,
        name=f"{'_'.join(subject)}_threshold",
    )


PROMISES: dict[str, str] = {
    "label": "Predicted category",
    "threshold": "Sorted from",
    "n": "Test images",
    "accepted": "Sorted automatically",
    "promised": "Promised",
    "kept": "Correct among these",
    "low": "from",
    "high": "to",
    "people": "Why people check it",
}
PROMISE_FORMATS: theme.Formats = {
    "threshold": theme.confidence,
    **dict.fromkeys(("n", "accepted"), theme.count),
    **dict.fromkeys(("promised", "kept", "low", "high"), theme.percent),
}
WHY = {"": "", "few": "too few validation images", "mistakes": "too many mistakes on validation"}


def _promises(run: published.Run, sorting: thresholds.Sorting, subject: loaders.Subject) -> None:
    """What was promised of automatic sorting, and what was kept on test images."""
    totals = run.dataset["totals"]
    st.subheader("Promised and kept")
    st.markdown(components.plain(wording.promise(sorting)))
    table = promises(sorting)
    st.dataframe(
        components.formatted(table, PROMISE_FORMATS),
        column_config=PROMISES,
        hide_index=True,
        placeholder="–",
        alt="Precision of automatic sorting, promised and kept, as a whole and by category",
    )
    st.caption(
        "Promised from validation images, kept on test images; “from” and “to” are the "
        "95\u00a0% interval of the column before."
    )
    for line in outlook.sorting(sorting, totals["validation"], totals["all"]):
        st.caption(components.plain(line))
    components.download_csv(table, f"{'_'.join(subject[:3])}_promises", key="promises_csv")


def promises(sorting: thresholds.Sorting) -> pd.DataFrame:
    """One row for the whole and one per predicted category, with the columns of `PROMISES`."""
    asked = sorting.promise
    rows = [{"label": "all", "people": ""} | _kept(sorting, asked.precision, asked)]
    rows += [
        {"label": each.label, "people": WHY[each.why]} | _kept(each, asked.class_precision, asked)
        for each in sorting.classes
    ]
    floats = dict.fromkeys(("threshold", "promised", "kept", "low", "high"), float)
    return pd.DataFrame(rows, columns=list(PROMISES)).astype(floats)


def _kept(
    found: thresholds.Sorting | thresholds.ClassSorting,
    precision: float,
    asked: thresholds.SortingTarget,
) -> dict[str, object]:
    """Figures of a row; no promise where none was made, no interval where nothing was sorted."""
    kept, some = found.precision, found.accepted > 0
    return {
        "threshold": found.threshold,
        "n": found.n,
        "accepted": found.accepted,
        "promised": precision if asked.assured and found.threshold is not None else None,
        "kept": kept.value,
        "low": kept.low if some else None,
        "high": kept.high if some else None,
    }


def _next_percent(threshold: float | None) -> float:
    """The first step of the slider that is as strict as a threshold; 90 where there is none."""
    wanted = 90.0 if threshold is None else 100 * threshold
    return next((percent for percent in PERCENTS if percent >= wanted), PERCENTS[-1])
