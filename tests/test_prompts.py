import json
from pathlib import Path
from typing import Any

import pytest

from maskmill.errors import PromptError
from maskmill.formats.prompts import NamedPrompt, parse_prompts


def parse(data: Any) -> list[NamedPrompt]:
    return parse_prompts(json.dumps(data), where="p.json")


def test_own_form_holds_points_with_and_without_labels_and_boxes() -> None:
    first, second = parse(
        [
            {"image": "a.jpg", "points": [[3, 4], [5, 6, 0]], "score": 0.5},
            {"box": [1, 2, 30, 40], "points": [[7, 8]]},
        ]
    )
    assert first.image == "a.jpg"
    assert first.prompt.point_coords is not None
    assert first.prompt.point_coords.tolist() == [[3, 4], [5, 6]]
    assert first.prompt.point_labels is not None
    assert first.prompt.point_labels.tolist() == [1, 0]
    assert first.prompt.box is None
    assert first.notes == {"score": 0.5}
    assert second.image is None
    assert second.prompt.box is not None
    assert second.prompt.box.tolist() == [1, 2, 30, 40]


def test_own_form_may_stand_under_prompts() -> None:
    assert len(parse({"prompts": [{"box": [0, 0, 1, 2]}]})) == 1


def test_coco_results_are_xywh_and_carry_score_and_category() -> None:
    (one,) = parse([{"image_id": 139, "bbox": [10, 20, 30, 5], "category_id": 3, "score": 0.9}])
    assert one.prompt.box is not None
    assert one.prompt.box.tolist() == [10, 20, 40, 25]
    assert one.notes == {"score": 0.9, "category_id": 3}
    assert one.is_for(Path("x/000000000139.jpg"))
    assert not one.is_for(Path("x/1139.jpg"))


def test_coco_annotations_name_their_images_and_categories() -> None:
    (one,) = parse(
        {
            "images": [{"id": 7, "file_name": "val/b.png"}],
            "categories": [{"id": 2, "name": "cat"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]}],
        }
    )
    assert one.image == "val/b.png"
    assert one.notes["category_name"] == "cat"
    assert one.is_for(Path("photos/val/b.png"))
    assert not one.is_for(Path("photos/train/b.png"))


@pytest.mark.parametrize(
    ("image", "path", "wanted"),
    [
        (None, "any.jpg", True),
        ("a.jpg", "folder/a.jpg", True),
        ("a", "folder/a.jpg", True),
        ("a", "folder/ba.jpg", False),
        ("x/a.jpg", "folder/a.jpg", False),
        (12, "0012.png", True),
        (12, "twelve.png", False),
        (12, "²12.png", False),
    ],
)
def test_prompts_find_their_image(image: str | int | None, path: str, wanted: bool) -> None:
    (named,) = parse([{"box": [0, 0, 1, 1]} | ({} if image is None else {"image": image})])
    assert named.is_for(Path(path)) is wanted


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "holds no prompts"),
        ({"boxes": []}, "holds no prompts"),
        (3, "holds no prompts"),
        ([3], "prompt 0 is not an object"),
        ([{"image": "a.jpg"}], "prompt 0: a prompt is empty"),
        ([{"box": [1, 2, 3, 4]}, {"box": [1, 2, 3]}], r"prompt 1: box is \[1, 2, 3\]"),
        ([{"box": [5, 5, 2, 9]}], "prompt 0: box .* is empty"),
        ([{"bbox": [5, 5, 0, 9]}], "prompt 0: box .* is empty"),
        ([{"bbox": ["1", 2, 3, 4]}], "prompt 0: bbox is"),
        ([{"box": [1, 2, 3, True]}], "prompt 0: box is"),
        ([{"box": [1, 2, 3, 1e300]}], "prompt 0: box is"),
        ([{"points": [1, 2]}], "prompt 0: points is"),
        ([{"points": [[1, 2, 2]]}], r"prompt 0: labels are \[2\]"),
        ([{"points": [[1, 2, 3, 4]]}], "prompt 0: points is"),
        ([{"points": 0, "box": [1, 2, 3, 4]}], "prompt 0: points is 0"),
        ([{"points": "", "box": [1, 2, 3, 4]}], "prompt 0: points is"),
        ([{"points": False, "box": [1, 2, 3, 4]}], "prompt 0: points is False"),
        ([{"box": [1, 2, 3, 4], "bbox": [1, 2, 3, 4]}], "prompt 0 has both box and bbox"),
        ([{"box": [1, 2, 3, 4], "image": "a", "image_id": 1}], "has both image and image_id"),
        ([{"box": [1, 2, 3, 4]}, {"point": [[1, 2]]}], "prompt 1 .*'point'; did you mean points"),
        ([{"box": [1, 2, 3, 4], "imagee": "a.jpg"}], "unknown key 'imagee'; did you mean image"),
        ([{"box": [1, 2, 3, 4], "colour": 3}], "'colour'; allowed: image, points, box"),
        ([{"image_id": 1, "bboxx": [1, 2, 3, 4]}], "'bboxx'; did you mean bbox"),
        ([{"bbox": [1, 2, 3, 4], "imageid": 1}], "'imageid'; did you mean image_id"),
        (
            {"annotations": [{"bbox": [1, 2, 3, 4], "categry_id": 1}]},
            "'categry_id'; did you mean category_id",
        ),
        ({"annotations": [{"bbox": [1, 2, 3, 4]}], "categoris": []}, "did you mean categories"),
        ([{"image": [1], "box": [1, 2, 3, 4]}], "prompt 0: image is"),
        ({"images": [{"id": 1}], "annotations": [{"bbox": [1, 2, 3, 4]}]}, "every entry of images"),
        (
            {
                "images": [{"id": 1, "file_name": "a"}],
                "annotations": [{"image_id": 2, "bbox": [1, 2, 3, 4]}],
            },
            "image_id 2 is not among",
        ),
    ],
)
def test_malformed_prompts_are_refused_with_their_place(data: Any, says: str) -> None:
    with pytest.raises(PromptError, match=says) as error:
        parse(data)
    assert str(error.value).startswith("p.json")


def test_what_else_a_coco_file_says_is_passed_over() -> None:
    entry = {"id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0, "keypoints": [1, 2, 2], "track": 7}
    assert len(parse({"info": {}, "licenses": [], "annotations": [entry]})) == 1
    assert len(parse([entry])) == 1


def test_no_points_may_be_written_as_null_or_as_an_empty_list() -> None:
    for points in (None, []):
        (one,) = parse([{"points": points, "box": [1, 2, 3, 4], "bbox": None}])
        assert one.prompt.point_coords is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", "[" * 100_000, '[{"box": [NaN, 0, 1, 1]}]']
)
def test_text_that_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(PromptError):
        parse_prompts(text)
