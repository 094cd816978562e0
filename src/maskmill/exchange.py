"""Datasets into a project and out of it: joins `formats`, which knows no store, and `store`.

Importing is repeatable: whatever stopped it, the same command adds what is missing. What a file
says of how a mask came to be is kept; what it cannot hold is said in the report, never dropped in
silence.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

from maskmill.errors import ConfigError, ImageError, MaskError
from maskmill.formats import LabelledImage, LabelledMask, Refused
from maskmill.formats.archives import is_archive, unpack
from maskmill.formats.coco_writer import write_coco
from maskmill.formats.labelme_writer import write_labelme
from maskmill.formats.parquet import write_parquet
from maskmill.formats.recognise import stream_dataset
from maskmill.formats.sa1b_writer import write_sa1b_folder, write_sa1b_tar, write_webdataset
from maskmill.formats.voc_png_writer import write_voc_png
from maskmill.formats.writing import Written
from maskmill.formats.yolo_writer import write_yolo
from maskmill.images import content_hash
from maskmill.store import Annotation, Image, ImageFilter, Made, NewImage, Project
from maskmill.store.bulk import Added, Labelled, NewMask, add_labelled

MASKS_AT_ONCE = 4000
"""Masks written in one transaction; what an interruption costs at most."""
IMAGES_AT_ONCE = 500
"""Images written or read at once."""
PROVENANCE = "maskmill"
"""Under this attribute our own files carry how a mask came to be."""
KEPT = ("made_by", "author", "stage", "seconds", "clicks", "review")


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


@dataclass(kw_only=True)
class Imported:
    """What an import brought.

    Attributes:
        images: Images that the project did not know.
        masks: Masks that were added.
        repeated: Images that the same import had brought before.
        differing: Of those, paths whose labels are others now; the project's were kept.
        refused: What was left out, and why.
    """

    images: int = 0
    masks: int = 0
    repeated: int = 0
    differing: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Which masks leave a project; what is None does not matter."""

    stage: str | None = None
    source: str | None = None
    review: str | None = None
    category: str | None = None


