"""Routes to the pages; the sidebar chooses the study and the version they all read."""

import streamlit as st

from app_pages import components

st.set_page_config(page_title="Product photo study", page_icon=".streamlit/icon.svg", layout="wide")

PAGES = [
    st.Page(
        "app_pages/studies.py",
        title="Studies",
        icon=":material/stacks:",
        url_path="studies",
        help="Every study and version side by side, beside published results.",
    ),
    st.Page(
        "app_pages/project_summary.py",
        title="Project summary",
        icon=":material/storefront:",
        url_path="project_summary",
        default=True,
        help="What was asked for, what the study answers, the data and the model card.",
    ),
    st.Page(
        "app_pages/data_visualizer.py",
        title="Data visualizer",
        icon=":material/grid_view:",
        url_path="data_visualizer",
        help="What is in the images: counts, averages, colours, similar classes, duplicates.",
    ),
    st.Page(
        "app_pages/model_performance.py",
        title="Model performance",
        icon=":material/query_stats:",
        url_path="model_performance",
        help="How accurate each model is, where it errs, and what it costs.",
    ),
    st.Page(
        "app_pages/image_classifier.py",
        title="Image classifier",
        icon=":material/photo_camera:",
        url_path="image_classifier",
        help="Upload photos and see the category, the confidence and the reason.",
    ),
    st.Page(
        "app_pages/hypotheses.py",
        title="Hypotheses and results",
        icon=":material/fact_check:",
        url_path="hypotheses",
        help="What was expected, how it was tested, and what it means.",
    ),
]

page = st.navigation(PAGES)
components.choose_run(page.url_path)
with components.readable():
    page.run()
