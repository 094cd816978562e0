"""`maskmill audit`: people correct a sample of a model's masks, which states what all are worth."""

import getpass
from collections.abc import Sequence
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
    images: int = 20,
    seed: int = 0,
    as_json: JsonFlag = False,
) -> None:
    """Draw machine-made masks that nobody has looked at, evenly over sizes, and write them down.

    Each is then a task: correct this mask as well as you can, or accept or reject it. With them
    images are drawn at random, those on which nothing was found included: say of each whether all
    its objects are found.

    Args:
        size: Masks to draw.
        images: Images to draw, to be asked what is missing on them.
        seed: Decides which; kept with the sample.
    """
    from maskmill.engine.auditing import draw_audit, tasks
    from maskmill.store import Project

    with Project(project) as opened:
        drawn = draw_audit(opened, size=size, images=images, seed=seed, by=getpass.getuser())
        of_sample = sorted({task.image_id for task in tasks(opened, drawn)})
    text = (
        f"audit {drawn.number}: {counted(len(drawn.drawn), 'mask')} of {drawn.masks:,} on "
        f"{counted(len(of_sample), 'image')}; correct them with maskmill up, then: "
        f"maskmill audit report{_to_ask(drawn.images)}"
    )
    result = {
        "number": drawn.number,
        "seed": seed,
        "masks": drawn.masks,
        "annotations": [key for key, _ in drawn.drawn],
        "images": of_sample,
        "random_images": list(drawn.images),
    }
    print_result(result, as_json=as_json, text=text)


def _to_ask(images: Sequence[int]) -> str:
    """Say which images drawn at random wait for an answer, as a line of its own."""
    if not images:
        return ""
    rows = ", ".join(map(str, images))
    return f"\nare all objects found? maskmill audit found IMAGE --missing N, of images {rows}"


def report(
    number: int | None = None, /, *, project: ProjectFolder = Path("."), as_json: JsonFlag = False
) -> None:
    """Say which share of the sample's masks agree with what people made of them.

    Args:
        number: Which audit; by default the last one.
    """
    from maskmill.engine.auditing import find_audit, waiting_images
    from maskmill.engine.auditing import report as report_on
    from maskmill.engine.dataset_card import quality_lines
    from maskmill.store import Project

    with Project(project, writes=False) as opened:
        audit = find_audit(opened, number)
        said, waiting = report_on(opened, audit), waiting_images(opened, audit)
    text = "\n".join(quality_lines(said)) + _to_ask(waiting)
    print_result({**said.to_json(), "waiting_images": waiting}, as_json=as_json, text=text)


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
