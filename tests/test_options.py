import json
from pathlib import Path

import numpy as np
import pytest

from maskmill.cli.options import counted, print_result, processes, progress_bar, require
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
