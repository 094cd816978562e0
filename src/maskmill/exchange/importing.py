"""A dataset into a project, whatever its form: read ahead in another process, written in this one.

Importing is repeatable: whatever stopped it, the same command adds what is missing. What a file
says of how a mask came to be is kept; what cannot come in is said in the report, with the reason.

Three processes work at once, for each has about as much to do: one reads and checks the file and
lays out rows, one hashes photographs, and this one writes.
"""

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from maskmill.ahead import run_ahead
from maskmill.errors import ImageError, MaskError
from maskmill.exchange.provenance import IMPORTS, PROVENANCE
from maskmill.formats import LabelledImage, LabelledMask, Refused
from maskmill.formats.archives import is_archive, unpack
from maskmill.formats.recognise import stream_dataset
from maskmill.images import content_hash
from maskmill.perceptual import perceptual_hash
from maskmill.store import Made, NewImage, Project
from maskmill.store.bulk import Labelled, NewMask, Prepared, add_prepared, prepare

MASKS_AT_ONCE = 4000
"""Masks written in one transaction; what an interruption costs at most."""
IMAGES_AT_ONCE = 500
"""Images written at once."""
LARGE_FILE = 8 << 20
"""Bytes of a file above which another process reads it; starting one takes half a second."""
MANY_FILES = 2000
"""Files in a folder for which the same holds."""
LARGEST_HASHED = 64 << 20
"""Bytes of a photograph whose perceptual hash is made; its content is hashed whatever its size."""


@dataclass(frozen=True)
class Batch:
    """Images that are written together, and what was left out on the way to them.

    Attributes:
        images: What is known of each; None where it was left out after its labels were laid out.
        labels: Each one's labels as a pickle, for the process that hashes need not look at them.
        refused: What was left out, and why.
    """

    images: list[NewImage | None]
    labels: bytes
    refused: list[Refused]

    @classmethod
    def of(cls, ready: list[Prepared], refused: list[Refused]) -> "Batch":
        """Put images and labels side by side."""
        labels = [(each.categories, each.rows, each.digest) for each in ready]
        sealed = pickle.dumps(labels, pickle.HIGHEST_PROTOCOL)
        return cls([each.image for each in ready], sealed, refused)

    def ready(self) -> list[Prepared]:
        """Put them together again."""
        pairs = zip(self.images, pickle.loads(self.labels), strict=True)
        return [Prepared(image, *labels) for image, labels in pairs if image is not None]


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
    _sweep(project)
    folder, refused = _unpacked(project, source)
    name = str(folder.absolute())
    # Parquet may hold its photographs inside; each import has a folder of its own for them.
    inside = project.folder / "imports" / hashlib.sha256(name.encode()).hexdigest()[:16]
    read = partial(_read, folder, form, images, inside, by)
    batches = run_ahead(partial(_hashed_ahead, read)) if _is_large(folder) else _hashed(read())
    report = _write(project, batches, name=name, by=by, progress=progress)
    report.refused[:0] = refused
    return report


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
    return _write(project, _hashed(_batches(items, by)), name=name, by=by, progress=progress)


def _sweep(project: Project) -> None:
    """Remove copies that earlier imports made in the project and that no image of it is in.

    They are left by what was interrupted before its first batch, and are made again when needed.
    """
    for folder in (project.folder / "imports").glob("*"):
        if not project.images.any_below(str(folder.absolute())):
            shutil.rmtree(folder, ignore_errors=True)


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


def _is_large(source: Path) -> bool:
    """Tell whether reading takes long enough for a process of its own."""
    files = islice(source.rglob("*"), MANY_FILES) if source.is_dir() else iter([source])
    for count, path in enumerate(files, 1):
        if count == MANY_FILES or (path.is_file() and path.stat().st_size > LARGE_FILE):
            return True
    return False


def _read(
    folder: Path, form: str | None, images: Path | None, inside: Path, by: str
) -> Iterator[Batch]:
    """Read in another process, or in this one."""
    return _batches(stream_dataset(folder, form, images, unpack_into=inside), by)


