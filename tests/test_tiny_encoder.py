"""The embedded default's encoder: shapes at any side, position, and folding for inference."""

import pytest
import torch
from torch import nn

from maskmill.config import TinyConfig
from maskmill.model.tiny_encoder import TinyEncoder, fold_batch_norm

CONFIG = TinyConfig(widths=(8, 12, 16, 24), depths=(1, 1, 2, 1), num_heads=2, high_res_dims=(6, 4))


def encoder(seed: int = 0) -> TinyEncoder:
    """An encoder whose batch norms have seen data, so that folding them is not trivial."""
    torch.manual_seed(seed)
    made = TinyEncoder(CONFIG, out_chans=20)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            module.running_mean = torch.randn(module.num_features) * 0.3
            module.running_var = torch.rand(module.num_features) + 0.5
    return made.eval()


@pytest.mark.parametrize("side", [64, 96])
def test_maps_stand_at_strides_16_8_and_4(side: int) -> None:
    with torch.inference_mode():
        embedding, high_res = encoder()(torch.randn(2, 3, side, side))
    assert embedding.shape == (2, 20, side // 16, side // 16)
    assert [tuple(x.shape) for x in high_res] == [
        (2, 6, side // 8, side // 8),
        (2, 4, side // 4, side // 4),
    ]


def test_folding_batch_norm_changes_no_output() -> None:
    made, image = encoder(), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before, finer_before = made(image)
        fold_batch_norm(made)
        after, finer_after = made(image)
    assert not [m for m in made.modules() if isinstance(m, nn.BatchNorm2d)]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    for a, b in zip(finer_after, finer_before, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_every_cell_sees_the_whole_image_but_fine_maps_stay_local() -> None:
    made = encoder()
    image = torch.randn(1, 3, 128, 128)
    changed = image.clone()
    changed[..., :8, :8] += 1.0
    with torch.inference_mode():
        (embedding, (_, fine)), (other, (_, fine_other)) = made(image), made(changed)
    far = (embedding - other).abs().amax(dim=1)[0, -1, -1]
    assert far > 0, "attention at stride 32 reaches the opposite corner"
    moved = (fine - fine_other).abs().amax(dim=1)[0] > 0
    assert moved[:3, :3].any()
    assert not moved[16:, 16:].any()
