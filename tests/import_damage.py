"""Small datasets in every form that is read, and ways to damage them: what importers must survive.

Each case copies one of them, damages one of its files as disks, editors and people with bad
intentions do, and reads it. Whatever happened, reading gives sound images, or says in one
sentence why it gives none.
"""

import io
import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from form_scene import SIZE, rich_images
from PIL import Image

from maskmill import rle
from maskmill.errors import MaskmillError
from maskmill.formats import LabelledImage, write_coco
from maskmill.formats.labelme_writer import write_labelme
from maskmill.formats.parquet import write_parquet
from maskmill.formats.recognise import stream_dataset
from maskmill.formats.sa1b_writer import write_sa1b_folder, write_sa1b_tar, write_webdataset
from maskmill.formats.voc_png_writer import write_voc_png
from maskmill.formats.yolo_writer import write_yolo

NUMBERS = [
    "NaN", "-1", "0", "1e308", "-1e308", "Infinity", "9" * 30, "1e400", "0.5", '"x"', "null",
    "true", "[]", "{}", "[" * 50 + "]" * 50, "[" * 9000 + "]" * 9000, '"\\ud800"', '"../../x.jpg"',
    "4294967296", "-0.0", "65536", '"a\\u0000b"',
]  # fmt: skip
"""What takes the place of a number in a text."""
NAMES = ["../up", "/etc/passwd", "C:\\x", "a/../../b", "", ".", "a" * 300, "\0", "con", "é.jpg"]


def write_every_form(folder: Path) -> dict[str, Path]:
    """Write one dataset in every form; returns what is to be imported, by name."""
    images = rich_images(folder / "photographs")
    made = {name: folder / name / name for name in ("coco", "sa1b", "yolo", "labelme", "voc_png")}
    write_coco(made["coco"] / "a.json", images, copy_images=True)
    write_sa1b_folder(made["sa1b"], images)
    write_yolo(made["yolo"], images)
    write_labelme(made["labelme"], images)
    write_voc_png(made["voc_png"], images)
    made["parquet"] = folder / "parquet" / "parquet"
    write_parquet(made["parquet"] / "a.parquet", images, copy_images=True)
    made["tar"] = folder / "tar" / "tar" / "a.tar"
    made["tar"].parent.mkdir(parents=True)
    write_sa1b_tar(made["tar"], images)
    made["webdataset"] = folder / "webdataset" / "webdataset"
    write_webdataset(made["webdataset"], images)
    made["webdataset"] = next(made["webdataset"].glob("*.tar"))
    made["zip"] = _zipped(made["coco"], folder / "zip" / "zip" / "a.zip")
    for name, write in (("cvat", _cvat), ("datumaro", _datumaro)):
        made[name] = folder / name / name
        write(made[name])
    return made


def _zipped(source: Path, out: Path) -> Path:
    out.parent.mkdir(parents=True)
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, path.relative_to(source))
    return out


def _cvat(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", SIZE[::-1]).save(folder / "images" / "a.jpg")
    (folder / "annotations.xml").write_text(
        f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<image id="0" name="a.jpg" width="{SIZE[1]}" height="{SIZE[0]}">
<polygon label="cat" points="1.00,1.00;9,1;9,8;1,8" occluded="0" z_order="0"/>
<mask label="dog" rle="1, 2, 3" left="2" top="1" width="3" height="2"/>
</image></annotations>"""
    )


def _datumaro(folder: Path) -> None:
    (folder / "images" / "train").mkdir(parents=True)
    (folder / "annotations").mkdir()
    Image.new("RGB", SIZE[::-1]).save(folder / "images" / "train" / "a.jpg")
    polygon = {"id": 1, "type": "polygon", "label_id": 0, "points": [1, 1, 9, 1, 9, 8, 1, 8]}
    entry = {"id": "a", "annotations": [polygon], "image": {"path": "a.jpg", "size": list(SIZE)}}
    labels = {"label": {"labels": [{"name": "cat", "parent": ""}]}}
    record = {"info": {}, "items": [entry], "categories": labels}
    (folder / "annotations" / "train.json").write_text(json.dumps(record))


def damage(folder: Path, rng: random.Random) -> str:
    """Damage one file below a folder; returns what was done, in words."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix in (".json", ".xml", ".txt", ".yaml")]
    path = rng.choice(texts if texts and rng.random() < 0.7 else files)
    kind = rng.choice(list(WAYS))
    content = path.read_bytes()
    path.write_bytes(WAYS[kind](content, rng))
    if rng.random() < 0.05:
        path.unlink()
    return f"{path.relative_to(folder)}: {kind}"


def _flip(content: bytes, rng: random.Random) -> bytes:
    out = bytearray(content or b"x")
    for _ in range(rng.choice([1, 3, 30])):
        out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _drop(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice([1, 2, 9, 200]) :]


def _double(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    part = content[start : start + rng.choice([1, 10, 300])]
    return content[:start] + part * rng.choice([2, 3, 50]) + content[start + len(part) :]


def _number(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", content))
    return _put(content, rng.choice(found), rng.choice(NUMBERS).encode()) if found else content


def _text(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb'"[^"\\]*"', content))
    name = json.dumps(rng.choice([*NAMES, *NUMBERS])).encode()
    return _put(content, rng.choice(found), name) if found else content


def _put(content: bytes, place: re.Match[bytes], new: bytes) -> bytes:
    return content[: place.start()] + new + content[place.end() :]


def _picture(_: bytes, rng: random.Random) -> bytes:
    file = io.BytesIO()
    size = rng.choice([SIZE, SIZE[::-1], (1, 1), (300, 2)])
    Image.new(rng.choice(["L", "RGB", "1", "P"]), size).save(file, rng.choice(["PNG", "BMP"]))
    return file.getvalue()


WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes flipped": _flip,
    "cut short": _cut,
    "bytes dropped": _drop,
    "bytes repeated": _double,
    "a number replaced": _number,
    "numbers replaced": lambda content, rng: _number(_number(content, rng), rng),
    "a text replaced": _text,
    "another picture": _picture,
    "nothing in it": lambda content, rng: b"",
    "noise": lambda content, rng: rng.randbytes(200),
}


def read_damaged(source: Path, room: Path) -> tuple[int, str]:
    """Read a damaged dataset and check all that came of it.

    Returns:
        How many images came in, and why none did, if none.
    """
    images: list[LabelledImage] = []
    try:
        for item in stream_dataset(source, unpack_into=room):
            if isinstance(item, LabelledImage):
                images.append(item)
            else:
                check_sentence(item.reason)
    except MaskmillError as error:
        check_sentence(str(error))
        return len(images), str(error)
    assert images, "an empty result without a word"
    for image in images:
        assert image.path.is_file()
        json.dumps([image.metadata, [m.attributes for m in image.annotations]], allow_nan=False)
        for mask in image.annotations:
            assert mask.rle.size == image.size
            assert rle.area(mask.rle) > 0
            assert mask.shape in (None, (rle.area(mask.rle), *rle.box(mask.rle)))
    return len(images), ""


def check_sentence(text: str) -> None:
    """What is said must be short enough to be read."""
    assert 5 < len(text) < 2000, text
    assert "Traceback" not in text


def copied(source: Path, to: Path) -> Path:
    """Copy the folder that holds a dataset; returns the dataset in the copy."""
    shutil.copytree(source.parent, to)
    return to / source.name
