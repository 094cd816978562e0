"""`maskmill scribble` and `maskmill rules`, as a person types them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scribble_scene import CATEGORIES, scene, strokes

from maskmill import rle
from maskmill.cli import main
from maskmill.formats import LabelledImage, LabelledMask, read_coco, write_sa1b_folder
from maskmill.rle import encode
from maskmill.scribble.rules import MinArea, parse_rules, read_rules, write_rules
from maskmill.scribble.strokes import Scribbles, to_json
from maskmill.scribble.suggest import Suggestion

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes, labelled, and strokes on the first; a classifier trained on them."""
    work = tmp_path_factory.mktemp("work")
    (work / "images").mkdir()
    labelled = []
    for seed in range(3):
        image, labels = scene(seed)
        path = work / "images" / f"{seed}.png"
        Image.fromarray(image).save(path)
        masks = [LabelledMask(rle=encode(labels == k), category=CATEGORIES[k]) for k in (1, 2)]
        labelled.append(
            LabelledImage(
                image_id=str(seed), path=path, size=(200, 260), source="s",
                annotations=tuple(masks),
            )
        )  # fmt: skip
    write_sa1b_folder(work / "labelled", labelled)
    drawn = Scribbles(categories=CATEGORIES, strokes=tuple(strokes("0.png", scene(0)[1])))
    (work / "strokes.json").write_bytes(to_json(drawn))
    words = ["scribble", "train", work / "images", "--strokes", work / "strokes.json"]
    words += ["-o", work / "model", "--cache", work / "cache"]
    assert main([str(word) for word in words]) == 0
    return work


def test_predict_writes_maps_overlays_regions_and_a_verdict(run: Run, work: Path, tmp_path: Path):
    rules = tmp_path / "rules.json"
    rules.write_text(
        '{"categories": {"disc": [{"rule": "min_area", "area": 60}]}, "decisions": '
        '[{"rule": "count", "category": "bar", "most": 0}]}'
    )
    found = run("scribble", "predict", work / "model", work / "images", "-o", tmp_path / "out",
                "--rules", rules, "--cache", work / "cache", "--json")  # fmt: skip
    assert found[0] == 0
    told = json.loads(found[1])
    assert [one["passed"] for one in told["images"]] == [False] * 3
    assert told["images"][0]["doubt"] >= told["images"][-1]["doubt"]
    labels = np.array(Image.open(tmp_path / "out" / "1.labels.png"))
    assert (labels == scene(1)[1]).mean() > 0.95
    assert np.array(Image.open(tmp_path / "out" / "1.overlay.png")).shape == (200, 260, 3)
    read = read_coco(tmp_path / "out" / "regions.json", work / "images")
    (regions,) = [image for image in read if image.path.stem == "1"]
    union = np.logical_or.reduce([rle.decode(m.rle) for m in regions.annotations])
    assert np.array_equal(union, labels > 0)


def test_pixels_of_no_category_are_255_and_alike_names_keep_their_suffix(
    run: Run, work: Path, tmp_path: Path
):
    images, (pixels, labels) = tmp_path / "images", scene(0)
    (images / "more").mkdir(parents=True)
    for name in ("x.png", "x.tif", "x.tif.png", "more/x.png"):
        Image.fromarray(pixels).save(images / name)
    drawn = [each for each in strokes("x.png", labels) if each.category != "background"]
    marked = Scribbles(categories=CATEGORIES[1:], strokes=tuple(drawn))
    (tmp_path / "strokes.json").write_bytes(to_json(marked))
    (tmp_path / "rules.json").write_text(
        '{"categories": {"disc": [{"rule": "max_area", "area": 5}]}}'
    )
    run("scribble", "train", images, "--strokes", tmp_path / "strokes.json",
        "-o", tmp_path / "model", "--cache", work / "cache")  # fmt: skip
    assert run("scribble", "predict", tmp_path / "model", images, "-o", tmp_path / "out", "--rules",
               tmp_path / "rules.json", "--cache", work / "cache")[0] == 0  # fmt: skip
    written = {p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("*.labels.png")}
    assert written == {f"{name}.labels.png" for name in ("x.png", "x.tif", "x.tif.png", "more/x")}
    values = np.unique(np.array(Image.open(tmp_path / "out" / "more" / "x.labels.png")))
    assert values.tolist() == [1, 255]
    assert run("rules", "apply", tmp_path / "rules.json", tmp_path / "model", images,
               "-o", tmp_path / "tried", "--cache", work / "cache")[0] == 0  # fmt: skip
    assert len(list((tmp_path / "tried").rglob("*.rules.png"))) == 4


