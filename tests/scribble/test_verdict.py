"""Decisions measure regions and say why."""

import numpy as np
import pytest

from maskmill.scribble.rules import parse_rules
from maskmill.scribble.verdict import decide


def regions() -> dict[str, np.ndarray]:
    spots = np.zeros((50, 100), np.int32)
    spots[10:20, 10:20], spots[30:32, 50:60] = 1, 2
    other = np.zeros((50, 100), np.int32)
    other[10:20, 25:30] = 1
    return {"spot": spots, "other": other, "none": np.zeros((50, 100), np.int32)}


@pytest.mark.parametrize(
    ("decision", "passed", "value"),
    [
        ('{"rule": "count", "category": "spot", "most": 1}', False, 2),
        ('{"rule": "count", "category": "spot", "least": 2}', True, 2),
        ('{"rule": "count", "category": "none", "most": 0}', True, 0),
        ('{"rule": "area_share", "category": "spot", "most": 0.02}', False, 0.024),
        ('{"rule": "largest_area", "category": "spot", "most": 100}', True, 100),
        ('{"rule": "largest_area", "category": "none", "most": 0}', True, 0),
        ('{"rule": "distance", "category": "spot", "of": "other", "least": 7}', False, 6),
        ('{"rule": "distance", "category": "spot", "of": "border", "least": 10}', True, 10),
        ('{"rule": "distance", "category": "spot", "of": "none", "least": 9}', True, None),
    ],
)
def test_each_decision(decision: str, passed: bool, value: float | None):
    rules = parse_rules(f'{{"decisions": [{decision}]}}'.encode())
    (finding,) = decide(regions(), rules.decisions)
    assert finding.passed is passed
    assert finding.value == (None if value is None else pytest.approx(value))
    assert finding.decision.category in finding.reason
