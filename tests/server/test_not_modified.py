"""A page that is loaded again is answered with 304; its policy must stay that of a page."""

from maskmill.server.security import PAGE_POLICY, Guard


async def _answer(status: int, headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})  # type: ignore[operator]

    said: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    guard = Guard(app, names=("localhost",), https=False)  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    await guard(scope, None, send)  # type: ignore[arg-type]
    return {k.decode(): v.decode() for k, v in said[0]["headers"]}  # type: ignore[attr-defined]


def test_a_page_that_has_not_changed_keeps_its_policy() -> None:
    import asyncio

    page = asyncio.run(_answer(200, [(b"content-type", b"text/html")]))
    assert page["content-security-policy"] == PAGE_POLICY
    assert "content-security-policy" not in asyncio.run(_answer(304, []))
