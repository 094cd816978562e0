"""The category head's network: a plane between kinds, whatever their scale."""

import torch

from maskmill.model.category_head import CategoryHead


def test_an_untrained_one_has_no_opinion() -> None:
    head = CategoryHead(5, 2, 3)
    assert torch.allclose(head(torch.randn(4, 5)), torch.full((4, 3), 1 / 3))


def test_descriptors_of_any_scale_look_alike_to_it() -> None:
    torch.manual_seed(0)
    head, seen = CategoryHead(5, 2, 3), torch.randn(40, 5)
    for layer in head.layers:
        torch.nn.init.normal_(layer.weight)
    head.measure(seen)
    expected = head(seen)
    scaled = 50 * seen - 9
    head.measure(scaled)
    assert torch.allclose(head(scaled), expected, atol=1e-2)


def test_the_layers_opinions_are_averaged() -> None:
    head, seen = CategoryHead(3, 1, 2), torch.tensor([[0.0, 0.0, 4.0], [4.0, 0.0, 0.0]])
    with torch.no_grad():
        head.layers[1].weight[:] = torch.tensor([[9.0], [-9.0]])
    assert torch.allclose(head(seen), torch.tensor([[0.75, 0.25], [0.5, 0.5]]), atol=1e-4)
