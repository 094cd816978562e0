"""The linear probe: from descriptors of marked cells to categories, in closed form.

The pixel encoder was taught to give descriptors on which this very probe, fitted to strokes on some
images, is right on others, so the constants below belong to the encoder.

Source:
    Bertinetto et al., "Meta-learning with differentiable closed-form solvers", arXiv 1805.08136.
"""

import numpy as np
from jaxtyping import Float, Float32, Int

RIDGE = 0.05
"""Weight of the probe's own size against its errors."""
SCALE = 4.0
"""From what the probe answers, 0 or 1 less a share for everybody, to logits."""
BIAS_RIDGE = 1e-3
"""The same as `RIDGE`, for the bias: small, and there is always a solution."""
WORTH = 2
"""Trees of so many marked images are worth as much as the probe."""


def share_of(images: int) -> float:
    """Return what the probe weighs beside trees that grew from so many marked images.

    The probe knows what carries over before anything is marked; trees learn it from each image.

    Example:
        >>> share_of(2), share_of(6)
        (0.5, 0.25)
    """
    return WORTH / (WORTH + images)


def fit_probe(
    descriptors: Float32[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]
) -> Float32[np.ndarray, "d+1 k"]:
    """Fit ridge regression of categories on descriptors; every category weighs alike.

    Args:
        descriptors: Of marked cells.
        labels: Their categories, 0 to k - 1, each at least once.

    Returns:
        What turns a descriptor, and a 1 behind it, into logits.
    """
    count = np.bincount(labels)
    cells = np.concatenate([descriptors, np.ones((len(labels), 1))], axis=1).astype(np.float64)
    weight = 1 / (count[labels] * len(count))
    wanted = np.eye(len(count))[labels] - 1 / len(count)
    penalty = np.diag([*[RIDGE] * descriptors.shape[1], BIAS_RIDGE])
    solved = np.linalg.solve((cells.T * weight) @ cells + penalty, (cells.T * weight) @ wanted)
    probe: Float[np.ndarray, "_d k"] = SCALE * solved
    return probe.astype(np.float32)
