"""Drawing with what all prompts share gives the masks of the decoder that draws all at once."""

from dataclasses import replace

import pytest
import torch
from random_model import random_sam

from maskmill.config import TINY
from maskmill.model import grid_drawing
from maskmill.model.grid_decoder import GridDecoder

SMALL = replace(TINY, input_side=96)
LEFT_OUT: list[dict[str, bool]] = [
    {},
    {"prompt_maps": False},
    {"likeness": False},
    {"high_res": False, "likeness": False, "prompt_maps": False},
]


@pytest.mark.parametrize("parts", LEFT_OUT, ids=lambda parts: "-".join(parts) or "all")
@pytest.mark.parametrize("at_once", [1, 2500, 1 << 17])
@torch.inference_mode()
def test_it_draws_what_the_decoder_draws(
    parts: dict[str, bool], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid_drawing, "NUMBERS_AT_ONCE", at_once)
    sam = random_sam(replace(SMALL, decoder=replace(SMALL.decoder, **parts)))
    for head in (sam.mask_decoder.prompt_map_head, sam.mask_decoder.likeness_head):
        if head is not None:  # they answer nothing until they have learned something
            torch.nn.init.normal_(head.weight)
            torch.nn.init.normal_(head.bias)
    embedding, high_res = sam.encode(torch.randn(1, 3, 96, 96))
    points, labels = torch.rand(5, 2) * 96, torch.tensor([[1, -1]]).repeat(5, 1)
    coords = torch.stack([points, torch.zeros(5, 2)], dim=1)
    logits, _ = sam.decode(embedding, high_res, coords, labels, multimask_output=True)
    grid = GridDecoder(sam)
    shared, canvas = grid.share(embedding, high_res)
    seen = grid.attend(embedding, high_res, shared, points)
    drawn, _ = grid.draw(canvas, seen.rows(torch.tensor([4, 0])))
    torch.testing.assert_close(drawn, logits[[4, 0]], rtol=1e-4, atol=1e-4)
