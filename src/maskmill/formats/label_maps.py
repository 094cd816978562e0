"""Label maps: one number per pixel, and the masks that they hold, without a pass per mask.

The frame is the image's; 0 is background. A map holds no overlap: where two masks meet, one wins.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Shaped

from maskmill import rle
from maskmill.rle import Rle

Map = Shaped[np.ndarray, "h w"]


def masks_of_map(labels: Map, ignore: Iterable[int] = (0,)) -> dict[int, Rle]:
    """Read the mask of every number in a map, in one pass over the pixels.

    Args:
        labels: Whole numbers, 0 or more.
        ignore: Numbers that are no object.

    Returns:
        Masks by number, rising; canonical.

    Example:
        >>> masks_of_map(np.array([[0, 2, 2], [0, 2, 0]]))
        {2: Rle(size=(2, 3), counts=b'231')}
    """
    # Down the columns, as run lengths go. Each run of one number is a run of that mask.
    flat = labels.T.ravel()
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    lengths = np.diff(starts, append=flat.size)
    numbers = flat[starts]
    order = np.argsort(numbers, kind="stable")
    bounds = np.flatnonzero(np.diff(numbers[order], prepend=-1, append=-1))
    skip = set(ignore)
    masks = {}
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        runs = order[begin:end]
        number = int(numbers[runs[0]])
        if number not in skip:
            masks[number] = _from_runs(labels.shape, starts[runs], lengths[runs])
    return masks


def _from_runs(size: tuple[int, ...], starts: np.ndarray, lengths: np.ndarray) -> Rle:
    """Build a mask from its runs of foreground, rising; no two touch."""
    edges = np.stack([starts, starts + lengths], axis=1).ravel()
    height, width = size
    runs = np.diff(edges, prepend=0, append=height * width)
    # No run of nothing at the end: a full mask of one pixel would have more runs than pixels.
    return rle.from_run_lengths((height, width), runs if runs[-1] else runs[:-1])


def majority(labels: Map, mask: Rle) -> int:
    """Return the number that most of a mask's pixels have in a map; 0 for an empty mask."""
    values, counts = np.unique(labels[rle.decode(mask)], return_counts=True)
    return int(values[counts.argmax()]) if len(values) else 0
