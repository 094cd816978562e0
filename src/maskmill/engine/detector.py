"""The box detector at work: boxes from an embedding, and the masks that the decoder makes of them.

It runs its ONNX file and needs no PyTorch. A detector belongs to one model, because it reads that
model's embeddings; a project keeps them beside its models, in `detectors/MODEL_ID/`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from maskmill import rle
from maskmill.automask import AutoMask
from maskmill.engine.head_files import open_head, read_head_card, refuse_other_model
from maskmill.geometry import box_iou
from maskmill.masks import mask_to_box, nms, stability_score
from maskmill.predict import Predictor
from maskmill.values import Candidates, Embedding, box_prompt, point_prompt

LEAST_SCORE = 0.05
"""Less likely centres are not looked at."""
MOST_BOXES = 200
"""Boxes of one image that are decoded, the best ones."""
BOX_OVERLAP = 0.6
"""Of two boxes that overlap more than this IoU the likelier one stays."""
MASK_OVERLAP = 0.6
"""The same for the masks that the decoder made of them."""
AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Boxes:
    """What the head says of an image: half-open XYXY boxes, pixels of the image, best first."""

    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]


class Detector:
    """An exported head, ready to run on one thread.

    Args:
        folder: What `write_detector` wrote.

    Attributes:
        card: Which model it belongs to, and how it was trained.

    Raises:
        NotFound: If there is none.
        CheckpointError: If its files cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.card = folder, read_head_card(folder, "detector", {"model", "stride"})
        self._session = open_head(folder, "detector")

    def __reduce__(self) -> tuple[Any, ...]:
        return Detector, (self.folder,)

    def boxes(self, embedding: Embedding) -> Boxes:
        """Find the boxes of objects.

        Raises:
            ValueError: If the embedding was made by another model.
        """
        refuse_other_model(embedding, self.card, "detector")
        logits, reach = self.answer(embedding)
        return boxes_of(logits[0, 0], reach[0], embedding, int(self.card["stride"]))

    def answer(
        self, embedding: Embedding
    ) -> tuple[Float32[np.ndarray, "1 1 h w"], Float32[np.ndarray, "1 4 h w"]]:
        """Run the head itself; see `maskmill.model.box_head`."""
        names = [each.name for each in self._session.get_inputs()]
        maps = (embedding.array, *embedding.high_res)
        feeds = {n: m[None].astype(np.float32) for n, m in zip(names, maps, strict=True)}
        logits, reach = self._session.run(None, feeds)
        return logits, reach


def boxes_of(
    logits: Float[np.ndarray, "h w"],
    reach: Float[np.ndarray, "4 h w"],
    embedding: Embedding,
    stride: int,
) -> Boxes:
    """Turn a head's answer into boxes: cells that beat their neighbours, then duplicates removed.

    Args:
        logits: Of "an object's box is centred here".
        reach: Distances to the left, top, right and bottom, pixels of the input frame.
        embedding: Whose sizes say how the frame lies over the image.
        stride: Input pixels per cell.
    """
    import cv2

    scores = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
    peaks = (scores >= cv2.dilate(scores, np.ones((3, 3), np.uint8))) & (scores >= LEAST_SCORE)
    rows, columns = np.nonzero(peaks)
    y, x = (rows + 0.5) * stride, (columns + 0.5) * stride
    left, top, right, bottom = reach[:, rows, columns]
    height, width = embedding.original_size
    scale = height / embedding.input_size[0]
    boxes = np.stack([x - left, y - top, x + right, y + bottom], 1) * scale
    boxes = boxes.clip(0, (width, height, width, height)).astype(np.float32)
    found = scores[rows, columns]
    whole = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
    boxes, found = boxes[whole], found[whole]
    kept = nms(boxes, found, BOX_OVERLAP)[:MOST_BOXES]
    return Boxes(boxes[kept], found[kept])


@dataclass(frozen=True, eq=False, kw_only=True)
class Detected:
    """A mask that the decoder made of a box.

    Attributes:
        mask: As everything mode's, with the middle of the box as its point.
        box_score: How likely the head thought the box.
        agreement: IoU of the box with the box around the mask.
        consent: IoU of the masks that the decoder made of the box and of its middle.
    """

    mask: AutoMask
    box_score: float
    agreement: float
    consent: float


def detect(predictor: Predictor, embedding: Embedding, boxes: Boxes) -> list[Detected]:
    """Decode boxes into masks, and remove those that are another one's duplicates.

    The decoder is asked twice, for the box and for its middle as a click, and of the click's three
    candidates the one is taken whose own box is most like it. Their mean is a better mask than
    either: alone, a box draws its corners in, and a click its neighbours.

    Returns:
        The likeliest first, by the head's score times predicted IoU.
    """
    found: list[Detected] = []
    for start in range(0, len(boxes.boxes), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        few, scores = boxes.boxes[some], boxes.scores[some]
        middles = (few[:, :2] + few[:, 2:]) / 2
        by_box = predictor.predict(
            embedding, [box_prompt(*map(float, box)) for box in few], multimask_output=False
        )
        by_click = predictor.predict(
            embedding, [point_prompt((float(x), float(y))) for x, y in middles]
        )
        for i, (box, score) in enumerate(zip(few, scores, strict=True)):
            one = _of_box(by_box, by_click, i, box, float(score))
            if one is not None:
                found.append(one)
    found.sort(key=lambda d: -d.box_score * d.mask.predicted_iou)
    return _without_duplicates(found)


def _of_box(
    by_box: Candidates, by_click: Candidates, i: int, box: Float[np.ndarray, " 4"], score: float
) -> Detected | None:
    threshold = by_box.mask_threshold
    of_box = by_box.mask_logits(i, 0)
    clicked = [by_click.mask_logits(i, j) for j in range(by_click.predicted_iou.shape[1])]
    likeness = [_agreement(box, logits > threshold) for logits in clicked]
    taken = int(np.argmax(likeness))
    logits = (of_box + clicked[taken]) / 2
    mask: Bool[np.ndarray, "h w"] = logits > threshold
    if not mask.any():
        return None
    stable = stability_score(logits[None], threshold=threshold)[0]
    predicted = (by_box.predicted_iou[i, 0] + by_click.predicted_iou[i, taken]) / 2
    height, width = by_box.original_size
    x0, y0, x1, y1 = mask_to_box(mask).tolist()
    return Detected(
        mask=AutoMask(
            rle=rle.encode(mask),
            box=(x0, y0, x1, y1),
            area=int(np.count_nonzero(mask)),
            predicted_iou=float(predicted),
            stability_score=float(stable),
            point=(float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2),
            crop_box=(0, 0, width, height),
        ),
        box_score=score,
        agreement=_agreement(box, mask),
        consent=_mask_iou(of_box > threshold, clicked[taken] > threshold),
    )


def _agreement(box: Float[np.ndarray, " 4"], mask: Bool[np.ndarray, "h w"]) -> float:
    around = mask_to_box(mask)[None].astype(float)
    return float(box_iou(box[None].astype(float), around)[0, 0])


def _mask_iou(a: Bool[np.ndarray, "h w"], b: Bool[np.ndarray, "h w"]) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def _without_duplicates(found: list[Detected]) -> list[Detected]:
    if not found:
        return []
    iou = rle.iou([d.mask.rle for d in found], [d.mask.rle for d in found])
    kept: list[int] = []
    for i in range(len(found)):
        if not kept or float(iou[i, kept].max()) <= MASK_OVERLAP:
            kept.append(i)
    return [found[i] for i in kept]
