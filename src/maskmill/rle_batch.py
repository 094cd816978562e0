"""Many masks at once: a file of two million is checked in a minute, not in an hour.

`rle.area` spends its 0.1 ms on calling NumPy, hardly any on the numbers. Here the run lengths of
many masks are read as one long text. It is a second reader, so the tests hold it to the first one,
and whatever looks wrong to it is left to the first one to explain.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8

from maskmill.rle import (
    FIRST_CHAR,
    LAST_CHAR,
    LOW_BITS,
    MAX_AREA,
    MAX_GROUPS,
    MAX_RUNS,
    MORE_BIT,
    SIGN_BIT,
    Rle,
    area,
    box,
    checked_size,
)

BATCH_CHARS = 1 << 17
"""Characters that are read at once; working on them takes some megabytes."""


def areas(masks: Sequence[Rle]) -> Int[np.ndarray, " n"]:
    """Count the pixels of many masks: `area` of each, and many times as fast for small ones.

    Args:
        masks: Masks, of any sizes.

    Returns:
        Areas in pixels; 0 for an empty mask.

    Raises:
        MaskError: If the run lengths of any are malformed.

    Example:
        >>> areas([Rle((2, 3), b"231"), Rle((1, 4), b"4")]).tolist()
        [3, 0]
    """
    out, start = np.zeros(len(masks), np.int64), 0
    for batch in _batches(masks):
        read = _read_sound(batch)
        stop = start + len(batch)
        # Only a batch with damage in it is read mask by mask, to say which one and why.
        out[start:stop] = [area(one) for one in batch] if read is None else read.areas()
        start = stop
    return out


def boxes(masks: Sequence[Rle]) -> Int[np.ndarray, "n 4"]:
    """Measure many masks: `rle.box` of each, and many times as fast for small ones.

    Args:
        masks: Masks, of any sizes.

    Returns:
        Half-open XYXY boxes, pixels; zeros for an empty mask.

    Raises:
        MaskError: If the run lengths of any are malformed.

    Example:
        >>> boxes([Rle((2, 3), b"231"), Rle((1, 4), b"4")]).tolist()
        [[1, 0, 3, 2], [0, 0, 0, 0]]
    """
    out, start = np.zeros((len(masks), 4), np.int64), 0
    for batch in _batches(masks):
        read = _read_sound(batch)
        stop = start + len(batch)
        out[start:stop] = [box(one) for one in batch] if read is None else read.boxes()
        start = stop
    return out


def areas_and_boxes(
    masks: Sequence[Rle],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, "n 4"]]:
    """Measure both at once; arguments and errors as of `areas` and `boxes`."""
    both, start = np.zeros((len(masks), 5), np.int64), 0
    for batch in _batches(masks):
        read = _read_sound(batch)
        stop = start + len(batch)
        if read is None:
            both[start:stop] = [(area(one), *box(one)) for one in batch]
        else:
            both[start:stop, 0], both[start:stop, 1:] = read.areas(), read.boxes()
        start = stop
    return both[:, 0], both[:, 1:]


def _batches(masks: Sequence[Rle]) -> Iterator[Sequence[Rle]]:
    start, waiting = 0, 0
    for stop, mask in enumerate(masks, 1):
        waiting += len(mask.counts)
        if waiting >= BATCH_CHARS or stop == len(masks):
            yield masks[start:stop]
            start, waiting = stop, 0


@dataclass(frozen=True)
class _Batch:
    """The run lengths of several masks, one after the other."""

    runs: Int[np.ndarray, " n"]
    foreground: Bool[np.ndarray, " n"]
    bounds: Int[np.ndarray, " m1"]
    """Where the runs of each mask begin, and the end."""
    heights: Int[np.ndarray, " m"]
    pixels: Int[np.ndarray, " m"]

    def areas(self) -> Int[np.ndarray, " m"]:
        covered = np.append(0, np.cumsum(np.where(self.foreground, self.runs, 0)))
        return np.asarray(np.diff(covered[self.bounds]))

    def boxes(self) -> Int[np.ndarray, "m 4"]:
        amounts = np.diff(self.bounds)
        places = np.flatnonzero(self.foreground & (self.runs > 0))
        out = np.zeros((len(amounts), 4), np.int64)
        if not len(places):
            return out
        owner = np.repeat(np.arange(len(amounts)), amounts)[places]
        begin = np.flatnonzero(np.diff(owner, prepend=-1))
        over = np.append(begin[1:], len(owner)) - 1  # each mask's last foreground run
        rows = owner[begin]
        # Masks are counted on one after the other; each fills whole columns, so rows are right.
        first = (np.cumsum(self.runs) - self.runs)[places]
        lengths, start = self.runs[places], np.append(0, np.cumsum(self.pixels))[rows]
        height = self.heights[rows]
        y0 = self._rows_of(first, owner)
        y1 = y0 + lengths - 1
        # A run over the end of a column covers the bottom of one and the top of the next.
        bottom = (self.heights[0] if self._alike else self.heights[owner]) - 1
        y0[y1 > bottom] = 0
        out[rows, 0] = (first[begin] - start) // height
        out[rows, 1] = np.minimum.reduceat(y0, begin)
        out[rows, 2] = (first[over] + lengths[over] - 1 - start) // height + 1
        out[rows, 3] = np.maximum.reduceat(np.minimum(y1, bottom), begin) + 1
        return out

    @property
    def _alike(self) -> bool:
        return bool((self.heights == self.heights[0]).all())

    def _rows_of(
        self, places: Int[np.ndarray, " k"], owner: Int[np.ndarray, " k"]
    ) -> Int[np.ndarray, " k"]:
        if self._alike:  # dividing by one number is several times as fast as by one for each
            height = int(self.heights[0])
            return np.asarray(places - places // height * height)
        start = np.cumsum(self.pixels) - self.pixels
        return np.asarray((places - start[owner]) % self.heights[owner])


def _read_sound(masks: Sequence[Rle]) -> _Batch | None:
    """Read masks whose counts together are one long text; None if any is malformed."""
    counts = [mask.counts for mask in masks]
    if not all(type(one) is bytes and one for one in counts):
        return None
    pixels_of = {size: math.prod(checked_size(size)) for size in {mask.size for mask in masks}}
    pixels = np.array([pixels_of[mask.size] for mask in masks])
    last = np.cumsum([len(one) for one in counts]) - 1  # each mask's last character
    # Characters below "0" wrap around to the largest values of a byte.
    groups = np.frombuffer(b"".join(counts), np.uint8) - np.uint8(FIRST_CHAR)
    ends = np.flatnonzero(groups < MORE_BIT)
    # A mask whose last number is cut short would read on in the next one.
    if groups.max() > LAST_CHAR - FIRST_CHAR or (groups[last] >= MORE_BIT).any():
        return None
    if np.diff(ends, prepend=-1).max() > MAX_GROUPS:
        return None
    bounds = np.append(0, np.searchsorted(ends, last) + 1)
    amounts = np.diff(bounds)
    if (amounts > np.minimum(pixels + 1, MAX_RUNS)).any():
        return None
    runs, foreground = _runs_of_many(_numbers(groups, ends), bounds[:-1], amounts)
    # The runs are bounded before they are added up, so that no sum leaves int64.
    if runs.min() < 0 or runs.max() > MAX_AREA:
        return None
    if (np.add.reduceat(runs, bounds[:-1]) != pixels).any():
        return None
    return _Batch(runs, foreground, bounds, np.array([mask.size[0] for mask in masks]), pixels)


def _numbers(groups: UInt8[np.ndarray, " c"], ends: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Join groups of five bits; `ends` says where the last group of each number is."""
    lengths = np.diff(ends, prepend=-1)
    # The last group holds the sign and the highest bits; earlier ones are pushed in below it.
    values = (groups[ends].astype(np.int64) ^ SIGN_BIT) - SIGN_BIT
    for k in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > k)
        values[longer] = values[longer] << 5 | groups[ends[longer] - k] & LOW_BITS
    return np.asarray(values)


def _runs_of_many(
    values: Int[np.ndarray, " n"], first: Int[np.ndarray, " m"], amounts: Int[np.ndarray, " m"]
) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Add up differences within each mask; `first` is where its numbers begin.

    Returns:
        The run lengths, and which of them are foreground.
    """
    # Sums over every second number run on through all masks (the two in front stand for nothing);
    # what had been reached when a mask began is then taken off.
    sums = np.concatenate([[0, 0], values])
    sums[0::2], sums[1::2] = np.cumsum(sums[0::2]), np.cumsum(sums[1::2])
    foreground = ((np.arange(len(values)) - np.repeat(first, amounts)) & 1).astype(bool)
    # A mask's third number is no difference to its first, so the even sums begin after that one.
    before = np.where(
        foreground, np.repeat(sums[first + 1], amounts), np.repeat(sums[first + 2], amounts)
    )
    before[first] = sums[first]
    return sums[2:] - before, foreground
