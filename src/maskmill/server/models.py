"""Routes of the model: what browsers must know of it, and its decoder's files."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse

from maskmill.errors import NotFound
from maskmill.server.access import AnyMember
from maskmill.server.decoder import FILES
from maskmill.server.service import Service
from maskmill.server.wire_images import ModelOut

router = APIRouter(tags=["model"])
ModelId = Annotated[str | None, Query(max_length=200)]
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "ONNX."}
}


@router.get("/model")
def get(request: Request, member: AnyMember, id: ModelId = None) -> ModelOut:
    """Return all that a browser needs to decode prompts by itself.

    `id` names a model; without it, the current one. Each image says which one is to be used on it.
    """
    service: Service = request.app.state.service
    return service.decoder_of(id).described()


@router.get("/model/{name}", response_class=FileResponse, responses=FILE)
def file(
    request: Request,
    member: AnyMember,
    name: Annotated[str, Path(max_length=100)],
    v: ModelId = None,
) -> FileResponse:
    """Return `decoder.onnx` or `decoder_mask.onnx` of the model `v`."""
    service: Service = request.app.state.service
    decoder = service.decoder_of(v)
    if name not in FILES or not decoder.file(name).is_file():
        raise NotFound(f"no file {name[:60]!r} of the model; there are: {', '.join(FILES)}")
    return FileResponse(
        decoder.file(name),
        media_type="application/octet-stream",
        headers={"cache-control": "private, max-age=31536000, immutable"},
    )
