"""Project summary."""

from app_pages import components

run = components.current_run()
components.opening("Project summary", run.dataset["title"])
