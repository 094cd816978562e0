"""A region head in the page: regions under a click, and its model made ready to be carried away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from cell_crowds import cell_crowds, head_of_crowds

from browser.driving import Annotator, Opened, Server, fetch_deployment, free_port
from maskmill import rle
from maskmill.engine.head_files import head_folder
from maskmill.formats import LabelledImage
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.store import Project

AREA = """maskmill.session.editor.prompting.candidate.mask.pixels.reduce((a, b) => a + b, 0)"""
OFFERED = "maskmill.session.editor.prompting.candidates.map(each => !!each.isOffered)"


@pytest.fixture(scope="module")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledImage]:
    return cell_crowds(tmp_path_factory.mktemp("crowds"))


@pytest.fixture(scope="module")
def server(
    crowds: list[LabelledImage], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server over crowds, in whose project a round has trained a region head."""
    folder, project = crowds[0].path.parent, tmp_path_factory.mktemp("project") / "crowds"
    running = Server(folder, free_port(), project=project).start()
    running.wait_for_embeddings(len(crowds))
    predictor = Predictor.load("tiny", threads=1)
    running.kill()
    head_of_crowds(predictor, crowds, head_folder(project, "regions", predictor.model_id))
    judged(project)
    yield running.start()
    running.kill()


def judged(project: Path) -> None:
    """Write down the round that trained the head; the gate kept the model that was there."""
    with Project(project) as opened:
        models = opened.models
        row = next(model for model in models.all() if model.name == "tiny")
        round_ = models.open_round("assisted", incumbent_id=row.id, settings={})
        verdict = {"promoted": False, "reason": "no better", "comparisons": [], "images": 2}
        models.record({"gate": 0.0}, round_id=round_.id, detail=verdict)
        models.change_round(round_.id, status="kept", candidate_id=row.id, reason="no better")


def person_at(server: Server, browse: Opened, image: LabelledImage) -> Annotator:
    person = browse(server.links[-1]).ready()
    rows = person.fetch("/api/images")["images"]
    (image_id,) = [row["id"] for row in rows if row["name"] == image.path.name]
    person.open(image_id)
    person.until("maskmill.session.editor.leading.next !== undefined")
    return person


def kept(person: Annotator) -> list[Rle]:
    shapes = person.saved().shapes().values()
    return [Rle((s["size"][0], s["size"][1]), s["counts"].encode()) for s in shapes]


def test_a_click_brings_up_the_region_and_enter_keeps_it(
    server: Server, browse: Opened, crowds: list[LabelledImage]
) -> None:
    person = person_at(server, browse, crowds[-1])
    truths = [mask.rle for mask in crowds[-1].annotations]
    outlined = 0
    for truth in truths[:6]:
        left, top, right, below = rle.box(truth)
        person.click((left + right) / 2, (top + below) / 2)
        person.until(f"{OFFERED}.length >= 3")  # the decoder's come after what is outlined
        assert person.page.evaluate(OFFERED) in ([True, False, False, False], [False] * 3)
        outlined += person.page.evaluate(OFFERED)[0]
        person.press("Enter")
        person.until("maskmill.session.editor.prompting.isEmpty")
    assert outlined >= 4, "cells are what the head was taught"
    assert (rle.iou(kept(person), truths).max(1) > 0.75).mean() >= 0.6
    made = person.masks()[0]["made"]
    assert made["candidates"]["offered"] is True
    assert len(made["candidates"]["predicted_iou"]) == 4


def test_tab_goes_on_to_the_decoder_and_a_second_click_mends_what_is_outlined(
    server: Server, browse: Opened, crowds: list[LabelledImage]
) -> None:
    person = person_at(server, browse, crowds[-2])
    spot = person.page.evaluate("maskmill.session.editor.leading.next.point")
    person.click(spot["x"], spot["y"])
    person.until(f"{OFFERED}.length === 4")
    person.page.get_by_role("radio", name="Outlined").wait_for()
    outlined = person.page.evaluate(AREA)
    person.press("Tab")
    assert person.page.evaluate("maskmill.session.editor.prompting.taken") == 1
    person.press("Shift+Tab")
    person.click(spot["x"] + 2, spot["y"])
    assert (person.page.evaluate(OFFERED), person.page.evaluate(AREA)) == ([True], outlined)
    person.click(spot["x"], spot["y"], alt=True)
    assert person.page.evaluate(AREA) <= outlined
    person.press("Escape")


def test_what_a_mask_has_taken_is_not_offered_again(
    server: Server, browse: Opened, crowds: list[LabelledImage]
) -> None:
    person = person_at(server, browse, crowds[0])
    spot = person.page.evaluate("maskmill.session.editor.leading.next.point")
    person.click(spot["x"], spot["y"])
    person.press("Enter")
    person.until("maskmill.session.editor.prompting.isEmpty")
    person.click(spot["x"], spot["y"])
    assert not any(person.page.evaluate(OFFERED))
    person.press("Escape")
    (mask,) = kept(person)
    assert np.isin(rle.area(mask), range(50, 400))


def test_the_model_is_made_ready_tried_and_fetched(
    server: Server, browse: Opened, crowds: list[LabelledImage], tmp_path: Path
) -> None:
    person = browse(server.links[-1]).ready()
    page = person.page
    for image in person.fetch("/api/images")["images"]:
        label(person, image, crowds)
    page.goto(f"{server.address}/#/guide")
    page.get_by_text("the archive is then here").wait_for()
    page.get_by_role("button", name="Make it ready").click()
    page.get_by_test_id("packing").wait_for()
    page.get_by_test_id("deployed-model").wait_for(timeout=180_000)
    page.get_by_label("Choose an image").set_input_files(crowds[-1].path)
    page.get_by_test_id("tried-model").wait_for()
    deployed = fetch_deployment(page, "deployed-model", tmp_path)
    own = deployed.answer(crowds[-1].path.read_bytes())
    assert f"{len(own['masks'])} mask" in page.get_by_test_id("tried-model").inner_text()
    assert not person.errors


def label(person: Annotator, image: dict[str, Any], crowds: list[LabelledImage]) -> None:
    """Make every mask of an image, as its page sends them."""
    (crowd,) = [each for each in crowds if each.path.name == image["name"]]
    made = {"seconds": 1.0, "clicks": 1, "edits": 0}
    for each in crowd.annotations:
        mask = {"size": list(each.rle.size), "counts": each.rle.counts.decode()}
        body = {"op_id": str(uuid4()), "base_version": 0, "image_id": image["id"], "mask": mask,
                "made": made}  # fmt: skip
        person.fetch(f"/api/annotations/{uuid4()}", "PUT", body)
