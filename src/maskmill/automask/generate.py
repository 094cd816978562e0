"""Everything mode: masks for a whole image from a regular grid of points.

The story of one image: run the grid on the image and, where asked for, on overlapping crops; keep
the survivors of each; remove duplicates between crops; remove small regions. The settings have the
reference generator's names and meaning, and on the same weights the answer is the reference's.
"""

from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from maskmill import rle
from maskmill.automask.candidates import find_candidates
from maskmill.automask.decoding import point_decoder
from maskmill.automask.limits import refuse_nonsense
from maskmill.automask.survivors import LAST_INSIDE, survivors
from maskmill.automask.upsampling import Upsampling
from maskmill.config import AutomaskConfig, SettledAutomaskConfig
from maskmill.geometry import CropBox, crop_boxes, point_grids, points_from_crop
from maskmill.masks import mask_to_box, nms, remove_small_regions
from maskmill.predict import Predictor
from maskmill.rle import Rle


@dataclass(frozen=True, eq=False, kw_only=True)
class AutoMask:
    """One mask that everything mode found.

    Attributes:
        rle: The mask, of the whole image's size.
        box: Half-open XYXY box around it, pixels.
        area: Its pixels.
        predicted_iou: The model's own estimate of its quality, about [0, 1].
        stability_score: How little it changes when its cut-off moves, [0, 1].
        point: The prompt (x, y) that it came from, pixels of the image.
        crop_box: The half-open XYXY window of the image that it was found in.
    """

    rle: Rle
    box: tuple[int, int, int, int]
    area: int
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    crop_box: CropBox


def automask(
    predictor: Predictor, image: UInt8[np.ndarray, "h w 3"], config: AutomaskConfig | None = None
) -> list[AutoMask]:
    """Find the masks of everything in an image.

    Args:
        predictor: The model.
        image: RGB pixels.
        config: Grid, crops and thresholds; by default the reference generator's, with
            the model's own thresholds.

    Returns:
        Masks, best first: by predicted IoU, or with crops from the smallest crops on. Empty where
        the model is sure of nothing. An empty mask is never among them, though the reference
        returns one where both its thresholds are off.

    Raises:
        ConfigError: If a setting is out of its range; the message names both.

    Example:
        >>> import numpy as np
        >>> predictor = Predictor.load("tiny")
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> automask(predictor, image, AutomaskConfig(points_per_side=2, pred_iou_thresh=1.0))
        []

    Source:
        `SamAutomaticMaskGenerator` of segment-anything.
    """
    config = AutomaskConfig() if config is None else config
    refuse_nonsense(config)
    config = config.for_model(predictor.config)
    size = (image.shape[0], image.shape[1])
    grids = point_grids(
        config.points_per_side, config.crop_n_layers, config.crop_n_points_downscale_factor
    )
    masks: list[AutoMask] = []
    crops = crop_boxes(size, config.crop_n_layers, config.crop_overlap_ratio)
    for crop_box, layer in crops:
        masks += _of_crop(predictor, image, crop_box, grids[layer], config)
    if len(crops) > 1:
        # The smaller crop saw the object at a higher resolution. The reference ranks in float32.
        scores = np.array([1 / np.float32(_area(mask.crop_box)) for mask in masks], np.float32)
        masks = _without_duplicates(masks, scores, config.crop_nms_thresh)
    if config.min_mask_region_area > 0:
        masks = _without_small_regions(masks, config)
    return masks


def _of_crop(
    predictor: Predictor,
    image: UInt8[np.ndarray, "h w 3"],
    crop_box: CropBox,
    grid: Float[np.ndarray, "n 2"],
    config: SettledAutomaskConfig,
) -> list[AutoMask]:
    """Run one crop's grid through the model and return its survivors, in the image's frame."""
    x0, y0, x1, y1 = crop_box
    quick = getattr(predictor.backend, "quick", nullcontext) if config.fast else nullcontext
    with quick():
        embedding = predictor.embed(np.ascontiguousarray(image[y0:y1, x0:x1]))
    points = grid * (x1 - x0, y1 - y0)
    upsampling = Upsampling(
        embedding, predictor.config.low_res_side, predictor.config.mask_threshold
    )
    decoder = point_decoder(predictor, embedding)
    with decoder.threads() as pool:
        kept = survivors(
            find_candidates(decoder, embedding, points, upsampling, config, pool),
            upsampling,
            crop_box=crop_box,
            original_size=(image.shape[0], image.shape[1]),
            config=config,
            pool=pool,
        )
    in_image = points_from_crop(points, crop_box)
    return [
        AutoMask(
            rle=one.rle,
            box=one.box,
            area=rle.area(one.rle),
            predicted_iou=one.candidate.predicted_iou,
            stability_score=one.stability_score,
            point=(
                float(in_image[one.candidate.point, 0]),
                float(in_image[one.candidate.point, 1]),
            ),
            crop_box=crop_box,
        )
        for one in kept
    ]


def _area(box: CropBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _without_duplicates(
    masks: list[AutoMask], scores: Float[np.ndarray, " n"], iou_threshold: float
) -> list[AutoMask]:
    boxes = np.array([mask.box for mask in masks], float).reshape(-1, 4) - LAST_INSIDE
    return [masks[i] for i in nms(boxes, scores, iou_threshold)]


def _without_small_regions(masks: list[AutoMask], config: AutomaskConfig) -> list[AutoMask]:
    """Fill small holes, drop small islands, and remove the duplicates that this may have made."""
    cleaned, unchanged = [], np.zeros(len(masks))
    for i, mask in enumerate(masks):
        pixels, filled = remove_small_regions(
            rle.decode(mask.rle), config.min_mask_region_area, "holes"
        )
        pixels, dropped = remove_small_regions(pixels, config.min_mask_region_area, "islands")
        # Of two duplicates the one that needed no repair is the better.
        unchanged[i] = not (filled or dropped)
        cleaned.append(mask if unchanged[i] else _with_pixels(mask, pixels))
    return _without_duplicates(
        cleaned, unchanged, max(config.box_nms_thresh, config.crop_nms_thresh)
    )


def _with_pixels(mask: AutoMask, pixels: Bool[np.ndarray, "h w"]) -> AutoMask:
    x0, y0, x1, y1 = mask_to_box(pixels).tolist()
    area = int(np.count_nonzero(pixels))
    return replace(mask, rle=rle.encode(pixels), box=(x0, y0, x1, y1), area=area)
