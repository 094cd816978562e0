"""The client reads masks without NumPy as the library reads them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from maskmill import rle
from maskmill.client import ask, main, mask_pixels


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 40))))
def test_masks_are_read_as_they_were(mask: np.ndarray):
    encoded = rle.encode(mask)
    segmentation = {"size": list(encoded.size), "counts": encoded.counts.decode()}
    assert mask_pixels(segmentation) == mask.astype(int).tolist()


def test_a_server_that_is_not_there_is_an_error():
    with pytest.raises(RuntimeError, match="refused"):
        ask("http://127.0.0.1:9", b"image", timeout=5)
    with pytest.raises(RuntimeError, match="does not answer"):
        ask("no address", b"image", timeout=5)


def test_what_cannot_be_answered_is_a_line_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "good.jpg").write_bytes(b"good")
    answer = {"masks": [], "passed": True, "seconds": 0.5}

    def asked(url: str, image: bytes) -> dict[str, object]:
        assert image == b"good"
        return answer

    monkeypatch.setattr("maskmill.client.ask", asked)
    names = [str(tmp_path / name) for name in ("gone.jpg", "good.jpg")]
    monkeypatch.setattr("sys.argv", ["client.py", "http://127.0.0.1:9", *names])
    assert main() == 1
    told = capsys.readouterr()
    assert "good.jpg: 0 regions, passed" in told.out
    assert "gone.jpg" in told.err
    monkeypatch.setattr("sys.argv", ["client.py"])
    with pytest.raises(SystemExit, match="usage"):
        main()
