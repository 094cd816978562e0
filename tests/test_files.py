"""Finding and opening a dataset's files: names that climb, JSON that is none, links in a loop."""

from pathlib import Path

import pytest

from maskmill.errors import DatasetError
from maskmill.formats.files import find_json, load_json, path_inside


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
