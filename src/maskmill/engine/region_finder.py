"""The region head at work: an image and its embedding in, one region for each object out.

It runs its ONNX file and needs no PyTorch; flooding needs scikit-image, which comes with training.
"""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from maskmill.engine.head_files import open_head, read_head_card, refuse_other_model
from maskmill.errors import ConfigError
from maskmill.geometry import shrunk_size
from maskmill.region_scores import Scoring, measure
from maskmill.regions import (
    CELL,
    MULTIPLE,
    Answer,
    Region,
    at_image_size,
    regions_in,
    working_image,
    working_maps,
)
from maskmill.values import Embedding


class RegionFinder:
    """An exported region head, ready to run on one thread.

    Args:
        folder: What `detecting.write_regions` wrote.

    Attributes:
        card: Which model it belongs to, and how it was trained.
        scoring: How likely its regions are right; None where nobody has measured that.

    Raises:
        NotFound: If there is none.
        CheckpointError: If its files cannot be used.
        ConfigError: If scikit-image is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.card = folder, read_head_card(folder, "regions", {"model", "side"})
        if find_spec("skimage") is None:
            raise ConfigError(
                "scikit-image is not installed, and the region head's objects are flooded with it; "
                "run `pip install 'maskmill[regions]'`"
            )
        told = self.card.get("scoring")
        self.scoring = None if told is None else Scoring.from_json(told)
        self._session = open_head(folder, "regions")

    def __reduce__(self) -> tuple[Any, ...]:
        return RegionFinder, (self.folder,)

    def find(self, image: UInt8[np.ndarray, "h w 3"], embedding: Embedding) -> list[Region]:
        """Find the regions of an image, best first, in pixels of the image.

        Their score is the chance that they are right, where the head's card says how it is weighed.

        Raises:
            ValueError: If the embedding was made by another model.
        """
        found = self.measured(image, embedding)
        if self.scoring is None or not found:
            return [region for region, _ in found]
        chances = self.scoring.chances(np.stack([measures for _, measures in found]))
        scored = [
            replace(region, score=float(chance))
            for (region, _), chance in zip(found, chances, strict=True)
        ]
        return sorted(scored, key=lambda region: -region.score)

    def measured(
        self, image: UInt8[np.ndarray, "h w 3"], embedding: Embedding
    ) -> list[tuple[Region, Float[np.ndarray, " m"]]]:
        """Find the regions of an image, and what they are weighed by: see `region_scores`.

        Raises:
            ValueError: If the embedding was made by another model.
        """
        refuse_other_model(embedding, self.card, "regions")
        side = int(self.card["side"])
        seen, maps = as_seen(image, embedding, side)
        height, width = shrunk_size((image.shape[0], image.shape[1]), side)
        logits = self.logits(seen, maps)[0, :, :height, :width]
        inside, outline, depth = 1 / (1 + np.exp(-logits))
        answer, size = Answer(inside, outline, depth), (image.shape[0], image.shape[1])
        working = np.ascontiguousarray(seen[0, :, :height, :width].transpose(1, 2, 0))
        found = []
        for region in regions_in(answer):
            moved = at_image_size(region, (height, width), size)
            if moved is not None:
                found.append((moved, measure(region, answer, working)))
        return found

    def logits(
        self, image: Float32[np.ndarray, "1 3 h w"], maps: Float32[np.ndarray, "1 c _h _w"]
    ) -> Float32[np.ndarray, "1 3 h w"]:
        """Run the head itself; see `maskmill.model.region_head`."""
        (logits,) = self._session.run(None, {"image": image, "maps": maps})
        return np.asarray(logits)


def as_seen(
    image: UInt8[np.ndarray, "H W 3"], embedding: Embedding, side: int
) -> tuple[Float32[np.ndarray, "1 3 h w"], Float32[np.ndarray, "1 c _h _w"]]:
    """Return what a head that works at this side is shown: mirrored up to sides it can halve."""
    seen = working_image(image, side)
    size = (seen.shape[0], seen.shape[1])
    below, beside = (-n % MULTIPLE for n in size)
    seen = np.pad(seen, ((0, below), (0, beside), (0, 0)), "symmetric")
    cells = (seen.shape[0] // CELL, seen.shape[1] // CELL)
    maps = working_maps(embedding, size, cells)
    return np.ascontiguousarray(seen.transpose(2, 0, 1))[None], maps[None]
