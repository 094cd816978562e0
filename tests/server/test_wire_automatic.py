"""What travels about stage 3: shares are shares, counts are counts."""

import pytest
from pydantic import ValidationError

from maskmill.server.wire_automatic import FoundRequest, LabelRequest, QualityRequest


def test_a_precision_lies_above_0_and_at_most_at_1() -> None:
    assert LabelRequest.model_validate({"precision": 1}).precision == 1
    for wrong in ({"precision": 0}, {"precision": 1.1}, {"share": 0.9}):
        with pytest.raises(ValidationError):
            LabelRequest.model_validate(wrong)


def test_samples_and_answers_are_counts() -> None:
    assert QualityRequest.model_validate({}).masks == 200
    assert FoundRequest.model_validate({"image_id": 1}).missing == 0
    for kind, wrong in (
        (QualityRequest, {"masks": 0}),
        (FoundRequest, {"image_id": 1, "missing": -1}),
    ):
        with pytest.raises(ValidationError):
            kind.model_validate(wrong)
