"""Hypotheses and results."""

from app_pages import components

run = components.current_run()
components.opening("Hypotheses and results", run.dataset["title"])
