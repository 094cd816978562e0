"""A synthetic COCO dataset as large as one likes: ragged blobs on photographs of their own.

Every photograph is a file with a content of its own (a few pictures with another comment in each),
of 640 x 480 pixels and some 20 kB; masks have holes and islands as people's and models' masks do.
"""

import json
from pathlib import Path

SIZE = (480, 640)
PER_IMAGE = 20
KINDS = 80
SPLITS = ("train", "train", "train", "val", "test")
SOURCES = ("street", "kitchen", "field", "harbour")


def write_dataset(folder: Path, images: int, *, seed: int = 7) -> Path:
    """Write `annotations/instances_all.json` and `images/`; what is there already is kept."""
    import numpy as np

    path = folder / "annotations" / "instances_all.json"
    if path.exists():
        return path
    rng = np.random.default_rng(seed)
    write_photographs(folder / "images", images, rng)
    stock = masks_in_stock(rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w") as file:
        file.write('{"info": {}, "images": [')
        for i in range(images):
            info = {"id": i, "file_name": name_of(i), "width": SIZE[1], "height": SIZE[0]}
            info |= {"split": SPLITS[i % len(SPLITS)], "source": SOURCES[i // 7 % len(SOURCES)]}
            file.write(",\n" * (i > 0) + json.dumps(info))
        file.write('], "annotations": [')
        first = True
        for i in range(images):
            if i % 10 == 9:
                continue  # not labelled yet
            many = round(PER_IMAGE / 0.9)
            kinds = np.minimum(rng.zipf(1.4, many), KINDS).tolist()
            picks, sure = rng.integers(len(stock), size=many).tolist(), rng.uniform(0.3, 1, many)
            for pick, kind, iou in zip(picks, kinds, sure.tolist(), strict=True):
                start = "" if first else ",\n"
                file.write(
                    f'{start}{{"id": {file.tell()}, "image_id": {i}, "category_id": {kind}, '
                    f'"predicted_iou": {iou:.4f}, {stock[pick]}}}'
                )
                first = False
        kinds_json = json.dumps([{"id": i, "name": f"kind {i}"} for i in range(1, KINDS + 1)])
        file.write(f'], "categories": {kinds_json}}}')
    part.rename(path)
    return path


def name_of(i: int) -> str:
    """Photographs lie in folders of 1,000, as large sets do."""
    return f"{i // 1000:04}/{i:012}.jpg"


def masks_in_stock(rng: object, amount: int = 400) -> list[str]:
    """Make masks as text of COCO: `"segmentation": ..., "area": ..., "bbox": ...`."""
    import cv2
    import numpy as np

    from maskmill import rle

    assert isinstance(rng, np.random.Generator)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    stock = []
    while len(stock) < amount:
        cy, cx = rng.uniform(20, 460), rng.uniform(20, 620)
        radius, squash = np.exp(rng.uniform(np.log(6), np.log(140))), rng.uniform(0.5, 2)
        waves = rng.standard_normal((60, 80)).astype(np.float32)
        waves = cv2.resize(cv2.GaussianBlur(waves, (0, 0), 3), SIZE[::-1]) * 8
        blob = np.hypot((y - cy) * squash, x - cx) / radius + 0.3 * waves < 1
        if not blob.any():
            continue
        one = rle.encode(blob)
        x0, y0, x1, y1 = rle.box(one)
        said = {"segmentation": one.to_json(), "area": rle.area(one), "iscrowd": 0}
        stock.append(json.dumps(said | {"bbox": [x0, y0, x1 - x0, y1 - y0]})[1:-1])
    return stock


def write_photographs(folder: Path, amount: int, rng: object) -> None:
    """Write JPEGs; each holds its number as a comment, so that no two files are equal."""
    import cv2
    import numpy as np

    assert isinstance(rng, np.random.Generator)
    pictures = []
    for _ in range(64):
        coarse = rng.integers(0, 255, (12, 16, 3)).astype(np.uint8)
        pixels = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC).astype(int)
        pixels += rng.integers(-6, 7, pixels.shape)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 60]
        pictures.append(
            cv2.imencode(".jpg", np.clip(pixels, 0, 255).astype(np.uint8), quality)[1].tobytes()
        )
    for i in range(amount):
        path = folder / name_of(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        comment = b"%012d" % i
        whole = pictures[i % len(pictures)]
        head = b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment
        path.write_bytes(whole[:2] + head + whole[2:])
