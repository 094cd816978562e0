"""On an open image the model's outlines follow people: untouched pre-filled masks, and offers.

What people did is read from the masks' versions, and how the rest is to be drawn follows from that
alone (`mending`): nothing else is kept, and when the last mended mask is as it was, by an undo for
instance, all others are as they were too. A mask drawn anew is still the model's, and nobody has
looked at it; who changes it at the same moment goes before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
from jaxtyping import UInt8

from maskmill.engine.dataset import answered_for
from maskmill.engine.offering import following
from maskmill.engine.prefilling import is_prefilled
from maskmill.errors import Conflict
from maskmill.mending import Mending, to_redraw
from maskmill.rle import Rle
from maskmill.store import Annotation, Edit, Project
from maskmill.store.changes import REDRAWING


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What people made of an image's pre-filled masks, by row.

    Attributes:
        drawn: As the model drew them, also those that people took away.
        settled: What people made of some, or let stand.
        gone: Those that people took away.
        others: What people drew besides.
        open: Those that nobody has looked at, as they are now.
        made: All masks of the image that people answer for, settled ones among them.
    """

    drawn: dict[int, Rle]
    settled: dict[int, Rle]
    gone: frozenset[int]
    others: list[Rle]
    open: dict[int, Annotation]
    made: list[Rle]

    @property
    def nothing_to_do(self) -> bool:
        """Whether all open masks are as the model drew them, and no settled one tells otherwise."""
        mended = any(mask != self.drawn[row] for row, mask in self.settled.items())
        moved = any(mask.rle != self.drawn[row] for row, mask in self.open.items())
        return not self.open or not (mended or moved)


def looked_at(project: Project, image_id: int) -> Looked:
    """Read what people made of an image's pre-filled masks so far.

    Args:
        project: Open.
        image_id: The image.
    """
    firsts = project.annotations.originals(image_id)
    drawn = {row: mask.rle for row, mask in firsts.items() if is_prefilled(mask.made)}
    settled: dict[int, Rle] = {}
    others: list[Rle] = []
    open_: dict[int, Annotation] = {}
    made: list[Rle] = []
    for mask in project.annotations.of_image(image_id):
        if mask.review == "rejected":
            continue
        if answered_for(mask):
            made.append(mask.rle)
        if mask.id not in drawn:
            others.append(mask.rle)
        elif mask.made.made_by == "person" or mask.review == "accepted":
            settled[mask.id] = mask.rle
        else:
            open_[mask.id] = mask
    gone = frozenset(row for row in drawn if row not in settled and row not in open_)
    return Looked(drawn=drawn, settled=settled, gone=gone, others=others, open=open_, made=made)


def redrawn(looked: Looked, image: UInt8[np.ndarray, "h w 3"]) -> dict[int, Rle]:
    """Say which open masks are to be drawn otherwise than they are now, and how.

    Args:
        looked: What people made of the others.
        image: RGB pixels.
    """
    rows = list(looked.drawn)
    place = {row: i for i, row in enumerate(rows)}
    said = Mending(image, list(looked.drawn.values())).after(
        {place[row]: mask for row, mask in looked.settled.items()},
        gone=[place[row] for row in looked.gone],
        others=looked.others,
    )
    told = {rows[i]: mask for i, mask in said.items()}
    return to_redraw({row: mask.rle for row, mask in looked.open.items()}, told, looked.drawn)


def redrawn_offers(
    looked: Looked, regions: Sequence[Rle], image: UInt8[np.ndarray, "h w 3"]
) -> list[Rle]:
    """Draw the regions that a click brings up as people drew what is there; see `offering`.

    Args:
        looked: What people made on the image.
        regions: As the head outlined them.
        image: RGB pixels.
    """
    return following(Mending(image, regions), regions, looked.made)


def commit_redrawn(
    project: Project, looked: Looked, anew: Mapping[int, Rle]
) -> list[Annotation] | None:
    """Write masks that were drawn anew.

    Args:
        project: Open for writing.
        looked: What they follow from.
        anew: From `redrawn`.

    Returns:
        Their new versions; None where somebody has changed one meanwhile: look again.
    """
    if not anew:
        return []
    edits = [
        Edit(
            annotation_id=row, based_on=looked.open[row].version, rle=mask,
            made=looked.open[row].made,
        )
        for row, mask in anew.items()
    ]  # fmt: skip
    try:
        return project.annotations.apply(f"redraw/{uuid4()}", edits, by=REDRAWING)
    except Conflict:
        return None
