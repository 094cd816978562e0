"""The forest as ONNX says what scikit-learn says, to the last digit that matters."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from maskmill.errors import CheckpointError
from maskmill.scribble.forest import Forest, grow, to_onnx
from maskmill.scribble.probe import fit_probe


def test_onnx_equals_scikit_learn():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(300, 7)).astype(np.float32)
    labels = (vectors[:, 0] > 0).astype(int) + (vectors[:, 1] > 0.5)
    forest = ExtraTreesClassifier(12, max_depth=6, random_state=0).fit(vectors, labels)
    content = to_onnx([(tree.tree_, 0) for tree in forest.estimators_], 7)
    others = np.concatenate([random.normal(size=(5000, 7)).astype(np.float32), vectors])
    found = Forest(content).probabilities(others)
    assert np.abs(found - forest.predict_proba(others)).max() < 1e-6


def test_thresholds_on_the_very_values_fall_on_the_same_side():
    vectors = np.array([[0.1], [0.2], [0.3], [0.4]], np.float32).repeat(5, axis=0)
    labels = np.array([0, 0, 1, 1]).repeat(5)
    content, _ = grow(vectors, labels)
    assert Forest(content).probabilities(vectors).argmax(axis=1).tolist() == labels.tolist()


def test_a_rare_category_weighs_as_much_as_a_frequent_one():
    random = np.random.default_rng(0)
    rare, frequent = random.normal(1, 1, (20, 1)), random.normal(-1, 1, (2000, 1))
    vectors = np.concatenate([rare, frequent]).astype(np.float32)
    labels = np.repeat([0, 1], [20, 2000])
    found = Forest(grow(vectors, labels)[0]).probabilities(np.array([[1.5], [-1.5]], np.float32))
    assert found[0, 0] > 0.5
    assert found[1, 1] > 0.5


def test_what_is_likelier_beforehand_is_likelier_wherever_trees_doubt():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, 3)).astype(np.float32)
    labels = (vectors[:, 0] + random.normal(size=200) > 0).astype(int)
    alike, likelier = (
        Forest(grow(vectors, labels, priors=priors)[0]).probabilities(vectors)
        for priors in (None, [1.0, 3.0])
    )
    weighed = alike * [1, 3]
    assert np.allclose(likelier, weighed / weighed.sum(axis=1, keepdims=True), atol=1e-5)
    doubled = Forest(grow(vectors, labels, priors=[2.0, 2.0])[0]).probabilities(vectors)
    assert np.allclose(doubled, alike, atol=1e-6), "only the proportion counts"


def test_a_rare_category_is_known_again_by_trees_that_have_not_seen_it():
    """Else every thin stroke would be said to contradict a long one."""
    random = np.random.default_rng(0)
    rare, frequent = random.normal(3, 1, (20, 4)), random.normal(-3, 1, (1000, 4))
    vectors = np.concatenate([rare, frequent]).astype(np.float32)
    labels = np.repeat([1, 0], [20, 1000])
    _, unseen = grow(vectors, labels)
    assert (unseen == labels).mean() > 0.99
    assert (unseen[labels == 1] == 1).mean() > 0.9
    _, mixed = grow(vectors, random.permutation(labels))
    assert (mixed[labels == 1] == labels[labels == 1]).mean() < 0.5, "and noise is not"


def test_one_cell_of_each_is_enough_to_answer():
    content, unseen = grow(np.array([[0.0], [1.0]], np.float32), np.array([0, 1]))
    assert len(unseen) == 2
    assert Forest(content).probabilities(np.zeros((3, 1), np.float32)).shape == (3, 2)


def test_a_probe_has_its_share_and_trees_look_at_none_of_its_channels():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, 5)).astype(np.float32)
    labels = (vectors[:, 0] > 0).astype(int)
    parts, probe = (slice(0, -2),), slice(-2, None)
    trees = Forest(grow(vectors, labels, parts=parts)[0])
    both = Forest(grow(vectors, labels, parts=parts, probe=probe, probe_share=0.7)[0])
    logits = np.c_[vectors[:, 3:], np.ones(200)] @ fit_probe(vectors[:, 3:], labels)
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = 0.3 * trees.probabilities(vectors) + 0.7 * said
    assert np.abs(both.probabilities(vectors) - expected).max() < 1e-5


def test_damaged_forest_is_refused():
    with pytest.raises(CheckpointError, match="damaged"):
        Forest(b"no forest")


def test_trees_of_a_part_look_at_no_other_channel():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, 5)).astype(np.float32)
    labels = (vectors[:, 4] > 0).astype(int)
    content, _ = grow(vectors, labels, parts=(slice(3, 5),))
    others = vectors.copy()
    others[:, :3] = 9
    forest = Forest(content)
    assert np.array_equal(forest.probabilities(others), forest.probabilities(vectors))
    assert (forest.probabilities(vectors).argmax(axis=1) == labels).mean() > 0.95
