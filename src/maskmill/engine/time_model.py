"""What people's actions cost, in seconds; the simulator turns actions into hours with it.

Defaults carry their source. Where no published figure exists the number is ours and says so: set it
to what your own statistics page shows.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TimeModel:
    """Seconds for each action of an annotator."""

    first_click: float = 2.4
    """Find an object and click on it. Bearman et al., "What's the Point", arXiv 1506.02106: 2.4 s
    for the first click on an object."""
    further_click: float = 0.9
    """Another click on the same object. Bearman et al.: 0.9 s for every further point."""
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
    """Draw one mask by hand as a polygon, the comparison: COCO took 22 worker hours per 1,000
    masks. Lin et al., arXiv 1405.0312."""
