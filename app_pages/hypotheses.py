"""What was expected of a study, when that was stated, how it was tested, and what follows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src.charts import hypotheses as charts
from src.charts import theme
from src.evaluation import hypotheses as stated_hypotheses
from src.runs import ledger, published

BADGES = {
    "supported": ":green-badge[:material/check: Supported]",
    "refuted": ":red-badge[:material/close: Refuted]",
    "undecided": ":gray-badge[:material/question_mark: Undecided]",
}


def finding(hypotheses: list[dict[str, Any]], criteria: pd.DataFrame) -> str:
    """The page's answer: verdicts, then criteria, which have targets of their own."""
    verdicts = [hypothesis["verdict"] for hypothesis in hypotheses]
    counted = [
        f"{n} {'is' if n == 1 else 'are'} {verdict}"
        for verdict in BADGES
        if (n := verdicts.count(verdict))
    ]
    met = f"{charts.criteria_finding(criteria)}."
    if not counted:
        return theme.sentence(met)
    return (
        f"Of {len(verdicts)} hypotheses, {theme.listing(counted)}. The client's criteria have "
        f"targets of their own: {met}"
    )


@components.section
def hypothesis_card(run: published.Run, hypothesis: dict[str, Any], titles: dict[str, str]) -> None:
    """One hypothesis: statement, verdict, meaning, the effect drawn, how it was tested."""
    name = hypothesis["id"]
    with st.container(border=True):
        st.subheader(f"{name}. {hypothesis['title']}")
        st.markdown(f"{BADGES[hypothesis['verdict']]} “{hypothesis['statement']}”")
        st.caption(charts.stated(hypothesis))
        st.markdown(f"**What it means.** {hypothesis['meaning']}")
        points = charts.points(hypothesis, titles)
        places = st.columns(1 if points is None else 2, gap="large")
        with places[0]:
            components.chart(charts.effect(hypothesis, titles), key=f"effect_{name}")
        if points is not None:
            with places[1]:
                components.chart(
                    points,
                    key=f"points_{name}",
                    data=pd.DataFrame(hypothesis["points"]),
                    name=f"{run.study}_{run.version}_{name}",
                )
        _method(hypothesis)
        _earlier(run, hypothesis)


def _earlier(run: published.Run, hypothesis: dict[str, Any]) -> None:
    """The verdicts of earlier readings of the same test images, where there are any."""
    rows = loaders.earlier_verdicts(run.study, hypothesis.get("reading", 1))
    rows = rows[rows["hypothesis"] == hypothesis["id"]]
    if rows.empty:
        return
    with st.expander("Verdicts of earlier readings"):
        st.caption(
            "As they were published, at the level of that time. The last column is the level that "
            "was due, had earlier looks been counted."
        )
        st.table(charts.earlier(rows, hypothesis), hide_index=True, alt="Earlier verdicts")


def _method(hypothesis: dict[str, Any]) -> None:
    """How a hypothesis was tested, and what would settle it if it is open."""
    effect, p = hypothesis["effect"], hypothesis["p_value"]
    with st.expander("How it was tested"):
        facts = {
            "Measured": hypothesis["metric"],
            "On": f"the {hypothesis['split']} split, {theme.sample(hypothesis['n'])}",
            "Asked for": f"{hypothesis.get('direction', 'at least')} "
            f"{charts.amount(hypothesis['margin'], effect['unit'])}",
            "Found": f"{charts.amount(effect['value'], effect['unit'])} "
            f"({charts.span(effect['low'], effect['high'], effect['unit'])})",
            "Interval": hypothesis["method"],
            "Test": hypothesis["test"],
            "Chance": None if p is None else theme.p_value(p),
            "Decided at": charts.level(hypothesis),
            "Still needed": hypothesis["needed"],
        }
        st.table({key: value for key, value in facts.items() if value}, border="horizontal")
        details = pd.DataFrame(hypothesis["details"])
        if not details.empty:
            components.download_csv(
                details, f"details_{hypothesis['id']}", key=f"details_{hypothesis['id']}"
            )


def not_judged(run: published.Run) -> None:
    """What is written down for the study but was not judged by this version, and why."""
    judged = {hypothesis["id"] for hypothesis in run.hypotheses}
    left = [h for h in loaders.stated_hypotheses(run.study) if h.id not in judged]
    if left:
        st.markdown("**Written down, but not judged by this version**")
        lines = [f"- {h.id}. {h.title}: about {_models(h.models)}." for h in left]
        st.markdown("\n".join(lines))
        st.caption(
            "A version judges what was written down when it was made, about the models it trained."
        )


def _models(names: Sequence[str]) -> str:
    return theme.listing([f"`{name}`" for name in names])


def how_to_state(run: published.Run) -> None:
    """What can be tested, and what to write down for it before the next version is made."""
    st.markdown(
        "Nothing was written down for this study before it was made. An expectation that is stated "
        f"beforehand, in `{loaders.file_of(run.study)}`, is judged by the next version. "
        "These questions can be put:"
    )
    questions = [
        {"Kind": f"`{name}`", "Question": kind.question, "Unit": kind.unit}
        for name, kind in stated_hypotheses.KINDS.items()
    ]
    st.table(pd.DataFrame(questions), hide_index=True, alt="What can be tested")
    st.markdown("For example:")
    st.code(
        EXAMPLE.format(model=run.default_model, today=datetime.now(UTC).date()), language="toml"
    )


