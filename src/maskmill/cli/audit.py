"""`maskmill audit`: people correct a sample of a model's masks, which states what all are worth."""

import getpass
from pathlib import Path

from cyclopts import App

from maskmill.cli.options import JsonFlag, counted, print_result
from maskmill.cli.project import ProjectFolder


def audit_app() -> App:
    """Put the verbs of audits together."""
    app = App(name="audit", help="A sample of machine-made masks, corrected by people.")
    app.command(draw)
    app.command(report)
    app.command(found)
    return app


def draw(
    *,
    project: ProjectFolder = Path("."),
    size: int = 200,
    seed: int = 0,
    as_json: JsonFlag = False,
) -> None:
    """Draw machine-made masks that nobody has looked at, evenly over sizes, and write them down.

    Each is then a task: correct this mask as well as you can, or accept or reject it.

    Args:
        size: Masks to draw.
        seed: Decides which; kept with the sample.
    """
    from maskmill.engine.auditing import draw_audit, tasks
    from maskmill.store import Project

    with Project(project) as opened:
        drawn = draw_audit(opened, size=size, seed=seed, by=getpass.getuser())
        images = sorted({task.image_id for task in tasks(opened, drawn)})
    text = (
        f"audit {drawn.number}: {counted(len(drawn.drawn), 'mask')} of {drawn.masks:,} on "
        f"{counted(len(images), 'image')}; correct them with maskmill up, then: "
        "maskmill audit report"
    )
    result = {
        "number": drawn.number,
        "seed": seed,
        "masks": drawn.masks,
        "annotations": [key for key, _ in drawn.drawn],
        "images": images,
    }
    print_result(result, as_json=as_json, text=text)


def report(
    number: int | None = None, /, *, project: ProjectFolder = Path("."), as_json: JsonFlag = False
) -> None:
    """Say which share of the sample's masks agree with what people made of them.

    Args:
        number: Which audit; by default the last one.
    """
    from maskmill.engine.auditing import find_audit
    from maskmill.engine.auditing import report as report_on
    from maskmill.engine.dataset_card import quality_lines
    from maskmill.store import Project

    with Project(project, writes=False) as opened:
        said = report_on(opened, find_audit(opened, number))
    print_result(said.to_json(), as_json=as_json, text="\n".join(quality_lines(said)))


def found(
    image_id: int,
    /,
    *,
    missing: int = 0,
    project: ProjectFolder = Path("."),
    as_json: JsonFlag = False,
) -> None:
    """Answer for an image: are all its objects found?

    Args:
        image_id: The image's row.
        missing: Objects without a mask; 0 if all were found.
    """
    from maskmill.engine.auditing import answer_found
    from maskmill.store import Project

    with Project(project) as opened:
        answer_found(opened, image_id, missing=missing, by=getpass.getuser())
    text = f"image {image_id}: {counted(missing, 'object')} without a mask"
    print_result({"image_id": image_id, "missing": missing}, as_json=as_json, text=text)
