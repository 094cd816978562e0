"""Played people write as real ones do, once, and correct an audit's sample by what is true."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scene
from PIL import Image as Picture
from rims import NARROW, WIDE, near, picture

from maskmill import rle
from maskmill.engine.auditing import draw_audit, report, tasks
from maskmill.engine.oracle import OracleConfig
from maskmill.engine.people import Oracle, Recorded, correct_sample, prefill, record_of, sit
from maskmill.engine.proposals import Proposal
from maskmill.engine.time_model import TimeModel
from maskmill.exchange.importing import import_labelled
from maskmill.formats import read_dataset
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.store import Project

CAREFUL = OracleConfig(miss=0.0, slip=0.0)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as made:
        scene = replace(write_scene(tmp_path / "scenes", "0"), annotations=())
        import_labelled(made, [scene], name="scenes", by="test")
        yield made


def person(folder: Path) -> Oracle:
    scene = write_scene(folder / "scenes", "0")
    truths = [mask.rle for mask in scene.annotations[:2]]
    return Oracle({str(scene.path.absolute()): truths}, CAREFUL, TimeModel())


def proposal(mask: rle.Rle) -> Proposal:
    return Proposal(
        rle=mask, box=(0, 0, 1, 1), area=rle.area(mask), predicted_iou=0.9, stability_score=0.9,
        point=(1.0, 1.0), crop_box=(0, 0, 9, 9), score=0.9, by="detector",
    )  # fmt: skip


def test_a_sitting_is_written_once_with_what_it_took(project: Project, tmp_path: Path) -> None:
    oracle = person(tmp_path)
    image = project.images.page(limit=1)[0]
    pixels = read_image(Path(image.path))
    truths = oracle.truths(image.path)
    wrong = np.zeros(image.size, bool)
    wrong[:5, 40:45] = True
    offered = [proposal(truths[0]), proposal(rle.encode(wrong))]
    predictor = Predictor.load("tiny", threads=1)
    for _ in range(2):  # as after a kill
        sitting = sit(
            project, oracle, predictor, image.id, offered, pixels=pixels, stage="semi",
            rng=np.random.default_rng(0),
        )  # fmt: skip
    masks = project.annotations.of_image(image.id)
    assert [m.review for m in masks] == ["accepted", "rejected", None]
    assert [m.made.made_by for m in masks] == ["model", "model", "person"]
    assert masks[0].made.author == "detector"
    assert masks[2].made.seconds == sitting.made[0].seconds > 0
    assert project.work.of([image.id])[image.id].state == "complete"
    (recorded,) = record_of(project, TimeModel(check=1.7)).values()
    assert [m.seconds for m in recorded] == [1.7, sitting.made[0].seconds], "kept, and made"
    assert [m.clicks for m in recorded] == [0, sitting.made[0].clicks]


def test_a_replay_keeps_the_prefilled_masks_that_people_kept(
    project: Project, tmp_path: Path
) -> None:
    """Else they vanish from the truth, and right proposals are rejected when it is played again."""
    oracle = person(tmp_path)
    image = project.images.page(limit=1)[0]
    pixels = read_image(Path(image.path))
    predictor = Predictor.load("tiny", threads=1)
    there = [proposal(mask) for mask in oracle.truths(image.path)]
    sit(
        project, oracle, predictor, image.id, there, pixels=pixels, stage="semi",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    again = Recorded(record_of(project), CAREFUL, TimeModel())
    assert len(again.truths(image.path)) == 2, "an image on which everything was kept counts too"
    embedding, masks = predictor.embed(pixels), [mask.rle for mask in there]
    rng = np.random.default_rng(0)
    sitting = again.label(predictor, embedding, image.path, rng, masks, None, [], None)
    assert (list(sitting.kept), sitting.rejected, sitting.made) == ([0, 1], [], [])
    bare = again.label(predictor, embedding, image.path, rng, [], None, [], None)
    assert bare.seconds == sitting.seconds, "what took a check then takes a check now"


def test_masks_of_stage_three_are_nobodys_record(project: Project, tmp_path: Path) -> None:
    """An audit looks at a sample of an image's masks: they are not all of its objects."""
    oracle = person(tmp_path)
    image = project.images.page(limit=1)[0]
    prefill(project, image.id, [proposal(oracle.truths(image.path)[0])], "automatic")
    correct_sample(project, oracle, draw_audit(project, size=1, by="test"))
    assert [m.review for m in project.annotations.of_image(image.id)] == ["accepted"]
    assert record_of(project) == {}


