"""The category head: names what a mask shows, by two linear layers on its descriptor.

Few labelled objects teach it, in seconds. One layer sees the whole descriptor, the other only how a
mask looks and where it lies, and their opinions are averaged: on few examples the many numbers of
the model's maps mislead as often as they help, and the mean of both is right more often than either
(`docs/decisions/engine.md`). It knows masks of any way to propose them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class CategoryHead(nn.Module):
    """Chances of categories from descriptors.

    Args:
        size: Numbers of a descriptor.
        looks: How many of them, the last ones, say how a mask looks.
        categories: How many there are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: int, looks: int, categories: int) -> None:
        super().__init__()
        self.looks = looks
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.layers = nn.ModuleList(nn.Linear(seen, categories) for seen in (size, looks))
        for layer in self.layers:
            for values in layer.parameters():
                nn.init.zeros_(values)

    def measure(self, descriptors: Float[Tensor, "n f"]) -> None:
        """Take note of what each number is like: they differ in scale."""
        deviation, mean = torch.std_mean(descriptors, 0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_(deviation + 1e-3)

    def opinions(self, descriptors: Float[Tensor, "n f"]) -> Float[Tensor, "2 n k"]:
        """Return the logits of either layer."""
        seen = (descriptors - self.mean) / self.std
        whole, looks = self.layers
        return torch.stack([whole(seen), looks(seen[:, -self.looks :])])

    def forward(self, descriptors: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Return the chance of each category for every mask."""
        return torch.softmax(self.opinions(descriptors), -1).mean(0)
