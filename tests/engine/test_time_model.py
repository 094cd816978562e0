"""The time model's published figures are the published ones."""

import pytest

from maskmill.engine.time_model import TimeModel


def test_published_figures_are_as_published() -> None:
    times = TimeModel()
    assert (times.first_click, times.further_click) == (2.4, 0.9)
    assert times.polygon * 1000 / 3600 == pytest.approx(22), "22 worker hours per 1,000 masks"
