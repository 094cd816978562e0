"""A generated data set, coloured shapes on noise, and a model small enough to train in tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.config import MODEL_CONFIGS, TINY, DecoderConfig, TinyConfig
from maskmill.formats.labelled import LabelledImage, LabelledMask

SMALL = replace(
    TINY,
    encoder=TinyConfig(
        widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), num_heads=2, high_res_dims=(8, 4)
    ),
    decoder=DecoderConfig(
        transformer_dim=32,
        num_heads=2,
        mlp_dim=32,
        iou_head_hidden_dim=16,
        high_res=True,
        look_at_points=True,
        prompt_maps=True,
        likeness=True,
        read_masks=True,
    ),
    name="small",
    input_side=64,
)
"""The embedded default's architecture, as small as it goes."""


def offer_small_model() -> None:
    """Let `TrainConfig(model="small")` name it in this process."""
    MODEL_CONFIGS["small"] = SMALL


def write_scene(folder: Path, name: str, *, source: str = "scenes", seed: int = 0) -> LabelledImage:
    """Write one photograph of an ellipse and a box, and return it with both masks and a speck."""
    rng = np.random.default_rng(seed)
    h, w = 60 + int(rng.integers(0, 30)), 96
    image = rng.integers(0, 80, (h, w, 3)).astype(np.uint8)
    y, x = np.mgrid[:h, :w]
    ellipse = ((y - h * 0.4) / (h * 0.3)) ** 2 + ((x - w * 0.3) / (w * 0.2)) ** 2 < 1
    box = (y > h * 0.5) & (y < h * 0.9) & (x > w * 0.6) & (x < w * 0.95)
    image[ellipse] = (230, 60, 40)
    image[box] = (40, 90, 230)
    speck = np.zeros((h, w), bool)
    speck[1, 2] = True
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    masks = [LabelledMask(rle=rle.encode(m)) for m in (ellipse, box, speck)]
    return LabelledImage(
        image_id=name, path=path, size=(h, w), source=source, annotations=tuple(masks)
    )


def write_scenes(folder: Path, count: int) -> list[LabelledImage]:
    """Write several scenes of different sizes from two sources."""
    return [
        write_scene(folder, f"scene{i}", source="even" if i % 2 == 0 else "odd", seed=i)
        for i in range(count)
    ]
