"""Heads as files: whole or not at all, and only if both runtimes agree."""

from pathlib import Path

import pytest

from maskmill.engine.head_files import has_head, head_folder, read_head_card, write_head
from maskmill.errors import CheckpointError, NotFound


def test_a_head_that_both_runtimes_agree_on_replaces_the_old_one(tmp_path: Path) -> None:
    out = head_folder(tmp_path, "regions", "tiny-1")
    (out.with_name("tiny-1.part") / "left").mkdir(parents=True)
    write_head("regions", b"old", {"side": 1}, out, lambda _: 0.0)
    write_head("regions", b"new", {"side": 2}, out, lambda _: 1e-5)
    assert (out / "regions.onnx").read_bytes() == b"new"
    assert read_head_card(out, "regions", {"side"}) == {"side": 2}
    assert has_head(out, "regions")
    assert not has_head(out, "detector")
    assert [path.name for path in out.parent.iterdir()] == ["tiny-1"]


@pytest.mark.parametrize("apart", [0.1, float("nan")])
def test_a_head_that_they_do_not_agree_on_is_not_kept(tmp_path: Path, apart: float) -> None:
    write_head("detector", b"old", {}, tmp_path / "out", lambda _: 0.0)
    with pytest.raises(CheckpointError, match="differ by"):
        write_head("detector", b"new", {}, tmp_path / "out", lambda _: apart)
    assert (tmp_path / "out" / "detector.onnx").read_bytes() == b"old"


def test_what_is_missing_or_damaged_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no region head; a round trains one"):
        read_head_card(tmp_path, "regions", set())
    for text, said in (("{", "damaged"), ("[]", "card"), ('{"model": "x"}', "card")):
        (tmp_path / "detector.json").write_text(text, "utf-8")
        with pytest.raises(CheckpointError, match=said):
            read_head_card(tmp_path, "detector", {"model", "stride"})
