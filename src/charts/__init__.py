"""Frames in, figures out: Plotly for the pages, Matplotlib (`notebook_plots`) for the notebooks.

In: findings that other packages computed. Out: figures; no files, no Streamlit, no state. A
figure's title is its finding, its subtitle says what is plotted and of how many.
"""
