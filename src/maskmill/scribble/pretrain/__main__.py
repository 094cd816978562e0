"""`python -m maskmill.scribble.pretrain`: teach the pixel encoder and write what ships.

`make pixels` starts it in two processes. It is for who changes the encoder, not for who uses it.
"""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
import torch.distributed as dist

from maskmill.automask.overlays import photographs
from maskmill.errors import CheckpointError, NotFound
from maskmill.formats import read_dataset
from maskmill.images import open_image
from maskmill.model.pixel_encoder import PixelEncoder
from maskmill.onnx_export import round_to_float16, store_as_float16, strip_origin
from maskmill.onnx_graphs import pixel_encoder_graph
from maskmill.scribble.describing import open_encoder
from maskmill.scribble.pretrain.episodes import fill_pool
from maskmill.scribble.pretrain.learn import LearnConfig, leads, learn

TEXTURES = 1800
"""Most photographs whose textures are used."""
MAX_DIFFERENCE = 1e-3
"""What ONNX Runtime and PyTorch may differ by, in descriptors."""


def main() -> None:
    """Teach the pixel encoder on labelled photographs and textures, and write it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("labelled", type=Path, help="a dataset; its train split is used")
    parser.add_argument("--textures", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--sources", nargs="*", default=[], help="of the dataset; default all")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--out", type=Path, required=True, help="folder for what ships")
    parser.add_argument("--steps", type=int, default=LearnConfig.steps)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # torchrun's
        dist.init_process_group("gloo")
    names = photographs(options.textures)
    if not names:
        raise NotFound(f"{options.textures} holds no photograph; name a folder of some")
    places = np.linspace(0, len(names) - 1, min(TEXTURES, len(names))).astype(int)
    textures = [open_image(options.textures / names[i]).array for i in places]
    labelled = read_dataset(options.labelled, split="train").images
    pool = fill_pool(labelled, textures, options.sources)
    config = LearnConfig(steps=options.steps)
    encoder = learn(pool, config, options.run)
    if leads():
        shown = {name: len(some) for name, some in pool.sources.items()}
        told = {"labelled": shown, "textures": len(textures), "settings": asdict(config)}
        write_encoder(encoder, options.out, told)


def write_encoder(encoder: PixelEncoder, out: Path, about: dict[str, Any]) -> None:
    """Write an encoder as ONNX, its weights in 16 bits, and what is to be told of it.

    Args:
        encoder: In evaluation mode; its weights are rounded.
        out: A folder for `encoder.onnx` and `about.json`; made if missing.
        about: What to tell.

    Raises:
        CheckpointError: If ONNX Runtime does not answer what PyTorch does.
    """
    round_to_float16(encoder)
    graph = pixel_encoder_graph(encoder)
    store_as_float16(graph.graph, encoder)
    strip_origin(graph)
    image = np.random.default_rng(0).random((1, 3, 52, 100), np.float32)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(image)).numpy()
    found = open_encoder(graph.SerializeToString()).run(None, {"image": image})[0]
    difference = float(np.abs(found - expected).max())
    if difference > MAX_DIFFERENCE:
        raise CheckpointError(
            f"ONNX Runtime answers {difference:g} from PyTorch; nothing is written"
        )
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, out / "encoder.onnx")
    parameters = sum(each.numel() for each in encoder.parameters())
    told = {"parameters": parameters, **about}
    (out / "about.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
