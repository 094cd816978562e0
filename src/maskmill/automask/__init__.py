"""Everything mode: `automask` for one image, `automask_folder` for thousands.

`label_folder` does the latter with any other way to find masks.
"""

from maskmill.automask.folder import Finder, FolderReport, automask_folder, label_folder
from maskmill.automask.generate import AutoMask, automask

__all__ = ["AutoMask", "Finder", "FolderReport", "automask", "automask_folder", "label_folder"]
