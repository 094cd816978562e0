"""COCO run lengths: masks as short strings, and their area, box, IoU and union without decoding.

A mask is read down its columns (frame: pixels of the image, size (H, W)) and written as the
lengths of its runs, background first; the numbers are then packed five bits to a character, byte
for byte as pycocotools does. This file is NumPy only and is the gate for masks from outside:
nothing is decoded, measured or written before it was checked. It knows no file format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from maskmill.errors import MaskError

MAX_SIDE = 65_535
"""Longest side of a mask, pixels."""
MAX_AREA = 2**28
"""Most pixels of a mask, 16384 x 16384; decoding takes two bytes each, so at most 512 MiB."""
MAX_RUNS = 2**25
"""Most runs of a mask; work takes some 50 bytes each. A checkerboard of 4096 x 4096 has half."""

# Seven groups of five bits hold every difference of two runs up to MAX_AREA, and the sum of as many
# of them as a mask can have runs stays within int64.
MAX_GROUPS = 7
FIRST_CHAR, LAST_CHAR = ord("0"), ord("o")
LOW_BITS, SIGN_BIT, MORE_BIT = 31, 16, 32
_NEXT_STEP = "fix or leave out this mask"


@dataclass(frozen=True)
class Rle:
    """A mask as compressed COCO run lengths.

    Made by hand it may hold anything; every function here checks it before use. Made by this file
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
        """
        if not isinstance(obj, Mapping) or "size" not in obj or "counts" not in obj:
            raise MaskError(f"a mask is {_show(obj)}; give an object with size [H, W] and counts")
        size, counts = checked_size(obj["size"]), obj["counts"]
        if isinstance(counts, str):
            # Bytes of what is not ASCII lie above "o" and are refused below.
            counts = counts.encode("utf-8", "surrogatepass")
        if isinstance(counts, bytes):
            runs = run_lengths(cls(size, counts))
        elif isinstance(counts, list | tuple):
            runs = _checked_runs(_integers(counts, size), size)
        else:
            raise MaskError(f"counts is {_show(counts)}; give COCO's text or a list of integers")
        return _from_changes(size, _spans(runs).ravel())

    def to_json(self) -> dict[str, list[int] | str]:
        """Return COCO's object, `{"size": [H, W], "counts": text}`.

        Raises:
            MaskError: If the run lengths are malformed; what reading refuses is never written.
        """
        run_lengths(self)
        return {"size": list(self.size), "counts": self.counts.decode("ascii")}


def encode(mask: Bool[np.ndarray, "h w"]) -> Rle:
    """Encode a mask, canonically.

    COCO reads down the columns, memory lies along the rows, and turning it costs more than all the
    rest. So rows are compared with rows, and only the few positions that change are put in order.

    Args:
        mask: True where the object is.

    Raises:
        MaskError: If a side is 0 or too long, or there are too many pixels or runs.
        TypeError: If it is not boolean.
    """
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise TypeError(f"a mask is {mask.dtype} {mask.shape}; give booleans (H, W), mask > 0 say")
    size = checked_size(mask.shape)
    return _from_changes(size, _changes(np.ascontiguousarray(mask)))


def encode_many(masks: Bool[np.ndarray, "n h w"]) -> list[Rle]:
    """Encode masks of one size; as `encode` for each, and no masks give an empty list."""
    return [encode(mask) for mask in masks]


def decode(rle: Rle) -> Bool[np.ndarray, "h w"]:
    """Decode a mask into a C-contiguous array, True where the object is.

    Raises:
        MaskError: If the run lengths are malformed, or would need more than `MAX_AREA` pixels.

    Example:
        >>> decode(Rle((2, 3), b"231")).tolist()
        [[False, True, True], [False, True, False]]
    """
    runs = run_lengths(rle)
    h, w = rle.size
    left, _, right, _ = _box(h, _spans(runs))
    within = np.diff(np.cumsum(runs).clip(left * h, right * h), prepend=left * h)
    columns = np.repeat(np.arange(len(runs)) % 2 > 0, within).reshape(right - left, h)
    mask = np.zeros((h, w), bool)
    held = mask[:, left:right]  # most masks are small, and what is not touched costs nothing
    for x in range(0, right - left, 32):  # all columns turned at once take twice as long
        held[:, x : x + 32] = columns[x : x + 32].T
    return mask


def run_lengths(rle: Rle) -> Int[np.ndarray, " n"]:
    """Unpack and check the run lengths.

    Returns:
        Lengths of background, foreground, background and so on, pixels; at least one, none below 0,
        their sum H * W. Empty runs are kept as they were written.

    Raises:
        MaskError: If the size or the run lengths are malformed.
    """
    size = checked_size(rle.size)
    if not isinstance(rle.counts, bytes):
        raise MaskError(f"counts is {_show(rle.counts)}; give bytes, or use Rle.from_json")
    return _checked_runs(_unpack(rle.counts, size), size)


def from_run_lengths(size: tuple[int, int], runs: Sequence[int] | Int[np.ndarray, " n"]) -> Rle:
    """Build a mask from run lengths, canonically.

    Args:
        size: (H, W), pixels.
        runs: Lengths down the columns, background first; empty ones are allowed anywhere.

    Raises:
        MaskError: If a run is negative or no integer, or their sum is not H * W.
    """
    values = runs.tolist() if isinstance(runs, np.ndarray) else list(runs)
    return Rle.from_json({"size": size, "counts": values})


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
    return _box(rle.size[0], _spans(run_lengths(rle)))


def iou(
    a: Sequence[Rle], b: Sequence[Rle], *, crowd: Sequence[bool] | None = None
) -> Float[np.ndarray, "a b"]:
    """Measure the overlap of every mask of one list with every mask of another.

    The count of foreground pixels before a position is a broken line through a mask's run ends.
    Read off at another mask's run ends, its differences add up to the pixels they share.

    Args:
        a: Masks, all of one size.
        b: Masks of the same size.
        crowd: A flag per mask of `b`: overlap with it is divided by the area of the mask of `a`
            alone, as in COCO's evaluation.

    Returns:
        Intersection over union in [0, 1]; 0 where both masks are empty.

    Raises:
        MaskError: If run lengths are malformed or sizes differ.
        ValueError: If there is not one flag per mask of `b`.
    """
    if crowd is not None and len(crowd) != len(b):
        raise ValueError(f"{len(crowd)} crowd flags for {len(b)} masks; give one per mask of b")
    h, _ = _common_size([*a, *b])
    spans_a, spans_b = [[_spans(run_lengths(rle)) for rle in masks] for masks in (a, b)]
    areas_a, areas_b = [np.array([np.diff(s).sum() for s in spans]) for spans in (spans_a, spans_b)]
    boxes_a, boxes_b = [np.array([_box(h, s) for s in spans]) for spans in (spans_a, spans_b)]
    out = np.zeros((len(a), len(b)))
    for j in range(len(b) if len(a) else 0):
        low = np.maximum(boxes_a[:, :2], boxes_b[j, :2])
        high = np.minimum(boxes_a[:, 2:], boxes_b[j, 2:])
        rows = np.flatnonzero((low < high).all(axis=1))
        if len(rows):
            shared = _intersections([spans_a[i] for i in rows], spans_b[j])
            crowded = crowd is not None and crowd[j]
            out[rows, j] = shared / (areas_a[rows] + (0 if crowded else areas_b[j] - shared))
    return out


def union(masks: Sequence[Rle]) -> Rle:
    """Join masks of one size into one, canonical, that covers what any of them covers.

    Raises:
        MaskError: If there are no masks, run lengths are malformed, or sizes differ.
    """
    if not masks:
        raise MaskError("a union of no masks has no size; give at least one mask")
    size = _common_size(masks)
    spans = np.concatenate([_spans(run_lengths(rle)) for rle in masks])
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    spans[:, 1] = np.maximum.accumulate(spans[:, 1])
    return _from_changes(size, _join(spans).ravel())


def _show(value: object) -> str:
    """Name a value from outside in a few characters, whatever it is."""
    if isinstance(value, str | bytes):
        return repr(value[:40]) + ("..." if len(value) > 40 else "")
    # Python refuses to print very long integers, and lists may hold lists without end.
    if isinstance(value, float | None) or (isinstance(value, int) and abs(value) < 2**64):
        return repr(value)
    if isinstance(value, list | tuple) and not any(isinstance(v, list | tuple) for v in value):
        return f"[{', '.join(map(_show, value[:3]))}{', ...' * (len(value) > 3)}]"
    return f"of type {type(value).__name__}, too long or nested"


def checked_size(size: object) -> tuple[int, int]:
    """Return (H, W) if it can be a mask's size, or raise MaskError."""
    if not isinstance(size, list | tuple) or [type(side) for side in size] != [int, int]:
        raise MaskError(f"a mask's size is {_show(size)}; give [H, W], two integers")
    h, w = size
    if not (1 <= h <= MAX_SIDE and 1 <= w <= MAX_SIDE):
        raise MaskError(f"a mask's size is {_show(size)}; sides are 1 to {MAX_SIDE}; {_NEXT_STEP}")
    if h * w > MAX_AREA:
        raise MaskError(f"a mask is {h} x {w} pixels, not 1 to {MAX_AREA}; use smaller images")
    return h, w


