"""Run lengths: against pycocotools, against plain Python, and against hostile input.

The fuzz runs a fixed number of cases; MASKMILL_FUZZ_SECONDS=60 makes it run that long instead.
"""

import itertools
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as peer

from maskmill import rle
from maskmill.errors import MaskError
from maskmill.rle import Rle

Kind = Callable[[int, int, np.random.Generator], np.ndarray]


def empty(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    return np.zeros((h, w), bool)


def full(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    return np.ones((h, w), bool)


def one_pixel(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros((h, w), bool)
    mask[rng.integers(h), rng.integers(w)] = True
    return mask


def one_row(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros((h, w), bool)
    mask[rng.integers(h)] = True
    return mask


def one_column(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros((h, w), bool)
    mask[:, rng.integers(w)] = True
    return mask


def checkerboard(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    return (np.arange(h)[:, None] + np.arange(w) + rng.integers(2)) % 2 == 0


def noise(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((h, w)) < rng.choice([0.02, 0.5, 0.98])


def ellipse_with_hole(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.ogrid[:h, :w]
    cy, cx = rng.uniform(-0.2, 1.2, 2) * (h, w)
    distance = ((y - cy) / (h * rng.uniform(0.1, 0.6))) ** 2 + ((x - cx) / (w * 0.3)) ** 2
    return (distance < 1) & (distance > rng.uniform(0, 0.4))


def complement(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    return ~ellipse_with_hole(h, w, rng)


KINDS: tuple[Kind, ...] = (
    empty,
    full,
    one_pixel,
    one_row,
    one_column,
    checkerboard,
    noise,
    ellipse_with_hole,
    complement,
)
LARGE = [(4096, 4096), (4096, 1537), (1024, 1024), (1, 4096), (4096, 1)]


def ten_thousand_masks() -> Iterator[np.ndarray]:
    """Every kind at every large size, and small ones of all shapes from 1x1 on."""
    rng = np.random.default_rng(20)
    kinds = itertools.cycle(KINDS)
    for (h, w), kind in itertools.product(LARGE, KINDS):
        # Half a 4096-pixel noise mask says no more than a quarter of it, and costs seconds.
        side = 1024 if kind in (noise, checkerboard) else 4096
        yield kind(min(h, side), w, rng)
    for _ in range(10_000 - len(LARGE) * len(KINDS)):
        h, w = np.exp(rng.uniform(0, np.log(90), 2)).astype(int)
        yield next(kinds)(int(h), int(w), rng)


def peer_encode(mask: np.ndarray) -> dict[str, Any]:
    return dict(peer.encode(np.asfortranarray(mask.astype(np.uint8))))


def half_open(xywh: np.ndarray) -> tuple[int, int, int, int]:
    x, y, w, h = (int(v) for v in xywh)
    return x, y, x + w, y + h


def test_ten_thousand_masks_are_those_of_pycocotools_byte_for_byte() -> None:
    count = 0
    for count, mask in enumerate(ten_thousand_masks(), 1):
        ours, theirs = rle.encode(mask), peer_encode(mask)
        assert ours.counts == theirs["counts"], f"{mask.shape}"
        assert list(ours.size) == theirs["size"] == list(mask.shape)
        # Every kind comes by, for five and the number of kinds share no divisor.
        if count % 5 == 0:
            assert np.array_equal(rle.decode(ours), mask)
            assert rle.area(ours) == peer.area(theirs)
            assert rle.box(ours) == half_open(peer.toBbox(theirs))
            assert Rle.from_json(ours.to_json()) == ours
    assert count == 10_000


def test_iou_and_union_are_those_of_pycocotools() -> None:
    rng = np.random.default_rng(21)
    for _ in range(150):
        h, w = (int(v) for v in rng.integers(1, 40, 2))
        masks = [KINDS[k](h, w, rng) for k in rng.integers(len(KINDS), size=7)]
        ours, theirs = rle.encode_many(np.stack(masks)), [peer_encode(m) for m in masks]
        crowd = rng.random(4) < 0.5
        assert np.array_equal(
            rle.iou(ours[:3], ours[3:], crowd=crowd.tolist()),
            peer.iou(theirs[:3], theirs[3:], crowd.astype(np.uint8).tolist()),
        )
        assert rle.union(ours).counts == peer.merge(theirs)["counts"]


masks_of_any_shape = hnp.arrays(
    bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=23), elements=st.booleans()
)


@given(masks_of_any_shape)
def test_decoding_undoes_encoding(mask: np.ndarray) -> None:
    encoded = rle.encode(mask)
    decoded = rle.decode(encoded)
    assert np.array_equal(decoded, mask)
    assert decoded.flags.c_contiguous
    assert rle.area(encoded) == mask.sum()
    assert rle.run_lengths(encoded).tolist() == plain_runs(mask)


@given(masks_of_any_shape)
def test_box_is_the_smallest_half_open_one(mask: np.ndarray) -> None:
    y, x = np.nonzero(mask)
    expected = (x.min(), y.min(), x.max() + 1, y.max() + 1) if len(y) else (0, 0, 0, 0)
    assert rle.box(rle.encode(mask)) == expected


@given(masks_of_any_shape)
def test_memory_order_does_not_matter(mask: np.ndarray) -> None:
    expected = rle.encode(mask.copy())
    wider = np.zeros((mask.shape[0] * 2, mask.shape[1] * 3), bool)
    wider[::2, ::3] = mask
    assert rle.encode(np.asfortranarray(mask)) == expected
    assert rle.encode(wider[::2, ::3]) == expected
    assert rle.encode(np.ascontiguousarray(mask[::-1, ::-1])[::-1, ::-1]) == expected
    # What OpenCV calls true is 255.
    assert rle.encode((mask * np.uint8(255)).view(bool)) == expected


@st.composite
def masks_of_one_shape(draw: st.DrawFn) -> np.ndarray:
    h, w = draw(st.integers(1, 11)), draw(st.integers(1, 13))
    return draw(hnp.arrays(bool, (draw(st.integers(1, 5)), h, w)))


@given(masks_of_one_shape())
def test_iou_and_union_are_those_of_arrays(masks: np.ndarray) -> None:
    encoded = rle.encode_many(masks)
    measured = rle.iou(encoded, encoded[:2])
    for i, j in np.ndindex(len(masks), len(masks[:2])):
        either = (masks[i] | masks[j]).sum()
        assert measured[i, j] == ((masks[i] & masks[j]).sum() / either if either else 0)
    assert rle.union(encoded) == rle.encode(masks.any(axis=0))


@given(masks_of_any_shape, st.data())
def test_runs_that_are_not_canonical_mean_the_same_mask(
    mask: np.ndarray, data: st.DataObject
) -> None:
    runs = plain_runs(mask)
    for _ in range(data.draw(st.integers(1, 4))):
        cut = data.draw(st.integers(0, len(runs) - 1))
        left = data.draw(st.integers(0, runs[cut]))
        runs[cut : cut + 1] = [left, 0, runs[cut] - left]
    runs = runs[: mask.size + 1] if sum(runs[: mask.size + 1]) == mask.size else plain_runs(mask)
    odd, plain = Rle(mask.shape, pack_plainly(runs, padding=1)), rle.encode(mask)
    assert rle.run_lengths(odd).tolist() == runs
    assert np.array_equal(rle.decode(odd), mask)
    assert rle.area(odd) == rle.area(plain)
    assert rle.box(odd) == rle.box(plain)
    assert np.array_equal(rle.iou([odd], [odd, plain]), rle.iou([plain], [plain, plain]))
    assert rle.union([odd]) == plain
    assert Rle.from_json(odd.to_json()) == plain
    assert rle.from_run_lengths(mask.shape, runs) == plain
    assert rle.from_run_lengths(mask.shape, np.array(runs)) == plain


def test_canonical_bytes_are_kept_and_other_keys_left_alone() -> None:
    encoded = rle.encode(np.eye(5, 7) > 0)
    for counts in (encoded.counts, encoded.counts.decode(), rle.run_lengths(encoded).tolist()):
        obj = {"size": [5, 7], "counts": counts, "category_id": 4}
        assert Rle.from_json(obj) == encoded
    assert json.loads(json.dumps(encoded.to_json())) == encoded.to_json()


def test_crowds_divide_by_the_first_mask_alone() -> None:
    left, half = np.zeros((2, 6), bool), np.zeros((2, 6), bool)
    left[:, :4] = half[0, :4] = True
    a, b = rle.encode_many(np.stack([left, half]))
    assert rle.iou([b], [a, a], crowd=[False, True]).tolist() == [[0.5, 1.0]]
    with pytest.raises(ValueError, match="1 crowd flags for 2 masks"):
        rle.iou([a], [a, b], crowd=[True])


def test_nothing_to_compare_has_no_rows_or_no_columns() -> None:
    one = rle.encode(np.ones((2, 3), bool))
    assert rle.iou([], []).shape == (0, 0)
    assert rle.iou([one], []).shape == (1, 0)
    assert rle.iou([], [one]).shape == (0, 1)
    assert rle.encode_many(np.zeros((0, 2, 3), bool)) == []


def test_masks_of_two_sizes_are_refused() -> None:
    tall, wide = rle.encode(np.ones((3, 2), bool)), rle.encode(np.ones((2, 3), bool))
    for measure in (lambda: rle.iou([tall], [wide]), lambda: rle.union([wide, tall])):
        with pytest.raises(MaskError, match=r"\(2, 3\), \(3, 2\)"):
            measure()
    with pytest.raises(MaskError, match="at least one"):
        rle.union([])


@pytest.mark.parametrize(
    "shape", [(0, 3), (3, 0), (0, 0), (65_536, 1), (1, 65_536), (16_384, 16_385)]
)
def test_shapes_that_no_mask_has_are_refused(shape: tuple[int, int]) -> None:
    mask = np.broadcast_to(False, shape)
    with pytest.raises(MaskError, match=r"not 1 to 268435456|sides are 1 to 65535"):
        rle.encode(mask)


def test_masks_that_are_not_boolean_are_refused() -> None:
    with pytest.raises(TypeError):
        rle.encode(np.ones((2, 3), np.uint8))


LONG = "9" * 5000
HOSTILE: list[tuple[object, str]] = [
    (None, "a mask is None"),
    ([1, 2], r"a mask is \[1, 2\]"),
    ({"size": [2, 3]}, "size .* and counts"),
    ({"counts": "6"}, "size .* and counts"),
    ({"size": None, "counts": "6"}, "size is None; give"),
    ({"size": [2], "counts": "2"}, r"size is \[2\]; give"),
    ({"size": [2, 3, 1], "counts": "6"}, r"size is \[2, 3, 1\]; give"),
    ({"size": "23", "counts": "6"}, "size is '23'; give"),
    ({"size": [2.0, 3], "counts": "6"}, r"size is \[2.0, 3\]; give"),
    ({"size": [True, 6], "counts": "6"}, r"size is \[True, 6\]; give"),
    ({"size": [float("nan"), 6], "counts": "6"}, r"size is \[nan, 6\]; give"),
    ({"size": [[2], 3], "counts": "6"}, "size is of type list"),
    ({"size": [0, 3], "counts": "0"}, r"\[0, 3\]; sides are 1 to 65535"),
    ({"size": [2, -3], "counts": "6"}, r"\[2, -3\]; sides are 1 to 65535"),
    ({"size": [2, 65_536], "counts": "6"}, "sides are 1 to 65535"),
    ({"size": [2, 10**5000], "counts": "6"}, "sides are 1 to 65535"),
    ({"size": [65_535, 65_535], "counts": "6"}, "65535 x 65535 pixels, not 1 to 268435456"),
    ({"size": [2, 3], "counts": None}, "counts is None; give"),
    ({"size": [2, 3], "counts": 6}, "counts is 6; give"),
    ({"size": [2, 3], "counts": {"6": 6}}, "counts is of type dict"),
    ({"size": [2, 3], "counts": ""}, "0 characters, not 1 to 49"),
    ({"size": [2, 3], "counts": "0" * 50}, "50 characters, not 1 to 49"),
    ({"size": [2, 3], "counts": LONG}, "5000 characters, not 1 to 49"),
    ({"size": [2, 3], "counts": "2/4"}, "character 1 is b'/', not '0' to 'o'"),
    ({"size": [2, 3], "counts": "2p4"}, "character 1 is b'p', not '0' to 'o'"),
    ({"size": [2, 3], "counts": b"2\x004"}, r"character 1 is b'\\x00', not '0' to 'o'"),
    ({"size": [2, 3], "counts": "24\u00e9"}, "character 2 is .* not '0' to 'o'"),
    ({"size": [2, 3], "counts": "24\ud800"}, "character 2 is .* not '0' to 'o'"),
    ({"size": [2, 3], "counts": "2T"}, "number over 7 characters"),
    ({"size": [2, 3], "counts": "PPPPPPP0"}, "number over 7 characters"),
    ({"size": [2, 3], "counts": "oooooo?"}, "run 0 is .*, not 0 to H . W, 6"),
    ({"size": [2, 3], "counts": "ooooooO"}, "run 0 is -1, not 0 to H . W, 6"),
    ({"size": [2, 3], "counts": "7O"}, "run 0 is 7, not 0 to H . W, 6"),
    ({"size": [2, 3], "counts": "60000000"}, "8 runs, not 1 to 7"),
    ({"size": [2, 3], "counts": "5"}, "add up to 5, not to H . W, 6"),
    ({"size": [2, 3], "counts": "611"}, "add up to 8, not to H . W, 6"),
    ({"size": [2, 3], "counts": []}, "0 runs, not 1 to 7"),
    ({"size": [2, 3], "counts": [6] + [0] * 7}, "8 runs, not 1 to 7"),
    ({"size": [2, 3], "counts": [2, 3]}, "add up to 5, not to H . W, 6"),
    ({"size": [2, 3], "counts": [7, -1]}, "run 0 is 7, not 0 to H . W, 6"),
    ({"size": [2, 3], "counts": [5, -1, 2]}, "run 1 is -1, not 0 to H . W, 6"),
    ({"size": [2, 3], "counts": [2.0, 4]}, "run 0 is 2.0, not 0"),
    ({"size": [2, 3], "counts": [True, 5]}, "run 0 is True, not 0"),
    ({"size": [2, 3], "counts": [float("inf")]}, "run 0 is inf, not 0"),
    ({"size": [2, 3], "counts": ["6"]}, "run 0 is '6', not 0"),
    ({"size": [2, 3], "counts": [[6]]}, r"run 0 is \[6\], not 0"),
    ({"size": [2, 3], "counts": [2**64 - 1, 7]}, "run 0 is 18446744073709551615, not 0"),
    ({"size": [2, 3], "counts": [10**5000, 6]}, "run 0 is of type int, too long"),
]


@pytest.mark.parametrize(("obj", "words"), HOSTILE)
def test_hostile_input_is_refused_in_one_line_that_helps(obj: object, words: str) -> None:
    with pytest.raises(MaskError, match=words) as caught:
        Rle.from_json(obj)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


USES: tuple[Callable[[Rle], object], ...] = (
    rle.run_lengths,
    rle.decode,
    rle.area,
    rle.box,
    lambda mask: rle.iou([mask], [mask]),
    lambda mask: rle.union([mask]),
    Rle.to_json,
)


@pytest.mark.parametrize("use", USES)
def test_what_was_made_by_hand_is_checked_before_every_use(use: Callable[[Rle], object]) -> None:
    for size, counts in (((2, 3), b"7"), ((2, 3), b"\xff"), ((0, 3), b"0"), ((2**40, 2**40), b"6")):
        with pytest.raises(MaskError):
            use(Rle(size, counts))


def test_runs_beyond_the_limit_are_neither_written_nor_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mask = checkerboard(4, 7, np.random.default_rng(0))
    encoded = rle.encode(mask)
    runs = rle.run_lengths(encoded)
    monkeypatch.setattr(rle, "MAX_RUNS", len(runs))
    assert rle.encode(mask) == encoded
    monkeypatch.setattr(rle, "MAX_RUNS", len(runs) - 1)
    for use in (lambda: rle.encode(mask), lambda: rle.decode(encoded)):
        with pytest.raises(MaskError, match=f"{len(runs)} runs, not 1 to {len(runs) - 1}"):
            use()


def test_a_few_characters_cannot_ask_for_more_than_the_limit() -> None:
    for side in (16_384, 4096):
        whole = rle.from_run_lengths((side, side), [0, side * side])
        assert rle.area(whole) == side * side
        assert rle.box(whole) == (0, 0, side, side)
    assert rle.decode(whole).all()


def test_fuzzed_input_is_refused_or_read_as_plain_python_reads_it() -> None:
    seconds = float(os.environ.get("MASKMILL_FUZZ_SECONDS", "0"))
    rng, begin, slowest, read, case = random.Random(22), time.monotonic(), 0.0, 0, 0
    for case in itertools.count(1):
        obj = hostile_object(rng)
        start = time.process_time()
        read += check_against_plain_python(obj)
        slowest = max(slowest, time.process_time() - start)
        if time.monotonic() - begin > seconds if seconds else case == 1000:
            break
    # Both sides of the gate must have been tried, or the fuzz says nothing.
    assert min(read, case - read) > case / 10
    print(f"{case} cases, {read} of them valid, slowest {slowest * 1e3:.1f} ms")


def check_against_plain_python(obj: Any) -> bool:
    """Compare all that reads a mask with `plain_reader`; say whether it was valid."""
    runs = plain_reader(obj)
    if runs is None:
        with pytest.raises(MaskError) as caught:
            Rle.from_json(obj)
        assert len(str(caught.value)) < 250
    by_hand = isinstance(obj, dict) and isinstance(obj.get("counts"), bytes)
    if by_hand and isinstance(obj["size"], tuple) and [*map(type, obj["size"])] == [int, int]:
        for use in USES:
            if runs is None:
                with pytest.raises(MaskError):
                    use(Rle(obj["size"], obj["counts"]))
            elif use is not rle.decode or sum(runs) < 10_000:
                use(Rle(obj["size"], obj["counts"]))
    if runs is None:
        return False
    ours = Rle.from_json(obj)
    assert rle.area(ours) == sum(runs[1::2])
    if sum(runs) < 10_000:
        flags = [bool(i % 2) for i, run in enumerate(runs) for _ in range(run)]
        mask = np.array(flags).reshape(obj["size"][1], obj["size"][0]).T
        assert np.array_equal(rle.decode(ours), mask)
        assert ours == rle.encode(mask)
    return True


def hostile_object(rng: random.Random) -> Any:
    """Make a mask that is valid, nearly valid or nothing of the kind."""
    h, w = rng.choice([(1, 1), (3, 5), (rng.randint(1, 60), rng.randint(1, 60)), (4096, 65_535)])
    runs, left = [], h * w
    while left and len(runs) < 40:
        runs.append(rng.choice([0, 1, rng.randint(0, left), rng.randint(0, min(left, 40))]))
        left -= runs[-1]
    runs.append(left)
    size: Any = rng.choice([(h, w), (h, w), [h, w]])
    counts: Any = pack_plainly(runs, padding=rng.choice([0, 0, 1, 9]))
    match rng.randrange(8):
        case 0:
            counts = bytes(rng.randrange(256) for _ in range(rng.randrange(40)))
        case 1:
            counts = bytes(rng.randrange(48, 112) for _ in range(rng.randrange(40)))
        case 2 | 3:
            counts = mutated(rng, counts)
        case 4:
            counts = [*runs]
            junk = [-1, h * w + 1, 2**31, 2**63, -(2**70), 1.0, float("nan"), True, None, "1", [1]]
            for _ in range(rng.randrange(3)):
                counts[rng.randrange(len(counts))] = rng.choice([0, 1, *junk])
        case 5:
            junk = [
                0,
                -1,
                65_535,
                65_536,
                2**63,
                10**30,
                1.5,
                float("nan"),
                True,
                "3",
                None,
                [],
                (),
            ]
            size = rng.choice([(h, rng.choice(junk)), [rng.choice(junk), w], rng.choice(junk)])
    if isinstance(counts, bytes) and rng.random() < 0.3:
        counts = counts.decode(rng.choice(["latin-1", "cp1251"]), "replace")
    obj = {"size": size, "counts": counts}
    return obj if rng.random() < 0.97 else rng.choice([None, [], counts, {}, {"size": size}, size])


def mutated(rng: random.Random, counts: bytes) -> bytes:
    """Flip, drop, double or insert up to three characters."""
    chars = list(counts)
    for _ in range(rng.randint(1, 3)):
        i = rng.randrange(len(chars) + 1)
        chars[i : i + rng.randint(0, 2)] = rng.choice(
            [[], [rng.randrange(48, 112)], chars[i : i + 1] * 2, [rng.randrange(256)]]
        )
    return bytes(chars)


def plain_runs(mask: np.ndarray) -> list[int]:
    """Count runs down the columns in plain Python, background first."""
    runs, flag = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != flag:
            runs.append(0)
            flag = pixel
        runs[-1] += 1
    return runs


def pack_plainly(runs: list[int], *, padding: int = 0) -> bytes:
    """Write run lengths one character at a time, with groups more than a number needs."""
    chars = bytearray()
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        groups = [value & 31]
        while value not in range(-(16 << 5 * len(groups) - 5), 16 << 5 * len(groups) - 5):
            groups.append(value >> 5 * len(groups) & 31)
        for _ in range(min(padding, 7 - len(groups))):
            groups.append(value >> 5 * len(groups) & 31)
        chars += bytes(48 + group + 32 for group in groups[:-1]) + bytes([48 + groups[-1]])
    return bytes(chars)


def plain_reader(obj: Any) -> list[int] | None:
    """Read a mask one character at a time; None is what must be refused."""
    if not isinstance(obj, dict) or {"size", "counts"} - set(obj):
        return None
    size, counts = obj["size"], obj["counts"]
    if not isinstance(size, list | tuple) or [type(v) for v in size] != [int, int]:
        return None
    if not all(1 <= v <= 65_535 for v in size) or size[0] * size[1] > 2**28:
        return None
    if isinstance(counts, str | bytes):
        runs = plain_numbers([ord(c) for c in counts] if isinstance(counts, str) else list(counts))
    else:
        runs = counts if isinstance(counts, list) else None
    if not runs or any(type(run) is not int or run < 0 for run in runs):
        return None
    return runs if sum(runs) == size[0] * size[1] >= len(runs) - 1 else None


def plain_numbers(codes: list[int]) -> list[int] | None:
    """Turn characters into numbers; None if they are none."""
    runs: list[int] = []
    value = groups = 0
    for code in codes:
        if not 48 <= code <= 111:
            return None
        value |= (code - 48 & 31) << 5 * groups
        groups += 1
        if groups > 7:
            return None
        if code - 48 < 32:
            value -= (code - 48 & 16) << 5 * groups - 4
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = groups = 0
    return None if groups else runs
