import json

from write_web_cases import CASES, cases


def test_the_browsers_expectations_are_what_python_answers() -> None:
    assert json.loads(CASES.read_text("utf-8")) == cases(), "run python tests/write_web_cases.py"
