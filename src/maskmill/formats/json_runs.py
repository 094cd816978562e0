"""Runs of objects in a JSON list: where each begins and ends, thousands of them at once.

A COCO file is hundreds of bytes to a mask, so what is done to each byte counts. Here bytes are
looked at as one array: quotes first, then the brackets that stand in no string. Whether what lies
between is JSON, a decoder of C decides over the whole text. What does not fit this pattern, for
whatever reason, gives None, and is left to `json_stream`, which walks from element to element.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from jaxtyping import Int, UInt8

_QUOTE, _ESCAPE, _COLON, _OPEN, _CLOSE = b'"\\:{}'
_TO_CURLY = np.uint8(ord("{") - ord("["))  # a bit that square brackets lack


class Head(msgspec.Struct, gc=False):
    """The two keys of an annotation that say what it is and where it belongs."""

    id: Any = None
    image_id: Any = None


class Run(NamedTuple):
    """Neighbouring objects of a list."""

    heads: Sequence[Head]
    starts: Int[np.ndarray, " n"]
    """Each one's first byte, in the text."""
    stops: Int[np.ndarray, " n"]
    """The byte after each one's last."""
    keys: Int[np.ndarray, " n"]
    """How many keys each names, at any depth."""
    end: int
    """Where the next element begins."""


def find_run(text: bytes) -> Run | None:
    """Read the objects at the beginning of a text, up to the one before the last whole one.

    Args:
        text: ASCII that begins with an element of a list.

    Returns:
        Two objects or more; None if there are fewer, or anything but objects, or if any of them is
        no JSON.
    """
    starts, stops, keys = _places(np.frombuffer(text, np.uint8))
    if len(stops) < 3:
        return None
    # The last one only says where the one before it is over, with the comma behind it.
    n, end = len(stops) - 1, int(starts[len(stops) - 1])
    if text[stops[n - 1] : end].strip(b" \t\r\n") != b",":
        return None
    try:
        whole = b"[" + text[: int(stops[n - 1])] + b"]"
        heads = msgspec.json.decode(whole, type=list[Head])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if len(heads) != n:  # numbers or texts lie in between
        return None
    return Run(heads, starts[:n], stops[:n], keys[:n], end)


def _places(
    text: UInt8[np.ndarray, " c"],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Find where whole elements with brackets begin and end, and how many colons each holds."""
    quotes = _quotes(text)
    curly = text | _TO_CURLY
    brackets = _outside(np.flatnonzero((curly == _OPEN) | (curly == _CLOSE)), quotes)
    opens = curly[brackets] == _OPEN
    depths = np.cumsum(np.where(opens, 1, -1))
    over = np.flatnonzero(depths < 0)  # the list's own end
    last = int(over[0]) if len(over) else len(depths)
    brackets, opens, depths = brackets[:last], opens[:last], depths[:last]
    stops = brackets[depths == 0] + 1
    starts = brackets[opens & (depths == 1)][: len(stops)]
    colons = _outside(np.flatnonzero(text == _COLON), quotes)
    keys = np.searchsorted(colons, stops) - np.searchsorted(colons, starts)
    return starts, stops, keys


def _quotes(text: UInt8[np.ndarray, " c"]) -> Int[np.ndarray, " n"]:
    """Find the quotes that begin or end a string: those with no odd number of escapes before."""
    quotes = np.flatnonzero(text == _QUOTE)
    escaped = np.zeros(len(quotes), bool)
    left, before = np.arange(len(quotes)), 1
    while len(left):
        left = left[quotes[left] >= before]
        left = left[text[quotes[left] - before] == _ESCAPE]
        escaped[left] ^= True
        before += 1
    return quotes[~escaped]


def _outside(places: Int[np.ndarray, " n"], quotes: Int[np.ndarray, " q"]) -> Int[np.ndarray, " m"]:
    """Keep the places that are in no string."""
    return np.asarray(places[np.searchsorted(quotes, places) & 1 == 0])
