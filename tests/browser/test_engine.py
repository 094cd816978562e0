"""The engine's page: a real round from the button to the promoted model, and back."""

from pathlib import Path

import numpy as np
from labelled_scene import SMALL

from browser.driving import Annotator, Opened, Server, Started
from maskmill import rle
from maskmill.engine.dataset import labelled_images
from maskmill.engine.detecting import write_categories
from maskmill.engine.head_files import head_folder
from maskmill.engine.lineage import model_path
from maskmill.engine.rounds import RoundConfig, run_round
from maskmill.model.checkpoint import save_model
from maskmill.model.sam import build
from maskmill.predict import Predictor
from maskmill.store import Create, Edit, Made, Project
from maskmill.store.snapshots import SnapshotConfig
from maskmill.train.categories import CategoryConfig, train_categories


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


def judged(project: Path) -> None:
    """Run a round of a model as small as it goes, which is not exported: that is slow."""
    label(project)
    save_model(project.parent / "small", build(SMALL).eval(), {})
    training = {
        "steps": 3, "grid_iou_images": 1, "batch_images": 2, "masks_per_image": 2, "input_side": 64,
        "start_from": str(project.parent / "small"),
    }  # fmt: skip
    with Project(project) as opened:
        config = RoundConfig(training=training, export=False, detector=False)
        assert run_round(opened, config, say=lambda _: None).status == "gating"


def named(project: Path) -> None:
    """Do the same with masks of two categories, which a category head learns."""
    with Project(project) as opened:
        ids = opened.categories.ensure(["tile", "other"])
    judged(project)
    with Project(project) as opened:
        for image in opened.images.page(limit=2):
            masks = opened.annotations.of_image(image.id)
            edits = [
                Edit(
                    annotation_id=m.id,
                    based_on=m.version,
                    category_id=ids["tile" if i < 3 else "other"],
                )
                for i, m in enumerate(masks)
            ]
            opened.annotations.apply(f"name/{image.id}", edits, by="Ada")
        candidate = opened.models.all()[-1]
        snapshot = opened.snapshots.take("named", SnapshotConfig())
        learned, held_out = (labelled_images(opened, snapshot, s) for s in ("train", "val"))
        predictor = Predictor.load(model_path(opened, candidate), threads=1)
        trained = train_categories(predictor, learned, CategoryConfig(least=2))
        assert trained is not None
        out = head_folder(opened.folder, "categories", candidate.model_id)
        card = {"model": candidate.model_id, "round": 1}
        write_categories(*trained, predictor, held_out, out, card)


def advice(person: Annotator) -> str:
    return str(person.page.get_by_test_id("advice").get_attribute("data-what"))


def test_a_person_decides_the_page_follows_and_goes_back(start: Started, browse: Opened) -> None:
    server = start(judged)
    person = browse(server.links[-1]).ready()
    page = person.page
    before = person.fetch("/api/model")["id"]
    page.goto(f"{server.address}/#/engine")
    page.get_by_test_id("advice").wait_for()
    assert advice(person) == "decide"
    table = page.locator("table", has_text="IoU after 1 click").first
    assert "IoU from a box" in table.inner_text()
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


def test_a_round_shows_how_it_names_masks(start: Started, browse: Opened) -> None:
    server = start(named)
    person = browse(server.links[-1]).ready()
    page = person.page
    page.goto(f"{server.address}/#/engine")
    page.get_by_role("button", name="Round 1").click()
    table = page.get_by_test_id("naming").get_by_test_id("confusion")
    table.wait_for()
    naming = person.fetch("/api/engine")["rounds"][0]["naming"]
    assert naming["table"]["categories"] == ["other", "tile"]
    counts = naming["table"]["counts"]
    assert sum(map(sum, counts)) == 5, "the masks of the image that is held out"
    shown = [cell.get_attribute("title") for cell in table.locator("tbody td").all()]
    assert shown == [str(count) for row in counts for count in row[: len(shown) // 2]]
    page.goto(f"{server.address}/#/guide")
    page.get_by_test_id("naming").wait_for()
    (image,) = naming["images"]
    assert (image["image_id"], image["masks"]) == (2, 5)
    if image["wrong"]:
        page.get_by_test_id("worst").get_by_role("button").first.click()
        page.wait_for_url("**/#/annotate/2")


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


def test_the_model_labels_the_rest_and_people_judge_a_sample(
    person: Annotator, server: Server
) -> None:
    page = person.page
    page.goto(f"{server.address}/#/engine")
    page.get_by_role("button", name="Label the rest").click()
    page.get_by_test_id("labelled").get_by_text("on 3 images").wait_for(timeout=180_000)
    assert person.fetch("/api/quality", "POST", {"masks": 3})["drawn"] == 3
    page.get_by_role("button", name="Look at what waits (6)").click()  # of masks and of images
    question = page.get_by_test_id("question")
    while person.fetch("/api/quality")["done"] < 3:
        question.wait_for()
        if question.inner_text() == "Good mask?":
            done = person.fetch("/api/quality")["done"]
            person.press("q")
            person.until(
                "n => fetch('/api/quality').then(a => a.json()).then(a => a.done > n)", done
            )
        else:
            person.press("q")
    while unanswered := [i for i in person.fetch("/api/quality")["images"] if not i["answered"]]:
        page.goto(f"{server.address}/#/engine")
        page.get_by_test_id("drawn-images").get_by_role("link", name=unanswered[0]["name"]).click()
        question.get_by_text("All objects found?").wait_for()
        person.press("r")
        page.get_by_label("How many objects have no mask?").fill("2")
        person.press("Enter")
        answered = 4 - len(unanswered)
        person.until(
            "n => fetch('/api/quality').then(a => a.json())"
            ".then(a => a.images.filter(i => i.answered).length >= n)",
            answered,
        )
    page.get_by_text("Every mask and image of the sample was looked at").wait_for()
    page.goto(f"{server.address}/#/engine")
    page.get_by_text("above IoU 0.90: 100 %").wait_for()
    assert person.fetch("/api/quality")["images_asked"] == 3
    page.get_by_test_id("recall").get_by_text("of 3 images drawn at random").wait_for()


def test_a_project_without_masks_is_told_what_is_missing(person: Annotator, server: Server) -> None:
    person.page.goto(f"{server.address}/#/engine")
    person.page.get_by_text("No hold-out image is labelled yet").wait_for()
    assert person.page.get_by_role("button", name="Train on what we have").is_disabled()
