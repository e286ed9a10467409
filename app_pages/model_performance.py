"""Model performance."""

from app_pages import components

run = components.current_run()
components.opening("Model performance", run.dataset["title"])
