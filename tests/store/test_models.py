"""Models, rounds and what was measured on them."""

import pytest

from maskmill.errors import NotFound, StoreError
from maskmill.store import Project


def test_a_model_is_known_once_by_its_weights(project: Project) -> None:
    first = project.models.add("tiny-abc", name="tiny", card={"steps": 10})
    again = project.models.add("tiny-abc", name="other name")
    other = project.models.add("tiny-def", name="tiny")
    assert again == first
    assert project.models.all() == [first, other]
    assert first.card == {"steps": 10}


def test_rounds_are_numbered_and_one_goes_on_at_a_time(project: Project) -> None:
    model = project.models.add("tiny-abc", name="tiny")
    first = project.models.open_round("assisted", incumbent_id=model.id)
    with pytest.raises(StoreError, match="round 1 is still open"):
        project.models.open_round("assisted")
    project.models.change_round(first.id, status="training")
    ended = project.models.change_round(first.id, status="kept", reason="box IoU fell")
    assert ended.ended_at is not None
    assert ended.reason == "box IoU fell"
    second = project.models.open_round("semi")
    assert [r.number for r in project.models.rounds()] == [1, 2]
    assert second.ended_at is None


def test_an_ended_round_stays_ended(project: Project) -> None:
    opened = project.models.open_round("assisted")
    project.models.change_round(opened.id, status="promoted")
    with pytest.raises(StoreError, match="has ended as promoted"):
        project.models.change_round(opened.id, status="training")


@pytest.mark.parametrize(
    ("round_id", "status", "error", "words"),
    [(99, "training", NotFound, "round 99"), (None, "lost", StoreError, "'lost' is unknown")],
)
def test_a_wrong_round_or_status_is_named(
    project: Project, round_id: int | None, status: str, error: type[Exception], words: str
) -> None:
    opened = project.models.open_round("assisted")
    with pytest.raises(error, match=words):
        project.models.change_round(round_id or opened.id, status=status)


def test_metrics_come_back_by_name_in_order(project: Project) -> None:
    model = project.models.add("tiny-abc", name="tiny")
    project.models.record({"iou_1": 0.4, "iou_5": 0.6}, model_id=model.id, detail={"n": 3})
    project.models.record({"iou_1": 0.5}, model_id=model.id)
    assert [m.value for m in project.models.metrics("iou_1")] == [0.4, 0.5]
    assert project.models.metrics("iou_5")[0].detail == {"n": 3}
    assert len(project.models.metrics()) == 3
