import inspect

import pytest

from maskmill import errors

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_documented_and_caught_as_one_family(cls):
    assert issubclass(cls, errors.MaskmillError)
    assert cls.__doc__
    assert str(cls("what and why")) == "what and why"


def test_the_family_is_no_callers_mistake():
    # ValueError and TypeError stay what they are in Python: a mistake of the calling code.
    assert not issubclass(errors.MaskmillError, (ValueError, TypeError))
