"""The pages: files that the web build put beside this one, or one that says how to build them.

They hold nothing of any project, so everybody may have them; what they ask for, not everybody.
"""

from os import PathLike, stat_result
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PAGES = Path(__file__).parent / "web"
"""Where the build puts the pages; empty in a source tree that has not built them."""
ASSETS = "assets/"
"""What is in here has its hash in its name."""
MISSING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>maskmill</title></head><body>
<h1>The pages are not built</h1>
<p>This maskmill runs from a source tree without the built web pages. Build them once:</p>
<pre>cd web &amp;&amp; npm ci &amp;&amp; npm run build</pre>
<p>or install a wheel, which holds them. The interface under <code>/api</code> works.</p>
</body></html>
"""


class Pages(StaticFiles):
    """The built files; those with a hash in their name never change."""

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file, and say how long it may be kept."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        forever = scope["path"].lstrip("/").startswith(ASSETS)
        age = "public, max-age=31536000, immutable" if forever else "no-cache"
        response.headers["cache-control"] = age
        return response


def add_pages(app: FastAPI, folder: Path = PAGES) -> None:
    """Serve the pages at the root, behind all routes that were added before."""
    if (folder / "index.html").is_file():
        app.mount("/", Pages(directory=folder, html=True), name="pages")
    else:
        app.router.routes.append(Route("/", _missing))


def _missing(_: Request) -> HTMLResponse:
    return HTMLResponse(MISSING)
