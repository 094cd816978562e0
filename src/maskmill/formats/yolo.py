"""YOLO segmentation: `images/` and `labels/` side by side, one text file per photograph.

A line is a class number and one outline, `0 x0 y0 x1 y1 ...`, as shares of width and height. The
file knows no size, so the photograph's header is asked; its frame is the upright one, as the tools
that train on this form turn photographs before they look. A line of four numbers is a box, which
is no mask, and is refused as such. `data.yaml` names the classes and where each split lies; without
it the classes are called by their numbers. `yolo_writer` writes it.

Source: docs.ultralytics.com/datasets/segment, "Ultralytics YOLO format".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.checks import short, text_or_none
from maskmill.formats.files import path_inside, read_text
from maskmill.formats.labelled import Dataset, LabelledImage, LabelledMask, Refused, collected
from maskmill.formats.photograph import require_header
from maskmill.formats.polygons import parse_polygons, rasterise
from maskmill.images import list_images

SPLITS = ("train", "val", "test")
YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""What the file that names the classes is called; a folder is looked through in this order."""
MAX_YAML_BYTES = 1 << 20
MAX_LABEL_BYTES = 1 << 26
_SLACK = 0.01
"""How far beyond the photograph a corner may lie, as a share: tools round."""


@dataclass(frozen=True)
class _Layout:
    """What `data.yaml` says, or what the folders say without it."""

    root: Path
    names: dict[int, str]
    photographs: tuple[tuple[Path, str | None], ...]
    """Each with its split."""
    missing: tuple[str, ...] = ()
    """What is said of splits that are named and not there."""


def read_yolo(path: Path, images: Path | None = None) -> Dataset:
    """Read a dataset in YOLO's form; `stream_yolo` as a whole, the images sorted by path."""
    return collected(stream_yolo(path, images))


def stream_yolo(path: Path, images: Path | None = None) -> Iterator[LabelledImage | Refused]:
    """Read a dataset in YOLO's form image by image.

    Args:
        path: `data.yaml`, or the folder that holds it or `images` and `labels`.
        images: Take these photographs, and labels from `labels` beside them, whatever the splits
            of `data.yaml`.

    Yields:
        The images, those without a label file as images without a mask, and what was refused:
        boxes, lines that are no outlines, photographs whose size cannot be read.

    Raises:
        DatasetError: If `data.yaml` is damaged or leads out of its folder, or there are no
            photographs.
    """
    layout = _layout(path, images)
    if not layout.photographs:
        why = "; ".join(layout.missing) or "expected images/ and labels/"
        raise DatasetError(f"{path} names no folder with photographs; {why}")
    for reason in layout.missing:
        yield Refused(path, reason)
    for photograph, split in layout.photographs:
        refused: list[Refused] = []
        try:
            image = _image(photograph, split, layout, refused)
        except DatasetError as error:
            yield Refused(photograph, str(error))
            continue
        yield from refused
        yield image


def find_yaml(folder: Path) -> Path | None:
    """Find the file that names the classes."""
    return next((folder / name for name in YAML_NAMES if (folder / name).is_file()), None)


