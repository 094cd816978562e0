"""A project against a dictionary: whatever is done in whatever order, both tell the same."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from maskmill.errors import Conflict, StoreError
from maskmill.store import Delete, Edit, ImageFilter, Project, Restore, annotations
from maskmill.store.changes import Annotation, Change

from .masks import BY_PERSON, a_mask, new_image, rectangle

MASKS = [rectangle(x, y, x + 2, y + 1) for x in range(6) for y in range(5)]
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3)
RECORDS = st.none() | st.dictionaries(WORDS, st.integers(-9, 9), max_size=2)
VERDICTS = st.sampled_from([None, "accepted", "rejected"])


class Machine(RuleBasedStateMachine):
    """The project, and what it should be: every version of every mask, by mask."""

    images = Bundle("images")
    masks = Bundle("masks")
    operations = Bundle("operations")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(TEMPLATE["folder"], self.folder / "p")
        self.project = Project(self.folder / "p")
        self.histories: dict[int, list[Annotation]] = {}
        self.deleted_images: dict[int, bool] = {}
        self.number = 0

    def teardown(self) -> None:
        try:
            self.both_tell_the_same()
        finally:
            self.project.close()
            shutil.rmtree(self.folder)

    def apply(self, *changes: Change) -> tuple[str, tuple[Change, ...], list[Annotation]]:
        self.number += 1
        operation = f"op-{self.number}"
        made = self.project.annotations.apply(operation, changes, by="ann")
        for each in made:
            self.histories.setdefault(each.id, []).append(each)
        return operation, changes, made

    @initialize(target=images)
    def first_image(self) -> int:
        return self.add_an_image()

    def add_an_image(self) -> int:
        path = f"{len(self.deleted_images)}.jpg"
        (image,) = self.project.images.add([new_image(path)])
        self.deleted_images[image.id] = False
        return image.id

    @rule(target=images)
    def another_image(self) -> int:
        return self.add_an_image()

    @rule(image=images)
    def an_image_goes_or_comes_back(self, image: int) -> None:
        gone = self.deleted_images[image] = not self.deleted_images[image]
        (self.project.images.delete if gone else self.project.images.restore)(image)

    @rule(
        target=masks,
        image=images,
        chosen=st.lists(st.sampled_from(MASKS), min_size=1, max_size=3),
        attributes=RECORDS,
        review=VERDICTS,
    )
    def new_masks(self, image: int, chosen: list[Any], attributes: Any, review: Any) -> Any:
        asked = [a_mask(image, mask, attributes=attributes, review=review) for mask in chosen]
        _, _, made = self.apply(*asked)
        assert [each.rle for each in made] == chosen
        assert all(each.attributes == attributes and each.review == review for each in made)
        return multiple(*(each.id for each in made))

    @rule(target=operations, mask=masks, chosen=st.sampled_from(MASKS), review=VERDICTS)
    def an_edit(self, mask: int, chosen: Any, review: Any) -> Any:
        before = self.histories[mask][-1]
        edit = Edit(
            annotation_id=mask, based_on=before.version, rle=chosen, made=BY_PERSON, review=review
        )
        if before.deleted:
            with pytest.raises(StoreError, match="restore it first"):
                self.apply(edit)
            return multiple()
        asked = self.apply(edit)
        after = asked[2][0]
        assert (after.rle, after.review, after.version) == (chosen, review, before.version + 1)
        assert after.attributes == before.attributes
        return asked

    @rule(target=operations, mask=masks)
    def a_mask_goes_or_comes_back(self, mask: int) -> Any:
        before = self.histories[mask][-1]
        change = (Restore if before.deleted else Delete)(
            annotation_id=mask, based_on=before.version
        )
        asked = self.apply(change)
        after = asked[2][0]
        stamped = {"sequence": after.sequence, "at": after.at, "operation_id": after.operation_id}
        changed = {"version": before.version + 1, "deleted": not before.deleted}
        assert after == replace(before, **changed, **stamped)
        return asked

    @rule(mask=masks, behind=st.integers(-3, 3).filter(bool))
    def somebody_comes_too_late(self, mask: int, behind: int) -> None:
        latest = self.histories[mask][-1]
        for kind in (Edit, Delete, Restore):
            with pytest.raises(Conflict) as conflict:
                self.apply(kind(annotation_id=mask, based_on=latest.version - behind))
            assert conflict.value.current == latest

    @rule(image=images, mask=masks)
    def a_batch_of_which_one_is_wrong(self, image: int, mask: int) -> None:
        with pytest.raises(Conflict):
            self.apply(a_mask(image), Delete(annotation_id=mask, based_on=0))

    @rule(asked=operations)
    def an_operation_arrives_again(self, asked: Any) -> None:
        operation, changes, made = asked
        assert self.project.annotations.apply(operation, changes, by="ann") == made

    @rule(asked=consumes(operations))
    def another_operation_under_its_id(self, asked: Any) -> None:
        operation, changes, _ = asked
        with pytest.raises(StoreError, match="used for other changes"):
            self.project.annotations.apply(operation, changes, by="bob")

    @rule()
    def the_program_is_started_anew(self) -> None:
        self.project.close()
        self.project = Project(self.folder / "p")

    @rule()
    def both_tell_the_same(self) -> None:
        latest = [history[-1] for history in self.histories.values()]
        store = self.project.annotations
        by_sequence = sorted(latest, key=lambda each: each.sequence)
        assert store.since(0) == by_sequence
        images = [*self.deleted_images]
        for tombstones in (False, True):
            expected: dict[int, list[Annotation]] = {}
            for each in latest:
                if each.deleted == tombstones:
                    expected.setdefault(each.image_id, []).append(each)
            assert store.of_images(images, deleted=tombstones) == expected
            found = self.project.images.page(ImageFilter(deleted=tombstones))
            assert [each.id for each in found] == [
                image for image, gone in self.deleted_images.items() if gone == tombstones
            ]
            for image in found:
                living = [e for e in latest if e.image_id == image.id and not e.deleted]
                assert image.mask_count == len(living)

    @rule(mask=masks)
    def a_history_is_read(self, mask: int) -> None:
        assert self.project.annotations.history(mask) == self.histories[mask]


TEMPLATE: dict[str, Path] = {}


def test_a_project_tells_the_same_as_a_dictionary(tmp_path: Path) -> None:
    Project.create(tmp_path / "template").close()
    TEMPLATE["folder"] = tmp_path / "template"
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=50,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_store_that_forgets_a_tombstone_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: deleting that does nothing but count up the version."""
    following = annotations.following_version

    def forgets(current: Annotation, change: Any) -> dict[str, Any]:
        columns = following(current, change)
        return {**columns, "deleted": False} if isinstance(change, Delete) else columns

    monkeypatch.setattr(annotations, "following_version", forgets)
    Project.create(tmp_path / "template").close()
    TEMPLATE["folder"] = tmp_path / "template"
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Machine,
            settings=settings(
                phases=[Phase.generate],
                stateful_step_count=20,
                deadline=None,
                database=None,
                print_blob=False,
            ),
        )
