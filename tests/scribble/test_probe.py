"""The linear probe: in closed form, every category alike."""

import numpy as np
from sklearn.linear_model import Ridge

from maskmill.scribble.probe import RIDGE, SCALE, fit_probe


def asked(probe: np.ndarray, descriptors: np.ndarray) -> np.ndarray:
    return np.c_[descriptors, np.ones(len(descriptors))] @ probe


def test_it_is_ridge_regression_with_categories_that_weigh_alike():
    random = np.random.default_rng(0)
    descriptors = random.normal(size=(90, 4)).astype(np.float32)
    labels = np.repeat([0, 1, 2], [60, 25, 5])
    descriptors[labels == 1] += 2
    weights = 1 / (np.bincount(labels)[labels] * 3)
    wanted = np.eye(3)[labels] - 1 / 3
    theirs = Ridge(alpha=RIDGE).fit(descriptors, wanted, sample_weight=weights)
    found = asked(fit_probe(descriptors, labels), descriptors)
    assert np.abs(found - SCALE * theirs.predict(descriptors)).max() < 0.01  # their bias is free


def test_a_rare_category_weighs_as_much_as_a_frequent_one():
    random = np.random.default_rng(0)
    rare, frequent = random.normal(1, 1, (20, 3)), random.normal(-1, 1, (2000, 3))
    probe = fit_probe(
        np.concatenate([rare, frequent]).astype(np.float32), np.repeat([0, 1], [20, 2000])
    )
    right = asked(probe, random.normal(1, 1, (500, 3))).argmax(axis=1) == 0
    assert right.mean() > 0.9


def test_one_cell_of_each_is_enough():
    probe = fit_probe(np.array([[0.0, 1.0], [1.0, 1.0]], np.float32), np.array([0, 1]))
    assert asked(probe, np.array([[0.0, 1.0], [1.0, 1.0]])).argmax(axis=1).tolist() == [0, 1]
