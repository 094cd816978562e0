"""The loop in which a head learns: AdamW, a warm-up, a cosine, and clipped gradients."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

WARM_UP = 0.1 + 1e-6
"""Share of the steps; a hair more, because PyTorch divides by zero where it is exactly one step."""


def fit(
    head: nn.Module,
    loss_at: Callable[[int], Tensor],
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    clip: float,
    on_step: Callable[[int, float], object] | None = None,
) -> None:
    """Train a head, and leave it in evaluation mode.

    Args:
        head: What learns.
        loss_at: Makes a step's batch, and compares what the head says of it with what is taught.
        steps: Optimiser steps.
        learning_rate: Peak rate of AdamW.
        weight_decay: Decay of AdamW.
        clip: Greatest norm of a step's gradients.
        on_step: Called after each step with its number and loss.
    """
    optimiser = torch.optim.AdamW(head.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=steps, pct_start=WARM_UP
    )
    for step in range(steps):
        loss = loss_at(step)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(head.parameters(), clip)
        optimiser.step()
        schedule.step()
        if on_step is not None:
            on_step(step, float(loss.detach()))
    head.eval()
