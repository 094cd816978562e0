"""What travels about images: bounds that keep a request's cost small."""

import pytest
from pydantic import ValidationError

from maskmill.server.wire_images import AssignRequest, CategoryRequest, DecodeRequest


def test_a_prompt_has_bounds() -> None:
    assert DecodeRequest.model_validate({"points": [[1, 2.5]], "labels": [1]}).points == [[1, 2.5]]
    for wrong in (
        {"points": [[1, 2, 3]]},
        {"points": [[1, float("nan")]]},
        {"points": [[1, 2]] * 201},
        {"box": [1, 2, 3]},
        {"labels": [2]},
    ):
        with pytest.raises(ValidationError):
            DecodeRequest.model_validate(wrong)


def test_colours_and_keys_have_a_form() -> None:
    for wrong in ({"colour": "red"}, {"colour": "#12345"}, {"digit": 10}, {"name": ""}):
        with pytest.raises(ValidationError):
            CategoryRequest.model_validate({"name": "cat", **wrong})


def test_an_assignment_says_whose() -> None:
    with pytest.raises(ValidationError):
        AssignRequest.model_validate({"image_ids": [1]})
    with pytest.raises(ValidationError):
        AssignRequest.model_validate({"image_ids": [0], "name": None})
