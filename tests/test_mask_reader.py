"""The mask reader averages over what its sketches cover, and says nothing before it has learned."""

import torch

from maskmill.model.mask_reader import MaskReader

N, K, C, HW = 2, 4, 16, 9


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(N, C), torch.randn(N, K, C), torch.randn(N, HW, C)


def test_a_fresh_reader_corrects_nothing() -> None:
    correction, sketches = MaskReader(C, 8)(*inputs())
    assert correction.shape == (N, K)
    assert sketches.shape == (N, K, HW)
    assert not correction.any()


def test_weights_average_inside_and_outside() -> None:
    sketch = torch.full((1, 1, HW), -20.0)
    sketch[..., :3] = 20.0
    inside, outside = MaskReader.weights(sketch)[0]
    torch.testing.assert_close(inside[:3], torch.full((3,), 1 / 3))
    torch.testing.assert_close(outside[3:], torch.full((6,), 1 / 6))
    assert inside[3:].max() < 1e-6
    # A sketch of nothing has an inside of which nothing is known; it is no division by zero.
    assert torch.isfinite(MaskReader.weights(torch.full((1, 1, HW), -1e4))).all()


def test_the_correction_depends_on_what_the_mask_covers() -> None:
    reader = MaskReader(C, 8)
    torch.nn.init.normal_(reader.head.layers[-1].weight)
    iou_token, mask_tokens, keys = inputs()
    before, _ = reader(iou_token, mask_tokens, keys)
    after, _ = reader(iou_token, mask_tokens, keys + torch.randn(N, HW, C))
    assert (before - after).abs().min() > 1e-4
