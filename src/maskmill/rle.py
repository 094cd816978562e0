"""COCO run lengths: masks as short strings, and their area, box, IoU and union without decoding.

A mask is read down its columns (frame: pixels of the image, size (H, W)) and written as the
lengths of its runs, background first; the numbers are then packed five bits to a character, byte for
byte as pycocotools does. This file is NumPy only and is the gate for masks from outside: nothing is
decoded, measured or written before it was checked. It knows no file format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from maskmill.errors import MaskError

MAX_SIDE = 65_535
"""Longest side of a mask, pixels."""
MAX_AREA = 2**28
"""Most pixels of a mask: decoding takes a byte each, so no input can ask for more than 256 MiB."""

# Seven groups of five bits hold every difference of two runs up to MAX_AREA, and the sum of as many
# of them as a mask can have runs stays within int64.
_MAX_GROUPS = 7
_FIRST_CHAR, _LAST_CHAR = ord("0"), ord("o")
_BITS, _SIGN_BIT, _MORE_BIT = 31, 16, 32


@dataclass(frozen=True)
class Rle:
    """A mask as compressed COCO run lengths.

    Made by hand it may hold anything; every function below checks it before use. Made by this file
    it is canonical: only its first run may be empty, so equal masks are equal values.

    Attributes:
        size: (H, W), pixels.
        counts: Run lengths down the columns, background first, in COCO's compressed form.

    Example:
        >>> encode(np.array([[False, True, True], [False, True, False]]))
        Rle(size=(2, 3), counts=b'231')
    """

    size: tuple[int, int]
    counts: bytes

    @classmethod
    def from_json(cls, obj: object) -> "Rle":
        """Read COCO's object, believing nothing in it.

        Run lengths that are valid but not canonical (an empty run in the middle, more characters
        than a number needs) are rewritten canonically, so that equal masks become equal values.

        Args:
            obj: `{"size": [H, W], "counts": ...}`, counts compressed (text or bytes) or a list of
                run lengths. Other keys are left alone.

        Returns:
            The mask, canonical; the bytes are unchanged if they were canonical.

        Raises:
            MaskError: If anything in it is malformed; the message says what and what is allowed.

        Example:
            >>> Rle.from_json({"size": [2, 3], "counts": [2, 1, 1, 2]})
            Rle(size=(2, 3), counts=b'2111')
        """
        if not isinstance(obj, Mapping) or "size" not in obj or "counts" not in obj:
            raise MaskError(f"a mask is {_show(obj)}; give an object with size [H, W] and counts")
        size, counts = _checked_size(obj["size"]), obj["counts"]
        if isinstance(counts, str):
            # What is not ASCII becomes "?", which is no character of a count and is refused below.
            counts = counts.encode("ascii", "replace")
        if isinstance(counts, bytes):
            runs = run_lengths(cls(size, counts))
        elif isinstance(counts, list | tuple):
            runs = _checked_runs(_integers(counts, _area(size)), _area(size))
        else:
            raise MaskError(
                f"counts is {_show(counts)}; give COCO's compressed text or a list of integers"
            )
        return _from_foreground(size, *_foreground(runs))

    def to_json(self) -> dict[str, Any]:
        """Return COCO's object, `{"size": [H, W], "counts": text}`.

        Raises:
            MaskError: If the run lengths are malformed; what reading refuses is never written.
        """
        run_lengths(self)
        return {"size": list(self.size), "counts": self.counts.decode("ascii")}


def encode(mask: Bool[np.ndarray, "h w"]) -> Rle:
    """Encode a mask.

    COCO reads down the columns and NumPy along the rows, and copying to the other order costs more
    than all the rest. So changes are found row against row, in the order memory has, and only
    their positions, which are few, are sorted into COCO's order.

    Args:
        mask: True where the object is.

    Returns:
        Its run lengths, canonical.

    Raises:
        MaskError: If a side is 0 or too long, or the area too large.
        TypeError: If it is not boolean.
    """
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise TypeError(f"a mask is {mask.dtype} {mask.shape}; give booleans (H, W), mask > 0 say")
    size = _checked_size(mask.shape)
    return _from_changes(size, _changes(np.ascontiguousarray(mask)))


def encode_many(masks: Bool[np.ndarray, "n h w"]) -> list[Rle]:
    """Encode masks of one size; as `encode` for each, and no masks give an empty list."""
    return [encode(mask) for mask in masks]


def decode(rle: Rle) -> Bool[np.ndarray, "h w"]:
    """Decode a mask.

    Args:
        rle: Run lengths from anywhere.

    Returns:
        True where the object is, C-contiguous.

    Raises:
        MaskError: If the run lengths are malformed, or would need more than `MAX_AREA` pixels.

    Example:
        >>> decode(Rle((2, 3), b"231")).tolist()
        [[False, True, True], [False, True, False]]
    """
    runs = run_lengths(rle)
    h, w = rle.size
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(w, h)
    return np.ascontiguousarray(columns.T)


def run_lengths(rle: Rle) -> Int[np.ndarray, " n"]:
    """Unpack and check the run lengths.

    Returns:
        Lengths of background, foreground, background and so on, pixels; at least one, none below 0,
        their sum H * W. Empty runs are kept as they were written.

    Raises:
        MaskError: If the size or the run lengths are malformed.

    Example:
        >>> run_lengths(Rle((2, 3), b"231")).tolist()
        [2, 3, 1]
    """
    size = _checked_size(rle.size)
    if not isinstance(rle.counts, bytes):
        raise MaskError(f"counts is {_show(rle.counts)}; give bytes, or use Rle.from_json")
    return _checked_runs(_unpack(rle.counts, _area(size)), _area(size))


def from_run_lengths(size: tuple[int, int], runs: Sequence[int] | Int[np.ndarray, " n"]) -> Rle:
    """Build a mask from run lengths.

    Args:
        size: (H, W), pixels.
        runs: Lengths down the columns, background first; empty ones are allowed anywhere.

    Returns:
        The mask, canonical.

    Raises:
        MaskError: If a run is negative or no integer, or their sum is not H * W.

    Example:
        >>> from_run_lengths((2, 3), [2, 1, 0, 1, 2]) == from_run_lengths((2, 3), [2, 2, 2])
        True
    """
    values = runs.tolist() if isinstance(runs, np.ndarray) else runs
    return Rle.from_json({"size": size, "counts": list(values)})


def area(rle: Rle) -> int:
    """Count the pixels of the object; 0 for an empty mask.

    Raises:
        MaskError: If the run lengths are malformed.
    """
    return int(run_lengths(rle)[1::2].sum())


def box(rle: Rle) -> tuple[int, int, int, int]:
    """Return the smallest half-open XYXY box around the object; (0, 0, 0, 0) for an empty mask.

    Raises:
        MaskError: If the run lengths are malformed.

    Example:
        >>> box(Rle((2, 3), b"231"))
        (1, 0, 3, 2)
    """
    starts, ends = _foreground(run_lengths(rle))
    return _box(rle.size[0], starts, ends)


def iou(
    a: Sequence[Rle], b: Sequence[Rle], *, crowd: Sequence[bool] | None = None
) -> Float[np.ndarray, "a b"]:
    """Measure the overlap of every mask of one list with every mask of another.

    The count of foreground pixels before a position is a broken line through a mask's run ends.
    Read off at the run ends of another mask, its differences add up to their intersection. Pairs
    whose boxes do not meet are skipped.

    Args:
        a: Masks, all of one size.
        b: Masks of the same size.
        crowd: One flag per mask of `b`; a crowd's overlap is divided by the area of the mask of `a`
            alone, as in COCO's evaluation. Default none.

    Returns:
        Intersection over union in [0, 1]; 0 where both are empty. Shape (0, m) or (n, 0) for empty
        lists.

    Raises:
        MaskError: If run lengths are malformed or sizes differ.
        ValueError: If there is not one flag per mask of `b`.
    """
    if crowd is not None and len(crowd) != len(b):
        raise ValueError(f"{len(crowd)} crowd flags for {len(b)} masks; give one per mask of b")
    size = _common_size([*a, *b])
    spans_a = [_foreground(run_lengths(rle)) for rle in a]
    spans_b = [_foreground(run_lengths(rle)) for rle in b]
    areas_a, areas_b = _areas(spans_a), _areas(spans_b)
    meets = _boxes_meet(size[0], spans_a, spans_b)
    out = np.zeros((len(a), len(b)))
    for j, span in enumerate(spans_b):
        rows = np.flatnonzero(meets[:, j])
        if len(rows):
            shared = _intersections([spans_a[i] for i in rows], span)
            whole = areas_a[rows] + (0 if crowd is not None and crowd[j] else areas_b[j] - shared)
            out[rows, j] = shared / whole
    return out


def union(masks: Sequence[Rle]) -> Rle:
    """Join masks of one size into one that covers what any of them covers.

    Raises:
        MaskError: If there are no masks, run lengths are malformed, or sizes differ.
    """
    if not masks:
        raise MaskError("a union of no masks has no size; give at least one mask")
    size = _common_size(masks)
    spans = [_foreground(run_lengths(rle)) for rle in masks]
    starts = np.concatenate([starts for starts, _ in spans])
    ends = np.concatenate([ends for _, ends in spans])
    order = np.argsort(starts, kind="stable")
    # Where every earlier run has ended before the next begins, a joined run ends.
    return _from_foreground(size, *_join(starts[order], np.maximum.accumulate(ends[order])))


def _show(value: object) -> str:
    """Name a value from outside in a few characters, whatever it is."""
    if isinstance(value, str | bytes):
        return repr(value[:40]) + ("..." if len(value) > 40 else "")
    # Python refuses to print very long integers, so they are not tried.
    if (
        value is None
        or isinstance(value, bool | float)
        or (isinstance(value, int) and abs(value) < 2**64)
    ):
        return repr(value)
    if isinstance(value, list | tuple) and len(value) <= 4:
        return (
            "["
            + ", ".join(_show(v) if not isinstance(v, list | tuple) else "[...]" for v in value)
            + "]"
        )
    return f"of type {type(value).__name__}" + (" beyond 64 bits" if isinstance(value, int) else "")


def _checked_size(size: object) -> tuple[int, int]:
    """Return (H, W) if it can be a mask's size."""
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or any(type(s) is not int for s in size)
    ):
        raise MaskError(f"a mask's size is {_show(size)}; give [H, W], two integers")
    h, w = size
    if not (1 <= h <= MAX_SIDE and 1 <= w <= MAX_SIDE):
        raise MaskError(
            f"a mask's size is {_show(size)}; sides are 1 to {MAX_SIDE} pixels: "
            "fix or leave out this mask"
        )
    if h * w > MAX_AREA:
        raise MaskError(
            f"a mask of {h} x {w} has {h * w} pixels; at most {MAX_AREA} are decoded: "
            "cut the image into parts"
        )
    return h, w


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _common_size(masks: Sequence[Rle]) -> tuple[int, int]:
    """Return the one (H, W) of all masks; (1, 1) stands in where there are none."""
    sizes = {_checked_size(rle.size) for rle in masks}
    if len(sizes) > 1:
        raise MaskError(f"masks have sizes {sorted(sizes)[:4]}; compare masks of one image only")
    return sizes.pop() if sizes else (1, 1)


