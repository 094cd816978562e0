"""The paper's training loop inside a step: prompts are simulated, answers are criticised, repeat.

The first prompt is a point or a noisy box; further points come from the error of the last answer,
whose logits are fed back; some rounds bring no new point. Appendix A of the paper. Points and masks
live in the input frame; errors and losses are measured on the low-res frame, a quarter of it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.config import TrainConfig
from maskmill.model.mask_decoder import Attended
from maskmill.model.sam import Sam
from maskmill.train.losses import bce_loss, dice_loss, focal_loss, mask_iou, sketch_loss

LOW_RES_STRIDE = 4


@dataclass(frozen=True, eq=False)
class StepResult:
    """What one simulated session gave.

    Attributes:
        loss: To be minimised; a scalar.
        metrics: Means over the batch: the parts of the loss, and IoU by prompt.
    """

    loss: Tensor
    metrics: dict[str, Tensor]


class InteractiveLoss(nn.Module):
    """A model together with the simulated person that trains it; its forward pass is one session.

    It is a module so that data-parallel training can wrap it whole.

    Args:
        sam: The model.
        config: Number of rounds, prompts and weights of the losses.
    """

    def __init__(self, sam: Sam, config: TrainConfig) -> None:
        super().__init__()
        self.sam = sam
        self.config = config

    def train(self, mode: bool = True) -> "InteractiveLoss":
        """Switch to training, where batch norm keeps its statistics if the settings say so."""
        super().train(mode)
        if self.config.keep_statistics:
            for part in self.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()
        return self

    def forward(
        self, images: Float[Tensor, "b 3 s s"], masks: Tensor, generator: torch.Generator
    ) -> StepResult:
        """Play one session on every mask of a batch.

        Args:
            images: Normalised frames.
            masks: Targets, boolean `b m s s`.
            generator: Draws every prompt; on the CPU, so that all devices see the same clicks.
        """
        per_image = masks.shape[1]
        target = F.avg_pool2d(masks.flatten(0, 1)[:, None].float(), LOW_RES_STRIDE)[:, 0]
        embedding, high_res = self.sam.encode(images)
        described = self.sam.describe(embedding, high_res)
        if described is not None:
            described = described.repeat_interleave(per_image, 0)
        embedding = embedding.repeat_interleave(per_image, 0)
        high_res = tuple(x.repeat_interleave(per_image, 0) for x in high_res)
        is_box = torch.rand(len(target), generator=generator).to(target.device)
        is_box = is_box < self.config.box_share
        coords, labels = self._first_prompt(target, is_box, generator)
        logits, loss, metrics = self._first_round(
            embedding, high_res, described, coords, labels, target, is_box
        )
        pointless = self._rounds_without_point(generator)
        rounds = self.config.click_iterations + self.config.iterations_without_point
        for i in range(rounds):
            if i not in pointless:
                point, label = self._error_click(target, logits, generator)
                coords = torch.cat([coords, point], dim=1)
                labels = torch.cat([labels, label], dim=1)
            attended = self.sam.attend(embedding, high_res, coords, labels, logits[:, None])
            maps = self.sam.draw_maps(described, coords, labels)
            drawn = self.sam.mask_decoder.draw(attended, high_res, slice(0, 1), maps)
            part, iou = self._criticise(drawn, attended.predicted_iou[:, :1], target[:, None])
            loss = loss + part.mean() + self._sketch_loss(attended, drawn)
            logits = drawn[:, 0].detach().float()
            metrics[f"iou_round_{i + 2}"] = iou.mean()
        return StepResult(loss / (1 + rounds), metrics)

    def _first_round(
        self,
        embedding: Tensor,
        high_res: tuple[Tensor, ...],
        described: Tensor | None,
        coords: Tensor,
        labels: Tensor,
        target: Tensor,
        is_box: Tensor,
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Answer the first prompt: a box with the one mask, a point with the best of three."""
        attended = self.sam.attend(embedding, high_res, coords, labels)
        maps = self.sam.draw_maps(described, coords, labels)
        drawn = self.sam.mask_decoder.draw(attended, high_res, slice(None), maps)
        part, iou = self._criticise(drawn, attended.predicted_iou, target[:, None])  # n 4
        with torch.no_grad():
            n = torch.arange(len(target), device=target.device)
            best = part[:, 1:].argmin(1) + 1
            taught = torch.where(is_box, 0, best)
            trusted = attended.predicted_iou[:, 1:].argmax(1) + 1
            shown = torch.where(is_box, 0, trusted)
        loss = part[n, taught].mean() + self._sketch_loss(attended, drawn)
        # Every candidate's predicted IoU is taught: choosing among the three depends on it.
        gap = self._iou_gap(attended.predicted_iou, iou)
        unused = torch.ones_like(gap)
        unused[n, taught] = 0
        loss = loss + self.config.iou_weight * (gap[:, 1:] * unused[:, 1:]).mean()
        point = ~is_box
        metrics = {
            "loss_first": loss.detach(),
            "iou_from_point": _mean(iou[n, trusted], point),
            "iou_best_of_three": _mean(iou[:, 1:].amax(1), point),
            "iou_from_box": _mean(iou[:, 0], is_box),
        }
        return drawn[n, shown].detach().float(), loss, metrics

    def _criticise(
        self, logits: Tensor, predicted_iou: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Measure the loss of each mask, its own IoU estimate included, and its true IoU."""
        logits = logits.float()
        target = target.expand_as(logits)
        pixel = focal_loss if self.config.mask_loss == "focal" else bce_loss
        iou = mask_iou(logits, target)
        loss = (
            self.config.mask_loss_weight * pixel(logits, target)
            + self.config.dice_weight * dice_loss(logits, target)
            + self.config.iou_weight * self._iou_gap(predicted_iou, iou)
        )
        return loss, iou

    def _sketch_loss(self, attended: Attended, drawn: Tensor) -> Tensor | float:
        """Measure how well the first of the sketches show the masks that were drawn of them."""
        if attended.sketches is None:
            return 0.0
        loss = sketch_loss(attended.sketches[:, : drawn.shape[1]], drawn)
        return self.config.sketch_weight * loss

    @staticmethod
    def _iou_gap(predicted_iou: Tensor, iou: Tensor) -> Tensor:
        return (predicted_iou.float() - iou) ** 2

    def _first_prompt(
        self, target: Tensor, is_box: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Give each mask a point (and padding) or the two corners of a noisy box."""
        point, _ = self._clicks(target > 0.5, generator)
        padding = torch.zeros_like(point)
        corners = noisy_boxes(target, generator)
        coords = torch.where(is_box[:, None, None], corners, torch.cat([point, padding], dim=1))
        as_point = torch.tensor([1, -1], device=target.device)
        as_box = torch.tensor([2, 3], device=target.device)
        return coords, torch.where(is_box[:, None], as_box, as_point)

    def _error_click(
        self, target: Tensor, logits: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Click into the error of the last answer, on either kind of error, or anywhere if none."""
        truth = target > 0.5
        wrong = truth ^ (logits > 0)
        none = ~wrong.flatten(1).any(1)
        point, cell = self._clicks(wrong | none[:, None, None], generator)
        return point, truth.flatten(1).gather(1, cell).long()

    def _clicks(self, region: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a click in each region; some at its centre, the rest anywhere in it."""
        n, side, _ = region.shape
        chance = region.flatten(1).float().cpu()
        if self.config.centre_share:
            centred = torch.rand(n, generator=generator) < self.config.centre_share
            depth = inner_distance(region).flatten(1).cpu()
            peak = depth >= depth.amax(1, keepdim=True)
            chance = torch.where(centred[:, None], (peak & (chance > 0)).float(), chance)
        chance = torch.where(chance.sum(1, keepdim=True) > 0, chance, torch.ones_like(chance))
        cell = torch.multinomial(chance, 1, generator=generator)  # n 1
        within = torch.rand(n, 1, 2, generator=generator) * LOW_RES_STRIDE
        corner = torch.stack([cell % side, cell // side], dim=-1) * LOW_RES_STRIDE
        point = (corner + within).floor()
        return point.to(region.device), cell.to(region.device)

    def _rounds_without_point(self, generator: torch.Generator) -> set[int]:
        """Choose them as the paper does: the last round, and others at random."""
        rounds = self.config.click_iterations + self.config.iterations_without_point
        if not self.config.iterations_without_point:
            return set()
        order = torch.randperm(rounds - 1, generator=generator).tolist()
        return {rounds - 1, *order[: self.config.iterations_without_point - 1]}


def noisy_boxes(
    target: Float[Tensor, "n h w"], generator: torch.Generator
) -> Float[Tensor, "n 2 2"]:
    """Give each mask's box with noise, as two corners in the input frame.

    Noise has a deviation of a tenth of the box's side, at most 20 pixels, as in the paper.
    """
    truth = target > 0.5
    side = target.shape[-1] * LOW_RES_STRIDE
    corners = []
    for axis in (1, 2):  # collapse rows for x, columns for y
        line = truth.any(dim=axis).float()
        first = line.argmax(1)
        last = line.shape[1] - line.flip(1).argmax(1)
        corners.append(torch.stack([first, last], dim=1))
    box = torch.stack(corners, dim=-1).float() * LOW_RES_STRIDE  # n, (first, last), (x, y)
    extent = box[:, 1:] - box[:, :1]
    noise = torch.randn(box.shape, generator=generator).to(box.device)
    box = box + (noise * 0.1 * extent).clamp(-20, 20)
    return box.clamp(0, side)


def inner_distance(region: Tensor) -> Float[Tensor, "n h w"]:
    """Count, per cell, how many 3x3 erosions it survives: a coarse distance to the border.

    Args:
        region: Boolean `n h w`.
    """
    inside = F.pad(region.float(), (1, 1, 1, 1))[:, None]
    depth = inside.clone()
    for _ in range(12):
        inside = -F.max_pool2d(-inside, 3, stride=1, padding=1)
        depth += inside
    return depth[:, 0, 1:-1, 1:-1]


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Average over a selection; NaN where nothing was selected."""
    return values[where].mean() if bool(where.any()) else torch.full((), float("nan"))
