"""The card that goes with an exported dataset: what is in it, who made it, and how good it is.

Its quality is what the last audit says, in the paper's words; a dataset that nobody audited says
so.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from maskmill.engine.audit import Share
from maskmill.engine.auditing import AuditReport, audits, report
from maskmill.store import ImageFilter, Project
from maskmill.store.statistics import statistics

CARD_FILE = "DATASET_CARD.md"


def write_dataset_card(project: Project, out: Path) -> Path:
    """Write a project's card beside what was exported.

    Args:
        project: Open for reading or writing.
        out: The folder, or the file beside which it goes.

    Returns:
        The card's path.
    """
    folder = out if out.is_dir() else out.parent
    path = folder / CARD_FILE
    path.write_text(card_text(project), "utf-8")
    return path


def card_text(project: Project) -> str:
    """Put a project's card into words."""
    found = statistics(project.database, project.id)
    counts = Counter(
        {
            stage: project.images.count(ImageFilter(stage=stage))
            for stage in ("imported", "assisted", "semi", "automatic")
        }
    )
    lines = [
        f"# {project.name}",
        "",
        f"{found.images:,} images, {found.masks:,} masks. Images with masks by how they began: "
        + ", ".join(f"{stage} {n:,}" for stage, n in counts.items() if n)
        + ".",
        "",
        "## Models",
        "",
        *(_models(project) or ["No model was trained on this dataset."]),
        "",
        "## Quality",
        "",
    ]
    known = audits(project)
    if not known:
        lines.append("Nobody has audited the machine-made masks of this dataset.")
    else:
        lines += quality_lines(report(project, known[-1]))
    return "\n".join(lines) + "\n"


def quality_lines(found: AuditReport) -> list[str]:
    """Say what an audit found, a line each, in Markdown."""
    if not found.done:
        return [
            f"Audit {found.number}: {found.drawn} masks were drawn, none is corrected yet.",
            "",
            _missing_line(found),
        ]
    return [
        f"Audit {found.number}: of {found.masks:,} machine-made masks, {found.drawn} were drawn at "
        f"random, evenly over sizes (seed {found.seed}), and {found.done} corrected by people as "
        "well as they could. IoU of the machine's mask with the corrected one:",
        "",
        "| masks | pairs | above 0.90 | above 0.75 |",
        "| --- | --- | --- | --- |",
        _row("all", found.shares),
        *(_row(size, each) for size, each in found.by_size.items()),
        "",
        _missing_line(found),
    ]


def _missing_line(found: AuditReport) -> str:
    """Say what is missing, and of which images that is known."""
    if not found.images_asked:
        return "Nobody was asked whether objects are missing."
    share, low, high = found.images_complete
    of_these = f"{found.images_asked} image{'' if found.images_asked == 1 else 's'}"
    if found.at_random:
        of_these += " drawn at random"
    text = f"On {share:.0%} of {of_these} ({low:.0%} to {high:.0%}) people found no object without "
    text += "a mask."
    if found.recall is not None:
        text += f" {_recall_words(found, of_these)}"
    waiting = found.images_drawn - found.images_asked
    if found.at_random and waiting:
        text += f" {waiting} more that were drawn wait for an answer."
    return text


def _recall_words(found: AuditReport, of_these: str) -> str:
    if not found.at_random:
        return (
            f"Recall {found.recall:.2f}, of images that carry sampled masks: too high, where "
            "others are empty."
        )
    within = ""
    if found.recall_interval is not None:
        low, high = found.recall_interval
        within = f" ({low:.2f} to {high:.2f})"
    return f"Recall {found.recall:.2f}{within}, of {of_these}."


def _row(name: str, found: Any) -> str:
    cells = [_cell(share) for share in found]
    return f"| {name} | {found[0].pairs} | {' | '.join(cells)} |"


def _cell(share: Share) -> str:
    return f"{share.share:.0%} ({share.low:.0%} to {share.high:.0%})"


def _models(project: Project) -> list[str]:
    rounds = project.models.rounds()
    return [
        f"- round {r.number}, {r.stage}: {r.status}; {r.reason or ''}".rstrip("; ")
        for r in rounds
        if r.ended_at is not None
    ]
