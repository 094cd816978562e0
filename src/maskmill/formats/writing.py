"""What all writers share: whole files or none, photographs under names that never collide, notes.

A writer takes images one at a time and keeps none of them, so a dataset of any size passes through.
What its form cannot hold it counts and says what it did instead; nothing is dropped unsaid.
"""

import json
import os
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from maskmill.errors import DatasetError
from maskmill.formats.labelled import LabelledImage, LabelledMask
from maskmill.formats.photograph import read_header


@dataclass(frozen=True)
class Written:
    """What a writer wrote."""

    images: int
    """Images, those without a mask included."""
    masks: int
    """Masks that can be read back."""
    notes: tuple[str, ...] = ()
    """What the form could not hold and what was done instead, each with a count."""


@dataclass
class Tally:
    """Counts while a writer works."""

    images: int = 0
    masks: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, what: str, amount: int = 1, unit: str = "mask") -> None:
        """Count something that the form could not hold; `what` ends in what was done instead."""
        if amount:
            self.counts[what, unit] += amount

    def note_missing(self, image: LabelledImage, held: frozenset[str]) -> None:
        """Count what is there and not among the fields that the form holds."""
        for name in ("split", "group", "licence", "metadata"):
            if name not in held and getattr(image, name):
                self.note(f"{name} left out", unit="image")
        for mask in image.annotations:
            for name in MASK_FIELDS:
                if name not in held and getattr(mask, name) not in _NOTHING:
                    self.note(f"{name} left out")

    def written(self) -> Written:
        """Return what was counted, as sentences."""
        notes = [
            f"{what}: {amount} {unit}{'s' * (amount != 1)}"
            for (what, unit), amount in sorted(self.counts.items())
        ]
        return Written(self.images, self.masks, tuple(notes))


MASK_FIELDS = (
    "category",
    "is_crowd",
    "annotation_id",
    "predicted_iou",
    "stability_score",
    "point_coords",
    "crop_box",
    "attributes",
)
"""What a mask may carry besides its pixels."""
_NOTHING: tuple[Any, ...] = (None, False, (), {})


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Write a file that appears whole, under its name, when the block ends without an error.

    Args:
        path: Where it will be; its folder is made.
        sync: Wait until the disk has it. Small files of a folder of thousands go without: after a
            power cut the export is written again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    # There is no way to read it without setting it; 0 would let others in between, 0o77 does not.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path, sync=False) as file:
        file.write(text.encode())


def to_json(value: Any) -> str:
    """Write a value as compact JSON.

    Raises:
        ValueError: If a number is not finite, which is no JSON, and which other readers refuse.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


@dataclass
class Names:
    """Gives every photograph a name that no other has, whatever the case and the file system.

    Stems differ too: `a.jpg` and `a.png` would share the file `a.txt` of their labels.
    """

    tally: Tally
    taken: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    """The last number that was tried behind a stem."""

    def flat(self, image: LabelledImage, *, dots: bool = True) -> str:
        """Return a file name; the folder's name is put before it where the name is taken.

        Without `dots`, the name has one only, before its suffix.
        """
        path = PurePosixPath(_printable(image.path.name))
        stem, folder = path.stem, _printable(image.path.absolute().parent.name)
        suffix = path.suffix.lower()
        if not dots:
            stem, folder = stem.replace(".", "_"), folder.replace(".", "_")
        name = next(filter(self._take, self._candidates(stem, folder)))
        if name + suffix != image.path.name:
            self.tally.note("photograph renamed", unit="image")
        return name + suffix

    def _candidates(self, stem: str, folder: str) -> Iterator[str]:
        """Yield names one by one: a thousand folders may each hold a `1.jpg`."""
        yield stem
        yield f"{folder}_{stem}"
        for number in count(self.numbers.get(stem, 1) + 1):
            self.numbers[stem] = number
            yield f"{stem}-{number}"

    def _take(self, name: str) -> bool:
        key = unicodedata.normalize("NFC", name).casefold()
        if key in self.taken:
            return False
        self.taken.add(key)
        return True

    def inside(self, image: LabelledImage, folder: Path) -> str:
        """Return a photograph's path from a folder, for a file that only refers to it.

        Raises:
            DatasetError: If it is not in the folder.
        """
        try:
            return image.path.absolute().relative_to(folder.absolute()).as_posix()
        except ValueError as error:
            raise DatasetError(
                f"{image.path} is not in {folder}; copy the photographs, or name the folder that "
                "holds them all"
            ) from error


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() and c not in '\\/:*?"<>|' else "_" for c in name)


def copy_photograph(image: LabelledImage, to: Path) -> None:
    """Copy a photograph byte for byte, whole or not at all.

    Raises:
        DatasetError: If it is gone or cannot be read.
    """
    try:
        with image.path.open("rb") as source, replacing(to, sync=False) as out:
            shutil.copyfileobj(source, out, 1 << 20)
    except FileNotFoundError as error:
        raise DatasetError(f"the photograph {image.path} is gone; put it back") from error


def note_orientation(image: LabelledImage, tally: Tally) -> None:
    """Count photographs that are stored turned: a reader must turn them before it looks."""
    header = read_header(image.path)
    if header is not None and header.orientation != 1:
        tally.note("labels are those of the upright photograph, EXIF applied", unit="image")


def said_besides(mask: LabelledMask) -> dict[str, Any]:
    """Return what SA-1B and our own files say of a mask besides its pixels; nothing if nothing."""
    said: dict[str, Any] = {}
    if mask.predicted_iou is not None:
        said["predicted_iou"] = mask.predicted_iou
    if mask.stability_score is not None:
        said["stability_score"] = mask.stability_score
    if mask.point_coords:
        said["point_coords"] = [list(point) for point in mask.point_coords]
    if mask.crop_box is not None:
        x0, y0, x1, y1 = mask.crop_box
        said["crop_box"] = [x0, y0, x1 - x0, y1 - y0]
    if mask.attributes:
        said["attributes"] = dict(mask.attributes)
    return said


def own_number(identity: str) -> int | None:
    """Return the number that an image's id is, written as numbers are; None if it is text.

    Example:
        >>> own_number("139"), own_number("007"), own_number("cat")
        (139, None, None)
    """
    is_number = identity.isascii() and identity.isdigit() and len(identity) < 16
    return int(identity) if is_number and str(int(identity)) == identity else None
