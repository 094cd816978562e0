"""Records shared by all forms: sampling, path and size checks, reading pixels."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill.errors import DatasetError, ImageError
from maskmill.formats import Dataset, LabelledImage, even_sample, read_pixels


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
