"""The category head: names what a mask shows, by one linear layer on its descriptor.

Few labelled objects teach it, in seconds: the encoder has learned what things look like, and the
head only draws planes between them. It knows masks of any way to propose them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class CategoryHead(nn.Module):
    """Logits of categories from descriptors.

    Args:
        size: Numbers of a descriptor.
        categories: How many there are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: int, categories: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.linear = nn.Linear(size, categories)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def measure(self, descriptors: Float[Tensor, "n f"]) -> None:
        """Take note of what each number is like: they differ in scale."""
        deviation, mean = torch.std_mean(descriptors, 0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_(deviation + 1e-3)

    def forward(self, descriptors: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Answer for every mask, in logits."""
        answer: Tensor = self.linear((descriptors - self.mean) / self.std)
        return answer
