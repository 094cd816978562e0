import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from maskmill.gallery import Figure, Section, data_uri, write_gallery


def page(tmp_path: Path, caption: str = "A `mask`.") -> str:
    picture = np.full((30, 50, 3), (200, 40, 90), np.uint8)
    path = tmp_path / "index.html"
    write_gallery(
        path,
        title="Cats & dogs",
        lead=["Made by `maskmill`."],
        sections=[
            Section(title="One", facts="50 x 30", figures=(Figure(image=picture, caption=caption),))
        ],
        footer="The end.",
    )
    return path.read_text("utf-8")


class Tags(HTMLParser):
    """Checks that every tag is closed, and keeps what the page refers to."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_well_formed_and_needs_nothing_from_outside(tmp_path: Path) -> None:
    text = page(tmp_path)
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in tags.sources)
    assert not re.search(r"https?://|@import|url\(", text)


def test_page_follows_the_readers_colour_scheme(tmp_path: Path) -> None:
    assert "prefers-color-scheme: dark" in page(tmp_path)


def test_text_is_escaped_and_backticks_are_code(tmp_path: Path) -> None:
    text = page(tmp_path, caption='<script>"x" `a<b`')
    assert "<script>" not in text
    assert "<code>a&lt;b</code>" in text
    assert "<title>Cats &amp; dogs</title>" in text


def test_picture_survives_in_the_page() -> None:
    picture = np.full((30, 50, 3), (200, 40, 90), np.uint8)
    head, _, tail = data_uri(picture).partition(",")
    assert head == "data:image/jpeg;base64"
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(tail))))
    assert read.shape == (30, 50, 3)
    assert np.abs(read.astype(int) - picture).max() <= 3