def test_a_sample_is_corrected_to_what_is_true(project: Project, tmp_path: Path) -> None:
    oracle = person(tmp_path)
    image = project.images.page(limit=1)[0]
    first, _ = oracle.truths(image.path)
    eaten = rle.decode(first)
    eaten[: image.height // 3] = False
    nothing = np.zeros(image.size, bool)
    nothing[:5, 40:45] = True
    masks = [proposal(m) for m in (first, rle.encode(eaten), rle.encode(nothing))]
    prefill(project, image.id, masks, "automatic")
    drawn = draw_audit(project, size=3, by="test")
    correct_sample(project, oracle, drawn)
    found = {task.state: task.iou for task in tasks(project, drawn)}
    assert set(found) == {"kept", "corrected", "removed"}
    assert found["corrected"] == pytest.approx(eaten.sum() / rle.area(first))
    said = report(project, drawn)
    assert said.done == 3
    assert said.images_asked == 1
    assert said.recall == pytest.approx(2 / 3), "of three masks two show one; one object has none"
    assert not said.at_random, "no job labelled this image, so none was drawn"


def test_a_person_says_what_is_missing_on_images_drawn_at_random(
    project: Project, tmp_path: Path
) -> None:
    """On two images of three, stage 3 found nothing; only they are drawn here."""
    scenes = [replace(write_scene(tmp_path / "scenes", n), annotations=()) for n in "12"]
    import_labelled(project, scenes, name="more", by="test")
    oracle = person(tmp_path)
    images = project.images.page(limit=9)
    truths = list(oracle.truths(images[0].path))
    prefill(project, images[0].id, [proposal(m) for m in truths], "automatic")
    drawn = draw_audit(project, size=3, by="test")
    drawn = replace(drawn, images=tuple(image.id for image in images[1:]))
    seer = Oracle({image.path: truths for image in images}, CAREFUL, TimeModel())
    correct_sample(project, seer, drawn)
    said = report(project, drawn)
    assert (said.at_random, said.images_asked) == (True, 2), "the sample's image is not asked about"
    assert (said.recall, said.recall_interval) == (0.0, None)


def test_a_mask_that_followed_is_kept_as_it_was_shown_and_stays_the_models(tmp_path: Path) -> None:
    path = tmp_path / "discs" / "discs.png"
    path.parent.mkdir()
    Picture.fromarray(picture()).save(path)
    predictor = Predictor.load("tiny", threads=1)
    oracle = Oracle({str(path): WIDE}, CAREFUL, TimeModel())
    with Project.create(tmp_path / "rims") as project:
        import_labelled(project, read_dataset(path.parent).images, name="discs", by="test")
        (image,) = project.images.page(limit=1)
        for _ in range(2):  # as after a kill
            sitting = sit(
                project, oracle, predictor, image.id, [proposal(mask) for mask in NARROW],
                pixels=picture(), stage="semi", rng=np.random.default_rng(0),
            )  # fmt: skip
        masks = project.annotations.of_image(image.id)
    kept = {i: masks[i] for i in sitting.kept}
    assert len(kept) > len(NARROW) / 2
    assert {mask.version for mask in masks} == {2}
    assert {(m.made.made_by, m.review) for m in kept.values()} == {("model", "accepted")}
    assert {i: mask.rle for i, mask in kept.items()} == sitting.kept
    assert near(sitting.kept, WIDE) > CAREFUL.accept > near(sitting.kept, NARROW)
