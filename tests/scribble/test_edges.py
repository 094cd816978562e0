"""Probabilities follow edges, lose noise, and still add up to one."""

import numpy as np

from maskmill.scribble.edges import follow


def test_noise_goes_and_the_edge_stays():
    random = np.random.default_rng(0)
    light = np.zeros((60, 80), np.float32)
    light[:, 40:] = 1
    one = np.clip(light * 0.4 + 0.3 + random.normal(0, 0.3, light.shape), 0, 1).astype(np.float32)
    found = follow(np.stack([1 - one, one]), light)
    wrong = ((found[1] > 0.5) != (light > 0.5)).mean()
    assert wrong < 0.01 < ((one > 0.5) != (light > 0.5)).mean()
    assert np.allclose(found.sum(axis=0), 1, atol=1e-5)


def test_fine_lightness_sharpens():
    fine = np.zeros((120, 160), np.float32)
    fine[:, 82:] = 1
    coarse = fine.reshape(30, 4, 40, 4).mean(axis=(1, 3))
    found = follow(np.stack([1 - coarse, coarse]), coarse, fine)
    assert found.shape == (2, 120, 160)
    assert ((found[1] > 0.5) != (fine > 0.5)).mean() < 0.01
