"""What a simulation or a project's rounds say, for people: a table, curves and a page."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.engine.gate import RESAMPLES
from maskmill.engine.time_model import PUBLISHED
from maskmill.gallery import STYLE

COLUMNS = (
    ("round", "round", "{:d}"),
    ("stage", "stage", "{}"),
    ("images", "images", "{:d}"),
    ("masks", "masks", "{:d}"),
    ("pre-filled, kept", "prefilled_kept", "{:d}"),
    ("mended", "prefilled_mended", "{:d}"),
    ("rejected", "prefilled_rejected", "{:d}"),
    ("s a mask", "seconds_per_mask", "{:.1f}"),
    ("s a hand-made mask", "seconds_per_hand_made_mask", "{:.1f}"),
    ("clicks", "clicks_per_mask", "{:.1f}"),
    ("strokes", "strokes_per_mask", "{:.1f}"),
    ("model", "status", "{}"),
)
"""Heading, key and form of each column of the table of rounds."""
CURVES = (
    ("seconds a mask", "seconds_per_mask"),
    ("masks an image", "masks_per_image"),
    ("clicks a hand-made mask", "clicks_per_mask"),
    ("strokes a hand-made mask", "strokes_per_mask"),
)


def rows(rounds: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the table of rounds as text, a list a row, without the headings."""
    return [[form.format(told[key]) for _, key, form in COLUMNS] for told in rounds]


def gate_curve(rounds: Sequence[dict[str, Any]], name: str) -> list[tuple[int, float, float]]:
    """Return (round, old model, new model) of one number on the hold-out, where it was measured."""
    found = []
    for told in rounds:
        for comparison in (told["gate"] or {}).get("comparisons", ()):
            if comparison["name"] == name:
                found.append((told["round"], comparison["incumbent"], comparison["candidate"]))
    return found


def write_report(path: Path, title: str, told: dict[str, Any], *, forecast: int = 1000) -> None:
    """Write a page with the table, the curves and what it all comes to.

    Args:
        path: The file.
        title: Of the page.
        told: From `simulate`.
        forecast: Images for which hours are foretold.
    """
    overall, automatic = told["overall"], told["automatic"]
    facts = [
        f"{overall['masks']:,} masks by people in {overall['hours']:.2f} hours; by polygons they "
        f"would have taken {overall['hours_by_polygons']:.2f}.",
        f"In the last round masks came {overall['faster_from_first_to_last_round']:.2f} times as "
        "fast as in the first.",
        forecast_in_words(foretell(told["rounds"], forecast)),
    ]
    if automatic is not None:
        facts += _of_automatic(automatic)
    body = "".join(f"<p>{html.escape(fact)}</p>" for fact in facts)
    heads = "".join(f"<th>{html.escape(head)}</th>" for head, _, _ in COLUMNS)
    cells = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows(told["rounds"])
    )
    reasons = "".join(
        f"<li>round {t['round']}: {html.escape(t['reason'] or '')}</li>" for t in told["rounds"]
    )
    picture = base64.b64encode(curves(told["rounds"])).decode()
    path.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}"
        "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
        "td,th{padding:.25em .8em;text-align:right;border-bottom:1px solid #8884}"
        "img{max-width:100%;background:#fff}</style></head>\n<body><main>"
        f'<h1>{html.escape(title)}</h1><div class="lead">{body}</div>'
        f'<img alt="Curves by round" src="data:image/png;base64,{picture}">'
        f"<h2>Rounds</h2><table><tr>{heads}</tr>{cells}</table>"
        f"<h2>Beside what others needed</h2>{_beside_published(told['rounds'])}"
        f"<h2>What the gate said</h2><ul>{reasons}</ul></main></body></html>\n",
        "utf-8",
    )