EXAMPLE = """[hypotheses.H1]
title = "Good enough to start with"
statement = "The accuracy on the test photos is at least {{margin}}."
stated = {today}
kind = "accuracy"
models = ["{model}"]
metric = "accuracy"
test = "score test against the margin, with Wilson's interval"
split = "test"
margin = 0.80
direction = "at least"

[hypotheses.H1.meaning]
supported = "Accuracy {{value}} ({{low}} to {{high}}): at least {{margin}}."
refuted = "Accuracy {{value}} ({{low}} to {{high}}): less than {{margin}}."
undecided = "Accuracy {{value}} ({{low}} to {{high}}): too close to {{margin}} to tell. {{needed}}"
"""


@components.section
def criteria_part(run: published.Run, criteria: pd.DataFrame) -> None:
    """Success and failure criteria of the business case against the default model."""
    st.header("Success and failure criteria")
    st.caption(
        f"Judged for {run.default_model} on the test split. "
        "A criterion is open where its target lies inside the interval."
    )
    st.table(criteria_table(criteria), hide_index=True, alt="Criteria against results")
    components.chart(
        charts.criteria(criteria),
        key="criteria",
        data=criteria,
        name=f"{run.study}_{run.version}_criteria",
    )


def criteria_table(criteria: pd.DataFrame) -> pd.DataFrame:
    """The criteria in words: one row each, with result, interval and verdict."""
    rows = [
        {
            "": row.id,
            "Criterion": row.criterion,
            "Result": charts.amount(row.result, row.unit),
            "95\u00a0% interval": charts.span(row.low, row.high, row.unit),
            "Verdict": _outcome(row.kind, row.met),
        }
        for row in theme.rows(criteria)
    ]
    return pd.DataFrame(rows)


def _outcome(kind: str, met: bool | None) -> str:
    """A badge: a met failure criterion is bad news, a met success criterion good news."""
    if met is None:
        return ":gray-badge[:material/question_mark: Open]"
    if kind == "success":
        return (
            ":green-badge[:material/check: Met]" if met else ":red-badge[:material/close: Not met]"
        )
    return (
        ":red-badge[:material/close: Applies]"
        if met
        else ":green-badge[:material/check: Does not apply]"
    )


def limits(run: published.Run, hypotheses: list[dict[str, Any]], criteria: pd.DataFrame) -> None:
    """What the numbers do not say, and what to do next; computed where the run knows."""
    st.header("Limits and next steps")
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**What these results do not say**")
        st.markdown("\n".join(f"- {line}" for line in known_limits(run)))
    with right:
        st.markdown("**What to do next**")
        st.markdown("\n".join(f"- {line}" for line in next_steps(run, hypotheses, criteria)))


def known_limits(run: published.Run) -> list[str]:
    """Limits of the data and of the measurement."""
    height, width, _ = run.dataset["image_shape"]
    totals = run.dataset["totals"]
    lines = [
        (
            f"Images of {height} × {width} pixels from one collection; those that come next may "
            "differ in size, light, background and framing."
        ),
        (
            f"One test split of {theme.count(totals['test'])} images. The intervals cover "
            "chance in choosing these images, not a change of the kind of images. "
            + ledger.sentence(loaders.reading(run.study, run.version))
        ),
        (
            f"{len(run.dataset['classes'])} categories. An image of anything else still gets one "
            "of them: the model cannot say “none”."
        ),
    ]
    return lines + [f"{limit.text} ({limit.source})" for limit in loaders.limits(run.study)]


def next_steps(
    run: published.Run, hypotheses: list[dict[str, Any]], criteria: pd.DataFrame
) -> list[str]:
    """What follows from open and failed points, and always the test on the shop's photos."""
    lines = [
        f"{item['id']} is open. {item['needed'] or item['refusal']}"
        for item in hypotheses
        if item["verdict"] == "undecided"
    ]
    lines += [
        f"{row.id} ({row.criterion[0].lower()}{row.criterion[1:]}) "
        f"{'is open' if row.good is None else 'is missed'}: "
        f"{charts.amount(row.result, row.unit)} so far."
        for row in theme.rows(criteria)
        if row.good is not True
    ]
    sorting = loaders.sorting(run.study, run.version, run.default_model)
    to_check = theme.percent(1 - sorting.coverage.value)
    return [
        *lines,
        (
            f"Label the {to_check} of images that need checking, "
            "and train the next version with them."
        ),
        "Repeat the test on a few hundred of the client's own photos before going live.",
    ]


run = components.current_run()
criteria = loaders.judged(run.study, run.version)
judged = loaders.hypotheses_of(run.study, run.version)
titles = {name: loaders.model(run.study, run.version, name).config["title"] for name in run.models}
components.opening("Hypotheses and results", finding(judged, criteria))
for hypothesis in judged:
    hypothesis_card(run, hypothesis, titles)
not_judged(run)
if not judged and not loaders.stated_hypotheses(run.study):
    how_to_state(run)
criteria_part(run, criteria)
limits(run, judged, criteria)
