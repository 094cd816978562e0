"""Pre-filled masks follow what people did, as far as the masks' versions tell it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image as Picture
from rims import NARROW, WIDE, near, picture

from maskmill.engine.prefilling import look_over
from maskmill.engine.redrawing import commit_redrawn, looked_at, redrawn
from maskmill.images import read_image
from maskmill.rle import Rle
from maskmill.store import Annotation, Create, Delete, Edit, Made, NewImage, Project
from maskmill.store.changes import REDRAWING
from maskmill.store.round_work import answered_masks

BY_MODEL = Made(made_by="model", author="regions", stage="semi", predicted_iou=0.8)
BY_ANN = Made(made_by="person", author="ann", stage="assisted", edits=1)


@dataclass
class Desk:
    """An image with narrow masks on it, and people who change them."""

    project: Project
    image: int
    rows: list[int]
    done: int = 0

    def does(self, *changes: Create | Edit | Delete) -> None:
        self.done += 1
        self.project.annotations.apply(f"op-{self.done}", list(changes), by="ann")

    def draws(self, place: int, mask: Rle) -> None:
        now = self.project.annotations.get(self.rows[place])
        self.does(Edit(annotation_id=now.id, based_on=now.version, rle=mask, made=BY_ANN))

    def redraws(self) -> int:
        looked = looked_at(self.project, self.image)
        if looked.nothing_to_do:
            return 0
        written = commit_redrawn(self.project, looked, redrawn(looked, picture()))
        assert written is not None
        return len(written)

    def answered(self) -> int:
        return len(answered_masks(self.project.database, self.project.id))

    def masks(self) -> dict[int, Annotation]:
        there = {mask.id: mask for mask in self.project.annotations.of_image(self.image)}
        return {i: there[row] for i, row in enumerate(self.rows) if row in there}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    path = tmp_path / "discs.png"
    Picture.fromarray(picture()).save(path)
    with Project.create(tmp_path / "project") as project:
        size = read_image(path).shape[:2]
        (image,) = project.images.add(
            [
                NewImage(
                    path=str(path), content_hash="a" * 64, height=size[0], width=size[1], source=""
                )
            ]
        )
        made = [Create(image_id=image.id, rle=mask, made=BY_MODEL) for mask in NARROW]
        rows = [each.id for each in project.annotations.apply("prefill", made, by="regions")]
        yield Desk(project, image.id, rows)


def test_two_mended_masks_take_the_others_with_them_and_an_undo_brings_them_back(
    desk: Desk,
) -> None:
    assert desk.redraws() == 0, "nobody has mended anything"
    desk.draws(0, WIDE[0])
    desk.draws(5, WIDE[5])
    assert desk.redraws() == 10
    masks = desk.masks()
    others = {i: mask.rle for i, mask in masks.items() if i not in (0, 5)}
    assert near(others, WIDE) > 0.85
    assert {masks[i].changed_by for i in others} == {REDRAWING}
    assert {(masks[i].made, masks[i].review) for i in others} == {(BY_MODEL, None)}
    assert desk.answered() == 2, "nobody has looked at the rest"
    assert desk.redraws() == 0, "they follow from the same"
    desk.draws(0, NARROW[0])
    desk.draws(5, NARROW[5])
    assert desk.redraws() == 10
    assert {i: mask.rle for i, mask in desk.masks().items()} == dict(enumerate(NARROW))


def test_what_people_kept_took_away_or_drew_themselves_stays(desk: Desk) -> None:
    desk.draws(0, WIDE[0])
    desk.draws(5, WIDE[5])
    desk.draws(8, WIDE[8])
    kept, gone = desk.rows[1], desk.rows[2]
    desk.does(
        Edit(annotation_id=kept, based_on=1, review="accepted"),
        Delete(annotation_id=gone, based_on=1),
        Create(image_id=desk.image, rle=WIDE[2], made=BY_ANN),
    )
    assert desk.redraws() == 7
    masks = desk.masks()
    assert (masks[1].rle, masks[1].version, 2 in masks) == (NARROW[1], 2, False)
    assert look_over(desk.project, desk.image, by="ann") == 7
    assert looked_at(desk.project, desk.image).nothing_to_do, "all have been looked at"


def test_who_was_faster_is_looked_at_again(desk: Desk) -> None:
    desk.draws(0, WIDE[0])
    desk.draws(11, WIDE[11])
    looked = looked_at(desk.project, desk.image)
    moved = redrawn(looked, picture())
    desk.draws(5, WIDE[5])
    assert commit_redrawn(desk.project, looked, moved) is None
    assert desk.masks()[5].rle == WIDE[5]
    assert desk.masks()[1].rle == NARROW[1], "all of them or none"
    assert desk.redraws() == 9


def test_masks_of_other_stages_follow_nobody(desk: Desk) -> None:
    automatic = Made(made_by="model", author="everything mode", stage="automatic")
    desk.does(
        *(Delete(annotation_id=row, based_on=1) for row in desk.rows),
        Create(image_id=desk.image, rle=NARROW[3], made=automatic),
        Create(image_id=desk.image, rle=WIDE[0], made=BY_ANN),
    )
    assert desk.redraws() == 0