def curves(rounds: Sequence[dict[str, Any]]) -> bytes:
    """Draw the rounds' numbers as a PNG, stage 2 shaded."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    numbers = [told["round"] for told in rounds]
    semi = [told["round"] for told in rounds if told["stage"] == "semi"]
    for axis, (name, key) in zip(axes, CURVES, strict=False):
        axis.plot(numbers, [told[key] for told in rounds], marker="o")
        axis.set_title(name)
        axis.set_ylim(0, 1.1 * max(axis.get_ylim()[1], 1e-9))
    for axis, name in zip(axes[4:], ("IoU after 1 click", "IoU from a box"), strict=True):
        found = gate_curve(rounds, name)
        for label, column in (("old model", 1), ("new model", 2)):
            axis.plot([f[0] for f in found], [f[column] for f in found], marker="o", label=label)
        axis.set_title(f"{name}, hold-out")
        axis.legend()
    for axis in axes:
        axis.set_xticks(numbers)
        axis.set_xlabel("round")
        if semi:
            axis.axvspan(min(semi) - 0.5, max(semi) + 0.5, alpha=0.1)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def foretell(rounds: Sequence[dict[str, Any]], images: int, *, seed: int = 0) -> dict[str, Any]:
    """Foretell people's hours for more images like those of the last stage.

    The interval is a bootstrap over that stage's images, in two steps: which images the stage
    happened to see, and which ones happen to come. So it is wide where few were seen, and also
    where few are foretold.

    Args:
        rounds: From `simulate`.
        images: How many more.
        seed: Decides the resampling.

    Returns:
        `images` and `hours`; `low` and `high`, the 95 % interval of the hours, None where fewer
        than two images' seconds are known: simulations of older versions kept rounds only.
    """
    last = [told for told in rounds if told["stage"] == rounds[-1]["stage"]]
    mean = sum(told["seconds"] for told in last) / max(1, sum(told["images"] for told in last))
    told: dict[str, Any] = {"images": images, "hours": images * mean / 3600}
    each = np.array([s for t in last for s in t.get("image_seconds", ())])
    if len(each) < max(2, sum(t["images"] for t in last)):
        return {**told, "low": None, "high": None}
    rng = np.random.default_rng(seed)
    seen = rng.multinomial(len(each), np.full(len(each), 1 / len(each)), RESAMPLES) / len(each)
    low, high = np.percentile(rng.multinomial(images, seen) @ each / 3600, (2.5, 97.5))
    return {**told, "low": float(low), "high": float(high)}


def forecast_in_words(told: dict[str, Any]) -> str:
    """Say what `foretell` found, in a sentence."""
    said = (
        f"{told['images']:,} more images like the last stage's would take people "
        f"{told['hours']:.1f} hours"
    )
    if told["low"] is None:
        return f"{said}; the seconds of too few single images are known for an interval."
    return f"{said} (95 % interval: {told['low']:.1f} to {told['high']:.1f})."


def _beside_published(rounds: Sequence[dict[str, Any]]) -> str:
    """Set the first and the last round's seconds a mask among published ones, as a table."""
    ours = [
        (f"a mask in {name} round here", told["seconds_per_mask"], "this simulation")
        for name, told in (("the first", rounds[0]), ("the last", rounds[-1]))
    ]
    others = [(each.what, each.seconds, each.source) for each in PUBLISHED]
    rows = "".join(
        f"<tr><td>{html.escape(what)}</td><td>{seconds:.1f}</td><td>{html.escape(source)}</td></tr>"
        for what, seconds, source in ours + others
    )
    return f"<table><tr><th></th><th>seconds</th><th>source</th></tr>{rows}</table>"


def _of_automatic(automatic: dict[str, Any]) -> list[str]:
    if not automatic["masks"]:
        return ["The last model labelled nothing alone."]
    told = "; ".join(
        f"{s['share']:.0%} above IoU {s['above']:.2f} ({s['low']:.0%} to {s['high']:.0%})"
        for s in automatic["audit"]
    )
    return [
        f"Stage 3 made {automatic['masks']:,} masks on {automatic['images']:,} images and found "
        f"{automatic['recall']:.0%} of the objects. Of {automatic['audit'][0]['pairs']} masks that "
        f"were corrected: {told}.",
        *(
            f"Masks of {size}: "
            + "; ".join(
                f"{s['share']:.0%} above IoU {s['above']:.2f} (of {s['pairs']})" for s in each
            )
            + "."
            for size, each in automatic["audit_by_size"].items()
        ),
        *(f"How stage 3 chose masks: {line}." for line in automatic["why"]),
    ]
