"""A project as a dataset in another form; what the form cannot hold is said, never dropped unsaid.

Which masks leave is asked of the database, a page of images at a time, so a project of millions of
masks leaves in as little memory as a small one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

from maskmill.errors import ConfigError
from maskmill.exchange.provenance import KEPT, PROVENANCE
from maskmill.formats import LabelledImage, LabelledMask
from maskmill.formats.coco_writer import write_coco
from maskmill.formats.labelme_writer import write_labelme
from maskmill.formats.parquet import write_parquet
from maskmill.formats.sa1b_writer import write_sa1b_folder, write_sa1b_tar, write_webdataset
from maskmill.formats.voc_png_writer import write_voc_png
from maskmill.formats.writing import Written
from maskmill.formats.yolo_writer import write_yolo
from maskmill.store import Annotation, Image, ImageFilter, Made, Project

IMAGES_AT_ONCE = 200
"""Images read at once, with their masks."""

WRITERS: dict[str, tuple[Callable[..., Written], str]] = {
    "coco": (write_coco, "annotations.json"),
    "sa1b": (write_sa1b_folder, ""),
    "sa1b_tar": (write_sa1b_tar, "sa1b.tar"),
    "yolo": (write_yolo, ""),
    "labelme": (write_labelme, ""),
    "voc_png": (write_voc_png, ""),
    "parquet": (write_parquet, "masks.parquet"),
    "webdataset": (write_webdataset, ""),
}
"""How each form is written, and the name of its file where it is one."""
ALWAYS_WITH_IMAGES = ("sa1b_tar", "webdataset")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Which masks leave a project; what is None does not matter."""

    stage: str | None = None
    source: str | None = None
    review: str | None = None
    category: str | None = None


def export_dataset(
    project: Project,
    out: Path,
    form: str,
    *,
    chosen: Chosen | None = None,
    copy_images: bool = True,
    image_folder: Path | None = None,
) -> Written:
    """Write a project in one of the forms of `formats`.

    Args:
        project: Open for reading or writing.
        out: Where to write.
        form: The form's name.
        chosen: Which masks; images of which none is chosen go along unless something is chosen.
        copy_images: Whether the images are copied beside the labels.
        image_folder: Where COCO's file names start from if they are not copied; None is the
            folder of its file.

    Returns:
        Counts, and what the form could not hold.

    Raises:
        ConfigError: If the form, a source or a category is unknown.
    """
    if form not in WRITERS:
        raise ConfigError(f"no form {form!r} to write; there are: {', '.join(WRITERS)}")
    every_image = chosen is None or chosen == Chosen(source=chosen.source)
    images = labelled_images(project, chosen, every_image=every_image)
    write, default_name = WRITERS[form]
    if default_name:
        # A form of one file gets a folder all the same, if that is what was named.
        out = out if out.suffix else out / default_name
    elif out.is_file():
        raise ConfigError(f"{out} is a file; {form} writes a folder: name one")
    if form in ALWAYS_WITH_IMAGES:
        return write(out, images)
    if form == "coco" and image_folder is not None:
        return write_coco(out, images, copy_images=copy_images, image_folder=image_folder)
    return write(out, images, copy_images=copy_images)


def labelled_images(
    project: Project, chosen: Chosen | None = None, *, every_image: bool = True
) -> Iterator[LabelledImage]:
    """Read a project as records that `formats` writes, a page at a time.

    Args:
        project: Open for reading or writing.
        chosen: Which masks.
        every_image: Also images of which no mask was chosen.

    Raises:
        ConfigError: If a source or category is not there.
    """
    chosen = chosen or Chosen()
    names = {c.id: c.name for c in project.categories.all()}
    _refuse_unknown("category", chosen.category, names.values())
    _refuse_unknown("source", chosen.source, project.images.sources())
    kinds = {name: key for key, name in names.items()}
    of_masks: dict[str, Any] = {
        "stage": chosen.stage,
        "review": chosen.review,
        "category_id": None if chosen.category is None else kinds[chosen.category],
    }
    which = ImageFilter(source=chosen.source)
    if not every_image:
        which = ImageFilter(source=chosen.source, has_masks=True, **of_masks)
    after = 0
    while page := project.images.page(which, after=after, limit=IMAGES_AT_ONCE):
        after = page[-1].id
        masks = project.annotations.of_images([image.id for image in page], **of_masks)
        for image in page:
            yield _labelled_image(image, masks.get(image.id, []), names)


def _refuse_unknown(what: str, name: str | None, known: Iterable[str]) -> None:
    if name is not None and name not in set(known):
        some = ", ".join(islice(sorted(known), 12)) or "none"
        raise ConfigError(f"no {what} {name!r} in this project; there are: {some}")


def _labelled_image(
    image: Image, masks: list[Annotation], names: Mapping[int, str]
) -> LabelledImage:
    return LabelledImage(
        image_id=image.external_id or str(image.id),
        path=Path(image.path),
        size=image.size,
        source=image.source,
        split=image.split,
        group=image.group_name,
        licence=image.licence,
        metadata=dict(image.metadata or {}),
        annotations=tuple(_labelled_mask(mask, names) for mask in masks),
    )


def _labelled_mask(annotation: Annotation, names: Mapping[int, str]) -> LabelledMask:
    made = annotation.made
    told = {f.name: getattr(made, f.name) for f in fields(Made) if f.name in KEPT}
    told["review"] = annotation.review
    attributes = dict(annotation.attributes or {})
    crop_box = attributes.pop("crop_box", None)
    return LabelledMask(
        rle=annotation.rle,
        category=names.get(annotation.category_id or 0),
        is_crowd=annotation.is_crowd,
        annotation_id=annotation.id,
        predicted_iou=made.predicted_iou,
        stability_score=made.stability_score,
        point_coords=_points(made.prompts),
        crop_box=None if crop_box is None else tuple(crop_box),
        attributes={**attributes, PROVENANCE: {k: v for k, v in told.items() if v is not None}},
    )


def _points(prompts: Any) -> tuple[tuple[float, float], ...]:
    """Return the foreground points of prompts, for forms that hold no more."""
    found: list[tuple[float, float]] = []
    for prompt in prompts if isinstance(prompts, list) else []:
        if isinstance(prompt, Mapping) and isinstance(prompt.get("points"), list):
            labels = prompt.get("labels") or [1] * len(prompt["points"])
            found += [tuple(p) for p, n in zip(prompt["points"], labels, strict=False) if n == 1]
    return tuple(found)
