"""Batches are functions of seed and step, and images and masks belong together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_scene import write_scene, write_scenes

from maskmill.config import TINY, TrainConfig
from maskmill.errors import DatasetError
from maskmill.formats.labelled import LabelledImage
from maskmill.train.data import StepDataset, source_weights, usable_images, usable_masks

CONFIG = TrainConfig(steps=10, batch_images=4, masks_per_image=3, input_side=64, late_input_side=96)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledImage]:
    return write_scenes(tmp_path_factory.mktemp("scenes"), 5)


def test_a_step_is_the_same_every_time_and_differs_from_the_next(
    scenes: list[LabelledImage],
) -> None:
    first, again = (StepDataset(scenes, TINY, CONFIG)[3] for _ in range(2))
    torch.testing.assert_close(first.images, again.images, rtol=0, atol=0)
    torch.testing.assert_close(first.masks, again.masks, rtol=0, atol=0)
    assert not torch.equal(first.images, StepDataset(scenes, TINY, CONFIG)[4].images)
    other = StepDataset(scenes, TINY, replace(CONFIG, seed=1))[3]
    assert not torch.equal(first.images, other.images)


def test_two_processes_share_the_batch_of_one(scenes: list[LabelledImage]) -> None:
    whole = StepDataset(scenes, TINY, CONFIG)[2]
    parts = [StepDataset(scenes, TINY, CONFIG, rank=r, world=2)[2] for r in (0, 1)]
    torch.testing.assert_close(torch.cat([p.images for p in parts]), whole.images)
    torch.testing.assert_close(torch.cat([p.masks for p in parts]), whole.masks)


def test_masks_lie_on_their_colours(scenes: list[LabelledImage]) -> None:
    config = replace(CONFIG, colour_jitter=0.0, batch_images=8)
    batch = StepDataset(scenes, TINY, config)[0]
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (TINY.pixel_mean, TINY.pixel_std))
    checked = 0
    for image, masks in zip(batch.images * std + mean, batch.masks, strict=True):
        for mask in masks:
            colour = image[:, mask].median(dim=1).values
            if colour.max() - colour.min() < 20:
                continue  # the one image in twenty that lost its colour
            assert colour.max() > 150, "the object is red or blue, the ground is dark"
            checked += 1
    assert checked > 12


def test_padding_is_zero_after_normalisation(scenes: list[LabelledImage]) -> None:
    config = replace(CONFIG, scale_jitter=(0.4, 0.5), batch_images=8)
    images = StepDataset(scenes, TINY, config)[0].images
    share = (images == 0).all(dim=1).float().mean()
    assert share > 0.5


def test_the_frame_grows_late(scenes: list[LabelledImage]) -> None:
    dataset = StepDataset(scenes, TINY, replace(CONFIG, late_share=0.3))
    assert [dataset.input_side(step) for step in range(10)] == [64] * 7 + [96] * 3
    assert dataset[9].images.shape == (4, 3, 96, 96)


def test_specks_and_whole_images_are_not_trained_on(scenes: list[LabelledImage]) -> None:
    assert usable_masks(scenes[0], CONFIG) == [0, 1]
    assert usable_masks(scenes[0], replace(CONFIG, min_mask_share=0.0)) == [0, 1, 2]
    assert usable_masks(scenes[0], replace(CONFIG, max_mask_share=1e-9, min_mask_share=0.0)) == []


def test_sources_are_chosen_by_name_and_none_left_is_an_error(scenes: list[LabelledImage]) -> None:
    assert len(usable_images(scenes, replace(CONFIG, sources=("odd",)))) == 2
    with pytest.raises(DatasetError, match="of 5, 5 of other sources than none, 0 without a mask"):
        usable_images(scenes, replace(CONFIG, sources=("none",)))


def test_without_a_choice_of_sources_none_is_spoken_of(scenes: list[LabelledImage]) -> None:
    with pytest.raises(
        DatasetError, match=r"of 5, 5 without a mask between 0\.00% and 0%"
    ) as error:
        usable_images(scenes, replace(CONFIG, min_mask_share=0.0, max_mask_share=1e-9))
    assert "source" not in str(error.value)
    assert "widen min_mask_share and max_mask_share" in str(error.value)


@pytest.mark.parametrize(("power", "small"), [(1.0, 2 / 5), (0.0, 1 / 2)])
def test_source_weights_lie_between_images_and_sources(
    scenes: list[LabelledImage], power: float, small: float
) -> None:
    weights = source_weights([i.source for i in scenes], power)
    assert weights.sum() == pytest.approx(1)
    assert weights[[i.source == "odd" for i in scenes]].sum() == pytest.approx(small)


def test_a_photograph_of_another_size_than_its_masks_is_refused(tmp_path: Path) -> None:
    scene = write_scene(tmp_path, "a", seed=1)
    wrong = replace(write_scene(tmp_path, "b", seed=2), path=scene.path)
    assert wrong.size != scene.size
    with pytest.raises(DatasetError, match=r"a\.png is .* its masks are"):
        StepDataset([wrong], TINY, CONFIG)[0]


def test_many_clicks_of_one_image_repeat_its_masks_in_turn(tmp_path: Path) -> None:
    scene = write_scene(tmp_path, "a", seed=3)
    config = replace(CONFIG, masks_per_image=5, batch_images=1, scale_jitter=(1.0, 1.0))
    masks = StepDataset([scene], TINY, config)[0].masks[0].numpy()
    assert masks.shape == (5, 64, 64)
    np.testing.assert_array_equal(masks[0], masks[2])
    np.testing.assert_array_equal(masks[1], masks[3])