def test_regions_enter_a_project_with_their_origin(run: Run, work: Path, tmp_path: Path):
    assert run("init", tmp_path / "project")[0] == 0
    words = ("scribble", "predict", work / "model", work / "images", "-o", tmp_path / "out",
             "--cache", work / "cache", "--project", tmp_path / "project", "--json")  # fmt: skip
    code, out, _ = run(*words)
    assert code == 0
    added = json.loads(out)["added"]
    assert added == sum(sum(i["regions"].values()) for i in json.loads(out)["images"])
    status = run("status", "--project", tmp_path / "project")[1]
    assert f"automatic: {added}" in status
    assert "disc" in status
    assert json.loads(run(*words)[1])["added"] == 0, "a repetition adds nothing"


def test_rules_are_checked_tried_and_suggested(run: Run, work: Path, tmp_path: Path):
    rules = tmp_path / "rules.json"
    rules.write_text('{"categories": {"disc": [{"rule": "max_area", "area": 5}]}}')
    assert "1 rule, 0 decisions; sound" in run("rules", "check", rules, "--trained",
                                               work / "model")[1]  # fmt: skip
    code, out, err = run("rules", "apply", rules, work / "model", work / "images",
                         "-o", tmp_path / "previews", "--cache", work / "cache")  # fmt: skip
    assert (code, out.count("3 images")) == (0, 1)
    assert "max_area leaves nothing of disc" in err
    red = np.array(Image.open(tmp_path / "previews" / "1.rules.png")) == (230, 40, 50)
    assert (red.all(axis=2) & (scene(1)[1] == 1)).sum() > 0.8 * (scene(1)[1] == 1).sum()
    code, out, _ = run("rules", "suggest", work / "model", work / "labelled",
                       "--out", tmp_path / "suggested.json", "--cache", work / "cache",
                       "--json")  # fmt: skip
    assert code == 0
    assert all(c["after"] >= c["before"] > 0.7 for c in json.loads(out)["categories"])
    assert run("rules", "check", tmp_path / "suggested.json")[0] == 0


def test_suggested_rules_replace_their_categories_alone(
    run: Run, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given = parse_rules(
        b'{"categories": {"disc": [{"rule": "max_area", "area": 5}], '
        b'"bar": [{"rule": "min_area", "area": 7}]}, '
        b'"decisions": [{"rule": "count", "category": "bar", "most": 0}]}'
    )
    write_rules(tmp_path / "rules.json", given)
    words = ("rules", "suggest", work / "model", work / "labelled", "--cache", work / "cache",
             "--out", tmp_path / "rules.json")  # fmt: skip
    found = Suggestion(category="disc", rules=(MinArea(area=9),), before=0.5, after=0.6)
    useless = Suggestion(category="bar", rules=(), before=0.5, after=0.5)
    for suggestions in ([useless], [found, useless]):
        monkeypatch.setattr("maskmill.scribble.suggest.suggest", lambda *_, s=suggestions: s)
        assert run(*words)[0] == 0
        kept = read_rules(tmp_path / "rules.json")
        assert kept.decisions == given.decisions
        assert kept.categories["bar"] == given.categories["bar"]
        helps = found in suggestions
        assert kept.categories["disc"] == (found.rules if helps else given.categories["disc"])
    (tmp_path / "rules.json").write_text("[")
    assert run(*words)[0] == 1
    assert (tmp_path / "rules.json").read_text() == "["


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("scribble", "predict", "nowhere", "images", "-o", "out"), "scribble train"),
        (("scribble", "train", "images", "--strokes", "none.json", "-o", "m"), "cannot read"),
        (("scribble", "train", "images", "--strokes", "images", "-o", "m"), "--categories a,b,c"),
        (("rules", "check", "strokes.json"), "strokes.json"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    run: Run, work: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], reason: str
):
    monkeypatch.chdir(work)
    code, _, err = run(*words)
    assert (code, err.count("\n")) == (1, 1)
    assert reason in err
