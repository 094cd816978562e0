"""Points, boxes, frames, grids and crops: where a thing is, and where that is in another frame.

Frames. The *image frame* is the original image with EXIF applied. The *input frame* is the image
after its longest side was resized to the model's input side, before padding at the right and the
bottom. A *crop frame* is a window of the image, with its own origin. Unless a name says otherwise,
coordinates live in the image frame.

Pixel centres. A pixel is named by its index; it covers [index, index + 1) and its centre lies at
index + 0.5. Points name pixels; the prompt encoder adds that half itself. Resizing maps continuous
coordinates (`align_corners=False`), so only a scale, and no shift, is needed between frames.

Boxes are half-open XYXY: x0 and y0 belong to the box, x1 and y1 do not; width is x1 - x0. Sizes are
(H, W), points are (x, y). Nothing here knows a mask's content, a model or a file.
"""

import math
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Real, Shaped

CropBox = tuple[int, int, int, int]
"""A half-open XYXY window of the image, whole pixels."""


def preprocess_size(original_size: tuple[int, int], input_side: int) -> tuple[int, int]:
    """Return the size of an image after its longest side is resized to `input_side`.

    Rounds half up, as the reference does. Where the reference would round the shorter side of an
    extremely long image to nothing, it is kept at one pixel.

    Args:
        original_size: (H, W) of the image, pixels.
        input_side: Length of the longer side afterwards, pixels.

    Returns:
        (H, W) in the input frame; both at least 1, the larger one equal to `input_side`.

    Raises:
        ValueError: If a size is not positive.

    Example:
        >>> preprocess_size((480, 640), 1024)
        (768, 1024)

    Source:
        `ResizeLongestSide.get_preprocess_shape` of segment-anything.
    """
    height, width = original_size
    if min(height, width, input_side) < 1:
        raise ValueError(f"sizes must be positive; got {original_size} and input side {input_side}")
    scale = input_side * 1.0 / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def shrunk_size(size: tuple[int, int], most: int) -> tuple[int, int]:
    """Return the size of an image whose longer side may have so many pixels; none is enlarged.

    Example:
        >>> shrunk_size((4000, 6000), 1536), shrunk_size((384, 512), 1536)
        ((1024, 1536), (384, 512))
    """
    return preprocess_size(size, min(most, max(size)))


def to_input_frame(
    points: Real[np.ndarray, "n 2"], original_size: tuple[int, int], input_size: tuple[int, int]
) -> Float[np.ndarray, "n 2"]:
    """Move points from the image frame to the input frame.

    Args:
        points: (x, y), pixels of the original image.
        original_size: (H, W) of the image, pixels.
        input_size: (H, W) of the image in the input frame, pixels.

    Returns:
        float32 points (x, y) in the input frame; empty for no points.

    Example:
        >>> to_input_frame(np.array([[64.0, 48.0]]), (480, 640), (768, 1024)).tolist()
        [[102.4000015258789, 76.80000305175781]]

    Source:
        `ResizeLongestSide.apply_coords` of segment-anything.
    """
    scale = (input_size[1] / original_size[1], input_size[0] / original_size[0])
    return (points.astype(np.float64) * scale).astype(np.float32)


def boxes_to_input_frame(
    boxes: Real[np.ndarray, "n 4"], original_size: tuple[int, int], input_size: tuple[int, int]
) -> Float[np.ndarray, "n 4"]:
    """Move half-open XYXY boxes from the image frame to the input frame; as `to_input_frame`."""
    return to_input_frame(boxes.reshape(-1, 2), original_size, input_size).reshape(-1, 4)


