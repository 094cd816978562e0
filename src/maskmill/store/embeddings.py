"""Embeddings on disk: computed once per image and model, then read as a file.

A file is a line of JSON (shapes, sizes, a checksum) and the arrays in float16 behind it, mapped
into memory when read. It is a cache: whatever is damaged, half-written or too much is removed and
computed again, so nothing here waits for the disk.
"""

import json
import os
import re
import zlib
from pathlib import Path

import numpy as np

from maskmill.errors import StoreError
from maskmill.values import Embedding

ALIGNMENT = 64  # bytes; arrays that begin so can be used where they lie
MAX_HEADER = 4096


class Embeddings:
    """A folder of embeddings, one folder per model, one file per image.

    Args:
        folder: Made when first needed.
        limit: Bytes kept; those not used for longest go first. None keeps all.
    """

    def __init__(self, folder: Path, *, limit: int | None = None) -> None:
        self._folder, self._limit = folder, limit

    def put(self, content_hash: str, embedding: Embedding) -> None:
        """Keep the embedding of an image; older ones go if there is no room."""
        arrays = [
            np.ascontiguousarray(a, np.float16) for a in (embedding.array, *embedding.high_res)
        ]
        checksum = 0
        for array in arrays:
            checksum = zlib.crc32(array.data, checksum)
        header = {
            "shapes": [list(array.shape) for array in arrays],
            "original_size": list(embedding.original_size),
            "input_size": list(embedding.input_size),
            "input_side": embedding.input_side,
            "model_id": embedding.model_id,
            "checksum": checksum,
        }
        line = json.dumps(header).encode() + b"\n"
        line = line[:-1].ljust(-(-len(line) // ALIGNMENT) * ALIGNMENT - 1) + b"\n"
        path = self._path(content_hash, embedding.model_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.write(line)
                for array in arrays:
                    file.write(array.data)
            part.replace(path)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}; make room or change the folder") from error
        finally:
            part.unlink(missing_ok=True)
        if self._limit is not None:
            self.evict(self._limit)

    def get(self, content_hash: str, model_id: str) -> Embedding | None:
        """Return an embedding, its arrays mapped from the file; None if it must be computed.

        A file that is not what its checksum says is removed.
        """
        path = self._path(content_hash, model_id)
        try:
            found = _read(path, model_id)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OSError):
            path.unlink(missing_ok=True)
            return None
        os.utime(path)  # used just now
        return found

    def has(self, content_hash: str, model_id: str) -> bool:
        """Tell whether there is a file; whether it is whole shows when it is read."""
        return self._path(content_hash, model_id).is_file()

    def size_of(self, content_hash: str, model_id: str) -> int:
        """Count the bytes of one file; 0 if there is none."""
        path = self._path(content_hash, model_id)
        return path.stat().st_size if path.is_file() else 0

    def size(self) -> int:
        """Count the bytes on disk."""
        return sum(size for _, size, _ in self._files())

    def evict(self, limit: int) -> int:
        """Remove those not used for longest until at most `limit` bytes are left.

        Returns:
            The number of files removed.
        """
        files = sorted(self._files())
        total, removed = sum(size for _, size, _ in files), 0
        for _, size, path in files:
            if total <= limit:
                break
            path.unlink(missing_ok=True)
            total, removed = total - size, removed + 1
        return removed

    def forget(self, model_id: str) -> int:
        """Remove all embeddings of a model; returns how many there were."""
        files = list((self._folder / _safe(model_id)).glob("*.emb"))
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._folder.glob("*/*.emb"):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue  # another process was faster
            found.append((state.st_mtime, state.st_size, path))
        return found

    def _path(self, content_hash: str, model_id: str) -> Path:
        return self._folder / _safe(model_id) / f"{_safe(content_hash)}.emb"


def _safe(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", name) or name.strip(".") == "":
        raise StoreError(f"{name!r} cannot name a file; use letters, digits, '_', '.' and '-'")
    return name


def _read(path: Path, model_id: str) -> Embedding:
    """Read a file; ValueError if anything in it is not as it was written."""
    with path.open("rb") as file:
        line = file.readline(MAX_HEADER)
    header = json.loads(line)
    if header["model_id"] != model_id:
        raise ValueError("of another model")
    shapes = [tuple(int(n) for n in shape) for shape in header["shapes"]]
    counts = [int(np.prod(shape)) for shape in shapes]
    if path.stat().st_size != len(line) + 2 * sum(counts):
        raise ValueError("of another length")
    values = np.memmap(path, np.float16, "r", offset=len(line))
    if zlib.crc32(values.data) != header["checksum"]:
        raise ValueError("damaged")
    ends = np.cumsum(counts)
    arrays = [
        values[end - count : end].reshape(shape)
        for end, count, shape in zip(ends, counts, shapes, strict=True)
    ]
    (h, w), (input_h, input_w) = header["original_size"], header["input_size"]
    return Embedding(
        array=arrays[0],
        high_res=tuple(arrays[1:]),
        original_size=(h, w),
        input_size=(input_h, input_w),
        input_side=header["input_side"],
        model_id=model_id,
    )
