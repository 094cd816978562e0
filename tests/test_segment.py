import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.cli import main
from maskmill.errors import PromptError
from maskmill.formats.prompts import NamedPrompt, parse_prompts
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.segment import segment
from maskmill.values import Prompt, box_prompt, point_prompt


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("tiny", threads=1)


@pytest.fixture
def folder(tmp_path: Path, photographs: dict[str, np.ndarray]) -> Path:
    """Two photographs, one of them in a folder inside."""
    (tmp_path / "photos" / "inside").mkdir(parents=True)
    Image.fromarray(photographs["coffee"]).save(tmp_path / "photos" / "0012.jpg")
    Image.fromarray(photographs["chelsea"]).save(tmp_path / "photos" / "inside" / "cat.png")
    return tmp_path / "photos"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[dict[str, Any], str]:
    code = main(["segment", *map(str, words), "--json", "--threads", "1"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out), err


def test_masks_come_in_the_order_of_the_prompts(
    predictor: Predictor, photographs: dict[str, np.ndarray]
) -> None:
    prompts = [box_prompt(170, 14, 412, 240), point_prompt((115, 260)), box_prompt(0, 0, 80, 60)]
    masks = segment(predictor, photographs["coffee"], [NamedPrompt(prompt=p) for p in prompts])
    assert [mask.prompt for mask in masks] == prompts
    embedding = predictor.embed(photographs["coffee"])
    single = predictor.predict(embedding, [prompts[0], prompts[2]], multimask_output=False)
    three = predictor.predict(embedding, [prompts[1]])
    for mask, pixels in zip(
        [masks[0], masks[2], masks[1]], [*single.best_masks(), *three.best_masks()], strict=True
    ):
        assert mask.rle.size == (400, 600)
        assert (rle.decode(mask.rle) != pixels).mean() < 1e-3
        assert 0 <= mask.stability_score <= 1


def test_all_candidates_are_three_per_prompt_best_first(
    predictor: Predictor, photographs: dict[str, np.ndarray]
) -> None:
    prompts = [
        NamedPrompt(prompt=point_prompt((115, 260))),
        NamedPrompt(prompt=box_prompt(1, 2, 90, 80)),
    ]
    masks = segment(predictor, photographs["coffee"], prompts, all_candidates=True)
    assert len(masks) == 6
    for three in (masks[:3], masks[3:]):
        scores = [mask.predicted_iou for mask in three]
        assert scores == sorted(scores, reverse=True)


def test_points_and_box_of_the_command_line_are_one_prompt(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    result, _ = run(
        capsys, folder / "0012.jpg", "--point", "115,260", "--point", "364,275,0",
        "--box", "100,100,500,390", "-o", tmp_path / "out",
    )  # fmt: skip
    (image,) = result["images"]
    (annotation,) = image["annotations"]
    assert annotation["prompt"] == {
        "points": [[115, 260, 1], [364, 275, 0]],
        "box": [100, 100, 500, 390],
    }
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "0012.json", "0012_mask_1.png", "0012_overlay.png",
    ]  # fmt: skip


def test_files_agree_with_each_other_and_feed_back_as_prompts(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(capsys, folder / "inside" / "cat.png", "--box", "80,10,350,270", "-o", out)
    record = json.loads((out / "cat.json").read_text("utf-8"))
    assert record["image"] == {
        "image_id": "cat", "file_name": "cat.png", "width": 451, "height": 300,
    }  # fmt: skip
    (annotation,) = record["annotations"]
    mask = rle.decode(rle.Rle.from_json(annotation["segmentation"]))
    written = read_image(out / "cat_mask_1.png")[..., 0]
    assert written.shape == (300, 451)
    assert set(np.unique(written)) <= {0, 255}
    assert ((written == 255) == mask).all()
    assert annotation["area"] == mask.sum()
    assert read_image(out / "cat_overlay.png").shape == (300, 451, 3)
    (again,) = parse_prompts(json.dumps([annotation["prompt"]]))
    assert again.prompt.box is not None
    assert again.prompt.box.tolist() == [80, 10, 350, 270]


def test_a_file_of_prompts_serves_a_folder(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.json"
    detections = [
        {"image_id": 12, "bbox": [170, 14, 242, 226], "category_id": 5, "score": 0.75},
        {"image_id": "cat", "bbox": [80, 10, 270, 260]},
    ]
    prompts.write_text(json.dumps(detections))
    result, _ = run(capsys, folder, "--prompts", prompts, "-o", tmp_path / "out")
    first, second = result["images"]
    assert first["image"]["file_name"] == "0012.jpg"
    assert first["annotations"][0]["score"] == 0.75
    assert first["annotations"][0]["category_id"] == 5
    assert first["annotations"][0]["prompt"] == {"box": [170, 14, 412, 240]}
    assert second["files"]["json"] == str(tmp_path / "out" / "inside" / "cat.json")
    assert (tmp_path / "out" / "inside" / "cat_mask_1.png").exists()


def test_a_bad_file_is_named_and_the_rest_is_done(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    (folder / "broken.jpg").write_text("no image")
    result, err = run(capsys, folder, "--box", "5,5,60,70", "-o", tmp_path / "out")
    assert len(result["images"]) == 2
    (refused,) = result["refused"]
    assert refused["image"].endswith("broken.jpg")
    assert "broken.jpg" in err
    assert err.count("\n") == 1


def test_a_folder_without_a_usable_file_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text("no image")
    assert main(["segment", str(tmp_path), "--box", "1,1,5,5", "-o", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("maskmill: none of 2 photographs")


def test_photographs_that_share_a_name_keep_their_endings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("a.png", "a.bmp", "b.png"):
        Image.new("RGB", (40, 30), (90, 10, 10)).save(tmp_path / name)
    run(capsys, tmp_path, "--box", "1,1,20,20", "-o", tmp_path / "out")
    written = {path.name for path in (tmp_path / "out").glob("*.json")}
    assert written == {"a.png.json", "a.bmp.json", "b.json"}


class StandardInput:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def test_a_photograph_comes_through_standard_input(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", StandardInput((folder / "0012.jpg").read_bytes()))
    result, _ = run(capsys, "-", "--point", "115,260", "-o", tmp_path / "out")
    assert result["images"][0]["image"]["width"] == 600
    assert (tmp_path / "out" / "image_mask_1.png").exists()


def test_one_mask_of_one_photograph_is_said_in_the_singular(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    words = ["segment", str(folder / "0012.jpg"), "--box", "5,5,60,70", "-o", str(tmp_path / "out")]
    assert main(words) == 0
    assert capsys.readouterr().out == f"1 mask of 1 photograph in {tmp_path / 'out'}\n"


def test_prompts_come_through_standard_input(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", StandardInput(b'[{"box": [5, 5, 60, 70]}]'))
    result, _ = run(capsys, folder, "--prompts", "-", "-o", tmp_path / "out")
    assert len(result["images"]) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--point", "700,20"], "outside"),
        (["--point=-3,20"], "outside"),
        (["--box", "700,500,800,600"], "outside"),
        (["--prompts", "-", "--point", "1,1"], "standard input"),
    ],
)
def test_prompts_that_cannot_be_answered_are_refused(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    says: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", StandardInput(b"[]"))
    image = "-" if "-" in words else str(folder / "0012.jpg")
    assert main(["segment", image, *words, "-o", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_a_prompt_outside_is_named_by_its_place_in_the_file(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    """Points and boxes are decoded in two groups; neither's own places may reach the message."""
    prompts = tmp_path / "prompts.json"
    entries = [
        {"image": "cat.png", "box": [5, 5, 60, 70]},
        {"image": "0012", "points": [[5, 5]]},
        {"image": "0012", "box": [5, 5, 60, 70]},
        {"image": "0012", "points": [[9, 9]]},
        {"image": "0012", "box": [900, 5, 960, 70]},
    ]
    prompts.write_text(json.dumps(entries))
    words = ["segment", str(folder / "0012.jpg"), "--prompts", str(prompts)]
    assert main([*words, "-o", str(tmp_path / "out")]) == 1
    assert f"{prompts}: prompt 4: box [900" in capsys.readouterr().err
    assert main([*words, "--point", "1,900", "-o", str(tmp_path / "out")]) == 1
    assert "maskmill: --point: point (1, 900) lies outside" in capsys.readouterr().err

    result, err = run(capsys, folder, "--prompts", prompts, "-o", tmp_path / "out")
    assert [image["image"]["file_name"] for image in result["images"]] == ["cat.png"]
    assert f"{folder / '0012.jpg'}: {prompts}: prompt 4: box" in err
    assert f"{folder / '0012.jpg'}: {prompts}: prompt 4: box" in result["refused"][0]["reason"]


def test_a_prompt_made_in_python_is_named_by_its_place(
    predictor: Predictor, photographs: dict[str, np.ndarray]
) -> None:
    prompts = [point_prompt((5, 5)), box_prompt(1, 2, 90, 80), point_prompt((5, 900))]
    with pytest.raises(PromptError, match=r"^prompt 2: point"):
        segment(predictor, photographs["coffee"], [NamedPrompt(prompt=p) for p in prompts])


def test_a_prompt_for_another_photograph_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.json"
    prompts.write_text('[{"image": "dog.jpg", "box": [5, 5, 60, 70]}]')
    words = ["segment", str(folder), "--prompts", str(prompts), "-o", str(tmp_path / "out")]
    assert main(words) == 1
    assert "no prompt is for" in capsys.readouterr().err


def test_a_mask_prompt_alone_draws_nothing_and_is_kept(
    predictor: Predictor, photographs: dict[str, np.ndarray]
) -> None:
    image = photographs["coffee"]
    first = predictor.predict(predictor.embed(image), [point_prompt((115, 260))])
    prompt = Prompt(mask_input=first.low_res_mask_logits[0, 0])
    (mask,) = segment(predictor, image, [NamedPrompt(prompt=prompt)])
    assert mask.prompt is prompt


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["segment", *map(str, words), "--threads", "1"]) == 1
    return capsys.readouterr().err


def test_labels_and_pictures_of_others_are_not_written_over(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    label, picture = folder / "0012.json", folder / "inside" / "cat_mask_1.png"
    label.write_text('{"image": {}, "annotations": [{"segmentation": {}}]}')
    Image.new("RGB", (9, 8)).save(picture)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    for path in (label, picture):
        said = refusal(capsys, folder, "--point", "20,20", "-o", folder)
        assert f"{path} is there, and no earlier run of segment wrote it" in said
        assert {p: p.read_bytes() for p in folder.rglob("*.*")} == before
        path.unlink()
        del before[path]
    first, _ = run(capsys, folder, "--point", "20,20", "--all-candidates", "-o", folder)
    assert len(list(folder.glob("0012_mask_*.png"))) == 3
    again, _ = run(capsys, folder, "--point", "20,20", "-o", folder)
    assert [p.name for p in folder.glob("0012_mask_*.png")] == ["0012_mask_1.png"]
    assert len(first["images"]) == len(again["images"]) == 2
    other = folder / "0012_mask_3.png"  # behind a gap: in the way only now
    Image.new("RGB", (9, 8)).save(other)
    kept = other.read_bytes()
    later, said = run(capsys, folder, "--point", "20,20", "--all-candidates", "-o", folder)
    assert f"{other} is there" in said
    assert other.read_bytes() == kept
    assert [image["image"]["file_name"] for image in later["images"]] == ["cat.png"]


def test_prompts_for_photographs_that_are_not_there_are_named(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    asked = [{"image": name, "points": [[20, 20]]} for name in ("cat.png", "dog.png", 12, 13)]
    (tmp_path / "p.json").write_text(json.dumps(asked))
    result, said = run(capsys, folder, "--prompts", tmp_path / "p.json", "-o", tmp_path / "out")
    assert [image["image"]["file_name"] for image in result["images"]] == ["0012.jpg", "cat.png"]
    assert [each["image"] for each in result["refused"]] == ["dog.png", "13"]
    assert f"prompts for 2 photographs not in {folder}: dog.png, 13" in said


def test_a_name_that_is_no_text_stops_nothing(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    try:
        (folder / "0012.jpg").rename(os.fsdecode(os.fsencode(folder) + b"/n\xff.jpg"))
    except OSError:
        return  # this system has no such names
    result, _ = run(capsys, folder, "--point", "20,20", "-o", tmp_path / "out")
    assert len(result["images"]) == 2


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_numbers_that_are_none_are_named(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, number: str
) -> None:
    said = refusal(capsys, folder, "--point", f"{number},5", "-o", tmp_path / "out")
    assert f"--point {number},5: give x,y or x,y,0, finite numbers" in said
