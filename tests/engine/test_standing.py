"""What the engine suggests, read off what happened; the numbers are those of the paper's kind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from labelled_scene import write_scene

from maskmill.engine.standing import (
    FIRST_MASKS,
    RoundStanding,
    acceptance,
    in_words,
    needed_masks,
    seconds_per_mask,
    standing,
    suggest,
)
from maskmill.exchange.importing import import_labelled
from maskmill.store import Edit, Project
from maskmill.store.models import Round
from maskmill.store.round_work import Work

ROUND = Round(
    id=1, number=1, stage="assisted", status="promoted", incumbent_id=1, candidate_id=2,
    snapshot_id=1, settings={}, reason="promoted", started_at=0.0, ended_at=1.0,
)  # fmt: skip


def facts(**values: Any) -> dict[str, Any]:
    return {
        "open_round": None, "new_masks": 0, "needed_masks": 40, "all_masks": 0, "missing": (),
        "rounds": (), "stage": "assisted", "holdout_masks": 50, "waiting_images": 10, **values,
    }  # fmt: skip


def rounds(*seconds: float, stage: str = "assisted") -> tuple[RoundStanding, ...]:
    """Rounds whose masks took so many seconds each."""
    return tuple(
        RoundStanding(
            round=replace(ROUND, number=i + 1, stage=stage),
            work=Work(masks=10, timed_masks=10, seconds=10 * each),
            gate=None,
        )
        for i, each in enumerate(seconds)
    )


def test_label_until_a_round_is_worth_its_time_then_train() -> None:
    assert suggest(facts(new_masks=39)).what == "label"
    assert suggest(facts(new_masks=40, all_masks=40)).what == "train"
    told = suggest(facts(new_masks=40, all_masks=100, missing=("torch",)))
    assert told.what == "install"
    assert "pip install" in in_words(told)


def test_a_round_pays_once_the_data_have_grown_and_later_after_one_that_brought_nothing() -> None:
    assert needed_masks(0, []) == FIRST_MASKS
    assert needed_masks(400, [ROUND]) == 200
    kept = replace(ROUND, status="kept")
    assert needed_masks(400, [ROUND, kept]) == 400
    assert needed_masks(400, [kept] * 5) == 800
    assert needed_masks(400, [kept, ROUND]) == 200


def test_the_next_stage_is_due_when_people_no_longer_get_faster() -> None:
    assert suggest(facts(rounds=rounds(34, 20, 14))).what == "label"
    told = suggest(facts(rounds=rounds(34, 15, 14.5, 14)))
    assert (told.what, told.numbers["before"], told.numbers["now"]) == ("semi", 15, 14)
    assert suggest(facts(rounds=rounds(15, 14.5, 14), holdout_masks=5)).what == "label"
    assert suggest(facts(rounds=rounds(15, 14.5, 14), new_masks=40)).what == "train"
    semi = facts(rounds=rounds(8, 7.9, 7.8, stage="semi"), stage="semi")
    assert suggest(semi).what == "automatic"
    assert suggest(facts(waiting_images=0)).what == "done"


@pytest.mark.parametrize(
    ("status", "reason", "working", "what"),
    [
        ("training", None, True, "wait"),
        ("training", None, False, "resume"),
        ("gating", "a person decides", False, "decide"),
        ("gating", None, False, "resume"),
    ],
)
def test_an_open_round_comes_first(
    status: str, reason: str | None, working: bool, what: str
) -> None:
    going = replace(ROUND, status=status, reason=reason, ended_at=None)
    told = suggest(facts(open_round=going, new_masks=1000), working=working)
    assert (told.what, told.numbers) == (what, {"round": 1})
    assert "round 1" in in_words(told)


def test_kept_pre_filled_masks_make_masks_cheaper() -> None:
    work = Work(masks=10, timed_masks=10, seconds=140.0, kept=18, rejected=2, unseen=5)
    assert seconds_per_mask(work) == 5.0
    assert acceptance(work) == 0.9
    assert seconds_per_mask(Work()) is None
    assert acceptance(Work(unseen=3)) is None


def test_a_project_s_own_masks_are_counted_by_the_hold_out(tmp_path: Path) -> None:
    scenes = [write_scene(tmp_path / "s", f"{i}", seed=i) for i in range(4)]
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, scenes, name="s", by="test")
        for image, split in zip(project.images.page(), ("val", *["train"] * 3), strict=True):
            project.images.describe(image.id, split=split)
        found = standing(project)
        assert (found.new_images, found.holdout_images) == (3, 1)
        assert (found.new_masks, found.all_masks, found.holdout_masks) == (9, 9, 3)
        assert (found.stage, found.suggestion.what) == ("assisted", "done")
        one = project.models.open_round("assisted", settings={})
        snapshot = project.snapshots.take("one")
        model = project.models.add("m-1", name="round-001")
        project.models.change_round(
            one.id, status="promoted", snapshot_id=snapshot.id, candidate_id=model.id
        )
        found = standing(project)
        assert (found.new_masks, found.all_masks, len(found.rounds)) == (0, 9, 1)


def test_rejected_masks_and_images_finished_as_empty_do_not_keep_the_advice_from_ending(
    tmp_path: Path,
) -> None:
    scenes = [write_scene(tmp_path / "s", f"{i}", seed=i) for i in range(3)]
    with Project.create(tmp_path / "project") as project:
        bare = [replace(scene, annotations=()) for scene in scenes[1:]]
        import_labelled(project, [scenes[0], *bare], name="s", by="test")
        labelled, empty, returned = project.images.page()
        project.images.describe(labelled.id, split="train")
        mask = project.annotations.of_image(labelled.id)[0]
        assert standing(project).new_masks == 3
        reject = Edit(annotation_id=mask.id, based_on=1, review="rejected")
        project.annotations.apply("reject", [reject], by="Ada")
        project.work.set_state(empty.id, "in_review", name="Ada")
        project.work.set_state(returned.id, "returned", name="Ada")
        found = standing(project)
        assert (found.new_masks, found.waiting_images) == (2, 1)
        project.work.set_state(returned.id, "complete", name="Ada")
        found = standing(project)
        assert (found.waiting_images, found.suggestion.what) == (0, "done")


def test_the_hold_out_counted_is_that_of_the_first_round(tmp_path: Path) -> None:
    scenes = [write_scene(tmp_path / "s", f"{i}", seed=i) for i in range(4)]
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, scenes, name="s", by="test")
        project.models.open_round("assisted", settings={"val_share": 0.99})
        assert standing(project).holdout_images == 4
