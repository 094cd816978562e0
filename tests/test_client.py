"""The client reads masks without NumPy as the library reads them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
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


@pytest.fixture
def proxy() -> Iterator[str]:
    """An address that answers with a page of HTML, as a proxy does when its server is gone."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(502)
            self.end_headers()
            self.wfile.write(b"<html>Bad Gateway</html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_page_of_a_proxy_is_a_line_too(
    proxy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(RuntimeError, match="502"):
        ask(proxy, b"image")
    names = [tmp_path / "1.jpg", tmp_path / "2.jpg"]
    for name in names:
        name.write_bytes(b"image")
    monkeypatch.setattr("sys.argv", ["client.py", proxy, *map(str, names)])
    assert main() == 1
    assert capsys.readouterr().err.count("502") == 2


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