def _integers(values: Sequence[object], area: int) -> Int[np.ndarray, " n"]:
    """Check run lengths one by one while they are Python's, where no value can overflow."""
    for i, value in enumerate(values):
        if type(value) is not int or not 0 <= value <= area:
            raise MaskError(
                f"run {i} of counts is {_show(value)}; runs are integers from 0 to {area}, "
                "the mask's area: fix or leave out this mask"
            )
    return np.array(values, np.int64)


def _checked_runs(runs: Int[np.ndarray, " n"], area: int) -> Int[np.ndarray, " n"]:
    """Return run lengths that fill a mask of this area exactly."""
    if not 1 <= len(runs) <= area + 1:
        raise MaskError(
            f"counts has {len(runs)} runs; a mask of {area} pixels has 1 to {area + 1}: "
            "fix or leave out this mask"
        )
    if runs.min() < 0 or runs.max() > area:
        i = int(np.flatnonzero((runs < 0) | (runs > area))[0])
        raise MaskError(
            f"run {i} of counts is {runs[i]}; runs are 0 to {area}, the mask's area: "
            "fix or leave out this mask"
        )
    if (total := int(runs.sum())) != area:
        raise MaskError(
            f"runs of counts add up to {total}; they must add up to {area}, the mask's area: "
            "is size [H, W] right?"
        )
    return runs


