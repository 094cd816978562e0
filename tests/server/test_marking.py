"""Strokes and rules out of the store."""

from maskmill.scribble.rules import RuleSet
from maskmill.server.marking import marks, usable_rules
from maskmill.server.service import Service


def test_strokes_carry_names_and_the_images_size(service: Service) -> None:
    project = service.project
    image = project.images.page()[0]
    kind = project.categories.ensure(["red"])["red"]
    drawn = [
        {"category_id": kind, "width": 3.0, "points": [[1.0, 2.0]]},
        {"category_id": 0, "width": 3.0, "points": [[5.0, 2.0]]},
        {"category_id": None, "width": 9.0, "points": [[5.0, 2.0]]},
        {"category_id": kind + 100, "width": 3.0, "points": [[5.0, 2.0]]},
    ]
    project.scribbles.draw("one", image.id, drawn, based_on=0, by="ann")
    (marked,), categories = marks(project)
    assert categories == ("background", "red")
    assert (marked.content_hash, marked.path) == (image.content_hash, image.path)
    assert [stroke.category for stroke in marked.strokes] == ["red", "background", None]
    assert {stroke.size for stroke in marked.strokes} == {image.size}


def test_rules_that_do_not_fit_are_not_applied_and_say_why(service: Service) -> None:
    project = service.project
    assert usable_rules(project, ("background", "red")) == (RuleSet(), ())
    rules = {"version": 1, "categories": {"red": [{"rule": "min_area", "area": 4}]}}
    project.scribbles.set_rules("one", rules, based_on=0, by="ann")
    found, troubles = usable_rules(project, ("background", "red"))
    assert list(found.categories) == ["red"]
    assert not troubles
    found, (trouble,) = usable_rules(project, ("background", "blue"))
    assert found == RuleSet()
    assert "category 'red'" in trouble
