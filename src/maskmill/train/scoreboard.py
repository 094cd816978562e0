"""An evaluation as people read it: a table for the terminal and a picture of curves."""

from pathlib import Path

from rich.table import Table

from maskmill.train.scores import Evaluation, Scores
from maskmill.train.sessions import CLICKS, GOALS

NOT_MEASURED = "–"


def scoreboard(evaluation: Evaluation) -> Table:
    """Lay out an evaluation: a row per source, then the mean over sources and the one over images.

    Returns:
        A table for `rich.print`; what was not measured is a dash.
    """
    table = Table(title="mean IoU by prompt, clicks to an IoU, and everything mode")
    table.add_column("source")
    headings = ["images", "masks", *(f"{k} clicks" if k > 1 else "1 click" for k in CLICKS)]
    headings += ["best of 3", "box", *(f"to {goal:.2f}" for goal in GOALS), "rank"]
    headings += [f"AR@{budget}" for budget in evaluation.overall.average_recall]
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, scores in evaluation.sources.items():
        table.add_row(name, *_cells(scores))
    table.add_section()
    table.add_row("over sources", *_cells(evaluation.over_sources))
    table.add_row("over images", *_cells(evaluation.overall), style="bold")
    table.caption = _caption(evaluation)
    return table


def _cells(scores: Scores) -> list[str]:
    return [
        str(scores.images),
        str(scores.masks),
        *(_share(iou) for iou in scores.iou_at_click.values()),
        _share(scores.best_of_three),
        _share(scores.iou_from_box),
        *(f"{clicks:.1f}" for clicks in scores.clicks_to.values()),
        _share(scores.iou_rank_correlation),
        *(_share(recall) for recall in scores.average_recall.values()),
    ]


def _share(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.3f}"


def _caption(evaluation: Evaluation) -> str:
    everything = evaluation.overall.average_recall_images
    notes = [f"AR measured on {everything} of {evaluation.overall.images} images"]
    if evaluation.refused:
        first = evaluation.refused[0]
        notes.append(f"{len(evaluation.refused)} images refused, the first: {first.reason}")
    return "; ".join(notes)


def draw_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Draw IoU against clicks, a thin line per source and a thick one over all images.

    Args:
        evaluation: What to draw.
        path: Where the picture goes; its suffix names the format.

    Raises:
        OSError: If the folder cannot be written to.
    """
    # A bare Figure draws without a display; pyplot would look for one.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, scores in evaluation.sources.items():
        axes.plot(CLICKS, list(scores.iou_at_click.values()), linewidth=0.8, alpha=0.6, label=name)
    overall = evaluation.overall
    ious = list(overall.iou_at_click.values())
    axes.plot(CLICKS, ious, "k", linewidth=2.5, marker="o", label="all images")
    axes.axhline(overall.iou_from_box, color="k", linestyle="--", linewidth=1, label="from a box")
    axes.set(xlabel="clicks", ylabel="mean IoU", ylim=(0, 1), xticks=CLICKS)
    axes.grid(alpha=0.3)
    # Beside the axes: with twenty sources no corner inside stays free.
    figure.legend(loc="outside right upper", fontsize="small")
    staged = path.with_name(f"{path.stem}.part{path.suffix}")
    figure.savefig(staged, dpi=120)
    staged.replace(path)
