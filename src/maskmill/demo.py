"""The demonstration: everything mode and a few prompts on photographs that scikit-image ships.

Downloads nothing. Writes SA-1B JSON, overlays and one gallery page.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from maskmill import rle
from maskmill.automask import automask
from maskmill.config import AutomaskConfig, SettledAutomaskConfig
from maskmill.errors import NotFound
from maskmill.exchange import import_dataset
from maskmill.formats.prompts import NamedPrompt
from maskmill.formats.sa1b import write_sa1b
from maskmill.gallery import Figure, Section, write_gallery
from maskmill.overlay import draw_masks, draw_prompts
from maskmill.predict import Predictor
from maskmill.segment import PromptedMask, segment, write_segmentation
from maskmill.store import Create, Made, Project, is_project
from maskmill.values import Prompt, box_prompt, point_prompt


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A photograph and the prompts to show on it."""

    name: str
    """Its name in `skimage.data`."""
    title: str
    """What it shows."""
    prompts: tuple[tuple[str, Prompt], ...]
    """Prompts, each with what it asks for."""


SCENES = (
    Scene(
        name="astronaut",
        title="Astronaut",
        prompts=(
            ("one point on the suit", point_prompt((100, 310))),
            ("a box round the helmet", box_prompt(278, 342, 508, 512)),
        ),
    ),
    Scene(
        name="chelsea",
        title="Cat",
        prompts=(
            ("one point on an eye", point_prompt((172, 113))),
            ("a box round the nose", box_prompt(228, 218, 296, 268)),
        ),
    ),
    Scene(
        name="coffee",
        title="Coffee",
        prompts=(
            ("a point on the saucer, none of the spoon", point_prompt((115, 260), (364, 275, 0))),
            ("a box round the cup", box_prompt(170, 14, 412, 240)),
        ),
    ),
    Scene(
        name="rocket",
        title="Rocket",
        prompts=(
            ("one point on the sky", point_prompt((120, 120))),
            ("a box round the rocket", box_prompt(303, 124, 337, 408)),
        ),
    ),
    Scene(
        name="stereo_motorcycle",
        title="Motorcycle",
        prompts=(
            ("one point on the tank", point_prompt((375, 225))),
            ("a box round the motorcycle", box_prompt(90, 100, 690, 454)),
        ),
    ),
    Scene(
        name="coins",
        title="Coins",
        prompts=(
            ("one point on a coin", point_prompt((45, 122))),
            ("a box round another", box_prompt(310, 153, 381, 221)),
        ),
    ),
)
"""Photographs that lie in scikit-image's wheel itself; its others would be downloaded."""


COINS = (
    ((0, 85), (126, 248)),
    ((85, 150), (128, 236)),
    ((150, 225), (130, 244)),
    ((225, 303), (140, 272)),
)
"""Rows of the photograph of coins, each with the columns at which it is cut: two coins a piece."""
COIN_GREY = (30, 150)
"""Certainly ground, and certainly coin."""
COIN_PIXELS = 100
COINS_HELD_OUT = 4
"""Every fourth piece judges models and teaches none."""
LABELLED = Made(made_by="model", author="watershed", stage="imported")


