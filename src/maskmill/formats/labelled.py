"""The records that every dataset form is read into.

Reading touches no pixels: a record holds run lengths and the path of its photograph, so thousands
of images cost a few megabytes. `read_pixels` opens one photograph when it is needed, and only then
is its size compared with what the file claimed. Sizes are (H, W), pixels of the original image.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from maskmill.errors import DatasetError
from maskmill.images import read_image
from maskmill.rle import Rle


@dataclass(frozen=True, kw_only=True)
class LabelledMask:
    """One object's mask as somebody labelled it.

    Attributes:
        rle: The mask, at the size of its image; never empty.
        category: What kind of object, where the dataset says so.
        is_crowd: Whether it stands for a group too dense to be taken apart (COCO's `iscrowd`).
        annotation_id: The file's own number for it.
        predicted_iou: A model's own estimate of the mask's quality, where it was made by one.
        stability_score: IoU of the mask at two thresholds, [0, 1], where it was made by a model.
        point_coords: The points (x, y) that it answers, pixels of the image.
        crop_box: The half-open XYXY part of the image that it was found in, pixels.
        attributes: What else the file says of it, in JSON's types; numbers are finite.
        shape: Area and half-open XYXY box of `rle`, pixels, where reading it has measured them.
    """

    rle: Rle
    category: str | None = None
    is_crowd: bool = False
    annotation_id: int | str | None = None
    predicted_iou: float | None = None
    stability_score: float | None = None
    point_coords: tuple[tuple[float, float], ...] = ()
    crop_box: tuple[float, float, float, float] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    shape: tuple[int, int, int, int, int] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """One photograph and its labelled masks.

    Attributes:
        image_id: The dataset's own name for it.
        path: The photograph; it existed when the dataset was read.
        size: (H, W) of the upright photograph (EXIF applied), which all masks share.
        source: Where it comes from: the name of the folder that held its labels.
        split: `train`, `val` or whatever the dataset says; None where it says nothing.
        group: Images of one scene or subject share it and must stay on one side of a split.
        annotations: The masks, in the file's order.
        licence: The name of the photograph's licence, or its address.
        metadata: What else the file says of the photograph (its country, say), in JSON's types.
    """

    image_id: str
    path: Path
    size: tuple[int, int]
    source: str
    split: str | None = None
    group: str | None = None
    annotations: tuple[LabelledMask, ...] = ()
    licence: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Refused:
    """Something that was left out while the rest was read."""

    path: Path
    """The file that held it."""
    reason: str
    """What is wrong with it, in words."""


@dataclass(frozen=True)
class Dataset:
    """What was read from a folder or file: the images in a fixed order, and what was left out."""

    images: tuple[LabelledImage, ...]
    """Sorted by path, so that two machines agree."""
    refused: tuple[Refused, ...] = ()
    """Files and annotations that could not be used."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __iter__(self) -> Iterator[LabelledImage]:
        """Iterate over the images."""
        return iter(self.images)

    def __getitem__(self, index: int) -> LabelledImage:
        """Return one image by its place."""
        return self.images[index]


@runtime_checkable
class Sourced(Protocol):
    """What came with a set of images."""

    @property
    def source(self) -> str:
        """The set that it came with."""
        ...


T = TypeVar("T", bound=Sourced)


def even_sample(images: Iterable[T], limit: int | None) -> list[T]:
    """Take some images, the same every time and as evenly over the sources as they allow.

    Sources take turns; within a source the images are spread over its whole length, so that one
    video's neighbouring frames are not all of the sample.

    Args:
        images: Where to take from.
        limit: How many to take; None takes all.

    Returns:
        At most `limit` images, in the order in which they came.

    Raises:
        ValueError: If `limit` is below 1.
    """
    everything = list(images)
    if limit is None or limit >= len(everything):
        return everything
    if limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1")
    places: dict[str, list[int]] = defaultdict(list)
    for place, image in enumerate(everything):
        places[image.source].append(place)
    quota = _fair_shares({source: len(p) for source, p in places.items()}, limit)
    chosen = [
        p[(2 * i + 1) * len(p) // (2 * quota[source])]
        for source, p in places.items()
        for i in range(quota[source])
    ]
    return [everything[place] for place in sorted(chosen)]


def _fair_shares(stock: dict[str, int], limit: int) -> dict[str, int]:
    shares = dict.fromkeys(stock, 0)
    while limit:
        for name in sorted(stock):
            if limit and shares[name] < stock[name]:
                shares[name] += 1
                limit -= 1
    return shares


def read_pixels(image: LabelledImage) -> UInt8[np.ndarray, "h w 3"]:
    """Open a labelled photograph and make sure that its masks fit it.

    Returns:
        RGB pixels, EXIF orientation applied.

    Raises:
        ImageError: If the file cannot be used as an image.
        DatasetError: If its size is not the one that the labels were drawn for.
    """
    pixels = read_image(image.path)
    if pixels.shape[:2] != image.size:
        height, width = pixels.shape[:2]
        raise DatasetError(
            f"{image.path} is {width}x{height} pixels, its labels were drawn for "
            f"{image.size[1]}x{image.size[0]}; restore the original photograph or scale the labels"
        )
    return pixels


def collected(items: Iterable[LabelledImage | Refused]) -> Dataset:
    """Collect what a stream yields, images sorted by path."""
    images: list[LabelledImage] = []
    refused: list[Refused] = []
    for item in items:
        if isinstance(item, Refused):
            refused.append(item)
        else:
            images.append(item)
    return Dataset(tuple(sorted(images, key=lambda image: image.path)), tuple(refused))