def _batches(items: Iterable[LabelledImage | Refused], by: str) -> Iterator[Batch]:
    """Gather images into batches; each path once."""
    images: list[Labelled] = []
    refused: list[Refused] = []
    masks, seen = 0, set[Path]()
    for item in items:
        if isinstance(item, Refused):
            refused.append(item)
            continue
        path = item.path.absolute()
        if path in seen:
            reason = "it is labelled twice; the first labels were kept"
            refused.append(Refused(path, reason))
            continue
        seen.add(path)
        new = tuple(_new_mask(mask, by) for mask in item.annotations)
        images.append(Labelled(image=_new_image(item, path), masks=new))
        masks += len(new)
        if masks >= MASKS_AT_ONCE or len(images) == IMAGES_AT_ONCE:
            yield _prepared(images, refused)
            images, refused, masks = [], [], 0
    if images or refused:
        yield _prepared(images, refused)


def _prepared(images: list[Labelled], refused: list[Refused]) -> Batch:
    """Lay images out as rows; if one cannot be, leave out that one."""
    try:
        return Batch.of(prepare(images), refused)
    except MaskError:
        ready: list[Prepared] = []
        for each in images:
            try:
                ready += prepare([each])
            except MaskError as error:
                refused = [*refused, Refused(Path(each.image.path), str(error))]
        return Batch.of(ready, refused)


def _write(
    project: Project,
    batches: Iterator[Batch],
    *,
    name: str,
    by: str,
    progress: Callable[[int], None] | None,
) -> Imported:
    report = Imported()
    operation = f"{IMPORTS}{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    for batch in batches:
        report.refused += batch.refused
        added = add_prepared(project, operation, batch.ready(), by=by)
        report.images += added.images
        report.masks += added.masks
        report.repeated += added.repeated
        report.differing += added.differing
        if progress is not None:
            progress(len(batch.images))
    return report


def _hashed_ahead(read: Callable[[], Iterator[Batch]]) -> Iterator[Batch]:
    """Hash in the process that this runs in what a further one reads.

    Not in a thread beside the one that writes: each row that SQLite takes hands Python's lock over,
    and gets it back only when the other thread lets go.
    """
    return _hashed(run_ahead(read))


def _hashed(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Hash the photographs."""
    return map(_with_hashes, batches)


def _with_hashes(batch: Batch) -> Batch:
    images: list[NewImage | None] = []
    refused = list(batch.refused)
    for each in batch.images:
        known = None
        if each is not None:
            try:
                known = _with_file(each)
            except ImageError as error:
                refused.append(Refused(Path(each.path), str(error)))
        images.append(known)
    return replace(batch, images=images, refused=refused)


def _with_file(image: NewImage) -> NewImage:
    content, perceptual = _hashes(Path(image.path))
    return replace(image, content_hash=content, perceptual_hash=perceptual)


def _hashes(path: Path) -> tuple[str, int | None]:
    """Return the content hash and the perceptual hash, of one reading where the file is small."""
    try:
        with path.open("rb", buffering=0) as file:
            small = os.fstat(file.fileno()).st_size <= LARGEST_HASHED
            content = file.readall() if small else b""
    except OSError:
        small = False  # `content_hash` says why
    if not small:
        return content_hash(path), None
    return hashlib.sha256(content).hexdigest(), perceptual_hash(content)


def _new_image(item: LabelledImage, path: Path) -> NewImage:
    return NewImage(
        path=str(path),
        content_hash="",  # follows when the file is read
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
    if not (mask.attributes or mask.crop_box or mask.point_coords):  # as most: two million a file
        scores = (mask.predicted_iou, mask.stability_score)
        return NewMask(
            rle=mask.rle,
            made=_plainly_made(by, mask.predicted_iou is None),
            scores=scores,
            category=mask.category,
            is_crowd=mask.is_crowd,
            shape=mask.shape,
        )
    attributes = dict(mask.attributes)
    told = attributes.pop(PROVENANCE, None)
    told = told if isinstance(told, Mapping) else {}
    if mask.crop_box is not None:
        attributes["crop_box"] = list(mask.crop_box)
    maker = "person" if mask.predicted_iou is None else "model"
    points = [{"points": [list(p) for p in mask.point_coords], "labels": [1]}]
    seconds = told.get("seconds")
    made = Made(
        made_by=_one_of(told.get("made_by"), ("person", "model"), maker),
        author=str(told.get("author") or by),
        stage=_one_of(told.get("stage"), ("assisted", "semi", "automatic"), "imported"),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        clicks=_count(told.get("clicks")),
        edits=_count(told.get("edits")),
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
        shape=mask.shape,
    )


@lru_cache(100)
def _plainly_made(by: str, is_person: bool) -> Made:
    return Made(made_by="person" if is_person else "model", author=by, stage="imported")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _one_of(value: Any, allowed: tuple[str, ...], otherwise: Any) -> Any:
    return value if value in allowed else otherwise
