"""Fitting a grid's predicted IoU: it learns what is known of masks, and nothing else moves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_scene import SMALL, write_scenes

from maskmill.config import TrainConfig
from maskmill.model.grid_iou import GridIou
from maskmill.model.sam import Sam, build
from maskmill.train import fit_grid_iou as fitting
from maskmill.train.fit_grid_iou import Asked, fit, fit_grid_iou, iou_with_unions, low_res_regions
from maskmill.train.scores import rank_correlation

CONFIG = TrainConfig(grid_iou_images=2)


def judged(seed: int = 0) -> Sam:
    """A small model with random weights and a judge of its grids."""
    return build(replace(SMALL, decoder=replace(SMALL.decoder, grid_iou=True)), seed=seed).eval()


def test_a_mask_is_held_against_regions_and_what_it_mostly_covers() -> None:
    regions = torch.zeros(3, 4, 4, dtype=torch.bool)
    regions[0, :2, :2] = regions[1, :2, 2:] = regions[2, 2:] = True
    masks = torch.zeros(4, 4, 4, dtype=torch.bool)
    masks[0, :2, :2] = True  # one region
    masks[1, :2] = True  # two of them
    masks[2, :2, 1:] = True  # half of one is not most of it
    found = iou_with_unions(masks, regions)
    torch.testing.assert_close(found, torch.tensor([1.0, 1.0, 4 / 6, 0.0]))


def test_labels_are_drawn_at_the_low_res_scale_without_padding(tmp_path: Path) -> None:
    image = write_scenes(tmp_path, 1)[0]
    regions = low_res_regions(image, (48, 64))
    assert regions.shape == (3, 12, 16)
    assert regions[0].any()
    assert not regions[2].any(), "a speck of one pixel is less than half of any"


def test_it_learns_what_masks_are_worth_and_what_their_sketches_promise() -> None:
    generator = torch.Generator().manual_seed(0)
    told = torch.rand(4000, generator=generator)
    share = torch.rand(4000, generator=generator) ** 3
    doubt = torch.rand(4000, generator=generator)
    iou = (0.2 + share.sqrt() - 0.3 * doubt).clamp(0, 1)  # whatever was predicted for a click
    drawn = torch.stack([told, share, doubt], dim=1)
    noise = 0.3 * torch.rand(4000, generator=generator)
    sketched = torch.stack([told, (share + noise).clamp(max=1), doubt], dim=1)
    judge = GridIou()
    fit(judge, Asked(sketched, drawn, iou, torch.ones(4000), torch.zeros(4000)), seed=0)
    with torch.no_grad():
        worth, promise = judge.worth(*drawn.T), judge.promise(*sketched.T)
    assert rank_correlation(told.numpy(), iou.numpy()) < 0.1
    assert rank_correlation(worth.numpy(), iou.numpy()) > 0.97
    assert (worth - iou).abs().mean() < 0.05
    kept = float((worth <= promise).float().mean())
    assert kept == pytest.approx(fitting.QUANTILE, abs=0.06)


def test_unlabelled_ground_says_less_and_sources_say_the_same() -> None:
    """Where two sources disagree about the same mask, each is believed half, however large."""
    known = torch.tensor([[0.5, 0.1, 0.1]]).repeat(1000, 1)
    source = (torch.arange(1000) >= 900).float()
    iou = torch.where(source > 0, 0.8, 0.2)
    judge = GridIou()
    fit(judge, Asked(known, known, iou, torch.ones(1000), source), seed=0)
    assert float(judge.worth(*known[0]).detach()) == pytest.approx(0.5, abs=0.05)
    # Of one source, half on labelled ground with 0.8 and half on unlabelled with 0.2.
    labelled = (torch.arange(1000) < 500).float()
    iou = torch.where(labelled > 0, 0.8, 0.2)
    fit(judge, Asked(known, known, iou, labelled, torch.zeros(1000)), seed=0)
    assert float(judge.worth(*known[0]).detach()) == pytest.approx(0.7, abs=0.05)


def test_only_the_judge_moves_and_twice_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "STEPS", 20)
    images = write_scenes(tmp_path, 3)
    sam = judged()
    before = {name: value.clone() for name, value in sam.state_dict().items()}
    fit_grid_iou(sam, images, CONFIG)
    moved = {name for name, value in sam.state_dict().items() if not value.equal(before[name])}
    assert moved
    assert all(name.startswith("mask_decoder.grid_iou.") for name in moved)
    first = {name: value.clone() for name, value in sam.state_dict().items()}
    fit_grid_iou(sam, images, CONFIG)
    for name, value in sam.state_dict().items():
        assert torch.equal(value, first[name]), name
    assert not np.allclose(first["mask_decoder.grid_iou.worth.head.layers.2.weight"], 0)


def test_a_photograph_that_went_bad_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "STEPS", 20)
    images = write_scenes(tmp_path, 2)
    images[0].path.write_bytes(b"no longer an image")
    whole, without = judged(), judged()
    fit_grid_iou(whole, images, CONFIG)
    fit_grid_iou(without, images[1:], CONFIG)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, without.state_dict()[name]), name
    untouched = judged()
    fit_grid_iou(untouched, images[:1], CONFIG)
    assert all(v.equal(judged().state_dict()[n]) for n, v in untouched.state_dict().items())


@pytest.mark.parametrize("grid_iou", [True, False])
def test_none_is_fitted_where_none_is_wanted_or_there_is_none(
    grid_iou: bool, tmp_path: Path
) -> None:
    images = write_scenes(tmp_path, 1)
    sam = judged() if grid_iou else build(SMALL).eval()
    before = {name: value.clone() for name, value in sam.state_dict().items()}
    fit_grid_iou(sam, images, replace(CONFIG, grid_iou_images=0 if grid_iou else 2))
    assert all(value.equal(before[name]) for name, value in sam.state_dict().items())
