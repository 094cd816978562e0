"""Pre-filled masks in the editor: seen as such, rejected with one key, accepted with the image."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from rims import NARROW, PLACES, WIDE, near, picture

from browser.driving import Annotator, Opened, Started
from maskmill import rle
from maskmill.engine.prefilling import CALIBRATION
from maskmill.engine.proposals import Calibration
from maskmill.exchange.importing import import_labelled
from maskmill.formats import read_dataset
from maskmill.rle import Rle
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


def refused(project: Path) -> None:
    """End a run for which no threshold was precise enough, and say what could be had."""
    with Project(project) as opened:
        job = opened.jobs.queue("prefill", {"image_ids": [1], "precision": 0.95}, total=1)
        opened.jobs.finish(opened.jobs.claim(job.id, "test"), message="no threshold")
        folder = opened.folder / "prefilled" / f"{job.id:06d}"
        folder.mkdir(parents=True)
        none = Calibration(
            threshold=None, precision=0.5, kept=0, found=0.0, instead=((0.7, 0.45), (0.5, 0.51))
        )
        (folder / CALIBRATION).write_text(json.dumps(asdict(none)))


def test_where_nothing_is_sure_enough_the_page_says_what_could_be_had(
    start: Started, browse: Opened
) -> None:
    server = start(refused)
    person = browse(server.links[-1]).ready()
    page = person.page
    page.goto(f"{server.address}/#/engine")
    page.get_by_text("no threshold makes 95 % of the masks right").wait_for()
    told = [each.inner_text() for each in page.get_by_test_id("instead").all()]
    assert ["70 of 100" in told[0], "45 %" in told[0], "50 of 100" in told[1]] == [True] * 3
    page.get_by_role("button", name="Pre-fill so").first.click()
    person.until(
        "(async () => (await (await fetch('/api/engine')).json()).prefill.asked === 0.7)()"
    )
    assert not person.errors


LARGER = 3
"""Times as large as they are drawn, discs can be aimed at."""


def larger(mask: Rle) -> Rle:
    return rle.encode(np.kron(rle.decode(mask), np.ones((LARGER, LARGER), bool)))


def narrow_discs(project: Path) -> None:
    """Add an image of discs with rims, and narrow pre-filled masks on it."""
    folder = project.parent / "discs"
    folder.mkdir()
    pixels = np.kron(picture(), np.ones((LARGER, LARGER, 1), np.uint8))
    Picture.fromarray(pixels).save(folder / "discs.png")
    with Project(project) as opened:
        import_labelled(opened, read_dataset(folder).images, name="discs", by="test")
        (image,) = opened.images.by_path([str(folder / "discs.png")]).values()
        made = Made(made_by="model", author="regions", stage="semi", predicted_iou=0.8)
        changes = [Create(image_id=image.id, rle=larger(mask), made=made) for mask in NARROW]
        opened.annotations.apply("prefill/discs", changes, by="regions")


def there(person: Annotator) -> dict[int, Rle]:
    found = person.fetch("/api/images/4/annotations")["annotations"]
    sizes = [(each["mask"]["size"], each["mask"]["counts"]) for each in found]
    return {i: Rle((size[0], size[1]), counts.encode()) for i, (size, counts) in enumerate(sizes)}


def test_the_rest_follows_what_is_mended_and_comes_back_with_an_undo(
    start: Started, browse: Opened
) -> None:
    person = browse(start(narrow_discs).links[-1])
    page = person.page
    person.ready()
    person.open(4)
    page.get_by_text("12 masks made by the model").wait_for()
    narrow, wide = [[larger(mask) for mask in masks] for masks in (NARROW, WIDE)]
    select = (
        "place => maskmill.session.editor.select(maskmill.session.document.annotations[place].id)"
    )
    page.evaluate("maskmill.session.editor.brushRadius = 42")
    person.press("b")
    for place in (5, 10):
        x, y = (LARGER * each for each in PLACES[place])
        page.evaluate(select, place)
        person.drag((x, y), (x + 1, y))
    page.get_by_text("drawn anew, as the others were mended").wait_for()
    person.saved()
    person.fetch("/api/images/4/redraw", "POST", {})  # nothing is left to do, or done now
    followed = there(person)
    assert near({i: mask for i, mask in followed.items() if i not in (5, 10)}, wide) > 0.85
    shown = "maskmill.session.document.annotations.map((each) => each.content.rle.counts)"
    counts = [mask.counts.decode() for mask in followed.values()]
    person.until(f"JSON.stringify({shown}) === {json.dumps(json.dumps(counts, separators=',:'))}")

    person.press("Control+z")
    person.press("Control+z")
    person.until(
        "(async () => (await (await fetch('/api/images/4/annotations')).json()).annotations"
        f".every((each, i) => each.mask.counts === "
        f"{json.dumps([mask.counts.decode() for mask in narrow])}[i]))()"
    )
    page.get_by_text("12 masks made by the model").wait_for()
    page.evaluate(select, 0)
    person.press("s")
    page.get_by_text("11 masks made by the model").wait_for()
    person.saved()
    kept, *rest = person.fetch("/api/images/4/annotations")["annotations"]
    assert kept["review"] == "accepted"
    assert {(each["made"]["made_by"], each["review"]) for each in rest} == {("model", None)}
