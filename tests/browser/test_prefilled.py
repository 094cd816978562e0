"""Pre-filled masks in the editor: seen as such, rejected with one key, accepted with the image."""

from pathlib import Path

import numpy as np

from browser.driving import Opened, Started
from maskmill import rle
from maskmill.store import Create, Made, Project


def prefill(project: Path) -> None:
    """Put three masks on the first image, as stage 2 does."""
    with Project(project) as opened:
        image = opened.images.page(limit=1)[0]
        changes = []
        for i in range(3):
            mask = np.zeros(image.size, bool)
            mask[40 + 100 * i : 110 + 100 * i, 50:250] = True
            made = Made(made_by="model", author="everything mode", stage="semi", predicted_iou=0.9)
            changes.append(Create(image_id=image.id, rle=rle.encode(mask), made=made))
        opened.annotations.apply("prefill/1", changes, by="everything mode")


def test_a_key_rejects_and_done_accepts_what_is_left(start: Started, browse: Opened) -> None:
    server = start(prefill)
    person = browse(server.links[-1])
    page = person.page
    person.ready()
    person.open(1)
    page.get_by_text("3 masks made by the model").wait_for()
    assert page.get_by_text("machine-made").count() == 3
    assert page.evaluate("maskmill.session.editor.selected?.machine") is True
    person.press("d")
    page.get_by_text("2 masks made by the model").wait_for()
    person.press("Control+z")
    page.get_by_text("3 masks made by the model").wait_for()
    person.press("d")
    page.get_by_text("2 masks made by the model").wait_for()
    person.saved()
    person.press("n")
    person.until("maskmill.session?.image.id !== 1")
    masks = person.fetch("/api/images/1/annotations")["annotations"]
    assert [(m["made"]["made_by"], m["review"]) for m in masks] == [("model", "accepted")] * 2
    now = person.fetch("/api/engine")
    work = now["collecting"]
    assert (work["kept"], work["rejected"], work["unseen"]) == (2, 1, 0)
    assert now["stage"] == "semi"
