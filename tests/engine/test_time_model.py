"""The time model's published figures are the published ones."""

import pytest

from maskmill.engine.time_model import PUBLISHED, TimeModel
from maskmill.errors import ConfigError


def test_published_figures_are_as_published() -> None:
    times = TimeModel()
    assert (times.first_click, times.further_click) == (2.4, 0.9)
    assert times.polygon * 1000 / 3600 == pytest.approx(22), "22 worker hours per 1,000 masks"
    assert PUBLISHED[0].seconds == times.polygon
    assert [each.seconds for each in PUBLISHED[1:]] == [34.0, 14.0, 34.0, 7.0], "SAM's, and a box"
    assert all("arXiv" in each.source for each in PUBLISHED)


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_an_action_takes_no_less_than_no_time(seconds: float) -> None:
    with pytest.raises(ConfigError, match="look is"):
        TimeModel(look=seconds)
    assert TimeModel(look=0.0).look == 0
