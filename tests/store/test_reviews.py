"""Reviews of masks: the last word counts, all are kept."""

from maskmill.store import Project

from .masks import a_mask, add_image


def test_the_last_answer_on_each_mask_is_found(project: Project) -> None:
    image = add_image(project)
    first, second, third = project.annotations.apply(
        "one", [a_mask(image.id) for _ in range(3)], by="ann"
    )
    said = [(first, "rejected", "cut off"), (second, "accepted", None), (first, "accepted", None)]
    for mask, verdict, note in said:
        with project.database.write() as connection:
            project.reviews.add_in(
                connection, mask.id, mask.version, verdict=verdict, note=note, name="bob"
            )
    found = project.reviews.latest([first.id, second.id, third.id])
    assert {key: each.verdict for key, each in found.items()} == {
        first.id: "accepted",
        second.id: "accepted",
    }
    assert (found[first.id].note, found[first.id].name) == (None, "bob")
    assert project.reviews.latest([]) == {}
