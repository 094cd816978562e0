"""What comes first: the image that was drawn on, those in doubt, then the others."""

import pytest

from maskmill.errors import NotFound
from maskmill.server import scribbler as module
from maskmill.server.scribbler import Scribbler
from maskmill.server.service import Service


@pytest.fixture
def scribbler(service: Service) -> Scribbler:
    return service.scribbler


def test_the_order_of_images(service: Service, scribbler: Scribbler) -> None:
    first, second, third = (image.id for image in service.project.images.page())
    scribbler._doubts = {second: 0.4, third: 0.9}
    assert [i.id for i in scribbler._in_order(second, None)] == [second, third, first]
    assert [i.id for i in scribbler._in_order(None, 2)] == [third, second]
    scribbler._doubts = {}
    assert [i.id for i in scribbler._in_order(None, 2)] == [first, second]


def test_it_says_what_must_be_installed(
    service: Service, scribbler: Scribbler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "missing_packages", lambda: ("scikit-learn",))
    scribbler._train()
    assert scribbler.standing().trouble is None, "nobody has drawn anything"
    (image,) = service.project.images.page(limit=1)
    drawn = [{"category_id": 0, "width": 3.0, "points": [[1.0, 1.0]]}]
    service.project.scribbles.draw("one", image.id, drawn, based_on=0, by="ann")
    scribbler._train()
    trouble = scribbler.standing().trouble
    assert trouble is not None
    assert "needs scikit-learn" in trouble
    assert "maskmill[scribble]" in trouble


def test_without_a_classifier_nothing_is_found_and_stopping_is_quick(
    service: Service, scribbler: Scribbler
) -> None:
    (image,) = service.project.images.page(limit=1)
    with pytest.raises(NotFound, match="draw strokes"):
        scribbler.look(image)
    assert scribbler.found() == {}
    scribbler.wanted()
    scribbler.stop()
    assert scribbler._thread is not None
    assert not scribbler._thread.is_alive()
