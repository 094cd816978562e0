"""What travels about people: names without traps, passwords that are long."""

import pytest
from pydantic import ValidationError

from maskmill.server.wire_members import MemberRequest


@pytest.mark.parametrize("name", ["a", "zoë", "Ann B.", "王芳", "<b>"])
def test_names_are_peoples_own(name: str) -> None:
    new = {"name": name, "role": "annotator", "password": "0123456789"}
    assert MemberRequest.model_validate(new).name == name


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "\x00", "a\n", "x" * 65])
def test_names_that_would_mislead_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        MemberRequest.model_validate({"name": name, "role": "admin", "password": "0123456789"})
