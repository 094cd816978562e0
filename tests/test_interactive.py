"""The simulated person: where it clicks, what boxes it draws, and what the session teaches."""

import pytest
import torch
from labelled_scene import SMALL

from maskmill.config import TrainConfig
from maskmill.model.sam import build
from maskmill.train.interactive import InteractiveLoss, inner_distance, noisy_boxes


def session(**settings: object) -> InteractiveLoss:
    return InteractiveLoss(build(SMALL), TrainConfig(**settings))  # type: ignore[arg-type]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def targets() -> torch.Tensor:
    """Two masks at low resolution, 16 by 16: a wide block and a tall block."""
    target = torch.zeros(2, 16, 16)
    target[0, 2:5, 3:13] = 1
    target[1, 6:15, 8:10] = 1
    return target


def cell(point: torch.Tensor) -> tuple[int, int]:
    """Row and column of a click, in low-res cells."""
    x, y = point.tolist()
    return int(y // 4), int(x // 4)


def test_uniform_clicks_fall_everywhere_in_the_region_and_nowhere_else() -> None:
    region = targets() > 0.5
    seen: list[set[tuple[int, int]]] = [set(), set()]
    played = session()
    for seed in range(400):
        points, _ = played._clicks(region, generator(seed))
        for i in (0, 1):
            seen[i].add(cell(points[i, 0]))
    for i in (0, 1):
        inside = {tuple(c) for c in region[i].nonzero().tolist()}
        assert seen[i] <= inside
        assert len(seen[i]) > 0.9 * len(inside)


def test_centred_clicks_are_deepest_in_the_region() -> None:
    points, _ = session(centre_share=1.0)._clicks(targets() > 0.5, generator())
    assert cell(points[0, 0])[0] == 3, "the middle row of three"
    depth = inner_distance(targets() > 0.5)
    row, column = cell(points[1, 0])
    assert depth[1, row, column] == depth[1].max()


def test_error_clicks_are_labelled_by_the_kind_of_error() -> None:
    truth = targets()
    missing = torch.where(truth > 0.5, -1.0, -1.0)  # nothing found: false negatives
    _, labels = session()._error_click(truth, missing, generator())
    assert labels.flatten().tolist() == [1, 1]
    everything = torch.ones_like(truth)  # all found: false positives
    points, labels = session()._error_click(truth, everything, generator())
    assert labels.flatten().tolist() == [0, 0]
    assert all(truth[(i, *cell(points[i, 0]))] == 0 for i in (0, 1))


def test_a_perfect_answer_is_clicked_anywhere_with_its_true_label() -> None:
    truth = targets()
    points, labels = session()._error_click(truth, truth * 2 - 1, generator(5))
    for i in (0, 1):
        assert labels[i, 0] == truth[(i, *cell(points[i, 0]))]


def test_boxes_are_noisy_but_near_and_inside_the_frame() -> None:
    boxes = torch.stack([noisy_boxes(targets(), generator(seed)) for seed in range(200)])
    exact = torch.tensor([[[12.0, 8.0], [52.0, 20.0]], [[32.0, 24.0], [40.0, 60.0]]])
    assert boxes.min() >= 0
    assert boxes.max() <= 64
    torch.testing.assert_close(boxes.mean(0), exact, atol=1.0, rtol=0)
    spread = (boxes - exact).std(0)
    assert spread[0, 0, 0] == pytest.approx(4.0, rel=0.3), "a tenth of a width of 40"
    assert spread[0, 0, 1] == pytest.approx(1.2, rel=0.3), "a tenth of a height of 12"


def test_rounds_without_a_point_are_the_last_and_others_before_it() -> None:
    played = session(click_iterations=8, iterations_without_point=2)
    chosen = [played._rounds_without_point(generator(seed)) for seed in range(50)]
    assert all(len(rounds) == 2 and 9 in rounds for rounds in chosen)
    assert len({min(rounds) for rounds in chosen}) > 5
    assert session(iterations_without_point=0)._rounds_without_point(generator()) == set()


@pytest.mark.parametrize("loss", ["focal", "bce"])
def test_a_few_steps_on_one_scene_teach_the_model(loss: str) -> None:
    torch.manual_seed(0)
    weight = 20.0 if loss == "focal" else 2.0
    played = session(mask_loss=loss, mask_loss_weight=weight, click_iterations=1, box_share=0.5)
    played.sam.resize_input(64)
    image = torch.randn(2, 3, 64, 64) * 0.1
    masks = torch.zeros(2, 2, 64, 64, dtype=torch.bool)
    masks[:, 0, 8:40, 8:24] = True
    masks[:, 1, 20:50, 36:60] = True
    image += 2 * masks.any(1, keepdim=True)
    optimizer = torch.optim.AdamW(played.parameters(), 3e-3)
    losses = []
    for step in range(25):
        result = played(image, masks, generator(step))
        optimizer.zero_grad()
        result.loss.backward()
        optimizer.step()
        losses.append(float(result.loss.detach()))
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])


def test_every_parameter_learns_and_the_same_seed_repeats_the_session() -> None:
    image, masks = torch.randn(2, 3, 64, 64), torch.zeros(2, 3, 64, 64, dtype=torch.bool)
    masks[:, :, 10:30, 20:50] = True
    played = session(click_iterations=1, iterations_without_point=1, box_share=0.5)
    played.sam.resize_input(64)
    result = played(image, masks, generator(1))
    result.loss.backward()
    silent = {name for name, p in played.named_parameters() if p.grad is None}
    # A constant for "no mask" and background clicks may not occur in a session; nothing else.
    assert silent <= {"sam.prompt_encoder.point_embeddings.0.weight"}
    again = played(image, masks, generator(1))
    torch.testing.assert_close(again.loss, result.loss)
    assert 0 <= float(result.metrics["iou_best_of_three"]) <= 1


@pytest.mark.parametrize("kept", [True, False])
def test_statistics_of_batch_norm_stay_as_they_were_if_asked(kept: bool) -> None:
    trained = session(keep_statistics=kept, click_iterations=0).train()
    images = torch.rand(1, 3, 64, 64, generator=generator())
    masks = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    masks[..., 10:40, 20:50] = True
    before = {n: b.clone() for n, b in trained.named_buffers() if "running" in n}
    trained(images, masks, generator())
    after = dict(trained.named_buffers())
    assert before
    assert all(torch.equal(after[n], b) for n, b in before.items()) == kept
    norms = [m for m in trained.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(m.training != kept for m in norms)
    assert trained.training
