"""The child process of a round that trains the heads which propose masks; it writes no row.

    python -m maskmill.engine.detecting PROJECT ROUND MODEL_FOLDER

The encoder stands still, so this takes a small part of what a round takes. A head is written whole
or not at all: killed, it is trained again.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from maskmill.engine.categories import Categoriser, check_categories
from maskmill.engine.children import as_child
from maskmill.engine.dataset import labelled_images
from maskmill.engine.detector import Detector
from maskmill.engine.head_files import Kind, head_folder, write_head
from maskmill.engine.heads import missing_heads
from maskmill.engine.lineage import round_named
from maskmill.engine.offering import measure_offer
from maskmill.engine.region_finder import RegionFinder, as_seen
from maskmill.engine.scoring import learn_scoring
from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage
from maskmill.predict import Predictor
from maskmill.store import Project
from maskmill.store.models import Round

if TYPE_CHECKING:
    from maskmill.model.box_head import BoxHead
    from maskmill.model.category_head import CategoryHead
    from maskmill.model.region_head import RegionHead

Images = Sequence[LabelledImage]


def train_round_heads(project: Project, round_: Round, model: Path) -> None:
    """Train a model's heads on a round's snapshot: all masks outside the hold-out.

    What takes for ground where no mask is learns from images that are labelled whole. A head that
    this round has trained already stays.

    Args:
        project: Open for reading.
        round_: With its snapshot and settings.
        model: The folder of the model whose embeddings they will read.

    Raises:
        DatasetError: If no image is labelled whole.
        CheckpointError: If an exported file does not do what PyTorch does.
    """
    snapshot = next(s for s in project.snapshots.all() if s.id == round_.snapshot_id)
    images = labelled_images(project, snapshot, "train")
    whole = labelled_images(project, snapshot, "train", whole=True)
    if not whole:
        raise DatasetError(
            "no image outside the hold-out is labelled whole, so nothing says where no object is: "
            "label some, and end each with `Done`"
        )
    held_out = labelled_images(project, snapshot, "val")
    predictor = Predictor.load(model, threads=1)
    card = {"model": predictor.model_id, "round": round_.number, "snapshot": snapshot.name}
    for kind in missing_heads(project, round_, predictor.model_id):
        out = head_folder(project.folder, kind, predictor.model_id)
        if kind == "detector":
            _train_detector(predictor, whole, _settings(round_, "detector_training"), card, out)
        elif kind == "regions":
            told = _settings(round_, "regions_training")
            _train_regions(predictor, whole, held_out, told, card, out)
        else:
            _train_categories(predictor, images, held_out, card, out)


def _counted(images: Images) -> dict[str, int]:
    return {"images": len(images), "masks": sum(len(image.annotations) for image in images)}


def _settings(round_: Round, name: str) -> dict[str, Any]:
    return {"seed": round_.number, **(dict(round_.settings or {}).get(name) or {})}


def _train_detector(
    predictor: Predictor, images: Images, told: dict[str, Any], card: dict[str, Any], out: Path
) -> None:
    from maskmill.train.detector import DetectorConfig, train_detector

    config = DetectorConfig(**told)
    head = train_detector(predictor, images, config)
    write_detector(head, predictor, out, {**card, **_counted(images), "settings": asdict(config)})


def _train_regions(
    predictor: Predictor,
    images: Images,
    held_out: Images,
    told: dict[str, Any],
    card: dict[str, Any],
    out: Path,
) -> None:
    """Train a region head, learn to score its regions, and find out when they are offered."""
    from maskmill.train.regions import RegionConfig, train_regions

    config = RegionConfig(**told)
    head, side = train_regions(predictor, images, config)
    told = {**card, **_counted(images), "settings": asdict(config)}
    write_regions(head, side, predictor, out, told, images=images, held_out=held_out)


def _train_categories(
    predictor: Predictor, images: Images, held_out: Images, card: dict[str, Any], out: Path
) -> None:
    """Train a category head where there are categories, and judge it on the hold-out."""
    from maskmill.train.categories import CategoryConfig, train_categories

    config = CategoryConfig()
    trained = train_categories(predictor, images, config)
    if trained is not None:
        head, names = trained
        told = {**card, **_counted(images), "settings": asdict(config)}
        write_categories(head, names, predictor, held_out, out, told)


def write_detector(head: "BoxHead", predictor: Predictor, out: Path, card: dict[str, Any]) -> Path:
    """Export a box head, hold it against PyTorch on a random embedding, and put it in a folder.

    Args:
        head: Trained, in evaluation mode.
        predictor: Its model.
        out: The folder to make; one that is there is replaced.
        card: What to say of it.

    Raises:
        CheckpointError: If the two runtimes differ.
    """
    import torch

    from maskmill.onnx_graphs import box_head_graph

    embedding = predictor.embed(_noise())
    maps = [
        torch.from_numpy(m[None].astype(np.float32)) for m in (embedding.array, *embedding.high_res)
    ]
    graph = box_head_graph(head, maps[0], tuple(maps[1:]))

    def difference(folder: Path) -> float:
        with torch.no_grad():
            expected = head(*maps)[0].numpy()
        return float(np.abs(Detector(folder).answer(embedding)[0] - expected).max())

    told = {**card, "stride": head.stride}
    return write_head("detector", graph.SerializeToString(), told, out, difference)


def write_regions(
    head: "RegionHead",
    side: int,
    predictor: Predictor,
    out: Path,
    card: dict[str, Any],
    *,
    images: Images = (),
    held_out: Images = (),
) -> Path:
    """Do the same with a region head that works at this side, and judge its regions.

    What they are scored by is learned from `images`, that it was trained on; when they are offered
    under clicks, from `held_out`.
    """
    import torch

    from maskmill.onnx_graphs import region_head_graph

    image = _noise()
    embedding = predictor.embed(image)
    seen, maps = as_seen(image, embedding, side)
    graph = region_head_graph(head, torch.from_numpy(seen), torch.from_numpy(maps))

    def difference(folder: Path) -> float:
        with torch.no_grad():
            expected = head(torch.from_numpy(seen), torch.from_numpy(maps)).numpy()
        return float(np.abs(RegionFinder(folder).logits(seen, maps) - expected).max())

    told, graph_bytes = {**card, "side": side}, graph.SerializeToString()
    with _tried("regions", graph_bytes, told) as folder:
        scoring = learn_scoring(RegionFinder(folder), predictor, images)
    told["scoring"] = None if scoring is None else scoring.to_json()
    with _tried("regions", graph_bytes, told) as folder:
        offer = measure_offer(RegionFinder(folder), predictor, held_out)
    told["offer"] = None if offer is None else asdict(offer)
    return write_head("regions", graph_bytes, told, out, difference)


def write_categories(
    head: "CategoryHead",
    names: Sequence[str],
    predictor: Predictor,
    held_out: Images,
    out: Path,
    card: dict[str, Any],
) -> Path:
    """Do the same with a category head, and write on its card how it names the hold-out."""
    import torch

    from maskmill.onnx_graphs import category_head_graph

    size = len(head.mean)
    some = np.random.default_rng(0).normal(size=(3, size)).astype(np.float32)
    graph_bytes = category_head_graph(head, torch.from_numpy(some)).SerializeToString()
    told = {**card, "names": list(names)}
    with _tried("categories", graph_bytes, told) as folder:
        check = check_categories(Categoriser(folder), predictor, held_out)
    told["holdout"] = None if check is None else asdict(check)

    def difference(folder: Path) -> float:
        with torch.no_grad():
            expected = head(torch.from_numpy(some)).numpy()
        return float(np.abs(Categoriser(folder).chances(some) - expected).max())

    return write_head("categories", graph_bytes, told, out, difference)


@contextmanager
def _tried(kind: Kind, graph: bytes, card: dict[str, Any]) -> Iterator[Path]:
    """Put a head where it can be judged, but nobody looks for it: a card is written once."""
    with tempfile.TemporaryDirectory() as scratch:
        yield write_head(kind, graph, card, Path(scratch) / "head", lambda _: 0.0)


def _noise() -> UInt8[np.ndarray, "h w 3"]:
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)


def main() -> int:
    """Train what the command line names; what went wrong is the last line of stderr."""
    folder, number, model = sys.argv[1:]

    def work() -> None:
        with Project(Path(folder), writes=False) as project:
            round_ = round_named(project, int(number))
            train_round_heads(project, round_, Path(model))

    return as_child(work)


if __name__ == "__main__":
    sys.exit(main())