def run_demo(
    out: Path,
    predictor: Predictor,
    config: AutomaskConfig | None = None,
    *,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Segment the photographs and write everything to a folder.

    Args:
        out: The folder; it is made if it is missing.
        predictor: The model.
        config: Everything mode's settings; with the model's own thresholds by default.
        progress: Called with one line per photograph.

    Returns:
        The page's path under `gallery`, and per photograph its name, masks and seconds.

    Raises:
        NotFound: If scikit-image is not installed.
    """
    settings = (config or AutomaskConfig()).for_model(predictor.config)
    out.mkdir(parents=True, exist_ok=True)
    sections, photographs = [], []
    for scene, image in load_scenes():
        section, facts = _show(out, predictor, scene, image, settings)
        sections.append(section)
        photographs.append(facts)
        progress(f"{scene.name}: {facts['automask']} masks in {facts['seconds']:.1f} s")
    page = out / "index.html"
    write_gallery(
        page,
        title="maskmill: photographs into masks",
        lead=_lead(predictor, settings),
        sections=sections,
        footer="Photographs: scikit-image's own, listed with their sources in its documentation.",
    )
    return {"gallery": page, "model": predictor.model_id, "photographs": photographs}


def make_sample(out: Path, predictor: Predictor) -> Path:
    """Write the photographs to a folder and make a project of them, with the prompted masks.

    Beside them lie pieces of the photograph of coins, with masks of every coin: enough for a real
    round of the data engine. A project that is there already is left as it is.

    Args:
        out: Where the folder `photographs` is made, and beside it `photographs.maskmill`.
        predictor: The model that makes the masks.

    Returns:
        The folder of the photographs.

    Raises:
        NotFound: If scikit-image is not installed.
    """
    folder = out.absolute() / "photographs"
    home = folder.with_name(f"{folder.name}.maskmill")
    if is_project(home):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for scene, image in load_scenes():
        Image.fromarray(image).save(folder / f"{scene.name}.png")
    coins = _write_coins(folder)
    with Project.create(home, name="photographs") as project:
        import_dataset(project, folder, by=predictor.model_id)
        for place, (path, found) in enumerate(coins.items()):
            (row,) = project.images.by_path([path]).values()
            project.images.describe(row.id, split="train" if place % COINS_HELD_OUT else "val")
            labels = [Create(image_id=row.id, rle=coin, made=LABELLED) for coin in found]
            project.annotations.apply(f"demo/{row.id}", labels, by=LABELLED.author)
        known = project.models.add(predictor.model_id, name=predictor.config.name)
        for scene, image in load_scenes():
            (row,) = project.images.by_path([str(folder / f"{scene.name}.png")]).values()
            made = segment(predictor, image, [NamedPrompt(prompt=p) for _, p in scene.prompts])
            masks = [_sample_mask(row.id, mask, predictor.model_id, known.id) for mask in made]
            project.annotations.apply(f"demo/{scene.name}", masks, by=predictor.model_id)
    return folder


def _write_coins(folder: Path) -> dict[str, list[rle.Rle]]:
    """Cut the photograph of coins into pieces; returns the coins of each, by the file's path.

    The coins are found as scikit-image's own example finds them: a watershed on the edges.
    """
    from scipy import ndimage
    from skimage import data
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    grey = data.coins()
    markers = np.select([grey < COIN_GREY[0], grey > COIN_GREY[1]], [1, 2], 0)
    inside = ndimage.binary_fill_holes(watershed(sobel(grey), markers) == 2)
    objects, _ = ndimage.label(inside)
    found: dict[str, list[rle.Rle]] = {}
    for (top, bottom), columns in COINS:
        for left, right in pairwise((0, *columns, grey.shape[1])):
            here = objects[top:bottom, left:right]
            masks = [here == number for number in np.unique(here[here > 0])]
            path = folder / f"coins-{len(found) + 1:02d}.png"
            Image.fromarray(grey[top:bottom, left:right]).save(path)
            found[str(path)] = [rle.encode(mask) for mask in masks if mask.sum() > COIN_PIXELS]
    return found


def _sample_mask(image_id: int, mask: PromptedMask, author: str, model: int) -> Create:
    made = Made(
        made_by="model",
        author=author,
        stage="automatic",
        model_id=model,
        predicted_iou=mask.predicted_iou,
    )
    return Create(image_id=image_id, rle=mask.rle, made=made)


def load_scenes() -> Iterator[tuple[Scene, UInt8[np.ndarray, "h w 3"]]]:
    """Yield the photographs, one at a time.

    Raises:
        NotFound: If scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise NotFound(
            "scikit-image, which ships the photographs, is not installed; "
            "run `pip install 'maskmill[demo]'`, or segment a photograph of your own"
        ) from error
    for scene in SCENES:
        pixels = getattr(data, scene.name)()
        image = np.asarray(pixels[0] if isinstance(pixels, tuple) else pixels)
        yield (
            scene,
            np.ascontiguousarray(
                np.broadcast_to(image[..., None], (*image.shape, 3)) if image.ndim == 2 else image
            ),
        )


def _show(
    out: Path,
    predictor: Predictor,
    scene: Scene,
    image: UInt8[np.ndarray, "h w 3"],
    settings: AutomaskConfig,
) -> tuple[Section, dict[str, Any]]:
    """Segment one photograph, write its files, and return its part of the page."""
    prompts = [prompt for _, prompt in scene.prompts]
    start = time.perf_counter()
    automatic = automask(predictor, image, settings)
    seconds = time.perf_counter() - start
    everything = draw_masks(image, [mask.rle for mask in automatic])
    folder = out / "everything"
    folder.mkdir(exist_ok=True)
    Image.fromarray(image).save(folder / f"{scene.name}.png")
    Image.fromarray(everything).save(folder / f"{scene.name}_overlay.png")
    write_sa1b(
        folder / f"{scene.name}.json",
        image_id=scene.name,
        file_name=f"{scene.name}.png",
        size=(image.shape[0], image.shape[1]),
        masks=automatic,
    )
    prompted = segment(predictor, image, [NamedPrompt(prompt=prompt) for prompt in prompts])
    write_segmentation(
        out / "prompts", scene.name, file_name=f"{scene.name}.png", image=image, masks=prompted
    )
    figures = [
        Figure(image=image, caption="The photograph."),
        Figure(
            image=everything,
            caption=f"Everything mode: {len(automatic)} masks in {seconds:.1f} s.",
        ),
        *(
            _answer(image, asked, mask)
            for (asked, _), mask in zip(scene.prompts, prompted, strict=True)
        ),
    ]
    height, width = image.shape[:2]
    section = Section(title=scene.title, facts=f"{width} × {height} pixels", figures=tuple(figures))
    return section, {"name": scene.name, "automask": len(automatic), "seconds": round(seconds, 3)}


def _answer(image: UInt8[np.ndarray, "h w 3"], asked: str, mask: PromptedMask) -> Figure:
    drawn = draw_prompts(draw_masks(image, [mask.rle]), [mask.prompt])
    return Figure(
        image=drawn,
        caption=f"{asked[0].upper()}{asked[1:]}; predicted IoU {mask.predicted_iou:.2f}.",
    )


def _lead(predictor: Predictor, settings: SettledAutomaskConfig) -> list[str]:
    side = settings.points_per_side
    return [
        f"Made by `maskmill demo` with the model `{predictor.model_id}` on "
        f"{_runtime(predictor)}. Beside each photograph: every mask that a grid of {side} × {side} "
        f"points finds (predicted IoU above {settings.pred_iou_thresh:g}, stability at least "
        f"{settings.stability_score_thresh:g}), then single masks asked for by points and boxes.",
        "Green points are on the object, red ones are not, amber is a box. The masks lie beside "
        "this page as SA-1B JSON, in `everything/` and `prompts/`.",
    ]


def _runtime(predictor: Predictor) -> str:
    return {"onnx": "ONNX Runtime", "torch": "PyTorch"}[predictor.backend_name]
