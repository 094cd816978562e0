"""`maskmill scribble train` and `predict`: strokes on a few images segment every image."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from maskmill.cli.options import (
    BackendName,
    JsonFlag,
    ModelName,
    OutFolder,
    Threads,
    counted,
    print_result,
    progress_bar,
    require,
    warn,
)
from maskmill.errors import ConfigError, ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskmill.scribble.classifier import PixelModel
    from maskmill.scribble.folder import Predicted, Source
    from maskmill.scribble.rules import RuleSet

CacheFolder = Annotated[
    Path | None,
    Parameter(
        name="--cache",
        help="Folder in which features are kept, so that the next time takes seconds.",
    ),
]
"""`--cache`, where features are computed."""


def scribble_app() -> App:
    """Put the verbs together."""
    app = App(name="scribble", help="Strokes on a few images segment every image.")
    app.command(train)
    app.command(predict)
    return app


def train(
    images: Path,
    /,
    *,
    out: OutFolder,
    strokes: Path,
    categories: Annotated[str | None, Parameter(show_default=False)] = None,
    cache: CacheFolder = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    threads: Threads = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a classifier of pixels from strokes; takes seconds.

    Args:
        images: The folder of the images that were drawn on.
        strokes: A JSON file of strokes, or a folder of PNGs named like their images, in which 0 is
            nothing and k the k-th category.
        categories: Names of the categories of PNGs, with commas; `background` makes no regions.
    """
    require("scribble", "sklearn", "onnx")
    from maskmill.scribble.classifier import save
    from maskmill.scribble.folder import train_on_pngs, train_on_scribbles
    from maskmill.scribble.strokes import read_scribbles

    source = source_of(model, backend, threads, cache)
    if strokes.is_dir():
        if categories is None:
            raise ConfigError(f"{strokes} holds PNGs; name their categories: --categories a,b,c")
        names = [name.strip() for name in categories.split(",")]
        trained = train_on_pngs(source, images, strokes, names)
    else:
        trained = train_on_scribbles(source, images, read_scribbles(strokes))
    save(trained, out)
    for line in trained.warnings:
        warn(line)
    result = {"model": out, "categories": trained.categories, "warnings": trained.warnings}
    text = f"{', '.join(trained.categories)}: trained, in {out}"
    print_result(result, as_json=as_json, text=text)


def predict(
    trained: Path,
    images: Path,
    /,
    *,
    out: OutFolder,
    rules: Path | None = None,
    full: Annotated[bool, Parameter(negative="")] = False,
    refine: Annotated[bool, Parameter(negative="")] = False,
    project: Path | None = None,
    cache: CacheFolder = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    threads: Threads = None,
    as_json: JsonFlag = False,
) -> int:
    """Segment images with a trained classifier, apply rules, and give a verdict.

    Writes, per image, a label map as PNG (the place of the category in the model's list, from 0;
    255 is none of them) and an overlay, which are named like the image without its suffix, or with
    it where two images differ in nothing else; `predictions.json`, the most doubtful image first;
    and the regions as COCO.

    Args:
        trained: A folder that `maskmill scribble train` wrote.
        images: A folder of images, or one.
        rules: A JSON file of rules; by default `rules.json` of the trained folder, if there is one.
        full: Classify every pixel instead of a grid of 128 cells; seconds per image.
        refine: Let the promptable model draw every region again.
        project: Add the regions to this project as annotations, with their origin.
    """
    from maskmill.drawn import photographs
    from maskmill.formats import Refused
    from maskmill.scribble.classifier import load
    from maskmill.scribble.folder import as_labelled, predict_images

    classifier = load(trained)
    source = source_of(model, backend, threads, cache)
    applied = rules_of(trained, rules, classifier)
    paths = photographs(images) if images.is_dir() else [images]
    told: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    labelled = []
    bases = bases_of(paths, out, images)
    with progress_bar("images", len(paths)) as advance:
        found = predict_images(source, classifier, paths, applied, full=full, refined=refine)
        for one in found:
            advance()
            if isinstance(one, Refused):
                refused.append({"image": str(one.path), "reason": one.reason})
                warn(one.reason)
                continue
            told.append(_write(bases[one.path], one, images))
            labelled.append(as_labelled(one, author=f"scribble:{trained.name}"))
            for line in one.shaped.warnings:
                warn(f"{one.path.name}: {line}")
    if not told:
        raise ImageError(f"none of {counted(len(refused), 'image')} could be used; see above")
    added = _export(out, labelled, project)
    told.sort(key=lambda record: -record["doubt"])
    result = {
        "images": told, "refused": refused, "categories": classifier.categories, "added": added,
    }  # fmt: skip
    (out / "predictions.json").write_text(
        json.dumps(result, indent=1, default=list) + "\n", "utf-8"
    )
    print_result(result, as_json=as_json, text=_summary(told, out, added))
    return 0


