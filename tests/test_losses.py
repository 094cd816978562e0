"""Losses against independent references at small size."""

import numpy as np
import torch

from maskmill.train.losses import bce_loss, dice_loss, focal_loss, mask_iou, sketch_loss


def masks(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 5, 7, generator=generator) * 3
    target = (torch.rand(2, 3, 5, 7, generator=generator) > 0.6).float()
    return logits, target


def test_focal_matches_its_formula_written_out_per_pixel() -> None:
    logits, target = masks()
    p = 1 / (1 + np.exp(-logits.numpy().astype(np.float64)))
    t = target.numpy()
    per_pixel = np.where(t == 1, -0.25 * (1 - p) ** 2 * np.log(p), -0.75 * p**2 * np.log(1 - p))
    expected = per_pixel.mean((-2, -1))
    np.testing.assert_allclose(focal_loss(logits, target).numpy(), expected, rtol=1e-5)


def test_focal_without_gamma_is_balanced_cross_entropy() -> None:
    logits, _ = masks()
    ones = torch.ones_like(logits)
    torch.testing.assert_close(focal_loss(logits, ones, gamma=0.0), 0.25 * bce_loss(logits, ones))


def test_dice_is_one_minus_the_overlap_of_certain_masks() -> None:
    target = torch.zeros(1, 4, 6)
    target[0, :2, :3] = 1
    shifted = torch.full((1, 4, 6), -50.0)
    shifted[0, 1:3, :3] = 50.0  # shares 3 of 6 pixels
    expected = 1 - (2 * 3 + 1) / (6 + 6 + 1)
    torch.testing.assert_close(dice_loss(shifted, target), torch.tensor([expected]))


def test_soft_targets_are_cheapest_at_their_own_probability() -> None:
    target = torch.full((1, 2, 3), 0.7)
    losses = [
        float(bce_loss(torch.full((1, 2, 3), float(torch.logit(torch.tensor(p)))), target))
        for p in (0.5, 0.7, 0.9)
    ]
    assert losses[1] == min(losses)


def test_mask_iou_counts_pixels_and_empty_masks_score_zero() -> None:
    target = torch.zeros(2, 4, 6)
    target[0, :2, :3] = 1
    logits = torch.full((2, 4, 6), -1.0)
    logits[0, 1:3, :3] = 1.0
    torch.testing.assert_close(mask_iou(logits, target), torch.tensor([3 / 9, 0.0]))


def test_a_sketch_is_best_where_it_says_each_cells_share_and_moves_nothing_but_itself() -> None:
    drawn = torch.full((1, 1, 4, 4), -30.0)
    drawn[..., :2, :2] = 30.0  # the first of four cells wholly
    drawn[..., 2:, 2] = 30.0  # the last by half
    drawn.requires_grad_()
    best = torch.tensor([[[30.0, -30.0, -30.0, 0.0]]])
    loss = sketch_loss(best, drawn)
    assert loss < sketch_loss(best + 0.1, drawn)
    assert loss < sketch_loss(best - 0.1, drawn)
    assert not loss.requires_grad
