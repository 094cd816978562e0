"""What every request passes before any route sees it, and what every answer carries.

Three doors for three attacks: the Host must be a name of ours (a page on another name that was
made to point here is refused), whatever changes something must come from our own page (Origin), and
nothing may be read or framed from elsewhere (no CORS, strict policies). `null` is nobody's origin.
"""

import json
import logging
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = ("GET", "HEAD")
METHODS = (*SAFE_METHODS, "POST", "PUT", "PATCH", "DELETE")
PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # the decoder is WebAssembly
        "worker-src 'self' blob:",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",  # Svelte sets single properties so
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "connect-src 'self' blob: data:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
MEDIA_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For whatever is no page: opened by itself it can do nothing."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",  # with the one above: threads in WebAssembly
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
log = logging.getLogger("maskmill.server")


class Guard:
    """Refuses what comes under a strange name or from a strange page; adds the policies.

    Args:
        app: What is behind.
        names: Names under which the server is reached, in lower case, without port.
        https: Whether browsers reach it over HTTPS, through a proxy.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str], https: bool) -> None:
        self._app = app
        self._names = frozenset(names)
        self._schemes = ("https",) if https else ("http",)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"no route speaks {scope['type']}")
        begun = False

        async def with_policies(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _add_policies(MutableHeaders(scope=message), status=message["status"])
            await send(message)

        reason = self._reason_against(scope)
        if reason is not None:
            await _say(with_policies, *reason)
            return
        try:
            await self._app(scope, receive, with_policies)
        except Exception:
            log.exception("a mistake of ours at %s %s", scope["method"], scope["path"])
            if begun:
                raise
            await _say(with_policies, 500, "a mistake of ours; the server's log tells more")

    def _reason_against(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or name_of(hosts[0]) not in self._names:
            return 421, "this server is not reached under that name; see --url of `maskmill up`"
        if scope["method"] in SAFE_METHODS:
            return None
        if scope["method"] not in METHODS:
            return 405, f"{scope['method'][:20]} is not a method of this server"
        origin = headers.get("origin")
        ours = [f"{scheme}://{hosts[0].lower()}" for scheme in self._schemes]
        same_site = headers.get("sec-fetch-site") == "same-origin"
        if origin in ours or (origin is None and same_site):
            return None
        return 403, "this must come from the server's own pages; set Origin to its address"


def name_of(host: str) -> str:
    """Return the name in a Host header, in lower case, without the port.

    Example:
        >>> name_of("LocalHost:8000"), name_of("[::1]:80"), name_of("[::1]")
        ('localhost', '[::1]', '[::1]')
    """
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _add_policies(headers: MutableHeaders, *, status: int) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if status == 304:
        return  # says nothing of its kind: the browser keeps the policies that it has of the file
    # A worker is held to the policy that its own script came with.
    is_page = headers.get("content-type", "").startswith(("text/html", "text/javascript"))
    headers.setdefault("content-security-policy", PAGE_POLICY if is_page else MEDIA_POLICY)
    headers.setdefault("cache-control", "no-store")


async def _say(send: Send, status: int, error: str) -> None:
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
