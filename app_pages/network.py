"""A network explained layer by layer: a section that a page shows for one model of a run."""

import math

import pandas as pd
import streamlit as st

from app_pages import components, loaders
from src.charts import network
from src.runs import layers, published
from src.runs.layers import Formula, Layer, Stage

PER_PAGE = 30  # layers of a table
AGREES = ":green[:material/check:]"
DIFFERS = ":red[:material/close:]"


@components.section
def explain(run: published.Run, name: str) -> None:
    """What each layer of a model does, with the arithmetic of its sizes; nothing without layers."""
    rows = loaders.model(run.study, run.version, name).config.get("layers")
    if not rows:
        st.caption("This model is not a network, so there are no layers to show.")
        return
    explained = layers.explain(rows)
    stages = layers.stages(explained)
    components.chart(
        network.tensor_sizes(stages),
        key=f"network_{name}",
        data=layer_frame(explained),
        name=f"{run.study}_{run.version}_{name}_layers",
    )
    st.markdown(checked(explained))
    shown = _chosen(stages, name) if len(explained) > 2 * PER_PAGE else explained
    pages = math.ceil(len(shown) / PER_PAGE)
    page = st.pagination(pages, key=f"network_page_{name}") if pages > 1 else 1
    part = shown[(page - 1) * PER_PAGE : page * PER_PAGE]
    st.table(pd.DataFrame([_row(layer) for layer in part]), hide_index=True, alt="Layers")


def _chosen(stages: list[Stage], name: str) -> list[Layer]:
    """The layers of the stage that a person picks."""
    places = list(range(len(stages)))
    place = st.selectbox(
        "Stage",
        places,
        format_func=lambda i: f"{stages[i].name}: {len(stages[i].layers)} layers",
        key=f"network_stage_{name}",
        width=360,
    )
    return list(stages[place].layers)


def checked(explained: list[Layer]) -> str:
    """Whether the formulas give what the network has, in one sentence."""
    formulas = [f for layer in explained for f in (*layer.sizes, layer.count) if f]
    wrong = sum(not formula.agrees for formula in formulas)
    outcome = "all agree" if not wrong else f"{wrong} do not agree"
    return (
        "Beside each real size stands what the formula ⌊(size + padding − kernel) / stride⌋ + 1 "
        f"gives, and beside each real number of parameters its product: of {len(formulas)} "
        f"calculations, {outcome} with the network."
    )


def _row(layer: Layer) -> dict[str, str]:
    return {
        "Layer": f"**{layer.type}** {components.plain(layer.name)}  \n{layer.does}",
        "Output": "  \n".join([layers.size_text(layer.output), *map(_calculation, layer.sizes)]),
        "Parameters": "  \n".join(
            [f"{layer.parameters:,}", *([_calculation(layer.count)] if layer.count else [])]
        ),
    }


def _calculation(formula: Formula) -> str:
    return f"{formula.text} {AGREES if formula.agrees else DIFFERS}"


def layer_frame(explained: list[Layer]) -> pd.DataFrame:
    """The same as plain text, for a download."""
    return pd.DataFrame(
        [
            {
                "layer": layer.name,
                "type": layer.type,
                "does": layer.does,
                "input": layers.size_text(layer.input),
                "output": layers.size_text(layer.output),
                "output_formula": "; ".join(formula.text for formula in layer.sizes),
                "parameters": layer.parameters,
                "parameter_formula": layer.count.text if layer.count else "",
            }
            for layer in explained
        ]
    )
