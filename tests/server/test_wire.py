"""What travels: requests are strict, and say in which field they are wrong."""

import pytest
from pydantic import BaseModel, ValidationError

from maskmill.server import wire, wire_images, wire_members
from maskmill.server.wire import In, Mask, OperationRequest, Out, Put

MODULES = (wire, wire_images, wire_members)


def models() -> list[type[BaseModel]]:
    found = [each for module in MODULES for each in vars(module).values()]
    known = [each for each in found if isinstance(each, type) and issubclass(each, BaseModel)]
    return [each for each in known if each is not BaseModel]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_value_is_documented_and_strict_or_frozen(model: type[BaseModel]) -> None:
    assert model.__doc__
    assert issubclass(model, In | Out)
    if issubclass(model, In):
        assert model.model_config["extra"] == "forbid"
        assert model.model_config["strict"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_version": "1"},
        {"base_version": -1},
        {"base_version": 1.5},
        {"base_version": 1, "x": 1},
    ],
)
def test_a_text_is_no_number_and_an_unknown_field_no_field(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Put.model_validate(wrong)


def test_an_operation_holds_changes_of_each_kind() -> None:
    kinds = ("put", "delete", "restore")
    steps = [{"id": "7", "change": {"kind": kind, "base_version": 1}} for kind in kinds]
    made = OperationRequest.model_validate({"op_id": "a", "changes": steps})
    assert [step.change.kind for step in made.changes] == list(kinds)
    with pytest.raises(ValidationError):
        OperationRequest.model_validate({"op_id": "a", "changes": []})


def test_a_mask_has_two_sides() -> None:
    with pytest.raises(ValidationError):
        Mask.model_validate({"size": [1, 2, 3], "counts": ""})
