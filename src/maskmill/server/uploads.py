"""The route of uploads: one image, known by what is in it and not by what it is called."""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from maskmill.durable import sync_folder
from maskmill.errors import ImageError
from maskmill.images import ImageLimits, open_image
from maskmill.server.access import AnyReviewer
from maskmill.server.images import UPLOADED, described
from maskmill.server.pictures import checked_header
from maskmill.server.service import Service
from maskmill.server.wire_images import ImageOut
from maskmill.store import NewImage

router = APIRouter(tags=["uploads"])
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/images", max_body_size=ImageLimits().max_bytes)
async def upload(
    request: Request,
    member: AnyReviewer,
    name: Annotated[str, Query(min_length=1, max_length=200)],
) -> ImageOut:
    """Add an image: the body is the file itself, in any form that `docs/` lists.

    The name is only shown. The same file twice is one image.
    """
    service: Service = request.app.state.service
    folder = service.project.folder / "uploads"
    part = folder / f"{secrets.token_hex(8)}.part"
    try:
        content_hash = await _received(request.stream(), part)
        return await run_in_threadpool(_added, service, part, content_hash, name)
    finally:
        part.unlink(missing_ok=True)


async def _received(chunks: AsyncIterator[bytes], part: FilePath) -> str:
    """Write a body to a file, durably; returns its SHA-256."""
    part.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with part.open("wb") as file:
        async for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        await run_in_threadpool(os.fsync, file.fileno())
    return digest.hexdigest()


def _added(service: Service, part: FilePath, content_hash: str, name: str) -> ImageOut:
    """Keep an image under its hash and add its row.

    Raises:
        ImageError: If it is no image that we can open, or too large.
    """
    try:
        (height, width), ending = checked_header(part)
        open_image(part)  # half a file has a whole header, and would wait for its embedding forever
    except ImageError as error:
        raise ImageError(str(error).replace(str(part), "the upload")) from error
    path = part.parent / f"{content_hash}{ending}"
    part.replace(path)
    sync_folder(path.parent)
    new = NewImage(
        path=str(path.absolute()),
        content_hash=content_hash,
        height=height,
        width=width,
        source=UPLOADED,
        external_id=name,
    )
    (image,) = service.project.images.add([new])
    service.embedder.more()
    service.scribbler.more()
    return described(service, [image])[0]
