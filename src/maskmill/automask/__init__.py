"""Everything mode: `automask` for one image, `automask_folder` for thousands."""

from maskmill.automask.generate import AutoMask, automask

__all__ = ["AutoMask", "automask"]
