"""The table and the picture of an evaluation."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from maskmill.formats import Refused
from maskmill.train.scoreboard import draw_evaluation, scoreboard
from maskmill.train.scores import Evaluation, ImageResult, score_all
from maskmill.train.sessions import Sessions


@pytest.fixture
def evaluation() -> Evaluation:
    rng = np.random.default_rng(3)
    results = [
        ImageResult(
            source=source,
            sessions=Sessions(
                iou=np.sort(rng.random((4, 20)), axis=1),
                predicted_iou=rng.random((4, 3)),
                true_iou=rng.random((4, 3)),
                iou_from_box=rng.random(4),
                boundary_iou_from_box=rng.random(4),
            ),
            average_recall={100: 0.125, 1000: 0.625} if source == "cats" else None,
        )
        for source in ("cats", "ants", "ants")
    ]
    return score_all(results, [Refused(Path("x.jpg"), "it is no image")])


def test_the_table_shows_every_number_and_what_is_missing(evaluation: Evaluation) -> None:
    out = io.StringIO()
    Console(file=out, width=220).print(scoreboard(evaluation))
    text = out.getvalue()
    rows = {line.split("│")[1].strip(): line for line in text.splitlines() if "│" in line}
    assert list(rows) == ["ants", "cats", "over sources", "over images"]
    for value in evaluation.overall.iou_at_click.values():
        assert f"{value:.3f}" in rows["over images"]
    assert "0.625" in rows["cats"]
    assert "–" in rows["ants"]
    assert "AR measured on 1 of 3 images" in text
    assert "1 images refused, the first: it is no image" in text


def test_the_picture_is_written_whole(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    draw_evaluation(evaluation, path)
    with Image.open(path) as picture:
        assert picture.width > picture.height > 300
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 50
    assert list(tmp_path.iterdir()) == [path]
