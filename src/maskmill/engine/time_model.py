"""What people's actions cost, in seconds; the simulator turns actions into hours with it.

Three figures were measured by others, and carry their source; the rest is our own assumption, and
says so: set it to what your own statistics page shows. Nobody who published seconds worked with
this tool, so even a measured figure is carried over from another task, which is said beside it.
"""

import math
from dataclasses import dataclass, fields

from maskmill.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TimeModel:
    """Seconds for each action of an annotator.

    Raises:
        ConfigError: If one is below zero or not finite.
    """

    first_click: float = 2.4
    """Find an object and click on it. Measured: Bearman et al. 2016, "What's the Point", arXiv
    1506.02106, a median of 2.4 s to click on the first object of a kind in an image."""
    further_click: float = 0.9
    """Another click on the same object. Measured for something else: Bearman et al., 0.9 s for each
    further object of that kind. That a correcting click takes as long is our assumption."""
    look: float = 1.0
    """Look at an answer and decide: accept, click again, brush. Ours."""
    stroke: float = 4.0
    """One stroke of the brush or eraser, looking included. Ours."""
    check: float = 1.5
    """Look at a mask that was already there and keep or reject it with one key. Ours; between
    the 1 s of `look` and the 2.4 s of finding an object."""
    open_image: float = 3.0
    """Take in a new image before the first object. Ours."""
    scan: float = 5.0
    """Look an image over for what is still missing, once, at its end. Ours."""
    polygon: float = 79.2
    """Draw one mask by hand as a polygon, the comparison. Measured: COCO took over 22 worker hours
    per 1,000 masks. Lin et al. 2014, arXiv 1405.0312."""

    def __post_init__(self) -> None:
        for each in fields(self):
            seconds = getattr(self, each.name)
            if not (math.isfinite(seconds) and seconds >= 0):
                raise ConfigError(f"{each.name} is {seconds} seconds; it must be 0 or more")


@dataclass(frozen=True)
class Published:
    """Seconds that others needed, beside which a simulation's stand.

    Attributes:
        what: Of one mask or box, in words.
        seconds: How long it took.
        source: Who measured it.
    """

    what: str
    seconds: float
    source: str


SAM = "Kirillov et al. 2023, arXiv 2304.02643, section 4"
PUBLISHED = (
    Published("a polygon in COCO", 79.2, "Lin et al. 2014, arXiv 1405.0312"),
    Published("a mask in SAM's stage 1, at first", 34.0, SAM),
    Published("a mask in SAM's stage 1, in the end", 14.0, SAM),
    Published("a hand-made mask in SAM's stage 2", 34.0, SAM),
    Published("a box by extreme clicking", 7.0, "Papadopoulos et al. 2017, arXiv 1708.02750"),
)
"""Nothing is computed from these. COCO's is over 22 worker hours per 1,000 masks, divided; that of
SAM's stage 2 leaves pre-filled masks out."""
