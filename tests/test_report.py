"""A run's lines and picture survive kills and resumes."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from maskmill.train.report import Report, draw_curves, read_metrics


def test_each_step_stands_once_after_a_resume(tmp_path: Path) -> None:
    with Report(tmp_path, 10) as report:
        for step in range(6):
            report.step(step, {"loss": float(step), "iou_from_box": float("nan")})
    with Report(tmp_path, 10, start=4) as again:
        for step in range(4, 10):
            again.step(step, {"loss": 100.0 + step})
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(10))
    assert [line["loss"] for line in lines] == [0, 1, 2, 3, *range(104, 110)]
    assert "iou_from_box" not in lines[0], "JSON has no NaN"


def test_where_nobody_watches_plain_lines_take_the_bars_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 25))  # each look at it is 25 seconds later
    monkeypatch.setattr(
        "maskmill.train.report.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    with Report(tmp_path, 40, start=30) as report:
        for step in range(30, 40):
            report.step(step, {"loss": 0.5, "iou_from_point": 0.25})
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    assert "━" not in err
    lines = err.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        f"maskmill: step {step} of 40" for step in (31, 34, 37, 40)
    ]
    assert lines[0] == "maskmill: step 31 of 40  loss 0.500  point 0.250  box nan  0:03:45 left"
    assert lines[-1].endswith("  0:00:00 left")


def test_a_terminal_gets_the_bar_and_no_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal's
    with Report(tmp_path, 1) as report:
        report.step(0, {"loss": 0.5})
    err = capsys.readouterr().err
    assert "training" in err
    assert "maskmill: step" not in err


def test_a_run_that_fails_leaves_its_lines_and_no_open_file(tmp_path: Path) -> None:
    report = Report(tmp_path, 10)

    def fail() -> None:
        with report:
            report.step(0, {"loss": 0.5})
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail()
    assert report.file.closed
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [0]


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 0, "loss": 1.0}) + "\n" + '{"step": 1, "lo')
    assert [line["step"] for line in read_metrics(path)] == [0]


def test_the_picture_is_drawn_and_changes_with_the_data(tmp_path: Path) -> None:
    lines = [{"step": float(i), "loss": 2 - i / 100, "iou_from_box": i / 100} for i in range(100)]
    draw_curves(lines, tmp_path / "a.png")
    draw_curves(lines[:40], tmp_path / "b.png")
    a, b = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert a != b
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (900, 400)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]
