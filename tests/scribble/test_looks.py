"""Made-up looks: what is painted stays within its shape, and cameras change light, not places."""

from dataclasses import replace

import numpy as np
import pytest

from maskmill.scribble.pretrain.looks import (
    CHANCES,
    GROUND_CHANCES,
    GROUNDS,
    KINDS,
    Camera,
    Kind,
    lay,
    paint,
    some_camera,
    some_ground,
    some_look,
    take,
)

SIDE = 64
PHOTOS = [np.random.default_rng(i).integers(0, 255, (70, 90, 3), np.uint8) for i in range(7)]


def shape() -> np.ndarray:
    inside = np.zeros((SIDE, SIDE), bool)
    inside[20:40, 10:50] = True
    return inside


@pytest.mark.parametrize("kind", KINDS)
def test_a_look_changes_its_shape_and_nothing_far_from_it(kind: Kind):
    ground = np.random.default_rng(9).random((SIDE, SIDE, 3), np.float32) / 2 + 0.2
    changed = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        look = replace(some_look(rng, PHOTOS), kind=kind)
        painted = paint(look, ground, shape(), rng)
        changed.append(np.abs(painted - ground)[shape()].mean())
        assert np.abs(painted - ground)[50:].max() < 1e-5
    assert np.median(changed) > 0.005


def test_nothing_is_painted_on_an_empty_shape():
    rng = np.random.default_rng(0)
    ground = rng.random((SIDE, SIDE, 3), np.float32)
    look = replace(some_look(rng, PHOTOS), rim=0.3, dome=0.3)
    assert np.allclose(paint(look, ground, np.zeros((SIDE, SIDE), bool), rng), ground)


@pytest.mark.parametrize("kind", GROUNDS)
def test_every_ground_is_laid(kind: str):
    rng = np.random.default_rng(0)
    ground = replace(some_ground(rng, PHOTOS), kind=kind)
    laid = [lay(ground, rng, SIDE) for _ in range(3)]
    assert all(each.shape == (SIDE, SIDE, 3) for each in laid)
    assert 0 <= min(each.min() for each in laid) <= max(each.max() for each in laid) <= 1
    assert not np.array_equal(laid[0], laid[1])


def test_chances_add_up():
    assert sum(CHANCES) == pytest.approx(1)
    assert sum(GROUND_CHANCES) == pytest.approx(1)


def test_a_camera_that_changes_nothing_shows_the_scene():
    still = Camera(unlike=0.0, grey=False, negative=False, blur=0.0, noise=0.0, slope=0.0)
    scene = np.random.default_rng(0).random((SIDE, SIDE, 3), np.float32)
    assert np.allclose(take(still, scene, np.random.default_rng(1)), scene, atol=1e-6)
    negative = take(replace(still, negative=True), scene, np.random.default_rng(1))
    assert np.allclose(negative, 1 - scene, atol=1e-6)
    grey = take(replace(still, grey=True), scene, np.random.default_rng(1))
    assert np.allclose(grey[..., 0], grey[..., 2])


def test_cameras_of_a_project_are_as_unlike_as_it_says():
    scene = np.full((SIDE, SIDE, 3), 0.4, np.float32)

    def spread(unlike: float) -> float:
        camera = replace(some_camera(np.random.default_rng(0)), unlike=unlike, negative=False)
        seen = [take(camera, scene, np.random.default_rng(seed)).mean() for seed in range(30)]
        return float(np.std(seen))

    assert spread(2.0) > 5 * spread(0.1)
    assert not any(some_camera(np.random.default_rng(s), real=True).negative for s in range(50))
