"""What a change asks for, without a database."""

from dataclasses import dataclass, replace

import pytest

from maskmill.errors import MaskError, StoreError
from maskmill.store import UNCHANGED, Create, Delete, Edit, Restore
from maskmill.store.changes import digest_of, first_version, mask_columns

from .masks import BAR, BY_PERSON, SIZE, SQUARE, a_mask


def test_the_same_request_has_the_same_digest_and_another_has_another() -> None:
    requests = [
        [a_mask(1)],
        [a_mask(2)],
        [a_mask(1, BAR)],
        [a_mask(1), a_mask(1)],
        [a_mask(1, is_crowd=True)],
        [a_mask(1, attributes={})],
        [a_mask(1, attributes={"a": 1})],
        [a_mask(1, made=replace(BY_PERSON, prompts=[]))],
        [Delete(annotation_id=1, based_on=1)],
        [Restore(annotation_id=1, based_on=1)],
        [Edit(annotation_id=1, based_on=1)],
        [Edit(annotation_id=1, based_on=1, review=None)],
        [Edit(annotation_id=1, based_on=1, category_id=None)],
    ]
    digests = [digest_of(changes, "ann") for changes in requests]
    assert len(set(digests)) == len(requests)
    assert digests == [digest_of(changes, "ann") for changes in requests]
    assert digest_of(requests[0], "bob") != digests[0]


def test_lists_and_tuples_and_the_order_of_keys_ask_for_the_same() -> None:
    one = a_mask(1, made=replace(BY_PERSON, prompts=((1, 2),)), attributes={"a": 1, "b": 2})
    other = a_mask(1, made=replace(BY_PERSON, prompts=[[1, 2]]), attributes={"b": 2, "a": 1})
    assert digest_of([one], "ann") == digest_of([other], "ann")


def test_a_repeat_is_known_after_an_upgrade_that_gave_changes_a_field() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Later(Delete):
        reason: str | None = None

    Later.__name__ = "Delete"
    before = digest_of([Delete(annotation_id=1, based_on=1)], "ann")
    later = [Later(annotation_id=1, based_on=1)]
    assert digest_of(later, "ann") == before  # type: ignore[arg-type]
    given = [Later(annotation_id=1, based_on=1, reason="twice")]
    assert digest_of(given, "ann") != before  # type: ignore[arg-type]


def test_a_masks_measures_are_shares_of_its_image() -> None:
    columns = mask_columns(SQUARE, SIZE)
    assert [columns[name] for name in ("x0", "y0", "x1", "y1")] == [1, 1, 4, 4]
    assert (columns["area"], columns["relative_size"]) == (9, (9 / 48) ** 0.5)
    assert (columns["centre_x"], columns["centre_y"]) == (2.5 / 8, 2.5 / 6)
    with pytest.raises(MaskError, match="its image"):
        mask_columns(SQUARE, SIZE[::-1])


@pytest.mark.parametrize("field", ["made_by", "stage", "review"])
def test_a_word_that_is_not_one_of_those_allowed_is_refused(field: str) -> None:
    change = a_mask(1, review="accepted")
    assert first_version(change, SIZE)["review"] == "accepted"
    # The annotations allow no such value; what comes over a wire has none.
    target = change if field == "review" else BY_PERSON
    odd = replace(target)
    object.__setattr__(odd, field, "robot")
    asked = odd if field == "review" else replace(change)
    if field != "review":
        object.__setattr__(asked, "made", odd)
    assert isinstance(asked, Create)
    with pytest.raises(StoreError, match=f"{field} is 'robot'; give one of"):
        first_version(asked, SIZE)


def test_unchanged_says_what_it_is() -> None:
    assert repr(UNCHANGED) == "UNCHANGED"
    assert Edit(annotation_id=1, based_on=1).review is UNCHANGED