def source_of(model: str, backend: Any, threads: int | None, cache: Path | None) -> "Source":
    """Load the promptable model, and open the cache of features where one is named."""
    from maskmill.predict import Predictor
    from maskmill.scribble.features import FeatureCache
    from maskmill.scribble.folder import Source

    predictor = Predictor.load(model, backend=backend, threads=threads)
    return Source(predictor, None if cache is None else FeatureCache(cache))


def rules_of(trained: Path, rules: Path | None, model: "PixelModel") -> "RuleSet":
    """Read the rules that were named, or those of the trained folder, or none."""
    from maskmill.scribble.rules import RuleSet, read_rules

    own = trained / "rules.json"
    if rules is None and not own.is_file():
        return RuleSet()
    return read_rules(rules or own).for_categories(model.categories)


def bases_of(paths: "Sequence[Path]", out: Path, images: Path) -> dict[Path, Path]:
    """Return, per image, what the paths of its outputs begin with; their folders are made.

    Args:
        paths: The images.
        out: Where outputs go.
        images: The folder of the images, or the one.
    """
    root = images if images.is_dir() else images.parent
    names = {path: path.relative_to(root) for path in paths}
    stems = Counter(name.with_suffix("") for name in names.values())
    bases = {}
    for path, name in names.items():
        stem = name.with_suffix("")
        alone = stems[stem] == 1 and stem not in names.values()
        bases[path] = out / (stem if alone else name)
        bases[path].parent.mkdir(parents=True, exist_ok=True)
    return bases


def _write(base: Path, found: "Predicted", images: Path) -> dict[str, Any]:
    """Write one image's pictures, and return what is to be told of it."""
    from maskmill.drawn import picture_bytes
    from maskmill.scribble.pictures import overlay
    from maskmill.scribble.shaping import describe

    root = images if images.is_dir() else images.parent
    name = found.path.relative_to(root).as_posix()
    labels = found.labels().astype("uint8")  # without a background, -1 becomes 255
    base.with_name(base.name + ".labels.png").write_bytes(picture_bytes(labels, found.path.name))
    base.with_name(base.name + ".overlay.png").write_bytes(
        picture_bytes(overlay(found.pixels, found.shaped.regions), found.path.name)
    )
    return {
        "image": name,
        "doubt": round(found.doubt, 4),
        "regions": {n: int(r.max(initial=0)) for n, r in found.shaped.regions.items()},
        "share": {n: float((r > 0).mean()) for n, r in found.shaped.regions.items()},
        "rules": [describe(step) for step in found.shaped.steps],
        "passed": found.passed,
        "findings": [
            {"passed": f.passed, "value": f.value, "reason": f.reason} for f in found.findings
        ],
    }


def _export(out: Path, labelled: list[Any], project: Path | None) -> int | None:
    from maskmill.formats import write_coco

    write_coco(out / "regions.json", labelled, image_folder=_common(labelled))
    if project is None:
        return None
    from maskmill.exchange import import_labelled
    from maskmill.store import Project

    with Project(project) as opened:
        report = import_labelled(opened, labelled, name=f"scribble {out}", by="scribble")
    return report.masks


def _common(labelled: list[Any]) -> Path:
    import os

    return Path(os.path.commonpath([item.path.parent for item in labelled]))


def _summary(told: list[dict[str, Any]], out: Path, added: int | None) -> str:
    regions = sum(sum(record["regions"].values()) for record in told)
    lines = [f"{counted(regions, 'region')} in {counted(len(told), 'image')}, in {out}"]
    judged = [record["passed"] for record in told if record["passed"] is not None]
    if judged:
        lines.append(f"{sum(judged)} passed, {len(judged) - sum(judged)} failed")
    lines.append(f"next image worth a stroke: {told[0]['image']} (doubt {told[0]['doubt']:.2f})")
    if added is not None:
        lines.append(f"{counted(added, 'mask')} added to the project")
    return "\n".join(lines)