def _unpack(counts: bytes, area: int) -> Int[np.ndarray, " n"]:
    """Turn characters into numbers; they may still be no mask."""
    codes = np.frombuffer(counts, np.uint8)
    if not 1 <= len(codes) <= _MAX_GROUPS * (area + 1):
        raise MaskError(
            f"counts has {len(codes)} characters; a mask of {area} pixels has 1 to "
            f"{_MAX_GROUPS * (area + 1)}: fix or leave out this mask"
        )
    if codes.min() < _FIRST_CHAR or codes.max() > _LAST_CHAR:
        i = int(np.flatnonzero((codes < _FIRST_CHAR) | (codes > _LAST_CHAR))[0])
        raise MaskError(
            f"character {i} of counts is {counts[i : i + 1]!r}; characters are '0' to 'o': "
            "fix or leave out this mask"
        )
    groups = codes - _FIRST_CHAR
    ends = np.flatnonzero(groups < _MORE_BIT)
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    lengths = ends - starts + 1
    if groups[-1] >= _MORE_BIT or lengths.max() > _MAX_GROUPS:
        raise MaskError(
            f"counts {_show(counts)} holds a number that does not end within {_MAX_GROUPS} "
            "characters: the text is cut off or no COCO run lengths; fix or leave out this mask"
        )
    values = np.zeros(len(ends), np.int64)
    for k in range(int(lengths.max())):
        longer = np.flatnonzero(lengths > k)
        values[longer] |= (groups[starts[longer] + k] & _BITS).astype(np.int64) << (5 * k)
    values -= (groups[ends] & _SIGN_BIT > 0).astype(np.int64) << (5 * lengths)
    # From the fourth number on, each is the difference to the run two before it.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _pack(runs: Int[np.ndarray, " n"]) -> bytes:
    """Write run lengths in COCO's characters, five bits and a more-follows bit to each."""
    values = runs.copy()
    values[3:] -= runs[1:-2]
    # A number needs a group more at 2^4, 2^9, ...: the highest bit of the last group is its sign.
    magnitudes = values ^ (values >> 63)
    last = np.searchsorted(16 << (5 * np.arange(_MAX_GROUPS)), magnitudes, side="right")
    k = np.arange(int(last.max()) + 1)
    groups = (values[:, None] >> (5 * k)) & _BITS
    groups += np.where(k < last[:, None], _FIRST_CHAR + _MORE_BIT, _FIRST_CHAR)
    return bytes(groups[k <= last[:, None]].astype(np.uint8))


