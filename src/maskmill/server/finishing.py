"""What comes after strokes, in a process of its own: judged, given rules, tried, carried away.

The other half of a scribbling child beside `Worker`, whose classifier and features it takes.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np

from maskmill.deploy import deploy
from maskmill.errors import DatasetError, ImageError
from maskmill.images import open_image
from maskmill.rle import Rle
from maskmill.scribble.checking import Confusion, confuse, leave_out, truth_of
from maskmill.scribble.classifier import at_size, predict, save, uncertainty
from maskmill.scribble.features import extract
from maskmill.scribble.rules import RuleSet
from maskmill.scribble.shaping import shape
from maskmill.scribble.suggest import Labelled, Suggestion, suggest
from maskmill.scribble.worker import Close, Marked, Worker, closed, levels
from maskmill.server.child import Answers

MOST_VALUES = 256 << 20
"""Probabilities that a search for rules holds in memory, four bytes each."""
LEAST_SEARCHED = 2
"""Images that it is done on, however large they are."""


class Truth(NamedTuple):
    """An image, and masks with their categories that people answer for."""

    image_id: int
    content_hash: str
    path: str
    size: tuple[int, int]
    masks: tuple[tuple[str | None, Rle], ...]


class ImageCheck(NamedTuple):
    """How well one labelled image is segmented; None where it shows nothing to judge."""

    image_id: int
    iou: float | None


class LeftOut(NamedTuple):
    """A labelled image that cannot be used, and why."""

    image_id: int
    reason: str


class Checked(NamedTuple):
    """How good the classifier is on what it has not learned from."""

    strokes: Confusion | None
    """In cells that were marked; None with strokes on fewer than two images."""
    unjudged: tuple[str, ...]
    """Categories that are marked on one image only."""
    masks: Confusion | None
    """In pixels of labelled images; None without any."""
    images: tuple[ImageCheck, ...]
    """Labelled images, the worst first."""
    left_out: tuple[LeftOut, ...]


class Suggested(NamedTuple):
    """Rules, and what they were searched on."""

    suggestions: list[Suggestion]
    images: int
    large: int
    """Labelled images that were left out because all others are smaller."""


class Tried(NamedTuple):
    """What is found on an image that is in no project."""

    found: Close
    doubt: float
    seconds: float


class Finisher:
    """Answers about a classifier as a whole.

    Args:
        worker: Whose classifier and features it takes.
        model: The promptable model's name or folder.
    """

    def __init__(self, worker: Worker, model: str) -> None:
        self._worker, self._model = worker, model

    def check(
        self,
        marked: Sequence[Marked],
        categories: Sequence[str],
        labelled: Sequence[Truth],
        rules: bytes,
    ) -> Checked:
        """Judge the classifier by strokes that were left out and by labelled images.

        Args:
            marked: What was drawn.
            categories: Names of what strokes mean.
            labelled: Images without strokes.
            rules: A rule set as JSON, applied to labelled images.

        Raises:
            NotFound: If there is no classifier yet.
            ImageError: If an image cannot be used.
        """
        model = self._worker.trained()
        strokes, unjudged = leave_out(*self._worker.drawn(marked, categories), categories)
        wanted = msgspec.json.decode(rules, type=RuleSet)
        left_out: list[LeftOut] = []
        told = {}
        for image_id, case in self._cases(labelled, left_out):
            shaped = shape(case.probabilities, model.categories, wanted)
            found = levels(shaped, model).astype(np.int16)
            told[image_id] = confuse(case.labels, found, model.categories)
        if not told:
            return Checked(strokes, unjudged, None, (), tuple(left_out))
        counts = np.sum([each.counts for each in told.values()], axis=0)
        masks = Confusion(categories=model.categories, counts=counts)
        images = [ImageCheck(i, each.mean_iou(masks.shown())) for i, each in told.items()]
        images.sort(key=lambda each: 2.0 if each.iou is None else each.iou)
        return Checked(strokes, unjudged, masks, tuple(images), tuple(left_out))

    def suggest(self, labelled: Sequence[Truth]) -> Suggested:
        """Search rules that raise IoU on labelled images, the smaller ones first.

        Errors as of `check`.

        Raises:
            ConfigError: If there are fewer than two labelled images that can be used.
        """
        categories = self._worker.trained().categories
        chosen, values = list[Labelled](), 0
        by_size = sorted(labelled, key=lambda truth: truth.size[0] * truth.size[1])
        for place, truth in enumerate(by_size):
            values += len(categories) * truth.size[0] * truth.size[1]
            if len(chosen) >= LEAST_SEARCHED and values > MOST_VALUES:
                return Suggested(suggest(chosen, categories), len(chosen), len(by_size) - place)
            chosen += [case for _, case in self._cases([truth], [])]
        return Suggested(suggest(chosen, categories), len(chosen), 0)

    def try_image(self, image: bytes, rules: bytes) -> Tried:
        """Segment an image's bytes, as a deployment would.

        Raises:
            ImageError: If they cannot be used as an image.
            NotFound: If there is no classifier yet.
        """
        began = time.perf_counter()
        model, opened = self._worker.trained(), open_image(image)
        features = extract(opened.array, self._worker.predictor.embed(opened.array))
        coarse = predict(model, features)
        wanted = msgspec.json.decode(rules, type=RuleSet)
        found = closed(model, at_size(coarse, features.size), wanted)
        seconds = time.perf_counter() - began
        return Tried(found, float(uncertainty(coarse).mean()), seconds)

    def deploy(self, out: str, rules: bytes) -> dict[str, Any]:
        """Write what `maskmill deploy` writes; returns the deployment's card.

        Args:
            out: A new folder.
            rules: A rule set as JSON.

        Raises:
            NotFound: If there is no classifier yet.
        """
        wanted = msgspec.json.decode(rules, type=RuleSet)
        with TemporaryDirectory() as scratch:
            save(self._worker.trained(), Path(scratch))
            return deploy(Path(scratch), Path(out), model=self._model, rules=wanted)

    def _cases(
        self, labelled: Sequence[Truth], left_out: list[LeftOut]
    ) -> Iterator[tuple[int, Labelled]]:
        """Predict labelled images one by one; one that cannot be used is named, stops nobody."""
        for truth in labelled:
            try:
                yield truth.image_id, self._case(truth)
            except (ImageError, DatasetError) as error:
                reason = str(error).replace(truth.path, "the image")
                left_out.append(LeftOut(truth.image_id, reason))

    def _case(self, truth: Truth) -> Labelled:
        model = self._worker.trained()
        features = self._worker.features(truth.content_hash, truth.path)
        if features.size != truth.size:
            raise DatasetError(f"{truth.path} has another size than its labels; label it again")
        labels = truth_of(truth.masks, model.categories, truth.size)
        probabilities = at_size(predict(model, features), truth.size)
        return Labelled(probabilities=probabilities, labels=labels)


def start(folder: Path, model: str) -> Answers:
    """Load the model; what a scribbling child does first.

    Args:
        folder: The project's.
        model: The promptable model's name or folder.

    Returns:
        What answers a method's name of `Worker` or `Finisher`, its arguments, and its named ones.
    """
    with suppress(ImportError):  # training says what to install
        import sklearn.ensemble  # noqa: F401  so that the first stroke need not wait for it
    cv2.setNumThreads(1)
    worker = Worker(folder, model)
    finisher = Finisher(worker, model)

    def answer(what: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        whose = worker if hasattr(worker, what) else finisher
        return getattr(whose, what)(*arguments, **named)

    return answer
