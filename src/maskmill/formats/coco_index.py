"""Where everything lies in a COCO file: the first of two passes, some 40 bytes to an annotation.

COCO keeps a photograph's annotations anywhere in its file, before or after the photograph itself.
So the first pass notes which photograph each belongs to and at which byte it stands, and refuses
what belongs nowhere; the second (`coco.py`) decodes one photograph's annotations at a time.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Bool, Int

from maskmill.errors import DatasetError
from maskmill.formats.checks import short, text_or_none
from maskmill.formats.json_runs import Run
from maskmill.formats.json_stream import Broken, Element, Repeated, decode_element, scan
from maskmill.formats.labelled import Refused

_NO_NUMBER = -(2**63)

Place = tuple[int, int]
"""First byte of an element, and the byte after its last."""
Found = tuple[int, int, int]
"""An annotation's place, and how many keys it names, or `SEEN`."""
SEEN = -1


@dataclass
class CocoIndex:
    """What the first pass found."""

    path: Path
    refused: list[Refused] = field(default_factory=list)
    lists: set[str] = field(default_factory=set)
    """The keys at the file's top that hold lists."""
    categories: dict[int | str, str | None] = field(default_factory=dict)
    """Names by id; None for the stand-in of masks without a category."""
    licences: dict[int | str, str] = field(default_factory=dict)
    images: list[Place] = field(default_factory=list)
    keys: dict[int | str, int] = field(default_factory=dict)
    """A running number for every image id that is mentioned."""
    image_of_key: dict[int, int] = field(default_factory=dict)
    """Place in `images` by that running number."""
    owners: "array[int]" = field(default_factory=lambda: array("i"))
    """Running number of each annotation's image."""
    starts: "array[int]" = field(default_factory=lambda: array("q"))
    stops: "array[int]" = field(default_factory=lambda: array("q"))
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    """Each annotation's own id, where it is a number of 64 bits."""
    named: "array[int]" = field(default_factory=lambda: array("i"))
    """How many keys each annotation names, at any depth; `SEEN` where none is named twice."""

    def refuse(self, what: str, reason: str) -> None:
        """Note that something was left out."""
        self.refused.append(Refused(self.path, f"{what}: {reason}"))

    def annotations_of(self) -> Iterator[tuple[Place, list[Found]]]:
        """Yield each image's place and its annotations, both in the file's order."""
        owners, named = np.asarray(self.owners, np.int32), np.asarray(self.named, np.int32)
        starts, stops = np.asarray(self.starts, np.int64), np.asarray(self.stops, np.int64)
        kept = np.flatnonzero(self._images_of(owners) >= 0)
        kept = kept[self._first_of_their_id(kept)]
        images = self._images_of(owners[kept])
        order = np.argsort(images, kind="stable")
        kept, bounds = kept[order], np.searchsorted(images[order], np.arange(len(self.images) + 1))
        for i, image in enumerate(self.images):
            mine = kept[bounds[i] : bounds[i + 1]]
            columns = (starts[mine].tolist(), stops[mine].tolist(), named[mine].tolist())
            yield image, list(zip(*columns, strict=True))

    def left_out(self) -> Iterator[Refused]:
        """Yield the annotations that belong to no image, and those whose id is taken."""
        owners = np.asarray(self.owners, np.int32)
        found = self._images_of(owners) >= 0
        names = list(self.keys)
        for i in np.flatnonzero(~found).tolist():
            reason = f"its image {short(names[owners[i]])} is not there or was refused"
            yield Refused(self.path, f"{self._name(i)}: {reason}")
        kept = np.flatnonzero(found)
        for i in kept[~self._first_of_their_id(kept)].tolist():
            yield Refused(self.path, f"{self._name(i)}: its id is taken by an earlier annotation")

    def _name(self, i: int) -> str:
        number = self.numbers[i]
        return f"annotation {number}" if number != _NO_NUMBER else f"annotation at {self.starts[i]}"

    def _images_of(self, owners: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        by_key = np.full(len(self.keys) + 1, -1, np.int32)
        by_key[list(self.image_of_key)] = list(self.image_of_key.values())
        return np.asarray(by_key[owners])

    def _first_of_their_id(self, kept: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        numbers = np.asarray(self.numbers, np.int64)[kept]
        first = numbers == _NO_NUMBER
        first[np.unique(numbers, return_index=True)[1]] = True
        return np.asarray(first)


def build_index(path: Path) -> CocoIndex:
    """Read a COCO file once.

    Raises:
        DatasetError: If it cannot be read, is damaged beyond single elements or is not COCO.
    """
    index = CocoIndex(path)
    with path.open("rb") if path.is_file() else _missing(path) as file:
        for element in scan(path, runs_of="annotations"):
            key, value, start, _ = element
            if start < 0:
                index.lists.add(key)
            elif type(value) is Run:
                _add_run(index, value, start)
            elif key == "annotations":
                _add_annotation(index, element)
            else:
                _add_other(index, element, file)
    if not {"images", "annotations"} <= index.lists:
        raise DatasetError(
            f'{path} is not COCO: expected lists "images" and "annotations" at its top'
        )
    return index


def _add_run(index: CocoIndex, run: Run, first: int) -> None:
    """Add many annotations; two million pass here."""
    keys = index.keys
    owners = [head.image_id for head in run.heads]
    numbers = [head.id for head in run.heads]
    if set(map(type, owners)) == {int} == set(map(type, numbers)) and _are_keys(numbers):
        index.owners.extend([keys.setdefault(owner, len(keys)) for owner in owners])
        index.numbers.extend(numbers)
        index.starts.frombytes((run.starts + first).astype(np.int64).tobytes())
        index.stops.frombytes((run.stops + first).astype(np.int64).tobytes())
        index.named.frombytes(run.keys.astype(np.int32).tobytes())
        return
    for owner, number, start, stop, named in zip(
        owners, numbers, run.starts.tolist(), run.stops.tolist(), run.keys.tolist(), strict=True
    ):
        _add_one(index, owner, number, (first + start, first + stop, named))


def _are_keys(numbers: list[int]) -> bool:
    return min(numbers) > _NO_NUMBER and max(numbers) < 2**63


def _add_annotation(index: CocoIndex, element: Element) -> None:
    _, value, start, stop = element
    if type(value) is not dict or type(value.get("segmentation")) is Repeated:
        index.refuse(f"annotation at byte {start}", _why_no_object(value))
        return
    _add_one(index, value.get("image_id"), value.get("id"), (start, stop, SEEN))


def _add_one(index: CocoIndex, owner: Any, number: Any, found: Found) -> None:
    if type(owner) is not int and type(owner) is not str:
        reason = f"its image {short(owner)} is not there or was refused"
        index.refuse(f"annotation {short(number)}", reason)
        return
    key = _mended(owner) if type(owner) is str else owner
    if type(number) is not int or not _are_keys([number]):
        number = _NO_NUMBER
    start, stop, named = found
    index.owners.append(index.keys.setdefault(key, len(index.keys)))
    index.numbers.append(number)
    index.starts.append(start)
    index.stops.append(stop)
    index.named.append(named)


def _missing(path: Path) -> BinaryIO:
    raise DatasetError(f"cannot read {path}: it is no file")


def _why_no_object(value: Any) -> str:
    if isinstance(value, Broken):
        return value.reason
    return "it names one key twice" if isinstance(value, dict) else "not an object"


def _mended(text: str) -> str:
    """Undo the reading of UTF-8 as Latin-1; text that was written as escapes is whole already."""
    try:
        return text if text.isascii() else text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _add_other(index: CocoIndex, element: Element, file: BinaryIO) -> None:
    key, value, start, stop = element
    if key == "images":
        _add_image(index, value, (start, stop))
    elif key in ("categories", "licenses"):
        try:
            _add_name(index, key, decode_element(read_place(file, (start, stop))))
        except DatasetError as error:
            index.refuse(f"one of {key}", str(error))


def read_place(file: BinaryIO, place: Place) -> bytes:
    """Read the bytes of one element."""
    file.seek(place[0])
    return file.read(place[1] - place[0])


def _add_image(index: CocoIndex, value: Any, place: Place) -> None:
    if type(value) is not dict:
        index.refuse(f"image at byte {place[0]}", _why_no_object(value))
        return
    key, name = value.get("id"), f"image {short(value.get('file_name'))}"
    if type(key) is not int and type(key) is not str:
        index.refuse(name, "no id that is a whole number or text")
        return
    number = index.keys.setdefault(_mended(key) if type(key) is str else key, len(index.keys))
    if number in index.image_of_key:
        index.refuse(name, "its id is taken by an earlier image")
        return
    index.image_of_key[number] = len(index.images)
    index.images.append(place)


def _add_name(index: CocoIndex, key: str, entry: Any) -> None:
    identity = entry.get("id") if isinstance(entry, dict) else None
    if type(identity) is not int and type(identity) is not str:
        return
    name = text_or_none(entry.get("name"), "name")
    if key == "licenses":
        index.licences[identity] = name or text_or_none(entry.get("url"), "url") or str(identity)
    elif identity in index.categories:
        raise DatasetError(f"the id {short(identity)} of {short(name)} is taken")
    else:
        nothing = entry.get("no_category") is True
        index.categories[identity] = None if nothing else str(identity) if name is None else name
