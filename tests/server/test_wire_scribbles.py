"""What travels about strokes is bounded, and unknown fields are refused."""

import pytest
from pydantic import ValidationError

from maskmill.server.wire_scribbles import MAX_POINTS, StrokeIO, StrokesRequest

LINE = {"category_id": 0, "width": 3.0, "points": [[1.0, 2.0]]}


def test_a_stroke_is_a_line_of_a_width() -> None:
    assert StrokeIO.model_validate(LINE).category_id == 0
    assert StrokeIO.model_validate({**LINE, "category_id": None}).category_id is None
    for wrong in (
        {"width": 0.0},
        {"width": float("nan")},
        {"points": []},
        {"points": [[1.0]]},
        {"points": [[1.0, float("inf")]]},
        {"points": [[0.0, 0.0]] * (MAX_POINTS + 1)},
        {"category_id": -1},
        {"colour": "red"},
    ):
        with pytest.raises(ValidationError):
            StrokeIO.model_validate({**LINE, **wrong})


def test_a_change_names_its_operation_and_version() -> None:
    asked = {"op_id": "a", "base_version": 0, "strokes": [LINE]}
    assert StrokesRequest.model_validate(asked).strokes[0].width == 3
    for missing in asked:
        with pytest.raises(ValidationError):
            StrokesRequest.model_validate({k: v for k, v in asked.items() if k != missing})
