"""Models tested on the same images, two by two and one against all."""

import streamlit as st

from app_pages import components, loaders
from app_pages.performance_models import record, same_test, titles
from src.charts import models as charts
from src.charts import theme
from src.runs import published

FEW = 5  # models of which every pair is shown


@components.section
def comparison(run: published.Run, split: str) -> None:
    """Two models on the same images, and every pair of this version or one against all."""
    pool, different = _comparable(run, split)
    labels = list(pool)
    if len(labels) > 1:
        left, right = st.columns(2)
        with left:
            first = components.choose("First", "first", labels, noun="model")
        with right:
            second = components.choose("Second", "second", labels, labels[1], noun="model")
        _compare_two(pool, first, second)
    else:
        st.info("There is only one model tested on these images, so nothing to compare yet.")
    if different:
        st.caption(f"Not offered, because tested on other images: {theme.listing(different)}.")
    if len(run.models) > FEW:
        _compare_with(run, split)
    elif len(run.models) > 1:
        _compare_every(run, split)


def _comparable(run: published.Run, split: str) -> tuple[dict[str, loaders.Subject], list[str]]:
    """Models of all versions tested on this run's images, by label; the other versions."""
    pool: dict[str, loaders.Subject] = {}
    different = []
    others = [version for version in loaders.versions(run.study) if version != run.version]
    for version in [run.version, *others]:
        try:
            other = loaders.open_run(run.study, version)
            if same_test(run, other):
                for name in other.models:
                    pool[f"{version} · {name}"] = loaders.Subject(run.study, version, name, split)
            else:
                different.append(version)
        except published.RunError:
            different.append(version)
    return pool, different


def _compare_two(pool: dict[str, loaders.Subject], first: str, second: str) -> None:
    if first == second:
        st.info("Choose two different models.", icon=":material/compare_arrows:")
        return
    try:
        result = loaders.compared(pool[first], pool[second])
    except ValueError as error:
        st.warning(str(error))
        return
    difference = result["difference"]
    components.chart(
        charts.agreement(result, first, second),
        key="agreement",
        sentence=(
            f"Difference {theme.points(difference['value'], 2)} (95\u00a0% interval "
            f"{theme.points(difference['low'], 2)} to {theme.points(difference['high'], 2)}, "
            f"{difference['method']}); score test on the {result['only_first']} and "
            f"{result['only_second']} images that only one of them gets right, "
            f"{theme.p_value(result['p_value'])}. Interval and test are one method."
        ),
    )


def _compare_every(run: published.Run, split: str) -> None:
    st.subheader("Every pair of this version")
    names = titles(run)
    pairs = loaders.all_compared(run.study, run.version, split)
    pairs = pairs.assign(first=pairs["first"].map(names), second=pairs["second"].map(names))
    components.chart(
        charts.differences(pairs),
        key="pairs",
        data=pairs,
        name=f"{run.study}_{run.version}_{split}_pairs",
    )


def _compare_with(run: published.Run, split: str) -> None:
    """One model against each of the others: with many models, every pair would be too many."""
    st.subheader("One model against all others")
    names = titles(run)
    with st.container(width=380):
        reference = components.choose("Model", "against", names, _strongest(run), noun="model")
    against = names[reference]
    pairs = loaders.all_compared(run.study, run.version, split, reference)
    pairs = pairs.assign(first=against, second=pairs["second"].map(names))
    components.chart(
        charts.differences(pairs, against),
        key="against_all",
        data=pairs,
        name=f"{run.study}_{run.version}_{split}_{reference}_against_all",
    )


def _strongest(run: published.Run) -> str:
    """The model with the highest accuracy on validation: chosen without a look at the test."""

    def accuracy(name: str) -> float:
        metrics = record(run, name).metrics["splits"]["validation"]["metrics"]
        return float(metrics["accuracy"]["value"])

    return max(run.models, key=accuracy)
