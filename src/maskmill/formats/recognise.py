"""Which form a dataset has: looked up in its files, never guessed from its name alone.

`FORMS` is the one list of forms that are read: how each is told by looking, and its reader.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from maskmill.errors import DatasetError, NotFound
from maskmill.formats.archives import is_archive, unpack
from maskmill.formats.checks import short
from maskmill.formats.coco import stream_coco
from maskmill.formats.cvat import stream_cvat
from maskmill.formats.datumaro import stream_datumaro
from maskmill.formats.files import find_json, keep_source
from maskmill.formats.json_stream import scan
from maskmill.formats.labelled import Dataset, LabelledImage, Refused
from maskmill.formats.labelme import stream_labelme
from maskmill.formats.parquet import stream_parquet
from maskmill.formats.sa1b import stream_sa1b
from maskmill.formats.unlabelled import stream_folder
from maskmill.formats.voc_png import CLASS_FOLDER, OBJECT_FOLDER, stream_voc_png
from maskmill.formats.yolo import find_yaml, stream_yolo
from maskmill.images import list_images

LOOKS = 20
"""JSON files that are opened to find out the form of a folder; a dataset may hold a few others."""
_GLANCE = 200  # elements of a JSON that are looked at

Stream = Iterator[LabelledImage | Refused]


@dataclass(frozen=True)
class Form:
    """One form of dataset."""

    signs: str
    """What it is told by, in words."""
    looks_like: Callable[[Path], Path | None]
    """Returns where in a path it begins (the path or a folder below it); None if it is not it."""
    stream: Callable[[Path, Path | None], Stream]
    """Reads it, photographs from the folder that is named."""


def stream_dataset(
    path: Path,
    form: str | None = None,
    images: Path | None = None,
    *,
    unpack_into: Path | None = None,
) -> Stream:
    """Read labelled images, whatever their form.

    Args:
        path: The folder, the file or the archive (zip or tar).
        form: One of `FORMS`; None finds out by looking.
        images: The folder that holds the photographs; None looks where the form keeps them.
        unpack_into: An empty folder, or one that is not there yet, for what is inside an archive
            or a Parquet file.

    Yields:
        Images and what was refused, as they are read.

    Raises:
        NotFound: If there is no such file or folder.
        DatasetError: If no form is recognised, the message says what was looked for; if there is
            nowhere to unpack; if not a single image could be read; and what the form's reader
            raises.
    """
    if form is not None and form not in FORMS:
        raise DatasetError(f"{short(form)} is no form; known are {', '.join(FORMS)}")
    if not path.exists():
        raise NotFound(f"{path} does not exist; name the folder, the file or the archive")
    seen, first = 0, ""
    if path.is_file() and is_archive(path):
        if unpack_into is None:
            raise DatasetError(f"{path} is an archive; name an empty folder to unpack it into")
        unpacked = unpack(path, unpack_into / "archive")
        yield from unpacked.refused
        path = unpack_into / "archive"
    name, place = (form, path) if form else recognise(path)
    place = (FORMS[name].looks_like(place) or place) if form else place
    stream = FORMS[name].stream
    if name == "parquet":
        items = stream_parquet(place, images, unpack_into=unpack_into)
    else:
        items = stream(place, images)
    for item in items:
        seen += isinstance(item, LabelledImage)
        first = first or (item.reason if isinstance(item, Refused) else "")
        yield item
    if not seen:
        raise DatasetError(
            f"{path} holds no image that could be read" + (f"; the first: {first}" if first else "")
        )


def recognise(path: Path) -> tuple[str, Path]:
    """Find out the form of a file or folder.

    Returns:
        Its name in `FORMS`, and where it begins.

    Raises:
        DatasetError: If none fits; the message lists what was looked for.
    """
    for name, form in FORMS.items():
        found = form.looks_like(path)
        if found is not None:
            return name, found
    if path.is_file() and path.suffix == ".json":
        for _ in scan(path):  # if it is no JSON, that is what is to be said of it
            pass
    looked = "; ".join(f"{name} ({form.signs})" for name, form in FORMS.items())
    held = f" ({len(find_json(path))} JSON files, none in a known form)" if path.is_dir() else ""
    raise DatasetError(f"{path} holds no dataset{held}. Looked for: {looked}")


def read_dataset(
    path: Path, *, split: str | None = None, sources: Collection[str] | None = None
) -> Dataset:
    """Read labelled images, whatever their form: `stream_dataset` as a whole.

    Args:
        path: The folder or the file.
        split: Keep only this split; None keeps all.
        sources: Keep only sources (folders that hold labels) of these names; None keeps all.

    Returns:
        At least one image, sorted by path, and what was refused.

    Raises:
        NotFound: If there is no such file or folder.
        DatasetError: If the form is not known, two COCO files label one photograph, or nothing is
            left to read; the message says what is there.
    """
    if not path.exists():
        raise NotFound(f"{path} does not exist; name a folder or a file of labelled images")
    name, place = recognise(path)
    images: dict[Path, LabelledImage] = {}
    refused: list[Refused] = []
    stream = FORMS[name].stream
    if name == "sa1b":
        items: Stream = stream_sa1b(place, split=split, sources=sources)
    else:
        items = stream(place, None)
    for item in items:
        if isinstance(item, Refused):
            refused.append(item)
        elif (split is None or item.split == split) and keep_source(item.source, sources):
            images[item.path] = item
    if not images:
        every = stream_sa1b(place) if name == "sa1b" else stream(place, None)
        there = [item for item in every if isinstance(item, LabelledImage)]
        raise DatasetError(_nothing_left(path, split, sources, refused, there))
    return Dataset(tuple(images[path] for path in sorted(images)), tuple(refused))


def _stream_coco(path: Path, images: Path | None) -> Stream:
    """Read one COCO file, or all of a folder, which must not label one photograph twice."""
    if path.is_file():
        yield from stream_coco(path, images)
        return
    owners: dict[Path, Path] = {}
    for file in find_json(path):
        try:
            for item in stream_coco(file, images):
                if isinstance(item, LabelledImage) and owners.setdefault(item.path, file) != file:
                    raise _TwoFilesError(
                        f"two COCO files in {path} label {item.path.name}, the second is "
                        f"{file.name}; name the one to read"
                    )
                yield item
        except _TwoFilesError:
            raise
        except DatasetError as error:
            yield Refused(file, str(error))


class _TwoFilesError(DatasetError):
    """Labels of one photograph in two files: no file's fault alone."""