def low_res_to_original(
    low_res: Float[np.ndarray, "low_h low_w"],
    *,
    input_side: int,
    input_size: tuple[int, int],
    original_size: tuple[int, int],
) -> Float[np.ndarray, "h w"]:
    """Upsample low-res mask logits to the original image.

    Two bilinear steps, as in the reference: up to the padded input frame, then, after the padding
    is cut off, to the original size. One step straight to the original size would differ.

    Args:
        low_res: Mask logits over the padded square input frame.
        input_side: Side of the padded input frame, pixels.
        input_size: (H, W) of the image inside the input frame, pixels.
        original_size: (H, W) of the image, pixels.

    Returns:
        float32 mask logits of `original_size`.

    Source:
        `Sam.postprocess_masks` of segment-anything.
    """
    import cv2

    # cv2.resize INTER_LINEAR samples like torch's interpolate(align_corners=False), 5 times faster.
    low_res = np.ascontiguousarray(low_res, np.float32)
    shape = [input_side, input_side]
    for axis, (low, size) in enumerate(zip(low_res.shape, input_size, strict=True)):
        factor, rest = divmod(input_side, low)
        if not rest:
            # Rows and columns that hold only padding are not upsampled; one more than needed keeps
            # the interpolation at the image's edge as it was.
            kept = min(low, -(-size // factor) + 1)
            low_res = low_res[:kept] if axis == 0 else low_res[:, :kept]
            shape[axis] = kept * factor
    padded = cv2.resize(low_res, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    image_part = padded[: input_size[0], : input_size[1]]
    full: Float[np.ndarray, "h w"] = cv2.resize(
        image_part, (original_size[1], original_size[0]), interpolation=cv2.INTER_LINEAR
    )
    return full


def box_area(boxes: Real[np.ndarray, "n 4"]) -> Real[np.ndarray, " n"]:
    """Return each half-open XYXY box's area in pixels; a box that is inside out has area 0."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    area: Real[np.ndarray, " n"] = sides[:, 0] * sides[:, 1]
    return area


def box_iou(a: Real[np.ndarray, "n 4"], b: Real[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Return the intersection over union of every box of one list with every box of another.

    Args:
        a: Half-open XYXY boxes.
        b: Half-open XYXY boxes in the same frame.

    Returns:
        float64 IoU in [0, 1]; 0 where both boxes are empty.

    Example:
        >>> box_iou(np.array([[0, 0, 2, 4]]), np.array([[0, 2, 2, 6]])).round(3).tolist()
        [[0.333]]
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.maximum(high - low, 0).prod(axis=-1)
    union = box_area(a)[:, None] + box_area(b)[None, :] - intersection
    iou: Float[np.ndarray, "n m"] = np.zeros_like(intersection)
    np.divide(intersection, union, out=iou, where=union > 0)
    return iou


def clip_boxes(
    boxes: Real[np.ndarray, "n 4"], original_size: tuple[int, int]
) -> Real[np.ndarray, "n 4"]:
    """Cut half-open XYXY boxes off at the image's edges.

    A box that lies wholly outside becomes empty (zero width or height) on the nearest edge.
    """
    height, width = original_size
    limit = np.array([width, height, width, height], boxes.dtype)
    clipped: Real[np.ndarray, "n 4"] = np.minimum(np.maximum(boxes, 0), limit)
    return clipped


def xyxy_to_xywh(boxes: Real[np.ndarray, "n 4"]) -> Real[np.ndarray, "n 4"]:
    """Turn half-open XYXY boxes into COCO's XYWH, which only files and the wire use.

    Example:
        >>> xyxy_to_xywh(np.array([[1, 2, 4, 8]])).tolist()
        [[1, 2, 3, 6]]
    """
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def xywh_to_xyxy(boxes: Real[np.ndarray, "n 4"]) -> Real[np.ndarray, "n 4"]:
    """Turn COCO's XYWH boxes into half-open XYXY; the inverse of `xyxy_to_xywh`."""
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def point_grid(points_per_side: int) -> Float[np.ndarray, "n 2"]:
    """Return a regular grid of points, each in the centre of its cell.

    Args:
        points_per_side: Points along each side; at least 1.

    Returns:
        float64 points (x, y) as shares of width and height, inside (0, 1), row by row.

    Raises:
        ValueError: If there would be no point.

    Example:
        >>> point_grid(2).tolist()
        [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]

    Source:
        `build_point_grid` of segment-anything.
    """
    if points_per_side < 1:
        raise ValueError(f"points_per_side is {points_per_side}; it must be at least 1")
    offset = 1 / (2 * points_per_side)
    side = np.linspace(offset, 1 - offset, points_per_side)
    x, y = np.meshgrid(side, side)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def point_grids(
    points_per_side: int, n_layers: int, downscale_factor: int
) -> list[Float[np.ndarray, "_n 2"]]:
    """Return one grid per crop layer, the whole image's first.

    Args:
        points_per_side: Points along each side of the whole image's grid.
        n_layers: Crop layers beyond the whole image.
        downscale_factor: Layer i has points_per_side / downscale_factor^i points per side, rounded
            down; never fewer than one.

    Source:
        `build_all_layer_point_grids` of segment-anything.
    """
    return [
        point_grid(max(1, int(points_per_side / downscale_factor**layer)))
        for layer in range(n_layers + 1)
    ]


def crop_boxes(
    original_size: tuple[int, int], n_layers: int, overlap_ratio: float
) -> list[tuple[CropBox, int]]:
    """Return the overlapping windows of the image that everything mode runs by themselves.

    Args:
        original_size: (H, W) of the image, pixels.
        n_layers: Layers beyond the whole image; layer i has 2^i windows per side.
        overlap_ratio: Overlap of neighbours in the first layer, share of the image's shorter side.

    Returns:
        (window, layer) pairs; first the whole image, in layer 0. Windows that would be empty, as
        some are in images of a few dozen pixels, are left out.

    Example:
        >>> crop_boxes((60, 100), 1, 0.5)[:2]
        [((0, 0, 100, 60), 0), ((0, 0, 65, 45), 1)]

    Source:
        `generate_crop_boxes` of segment-anything.
    """
    height, width = original_size
    boxes = [((0, 0, width, height), 0)]
    for layer in range(1, n_layers + 1):
        per_side = 2**layer
        overlap = int(overlap_ratio * min(height, width) * (2 / per_side))
        crop_w = math.ceil((overlap * (per_side - 1) + width) / per_side)
        crop_h = math.ceil((overlap * (per_side - 1) + height) / per_side)
        for i, j in product(range(per_side), range(per_side)):
            x0, y0 = (crop_w - overlap) * i, (crop_h - overlap) * j
            if x0 < width and y0 < height:
                box = (x0, y0, min(x0 + crop_w, width), min(y0 + crop_h, height))
                boxes.append((box, layer))
    return boxes


def touches_crop_edge(
    boxes: Real[np.ndarray, "n 4"],
    crop_box: CropBox,
    original_size: tuple[int, int],
    *,
    atol: float = 20.0,
) -> Bool[np.ndarray, " n"]:
    """Tell which boxes a crop's edge has probably cut off, while the image's edge has not.

    The reference measures from the last pixel inside a box, so x1 and y1 are taken back by one
    here; a mask is then kept or dropped exactly where the reference does.

    Args:
        boxes: Half-open XYXY boxes in the image frame.
        crop_box: The window that the boxes were found in.
        original_size: (H, W) of the image, pixels.
        atol: How close to an edge counts as touching, pixels.

    Source:
        `is_box_near_crop_edge` of segment-anything.
    """
    height, width = original_size
    last_inside = boxes.astype(np.float64) - (0, 0, 1, 1)
    near_crop = np.abs(last_inside - np.array(crop_box)) <= atol
    near_image = np.abs(last_inside - (0, 0, width, height)) <= atol
    touching: Bool[np.ndarray, " n"] = (near_crop & ~near_image).any(axis=1)
    return touching


def boxes_from_crop(boxes: Real[np.ndarray, "n 4"], crop_box: CropBox) -> Real[np.ndarray, "n 4"]:
    """Move boxes from a crop frame to the image frame."""
    moved: Real[np.ndarray, "n 4"] = boxes + np.array(crop_box[:2] * 2, boxes.dtype)
    return moved


def points_from_crop(points: Real[np.ndarray, "n 2"], crop_box: CropBox) -> Real[np.ndarray, "n 2"]:
    """Move points from a crop frame to the image frame."""
    moved: Real[np.ndarray, "n 2"] = points + np.array(crop_box[:2], points.dtype)
    return moved


def mask_from_crop(
    mask: Shaped[np.ndarray, "crop_h crop_w"], crop_box: CropBox, original_size: tuple[int, int]
) -> Shaped[np.ndarray, "h w"]:
    """Move a mask from a crop frame to the image frame; zero, that is background, around the crop.

    Raises:
        ValueError: If the mask has not the crop's size.
    """
    x0, y0, x1, y1 = crop_box
    if mask.shape != (y1 - y0, x1 - x0):
        raise ValueError(f"mask is {mask.shape} but crop {crop_box} is {(y1 - y0, x1 - x0)}")
    if (x0, y0, y1, x1) == (0, 0, *original_size):
        return mask
    full = np.zeros(original_size, mask.dtype)
    full[y0:y1, x0:x1] = mask
    return full