def _changes(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, " n"]:
    """Find where a C-contiguous mask changes, as sorted positions down the columns."""
    h, w = mask.shape
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.zeros(0, np.int64)
    first, last = max(int(rows[0]) - 1, 0), int(rows[-1]) + 2
    block = mask[first:last]
    y, x = np.divmod(np.flatnonzero(block[1:] != block[:-1]), w)
    # The top of a column follows the bottom of the column before it; the first follows background.
    top = mask[0].copy()
    top[1:] ^= mask[-1, :-1]
    changes = np.concatenate([x * h + (y + first + 1), np.flatnonzero(top) * h])
    changes.sort()
    return changes


def _from_changes(size: tuple[int, int], changes: Int[np.ndarray, " n"]) -> Rle:
    """Build the canonical mask that begins as background and flips at these rising positions."""
    inside = changes[: np.searchsorted(changes, _area(size))]
    return Rle(size, _pack(np.diff(inside, prepend=0, append=_area(size))))


def _from_foreground(
    size: tuple[int, int], starts: Int[np.ndarray, " n"], ends: Int[np.ndarray, " n"]
) -> Rle:
    return _from_changes(size, np.stack([starts, ends], axis=1).reshape(-1))


def _foreground(
    runs: Int[np.ndarray, " n"],
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Return where runs of foreground begin and end; none is empty and no two touch."""
    edges = np.cumsum(runs)
    ends = edges[1::2]
    starts = edges[: 2 * len(ends) : 2]
    filled = ends > starts
    return _join(starts[filled], ends[filled])


def _join(
    starts: Int[np.ndarray, " n"], ends: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Join runs that touch or overlap; starts and ends must not fall."""
    apart = starts[1:] > ends[:-1]
    return (
        np.concatenate([starts[:1], starts[1:][apart]]),
        np.concatenate([ends[:-1][apart], ends[-1:]]),
    )


def _box(
    h: int, starts: Int[np.ndarray, " n"], ends: Int[np.ndarray, " n"]
) -> tuple[int, int, int, int]:
    """Return the half-open XYXY box of runs of foreground; (0, 0, 0, 0) of none."""
    if not len(starts):
        return 0, 0, 0, 0
    x0, x1 = int(starts[0]) // h, int(ends[-1] - 1) // h + 1
    # A run over the end of a column covers the bottom of one and the top of the next.
    if (starts // h != (ends - 1) // h).any():
        return x0, 0, x1, h
    return x0, int((starts % h).min()), x1, int(((ends - 1) % h).max()) + 1


_Spans = list[tuple[Int[np.ndarray, " _n"], Int[np.ndarray, " _n"]]]


def _areas(spans: _Spans) -> Int[np.ndarray, " n"]:
    return np.array([int((ends - starts).sum()) for starts, ends in spans], np.int64)


def _boxes_meet(h: int, a: _Spans, b: _Spans) -> Bool[np.ndarray, "a b"]:
    """Say which pairs have boxes that share a pixel."""
    boxes_a = np.array([_box(h, *span) for span in a]).reshape(-1, 1, 4)
    boxes_b = np.array([_box(h, *span) for span in b]).reshape(1, -1, 4)
    low = np.maximum(boxes_a[..., :2], boxes_b[..., :2])
    high = np.minimum(boxes_a[..., 2:], boxes_b[..., 2:])
    return np.asarray((low < high).all(axis=-1))


def _intersections(
    masks: _Spans, other: tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]
) -> Float[np.ndarray, " n"]:
    """Count the pixels that each mask, none of them empty, shares with another."""
    starts, ends = other
    lengths = ends - starts
    edges = np.stack([starts, ends], axis=1).reshape(-1)
    before = np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1).reshape(-1)
    # Slopes are 0 or 1 and numbers below 2^53, so interpolation is exact.
    at_starts = np.interp(np.concatenate([s for s, _ in masks]), edges, before)
    at_ends = np.interp(np.concatenate([e for _, e in masks]), edges, before)
    offsets = np.cumsum([0, *(len(s) for s, _ in masks[:-1])])
    return np.add.reduceat(at_ends - at_starts, offsets)