def _below(path: Path, has: Callable[[Path], bool]) -> Path | None:
    """Find the folder that has something: this one, or one up to two levels down."""
    if not path.is_dir():
        return None
    folders = [path]
    for _ in range(3):
        for folder in folders:
            if has(folder):
                return folder
        folders = [
            below
            for folder in folders
            for below in sorted(folder.iterdir())
            if below.is_dir() and not below.name.startswith(".")
        ][:1000]
    return None


def _voc_png(path: Path) -> Path | None:
    return _below(
        path, lambda folder: any((folder / n).is_dir() for n in (CLASS_FOLDER, OBJECT_FOLDER))
    )


def _yolo(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix in (".yaml", ".yml") else None
    return _below(path, lambda folder: bool(find_yaml(folder)) or _has_yolo_labels(folder))


def _has_yolo_labels(folder: Path) -> bool:
    labels = folder / "labels"
    return labels.is_dir() and (folder / "images").is_dir() and any(labels.rglob("*.txt"))


def _cvat(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix == ".xml" and _is_cvat(path) else None
    found = _below(path, lambda folder: _is_cvat(folder / "annotations.xml"))
    return found and found / "annotations.xml"


def _is_cvat(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"<annotations" in file.read(4096)
    except OSError:
        return False


def _parquet(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix == ".parquet" else None
    return _below(path, lambda folder: any(folder.glob("*.parquet")))


def _folder(path: Path) -> Path | None:
    # A folder with labels that nobody understood is not taken for one without.
    return path if path.is_dir() and not find_json(path) and list_images(path) else None


def _by_json(form: str) -> Callable[[Path], Path | None]:
    def looks_like(path: Path) -> Path | None:
        if path.is_file():
            return path if path.suffix == ".json" and _form_of(path) == form else None
        for file in find_json(path)[:LOOKS]:
            found = _form_of(file)
            if found is not None:
                return path if found == form else None
        return None

    return looks_like


def _form_of(path: Path) -> str | None:
    """Tell a JSON's form by the keys at its top and by the first elements of its lists."""
    keys: set[str] = set()
    try:
        for key, value, start, _ in islice(scan(path), _GLANCE):
            keys.add(key)
            said: set[Any] = set(value) if isinstance(value, dict) else set()
            if key == "image" and start >= 0 and isinstance(value, dict):
                return "sa1b"
            if key == "annotations" and start >= 0 and said:
                return "coco" if "image_id" in said else "sa1b"
            if key == "items" or key == "shapes":
                return "datumaro" if key == "items" else "labelme"
            if {"images", "annotations"} <= keys:
                return "coco"
    except DatasetError:
        return None  # reported when the folder is read
    # The images of a large file alone are more than a glance.
    return "coco" if "images" in keys else None


FORMS: dict[str, Form] = {
    "voc_png": Form(f"folders {CLASS_FOLDER} or {OBJECT_FOLDER}", _voc_png, stream_voc_png),
    "yolo": Form("data.yaml, or folders images and labels", _yolo, stream_yolo),
    "cvat": Form("annotations.xml of CVAT for images", _cvat, stream_cvat),
    "parquet": Form("*.parquet written by maskmill", _parquet, stream_parquet),
    "coco": Form('a JSON with lists "images" and "annotations"', _by_json("coco"), _stream_coco),
    "sa1b": Form("one <id>.json beside each <id>.jpg", _by_json("sa1b"), stream_sa1b),
    "labelme": Form('JSON with "shapes" and "imagePath"', _by_json("labelme"), stream_labelme),
    "datumaro": Form('a JSON with a list "items"', _by_json("datumaro"), stream_datumaro),
    "folder": Form("photographs and no JSON", _folder, stream_folder),
}
"""Every form that is read, in the order in which they are looked for."""


def _nothing_left(
    path: Path,
    split: str | None,
    sources: Collection[str] | None,
    refused: list[Refused],
    there: list[LabelledImage],
) -> str:
    wanted = [] if split is None else [f"split {split}"]
    wanted += [] if sources is None else [f"sources {', '.join(sorted(sources))}"]
    why = f" with {' and '.join(wanted)}" if wanted else ""
    first = f"; {len(refused)} refused, the first: {refused[0].reason}" if refused else ""
    splits = sorted({image.split for image in there if image.split})
    if split is not None and split not in splits:
        why += f"; its splits: {', '.join(splits) or 'none is named, leave --split out'}"
    found = sorted({image.source for image in there})
    if sources is not None and not set(sources) & set(found):
        why += f"; its sources: {', '.join(found)}"
    return f"{path} holds no labelled image{why}{first}"
