"""The engine's page: a real round from the button to the promoted model, and back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser.driving import Annotator, Opened, Server, Started
from maskmill import rle
from maskmill.store import Create, Made, Project

pytest.importorskip("torch")


def label(project: Path) -> None:
    """Give two of three photographs five masks by a person each; one is held out."""
    with Project(project) as opened:
        for image, split in zip(opened.images.page(), ("train", "val"), strict=False):
            opened.images.describe(image.id, split=split)
            height, width = image.size
            changes = []
            for i in range(5):
                mask = np.zeros(image.size, bool)
                x, y = width * (i + 1) // 7, height * (i + 1) // 7
                mask[y : y + height // 6, x : x + width // 5] = True
                made = Made(made_by="person", author="Ada", stage="assisted", seconds=9.0, clicks=2)
                changes.append(Create(image_id=image.id, rle=rle.encode(mask), made=made))
            opened.annotations.apply(f"label/{image.id}", changes, by="Ada")


def quick(route: Any) -> None:
    """Let the button start a round of a few steps."""
    body = json.loads(route.request.post_data)
    route.continue_(post_data=json.dumps({**body, "steps": 3}))


def advice(person: Annotator) -> str:
    return str(person.page.get_by_test_id("advice").get_attribute("data-what"))


def test_train_on_what_we_have_decide_and_go_back(start: Started, browse: Opened) -> None:
    server = start(label)
    person = browse(server.links[-1]).ready()
    page = person.page
    before = person.fetch("/api/model")["id"]
    page.goto(f"{server.address}/#/engine")
    page.get_by_test_id("advice").wait_for()
    assert advice(person) == "label"
    assert "5 masks are new" in page.get_by_test_id("advice").inner_text()
    page.route("**/api/rounds", quick)
    page.get_by_role("button", name="Train on what we have").click()
    page.get_by_test_id("working").wait_for()
    person.until(
        "document.querySelector('[data-testid=advice]')?.dataset.what === 'decide'", seconds=400
    )
    table = page.locator("table", has_text="IoU after 1 click").first
    assert "rank correlation of predicted IoU" in table.inner_text()
    page.get_by_role("button", name="Use the new model").click()
    page.get_by_role("button", name="Go back to the model before").wait_for()
    now = person.fetch("/api/engine")
    assert (now["model"], now["rounds"][0]["status"]) == ("round-001", "promoted")
    assert now["model_id"] != before

    # The page goes on without a reload: the next click is the new model's, and says so.
    server.wait_for_embeddings(6)
    page.goto(f"{server.address}/#/annotate/3")
    person.until("maskmill.session?.image.id === 3")
    person.ready().click(250, 250)
    person.press("Enter")
    person.saved()
    made = [m["made"]["modelId"] for m in person.masks() if m["made"]["modelId"]]
    assert made == [now["model_id"]]

    page.goto(f"{server.address}/#/engine")
    page.get_by_role("button", name="Go back to the model before").click()
    page.get_by_text("went back").wait_for()
    assert person.fetch("/api/model")["id"] == before
    assert page.locator("table tbody tr").count() == 2


def test_pause_and_a_killed_server_go_on(start: Started, browse: Opened) -> None:
    server = start(label)
    person = browse(server.links[-1]).ready()
    page = person.page
    page.goto(f"{server.address}/#/engine")
    page.get_by_role("button", name="Train on what we have").click()
    step = "+(document.querySelector('[data-testid=working]')?.dataset.step ?? 0)"
    person.until(f"{step} >= 2", seconds=180)
    page.get_by_role("figure").filter(has_text="Loss").first.wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()
    assert advice(person) == "resume"
    paused_at = person.page.evaluate(step)
    page.get_by_role("button", name="Go on").click()
    person.until(f"{step} > {paused_at}", seconds=180)
    reached = person.page.evaluate(step)
    server.kill()
    server.start()
    person.until(f"{step} > {reached}", seconds=240)  # of the same page, which waited
    page.get_by_role("button", name="Give this round up").click()
    page.get_by_text("not finished").wait_for()
    assert person.fetch("/api/engine")["working"] is None


def test_a_project_without_masks_is_told_what_is_missing(person: Annotator, server: Server) -> None:
    person.page.goto(f"{server.address}/#/engine")
    person.page.get_by_text("No hold-out image is labelled yet").wait_for()
    assert person.page.get_by_role("button", name="Train on what we have").is_disabled()
