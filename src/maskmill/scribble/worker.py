"""One process's part of Visual Prompting in a browser: features, a classifier, an image at a time.

A server keeps some of these in processes of their own. What goes in and out can be sent through a
pipe: names, hashes, strokes, pictures as PNG. Features are kept on the disk for all processes and
in memory for this one, so that a changed stroke reads no image again.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np
from jaxtyping import Float32, Int16, UInt8

from maskmill import rle
from maskmill.embed import embed_image
from maskmill.errors import NotFound
from maskmill.geometry import shrunk_size
from maskmill.images import OpenedImage, open_added
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.scribble.classifier import (
    PixelModel,
    at_size,
    predict,
    predict_pixels,
    train,
    uncertainty,
)
from maskmill.scribble.features import MOST_SIDE, FeatureCache, Features, extract
from maskmill.scribble.forest import Forest
from maskmill.scribble.pixels import Projection
from maskmill.scribble.refining import refine
from maskmill.scribble.rules import RuleSet
from maskmill.scribble.shaping import Shaped, shape
from maskmill.scribble.strokes import Stroke, draw
from maskmill.scribble.verdict import decide
from maskmill.store.embeddings import Embeddings
from maskmill.values import Embedding

KEPT = 256
"""Images whose features stay in memory, a megabyte each."""
REMOVED, ADDED = 1, 2
"""What a rule did to a pixel, in a picture of what all of them did."""


class Marked(NamedTuple):
    """An image and what was drawn on it."""

    content_hash: str
    path: str
    strokes: tuple[Stroke, ...]


class Trained(NamedTuple):
    """A `PixelModel` that can be sent to other processes."""

    categories: tuple[str, ...]
    forest: bytes
    projections: tuple[Projection, ...]
    model_id: str
    warnings: tuple[str, ...]


class Look(NamedTuple):
    """What is known of an image at the working grid, and what was decided of it."""

    labels: bytes
    """PNG; a place in the classifier's categories."""
    doubt: bytes
    """PNG; 0 sure, 255 no idea."""
    mean_doubt: float
    passed: bool | None
    findings: tuple[tuple[bool, str], ...]


class Close(NamedTuple):
    """What is known of an image at its own size."""

    labels: bytes
    """PNG; as of `Look`, after the rules."""
    changed: bytes
    """PNG; `REMOVED` and `ADDED` by the rules."""
    passed: bool | None
    findings: tuple[tuple[bool, str], ...]
    warnings: tuple[str, ...]
    doubt: bytes | None
    """PNG, as of `Look`, of the working image's size; None where cells were classified."""


class Region(NamedTuple):
    """One object, as a mask."""

    category: str
    mask: Rle
    certainty: float


