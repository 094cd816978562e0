"""A run's lines and picture survive kills and resumes."""

import json
from pathlib import Path

from PIL import Image

from maskmill.train.report import Report, draw_curves, read_metrics


def test_each_step_stands_once_after_a_resume(tmp_path: Path) -> None:
    report = Report(tmp_path, 10)
    for step in range(6):
        report.step(step, {"loss": float(step), "iou_from_box": float("nan")})
    report.close()
    again = Report(tmp_path, 10, start=4)
    for step in range(4, 10):
        again.step(step, {"loss": 100.0 + step})
    again.close()
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(10))
    assert [line["loss"] for line in lines] == [0, 1, 2, 3, *range(104, 110)]
    assert "iou_from_box" not in lines[0], "JSON has no NaN"


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
