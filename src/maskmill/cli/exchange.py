"""`maskmill import` and `maskmill export`: datasets into a project and out of it."""

import getpass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from maskmill.cli.options import JsonFlag, print_result, progress_bar, warn, warn_refused
from maskmill.cli.project import ProjectFolder
from maskmill.errors import DatasetError

SHOWN = 20
"""Things left out that are printed one by one; `--json` has all."""

FormatName = Annotated[
    str | None, Parameter(name="--format", help="The form, by name; see docs/data-formats.md.")
]


def import_(
    source: Path,
    /,
    *,
    project: ProjectFolder = Path("."),
    images: Path | None = None,
    form: FormatName = None,
    by: str | None = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring images into a project, with their masks where they have some.

    The images stay where they are. Interrupted or run again, it adds what is missing and leaves
    alone what somebody has changed since.

    Args:
        source: A folder, a dataset's file, or a zip or tar of either.
        images: Where the images lie, if not beside their labels.
        by: Who is said to have made the masks of which the file does not say it; by default you.
    """
    from maskmill.exchange import import_dataset
    from maskmill.store import Project

    with Project(project) as opened, progress_bar("images", None) as advance:
        report = import_dataset(
            opened, source, form=form, images=images, by=by or getpass.getuser(), progress=advance
        )
    warn_refused(report.refused)
    for path in report.differing[:SHOWN]:
        warn(f"kept as it is in the project, though its labels are others now: {path}")
    if not (report.images or report.repeated):
        raise DatasetError(f"{source} brought no image; {len(report.refused)} things were left out")
    text = f"{report.images} images and {report.masks} masks came in"
    if report.repeated:
        text += f"; {report.repeated} images were there before"
    if report.refused:
        text += f"; {len(report.refused)} left out"
    result = {
        "images": report.images,
        "masks": report.masks,
        "repeated": report.repeated,
        "differing": report.differing,
        "refused": [{"path": r.path, "reason": r.reason} for r in report.refused],
    }
    print_result(result, as_json=as_json, text=text)


def export(
    out: Path,
    /,
    *,
    form: Annotated[str, Parameter(name="--format")],
    project: ProjectFolder = Path("."),
    stage: str | None = None,
    source: str | None = None,
    review: str | None = None,
    category: str | None = None,
    copy_images: Annotated[bool, Parameter(negative="--no-copy-images")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Write a project's masks in another form.

    What the form cannot hold is counted and said. A card goes with them: what the dataset holds,
    and its quality as the last audit states it.

    Args:
        out: A new or empty folder, or the file where the form is one file.
        form: The form, by name: see docs/data-formats.md.
        stage: Only masks of this stage: assisted, semi, automatic or imported.
        source: Only images of this source.
        review: Only masks with this verdict: accepted or rejected.
        category: Only masks of this category.
        copy_images: Copy the images beside the labels where the form allows it.
    """
    from maskmill.engine.dataset_card import write_dataset_card
    from maskmill.exchange import Chosen, export_dataset
    from maskmill.store import Project

    chosen = Chosen(stage=stage, source=source, review=review, category=category)
    with Project(project, writes=False) as opened:
        written = export_dataset(opened, out, form, chosen=chosen, copy_images=copy_images)
        card = write_dataset_card(opened, out)
    for line in written.notes[:SHOWN]:
        warn(line)
    text = f"{written.images} images with {written.masks} masks in {out}"
    result = {
        "out": out,
        "images": written.images,
        "masks": written.masks,
        "notes": list(written.notes),
        "card": card,
    }
    print_result(result, as_json=as_json, text=text)