class Worker:
    """Answers about the images of one project.

    Args:
        folder: The project's.
        model: The promptable model's name or folder.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.predictor = Predictor.load(model, threads=1)
        self._embeddings = Embeddings(folder / "embeddings")
        self._cache = FeatureCache(folder / "cache" / "features")
        self._kept: OrderedDict[str, Features] = OrderedDict()
        self._model: PixelModel | None = None

    def warm(self, content_hash: str, path: str) -> None:
        """See to it that an image's features are on the disk.

        Raises:
            ImageError: If the image cannot be used, or is another than was added.
        """
        if not self._cache.path(content_hash, self.predictor.model_id).exists():
            self.features(content_hash, path)

    def train(self, marked: Sequence[Marked], categories: Sequence[str]) -> Trained:
        """Learn categories from strokes.

        Raises:
            PromptError: If strokes do not fit their image, or mark fewer than two categories.
            ImageError: If an image cannot be used.
        """
        found = train(*self.drawn(marked, categories), categories)
        return Trained(
            found.categories, found.forest.content, found.projections, found.model_id,
            found.warnings,
        )  # fmt: skip

    def drawn(
        self, marked: Sequence[Marked], categories: Sequence[str]
    ) -> tuple[dict[str, Features], dict[str, Int16[np.ndarray, "_h _w"]]]:
        """Return what a classifier learns from, by path: features, and strokes as label maps.

        Errors as of `train`.
        """
        features = {each.path: self.features(*each[:2]) for each in marked}
        labels = {
            each.path: draw(each.strokes, categories, features[each.path].size) for each in marked
        }
        return features, labels

    def use(self, trained: Trained) -> None:
        """Answer with this classifier from now on."""
        self._model = PixelModel(
            categories=trained.categories,
            forest=Forest(trained.forest),
            projections=trained.projections,
            model_id=trained.model_id,
            warnings=trained.warnings,
        )

    def look(self, content_hash: str, path: str, rules: bytes) -> Look:
        """Predict an image at its working grid, and decide by the rules if they decide anything.

        Args:
            content_hash: Of the image.
            path: Where it lies.
            rules: A rule set as JSON.

        Raises:
            ImageError: If the image cannot be used.
            ConfigError: If a rule speaks of a category that was not marked.
            NotFound: If there is no classifier yet.
        """
        model, features = self.trained(), self.features(content_hash, path)
        wanted = msgspec.json.decode(rules, type=RuleSet)
        found = predict(model, features)
        labels = found.argmax(axis=0).astype(np.uint8)
        passed: bool | None = None
        findings: tuple[tuple[bool, str], ...] = ()
        if wanted.categories or wanted.decisions:
            shaped = shape(at_size(found, features.size), model.categories, wanted)
            whole = levels(shaped, model)
            labels = cv2.resize(whole, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
            passed, findings = _verdict(shaped, wanted)
        doubt = uncertainty(found)
        return Look(_png(labels), _png(_grey(doubt)), float(doubt.mean()), passed, findings)

    def close(self, content_hash: str, path: str, rules: bytes, *, full: bool = False) -> Close:
        """Predict an image at its own size and apply rules; arguments and errors as of `look`.

        Args:
            content_hash: Of the image.
            path: Where it lies.
            rules: A rule set as JSON.
            full: Classify every pixel instead of the working grid's cells; takes seconds.
        """
        features = self.features(content_hash, path)
        found = self._at_size(features, path, content_hash, full)
        close = closed(self.trained(), found, msgspec.json.decode(rules, type=RuleSet))
        return close._replace(doubt=_png(_grey(_doubt(found)))) if full else close

    def regions(
        self,
        content_hash: str,
        path: str,
        rules: bytes,
        *,
        refined: bool = False,
        full: bool = False,
    ) -> list[Region]:
        """Return the objects of an image as masks; arguments and errors as of `look`.

        Args:
            content_hash: Of the image.
            path: Where it lies.
            rules: A rule set as JSON.
            refined: Let the promptable model draw each region again.
            full: As of `close`.
        """
        model, features = self.trained(), self.features(content_hash, path)
        found = self._at_size(features, path, content_hash, full)
        shaped = shape(found, model.categories, msgspec.json.decode(rules, type=RuleSet))
        embedding = self._embedding(content_hash, path)[0] if refined else None
        out = []
        for name, regions in shaped.regions.items():
            certainty = found[model.categories.index(name)]
            if embedding is not None:
                regions = refine(self.predictor, embedding, regions)[0]
            for number in range(1, int(regions.max(initial=0)) + 1):
                mask = regions == number
                if mask.any():
                    out.append(Region(name, rle.encode(mask), float(certainty[mask].mean())))
        return out

    def trained(self) -> PixelModel:
        """Return the classifier that answers now.

        Raises:
            NotFound: If there is none yet.
        """
        if self._model is None:
            raise NotFound("there is no classifier yet; draw strokes of two categories")
        return self._model

    def _at_size(
        self, features: Features, path: str, content_hash: str, full: bool
    ) -> Float32[np.ndarray, "k h w"]:
        model = self.trained()
        if not full:
            return at_size(predict(model, features), features.size)
        embedding, opened = self._embedding(content_hash, path)
        opened = opened or open_added(Path(path), content_hash)
        return predict_pixels(model, opened.array, embedding, features)

    def features(self, content_hash: str, path: str) -> Features:
        """Return an image's features, kept in memory and on the disk.

        Raises:
            ImageError: If the image cannot be used, or is another than was added.
        """
        kept = self._kept.pop(content_hash, None)
        kept = kept or self._cache.get(content_hash, self.predictor.model_id)
        if kept is None:
            embedding, opened = self._embedding(content_hash, path)
            opened = opened or open_added(Path(path), content_hash)
            kept = extract(opened.array, embedding)
            self._cache.put(content_hash, kept)
        self._kept[content_hash] = kept
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept

    def _embedding(self, content_hash: str, path: str) -> tuple[Embedding, OpenedImage | None]:
        """Return an embedding out of the project's, and the image if it was opened for it."""
        opened = embed_image(self.predictor, self._embeddings, (path, content_hash))
        found = self._embeddings.get(content_hash, self.predictor.model_id)
        if found is None:  # evicted at this very moment
            opened = opened or open_added(Path(path), content_hash)
            found = self.predictor.embed(opened.array)
        return found, opened


def closed(model: PixelModel, found: Float32[np.ndarray, "k h w"], rules: RuleSet) -> Close:
    """Apply rules to what was found at an image's own size."""
    shaped = shape(found, model.categories, rules)
    changed = np.zeros(found.shape[1:], np.uint8)
    first = found.argmax(axis=0) if shaped.steps else changed
    for name in dict.fromkeys(step.category for step in shaped.steps):
        # Before and after: what one rule took and the next gave back was not changed.
        before, after = first == model.categories.index(name), shaped.regions[name] > 0
        changed[before & ~after] = REMOVED
        changed[after & ~before] = ADDED
    passed, findings = _verdict(shaped, rules)
    labels = _png(levels(shaped, model))
    return Close(labels, _png(changed), passed, findings, shaped.warnings, None)


def _doubt(found: Float32[np.ndarray, "k h w"]) -> Float32[np.ndarray, "_h _w"]:
    """Return the doubt of what was classified: of a large image no more was seen."""
    size = (found.shape[1], found.shape[2])
    seen = shrunk_size(size, MOST_SIDE)
    return uncertainty(found if seen == size else at_size(found, seen))


def levels(shaped: Shaped, model: PixelModel) -> UInt8[np.ndarray, "h w"]:
    """Return places in the categories; without a background, 255 where no region is."""
    return np.asarray(shaped.labels(model.categories)).astype(np.uint8)


def _verdict(shaped: Shaped, rules: RuleSet) -> tuple[bool | None, tuple[tuple[bool, str], ...]]:
    findings = tuple((f.passed, f.reason) for f in decide(shaped.regions, rules.decisions))
    return (all(passed for passed, _ in findings) if findings else None), findings


def _grey(share: Float32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    return np.asarray(np.clip(share * 255, 0, 255), np.uint8)


def _png(values: UInt8[np.ndarray, "h w"]) -> bytes:
    return bytes(cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
