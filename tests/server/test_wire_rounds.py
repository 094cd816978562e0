"""What travels about the data engine: only what the engine knows is asked of it."""

import pytest
from pydantic import ValidationError

from maskmill.server.wire_rounds import DecideRequest, PrefillRequest, RoundRequest


def test_a_round_is_asked_for_by_what_it_trains_on() -> None:
    asked = RoundRequest.model_validate({"masks": "all", "start": "default", "steps": 20})
    assert (asked.masks, asked.start, asked.steps) == ("all", "default", 20)
    for wrong in ({"masks": "some"}, {"start": "vit_b"}, {"steps": 0}, {"recipe": "fine"}):
        with pytest.raises(ValidationError):
            RoundRequest.model_validate(wrong)


def test_a_decision_is_yes_or_no() -> None:
    assert DecideRequest.model_validate({"promote": True}).promote
    with pytest.raises(ValidationError):
        DecideRequest.model_validate({})


def test_pre_filling_takes_a_bounded_number_of_images() -> None:
    assert PrefillRequest.model_validate({"images": 20}).images == 20
    for wrong in ({"images": 0}, {"images": 10**9}):
        with pytest.raises(ValidationError):
            PrefillRequest.model_validate(wrong)
