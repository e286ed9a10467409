"""Image classifier."""

from app_pages import components

run = components.current_run()
components.opening("Image classifier", run.dataset["title"])
