"""Several images at once, and a connection that is kept; the rest is in test_deploy.py."""

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor

from maskmill.client import ask
from maskmill.deploy import DeployedClassifier
from maskmill.errors import ImageError
from maskmill.serving import make_server


class Slow(DeployedClassifier):
    """Stands in for a model where only the server is asked."""

    def __init__(self) -> None:
        object.__setattr__(self, "card", {"kind": "slow"})
        object.__setattr__(self, "seen", [])

    def answer(self, image: bytes) -> dict[str, object]:
        self.seen.append(image)  # type: ignore[attr-defined]
        if image == b"bad":
            raise ImageError("it is bad; send another")
        if image == b"bug":
            raise ZeroDivisionError("ours")
        return {"masks": [], "image": image.decode()}


def test_many_at_once_get_their_own_answers_and_one_connection_serves_many():
    with make_server(Slow(), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            with ThreadPoolExecutor(6) as pool:
                names = [str(i) for i in range(30)]
                answers = list(pool.map(lambda n: ask(url, n.encode())["image"], names))
            assert answers == names
            kept = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            for body, status in ((b"bad", 422), (b"bug", 500), (b"good", 200)):
                kept.request("POST", "/predict", body)
                response = kept.getresponse()
                assert (response.status, bool(response.read())) == (status, True)
            kept.close()
        finally:
            server.shutdown()
            thread.join()