def _common_size(masks: Sequence[Rle]) -> tuple[int, int]:
    """Return the one (H, W) of all masks; (1, 1) stands in where there are none."""
    sizes = {checked_size(rle.size) for rle in masks} or {(1, 1)}
    if len(sizes) > 1:
        raise MaskError(f"masks have sizes {sorted(sizes)[:4]}; give masks of one image")
    return sizes.pop()


def _integers(values: Sequence[object], size: tuple[int, int]) -> Int[np.ndarray, " n"]:
    """Check run lengths one by one while they are Python's, where no value can overflow."""
    area = size[0] * size[1]
    for i, value in enumerate(values):
        if type(value) is not int or not 0 <= value <= area:
            raise MaskError(f"run {i} is {_show(value)}, not 0 to H * W, {area}; {_NEXT_STEP}")
    return np.array(values, np.int64)


def _checked_runs(runs: Int[np.ndarray, " n"], size: tuple[int, int]) -> Int[np.ndarray, " n"]:
    """Return the run lengths if they fill a mask of this size exactly."""
    area = size[0] * size[1]
    most = min(area + 1, MAX_RUNS)
    if not 1 <= len(runs) <= most:
        raise MaskError(f"a mask has {len(runs)} runs, not 1 to {most}; {_NEXT_STEP}")
    if runs.min() < 0 or runs.max() > area:
        i = int(np.flatnonzero((runs < 0) | (runs > area))[0])
        raise MaskError(f"run {i} is {runs[i]}, not 0 to H * W, {area}; {_NEXT_STEP}")
    if runs.sum() != area:
        raise MaskError(f"runs add up to {runs.sum()}, not to H * W, {area}: is the size right?")
    return runs


