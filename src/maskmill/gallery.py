"""One HTML page with pictures and captions, in a single file that needs nothing else.

Knows HTML and images, no model. Every picture is inside the page, so it can be mailed or moved.
"""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

STYLE = """
:root { color-scheme: light dark; --page: #f6f5f2; --card: #ffffff; --ink: #1d1c1a;
  --quiet: #6c6962; --line: #e2dfd8; --accent: #0b7a4b; }
@media (prefers-color-scheme: dark) { :root { --page: #141414; --card: #1e1e1d; --ink: #edebe6;
  --quiet: #a09c93; --line: #34322f; --accent: #4fce95; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 48px 24px 80px; }
h1 { font-size: 34px; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 8px; }
h2 { font-size: 20px; margin: 0; letter-spacing: -0.01em; }
p { margin: 0; } .lead { color: var(--quiet); max-width: 72ch; margin-bottom: 40px; }
.lead p + p { margin-top: 8px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 22px; margin-bottom: 28px; }
header { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: baseline;
  margin-bottom: 16px; }
header p { color: var(--quiet); font-size: 14px; font-variant-numeric: tabular-nums; }
.row { display: grid; gap: 16px; grid-template-columns: repeat(4, 1fr); align-items: start; }
@media (max-width: 1000px) { .row { grid-template-columns: repeat(2, 1fr); } }
@media (max-width: 520px) { .row { grid-template-columns: 1fr; } }
figure { margin: 0; } img { display: block; width: 100%; height: auto; border-radius: 8px; }
figcaption { margin-top: 8px; font-size: 13.5px; line-height: 1.45; color: var(--quiet); }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, monospace; color: var(--accent);
  overflow-wrap: anywhere; }
footer { color: var(--quiet); font-size: 14px; }
"""


@dataclass(frozen=True, eq=False, kw_only=True)
class Figure:
    """One picture and what is to be seen in it."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB pixels."""
    caption: str
    """Text below it; a part between backticks is set as code."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Pictures that belong together, side by side where the window is wide enough."""

    title: str
    """Heading."""
    facts: str
    """One line beside the heading."""
    figures: tuple[Figure, ...]
    """At least one."""


def write_gallery(
    path: Path, *, title: str, lead: Sequence[str], sections: Sequence[Section], footer: str = ""
) -> None:
    """Write the page.

    Args:
        path: The HTML file; its folder exists.
        title: Heading and title of the page.
        lead: Paragraphs below the heading; text between backticks is set as code.
        sections: What to show, top to bottom.
        footer: A closing line.

    Raises:
        OSError: If the file cannot be written.
    """
    body = [f"<h1>{html.escape(title)}</h1>", '<div class="lead">']
    body += [f"<p>{_text(paragraph)}</p>" for paragraph in lead] + ["</div>"]
    body += [_section(section) for section in sections]
    if footer:
        body.append(f"<footer>{_text(footer)}</footer>")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )
    path.write_text(page, "utf-8")


def _section(section: Section) -> str:
    figures = "\n".join(_figure(figure) for figure in section.figures)
    return (
        f"<section><header><h2>{html.escape(section.title)}</h2><p>{_text(section.facts)}</p>"
        f'</header>\n<div class="row">\n{figures}\n</div></section>'
    )


def _figure(figure: Figure) -> str:
    height, width = figure.image.shape[:2]
    return (
        f'<figure><img src="{data_uri(figure.image)}" width="{width}" height="{height}" '
        f'loading="lazy" alt="{html.escape(figure.caption.replace("`", ""))}">'
        f"<figcaption>{_text(figure.caption)}</figcaption></figure>"
    )


def data_uri(image: UInt8[np.ndarray, "h w 3"], *, quality: int = 85) -> str:
    """Encode a picture so that it can stand in a page itself.

    Args:
        image: RGB pixels.
        quality: Of the JPEG, 1 to 95.

    Returns:
        A `data:` address.
    """
    buffer = io.BytesIO()
    # Full colour resolution: thin coloured contours smear under the usual subsampling.
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _text(text: str) -> str:
    """Escape text; what stands between backticks becomes code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
