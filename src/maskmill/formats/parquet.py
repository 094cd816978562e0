"""Parquet: one row per photograph, its masks in a list of structs; for data lakes and notebooks.

The photograph is a struct of `bytes` and `path`, as the `datasets` library reads an image: either
the file itself or its name. Run lengths are kept as bytes. What has no column of its own (metadata,
attributes) is JSON in text. The column `form` names this layout and its version.

pyarrow is needed, `pip install 'maskmill[parquet]'`, and is imported here only.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from maskmill.errors import DatasetError
from maskmill.formats.checks import (
    checked_masks,
    checked_size,
    finite,
    rest_of,
    short,
    text_or_none,
)
from maskmill.formats.files import path_inside, photograph_in
from maskmill.formats.labelled import Dataset, LabelledImage, LabelledMask, Refused, collected
from maskmill.formats.photograph import upright
from maskmill.formats.writing import Names, Tally, Written, note_orientation, replacing, to_json
from maskmill.rle_batch import areas, boxes

FORM = "maskmill-1"
ROWS = 64
"""Photographs that are held at once, and that a group of rows holds."""


def write_parquet(
    out: Path,
    images: Iterable[LabelledImage],
    *,
    copy_images: bool = False,
    image_folder: Path | None = None,
) -> Written:
    """Write one Parquet file.

    Args:
        out: The file; an existing one is replaced when the new one is whole.
        images: What to write.
        copy_images: Put the photographs' bytes into the file.
        image_folder: Where not copied, names start from this folder; None is the file's own.

    Returns:
        How much was written.

    Raises:
        DatasetError: If a photograph is gone or not in `image_folder`, or pyarrow is missing.
        MaskError: If a mask is malformed.
        ValueError: If a number is not finite.
    """
    pyarrow = _pyarrow()
    from pyarrow import parquet

    tally = Tally()
    names = Names(tally)
    schema = _schema(pyarrow)
    with replacing(out) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        for image in images:
            name = (
                names.flat(image)
                if copy_images
                else names.inside(image, image_folder or out.parent)
            )
            rows.append(_row(image, name, copy_images))
            note_orientation(image, tally)
            tally.images += 1
            tally.masks += len(image.annotations)
            if len(rows) == ROWS:
                writer.write_table(pyarrow.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pyarrow.Table.from_pylist(rows, schema))
    return tally.written()


def read_parquet(
    path: Path, images: Path | None = None, *, unpack_into: Path | None = None
) -> Dataset:
    """Read Parquet of our own; `stream_parquet` as a whole, the images sorted by path."""
    return collected(stream_parquet(path, images, unpack_into=unpack_into))


def stream_parquet(
    path: Path, images: Path | None = None, *, unpack_into: Path | None = None
) -> Iterator[LabelledImage | Refused]:
    """Read Parquet of our own photograph by photograph.

    Args:
        path: One file, or a folder of such.
        images: The folder that names start from; None is the file's own.
        unpack_into: Where photographs that are inside the file are written to, under their names.

    Yields:
        The images in the file's order, and what was refused.

    Raises:
        DatasetError: If a file is damaged or of another layout, photographs are inside it and there
            is nowhere to write them to, or pyarrow is missing.
    """
    _pyarrow()
    files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
    if not files:
        raise DatasetError(f"{path} holds no .parquet file")
    taken: set[Path] = set()
    for file in files:
        for place, row in enumerate(_rows(file)):
            refused: list[Refused] = []
            try:
                image = _image(row, file, images or file.parent, unpack_into, refused)
                if unpack_into and image.path in taken:
                    raise DatasetError("its photograph has the name of an earlier one")
                taken |= {image.path} if unpack_into else set()
            except DatasetError as error:
                yield Refused(file, f"row {place}: {error}")
                continue
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                yield Refused(file, f"row {place}: of another layout than {FORM} ({short(error)})")
                continue
            yield from refused
            yield image


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise DatasetError("Parquet needs pyarrow: pip install 'maskmill[parquet]'") from error
    return pyarrow


def _schema(pa: Any) -> Any:
    text, real = pa.string(), pa.float64()
    mask = {
        "counts": pa.binary(), "category": text, "is_crowd": pa.bool_(), "annotation_id": text,
        "area": pa.int64(), "bbox": pa.list_(real, 4), "predicted_iou": real,
        "stability_score": real, "point_coords": pa.list_(pa.list_(real, 2)),
        "crop_box": pa.list_(real, 4), "attributes": text,
    }  # fmt: skip
    columns = {
        "form": text, "image_id": text,
        "image": pa.struct({"bytes": pa.binary(), "path": text}.items()),
        "height": pa.int32(), "width": pa.int32(), "source": text, "split": text, "group": text,
        "licence": text, "metadata": text, "annotations": pa.list_(pa.struct(mask.items())),
    }  # fmt: skip
    return pa.schema(columns.items())


def _row(image: LabelledImage, name: str, copy_images: bool) -> dict[str, Any]:
    try:
        data = image.path.read_bytes() if copy_images else None
    except OSError as error:
        raise DatasetError(f"cannot read {image.path}: {error.strerror}") from error
    rles = [mask.rle for mask in image.annotations]
    measured = zip(image.annotations, areas(rles).tolist(), boxes(rles).tolist(), strict=True)
    return {
        "form": FORM,
        "image_id": image.image_id,
        "image": {"bytes": data, "path": name},
        "height": image.size[0],
        "width": image.size[1],
        "source": image.source,
        "split": image.split,
        "group": image.group,
        "licence": image.licence,
        "metadata": to_json(dict(image.metadata)),
        "annotations": [_entry(mask, area, box) for mask, area, box in measured],
    }


def _entry(mask: LabelledMask, area: int, box: list[int]) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    return {
        "counts": mask.rle.counts,
        "category": mask.category,
        "is_crowd": mask.is_crowd,
        # Numbers and texts are told apart as JSON tells them apart.
        "annotation_id": None if mask.annotation_id is None else to_json(mask.annotation_id),
        "area": area,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "predicted_iou": mask.predicted_iou,
        "stability_score": mask.stability_score,
        "point_coords": [list(point) for point in mask.point_coords],
        "crop_box": None if mask.crop_box is None else list(mask.crop_box),
        "attributes": to_json(dict(mask.attributes)),
    }


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path) as file:
            if not {"form", "image_id", "image", "annotations"} <= set(file.schema_arrow.names):
                raise DatasetError(f"{path} is Parquet of another layout than {FORM}")
            for batch in file.iter_batches(batch_size=ROWS):
                yield from batch.to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise DatasetError(f"{path} is no sound Parquet: {short(str(error))}") from error


def _image(
    row: dict[str, Any],
    file: Path,
    folder: Path,
    unpack_into: Path | None,
    refused: list[Refused],
) -> LabelledImage:
    if row["form"] != FORM or not isinstance(row["image"], dict):
        raise DatasetError(f"its form is {short(row['form'])}; {FORM} is read")
    size = checked_size(row.get("height"), row.get("width"))
    entries = row["annotations"] if isinstance(row["annotations"], list) else []
    claims = [{"size": list(size), "counts": entry.get("counts")} for entry in entries]
    masks = []
    for i, (entry, run) in enumerate(
        zip(entries, checked_masks(claims, [size] * len(claims)), strict=True)
    ):
        try:
            if isinstance(run, DatasetError):
                raise run
            masks.append(LabelledMask(rle=run.rle, shape=run.shape, **_said(entry)))
        except DatasetError as error:
            refused.append(Refused(file, f"{short(row['image_id'])}, annotation {i}: {error}"))
    image = LabelledImage(
        image_id=text_or_none(row["image_id"], "image_id") or "",
        path=_photograph(row["image"], folder, unpack_into),
        size=size,
        source=text_or_none(row.get("source"), "source") or file.stem,
        split=text_or_none(row.get("split"), "split"),
        group=text_or_none(row.get("group"), "group"),
        annotations=tuple(masks),
        licence=text_or_none(row.get("licence"), "licence"),
        metadata=_json(row.get("metadata")),
    )
    return upright(image)


def _photograph(said: dict[str, Any], folder: Path, unpack_into: Path | None) -> Path:
    data = said.get("bytes")
    if data is None:
        return photograph_in(folder, said.get("path"))
    if unpack_into is None:
        raise DatasetError("its photograph is inside the file; name a folder to unpack into")
    path = path_inside(unpack_into, said.get("path"))
    with replacing(path, sync=False) as out:
        out.write(data)
    return path


def _said(entry: dict[str, Any]) -> dict[str, Any]:
    def number(key: str) -> float | None:
        return None if entry.get(key) is None else finite(entry[key], key)

    identity = entry.get("annotation_id")
    crop = entry.get("crop_box")
    return {
        "category": text_or_none(entry.get("category"), "category"),
        "is_crowd": entry.get("is_crowd") is True,
        "annotation_id": None if identity is None else _identity(identity),
        "predicted_iou": number("predicted_iou"),
        "stability_score": number("stability_score"),
        "point_coords": tuple(
            (finite(x, "x"), finite(y, "y")) for x, y in entry.get("point_coords") or ()
        ),
        "crop_box": None if crop is None else tuple(finite(edge, "crop_box") for edge in crop),
        "attributes": _json(entry.get("attributes")),
    }


def _identity(text: str) -> int | str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"annotation_id is {short(text)}") from error
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise DatasetError(f"annotation_id is {short(text)}")
    return value


def _json(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{short(text)} is no JSON object") from error
    if not isinstance(value, dict):
        raise DatasetError(f"{short(text)} is no JSON object")
    return rest_of(value, frozenset(), "")
