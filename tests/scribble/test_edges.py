"""Probabilities follow edges, lose noise, and still add up to one."""

import numpy as np

from maskmill.scribble.edges import follow, settle


def test_noise_goes_and_the_edge_stays():
    random = np.random.default_rng(0)
    light = np.zeros((60, 80), np.float32)
    light[:, 40:] = 1
    one = np.clip(light * 0.4 + 0.3 + random.normal(0, 0.3, light.shape), 0, 1).astype(np.float32)
    found = follow(np.stack([1 - one, one]), light)
    wrong = ((found[1] > 0.5) != (light > 0.5)).mean()
    assert wrong < 0.01 < ((one > 0.5) != (light > 0.5)).mean()
    assert np.allclose(found.sum(axis=0), 1, atol=1e-5)


def test_what_stands_alone_goes_where_a_filter_alone_leaves_it():
    random = np.random.default_rng(1)
    light = np.zeros((60, 80), np.float32)
    light[:, 40:] = 1
    one = np.clip(light * 0.3 + 0.35 + random.normal(0, 0.4, light.shape), 0, 1).astype(np.float32)
    alone = np.stack([1 - one, one])
    before, after = follow(alone, light), settle(alone, light)
    wrong = [((found[1] > 0.5) != (light > 0.5)).mean() for found in (before, after)]
    assert wrong[1] < wrong[0] / 3
    assert np.allclose(after.sum(axis=0), 1, atol=1e-5)


def test_a_thin_line_that_can_be_seen_stays_and_one_that_cannot_be_goes():
    line = np.full((40, 60), 0.2, np.float32)
    line[20] = 0.8
    seen = np.where(line > 0.5, 0.0, 1.0).astype(np.float32)
    found = settle(np.stack([1 - line, line]), seen)
    assert (found[1] > 0.5)[20].all()
    assert not (found[1] > 0.5)[[18, 22]].any()
    flat = settle(np.stack([1 - line, line]), np.ones_like(line))
    assert not (flat[1] > 0.5).any()


def test_doubt_is_still_doubt_afterwards():
    share = np.repeat(np.linspace(0.55, 0.95, 5, dtype=np.float32), 20)
    one = np.tile(share, (40, 1))
    found = settle(np.stack([1 - one, one]), np.ones_like(one))[1, 20, 10::20]
    assert (np.diff(found) > 0.02).all()
    assert 0.7 < found[0] < 0.8


def test_surroundings_reach_as_far_where_pixels_were_asked_about_as_where_cells_were():
    random = np.random.default_rng(2)
    cells = np.clip(0.7 + random.normal(0, 0.3, (24, 32)), 0.01, 0.99).astype(np.float32)
    pixels = np.repeat(np.repeat(cells, 4, axis=0), 4, axis=1)
    coarse, near, far = (
        settle(np.stack([1 - one, one]), np.ones_like(one), cell=cell)[1]
        for one, cell in ((cells, 1), (pixels, 1), (pixels, 4))
    )
    wrong = [(found < 0.5).mean() for found in (coarse, near, far)]
    assert wrong[2] <= wrong[0] + 0.005 < wrong[1]
