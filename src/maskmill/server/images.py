"""Routes of images: pages of them, their files as browsers show them, and their embeddings."""

import hashlib
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from maskmill.errors import NotFound
from maskmill.server.access import AnyMember, Busy
from maskmill.server.decoder import embedding_bytes, wire_mask
from maskmill.server.pictures import overlay as draw_overlay
from maskmill.server.service import Service
from maskmill.server.wire import RowId
from maskmill.server.wire_images import (
    DecodeOut,
    DecodeRequest,
    ImageOut,
    ImagesOut,
    RegionOut,
    RegionsOut,
    State,
)
from maskmill.store import Image, ImageFilter
from maskmill.store.categories import PALETTE
from maskmill.values import Embedding

router = APIRouter(tags=["images"])
ImageId = Annotated[RowId, Path()]
ModelId = Annotated[str | None, Query(max_length=200)]
UPLOADED = "upload"
"""The source of images that came over HTTP; their names are their `external_id`."""
FOREVER = "private, max-age=31536000, immutable"
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "float16, little-endian."},
    304: {"description": "The browser has it."},
    503: {"description": "It is computed now, before all others; ask again."},
}
OVERLAY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "The masks."},
    304: {"description": "The browser has them as they are."},
}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}, "image/png": {}}, "description": "The picture."},
    304: {"description": "The browser has it."},
}


@router.get("/images")
def page(
    request: Request,
    member: AnyMember,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    has_masks: bool | None = None,
    category_id: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    state: State | None = None,
    review: Literal["accepted", "rejected", "unreviewed"] | None = None,
    annotator: Annotated[str | None, Query(max_length=64)] = None,
    assigned_to: Annotated[str | None, Query(max_length=64)] = None,
    predicted_iou_below: Annotated[float | None, Query(ge=0, le=2)] = None,
    source: Annotated[str | None, Query(max_length=1000)] = None,
) -> ImagesOut:
    """Return a page of the images, in the order in which they were added.

    Category (0 asks for none), review, annotator and predicted IoU are asked of one mask: an image
    is chosen if one of its masks is all that.
    """
    service: Service = request.app.state.service
    which = ImageFilter(
        has_masks=has_masks,
        category_id=category_id,
        state=state,
        review=review,
        author=annotator,
        assigned_to=assigned_to,
        predicted_iou_below=predicted_iou_below,
        source=source,
    )
    images = service.project.images
    found = images.page_at(offset, which, limit=limit)
    return ImagesOut(images=described(service, found), offset=offset, total=images.count(which))


@router.get("/images/{image_id}")
def get(request: Request, member: AnyMember, image_id: ImageId) -> ImageOut:
    """Return one image."""
    service: Service = request.app.state.service
    return described(service, [service.project.images.get(image_id)])[0]


@router.get("/images/{image_id}/file", response_class=Response, responses=PICTURE)
def file(request: Request, member: AnyMember, image_id: ImageId) -> Response:
    """Return the whole image, upright, as browsers show it."""
    service: Service = request.app.state.service
    image = service.project.images.get(image_id)

    def content() -> tuple[bytes, str]:
        return service.pictures.displayed(image.content_hash, FilePath(image.path))

    return _kept(request, f"{image.content_hash}", content)


@router.get("/images/{image_id}/thumbnail", response_class=Response, responses=PICTURE)
def thumbnail(request: Request, member: AnyMember, image_id: ImageId) -> Response:
    """Return the image at 256 pixels along its longer side, as JPEG."""
    service: Service = request.app.state.service
    image = service.project.images.get(image_id)

    def content() -> tuple[bytes, str]:
        made = service.pictures.thumbnail(image.content_hash, FilePath(image.path))
        return made, "image/jpeg"

    return _kept(request, f"{image.content_hash}-256", content)


@router.get("/images/{image_id}/overlay", response_class=Response, responses=OVERLAY)
def overlay(request: Request, member: AnyMember, image_id: ImageId) -> Response:
    """Return the masks in their colours, of the thumbnail's size, as PNG with clear ground."""
    service: Service = request.app.state.service
    image = service.project.images.get(image_id)
    masks = service.project.annotations.of_image(image_id)
    colours = {each.id: each.colour for each in service.project.categories.all()}
    drawn = [
        (mask.id, mask.version, colours.get(mask.category_id or 0, PALETTE[i % len(PALETTE)]))
        for i, mask in enumerate(masks)
    ]
    tag = hashlib.sha256(repr(drawn).encode()).hexdigest()[:32]
    headers = {"etag": f'"{tag}"', "cache-control": "private, no-cache"}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    content = draw_overlay([m.rle for m in masks], [colour for *_, colour in drawn], image.size)
    return Response(content, media_type="image/png", headers=headers)


