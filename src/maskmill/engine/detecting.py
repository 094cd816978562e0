"""The child process of a round that trains the box detector; it writes no row.

    python -m maskmill.engine.detecting PROJECT ROUND MODEL_FOLDER OUT

The encoder stands still, so this takes a small part of what a round takes. The detector is written
whole or not at all: killed, it is trained again.
"""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskmill.engine.children import as_child
from maskmill.engine.dataset import labelled_images
from maskmill.engine.detector import DETECTOR_CARD, DETECTOR_FILE, Detector
from maskmill.engine.lineage import round_named
from maskmill.errors import CheckpointError
from maskmill.predict import Predictor
from maskmill.store import Project
from maskmill.store.models import Round

if TYPE_CHECKING:
    from maskmill.model.box_head import BoxHead

MAX_DIFFERENCE = 1e-3
"""What ONNX Runtime and PyTorch may differ by, in logits."""


def train_round_detector(project: Project, round_: Round, model: Path, out: Path) -> Path:
    """Train the detector of a model on a round's snapshot: all masks outside the hold-out.

    Args:
        project: Open for reading.
        round_: With its snapshot and settings.
        model: The folder of the model whose embeddings it will read.
        out: The folder to make.

    Returns:
        `out`.

    Raises:
        DatasetError: If no image has a mask.
        CheckpointError: If the exported file does not do what PyTorch does.
    """
    from maskmill.train.detector import DetectorConfig, train_detector

    snapshot = next(s for s in project.snapshots.all() if s.id == round_.snapshot_id)
    images = labelled_images(project, snapshot, "train")
    settings = dict((round_.settings or {}).get("detector_training") or {})
    config = DetectorConfig(**{"seed": round_.number, **settings})
    predictor = Predictor.load(model, threads=1)
    head = train_detector(predictor, images, config)
    card = {
        "model": predictor.model_id,
        "round": round_.number,
        "snapshot": snapshot.name,
        "images": len(images),
        "masks": sum(len(image.annotations) for image in images),
        "settings": asdict(config),
    }
    return write_detector(head, predictor, out, card)


def write_detector(head: "BoxHead", predictor: Predictor, out: Path, card: dict[str, Any]) -> Path:
    """Export a head, hold it against PyTorch on a random embedding, and put it where it belongs.

    Args:
        head: Trained, in evaluation mode.
        predictor: Its model.
        out: The folder to make; one that is there is replaced.
        card: What to say of it.

    Raises:
        CheckpointError: If the two runtimes differ by more than `MAX_DIFFERENCE`.
    """
    import torch

    from maskmill.onnx_graphs import box_head_graph

    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    embedding = predictor.embed(noise)
    maps = [
        torch.from_numpy(m[None].astype(np.float32)) for m in (embedding.array, *embedding.high_res)
    ]
    graph = box_head_graph(head, maps[0], tuple(maps[1:]))
    (part / DETECTOR_FILE).write_bytes(graph.SerializeToString())
    told = {**card, "stride": head.stride}
    (part / DETECTOR_CARD).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    with torch.no_grad():
        expected = head(*maps)[0].numpy()
    found = Detector(part).answer(embedding)[0]
    if not np.abs(found - expected).max() <= MAX_DIFFERENCE:
        raise CheckpointError(
            f"ONNX Runtime and PyTorch differ by {np.abs(found - expected).max():.2g} on the "
            "detector; report this"
        )
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    return out


def main() -> int:
    """Train what the command line names; what went wrong is the last line of stderr."""
    folder, number, model, out = sys.argv[1:]

    def work() -> None:
        with Project(Path(folder), writes=False) as project:
            round_ = round_named(project, int(number))
            train_round_detector(project, round_, Path(model), Path(out))

    return as_child(work)


if __name__ == "__main__":
    sys.exit(main())
