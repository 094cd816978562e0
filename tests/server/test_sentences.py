"""What the server says in sentences, and pages repeat: each is known to the pages in Chinese."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from maskmill.engine.calibration import in_words
from maskmill.engine.proposals import Calibration
from maskmill.errors import PromptError
from maskmill.scribble import classifier
from maskmill.scribble.rules import AreaShare, Count, Distance, LargestArea
from maskmill.scribble.strokes import problems
from maskmill.scribble.verdict import decide

KNOWN = Path(__file__).parents[2] / "web" / "src" / "i18n" / "sentences.json"
PATTERNS = [re.compile(f"^{english}$") for english, _ in json.loads(KNOWN.read_text("utf-8"))]


def known(sentence: str) -> bool:
    return any(pattern.match(sentence) for pattern in PATTERNS)


def test_what_is_said_of_strokes() -> None:
    drawn = np.full((30, 30), -1, np.int16)
    drawn[:2, :3], drawn[10:20] = 0, 1
    said = problems({"a": drawn}, ["background", "crack", "stone"])
    assert len(said) == 2
    assert all(map(known, said)), said


def test_what_is_said_of_strokes_that_contradict_each_other() -> None:
    (said,) = classifier._alike(np.repeat([0, 1], 10), np.ones(20, int), ["leaf", "background"])
    assert known(said), said
    assert known(classifier._covered("leaf"))


@pytest.mark.parametrize("label", [-1, 1])
def test_what_is_said_of_too_few_categories(label: int) -> None:
    drawn = np.full((8, 8), label, np.int16)
    with pytest.raises(PromptError) as refused:
        classifier._refuse_one_category({"a": drawn}, ["background", "crack"])
    assert known(str(refused.value)), refused.value


def test_what_is_said_of_a_verdict() -> None:
    one, none = np.zeros((20, 30), np.int32), np.zeros((20, 30), np.int32)
    one[3:6, 4:9] = 1
    asked = [
        Count(category="pill", least=1),
        Count(category="pill", least=1, most=3),
        AreaShare(category="pill", most=0.5),
        LargestArea(category="pill", most=40),
        Distance(category="pill", of="border", least=2.5),
        Distance(category="pill", of="crack", least=2),
    ]
    for finding in decide({"pill": one, "crack": none}, asked):
        assert known(finding.reason), finding.reason


@pytest.mark.parametrize("threshold", [None, 0.641])
def test_what_is_said_of_the_hold_out(threshold: float | None) -> None:
    told = Calibration(threshold=threshold, precision=0.91, kept=23, found=0.03, way="regions")
    assert known(in_words(told, 12, 0.9))
