"""The pages: built ones with the right ages, or one that says how to build them."""

from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from maskmill.server.pages import add_pages


def test_built_pages_are_served_and_hashed_files_kept(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>tool</title>")
    (tmp_path / "assets" / "app-12ab.js").write_text("1")
    app = FastAPI()
    add_pages(app, tmp_path)
    client = TestClient(app)
    index = client.get("/")
    assert "<title>tool</title>" in index.text
    assert index.headers["cache-control"] == "no-cache"
    script = client.get("/assets/app-12ab.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    assert client.get("/other").status_code == 404


def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    app = FastAPI()
    add_pages(app, tmp_path)
    answer = TestClient(app).get("/")
    assert answer.status_code == 200
    assert "npm run build" in answer.text
