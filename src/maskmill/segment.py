"""Prompted masks of one image: choose a candidate per prompt and write what was found.

`Predictor` offers candidates; here one is taken per prompt, measured, and put on disk as a mask
PNG each, one overlay and one SA-1B JSON. Everything mode is `automask`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from maskmill import rle
from maskmill.drawn import is_drawn, picture_bytes
from maskmill.errors import ConfigError
from maskmill.formats.prompts import NamedPrompt
from maskmill.formats.sa1b import sa1b_record
from maskmill.masks import stability_score
from maskmill.overlay import draw_masks, draw_prompts
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.values import Candidates, Prompt


@dataclass(frozen=True, kw_only=True)
class PromptedMask:
    """One mask and the prompt that it answers."""

    rle: Rle
    """The mask, at the size of the original image; it may be empty."""
    predicted_iou: float
    """The model's own estimate of its quality, about [0, 1], not clamped."""
    stability_score: float
    """IoU of the mask cut one logit above and one below the mask threshold, [0, 1]."""
    prompt: Prompt
    """What was asked, pixels of the original image."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What the prompt's maker said about it, carried to the JSON."""


def segment(
    predictor: Predictor,
    image: UInt8[np.ndarray, "h w 3"],
    prompts: Sequence[NamedPrompt],
    *,
    all_candidates: bool = False,
) -> list[PromptedMask]:
    """Answer every prompt with a mask.

    A single point is ambiguous (shirt or person?): the model is asked for three candidates and the
    one with the highest predicted IoU is taken. Any other prompt is asked for one.

    Args:
        predictor: The model.
        image: RGB pixels.
        prompts: In pixels of this image.
        all_candidates: Return all three candidates of every prompt, best first.

    Returns:
        Masks in the order of the prompts; none without prompts.

    Raises:
        PromptError: If a prompt lies outside the image; the message names it by its `where`, or by
            its place in `prompts`, from 0.
    """
    # The two groups below have places of their own, which nobody but this function knows.
    names = [p.where or f"prompt {i}" for i, p in enumerate(prompts)]
    embedding = predictor.embed(image)
    found: dict[int, list[PromptedMask]] = {}
    for multimask in (True, False):
        chosen = [
            i
            for i, p in enumerate(prompts)
            if (all_candidates or _ambiguous(p.prompt)) == multimask
        ]
        candidates = predictor.predict(
            embedding,
            [prompts[i].prompt for i in chosen],
            multimask_output=multimask,
            names=[names[i] for i in chosen],
        )
        for row, i in enumerate(chosen):
            found[i] = _masks(candidates, row, prompts[i], 3 if all_candidates else 1)
    return [mask for i in sorted(found) for mask in found[i]]


def _ambiguous(prompt: Prompt) -> bool:
    points = 0 if prompt.point_coords is None else len(prompt.point_coords)
    return points == 1 and prompt.box is None and prompt.mask_input is None


def _masks(candidates: Candidates, row: int, named: NamedPrompt, wanted: int) -> list[PromptedMask]:
    masks = []
    for k in np.argsort(-candidates.predicted_iou[row], kind="stable")[:wanted].tolist():
        logits = candidates.mask_logits(row, k)
        score = stability_score(logits[None], threshold=candidates.mask_threshold)[0]
        masks.append(
            PromptedMask(
                rle=rle.encode(logits > candidates.mask_threshold),
                predicted_iou=float(candidates.predicted_iou[row, k]),
                stability_score=float(score),
                prompt=named.prompt,
                notes=named.notes,
            )
        )
    return masks


