"""A project's numbers for people: some lines of text, or one page with plots.

The plots are those of "Segment Anything", arXiv 2304.02643, figures 5 and 6: masks per image,
relative mask size, centres, concavity. The page is one file with drawings inside, as the gallery.
"""

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskmill.gallery import STYLE
from maskmill.store.statistics import Statistics

BARS_STYLE = """
.plots { display: grid; gap: 20px; grid-template-columns: repeat(2, 1fr); }
@media (max-width: 800px) { .plots { grid-template-columns: 1fr; } }
.plots section { margin: 0; } svg { display: block; width: 100%; height: auto; }
svg rect { fill: var(--accent); } svg text { fill: var(--quiet); font-size: 11px; }
svg line { stroke: var(--line); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
td { padding: 3px 12px 3px 0; } td + td { text-align: right; }
"""
MOST_ROWS = 20
"""Rows of a table; what is beyond is summed up in one."""


def status_text(name: str, found: Statistics) -> str:
    """Say what a project holds in some lines.

    Args:
        name: What the project is called.
        found: Its numbers.
    """
    per_image = found.masks / found.images_with_masks if found.images_with_masks else 0.0
    lines = [
        f"{name}: {found.images:,} images, {found.images_with_masks:,} of them with masks",
        f"  masks      {found.masks:,}; {per_image:.1f} an image that has some",
    ]
    for title, counts in _tables(found):
        if counts:
            lines.append(f"  {title:<10} " + ", ".join(f"{k}: {n:,}" for k, n in counts[:8]))
            if len(counts) > 8:
                lines[-1] += f" and {len(counts) - 8} more"
    if found.masks:
        lines.append(f"  size       half of the masks are below {_median_size(found):.0%} a side")
    if found.concavity:
        middle = found.concavity[len(found.concavity) // 2]
        lines.append(f"  concavity  {middle:.2f} in the median of {len(found.concavity):,} masks")
    return "\n".join(lines)


def write_status_page(path: Path, name: str, found: Statistics) -> None:
    """Write the page.

    Args:
        path: The HTML file; its folder exists.
        name: What the project is called.
        found: Its numbers.

    Raises:
        OSError: If the file cannot be written.
    """
    plots = [
        ("Masks per image", "images, by number of masks", _bars(*_per_image(found))),
        ("Mask size", "masks, by sqrt(mask area / image area)", _bars(found.sizes, "0", "1")),
        ("Centres", "masks, by centre of box; darker is more", _map(found.centres)),
        (
            "Concavity",
            f"1 - area / hull of {len(found.concavity):,} masks",
            _bars(np.histogram(found.concavity, 40, (0, 1))[0].tolist(), "0", "1"),
        ),
    ]
    drawn = "".join(_section(title, facts, body) for title, facts, body in plots)
    listed = "".join(_section(title, "", _table(rows)) for title, rows in _tables(found) if rows)
    title = html.escape(name)
    lead = (
        f"{found.images:,} images, {found.images_with_masks:,} with masks; {found.masks:,} masks."
    )
    path.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}{BARS_STYLE}</style></head>\n<body><main>"
        f'<h1>{title}</h1><div class="lead"><p>{lead}</p></div>\n'
        f'<div class="plots">{drawn}{listed}</div>\n</main></body></html>\n',
        "utf-8",
    )


def _tables(found: Statistics) -> list[tuple[str, list[tuple[str, int]]]]:
    named = {
        "stages": found.by_stage,
        "reviews": found.by_review,
        "categories": found.by_category,
        "sources": found.by_source,
        "splits": found.by_split,
    }
    return [
        (title, sorted(((k or "none", n) for k, n in counts.items()), key=lambda each: -each[1]))
        for title, counts in named.items()
    ]


def _median_size(found: Statistics) -> float:
    reached = np.cumsum(found.sizes)
    return float((np.searchsorted(reached, reached[-1] / 2) + 1) / len(found.sizes))


def _per_image(found: Statistics) -> tuple[list[int], str, str]:
    """Bin masks per image into at most 50 bars."""
    if not found.masks_per_image:
        return [], "0", "0"
    most = max(found.masks_per_image)
    width = most // 50 + 1
    bars = [0] * (most // width + 1)
    for masks, count in found.masks_per_image.items():
        bars[masks // width] += count
    return bars, "0", f"{most:,}"


def _section(title: str, facts: str, body: str) -> str:
    return (
        f"<section><header><h2>{html.escape(title.capitalize())}</h2><p>{html.escape(facts)}</p>"
        f"</header>{body}</section>"
    )


def _bars(counts: Sequence[int], first: str, last: str) -> str:
    """Draw bars over an axis that goes from `first` to `last`."""
    if not any(counts):
        return "<p>Nothing to draw yet.</p>"
    step, most = 480 / len(counts), max(counts)
    bars = "".join(
        f'<rect x="{i * step + 0.5:.2f}" y="{160 - 150 * n / most:.2f}" '
        f'width="{max(step - 1, 0.5):.2f}" height="{150 * n / most:.2f}">{_hint(n)}</rect>'
        for i, n in enumerate(counts)
        if n
    )
    return (
        f'<svg viewBox="0 0 480 180" role="img">{bars}<line x1="0" y1="160" x2="480" y2="160"/>'
        f'<text x="0" y="175">{first}</text><text x="480" y="175" text-anchor="end">{last}</text>'
        f'<text x="0" y="9">{most:,}</text></svg>'
    )


def _map(counts: Sequence[Sequence[int]]) -> str:
    """Draw how many there are in each cell of the image."""
    most = max((n for row in counts for n in row), default=0)
    if not most:
        return "<p>Nothing to draw yet.</p>"
    side = 480 / len(counts)
    cells = "".join(
        f'<rect x="{x * side:.2f}" y="{y * side / 2:.2f}" width="{side + 0.2:.2f}" '
        f'height="{side / 2 + 0.2:.2f}" opacity="{(n / most) ** 0.5:.3f}">{_hint(n)}</rect>'
        for y, row in enumerate(counts)
        for x, n in enumerate(row)
        if n
    )
    return f'<svg viewBox="0 0 480 240" role="img">{cells}</svg>'


def _hint(count: int) -> str:
    return f"<title>{count:,}</title>"


def _table(rows: Sequence[tuple[str, int]]) -> str:
    shown, rest = list(rows[:MOST_ROWS]), rows[MOST_ROWS:]
    if rest:
        shown.append((f"{len(rest)} more", sum(n for _, n in rest)))
    body = "".join(f"<tr><td>{html.escape(k)}</td><td>{n:,}</td></tr>" for k, n in shown)
    return f"<table>{body}</table>"
