"""Simulated strokes: inside their region, as long as they say, the same every time."""

import numpy as np

from maskmill.scribble.simulate import choose_images, simulate_strokes
from maskmill.scribble.strokes import draw


def disc(size: tuple[int, int], y: int, x: int, radius: int) -> np.ndarray:
    ys, xs = np.ogrid[: size[0], : size[1]]
    return (ys - y) ** 2 + (xs - x) ** 2 <= radius**2


def test_stroke_lies_in_its_region_and_is_no_mask():
    mask = disc((200, 260), 90, 140, 60)
    for seed in range(10):
        (one,) = simulate_strokes("a.jpg", {"disc": mask}, seed)
        labels = draw([one], ["disc"], mask.shape)
        assert mask[labels == 0].mean() > 0.95
        walked = np.hypot(*np.diff(np.array(one.points), axis=0).T).sum()
        diagonal = 120 * np.sqrt(2)
        assert 0.05 * diagonal < walked < 0.33 * diagonal
        assert (labels == 0).sum() < 0.1 * mask.sum()


def test_same_seed_draws_the_same_and_another_does_not():
    masks = {"disc": disc((80, 90), 40, 45, 30)}
    first = simulate_strokes("a.jpg", masks, 0)
    assert first == simulate_strokes("a.jpg", masks, 0)
    assert first != simulate_strokes("a.jpg", masks, 1)
    assert first != simulate_strokes("b.jpg", masks, 0)


def test_thin_and_tiny_regions_get_a_stroke_and_empty_ones_none():
    line, dot = np.zeros((300, 700), bool), np.zeros((300, 700), bool)
    line[150, 10:690] = True
    dot[3, 4] = True
    strokes = simulate_strokes("a.jpg", {"line": line, "dot": dot, "none": dot & line}, 0)
    assert [s.category for s in strokes] == ["line", "dot"]
    assert strokes[1].points == ((4.0, 3.0),)
    assert all(y == 150 for _, y in strokes[0].points)


def test_images_that_show_what_is_missing_come_first():
    shown = [frozenset({"a"})] * 8 + [frozenset({"b"}), frozenset()]
    chosen = choose_images(shown, 3, 0)
    assert 8 in chosen[:2]
    assert choose_images(shown, 2, 0) == chosen[:2]
    assert len(choose_images(shown, 99, 0)) == 10