def labels_of(photograph: Path) -> Path:
    """Return where a photograph's labels lie: the last `images` of its path becomes `labels`."""
    parts = list(photograph.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _layout(path: Path, images: Path | None) -> _Layout:
    yaml = path if path.is_file() else find_yaml(path)
    root = path if path.is_dir() else path.parent
    said = _read_yaml(yaml) if yaml else {}
    names = _names(said.get("names", {}))
    if images is not None:
        return _Layout(images, names, tuple((one, None) for one in list_images(images)))
    photographs: list[tuple[Path, str | None]] = []
    base, missing = _base(root, said.get("path")), []
    for split in SPLITS:
        places = said.get(split)
        for place in places if isinstance(places, list) else [places] if places else []:
            try:
                photographs += [(one, split) for one in _photographs(base, place)]
            except DatasetError as error:  # exporters name a test split that they did not write
                missing.append(f"{split}: {error}")
    if not yaml:
        photographs = [(one, _split_of(one, root)) for one in list_images(root)]
    # Where two splits name one folder, as is done to train without validation, the first counts.
    splits: dict[Path, str | None] = {}
    for one, split_of_one in photographs:
        splits.setdefault(one, split_of_one)
    return _Layout(root, names, tuple(splits.items()), tuple(missing))


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        said = yaml.safe_load(read_text(path, MAX_YAML_BYTES))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not YAML: {short(str(error))}") from error
    if not isinstance(said, dict):
        raise DatasetError(f"{path} holds no keys; expected names, train and val")
    return said


def _names(said: Any) -> dict[int, str]:
    if not isinstance(said, list | dict):
        raise DatasetError(f"names is {short(said)}; it must be a list of names or {{0: name}}")
    pairs = enumerate(said) if isinstance(said, list) else said.items()
    # Aliases make lists of lists that are endless when written out, so nothing else is printed.
    if not all(type(i) is int and isinstance(name, str | int | float) for i, name in pairs):
        raise DatasetError("names holds something that is no name of a class by number")
    pairs = enumerate(said) if isinstance(said, list) else said.items()
    return {i: text_or_none(str(name), "name") or "" for i, name in pairs}


def _base(root: Path, said: Any) -> Path:
    # `path` is often the folder on the machine where the dataset was made.
    try:
        base = path_inside(root, said if isinstance(said, str) else "")
    except DatasetError:
        return root
    return base if base.is_dir() else root


def _photographs(base: Path, place: Any) -> list[Path]:
    # One widespread exporter writes `../train/images` and means `train/images`.
    if not isinstance(place, str):
        raise DatasetError("train, val or test names something that is no folder")
    found = path_inside(base, place.removeprefix("../"))
    if found.is_dir():
        return list_images(found)
    if found.suffix == ".txt" and found.is_file():
        lines = read_text(found, MAX_LABEL_BYTES).splitlines()
        return [
            path_inside(base, line.strip().removeprefix("./")) for line in lines if line.strip()
        ]
    raise DatasetError(f"{short(place)} is named in data.yaml, but is not in {base}")


def _split_of(photograph: Path, root: Path) -> str | None:
    parts = photograph.relative_to(root).parts[:-1]
    words = {"train": "train", "val": "val", "valid": "val", "test": "test"}
    return next((words[part] for part in parts if part in words), None)


def _image(
    photograph: Path, split: str | None, layout: _Layout, refused: list[Refused]
) -> LabelledImage:
    size = require_header(photograph).size
    labels, masks = labels_of(photograph), []
    if labels.is_file():
        lines = read_text(labels, MAX_LABEL_BYTES).splitlines()
        for i, line in enumerate(lines, 1):
            try:
                masks += [_mask(line.split(), size, layout.names)] if line.strip() else []
            except DatasetError as error:
                refused.append(Refused(labels, f"line {i}: {error}"))
    inside = photograph.is_relative_to(layout.root)
    return LabelledImage(
        image_id=(photograph.relative_to(layout.root) if inside else photograph).as_posix(),
        path=photograph,
        size=size,
        source=layout.root.absolute().name,
        split=split,
        annotations=tuple(masks),
    )


def _mask(words: list[str], size: tuple[int, int], names: dict[int, str]) -> LabelledMask:
    if len(words) == 5:
        raise DatasetError("a box, not an outline; masks can be made from it with prompts")
    try:
        number, shares = int(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        raise DatasetError(f"not a class and numbers: {short(str(error))}") from error
    if number < 0 or (names and number not in names):
        raise DatasetError(f"class {number} is not among the {len(names)} of data.yaml")
    if not all(-_SLACK <= share <= 1 + _SLACK for share in shares):
        raise DatasetError("a corner is no share of width and height, 0 to 1")
    scaled = np.array(shares) * np.resize(size[::-1], len(shares))
    mask = rasterise(parse_polygons([scaled.tolist()]), size)
    if not mask.any():
        raise DatasetError("an empty mask: its outline holds no pixel's centre")
    return LabelledMask(rle=rle.encode(mask), category=names.get(number, str(number)))
