"""`maskmill segment`: masks of what points and boxes ask for."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from maskmill.cli.options import (
    BackendName,
    JsonFlag,
    ModelName,
    OutFolder,
    Threads,
    counted,
    print_result,
    warn,
)
from maskmill.errors import ImageError, MaskmillError, NotFound, PromptError

STANDARD_INPUT = Path("-")

if TYPE_CHECKING:
    from maskmill.formats.prompts import NamedPrompt
    from maskmill.predict import Predictor


def segment(
    image: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    out: OutFolder,
    point: Annotated[
        Sequence[str], Parameter(negative="", allow_leading_hyphen=True, show_default=False)
    ] = (),
    box: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    prompts: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    all_candidates: Annotated[bool, Parameter(negative="")] = False,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    threads: Threads = None,
    as_json: JsonFlag = False,
) -> None:
    """Cut objects out of a photograph, or out of each photograph of a folder.

    All points and the box given here ask for one object; many objects come from a file of prompts.
    Per photograph: a PNG per mask, an overlay, and SA-1B JSON.

    Args:
        image: A photograph, a folder of photographs, or - for a photograph on standard input.
        point: A point x,y on the object, or x,y,0 not on it; pixels; may be given again.
        box: A box x0,y0,x1,y1 round the object; pixels; x1 and y1 are the first outside.
        prompts: A JSON file of points and boxes, ours or COCO's, or - for standard input.
        all_candidates: Write all three candidates of every prompt, best first.
    """
    from maskmill.predict import Predictor
    from maskmill.segment import refuse_others

    asked = _asked(point, box, prompts, image)
    photographs, missing = _photographs(image, asked)
    refuse_others(out, photographs.values())
    predictor = Predictor.load(model, backend=backend, threads=threads)
    done, refused = _segment_all(predictor, photographs, asked, out, all_candidates)
    reason = f"a prompt is for it, and it is not in {image}"
    refused += [{"image": name, "reason": reason} for name in missing]
    result = {"images": done, "refused": refused}
    if missing:
        first = ", ".join(missing[:5]) + ", ..." * (len(missing) > 5)
        warn(f"prompts for {counted(len(missing), 'photograph')} not in {image}: {first}")
    masks = sum(len(record["annotations"]) for record in done)
    text = f"{counted(masks, 'mask')} of {counted(len(done), 'photograph')} in {out}"
    if not done:
        tried = counted(len(refused), "photograph")
        raise ImageError(f"none of {tried} could be used; the reasons are above")
    print_result(result, as_json=as_json, text=text)


def _asked(
    points: Sequence[str], box: str | None, prompts: Path | None, image: Path
) -> "list[NamedPrompt]":
    """Return every prompt of the command line."""
    from maskmill.formats.prompts import parse_prompts

    asked = [_of_options(points, box)] if points or box is not None else []
    if prompts == STANDARD_INPUT and image == STANDARD_INPUT:
        raise PromptError("the photograph and the prompts cannot both be standard input")
    if prompts is not None:
        asked += parse_prompts(_read(prompts), where=str(prompts))
    if not asked:
        raise PromptError(
            "nothing is asked for; give --point x,y or --box x0,y0,x1,y1 or --prompts"
        )
    return asked


def _of_options(points: Sequence[str], box: str | None) -> "NamedPrompt":
    """Return the one prompt that all points and the box ask for together."""
    from maskmill.formats.prompts import NamedPrompt
    from maskmill.values import Prompt, box_prompt, point_prompt

    coords = point_prompt(*map(_point, points)) if points else None
    frame = None if box is None else box_prompt(*_numbers(box, "--box", "x0,y0,x1,y1", (4,)))
    prompt = Prompt(
        point_coords=coords.point_coords if coords else None,
        point_labels=coords.point_labels if coords else None,
        box=frame.box if frame else None,
    )
    where = " and ".join(["--point"] * bool(points) + ["--box"] * (box is not None))
    return NamedPrompt(prompt=prompt, where=where)


def _point(text: str) -> tuple[float, float] | tuple[float, float, int]:
    numbers = _numbers(text, "--point", "x,y or x,y,0", (2, 3))
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    if numbers[2] not in (0, 1):
        raise PromptError(f"--point {text}: the label is 1 for the object or 0 for what is not")
    return numbers[0], numbers[1], int(numbers[2])


def _numbers(text: str, option: str, form: str, counts: tuple[int, ...]) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts or not all(map(math.isfinite, numbers)):
        given = f"{option} {text}" if text.strip() else f"{option} is empty"
        raise PromptError(f"{given}: give {form}, finite numbers without spaces")
    return numbers


def _read(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {path}: {error.strerror}; check the path") from error


def _photographs(image: Path, asked: "list[NamedPrompt]") -> tuple[dict[Path, str], list[str]]:
    """Return the photographs that something is asked of, and what their files are called.

    And the names of photographs that prompts are for and that a folder does not hold; of a single
    photograph, a file of prompts may well tell more than is asked.
    """
    from maskmill.drawn import photographs

    if image == STANDARD_INPUT:
        return {image: "image"}, []
    if not image.exists():
        raise NotFound(f"{image} does not exist; give a photograph or a folder of photographs")
    everything = photographs(image) if image.is_dir() else [image]
    if not everything:
        raise NotFound(f"{image} holds no photograph; name a photograph or a folder of them")
    wanted = [path for path in everything if any(a.is_for(path) for a in asked)]
    if not wanted:
        raise NotFound(f"no prompt is for a photograph of {image}; prompts name it under `image`")
    folder = image if image.is_dir() else image.parent
    bare = [path.relative_to(folder).with_suffix("").as_posix() for path in wanted]
    # a.jpg and a.png keep their endings, so that neither overwrites the other's masks.
    named = {
        path: name if bare.count(name) == 1 else path.relative_to(folder).as_posix()
        for path, name in zip(wanted, bare, strict=True)
    }
    return named, _missing(asked, everything) if image.is_dir() else []


def _missing(asked: "list[NamedPrompt]", photographs: list[Path]) -> list[str]:
    """Return the photographs that prompts are for and that are not there, each once."""
    names: set[str | int] = {name for path in photographs for name in (path.name, path.stem)}
    names |= {int(path.stem) for path in photographs if path.stem.isdecimal()}
    wanted = [a.image for a in asked if a.image is not None]
    absent = [w for w in wanted if (w if isinstance(w, int) else Path(w).name) not in names]
    return list(dict.fromkeys(map(str, absent)))


def _segment_all(
    predictor: "Predictor",
    photographs: dict[Path, str],
    asked: "list[NamedPrompt]",
    out: Path,
    all_candidates: bool,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Segment photographs one by one; what cannot be used is named and left out."""
    from maskmill.images import open_image
    from maskmill.segment import segment as answer
    from maskmill.segment import write_segmentation

    done: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    for path, name in photographs.items():
        try:
            opened = open_image(_read(path) if path == STANDARD_INPUT else path)
            wanted = [a for a in asked if path == STANDARD_INPUT or a.is_for(path)]
            masks = answer(predictor, opened.array, wanted, all_candidates=all_candidates)
            file_name = "standard input" if path == STANDARD_INPUT else path.name
            record = write_segmentation(
                out, name, file_name=file_name, image=opened.array, masks=masks
            )
        except MaskmillError as error:
            if len(photographs) == 1:
                raise
            # What is wrong with a photograph names it; what is wrong with a prompt does not.
            reason = str(error) if str(path) in str(error) else f"{path}: {error}"
            refused.append({"image": str(path), "reason": reason})
            warn(reason)
            continue
        for note in opened.notes:
            warn(f"{path}: {note}")
        done.append(record)
    return done, refused
