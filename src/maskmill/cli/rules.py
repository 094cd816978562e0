"""`maskmill rules`: check a file of rules, try it on images, or have rules suggested."""

import json
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
    warn,
    warn_refused,
)
from maskmill.cli.scribble import CacheFolder, bases_of, source_of
from maskmill.errors import DatasetError

if TYPE_CHECKING:
    from maskmill.formats import LabelledImage
    from maskmill.scribble.classifier import PixelModel
    from maskmill.scribble.folder import Source
    from maskmill.scribble.suggest import Labelled


def rules_app() -> App:
    """Put the verbs together."""
    app = App(name="rules", help="Rules that make regions fit for use: check, apply, suggest.")
    app.command(check)
    app.command(apply)
    app.command(suggest)
    return app


def check(
    rules: Path,
    /,
    *,
    trained: Path | None = None,
    schema: Annotated[bool, Parameter(negative="")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say whether a file of rules can be applied, and what it asks for.

    Args:
        rules: The JSON file.
        trained: A folder that `maskmill scribble train` wrote; its categories must be meant.
        schema: Print the JSON Schema of such files too.
    """
    from maskmill.scribble.classifier import load
    from maskmill.scribble.rules import json_schema, read_rules

    found = read_rules(rules)
    if trained is not None:
        found.for_categories(load(trained).categories)
    count = sum(len(each) for each in found.categories.values())
    text = f"{rules}: {counted(count, 'rule')}, {counted(len(found.decisions), 'decision')}; sound"
    result: dict[str, Any] = {"rules": count, "decisions": len(found.decisions)}
    if schema:
        result["schema"] = json_schema()
        text += "\n" + json.dumps(json_schema(), indent=1)
    print_result(result, as_json=as_json, text=text)


def apply(
    rules: Path,
    trained: Path,
    images: Path,
    /,
    *,
    out: OutFolder,
    cache: CacheFolder = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    threads: Threads = None,
    as_json: JsonFlag = False,
) -> None:
    """Draw what rules do to images: what they removed in red, what they added in green.

    Args:
        rules: The JSON file.
        trained: A folder that `maskmill scribble train` wrote.
        images: A folder of images, or one.
    """
    from maskmill.drawn import photographs, picture_bytes
    from maskmill.scribble.classifier import load
    from maskmill.scribble.folder import predict_image
    from maskmill.scribble.pictures import overlay
    from maskmill.scribble.rules import read_rules
    from maskmill.scribble.shaping import describe

    classifier = load(trained)
    applied = read_rules(rules).for_categories(classifier.categories)
    source = source_of(model, backend, threads, cache)
    paths = photographs(images) if images.is_dir() else [images]
    bases = bases_of(paths, out, images)
    told: list[dict[str, Any]] = []
    for path in paths:
        found = predict_image(source, classifier, path, applied)
        picture = overlay(found.pixels, found.shaped.regions, found.shaped.steps)
        base = bases[path]
        base.with_name(base.name + ".rules.png").write_bytes(picture_bytes(picture, path.name))
        steps = [describe(step) for step in found.shaped.steps]
        told.append({"image": path.name, "rules": steps, "passed": found.passed})
        for line in found.shaped.warnings:
            warn(f"{path.name}: {line}")
    removed = sum(step["removed"] for each in told for step in each["rules"])
    text = f"{counted(len(told), 'image')} in {out}; {removed} pixels were removed"
    print_result({"images": told}, as_json=as_json, text=text)


def suggest(
    trained: Path,
    dataset: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    limit: int = 20,
    cache: CacheFolder = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    threads: Threads = None,
    as_json: JsonFlag = False,
) -> None:
    """Search rules that raise IoU on labelled images, cross-validated; none if none does.

    What is found stands in place of its category's rules; all other rules and the decisions of the
    file stay as they are.

    Args:
        trained: A folder that `maskmill scribble train` wrote.
        dataset: Labelled images in any form that `maskmill import` reads.
        out: File to write, or to change where it is one already; by default `rules.json` in the
            trained folder.
        limit: Use at most so many images.
    """
    from maskmill.formats import even_sample, read_dataset
    from maskmill.scribble.classifier import load
    from maskmill.scribble.rules import RuleSet, read_rules, write_rules
    from maskmill.scribble.suggest import as_rules
    from maskmill.scribble.suggest import suggest as search

    classifier = load(trained)
    path = out or trained / "rules.json"
    before = read_rules(path) if path.is_file() else RuleSet()
    source = source_of(model, backend, threads, cache)
    found = read_dataset(dataset)
    warn_refused(found.refused)
    chosen = even_sample(found.images, limit)
    with progress_bar("images", len(chosen)) as advance:
        cases = []
        for image in chosen:
            cases.append(_case(source, classifier, image))
            advance()
    suggestions = search(cases, classifier.categories)
    categories = before.categories | as_rules(suggestions).categories
    write_rules(path, RuleSet(categories=categories, decisions=before.decisions))
    told = [
        {"category": s.category, "before": s.before, "after": s.after, "rules": len(s.rules)}
        for s in suggestions
    ]
    lines = [
        f"{s.category}: IoU {s.before:.3f} without rules, {s.after:.3f} with "
        f"{counted(len(s.rules), 'rule')} (images that the search did not see)"
        for s in suggestions
    ]
    print_result({"rules": path, "categories": told}, as_json=as_json,
                 text="\n".join([*lines, f"written to {path}"]))  # fmt: skip


def _case(source: "Source", model: "PixelModel", image: "LabelledImage") -> "Labelled":
    """Predict a labelled image, and draw its labels by the model's categories."""
    from maskmill.scribble.checking import truth_of
    from maskmill.scribble.classifier import at_size, predict
    from maskmill.scribble.suggest import Labelled

    _, features = source.read(image.path)
    if features.size != image.size:
        raise DatasetError(f"{image.path} has another size than its labels; label it again")
    masks = [(mask.category, mask.rle) for mask in image.annotations]
    labels = truth_of(masks, model.categories, image.size)
    return Labelled(probabilities=at_size(predict(model, features), image.size), labels=labels)
