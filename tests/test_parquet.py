"""Parquet out and in again, bit for bit, photographs inside or beside."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from form_scene import AWKWARD, awkward, by_id, image, labelled, rich_images
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as peer

from maskmill.errors import DatasetError
from maskmill.formats import parquet
from maskmill.formats.parquet import read_parquet, write_parquet


@pytest.mark.parametrize("copy", [True, False])
def test_everything_that_is_said_comes_back(copy: bool, tmp_path: Path) -> None:
    images = rich_images(tmp_path / "photos")
    out = tmp_path / "out" / "set.parquet"
    written = write_parquet(out, images, copy_images=copy, image_folder=tmp_path / "photos")
    assert (written.images, written.masks) == (3, 3)
    dataset = (
        read_parquet(out, unpack_into=tmp_path / "unpacked")
        if copy
        else read_parquet(out.parent, tmp_path / "photos")
    )
    assert not dataset.refused
    back = by_id(dataset)
    for ours in images:
        theirs = back[ours.image_id]
        assert theirs.path.read_bytes() == ours.path.read_bytes()
        assert theirs == replace(ours, path=theirs.path)


@settings(max_examples=25)
@given(masks=st.lists(AWKWARD, max_size=4))
def test_masks_come_back_bit_for_bit(
    masks: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    ours = image(folder, "a.png", map(labelled, masks))
    write_parquet(folder / "a.parquet", [ours])
    (theirs,) = read_parquet(folder / "a.parquet")
    assert [mask.rle for mask in theirs.annotations] == [mask.rle for mask in ours.annotations]


def test_rows_come_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS", 2)
    images = [image(tmp_path, f"{i}.png", [labelled(awkward("pixel"))]) for i in range(5)]
    write_parquet(tmp_path / "a.parquet", images)
    assert peer.ParquetFile(tmp_path / "a.parquet").num_row_groups >= 3
    assert len(read_parquet(tmp_path / "a.parquet")) == 5


def changed(path: Path, **changes: Any) -> None:
    rows = [row | changes for row in peer.read_table(path).to_pylist()]
    peer.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize(
    "changes",
    [
        {"form": "other"}, {"height": 0}, {"height": "x"}, {"image": {"path": "../a.png"}},
        {"image": {"path": "gone.png"}}, {"image": None}, {"metadata": "{"}, {"metadata": "[]"},
        {"height": 12}, {"annotations": [{"counts": 5, "attributes": 7}], "metadata": 5},
    ],
)  # fmt: skip
def test_a_bad_row_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path, [image(tmp_path, "a.png", [labelled(awkward("pixel"))])])
    changed(path, **changes)
    dataset = read_parquet(path)
    assert not dataset.images
    assert dataset.refused


@pytest.mark.parametrize(
    "change",
    [{"counts": b"9"}, {"annotation_id": "[1]"}, {"counts": None}, {"attributes": "{"},
     {"predicted_iou": float("nan")}],
)  # fmt: skip
def test_a_bad_mask_is_refused_and_the_others_are_read(
    change: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    masks = [labelled(awkward(kind), annotation_id=1) for kind in ("pixel", "full")]
    write_parquet(path, [image(tmp_path, "a.png", masks)])
    (row,) = peer.read_table(path).to_pylist()
    first, second = row["annotations"]
    changed(path, annotations=[first | change, second])
    dataset = read_parquet(path)
    assert [mask.rle for mask in dataset[0].annotations] == [masks[1].rle]
    assert "annotation 0" in dataset.refused[0].reason


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    peer.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(DatasetError, match="another layout"):
        read_parquet(path)
    path.write_bytes(b"PAR1 none")
    with pytest.raises(DatasetError, match="no sound Parquet"):
        read_parquet(path)
    with pytest.raises(DatasetError, match=r"holds no \.parquet"):
        read_parquet(tmp_path / "gone")


def test_photographs_inside_need_a_place_and_a_name_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    images = [image(tmp_path, f"{i}.png", []) for i in range(2)]
    write_parquet(path, images, copy_images=True)
    assert "name a folder" in read_parquet(path).refused[0].reason
    changed(path, image={"bytes": images[0].path.read_bytes(), "path": "x.png"})
    dataset = read_parquet(path, unpack_into=tmp_path / "u")
    assert (len(dataset), len(dataset.refused)) == (1, 1)


def test_without_pyarrow_the_next_step_is_said(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\nfrom maskmill.formats.parquet import write_parquet\n"
        "write_parquet(Path('x.parquet'), [])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'maskmill[parquet]'" in done.stderr
