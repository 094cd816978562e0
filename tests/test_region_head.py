"""The region head's network: sizes, and maps of any scale."""

import torch

from maskmill.model.region_head import RegionHead


def test_it_answers_for_every_pixel() -> None:
    head = RegionHead(6)
    assert head(torch.randn(2, 3, 48, 64), torch.randn(2, 6, 12, 16)).shape == (2, 3, 48, 64)


def test_maps_of_any_scale_look_alike_to_it() -> None:
    torch.manual_seed(0)
    head, image, maps = RegionHead(6), torch.randn(1, 3, 32, 32), torch.randn(1, 6, 8, 8)
    head.measure([maps[0]])
    expected = head(image, maps)
    scaled = 100 * maps + 7
    assert not torch.allclose(head(image, scaled), expected, atol=1e-2)
    head.measure([scaled[0]])
    assert torch.allclose(head(image, scaled), expected, atol=1e-2)


def test_it_sees_pixels_and_maps() -> None:
    torch.manual_seed(0)
    head, image, maps = RegionHead(6), torch.randn(1, 3, 32, 32), torch.randn(1, 6, 8, 8)
    said = head(image, maps)
    brighter, other = image.clone(), maps.clone()
    brighter[0, :, 5, 5] += 3
    other[0, :, 2, 2] += 3
    assert not torch.allclose(head(brighter, maps), said)
    assert not torch.allclose(head(image, other), said)
