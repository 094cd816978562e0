"""`maskmill automask`: everything mode over a folder."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from maskmill.cli.options import (
    BackendName,
    ConfigFile,
    JsonFlag,
    ModelName,
    OutFolder,
    Workers,
    print_result,
    processes,
    progress_bar,
    warn,
)
from maskmill.config import AutomaskConfig
from maskmill.errors import ImageError, NotFound


def automask(
    folder: Path,
    /,
    *,
    out: OutFolder,
    overlays: Annotated[bool, Parameter(negative="")] = False,
    workers: Workers = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    config: ConfigFile = None,
    settings: Annotated[
        AutomaskConfig, Parameter(name="*", negative_iterable=())
    ] = AutomaskConfig(),  # noqa: B008, frozen
    as_json: JsonFlag = False,
) -> None:
    """Find every mask in every photograph of a folder.

    Writes SA-1B JSON. A bad file never stops it; killed at any moment, the same command goes on
    with the photographs that are not done.

    Args:
        folder: The photographs; folders inside are searched too.
        overlays: Also write a picture of the masks per photograph.
    """
    from maskmill.automask import automask_folder
    from maskmill.predict import Predictor

    size = processes(workers)
    report = automask_folder(
        folder,
        out,
        settings,
        load=partial(Predictor.load, model, backend=backend, threads=1),
        workers=0 if size == 1 else size,
        progress=sys.stderr.isatty(),
    )
    for name, reason in report.failed:
        warn(f"left out: {name}: {reason}")
    if not report.images:
        raise NotFound(f"{folder} holds no photograph; name a folder of image files")
    if len(report.failed) == report.images:
        raise ImageError(
            f"none of {report.images} photographs could be used; see {out}/errors.jsonl"
        )
    if report.done and not report.masks:
        warn("no mask passed; lower --pred-iou-thresh and --stability-score-thresh")
    if overlays:
        _draw_overlays(folder, out)
    result = {
        "out": out,
        "images": report.images,
        "done": report.done,
        "already_done": report.already_done,
        "masks": report.masks,
        "failed": [{"image": name, "reason": reason} for name, reason in report.failed],
    }
    text = f"{report.masks} masks of {report.done} photographs in {out}"
    if report.already_done:
        text += f"; {report.already_done} were done before"
    print_result(result, as_json=as_json, text=text)


def _draw_overlays(folder: Path, out: Path) -> None:
    """Draw the masks of every photograph that has some and no picture of them yet."""
    from PIL import Image

    from maskmill.images import list_images, read_image
    from maskmill.overlay import draw_masks
    from maskmill.rle import Rle

    names = [path.relative_to(folder).as_posix() for path in list_images(folder)]
    left = [n for n in names if (out / f"{n}.json").exists() and not (out / f"{n}.png").exists()]
    with progress_bar("overlays", len(left)) as advance:
        for name in left:
            annotations = json.loads((out / f"{name}.json").read_bytes())["annotations"]
            masks = [Rle.from_json(annotation["segmentation"]) for annotation in annotations]
            Image.fromarray(draw_masks(read_image(folder / name), masks)).save(out / f"{name}.png")
            advance()
