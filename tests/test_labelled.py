"""Records shared by all forms: sampling, path and size checks, reading pixels."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill.errors import DatasetError, ImageError
from maskmill.formats import Dataset, LabelledImage, even_sample, read_pixels
from maskmill.formats.labelled import checked_size, find_json, load_json, path_inside


def labelled(name: str, source: str = "a") -> LabelledImage:
    return LabelledImage(
        image_id=name, path=Path(f"{source}/{name}.jpg"), size=(3, 5), source=source
    )


def test_a_sample_is_even_over_sources_and_keeps_the_order() -> None:
    images = [
        labelled(f"{i}", source) for source, n in (("a", 50), ("b", 2), ("c", 9)) for i in range(n)
    ]
    sample = even_sample(images, 12)
    assert {s: sum(i.source == s for i in sample) for s in "abc"} == {"a": 5, "b": 2, "c": 5}
    assert [i.image_id for i in sample if i.source == "a"] == ["5", "15", "25", "35", "45"]
    assert sample == sorted(sample, key=images.index)
    assert even_sample(images, 12) == sample


@pytest.mark.parametrize("limit", [None, 4, 900])
def test_a_sample_of_all_is_all(limit: int | None) -> None:
    images = [labelled(f"{i}") for i in range(4)]
    assert even_sample(images, limit) == images


def test_a_sample_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="limit is 0"):
        even_sample([labelled("0"), labelled("1")], 0)


def test_a_dataset_is_a_sequence_of_images() -> None:
    dataset = Dataset((labelled("0"), labelled("1")))
    assert len(dataset) == 2
    assert [image.image_id for image in dataset] == ["0", "1"]
    assert dataset[1].image_id == "1"


@pytest.mark.parametrize(
    "name",
    ["../a.jpg", "a/../../b.jpg", "/etc/passwd", "C:\\a.jpg", "C:a.jpg", "\\\\host\\a.jpg",
     "..\\a.jpg", "", None, 7, ["a.jpg"], "a\0.jpg"],
)  # fmt: skip
def test_a_name_may_not_leave_the_folder(name: object) -> None:
    with pytest.raises(DatasetError, match="file name"):
        path_inside(Path("photos"), name)


def test_an_ordinary_name_stays_in_the_folder() -> None:
    assert path_inside(Path("photos"), "val/..b.jpg") == Path("photos/val/..b.jpg")


@pytest.mark.parametrize(
    "side", [0, -3, 1e308, float("nan"), float("inf"), True, "5", None, 10**40, [4], 5.0]
)
def test_a_side_must_be_a_sane_whole_number(side: object) -> None:
    with pytest.raises(DatasetError, match="height is"):
        checked_size(side, 5)
    with pytest.raises(DatasetError, match="width is"):
        checked_size(5, side)


def test_too_many_pixels_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(DatasetError, match="pixels are more"):
        checked_size(60_000, 60_000)
    assert checked_size(3, 5) == (3, 5)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_what_is_not_json_is_refused_with_its_name(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text)
    with pytest.raises(DatasetError, match=r"x\.json is not JSON"):
        load_json(path)


def test_json_files_are_found_through_links_but_a_loop_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    for path in (tmp_path / "a" / "1.json", root / "2.json", root / ".hidden.json"):
        path.write_text("{}")
    (root / "linked").symlink_to(tmp_path / "a")
    (root / "loop").symlink_to(root)
    assert find_json(root) == [root / "2.json", root / "linked" / "1.json"]
    with pytest.raises(DatasetError, match="not a folder"):
        find_json(tmp_path / "nowhere")


def test_pixels_must_have_the_size_the_labels_were_drawn_for(tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    Image.fromarray(np.arange(45, dtype=np.uint8).reshape(3, 5, 3)).save(path)
    image = LabelledImage(image_id="0", path=path, size=(3, 5), source="s")
    assert read_pixels(image)[1, 2].tolist() == [21, 22, 23]
    wrong = LabelledImage(image_id="0", path=path, size=(5, 3), source="s")
    with pytest.raises(DatasetError, match="is 5x3 pixels, its labels were drawn for 3x5"):
        read_pixels(wrong)
    path.write_text(json.dumps({}))
    with pytest.raises(ImageError):
        read_pixels(image)
