"""Decoding a grid in two steps, where the runtime can: ask what a mask promises, then draw it.

Drawing masks is half the decoder's work and most masks of a grid are not worth it. A backend with a
`point_decoder` draws only what is asked for; any other backend draws all at once.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int

from maskmill.predict import PADDING_LABEL, Predictor
from maskmill.values import Embedding

T = TypeVar("T")
R = TypeVar("R")


@runtime_checkable
class PointDecoder(Protocol):
    """Decodes single foreground points of one embedding, in the input frame.

    Attributes:
        most_at_once: Points past which a call gains no speed and only needs more memory.
    """

    most_at_once: int

    def attend(self, points: Float32[np.ndarray, "n 2"]) -> tuple[Any, Float32[np.ndarray, "n k"]]:
        """Return what `draw` needs, and the IoU that each point's candidates promise."""
        ...

    def draw(
        self, seen: Any, rows: Int[np.ndarray, " m"]
    ) -> tuple[Float32[np.ndarray, "m k low low"], Float32[np.ndarray, "m k"]]:
        """Return low-res mask logits and predicted IoU of some of the points that were seen."""
        ...

    def threads(self) -> AbstractContextManager[Executor | None]:
        """Return a pool whose threads may call this at once; None where a call uses all cores."""
        ...


class OneStep:
    """A `PointDecoder` over a backend that decodes in one step.

    Args:
        predictor: The model.
        embedding: Of the image or crop.
    """

    most_at_once = 64

    def __init__(self, predictor: Predictor, embedding: Embedding) -> None:
        self._predictor, self._embedding = predictor, embedding

    def attend(self, points: Float32[np.ndarray, "n 2"]) -> tuple[Any, Float32[np.ndarray, "n k"]]:
        """Decode everything."""
        logits, iou = self._predictor.decode(self._embedding, *point_prompts(points))
        return (logits, iou), iou

    def draw(
        self, seen: Any, rows: Int[np.ndarray, " m"]
    ) -> tuple[Float32[np.ndarray, "m k low low"], Float32[np.ndarray, "m k"]]:
        """Pick what is drawn already."""
        logits, iou = seen
        return logits[rows], iou[rows]

    def threads(self) -> AbstractContextManager[Executor | None]:
        """Return no pool: the runtime has its own."""
        return nullcontext()


def point_decoder(predictor: Predictor, embedding: Embedding) -> PointDecoder:
    """Return the quickest way to decode points on an embedding that the backend has."""
    start = getattr(predictor.backend, "point_decoder", None)
    decoder: PointDecoder | None = start and start(
        embedding.array[None].astype(np.float32, copy=False),
        tuple(finer[None].astype(np.float32, copy=False) for finer in embedding.high_res),
    )
    return decoder or OneStep(predictor, embedding)


def point_prompts(
    scaled: Float32[np.ndarray, "n 2"],
) -> tuple[Float32[np.ndarray, "n 2 2"], Int[np.ndarray, "n 2"]]:
    """Return one foreground point per prompt, with the padding point that stands for "no box"."""
    coords = np.zeros((len(scaled), 2, 2), np.float32)
    coords[:, 0] = scaled
    return coords, np.tile(np.array([1, PADDING_LABEL]), (len(scaled), 1))


def in_order(
    pool: Executor | None, function: Callable[[T], R], items: Iterable[T], *, ahead: int
) -> Iterator[R]:
    """Map over items in a pool, results in order, with few results waiting at any time.

    Args:
        pool: None to work in this thread.
        function: Called with each item.
        items: Taken one by one, as results are fetched.
        ahead: Most items taken and not yet fetched; bounds the memory.
    """
    if pool is None:
        yield from map(function, items)
        return
    items = iter(items)
    waiting: list[Future[R]] = [pool.submit(function, item) for item in islice(items, ahead)]
    while waiting:
        yield waiting.pop(0).result()
        waiting.extend(pool.submit(function, item) for item in islice(items, 1))