def import_dataset(
    project: Project,
    source: Path,
    *,
    form: str | None = None,
    images: Path | None = None,
    by: str,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Read a dataset, whatever its form, and add it to a project.

    Args:
        project: Open for writing.
        source: A folder, a dataset's file, or a zip or tar of either, which is unpacked inside the
            project.
        form: The form's name; None finds out.
        images: Where the images lie, if not beside their labels.
        by: As in `import_labelled`.
        progress: As in `import_labelled`.

    Raises:
        NotFound: If there is no such source.
        DatasetError: If its form is unknown, or it is damaged as a whole.
    """
    folder, refused = _unpacked(project, source)
    name = str(folder.absolute())
    # Parquet may hold its photographs inside; each import has a folder of its own for them.
    inside = project.folder / "imports" / hashlib.sha256(name.encode()).hexdigest()[:16]
    items = stream_dataset(folder, form, images, unpack_into=inside)
    report = import_labelled(project, items, name=name, by=by, progress=progress)
    report.refused[:0] = refused
    return report


def _unpacked(project: Project, source: Path) -> tuple[Path, list[Refused]]:
    """Unpack an archive inside the project, once; anything else is left where it is."""
    if not source.is_file() or not is_archive(source):
        return source, []
    folder = project.folder / "imports" / content_hash(source)[:16]
    if folder.exists():
        return folder, []  # renamed only when it was whole
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    unpacked = unpack(source, part)
    part.rename(folder)
    return folder, list(unpacked.refused)


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


def import_labelled(
    project: Project,
    items: Iterable[LabelledImage | Refused],
    *,
    name: str,
    by: str,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Add labelled images to a project, in batches that each are on the disk or not at all.

    Args:
        project: Open for writing.
        items: What a reader of `formats` yields.
        name: Names the import; the same for its repetition after an interruption.
        by: Who imports, and who is said to have made masks of which the file says nothing.
        progress: Called with the number of images after each batch.
    """
    report = Imported()
    operation = f"import/{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    for batch in _batches(_prepared(items, by, report)):
        added = _add(project, operation, batch, by, report)
        report.images += added.images
        report.masks += added.masks
        report.repeated += added.repeated
        report.differing += added.differing
        if progress is not None:
            progress(len(batch))
    return report


def _add(
    project: Project, operation: str, batch: list[Labelled], by: str, report: Imported
) -> Added:
    """Write a batch; if an image in it cannot be written, write the others one by one."""
    try:
        return add_labelled(project, operation, batch, by=by)
    except MaskError as error:
        if len(batch) == 1:
            report.refused.append(Refused(Path(batch[0].image.path), str(error)))
            return Added(images=0, masks=0, repeated=0, differing=())
    parts = [_add(project, operation, [each], by, report) for each in batch]
    return Added(
        images=sum(part.images for part in parts),
        masks=sum(part.masks for part in parts),
        repeated=sum(part.repeated for part in parts),
        differing=tuple(path for part in parts for path in part.differing),
    )


def _batches(items: Iterator[Labelled]) -> Iterator[list[Labelled]]:
    batch: list[Labelled] = []
    masks = 0
    for item in items:
        batch.append(item)
        masks += len(item.masks)
        if masks >= MASKS_AT_ONCE or len(batch) == IMAGES_AT_ONCE:
            yield batch
            batch, masks = [], 0
    if batch:
        yield batch


def _prepared(
    items: Iterable[LabelledImage | Refused], by: str, report: Imported
) -> Iterator[Labelled]:
    """Turn records of files into rows to be; each path once."""
    seen: set[Path] = set()
    for item in items:
        if isinstance(item, Refused):
            report.refused.append(item)
            continue
        path = item.path.absolute()
        if path in seen:
            report.refused.append(Refused(path, "it is labelled twice; the first labels were kept"))
            continue
        seen.add(path)
        try:
            digest = content_hash(path)
        except ImageError as error:
            report.refused.append(Refused(path, str(error)))
            continue
        yield Labelled(
            image=_new_image(item, path, digest),
            masks=tuple(_new_mask(mask, by) for mask in item.annotations),
        )


def _new_image(item: LabelledImage, path: Path, digest: str) -> NewImage:
    return NewImage(
        path=str(path),
        content_hash=digest,
        height=item.size[0],
        width=item.size[1],
        source=item.source,
        external_id=item.image_id,
        split=item.split,
        group_name=item.group,
        licence=item.licence,
        metadata=dict(item.metadata) or None,
    )


def _new_mask(mask: LabelledMask, by: str) -> NewMask:
    attributes = dict(mask.attributes)
    told = attributes.pop(PROVENANCE, None)
    told = told if isinstance(told, Mapping) else {}
    if mask.crop_box is not None:
        attributes["crop_box"] = list(mask.crop_box)
    maker = "person" if mask.predicted_iou is None else "model"
    points = [{"points": [list(p) for p in mask.point_coords], "labels": [1]}]
    seconds, clicks = told.get("seconds"), told.get("clicks")
    made = Made(
        made_by=_one_of(told.get("made_by"), ("person", "model"), maker),
        author=str(told.get("author") or by),
        stage=_one_of(told.get("stage"), ("assisted", "semi", "automatic"), "imported"),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        clicks=clicks if isinstance(clicks, int) else None,
        predicted_iou=mask.predicted_iou,
        stability_score=mask.stability_score,
        prompts=points if mask.point_coords else None,
    )
    return NewMask(
        rle=mask.rle,
        made=made,
        category=mask.category,
        is_crowd=mask.is_crowd,
        review=_one_of(told.get("review"), ("accepted", "rejected"), None),
        attributes=attributes or None,
    )


def _one_of(value: Any, allowed: tuple[str, ...], otherwise: Any) -> Any:
    return value if value in allowed else otherwise


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
    which = ImageFilter(source=chosen.source, has_masks=None if every_image else True)
    after = 0
    while page := project.images.page(which, after=after, limit=IMAGES_AT_ONCE):
        after = page[-1].id
        masks = project.annotations.of_images([image.id for image in page])
        for image in page:
            kept = [a for a in masks.get(image.id, []) if _is_chosen(a, chosen, names)]
            if kept or every_image:
                yield _labelled_image(image, kept, names)


def _refuse_unknown(what: str, name: str | None, known: Iterable[str]) -> None:
    if name is not None and name not in set(known):
        some = ", ".join(islice(sorted(known), 12)) or "none"
        raise ConfigError(f"no {what} {name!r} in this project; there are: {some}")


def _is_chosen(annotation: Annotation, chosen: Chosen, names: Mapping[int, str]) -> bool:
    return (
        chosen.stage in (None, annotation.made.stage)
        and chosen.review in (None, annotation.review)
        and (chosen.category is None or names.get(annotation.category_id or 0) == chosen.category)
    )


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
