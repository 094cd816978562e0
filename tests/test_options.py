import json
from pathlib import Path

import numpy as np
import pytest

from maskmill.cli.options import (
    counted,
    print_result,
    processes,
    progress_bar,
    require,
    with_numbers,
)
from maskmill.engine.oracle import OracleConfig
from maskmill.engine.time_model import TimeModel
from maskmill.errors import ConfigError


def test_json_is_one_object_of_json_values_only(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"path": Path("a/b"), "n": np.int64(3), "f": np.float32(0.5), "nan": float("nan")}
    print_result({**result, "deep": [{"x": (1, np.nan)}]}, as_json=True, text="unused")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "path": "a/b",
        "n": 3,
        "f": 0.5,
        "nan": None,
        "deep": [{"x": [1, None]}],
    }


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"n": 1}, as_json=False, text="one mask")
    assert capsys.readouterr().out == "one mask\n"


def test_one_is_singular() -> None:
    said = [counted(n, "photograph") for n in (0, 1, 2)]
    assert said == ["0 photographs", "1 photograph", "2 photographs"]


def test_processes_default_to_the_cores_and_refuse_none() -> None:
    assert processes(None) >= 1
    assert processes(3) == 3
    with pytest.raises(ConfigError, match="--workers is 0"):
        processes(0)


def test_what_is_missing_is_named_with_the_way_to_install_it() -> None:
    require("train", "json")
    with pytest.raises(ConfigError, match=r"no_such_module not installed; .*maskmill\[train\]"):
        require("train", "json", "no_such_module")


def test_progress_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("photographs", 2) as advance:
        advance()
        advance()
    assert capsys.readouterr() == ("", "")


def test_numbers_of_the_command_line_win_and_the_rest_stays() -> None:
    times = with_numbers(TimeModel(), ["stroke=5", "look=.5", "stroke=6"], "--seconds")
    assert times == TimeModel(stroke=6.0, look=0.5)
    person = with_numbers(OracleConfig(miss=0.2), ["max_clicks=3", "slip=0"], "--person")
    assert person == OracleConfig(miss=0.2, slip=0.0, max_clicks=3)
    assert type(person.max_clicks) is int


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["brush=5"], "--seconds brush=5 is not known; write NAME=NUMBER with one of first_click"),
        (["look=1", "stroke=-1"], "stroke=-1: stroke is -1.0 seconds; it must be 0 or more; write"),
        (["stroke=nan"], "it must be 0 or more"),
        (["stroke"], "'' is no number"),
        (["stroke=fast"], "'fast' is no number; write NAME=NUMBER with one of"),
    ],
)
def test_seconds_that_cannot_be_are_refused_with_the_names(words: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        with_numbers(TimeModel(), words, "--seconds")
    assert says in str(refused.value)
    assert "open_image, scan, polygon" in str(refused.value)


@pytest.mark.parametrize("word", ["miss=1.5", "slip=-0.1", "max_clicks=2.5", "max_strokes=-1"])
def test_a_person_that_cannot_be_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=f"--person {word}"):
        with_numbers(OracleConfig(), [word], "--person")
