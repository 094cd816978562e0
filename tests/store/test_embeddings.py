"""The cache of embeddings: what comes out is what went in, or nothing."""

import os
from pathlib import Path

import numpy as np
import pytest

from maskmill.errors import StoreError
from maskmill.store.embeddings import Embeddings
from maskmill.values import Embedding

HASH = "ab" * 32


def some_embedding(seed: int = 0, model_id: str = "tiny-1") -> Embedding:
    random = np.random.default_rng(seed)
    return Embedding(
        array=random.standard_normal((8, 6, 6)).astype(np.float32),
        high_res=(random.standard_normal((4, 12, 12)), random.standard_normal((2, 24, 24))),
        original_size=(37, 61),
        input_size=(58, 96),
        input_side=96,
        model_id=model_id,
    )


def test_it_gives_back_what_it_was_given_in_float16(tmp_path: Path) -> None:
    cache, given = Embeddings(tmp_path), some_embedding()
    assert cache.get(HASH, "tiny-1") is None
    cache.put(HASH, given)
    found = cache.get(HASH, "tiny-1")
    assert found is not None
    for a, b in zip((given.array, *given.high_res), (found.array, *found.high_res), strict=True):
        assert b.dtype == np.float16
        np.testing.assert_array_equal(a.astype(np.float16), b)
    assert isinstance(found.array.base, np.memmap)
    assert (found.original_size, found.input_size, found.input_side) == ((37, 61), (58, 96), 96)


def test_models_and_images_are_kept_apart(tmp_path: Path) -> None:
    cache = Embeddings(tmp_path)
    cache.put(HASH, some_embedding(1))
    cache.put(HASH, some_embedding(2, "tiny-2"))
    first, second = cache.get(HASH, "tiny-1"), cache.get(HASH, "tiny-2")
    assert first is not None
    assert second is not None
    assert not np.array_equal(first.array, second.array)
    assert cache.get("cd" * 32, "tiny-1") is None
    assert cache.forget("tiny-1") == 1
    assert not cache.has(HASH, "tiny-1")
    assert cache.has(HASH, "tiny-2")


@pytest.mark.parametrize("position", [0, 5, 100, 300, 600, -1])
def test_a_damaged_file_is_never_served_and_goes_away(tmp_path: Path, position: int) -> None:
    cache = Embeddings(tmp_path)
    cache.put(HASH, some_embedding())
    (path,) = tmp_path.rglob("*.emb")
    damaged = bytearray(path.read_bytes())
    damaged[position] ^= 0x11
    path.write_bytes(damaged)
    found = cache.get(HASH, "tiny-1")
    if found is not None:  # the flipped bit may lie in the padding of the header
        np.testing.assert_array_equal(found.array, some_embedding().array.astype(np.float16))
        assert damaged[position] ^ 0x11 == ord(" ")
    else:
        assert not path.exists()


@pytest.mark.parametrize("length", [0, 1, 63, 200, 1000])
def test_a_truncated_file_is_never_served(tmp_path: Path, length: int) -> None:
    cache = Embeddings(tmp_path)
    cache.put(HASH, some_embedding())
    (path,) = tmp_path.rglob("*.emb")
    path.write_bytes(path.read_bytes()[:length])
    assert cache.get(HASH, "tiny-1") is None
    cache.put(HASH, some_embedding())
    assert cache.get(HASH, "tiny-1") is not None


def test_a_file_under_another_models_name_is_not_served(tmp_path: Path) -> None:
    cache = Embeddings(tmp_path)
    cache.put(HASH, some_embedding())
    (path,) = tmp_path.rglob("*.emb")
    (tmp_path / "tiny-2").mkdir()
    path.rename(tmp_path / "tiny-2" / path.name)
    assert cache.get(HASH, "tiny-2") is None


def test_those_not_used_for_longest_go_first(tmp_path: Path) -> None:
    cache = Embeddings(tmp_path)
    names = [f"{i:064x}" for i in range(5)]
    for age, name in enumerate(names):
        cache.put(name, some_embedding(age))
        os.utime(tmp_path / "tiny-1" / f"{name}.emb", (1000 + age, 1000 + age))
    assert cache.get(names[0], "tiny-1") is not None  # used just now
    one = cache.size() // 5
    assert cache.evict(2 * one) == 3
    assert [cache.has(name, "tiny-1") for name in names] == [True, False, False, False, True]


def test_a_limit_holds_while_more_is_put(tmp_path: Path) -> None:
    Embeddings(tmp_path).put(HASH, some_embedding())
    limit = 3 * Embeddings(tmp_path).size()
    cache = Embeddings(tmp_path, limit=limit)
    for i in range(8):
        cache.put(f"{i:064x}", some_embedding(i))
        assert cache.size() <= limit


@pytest.mark.parametrize("name", ["../x", "", "..", "a/b", "x" * 200])
def test_names_cannot_climb_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name a file"):
        Embeddings(tmp_path).has(name, "tiny-1")
