"""`maskmill round` and `maskmill simulate` as commands: what they refuse, and what they print."""

import json
from pathlib import Path

import pytest
from labelled_scene import write_scene

from maskmill.cli import main
from maskmill.store import Project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    Project.create(tmp_path / "project").close()
    return tmp_path / "project"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, object]]:
    code = main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_new_project_has_no_round(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = run(capsys, "round", "--project", project, "--history")
    assert (code, told) == (0, {"rounds": []})


def test_advice_says_where_the_engine_stands(
    tmp_path: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskmill.exchange.importing import import_labelled

    code, told = run(capsys, "round", "--project", project, "--advice")
    assert (code, told["stage"], told["new_masks"]) == (0, "assisted", 0)
    with Project(project) as opened:
        import_labelled(opened, [write_scene(tmp_path, "a", seed=1)], name="s", by="test")
        opened.images.describe(opened.images.page(limit=1)[0].id, split="train")
    assert main(["round", "--project", str(project), "--advice"]) == 0
    out = capsys.readouterr().out
    assert "3 masks can teach, 3 of them are new" in out
    assert "every image has masks" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--roll-back"], "nothing to roll back to"),
        (["--decide", "promote"], "no round waits for a decision"),
        ([], "holds no image"),
        (["--recipe", "finetun"], "holds no image"),
        (["--start", "vit_b.pth"], "cannot start from 'vit_b.pth'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_next_step(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    code, told = run(capsys, "round", "--project", project, *words)
    assert code == 1
    assert reason in str(told["error"])


@pytest.mark.parametrize("command", ["round", "simulate"])
def test_a_start_that_is_no_model_opens_nothing(
    tmp_path: Path, project: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    from maskmill.formats.coco_writer import write_coco

    write_coco(tmp_path / "set" / "labels.json", [write_scene(tmp_path / "set", "a")])
    new = tmp_path / "new"
    words = ["--project", project] if command == "round" else [tmp_path / "set", "--out", new]
    code, told = run(capsys, command, *words, "--start", tmp_path / "vit_b.pth")
    assert code == 1
    assert "published checkpoint (.pth or .safetensors), current or default" in str(told["error"])
    assert not new.exists()
    _, told = run(capsys, "round", "--project", project, "--history")
    assert told == {"rounds": []}


def test_a_failed_round_is_told_with_its_reason_and_the_next_one_can_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "round", "--project", project)[0] == 1
    _, told = run(capsys, "round", "--project", project, "--history")
    (failed,) = told["rounds"]  # type: ignore[misc]
    assert failed["status"] == "failed"
    assert "import some" in failed["reason"]
    assert run(capsys, "round", "--project", project)[0] == 1
    _, told = run(capsys, "round", "--project", project, "--history")
    assert [r["number"] for r in told["rounds"]] == [1, 2]  # type: ignore[attr-defined, index]


def test_a_simulation_needs_a_new_folder_and_enough_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskmill.formats.coco_writer import write_coco

    write_coco(tmp_path / "set" / "labels.json", [write_scene(tmp_path / "set", "a")])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    code, told = run(capsys, "simulate", tmp_path / "set", "--out", tmp_path / "full")
    assert (code, (tmp_path / "full" / "mine.txt").read_text()) == (1, "mine")
    assert "not empty" in str(told["error"])
    code, told = run(capsys, "simulate", tmp_path / "set", "--out", tmp_path / "new")
    assert code == 1
    assert "the dataset has 1" in str(told["error"])


def test_a_simulation_plays_either_labels_or_recorded_work(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for words in ([], [tmp_path, "--replay", project]):
        code, told = run(capsys, "simulate", *words, "--out", out)
        assert code == 1
        assert "name one of them" in str(told["error"])
    code, told = run(capsys, "simulate", "--replay", project, "--out", out)
    assert code == 1
    assert "nothing to replay" in str(told["error"])
