"""Projects on disk and in SQL: nothing that was acknowledged is lost, nothing is overwritten."""

from maskmill.store.changes import (
    UNCHANGED,
    Annotation,
    Change,
    Create,
    Delete,
    Edit,
    Made,
    Restore,
)
from maskmill.store.filters import ImageFilter
from maskmill.store.images import Image, NewImage
from maskmill.store.project import Project, is_project

__all__ = [
    "UNCHANGED",
    "Annotation",
    "Change",
    "Create",
    "Delete",
    "Edit",
    "Image",
    "ImageFilter",
    "Made",
    "NewImage",
    "Project",
    "Restore",
    "is_project",
]
