"""Everything mode: `automask` for one image, `automask_folder` for thousands."""

from maskmill.automask.folder import FolderReport, automask_folder
from maskmill.automask.generate import AutoMask, automask

__all__ = ["AutoMask", "FolderReport", "automask", "automask_folder"]