def _unpack(counts: bytes, size: tuple[int, int]) -> Int[np.ndarray, " n"]:
    """Turn characters into numbers, which need not be a mask's run lengths."""
    longest = MAX_GROUPS * min(size[0] * size[1] + 1, MAX_RUNS)
    if not 1 <= len(counts) <= longest:
        raise MaskError(f"counts has {len(counts)} characters, not 1 to {longest}; {_NEXT_STEP}")
    codes = np.frombuffer(counts, np.uint8)
    if codes.min() < FIRST_CHAR or codes.max() > LAST_CHAR:
        i = int(np.flatnonzero((codes < FIRST_CHAR) | (codes > LAST_CHAR))[0])
        raise MaskError(f"character {i} is {counts[i : i + 1]!r}, not '0' to 'o'; {_NEXT_STEP}")
    groups = codes - FIRST_CHAR
    ends = np.flatnonzero(groups < MORE_BIT)
    lengths = np.diff(ends, prepend=-1)
    if groups[-1] >= MORE_BIT or lengths.max() > MAX_GROUPS:
        raise MaskError(f"counts {_show(counts)} has a number over 7 characters; {_NEXT_STEP}")
    # The last group holds the sign and the highest bits; earlier ones are pushed in below it.
    values = (groups[ends].astype(np.int64) ^ SIGN_BIT) - SIGN_BIT
    for k in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > k)
        values[longer] = values[longer] << 5 | groups[ends[longer] - k] & LOW_BITS
    # From the fourth number on, each is the difference to the run two before it.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _pack(runs: Int[np.ndarray, " n"]) -> bytes:
    """Write run lengths in COCO's characters, five bits and a more-follows bit to each."""
    values = runs.copy()
    values[3:] -= runs[1:-2]
    chars, written = [], []
    unfinished = np.ones(len(values), bool)
    while unfinished.any():
        written.append(unfinished)
        groups = values & LOW_BITS
        values >>= 5
        # A number ends where only copies of the sign that its last group shows would follow.
        unfinished = unfinished & (values != -(groups >> 4))
        chars.append((groups + FIRST_CHAR + MORE_BIT * unfinished).astype(np.uint8))
    return bytes(np.stack(chars, axis=1)[np.stack(written, axis=1)])


