"""A page as its own address opens it."""

from streamlit.testing.v1 import AppTest

from src import config


def visit(page: str = "project_summary", **query: str) -> AppTest:
    """The page as a link with these query parameters opens it; it fails where a script does."""
    app = AppTest.from_file(str(config.ROOT / "app.py"), default_timeout=60)
    app.query_params.update(query)
    app.switch_page(f"app_pages/{page}.py").run()
    assert [element.message for element in app.exception] == []
    return app
