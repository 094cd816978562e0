"""The category head at work: names for masks, and what the hold-out says of them.

It runs its ONNX file and needs no PyTorch. It knows categories by name: one that was renamed since
is not given any more until a round has trained again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from maskmill.descriptors import describe
from maskmill.engine.head_files import open_head, read_head_card, refuse_other_model
from maskmill.formats import LabelledImage, read_pixels
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.values import Embedding

SURE = 0.5
"""Chance from which a mask is given a category; below it a person is not told a guess."""


class Categoriser:
    """An exported category head, ready to run on one thread.

    Args:
        folder: What `detecting.write_categories` wrote.

    Attributes:
        card: Which model it belongs to, and how it was trained.
        names: Of the categories.

    Raises:
        NotFound: If there is none.
        CheckpointError: If its files cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card = read_head_card(folder, "categories", {"model", "names"})
        self.names = tuple(map(str, self.card["names"]))
        self._session = open_head(folder, "categories")

    def __reduce__(self) -> tuple[Any, ...]:
        return Categoriser, (self.folder,)

    def name(
        self, image: UInt8[np.ndarray, "h w 3"], embedding: Embedding, masks: Sequence[Rle]
    ) -> list[str | None]:
        """Name what masks of an image show; None where it is unsure.

        Raises:
            ValueError: If the embedding was made by another model.
        """
        refuse_other_model(embedding, self.card, "categories")
        if not masks:
            return []
        chances = self.chances(describe(image, embedding, masks))
        best = chances.argmax(1)
        sure = chances[np.arange(len(best)), best] >= SURE
        return [self.names[k] if s else None for k, s in zip(best, sure, strict=True)]

    def chances(self, descriptors: Float32[np.ndarray, "n f"]) -> Float32[np.ndarray, "n k"]:
        """Run the head itself; see `maskmill.model.category_head`."""
        (chances,) = self._session.run(None, {"descriptors": descriptors})
        return np.asarray(chances)


@dataclass(frozen=True, kw_only=True)
class CategoryCheck:
    """How hold-out masks are named.

    Attributes:
        categories: Names of the rows and of the columns.
        counts: Masks; a row is what people said, a column what the head says, and the last column
            is nothing at all.
        images: Each hold-out image with its masks named wrongly, and all; the worst first.
    """

    categories: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    images: tuple[tuple[int, int, int], ...]


def check_from_json(told: Mapping[str, Any]) -> CategoryCheck:
    """Read what `asdict` made of a check, from a card."""
    return CategoryCheck(
        categories=tuple(told["categories"]),
        counts=tuple(tuple(row) for row in told["counts"]),
        images=tuple((each[0], each[1], each[2]) for each in told["images"]),
    )


def check_categories(
    categoriser: Categoriser, predictor: Predictor, images: Sequence[LabelledImage]
) -> CategoryCheck | None:
    """Hold a category head against images that it has not learned from.

    Args:
        categoriser: The head.
        predictor: Its model.
        images: Of a project, with masks that have categories; other masks are passed over.

    Returns:
        None where no mask has a category that the head knows.
    """
    names = categoriser.names
    counts = np.zeros((len(names), len(names) + 1), int)
    judged: list[tuple[int, int, int]] = []
    for image in images:
        masks = [m for m in image.annotations if m.category in names and not m.is_crowd]
        if not masks:
            continue
        pixels = read_pixels(image)
        said = categoriser.name(pixels, predictor.embed(pixels), [m.rle for m in masks])
        wrong = 0
        for mask, name in zip(masks, said, strict=True):
            to = len(names) if name is None else names.index(name)
            counts[names.index(mask.category or ""), to] += 1
            wrong += name != mask.category
        judged.append((int(image.image_id), wrong, len(masks)))
    if not judged:
        return None
    worst = sorted(judged, key=lambda each: (-each[1] / each[2], -each[1], each[0]))
    return CategoryCheck(
        categories=names,
        counts=tuple(tuple(map(int, row)) for row in counts),
        images=tuple(worst),
    )
