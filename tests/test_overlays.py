"""Pictures of masks are drawn once, and never taken for photographs."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.automask.overlays import draw_overlays, photographs, without_overlay
from maskmill.images import read_image


def photograph(path: Path, level: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), level, np.uint8)).save(path)
    return path


def masks(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((20, 30), bool)
    mask[5:9, 6:20] = True
    path.write_text(json.dumps({"annotations": [{"segmentation": rle.encode(mask).to_json()}]}))


def test_pictures_are_drawn_where_there_are_masks_and_only_once(tmp_path: Path) -> None:
    source, out = tmp_path / "photos", tmp_path / "out"
    for name in ("a.png", "cats/b.bmp", "c.png"):
        photograph(source / name)
    masks(out / "a.png.json")
    masks(out / "cats/b.bmp.json")
    left = without_overlay(out, photographs(source))
    assert left == ["a.png", "cats/b.bmp"]
    drawn: list[None] = []
    draw_overlays(out, source, left, on_image=lambda: drawn.append(None))
    assert len(drawn) == 2
    assert (read_image(out / "cats" / "b.bmp.png")[6, 10] != 100).any()
    assert without_overlay(out, photographs(source)) == []
    assert not list(out.rglob("*.part"))


def test_pictures_are_no_photographs_wherever_they_lie(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    photograph(tmp_path / "inside" / "b.jpg")
    for out in (tmp_path, tmp_path / "masks"):
        for name in ("a.png", "inside/b.jpg"):
            masks(out / f"{name}.json")
        draw_overlays(out, tmp_path, ["a.png", "inside/b.jpg"])
    assert len(list(tmp_path.rglob("*.png"))) == 5
    assert photographs(tmp_path) == ["a.png", "inside/b.jpg"]


def test_a_photograph_that_is_named_like_a_picture_stays_one(tmp_path: Path) -> None:
    photograph(tmp_path / "a.jpg")
    photograph(tmp_path / "a.jpg.png")
    (tmp_path / "b.jpg.png").write_text("no PNG")
    assert photographs(tmp_path) == ["a.jpg", "a.jpg.png", "b.jpg.png"]
