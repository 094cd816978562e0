"""Which form a dataset has: looked up in its JSON, never guessed from a name."""

from collections.abc import Collection
from pathlib import Path

from maskmill.errors import DatasetError, NotFound
from maskmill.formats.coco import is_coco, read_coco
from maskmill.formats.files import find_json, keep_source, load_json
from maskmill.formats.labelled import Dataset, LabelledImage, Refused
from maskmill.formats.sa1b import read_sa1b

LOOKS = 20
"""JSON files that are opened to find out the form of a folder; a dataset may hold a few others."""


def read_dataset(
    path: Path, *, split: str | None = None, sources: Collection[str] | None = None
) -> Dataset:
    """Read labelled images, whatever their form: an SA-1B folder, a COCO file or a folder of such.

    Args:
        path: The folder, or a COCO JSON.
        split: Keep only this split; None keeps all.
        sources: Keep only sources (folders that hold labels) of these names; None keeps all.

    Returns:
        At least one image, and what was refused.

    Raises:
        NotFound: If there is no such file or folder.
        DatasetError: If the form is not known, two COCO files label one photograph, or nothing is
            left to read; the message says what is there.
    """
    if not path.exists():
        raise NotFound(f"{path} does not exist; name a folder in SA-1B form or a COCO JSON")
    if path.is_file():
        dataset = _select(read_coco(path), split, sources)
    elif _is_sa1b(path):
        dataset = read_sa1b(path, split=split, sources=sources)
    else:
        dataset = _select(_read_coco_folder(path), split, sources)
    if not dataset.images:
        raise DatasetError(_nothing_left(path, split, sources, dataset.refused))
    return dataset


def _is_sa1b(folder: Path) -> bool:
    files = find_json(folder)
    for path in files[:LOOKS]:
        try:
            record = load_json(path)
        except DatasetError:
            continue  # reported when the folder is read
        if isinstance(record, dict) and isinstance(record.get("image"), dict):
            return True
        if is_coco(record):
            return False
    raise DatasetError(
        f"{folder} holds no dataset ({len(files)} JSON files, none in a known form); expected "
        "SA-1B (one <id>.json beside each <id>.jpg) or a COCO JSON"
    )


def _read_coco_folder(folder: Path) -> Dataset:
    images: dict[Path, LabelledImage] = {}
    refused: list[Refused] = []
    for path in find_json(folder):
        try:
            dataset = read_coco(path)
        except DatasetError as error:
            refused.append(Refused(path, str(error)))
            continue
        refused += dataset.refused
        for image in dataset.images:
            if image.path in images:
                raise DatasetError(
                    f"two COCO files in {folder} label {image.path.name}, the second is "
                    f"{path.name}; name the one to read"
                )
            images[image.path] = image
    return Dataset(tuple(images[path] for path in sorted(images)), tuple(refused))


def _select(dataset: Dataset, split: str | None, sources: Collection[str] | None) -> Dataset:
    kept = [
        image
        for image in dataset.images
        if (split is None or image.split == split) and keep_source(image.source, sources)
    ]
    return Dataset(tuple(kept), dataset.refused)


def _nothing_left(
    path: Path,
    split: str | None,
    sources: Collection[str] | None,
    refused: tuple[Refused, ...],
) -> str:
    wanted = [] if split is None else [f"split {split}"]
    wanted += [] if sources is None else [f"sources {', '.join(sorted(sources))}"]
    why = f" with {' and '.join(wanted)}" if wanted else ""
    first = f"; {len(refused)} refused, the first: {refused[0].reason}" if refused else ""
    return f"{path} holds no labelled image{why}{first}"
