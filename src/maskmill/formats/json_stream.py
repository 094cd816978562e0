"""Large JSON files, element by element: two passes over the file, never all of it in memory.

`json.load` of a COCO file of two million masks takes several gigabytes. Here the first pass names
each element of each top-level list with its place in the file, and whoever reads keeps the places;
the second pass decodes the elements that are wanted. Damage inside one element (NaN is none to
Python, but numbers of 5,000 digits and lists 100,000 deep are) stays inside it, as long as its
brackets match; a file that is cut short is refused whole, for nobody knows what is missing.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from maskmill.errors import DatasetError
from maskmill.formats.checks import short
from maskmill.formats.json_runs import Run, find_run

BLOCK = 1 << 22
"""Bytes that are read at once."""
RUN = 1 << 18
"""Bytes of a list that are looked at together; a processor's cache holds what is made of them."""
MAX_ELEMENT = 1 << 28
"""Longest element, bytes; brackets that never close would otherwise draw in the whole file."""

_SPACE = re.compile(r"[ \t\n\r]*")
# A string, a bracket, or a quote whose string does not end in the text at hand.
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}"]', re.DOTALL)
# What stands between two elements, or after the last one.
_GAP = re.compile(r"[ \t\n\r]*([,\]])[ \t\n\r]*")
_AFTER = frozenset(" \t\n\r,]}")
_BAD = (ValueError, RecursionError, StopIteration)
_SCALAR = re.compile(r'[^\[\]{},:"\s]+')


class Broken(NamedTuple):
    """Stands for an element that is no JSON."""

    reason: str
    """What is wrong with it, in words."""


class Repeated(dict[str, Any]):
    """An object that names one key twice; which of the two values is meant, nobody knows."""


