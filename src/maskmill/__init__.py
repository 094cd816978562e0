"""maskmill: the data engine of "Segment Anything", open and self-hosted.

The public names, each loaded when it is first asked for: importing maskmill imports nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskmill.config import AutomaskConfig as AutomaskConfig
    from maskmill.errors import MaskmillError as MaskmillError
    from maskmill.images import read_image as read_image
    from maskmill.overlay import draw_masks as draw_masks
    from maskmill.overlay import draw_prompts as draw_prompts
    from maskmill.predict import Predictor as Predictor
    from maskmill.rle import Rle as Rle
    from maskmill.values import Candidates as Candidates
    from maskmill.values import Embedding as Embedding
    from maskmill.values import Prompt as Prompt
    from maskmill.values import box_prompt as box_prompt
    from maskmill.values import point_prompt as point_prompt

__version__ = "0.1.0"

# Functions named like their module (`automask.automask`) are not here: the module would hide them.
_HOMES = {
    "AutomaskConfig": "config",
    "Candidates": "values",
    "Embedding": "values",
    "MaskmillError": "errors",
    "Predictor": "predict",
    "Prompt": "values",
    "Rle": "rle",
    "box_prompt": "values",
    "draw_masks": "overlay",
    "draw_prompts": "overlay",
    "point_prompt": "values",
    "read_image": "images",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskmill' has no attribute {name!r}")
    value = getattr(import_module(f"maskmill.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
