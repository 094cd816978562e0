"""Routes of exports: a project's masks in one of the known forms, as a file to fetch."""

import os
import re
import secrets
import shutil
import threading
import zipfile
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse

from maskmill.errors import NotFound
from maskmill.exchange import WRITERS, Chosen, export_dataset
from maskmill.formats.writing import Written
from maskmill.server.access import AnyReviewer, Busy
from maskmill.server.service import Service
from maskmill.server.wire_members import ExportOut, ExportRequest, ExportsOut

BESIDE = ("sa1b", "labelme", "parquet")
"""Forms whose files name photographs that lie beside them: there the photographs come along."""
router = APIRouter(tags=["exports"])
NAME = re.compile(r"[a-z0-9_]{1,20}-[0-9a-f]{12}\.[a-z]{3,8}")
"""What an export is called: its form, and some random digits."""
KEPT = 5
"""Exports that are kept; older ones are removed."""
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file."}
}
_ONE_AT_A_TIME = threading.Lock()


@router.get("/exports")
def listed(request: Request, member: AnyReviewer) -> ExportsOut:
    """Return the exports that can be fetched, and the forms there are."""
    found = sorted(_folder(request).glob("*.*"), key=lambda path: -path.stat().st_mtime)
    exports = [_out(path, None) for path in found if NAME.fullmatch(path.name)]
    return ExportsOut(exports=exports, formats=list(WRITERS))


@router.post("/exports")
def make(request: Request, member: AnyReviewer, body: ExportRequest) -> ExportOut:
    """Write the masks in one of the forms; answers when the file is whole.

    A form of several files, or with the images, becomes a zip archive.
    """
    service: Service = request.app.state.service
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise Busy("another export is being written; ask again when it is done", retry_after=5)
    try:
        path, written = _written(service, _folder(request), body)
    finally:
        _ONE_AT_A_TIME.release()
    service.project.audit.record(member.name, "exported", path.name, body.model_dump())
    return _out(path, written)


@router.get("/exports/{name}", response_class=FileResponse, responses=FILE)
def fetch(
    request: Request, member: AnyReviewer, name: Annotated[str, Path(max_length=100)]
) -> FileResponse:
    """Return an export's file."""
    path = _folder(request) / name
    if not NAME.fullmatch(name) or not path.is_file():
        raise NotFound(f"no export {name[:60]!r}; list the exports")
    return FileResponse(path, media_type="application/octet-stream", filename=name)


def _folder(request: Request) -> FilePath:
    service: Service = request.app.state.service
    return service.project.folder / "exports"


def _written(service: Service, folder: FilePath, body: ExportRequest) -> tuple[FilePath, Written]:
    chosen = Chosen(
        stage=body.stage, source=body.source, review=body.review, category=body.category
    )
    copy_images = body.copy_images or body.format in BESIDE
    stem = f"{re.sub('[^a-z0-9_]', '', body.format)[:20]}-{secrets.token_hex(6)}"
    part = folder / f".{stem}"
    part.mkdir(parents=True)
    try:
        written = export_dataset(
            service.project,
            part / "out",
            body.format,
            chosen=chosen,
            copy_images=copy_images,
            image_folder=None if copy_images else _folder_of_all(service),
        )
        files = [path for path in (part / "out").rglob("*") if path.is_file()]
        if len(files) == 1:
            path = folder / f"{stem}{files[0].suffix}"
            files[0].replace(path)
        else:
            path = folder / f"{stem}.zip"
            _zip(part / "out", files, part / "whole.zip")
            (part / "whole.zip").replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for old in sorted(folder.glob("*.*"), key=lambda each: -each.stat().st_mtime)[KEPT:]:
        if NAME.fullmatch(old.name):
            old.unlink(missing_ok=True)
    return path, written


def _folder_of_all(service: Service) -> FilePath | None:
    """Return the innermost folder that holds all images; file names in COCO start from it."""
    found, after = "", 0
    while page := service.project.images.page(after=after, limit=500):
        after = page[-1].id
        folders = [os.path.dirname(image.path) for image in page]
        found = os.path.commonpath([*folders, found] if found else folders)
    return FilePath(found) if found else None


def _zip(root: FilePath, files: list[FilePath], path: FilePath) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(files):
            archive.write(file, file.relative_to(root).as_posix())


def _out(path: FilePath, written: Written | None) -> ExportOut:
    return ExportOut(
        name=path.name,
        url=f"/api/exports/{path.name}",
        bytes=path.stat().st_size,
        images=None if written is None else written.images,
        masks=None if written is None else written.masks,
        notes=[] if written is None else list(written.notes),
    )
