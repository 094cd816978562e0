"""A grid's predicted IoU: what its corrections see, and that fresh ones change nothing."""

import torch

from maskmill.model.grid_iou import Correction, GridIou, drawn_share_and_doubt


def test_a_fresh_one_changes_nothing() -> None:
    iou, share, doubt = torch.rand(3, 5, 3)
    judge = GridIou()
    assert torch.equal(judge.promise(iou, share, doubt), iou)
    assert torch.equal(judge.worth(iou, share, doubt), iou)


def test_size_and_doubt_of_drawn_masks() -> None:
    masks = torch.full((1, 3, 4, 4), -9.0)
    masks[0, 1, :2] = 9.0  # half of it, sure
    masks[0, 2, :1] = 9.0  # a quarter sure, a quarter within the offset of the cut-off
    masks[0, 2, 1] = 0.5
    share, doubt = drawn_share_and_doubt(masks)
    assert share.tolist() == [[0, 0.5, 0.5]]
    # An empty mask is as undecided as can be, and divides by nothing.
    assert doubt.tolist() == [[1, 0, 0.5]]


def test_a_correction_tells_masks_apart_by_each_of_three_things() -> None:
    torch.manual_seed(0)
    correction = Correction()
    torch.nn.init.normal_(correction.head.layers[-1].weight)  # type: ignore[arg-type]
    known = torch.tensor([0.5, 0.1, 0.2])
    before = correction(*known)
    for i in range(3):
        other = known.clone()
        other[i] *= 2
        assert (correction(*other) - before).abs() > 1e-3
    assert torch.isfinite(correction(known[0], torch.tensor(0.0), known[2]))
