"""The forest that tells categories apart: grown by scikit-learn, kept and run as ONNX.

Beside its trees, which look at filters and the promptable model's maps, stands a linear probe of
the pixel encoder's descriptors (`probe.py`); what both say is averaged. A file of ONNX is data: it
can be loaded from anywhere without running what is in it, needs no scikit-learn where it is used,
and gives the same numbers in a project, in a deployed folder and in another program.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32, Int

from maskmill.errors import CheckpointError
from maskmill.scribble.probe import fit_probe

TREES = 30
"""More are a little better and take longer: `docs/decisions/scribble.md`."""
DEPTH = 8
"""Deepest leaf."""
LEAF = 2
"""Fewest cells in a leaf."""


class Forest:
    """A trained forest, loaded.

    Attributes:
        content: It, as ONNX.
    """

    def __init__(self, content: bytes, *, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime throws classes of its own
            raise CheckpointError(f"the classifier is damaged ({error}); train it again") from error
        self.content = content

    def probabilities(self, vectors: Float32[np.ndarray, "n c"]) -> Float32[np.ndarray, "n k"]:
        """Return the probability of each category for each vector; they add up to 1."""
        found: Float32[np.ndarray, "n k"] = self._session.run(None, {"vectors": vectors})[0]
        return found


def grow(
    vectors: Float32[np.ndarray, "n c"],
    labels: Int[np.ndarray, " n"],
    *,
    parts: Sequence[slice] = (slice(None),),
    probe: slice | None = None,
    probe_share: float = 0.5,
    priors: Sequence[float] | None = None,
    seed: int = 0,
) -> tuple[bytes, Int[np.ndarray, " n"]]:
    """Train a forest in which no category weighs more because more of it was marked.

    Args:
        vectors: Of the marked cells.
        labels: Their categories, 0 to k - 1, each at least once.
        parts: Channels that a tree may look at; each part gets as many trees as the others.
        probe: Channels of descriptors that a linear probe weighs, the last ones; None for no probe.
        probe_share: What the probe says weighs so much, and what the trees say the rest.
        priors: How likely each category is before its cells are looked at, in proportion; by
            default all alike.
        seed: Decides what is drawn.

    Returns:
        The forest as ONNX, and what it says of each cell by trees that have not seen that cell; a
        cell that all have seen keeps its own label.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    count = np.bincount(labels)
    trees, unseen = [], np.zeros((len(labels), len(count)))
    for number, part in enumerate(parts):
        forest = ExtraTreesClassifier(
            TREES // len(parts),
            max_depth=DEPTH,
            min_samples_leaf=LEAF,
            bootstrap=True,
            # Weights of single cells would do, but from scikit-learn 1.9 on they decide what a tree
            # is shown, and of a rare category no cell is left that some tree has not seen.
            class_weight="balanced_subsample",
            oob_score=True,
            random_state=seed + number,
        )
        with warnings.catch_warnings():
            # With very few cells some are in the sample of every tree.
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            forest.fit(vectors[:, part], labels)
        first = part.indices(vectors.shape[1])[0]
        trees += [(tree.tree_, first) for tree in forest.estimators_]
        unseen += np.nan_to_num(forest.oob_decision_function_)
    told = np.where(unseen.any(axis=1), unseen.argmax(axis=1), labels)
    weights = None if probe is None else fit_probe(vectors[:, probe], labels)
    content = to_onnx(trees, vectors.shape[1], priors, weights, probe_share=probe_share)
    return content, told


def to_onnx(
    trees: Sequence[tuple[Any, int]],
    channels: int,
    priors: Sequence[float] | None = None,
    probe: Float32[np.ndarray, "_d k"] | None = None,
    *,
    probe_share: float = 0.5,
) -> bytes:
    """Write trees of scikit-learn as ONNX, one operator, with what is said beside and before them.

    Args:
        trees: Their `tree_`, and the channel that is the first of those each one knows; all know
            the same categories.
        channels: Length of a vector.
        priors: Of each category, in proportion: what is said together is weighed by them. A leaf
            by itself, sure as most are, would not heed them.
        probe: From `probe.fit_probe`, for the last channels of a vector.
        probe_share: As of `grow`.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes = [_nodes(number, tree, first) for number, (tree, first) in enumerate(trees)]
    categories = trees[0][0].value.shape[2]
    weight = (1 if probe is None else 1 - probe_share) / len(trees)
    leaves = [_leaves(number, tree, weight) for number, (tree, _) in enumerate(trees)]
    joined = {
        name: np.concatenate([part[name] for part in parts]).tolist()
        for parts in (nodes, leaves)
        for name in parts[0]
    }
    told = np.ones(categories) if priors is None else np.asarray(priors)
    named = {"priors": told.astype(np.float32), "each": np.array([1], np.int64)}
    operators = [
        helper.make_node(
            "TreeEnsembleRegressor", ["vectors"], ["shares"], domain="ai.onnx.ml",
            n_targets=categories, aggregate_function="SUM", **joined,
        ),
    ]  # fmt: skip
    shares = "shares"
    if probe is not None:
        operators += _probe_nodes(shares, "both")
        shares = "both"
        named |= _probe_values(probe, channels, probe_share)
    operators += [
        helper.make_node("Mul", [shares, "priors"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "each"], ["whole"], keepdims=1),
        helper.make_node("Div", ["weighed", "whole"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        operators,
        "forest",
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [None, channels])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, categories])],
        [numpy_helper.from_array(values, name) for name, values in named.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="maskmill")
    model.ir_version = 8  # what opset 17 came with, so that older runtimes read it
    content: bytes = model.SerializeToString()
    return content


def _probe_nodes(shares: str, both: str) -> list[Any]:
    """Return what adds the probe's share to the trees'."""
    from onnx import helper

    return [
        helper.make_node("Slice", ["vectors", "from", "to", "each"], ["descriptors"]),
        helper.make_node("Gemm", ["descriptors", "probe", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["chances"], axis=1),
        helper.make_node("Mul", ["chances", "probe_share"], ["said"]),
        helper.make_node("Add", [shares, "said"], [both]),
    ]


def _probe_values(
    probe: Float32[np.ndarray, "_d k"], channels: int, share: float
) -> dict[str, np.ndarray]:
    return {
        "probe": probe[:-1],
        "bias": probe[-1],
        "probe_share": np.array(share, np.float32),
        "from": np.array([channels - len(probe) + 1], np.int64),
        "to": np.array([channels], np.int64),
    }


def _nodes(number: int, tree: Any, first: int) -> dict[str, np.ndarray]:
    leaf = tree.children_left < 0
    return {
        "nodes_treeids": np.full(tree.node_count, number),
        "nodes_nodeids": np.arange(tree.node_count),
        "nodes_featureids": np.where(leaf, 0, tree.feature + first),
        "nodes_values": np.where(leaf, 0, _not_above(tree.threshold)),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ"),
        "nodes_truenodeids": np.where(leaf, 0, tree.children_left),
        "nodes_falsenodeids": np.where(leaf, 0, tree.children_right),
    }


def _leaves(number: int, tree: Any, weight: float) -> dict[str, np.ndarray]:
    ids = np.flatnonzero(tree.children_left < 0)
    values = tree.value[ids, 0]
    values = values / values.sum(axis=1, keepdims=True) * weight
    rows, categories = np.nonzero(values)
    return {
        "target_treeids": np.full(len(rows), number),
        "target_nodeids": ids[rows],
        "target_ids": categories,
        "target_weights": values[rows, categories],
    }


def _not_above(thresholds: np.ndarray) -> np.ndarray:
    """Round to 32 bits downwards: a 32-bit number is below both or above both."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)
