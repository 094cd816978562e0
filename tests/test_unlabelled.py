"""A folder of photographs without labels."""

from pathlib import Path

import pytest
from form_scene import SIZE, image

from maskmill.errors import DatasetError, NotFound
from maskmill.formats.unlabelled import read_folder, stream_folder


def test_photographs_are_read_in_order_and_others_refused(tmp_path: Path) -> None:
    for name in ("b/x.png", "a/x.jpg", "a/.hidden.jpg"):
        image(tmp_path, name, [])
    (tmp_path / "c.jpg").write_bytes(b"none")
    dataset = read_folder(tmp_path)
    assert [(one.image_id, one.size, one.annotations) for one in dataset] == [
        ("a/x.jpg", SIZE, ()), ("b/x.png", SIZE, ()),
    ]  # fmt: skip
    assert [refused.path.name for refused in dataset.refused] == ["c.jpg"]
    assert len(list(stream_folder(tmp_path / "gone", tmp_path / "a"))) == 1


def test_no_folder_and_no_photograph_are_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_folder(tmp_path / "gone")
    with pytest.raises(DatasetError, match="holds no photograph"):
        read_folder(tmp_path)
