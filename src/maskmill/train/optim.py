"""AdamW with warm-up, cosine, layer decay, and an average of the weights."""

import math

import torch
from torch import Tensor, nn

from maskmill.config import TrainConfig


def parameter_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, object]]:
    """Sort parameters by weight decay and by depth.

    Norms, biases and embeddings are not decayed. With `layer_decay` below one, each layer of the
    image encoder learns slower than the one above it; prompt encoder and decoder learn at full
    rate.

    Returns:
        Groups for AdamW; `rate` is the group's share of the learning rate.
    """
    depths = {name: _depth(name) for name, _ in model.named_parameters()}
    top = 1 + max((d for d in depths.values() if d is not None), default=0)
    groups: dict[tuple[bool, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        decayed = parameter.ndim > 1 and "embed" not in name and "_tokens" not in name
        depth = depths[name]
        rate = 1.0 if depth is None else config.layer_decay ** (top - depth)
        groups.setdefault((decayed, rate), []).append(parameter)
    return [
        {"params": params, "weight_decay": config.weight_decay if decayed else 0.0, "rate": rate}
        for (decayed, rate), params in groups.items()
    ]


def _depth(name: str) -> int | None:
    """Number the encoder's layers from the input upwards; None for its neck and all above it."""
    stages = ("stem", "stage4", "down8", "stage8", "down16", "stage16", "down32", "stage32")
    match name.split("."):
        case ["image_encoder", "pos_embed" | "patch_embed", *_]:
            return 0
        case ["image_encoder", "blocks", index, *_]:
            return int(index) + 1
        case ["image_encoder", stage, *_] if stage in stages:
            return stages.index(stage)
    return None


def learning_rate(step: int, config: TrainConfig) -> float:
    """Give the rate at a step: linear warm-up, then a cosine down to a hundredth of the peak.

    Example:
        >>> config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0)
        >>> [round(learning_rate(s, config), 2) for s in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.51, 0.01]
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


class WeightAverage:
    """An exponential moving average of weights and of batch norm's statistics.

    Early on the decay is lowered, so that the random start is forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards the model's weights after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    @torch.no_grad()
    def mix(self, start: nn.Module, share: float) -> None:
        """Move the average back towards the weights that training started from.

        Between the two lie models that know most of what is new and most of what was known.

        Args:
            start: A model of the same parts.
            share: Its share in the mixture, [0, 1].

        Source:
            Wortsman et al., "Robust fine-tuning of zero-shot models", arXiv 2109.01903.
        """
        for name, value in start.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value.to(self.state[name].device), share)
