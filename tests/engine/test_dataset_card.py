"""An exported dataset says what is in it and how good it is, or that nobody knows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from labelled_scene import write_scene

from maskmill.cli import main
from maskmill.exchange.importing import import_labelled
from maskmill.store import Create, Edit, Made, Project

AUTOMATIC = Made(made_by="model", author="everything mode", stage="automatic")


def test_the_card_states_the_audits_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    scene = write_scene(tmp_path / "scenes", "0")
    with Project.create(folder) as project:
        import_labelled(project, [replace(scene, annotations=())], name="scenes", by="test")
        image = project.images.page(limit=1)[0]
        masks = [Create(image_id=image.id, rle=m.rle, made=AUTOMATIC) for m in scene.annotations]
        project.annotations.apply("made", masks, by="test")
    card = export(folder, tmp_path / "before", capsys)
    assert "1 images, 3 masks" in card
    assert "Nobody has audited" in card
    assert main(["audit", "draw", "--project", str(folder), "--size", "3", "--json"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert len(drawn["annotations"]) == 3
    assert "none is corrected yet" in export(folder, tmp_path / "drawn", capsys)
    with Project(folder) as project:
        verdicts = zip(drawn["annotations"], ("accepted", "accepted", "rejected"), strict=True)
        looks = [Edit(annotation_id=key, based_on=1, review=v) for key, v in verdicts]
        project.annotations.apply("look", looks, by="Ada")
    assert main(["audit", "found", str(image.id), "--missing", "1", "--project", str(folder)]) == 0
    capsys.readouterr()
    card = export(folder, tmp_path / "after", capsys)
    assert "| all | 3 | 67% (21% to 94%) | 67% (21% to 94%) |" in card
    assert "Recall 0.67, of images that carry sampled masks: too high" in card
    assert main(["audit", "report", "--project", str(folder)]) == 0
    assert "| all | 3 | 67%" in capsys.readouterr().out


def export(project: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    words = ["export", str(out), "--format", "coco", "--project", str(project), "--json"]
    assert main(words) == 0
    return Path(json.loads(capsys.readouterr().out)["card"]).read_text("utf-8")
