"""The paper's image encoder on several threads, each with bands of the map that are its own.

PyTorch's threads share one product or one sum at a time and wait for each other in between, by
spinning: where other work uses the cores too, two threads took three times the processor time of
one. Here a thread takes a band through a whole block. Bands of whole windows are independent of
each other; in a block that attends globally all wait once, for everybody's keys.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from maskmill.model.image_encoder import (
    Block,
    ImageEncoderViT,
    attend,
    relative,
    unpartition,
)

T = TypeVar("T")
R = TypeVar("R")
BANDS = 8
"""Of a map that is attended globally: several per thread, for threads are not equally fast."""


@contextmanager
def threads_of_one(count: int) -> Iterator[ThreadPoolExecutor]:
    """Return a pool of threads in each of which PyTorch computes with one thread."""
    try:
        with ThreadPoolExecutor(count, "maskmill", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        # PyTorch remembers the last number set in any thread as that of all new threads.
        torch.set_num_threads(count)


def encode_in_bands(
    encoder: ImageEncoderViT, image: Float[Tensor, "b 3 s s"], pool: Executor
) -> Float[Tensor, "b c h w"]:
    """Encode images, without gradients.

    Args:
        encoder: The encoder, on the CPU.
        image: Normalised pixels over the padded square input frame.
        pool: From `threads_of_one`.

    Returns:
        What the encoder itself returns, to float rounding.
    """
    x = encoder.patch_embed(image) + encoder.pos_embed
    for block in encoder.blocks:
        assert isinstance(block, Block)
        x = _windowed(block, x, pool) if block.attn.window_size else _global(block, x, pool)
    embedding: Tensor = encoder.neck(x.permute(0, 3, 1, 2))
    return embedding


def _windowed(
    block: Block, x: Float[Tensor, "b h w c"], pool: Executor
) -> Float[Tensor, "b h w c"]:
    side = block.attn.window_size
    wide = side * -(-x.shape[2] // (2 * side))  # half of the windows of a row
    bands = [torch.split(band, wide, dim=2) for band in torch.split(x, side, dim=1)]
    done = iter(_each(pool, block, [part for band in bands for part in band]))
    return torch.cat([torch.cat([next(done) for _ in band], dim=2) for band in bands], dim=1)


def _global(block: Block, x: Float[Tensor, "b h w c"], pool: Executor) -> Float[Tensor, "b h w c"]:
    attention, (height, width) = block.attn, x.shape[1:3]
    bands = torch.split(x, -(-height // BANDS), dim=1)
    parts = _each(
        pool, lambda band: attention.project(block.norm1(band), (band.shape[1], width)), bands
    )
    k, v = (torch.cat([part[i] for part in parts], dim=1) for i in (1, 2))
    rel_h = torch.split(relative(attention.rel_pos_h, height), bands[0].shape[1])
    rel_w = relative(attention.rel_pos_w, width)

    def finish(i: int) -> Tensor:
        attended = attend(parts[i][0], k, v, rel_h[i], rel_w)
        joined = unpartition(attended, (bands[i].shape[1], width), attention.num_heads)
        out: Tensor = bands[i] + attention.proj(joined)
        return out + block.mlp(block.norm2(out))  # type: ignore[no-any-return]

    return torch.cat(_each(pool, finish, range(len(bands))), dim=1)


def _each(pool: Executor, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Call a function with each item, several at once."""

    def call(item: T) -> R:
        with torch.inference_mode():  # which every thread has to say for itself
            return function(item)

    return list(pool.map(call, items))
