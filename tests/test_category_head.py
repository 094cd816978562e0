"""The category head's network: a plane between kinds, whatever their scale."""

import torch

from maskmill.model.category_head import CategoryHead


def test_an_untrained_one_has_no_opinion() -> None:
    head = CategoryHead(5, 3)
    assert torch.equal(head(torch.randn(4, 5)), torch.zeros(4, 3))


def test_descriptors_of_any_scale_look_alike_to_it() -> None:
    torch.manual_seed(0)
    head, seen = CategoryHead(5, 3), torch.randn(40, 5)
    torch.nn.init.normal_(head.linear.weight)
    head.measure(seen)
    expected = head(seen)
    scaled = 50 * seen - 9
    head.measure(scaled)
    assert torch.allclose(head(scaled), expected, atol=1e-2)
