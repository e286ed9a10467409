"""The page that explains the HTTP API: Swagger UI from its package, nothing from another host.

Its usual page starts with an inline script, which our content policy forbids, so that script is a
file of its own. All addresses are relative: the page works wherever the API is mounted.
"""

from importlib import resources

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

ASSETS = resources.files("fastapi_swagger") / "resources"  # those of Swagger UI 5.34.0, unchanged
KEPT = {"cache-control": "public, max-age=86400"}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<noscript>This page needs JavaScript; the same in JSON: <a href="openapi.json">openapi.json</a>
</noscript>
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = """const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""

router = APIRouter(include_in_schema=False)


@router.get("/")
async def root() -> Response:
    """To the reference."""
    return RedirectResponse("docs")


@router.get("/docs")
async def page() -> Response:
    """The reference."""
    return HTMLResponse(PAGE)


@router.get("/docs/start.js")
async def start() -> Response:
    """What fills the page."""
    return Response(START, media_type="text/javascript")


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """A file of Swagger UI."""
    if name not in ("swagger-ui.css", "swagger-ui-bundle.js"):
        raise HTTPException(404)
    return FileResponse(str(ASSETS / name), headers=KEPT)
