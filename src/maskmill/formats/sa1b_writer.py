"""Writes the form of SA-1B: a folder of photographs and JSON, one tar of them, or many.

A mask that was not made by a model has no predicted IoU; its key is then left out, never null.
`area` and `bbox` are those of the mask. Keys beyond SA-1B's carry what it cannot say. The tars are
those of SA-1B and of WebDataset at once: the photograph and the JSON of a key follow each other.
The same images give the same bytes, on every machine.
"""

import io
import tarfile
from collections.abc import Iterable
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, BinaryIO

from maskmill.errors import DatasetError
from maskmill.formats.labelled import LabelledImage
from maskmill.formats.writing import (
    Names,
    Tally,
    Written,
    copy_photograph,
    note_orientation,
    own_number,
    replacing,
    said_besides,
    to_json,
    write_text,
)
from maskmill.rle_batch import areas, boxes


def write_sa1b_folder(
    out: Path,
    images: Iterable[LabelledImage],
    *,
    copy_images: bool = True,
    image_folder: Path | None = None,
) -> Written:
    """Write a folder with one JSON per photograph.

    Args:
        out: The folder; files of the same names are replaced.
        images: What to write.
        copy_images: Copy the photographs beside their JSON, where readers of SA-1B look.
        image_folder: Where not copied, file names start from this folder; None is `out`.

    Returns:
        How much was written.

    Raises:
        DatasetError: If a photograph is gone, or not in `image_folder`.
        MaskError: If a mask is malformed.
        ValueError: If a number is not finite.
    """
    tally = Tally()
    names = Names(tally)
    for number, image in enumerate(images, 1):
        name = flat = names.flat(image)
        if copy_images:
            copy_photograph(image, out / name)
        else:
            name = names.inside(image, image_folder or out)
        note_orientation(image, tally)
        record = labelled_record(image, name, number)
        write_text((out / flat).with_suffix(".json"), to_json(record))
        _count(image, tally)
    return tally.written()


def write_sa1b_tar(out: Path, images: Iterable[LabelledImage]) -> Written:
    """Write one tar of photographs and their JSON, as SA-1B is published.

    Raises:
        DatasetError: If a photograph is gone.
        MaskError: If a mask is malformed.
        ValueError: If a number is not finite.
    """
    tally = Tally()
    names = Names(tally)
    with replacing(out) as file:
        _write_tar(file, images, names, tally)
    return tally.written()


def write_webdataset(
    out: Path, images: Iterable[LabelledImage], *, images_per_shard: int = 1000
) -> Written:
    """Write a folder of tars, `shard-000000.tar` and so on, for training that reads them in turn.

    Args:
        out: The folder; shards of the same names are replaced.
        images: What to write.
        images_per_shard: How many photographs go into a tar; the last one may hold fewer.

    Returns:
        How much was written.

    Raises:
        DatasetError: If a photograph is gone.
        MaskError: If a mask is malformed.
        ValueError: If a number is not finite, or a shard would hold no image.
    """
    if images_per_shard < 1:
        raise ValueError(f"images_per_shard is {images_per_shard}; it must be at least 1")
    tally = Tally()
    names = Names(tally)
    waiting = iter(images)
    for shard, first in enumerate(waiting):
        with replacing(out / f"shard-{shard:06}.tar") as file:
            _write_tar(file, chain([first], islice(waiting, images_per_shard - 1)), names, tally)
    return tally.written()


def labelled_record(image: LabelledImage, file_name: str, number: int) -> dict[str, Any]:
    """Build the JSON object of one image.

    Args:
        image: The image.
        file_name: Its photograph, from the folder of the JSON.
        number: Its number where it has none of its own: ids are whole numbers to other readers, so
            that text stands under a further key.

    Raises:
        MaskError: If a mask is malformed.
    """
    height, width = image.size
    own = own_number(image.image_id)
    info: dict[str, Any] = {
        "image_id": number if own is None else own,
        "file_name": file_name, "width": width, "height": height,
    }  # fmt: skip
    if own is None:
        info["image_name"] = image.image_id
    for key in ("split", "source", "group", "licence"):
        if getattr(image, key) is not None:
            info[key] = getattr(image, key)
    if image.metadata:
        info["metadata"] = dict(image.metadata)
    rles = [mask.rle for mask in image.annotations]
    measured = zip(image.annotations, areas(rles).tolist(), boxes(rles).tolist(), strict=True)
    taken = {mask.annotation_id for mask in image.annotations}
    free = (identity for identity in count(1) if identity not in taken)
    written: set[int] = set()
    annotations = []
    for mask, area, (x0, y0, x1, y1) in measured:
        identity = mask.annotation_id
        # A reader refuses the second of an id, so that of masks from two sources is given up.
        if not isinstance(identity, int) or identity in written:
            identity = next(free)
        written.add(identity)
        entry: dict[str, Any] = {
            "id": identity,
            "segmentation": {"size": list(mask.rle.size), "counts": mask.rle.counts.decode()},
            "area": area,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
        }
        if isinstance(mask.annotation_id, str):
            entry["annotation_id"] = mask.annotation_id
        if mask.category is not None:
            entry["category_name"] = mask.category
        if mask.is_crowd:
            entry["iscrowd"] = 1
        annotations.append(entry | said_besides(mask))
    return {"image": info, "annotations": annotations}


def _write_tar(file: BinaryIO, images: Iterable[LabelledImage], names: Names, tally: Tally) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for image in images:
            name = names.flat(image, dots=False)
            note_orientation(image, tally)
            try:
                photograph = image.path.read_bytes()
            except OSError as error:
                raise DatasetError(f"cannot read {image.path}: {error.strerror}") from error
            _add(tar, name, photograph)
            record = to_json(labelled_record(image, name, tally.images + 1))
            _add(tar, Path(name).with_suffix(".json").name, record.encode())
            _count(image, tally)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # no time, no owner: the same images give the same bytes
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
    # The list of members serves readers; here it would grow with the data.
    vars(tar)["members"] = []


def _count(image: LabelledImage, tally: Tally) -> None:
    tally.images += 1
    tally.masks += len(image.annotations)
    ids = [m.annotation_id for m in image.annotations if isinstance(m.annotation_id, int)]
    tally.note("annotation_id taken by another mask: numbered anew", len(ids) - len(set(ids)))