Element = tuple[str, Any, int, int]
"""The key at the file's top; the value there or an element of the list there, decoded or `Broken`;
its first byte, and the byte after its last. Each list begins with an element at byte -1, so that an
empty one is seen too. Text beyond ASCII is garbled in the value: what it is for sure comes of
decoding the bytes."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    return out if len(out) == len(pairs) else Repeated(out)


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
# What `raw_decode` calls, and all that it does besides is to turn one exception into another.
_scan_once: Callable[[str, int], tuple[Any, int]] = vars(_DECODER)["scan_once"]


def decode_element(text: bytes) -> Any:
    """Decode the bytes of one element.

    Raises:
        DatasetError: If they are no JSON, no UTF-8, or name a key twice.
    """
    try:
        value = _DECODER.decode(text.decode())
    except UnicodeDecodeError as error:
        raise DatasetError("it is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"it is not JSON: {short(str(error))}") from error
    if type(value) is Repeated:
        raise DatasetError("it names one key twice")
    return value


def decode_run(text: bytes) -> list[Any]:
    """Decode elements that follow each other in a list, with what stands between them.

    Their keys are not looked at again: `scan` has seen that none is named twice.

    Raises:
        DatasetError: If one of them is damaged.
    """
    whole = b"[" + text + b"]"
    try:
        return list(msgspec.json.decode(whole))
    except (msgspec.MsgspecError, *_BAD):  # it takes no NaN, say, which Python does
        pass
    try:
        return list(json.loads(whole.decode()))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"it is not JSON: {short(str(error))}") from error


def scan(path: Path, runs_of: str | None = None) -> Iterator[Element]:
    """Walk over a file that holds one object: its values, and the elements of its lists.

    Args:
        path: The file.
        runs_of: A list at the top whose objects may come many at once.

    Yields:
        Per list at the top its beginning and then its elements, per other value the value. Of the
        list `runs_of` also a `Run` instead of the elements in it; a run's own places count from
        its first byte, and whether it names a key twice is not looked at.

    Raises:
        DatasetError: If the file cannot be read, holds no object, names a key at its top twice, or
            is cut short or damaged beyond one element; the message names the byte.
    """
    try:
        with path.open("rb") as file:
            yield from _Scanner(file, path, runs_of).top()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error


class _Scanner:
    """A window on the file. Bytes are taken for characters (Latin-1), so places are byte places."""

    def __init__(self, file: BinaryIO, path: Path, runs_of: str | None) -> None:
        self.file, self.path, self.runs_of = file, path, runs_of
        self.text, self.at, self.base = "", 0, 0
        self.no_run_before = 0  # a byte of the file

    def top(self) -> Iterator[Element]:
        if self.peek() == "ï":  # the first byte of UTF-8's mark, which some editors write
            self.at += 3
        if self.peek() != "{":
            raise DatasetError(f"{self.path} holds no JSON object")
        self.at += 1
        keys: set[Any] = set()
        while self.peek() != "}" or keys:
            key = self.value()
            if not isinstance(key, str):
                raise self.error("expected a key")
            if key in keys:
                raise self.error(f"the second {short(key)} at its top")
            keys.add(key)
            self.expect(":")
            if self.peek() == "[":
                yield key, None, -1, -1
                yield from self.elements(key)
            else:
                start = self.base + self.at
                value = self.value()
                yield key, value, start, self.base + self.at
            if self.expect(",}") == "}":
                break
        else:
            self.at += 1
        if self.peek():
            raise self.error("something follows its last bracket")

    def elements(self, key: str) -> Iterator[Element]:
        self.expect("[")
        if self.peek() == "]":
            self.at += 1
            return
        self.peek()
        while True:
            run = self.run() if key == self.runs_of else None
            if run is not None:
                start = self.base + self.at
                yield key, run, start, start + int(run.stops[-1])
                self.at += run.end
            # Nearly all elements lie in the window with the beginning of the next one.
            try:
                value, stop = _scan_once(self.text, self.at)
            except _BAD:
                gap = None
            else:
                gap = _GAP.match(self.text, stop)
            if gap and gap.end() < len(self.text):
                yield key, value, self.base + self.at, self.base + stop
                last = gap.group(1)
                self.at = gap.end()
            else:
                start = self.base + self.at
                value = self.value()
                yield key, value, start, self.base + self.at
                last = self.expect(",]")
                self.peek()
            if last == "]":
                return

    def run(self) -> Run | None:
        """Read the objects that lie in the window, unless this was tried here in vain."""
        if self.base + self.at < self.no_run_before:
            return None
        text = self.text[self.at : self.at + RUN]
        self.no_run_before = self.base + self.at + len(text)
        return find_run(text.encode()) if text.isascii() else None

    def peek(self) -> str:
        """Pass over white space; return the next character, or nothing at the end."""
        while True:
            space = _SPACE.match(self.text, self.at)
            self.at = space.end() if space else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def expect(self, allowed: str) -> str:
        found = self.peek()
        if not found or found not in allowed:
            raise self.error(f"expected {' or '.join(allowed)}, found {found or 'the end'!r}")
        self.at += 1
        return found

    def value(self) -> Any:
        """Decode the next value, reading on while it may be cut short by the window's end."""
        self.peek()
        while True:
            try:
                value, stop = _scan_once(self.text, self.at)
            except _BAD as error:
                value, stop = Broken(f"it is not JSON: {short(str(error))}"), self.end()
            # What ends where the window ends may go on: `12` in the window, `345` after it, or
            # `-0.` in the window, of which only `-0` makes a number.
            whole = 0 <= stop < len(self.text)
            if whole and (self.text[stop] in _AFTER or not isinstance(value, int | float)):
                self.at = stop
                return value
            if not self.more():
                raise self.error("it ends in the middle")

    def end(self) -> int:
        """Find the end of a value that cannot be decoded, by its brackets; -1 if it is not here."""
        if self.text[self.at : self.at + 1] not in tuple('[{"'):
            scalar = _SCALAR.match(self.text, self.at)
            if not scalar:
                raise self.error("expected a value")
            return scalar.end()
        depth = 0
        for token in _BRACKETS.finditer(self.text, self.at):
            kind = token.group()
            if kind == '"':
                return -1
            depth += (kind in "[{") - (kind in "]}")
            if not depth:
                return token.end()
        return -1

    def more(self) -> bool:
        """Move the window on: drop what is done with, read at least as much as is left."""
        left = len(self.text) - self.at
        if left > MAX_ELEMENT:
            raise self.error(f"a value of more than {MAX_ELEMENT} bytes, or brackets never close")
        block = self.file.read(max(BLOCK, left))
        self.text = self.text[self.at :] + block.decode("latin-1")
        self.base, self.at = self.base + self.at, 0
        return bool(block)

    def error(self, what: str) -> DatasetError:
        return DatasetError(f"{self.path} is not JSON: byte {self.base + self.at}: {what}")
