"""The loop in which heads learn: it learns, it tells, and it ends in evaluation mode."""

import pytest
import torch
from torch import nn

from maskmill.train.fitting import fit


def test_a_line_is_learned_step_by_step() -> None:
    torch.manual_seed(0)
    line, told = nn.Linear(1, 1), list[tuple[int, float]]()
    x = torch.linspace(-1, 1, 20)[:, None]

    def loss_at(step: int) -> torch.Tensor:
        return ((line(x) - (3 * x - 1)) ** 2).mean()

    fit(
        line, loss_at, steps=200, learning_rate=0.1, weight_decay=0.0, clip=1.0,
        on_step=lambda step, loss: told.append((step, loss)),
    )  # fmt: skip
    assert [step for step, _ in told] == list(range(200))
    assert told[-1][1] < 1e-3 < told[0][1]
    assert line.weight.item() == pytest.approx(3, abs=0.05)
    assert not line.training


def test_gradients_are_clipped() -> None:
    line = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        line.weight.fill_(0.0)
    seen: list[float] = []

    def loss_at(step: int) -> torch.Tensor:
        if line.weight.grad is not None:
            seen.append(float(line.weight.grad.abs()))
        return (1e6 * line.weight).sum()

    fit(line, loss_at, steps=3, learning_rate=1e-3, weight_decay=0.0, clip=0.5)
    assert seen == pytest.approx([0.5, 0.5], rel=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 10, 11])
def test_any_number_of_steps_is_taken(steps: int) -> None:
    line, told = nn.Linear(1, 1), list[int]()
    fit(
        line, lambda _: line.weight.sum() ** 2, steps=steps, learning_rate=0.1, weight_decay=0.0,
        clip=1.0, on_step=lambda step, _: told.append(step),
    )  # fmt: skip
    assert told == list(range(steps))