def _changes(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, " n"]:
    """Find where a C-contiguous mask changes, as rising positions down the columns."""
    h, w = mask.shape
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return rows
    first = max(int(rows[0]) - 1, 0)
    block = mask[first : int(rows[-1]) + 2]
    y, x = np.divmod(np.flatnonzero(block[1:] != block[:-1]), w)
    # The top of a column follows the bottom of the column before it; the first follows background.
    top = mask[0].copy()
    top[1:] ^= mask[-1, :-1]
    changes = np.concatenate([x * h + (y + first + 1), np.flatnonzero(top) * h])
    changes.sort()
    return changes


def _from_changes(size: tuple[int, int], changes: Int[np.ndarray, " n"]) -> Rle:
    """Build the canonical mask that begins as background and flips at these rising positions."""
    area = size[0] * size[1]
    inside = changes[: np.searchsorted(changes, area)]
    return Rle(size, _pack(_checked_runs(np.diff(inside, prepend=0, append=area), size)))


def _spans(runs: Int[np.ndarray, " n"]) -> Int[np.ndarray, "m 2"]:
    """Return where foreground begins and ends; no span is empty and no two touch."""
    spans = np.cumsum(runs)[: len(runs) // 2 * 2].reshape(-1, 2)
    return _join(spans[spans[:, 1] > spans[:, 0]])


def _join(spans: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, "m 2"]:
    """Join spans that touch or overlap; neither beginnings nor ends may fall."""
    apart = spans[1:, 0] > spans[:-1, 1]
    if apart.all():
        return spans
    return np.stack([spans[np.append(True, apart), 0], spans[np.append(apart, True), 1]], axis=1)


def _box(h: int, spans: Int[np.ndarray, "n 2"]) -> tuple[int, int, int, int]:
    """Return the half-open XYXY box of spans in a mask of height `h`; (0, 0, 0, 0) of none."""
    if not len(spans):
        return 0, 0, 0, 0
    first, last = spans[:, 0], spans[:, 1] - 1
    x0, x1 = int(first[0]) // h, int(last[-1]) // h + 1
    # A span over the end of a column covers the bottom of one and the top of the next.
    if (first // h != last // h).any():
        return x0, 0, x1, h
    return x0, int((first % h).min()), x1, int((last % h).max()) + 1


def _intersections(
    masks: list[Int[np.ndarray, "_n 2"]], other: Int[np.ndarray, "m 2"]
) -> Float[np.ndarray, " n"]:
    """Count the pixels that each mask shares with another; none of them is empty."""
    lengths = np.diff(other)
    before = np.cumsum(lengths)[:, None] - lengths * [1, 0]
    # Slopes are 0 or 1 and counts below 2^53, so interpolation is exact.
    counts = np.interp(np.concatenate(masks), other.ravel(), before.ravel())
    firsts = np.cumsum([0, *map(len, masks[:-1])])
    return np.add.reduceat(counts[:, 1] - counts[:, 0], firsts)
