"""Data visualizer."""

from app_pages import components

run = components.current_run()
components.opening("Data visualizer", run.dataset["title"])
