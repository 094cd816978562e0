"""Teaching the pixel encoder: strokes on some images of an episode, asked about all of them.

A step draws episodes, describes their images, fits to the marked cells the linear probe that the
product fits (`scribble.probe`), and holds what it says of every cell against the truth. The probe
has a closed form, so what is learned are the descriptors on which such probes carry over.

Several processes share a step's episodes. A run that was stopped goes on where it was.

Source:
    Bertinetto et al., "Meta-learning with differentiable closed-form solvers", arXiv 1805.08136.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from maskmill.errors import ConfigError
from maskmill.model.pixel_encoder import PixelEncoder
from maskmill.scribble.pretrain.episodes import Episode, Pool, some_episode
from maskmill.scribble.probe import BIAS_RIDGE, RIDGE, SCALE
from maskmill.scribble.strokes import UNLABELLED

STATE = "state.pt"
"""In a run's folder: how far it is."""
WARM_UP = 0.05 + 1e-6
"""Share of the steps; a hair more, because PyTorch divides by zero where it is exactly one step."""
FEW_CELLS = 30
"""A category with fewer cells in an episode weighs as if it had so many."""


@dataclass(frozen=True, kw_only=True)
class LearnConfig:
    """How the pixel encoder is taught."""

    steps: int = 5000
    """Optimiser steps."""
    episodes: int = 6
    """A step, over all processes."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW; a twentieth of the steps warm up, a cosine follows."""
    weight_decay: float = 1e-3
    """Decay of AdamW."""
    average: float = 0.995
    """What is kept of the averaged weights each step; the average is what ships."""
    save_every: int = 200
    """Steps."""
    seed: int = 0
    """Decides weights and episodes."""


def learn(pool: Pool, config: LearnConfig, run: Path) -> PixelEncoder:
    """Teach a pixel encoder, or go on teaching it.

    Args:
        pool: What episodes are made of.
        config: How.
        run: A folder for the state and `curve.txt`: step, loss and IoU on images without strokes.

    Returns:
        The encoder, averaged over its last steps, in evaluation mode.

    Raises:
        ConfigError: If the folder holds a run with other settings.
    """
    torch.manual_seed(config.seed)
    encoder, averaged = PixelEncoder(), PixelEncoder()
    averaged.load_state_dict(encoder.state_dict())
    optimiser = torch.optim.AdamW(
        encoder.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps, pct_start=WARM_UP
    )
    parts = {"encoder": encoder, "average": averaged, "optimiser": optimiser, "rate": schedule}
    first = _resume(run, parts, config)
    told = []
    for step in range(first, config.steps):
        loss, iou = _mean_of([episode_loss(encoder, e) for e in _episodes(pool, config, step)])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        _share_gradients(encoder)
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        kept = min(config.average, (step + 1) / (step + 10))
        for mean, now in zip(averaged.parameters(), encoder.parameters(), strict=True):
            mean.data.lerp_(now.data, 1 - kept)
        told.append((float(loss.detach()), iou))
        if leads() and ((step + 1) % config.save_every == 0 or step + 1 == config.steps):
            _save(run, parts, config, step + 1, np.mean(told, axis=0).tolist())
            told = []
    return averaged.eval()


def episode_loss(encoder: PixelEncoder, episode: Episode) -> tuple[Float[Tensor, ""], float]:
    """Return how wrong the probe fitted to an episode's strokes is, and its IoU.

    Returns:
        The cross entropy over all cells of all images, a category weighing as the root of its
        cells; the mean IoU over categories that the images without strokes show.
    """
    images = torch.from_numpy(episode.images).permute(0, 3, 1, 2).contiguous()
    described = encoder(images).permute(0, 2, 3, 1)
    stroked = len(episode.marks)
    marks = torch.from_numpy(episode.marks.astype(np.int64))
    truth = torch.from_numpy(episode.labels.astype(np.int64))
    marked = marks != UNLABELLED
    probe = probe_of(described[:stroked][marked], marks[marked], episode.categories)
    logits = described @ probe[:-1] + probe[-1]
    known = truth != UNLABELLED
    count = torch.bincount(truth[known], minlength=episode.categories).clamp(min=FEW_CELLS)
    loss = F.cross_entropy(logits[known], truth[known], weight=count.float().rsqrt())
    with torch.no_grad():
        iou = _mean_iou(logits[stroked:].argmax(-1), truth[stroked:], episode.categories)
    return loss, iou


def probe_of(
    descriptors: Float[Tensor, "n d"], labels: Int[Tensor, " n"], categories: int
) -> Float[Tensor, "d+1 k"]:
    """Fit what `probe.fit_probe` fits, in a way that can be learned through."""
    cells = torch.cat([descriptors, torch.ones(len(labels), 1)], 1)
    count = torch.bincount(labels, minlength=categories).float()
    weighed = cells / (count[labels] * categories)[:, None]
    wanted = F.one_hot(labels, categories).float() - 1 / categories
    penalty = torch.full((cells.shape[1],), RIDGE)
    penalty[-1] = BIAS_RIDGE
    probe: Tensor = torch.linalg.solve(weighed.T @ cells + penalty.diag(), weighed.T @ wanted)
    return SCALE * probe


def _mean_iou(found: Int[Tensor, "*n"], truth: Int[Tensor, "*n"], categories: int) -> float:
    known = truth != UNLABELLED
    ious = []
    for k in range(categories):
        said, is_so = (found == k) & known, truth == k
        if is_so.any():
            ious.append(float((said & is_so).sum() / (said | is_so).sum()))
    return float(np.mean(ious)) if ious else float("nan")


def _mean_of(told: list[tuple[Tensor, float]]) -> tuple[Tensor, float]:
    return torch.stack([loss for loss, _ in told]).mean(), float(np.nanmean([i for _, i in told]))


def _episodes(pool: Pool, config: LearnConfig, step: int) -> list[Episode]:
    """Draw this process's share of a step's episodes: those depend on the seed and the step."""
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    return [
        some_episode(np.random.default_rng([config.seed, step, number]), pool)
        for number in range(rank, config.episodes, world)
    ]


def _share_gradients(encoder: PixelEncoder) -> None:
    """Give every process the mean of all processes' gradients."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
    joined = torch.cat([each.reshape(-1) for each in gradients])
    dist.all_reduce(joined)
    parts = torch.split(joined / dist.get_world_size(), [each.numel() for each in gradients])
    for each, part in zip(gradients, parts, strict=True):
        each.copy_(part.view_as(each))


def leads() -> bool:
    """Say whether this process is the one that writes."""
    return not dist.is_initialized() or dist.get_rank() == 0


def _resume(run: Path, parts: dict[str, Any], config: LearnConfig) -> int:
    """Load where a run was; return its next step."""
    if not (run / STATE).is_file():
        return 0
    state = torch.load(run / STATE, weights_only=True)
    if state["settings"] != asdict(config):
        raise ConfigError(
            f"{run} holds a run with {state['settings']}, not {asdict(config)}; go on with the "
            "same settings, or name another folder"
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])


def _save(
    run: Path, parts: dict[str, Any], config: LearnConfig, step: int, told: list[float]
) -> None:
    run.mkdir(parents=True, exist_ok=True)
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({**state, "settings": asdict(config), "step": step}, run / f"{STATE}.new")
    (run / f"{STATE}.new").replace(run / STATE)
    with (run / "curve.txt").open("a", encoding="utf-8") as curve:
        curve.write(f"{step} {told[0]:.4f} {told[1]:.4f} {time.time():.0f}\n")
