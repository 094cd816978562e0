"""Regions: what the head is shown and taught, what is flooded from its answer."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from cell_crowds import SIDE, cell_crowd

from maskmill import regions, rle
from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage, LabelledMask, read_pixels
from maskmill.geometry import shrunk_size
from maskmill.predict import Predictor
from maskmill.train.regions import (
    CROWD,
    RegionConfig,
    cut_out,
    make_sheet,
    region_loss,
    train_regions,
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("tiny", threads=1)


@pytest.fixture
def crowd(tmp_path: Path) -> LabelledImage:
    return cell_crowd(tmp_path, "crowd", 1)


def objects_of(image: LabelledImage) -> np.ndarray:
    objects = np.zeros((SIDE, SIDE), np.int32)
    for number, mask in enumerate(image.annotations, 1):
        objects[rle.decode(mask.rle)] = number
    return objects


def truth(objects: np.ndarray) -> regions.Answer:
    return regions.Answer(
        inside=(objects > 0).astype(np.float32),
        outline=regions.outline_of(objects).astype(np.float32),
        depth=regions.depth_of(objects),
    )


def test_what_is_taught_floods_back_into_the_same_objects(crowd: LabelledImage) -> None:
    objects = objects_of(crowd)
    found = regions.regions_in(truth(objects))
    iou = rle.iou(
        [rle.encode(r.mask(objects.shape)) for r in found], [m.rle for m in crowd.annotations]
    )
    assert len(found) == len(crowd.annotations) == 12
    assert (iou.max(0) > 0.9).all(), iou.max(0)
    for region in found:
        x, y = region.middle
        assert region.mask(objects.shape)[int(y), int(x)]
        assert region.score > 0.8
        assert region.sure == 1


def test_holes_are_filled_and_noise_is_left_out() -> None:
    disc = np.zeros((60, 60), np.uint8)
    cv2.circle(disc, (30, 30), 15, 1, -1)
    answer = truth(disc.astype(np.int32))
    answer.inside[28:32, 36:39] = 0.1  # off the middle, which alone is a peak
    answer.inside[2, 2:6] = answer.depth[2, 2:6] = 1
    (region,) = regions.regions_in(answer)
    assert (region.mask(disc.shape) == (disc > 0)).all()


def test_what_is_doubtful_scores_less() -> None:
    disc = np.zeros((60, 60), np.uint8)
    cv2.circle(disc, (15, 30), 10, 1, -1)
    cv2.circle(disc, (45, 30), 10, 2, -1)
    answer = truth(disc.astype(np.int32))
    answer.inside[disc == 2] = 0.6
    sure, doubtful = regions.regions_in(answer)
    assert (sure.mask(disc.shape) == (disc == 1)).mean() > 0.99
    assert sure.score > 0.9
    assert doubtful.score == 0, "none of its pixels is surely inside"


@pytest.mark.parametrize("size", [(60, 60), (180, 240), (431, 77), (30, 90)])
def test_regions_grow_and_shrink_with_their_image(size: tuple[int, int]) -> None:
    disc = np.zeros((60, 60), np.uint8)
    cv2.circle(disc, (20, 38), 12, 1, -1)
    (region,) = regions.regions_in(truth(disc.astype(np.int32)))
    moved = regions.at_image_size(region, (60, 60), size)
    assert moved is not None
    expected = cv2.resize(disc.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    found = moved.mask(size)
    assert rle.iou([rle.encode(found)], [rle.encode(expected)])[0, 0] > 0.97
    x, y = moved.middle
    assert found[int(y), int(x)]


def test_what_is_lost_on_the_way_is_no_region() -> None:
    dot = regions.Region(
        shape=np.eye(2, dtype=bool)[:1], corner=(31, 30), score=1.0, sure=1.0, middle=(30.5, 31.5)
    )
    assert regions.at_image_size(dot, (60, 60), (5, 5)) is None


def test_nothing_inside_is_no_region() -> None:
    empty = np.zeros((32, 48), np.int32)
    assert regions.regions_in(truth(empty)) == []


def test_depth_is_one_at_the_deepest_and_fits_each_object() -> None:
    objects = np.zeros((20, 40), np.int32)
    objects[2:9, 2:9], objects[5:20, 15:40] = 1, 7
    depth = regions.depth_of(objects)
    assert depth[5, 5] == 1 == depth[objects == 7].max()
    assert (depth[objects == 0] == 0).all()
    assert 0 < depth[2, 2] < 0.5


def test_outlines_lie_on_both_sides_of_a_border() -> None:
    objects = np.zeros((4, 6), np.int32)
    objects[:, 2:4], objects[:, 4:] = 3, 5
    assert regions.outline_of(objects)[0].tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((300, 600), 256, (128, 256)), ((90, 60), 256, (90, 60)), ((2000, 1), 256, (256, 1))],
)
def test_images_are_only_shrunk(
    size: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    assert shrunk_size(size, side) == expected
    seen = regions.working_image(np.zeros((*size, 3), np.uint8), side)
    assert seen.shape == (*expected, 3)


def test_faint_images_are_shown_as_bright_ones(crowd: LabelledImage) -> None:
    image = read_pixels(crowd)
    faint = regions.working_image((image // 4).astype(np.uint8), 256)
    assert np.abs(faint - regions.working_image(image, 256)).mean() < 0.02


def test_small_objects_are_looked_at_in_larger_images() -> None:
    assert regions.side_for(np.array([0.1])) == 256
    assert regions.side_for(np.array([0.05, 0.05, 0.9])) == 480
    assert regions.side_for(np.array([0.001])) == 1024


def test_maps_lie_over_the_image_they_are_of(predictor: Predictor) -> None:
    image = np.zeros((120, 200, 3), np.uint8)
    image[60:, 100:] = 255
    embedding = predictor.embed(image)
    maps = regions.working_maps(embedding, (120, 200), (32, 52))
    assert maps.shape[1:] == (32, 52)
    assert len(maps) == len(embedding.array) + sum(len(m) for m in embedding.high_res)
    finest = maps[-len(embedding.high_res[-1]) :]
    corner = np.abs(finest[:, 18:28, 28:48].mean((1, 2)) - finest[:, 3:12, 3:22].mean((1, 2)))
    same = np.abs(finest[:, 3:12, 28:48].mean((1, 2)) - finest[:, 3:12, 3:22].mean((1, 2)))
    assert corner.sum() > 3 * same.sum()
    assert np.allclose(maps[:, 31], maps[:, 30]), "repeated beyond the image"


def test_a_cut_out_shows_image_maps_and_objects_of_one_place(
    predictor: Predictor, crowd: LabelledImage
) -> None:
    sheet = make_sheet(predictor, crowd, 256)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        image, maps, depth, objects = cut_out(sheet, rng, RegionConfig(crop=64))
        assert image.shape == (3, 64, 64)
        assert maps.shape[1:] == (16, 16)
        inside = objects[0].numpy() > 0
        bright = image.mean(0).numpy()
        assert inside.any()
        assert bright[inside].mean() > bright[~inside].mean() + 0.2, seed
        assert ((depth[0].numpy() > 0.3) <= inside).mean() > 0.99, seed


def test_a_crowd_teaches_nothing(predictor: Predictor, crowd: LabelledImage) -> None:
    from dataclasses import replace

    first, *rest = crowd.annotations
    as_crowd = LabelledMask(rle=first.rle, is_crowd=True)
    sheet = make_sheet(predictor, replace(crowd, annotations=(as_crowd, *rest)), 256)
    told = sheet.objects.numpy()
    assert (told[0][rle.decode(first.rle)] == CROWD).all()
    logits = torch.zeros(1, 3, SIDE, SIDE)
    before = region_loss(logits, sheet.depth.float(), told)
    logits[0, :, torch.from_numpy(rle.decode(first.rle))] = 9.0
    assert torch.allclose(region_loss(logits, sheet.depth.float(), told), before, atol=0.02)


def test_a_head_that_is_right_loses_less(predictor: Predictor, crowd: LabelledImage) -> None:
    sheet = make_sheet(predictor, crowd, 256)
    objects = sheet.objects.numpy()
    answer = truth(objects[0])
    said = np.stack([answer.inside, answer.outline, answer.depth]).clip(0.01, 0.99)
    logits = torch.from_numpy(np.log(said / (1 - said)))[None].float()
    right = region_loss(logits, sheet.depth.float(), objects)
    for channel in range(3):
        wrong = logits.clone()
        wrong[:, channel] = wrong[:, channel].roll(7, 1)
        assert region_loss(wrong, sheet.depth.float(), objects) > right + 0.1, channel


def test_the_same_seed_trains_the_same_head(predictor: Predictor, crowd: LabelledImage) -> None:
    config = RegionConfig(steps=2, batch_images=1, crop=64)
    first, second = (train_regions(predictor, [crowd], config)[0] for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_nothing_to_learn_from_is_refused(predictor: Predictor) -> None:
    with pytest.raises(DatasetError, match="label some"):
        train_regions(predictor, [])
