"""Charts: pure functions from a frame to a Plotly figure. No files, no Streamlit, no state.

A figure's title is its finding and its subtitle says what is plotted and of how many; the page
that shows it writes both as text (they wrap on a phone) and uses them as alternative text.
"""