@router.get("/images/{image_id}/embedding", response_class=Response, responses=BYTES)
def embedding(
    request: Request, member: AnyMember, image_id: ImageId, model: ModelId = None
) -> Response:
    """Return what a model's encoder made of the image; see `/api/model` for how it is laid out."""
    service: Service = request.app.state.service
    image = service.project.images.get(image_id)
    model_id = model or service.decoder.model_id
    tag = f"{image.content_hash}-{model_id}"
    if _has(request, tag):
        return Response(status_code=304, headers=_cached(tag))
    found = _embedded(service, image, model_id)
    content = embedding_bytes(found)
    return Response(content, media_type="application/octet-stream", headers=_cached(tag))


@router.get("/images/{image_id}/regions")
def regions(request: Request, member: AnyMember, image_id: ImageId) -> RegionsOut:
    """Return what the project's region head outlines, for who clicks there."""
    service: Service = request.app.state.service
    image = service.project.images.get(image_id)
    model_id = service.model_of(image)
    found = service.outliner.of(image, model_id)
    return RegionsOut(
        regions=[RegionOut(mask=wire_mask(mask), score=score) for mask, score in found],
        low_res_side=service.decoder_of(model_id).config.low_res_side,
    )


@router.post("/images/{image_id}/decode", responses={503: BYTES[503]})
def decode(
    request: Request, member: AnyMember, image_id: ImageId, body: DecodeRequest
) -> DecodeOut:
    """Decode one prompt here, for a browser without WebAssembly."""
    service: Service = request.app.state.service
    decoder = service.decoder_of(body.model_id)
    found = _embedded(service, service.project.images.get(image_id), decoder.model_id)
    return DecodeOut(candidates=decoder.decode(found, body))


def described(service: Service, images: Sequence[Image]) -> list[ImageOut]:
    """Write images as they travel."""
    standing = service.project.work.of([image.id for image in images])
    models = {image.id: service.model_of(image) for image in images}
    return [
        ImageOut(
            id=image.id,
            name=shown_name(image),
            width=image.width,
            height=image.height,
            mask_count=image.mask_count,
            source=FilePath(image.source).name,
            split=image.split,
            embedded=service.project.embeddings.has(image.content_hash, models[image.id]),
            model_id=models[image.id],
            file_url=f"/api/images/{image.id}/file?v={image.content_hash[:16]}",
            overlay_url=f"/api/images/{image.id}/overlay",
            thumbnail_url=f"/api/images/{image.id}/thumbnail?v={image.content_hash[:16]}",
            embedding_url=(
                f"/api/images/{image.id}/embedding?v={image.content_hash[:16]}"
                f"&model={models[image.id]}"
            ),
            **vars(standing[image.id]),
        )
        for image in images
    ]


def shown_name(image: Image) -> str:
    """Return what people call an image: never where it lies on the server."""
    uploaded = image.external_id if image.source == UPLOADED else None
    return uploaded or FilePath(image.path).name


def _embedded(service: Service, image: Image, model_id: str) -> Embedding:
    """Return an image's embedding, or ask for it before all others.

    Raises:
        Busy: If it is not there yet.
        NotFound: If it is of a model with which no image is embedded any more.
        ImageError: If it will never be; the message says why.
    """
    found = service.project.embeddings.get(image.content_hash, model_id)
    if found is None and model_id != service.decoder.model_id:
        raise NotFound(
            f"image {image.id} is not embedded by {model_id[:60]}, which another model has "
            "replaced; open the image again"
        )
    if found is None:
        service.embedder.wish(image.id)
        raise Busy(f"image {image.id} is being embedded; ask again in a second")
    return found


def _kept(request: Request, tag: str, content: Any) -> Response:
    """Answer with a picture that never changes, unless the browser has it."""
    if _has(request, tag):
        return Response(status_code=304, headers=_cached(tag))
    body, media_type = content()
    return Response(body, media_type=media_type, headers=_cached(tag))


def _has(request: Request, tag: str) -> bool:
    return f'"{tag}"' in request.headers.get("if-none-match", "")


def _cached(tag: str) -> dict[str, str]:
    return {"etag": f'"{tag}"', "cache-control": FOREVER}
