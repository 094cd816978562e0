"""A deployed model over HTTP: an image in, masks, verdict and timing out.

Standard library only, so that a deployment needs no framework. `POST /predict` with an image's
bytes answers `Deployment.answer`; `GET /` the card. It has no accounts and no TLS: it listens on
this machine unless told otherwise, and a proxy belongs in front of it anywhere else.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Semaphore
from typing import Any

from maskmill.deploy import Deployment
from maskmill.errors import MaskmillError

MOST_BYTES = 100_000_000
"""Of one image's file."""
AT_ONCE = 2
"""Images worked on at the same time; others wait."""
SECONDS = 60
"""How long a sender may be silent."""


def make_server(deployment: Deployment, host: str, port: int) -> ThreadingHTTPServer:
    """Open the port; `serve_forever` of what is returned answers.

    Args:
        deployment: What to ask.
        host: Address to listen on.
        port: 0 takes a free one; `server_port` says which.

    Raises:
        OSError: If the port is taken.
    """
    room = Semaphore(AT_ONCE)

    class Handler(_Handler):
        """The same, with this deployment."""

        def ask(self, image: bytes) -> dict[str, Any]:
            with room:
                return deployment.answer(image)

        def card(self) -> dict[str, Any]:
            return deployment.card

    return ThreadingHTTPServer((host, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = SECONDS
    protocol_version = "HTTP/1.1"

    def ask(self, image: bytes) -> dict[str, Any]:
        raise NotImplementedError

    def card(self) -> dict[str, Any]:
        raise NotImplementedError

    def do_GET(self) -> None:
        if self.path == "/":
            self._send(200, self.card())
        else:
            self._send(404, {"error": f"there is no {self.path}; POST an image to /predict"})

    def do_POST(self) -> None:
        if self.path != "/predict":
            self.close_connection = True
            self._send(404, {"error": f"there is no {self.path}; POST an image to /predict"})
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or not 0 < int(length) <= MOST_BYTES:
            self.close_connection = True  # what follows is not read
            reason = f"Content-Length is {length!r}; send an image of 1 to {MOST_BYTES:,} bytes"
            self._send(413 if length.isdecimal() else 411, {"error": reason})
            return
        try:
            self._send(200, self.ask(self.rfile.read(int(length))))
        except MaskmillError as error:
            self._send(422, {"error": str(error)})
        except Exception as error:  # a mistake of ours: answered, and the next image is asked
            self._send(500, {"error": f"unexpected {type(error).__name__}: {error}"})

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: who wants a log has a proxy."""