def write_segmentation(
    folder: Path,
    name: str,
    *,
    file_name: str,
    image: UInt8[np.ndarray, "h w 3"],
    masks: Sequence[PromptedMask],
) -> dict[str, Any]:
    """Write the masks of one image: PNGs, an overlay with the prompts drawn, SA-1B JSON.

    What an earlier run wrote under that name is replaced.

    Args:
        folder: Where to write; it is made if it is missing.
        name: What the written files' names begin with; it may lie in a folder inside.
        file_name: The photograph's own name, for the JSON.
        image: Its pixels.
        masks: Its masks.

    Returns:
        The JSON object that was written, with the paths of the files under `files`.

    Raises:
        ConfigError: As `refuse_others`.
    """
    refuse_others(folder, [name], masks=len(masks))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    for path in _masks_there(folder, name):
        path.unlink()  # of an earlier run, which may have found more
    height, width = image.shape[:2]
    record = segmentation_record(Path(name).name, file_name, (height, width), masks)
    files: dict[str, Any] = {
        "json": folder / f"{name}.json",
        "overlay": folder / f"{name}_overlay.png",
    }
    files["masks"] = [_mask_file(folder, name, i) for i in range(1, len(masks) + 1)]
    for path, mask in zip(files["masks"], masks, strict=True):
        picture = rle.decode(mask.rle).astype(np.uint8) * 255
        path.write_bytes(picture_bytes(picture, file_name))
    overlay = draw_prompts(
        draw_masks(image, [mask.rle for mask in masks]), [mask.prompt for mask in masks]
    )
    files["overlay"].write_bytes(picture_bytes(overlay, file_name))
    files["json"].write_text(json.dumps(record, allow_nan=False), "utf-8")
    return record | {"files": files}


def refuse_others(folder: Path, names: Iterable[str], *, masks: int = 1) -> None:
    """Refuse to write over photographs and labels that somebody else put there.

    Args:
        folder: Where `write_segmentation` is to write.
        names: What its files' names are to begin with.
        masks: How many masks each is to have at least.

    Raises:
        ConfigError: If one of the files is there and none of ours.
    """
    for name in names:
        label, overlay = folder / f"{name}.json", folder / f"{name}_overlay.png"
        wanted = [_mask_file(folder, name, i) for i in range(1, masks + 1)]
        pictures = {overlay, *wanted, *_masks_there(folder, name)}
        others = [each for each in sorted(pictures) if each.exists() and not is_drawn(each)]
        if label.exists() and not _is_ours(label):
            others.append(label)
        if others:
            raise ConfigError(
                f"{others[0]} is there, and no earlier run of segment wrote it; "
                "give -o a folder of its own"
            )


def _mask_file(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}_mask_{number}.png"


def _masks_there(folder: Path, name: str) -> list[Path]:
    """Return the masks that an earlier run wrote, which are numbered without gaps."""
    return [*takewhile(Path.exists, (_mask_file(folder, name, i) for i in count(1)))]


def _is_ours(label: Path) -> bool:
    """Tell a record of ours, whose masks each hold their prompt, from other labels."""
    try:
        masks = json.loads(label.read_bytes())["annotations"]
        return bool(masks) and all("prompt" in mask for mask in masks)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def segmentation_record(
    image_id: str, file_name: str, size: tuple[int, int], masks: Sequence[PromptedMask]
) -> dict[str, Any]:
    """Build an image's SA-1B object, each annotation with its prompt as `--prompts` reads it."""
    crop = (0, 0, size[1], size[0])
    rows = [_Row(m.rle, m.predicted_iou, m.stability_score, (0.0, 0.0), crop) for m in masks]
    record = sa1b_record(image_id=image_id, file_name=file_name, size=size, masks=rows)
    for annotation, mask in zip(record["annotations"], masks, strict=True):
        coords, labels, box = mask.prompt.point_coords, mask.prompt.point_labels, mask.prompt.box
        annotation["point_coords"] = [] if coords is None else coords.tolist()
        annotation["prompt"] = {}
        if coords is not None and labels is not None:
            points = zip(coords.tolist(), labels.tolist(), strict=True)
            annotation["prompt"]["points"] = [[x, y, label] for (x, y), label in points]
        if box is not None:
            annotation["prompt"]["box"] = box.tolist()
        annotation |= mask.notes
    return record


@dataclass(frozen=True)
class _Row:
    """A mask as `sa1b_record` takes it; its one point is replaced by the whole prompt."""

    rle: Rle
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    crop_box: tuple[int, int, int, int]
