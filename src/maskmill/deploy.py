"""A trained classifier as a folder that can be carried away: models, rules, card, client.

The folder holds data and one script; whoever has it needs `pip install maskmill` and nothing of the
project. `Deployment.answer` says of an image's bytes what `maskmill scribble predict` says of the
file, because it is the same code on the same files; `verify` makes sure that they are the same.
"""

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from maskmill import __version__, rle
from maskmill.durable import write_atomically
from maskmill.errors import CheckpointError, NotFound, StoreError
from maskmill.predict import Predictor
from maskmill.scribble.classifier import PixelModel, load
from maskmill.scribble.folder import Source, as_labelled, predict_bytes
from maskmill.scribble.rules import RuleSet, read_rules, write_rules
from maskmill.weights import model_folder

CARD, CLASSIFIER, ENCODER, RULES, CLIENT = (
    "deployment.json", "classifier", "encoder", "rules.json", "client.py",
)  # fmt: skip
VERSION = 1
"""Of the form of the folder."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Deployment:
    """A deployed folder, loaded; safe to ask from several threads.

    Attributes:
        card: What stands on it.
        source: The promptable model.
        model: The classifier.
        rules: What is applied to every image.
    """

    card: dict[str, Any]
    source: Source
    model: PixelModel
    rules: RuleSet

    def answer(self, image: bytes) -> dict[str, Any]:
        """Return regions, verdict and timing of one image, in JSON's types.

        Masks are COCO run lengths at the image's own size.

        Raises:
            ImageError: If the bytes cannot be used as an image.
        """
        began = time.perf_counter()
        found = predict_bytes(self.source, self.model, image, self.rules)
        masks = [
            {
                "category": mask.category,
                "certainty": mask.attributes["certainty"],
                "area": rle.area(mask.rle),
                "segmentation": {
                    "size": list(mask.rle.size),
                    "counts": mask.rle.counts.decode("ascii"),
                },
            }
            for mask in as_labelled(found).annotations
        ]
        return {
            "size": list(found.pixels.shape[:2]),
            "masks": masks,
            "doubt": found.doubt,
            "passed": found.passed,
            "findings": [
                {"passed": f.passed, "value": f.value, "reason": f.reason} for f in found.findings
            ],
            "warnings": list(found.shaped.warnings),
            "seconds": time.perf_counter() - began,
        }


def deploy(trained: Path, out: Path, *, model: str | Path, rules: RuleSet) -> dict[str, Any]:
    """Write a deployment.

    Args:
        trained: A folder that `scribble.classifier.save` wrote.
        out: A new or empty folder.
        model: The promptable model that it was trained with.
        rules: What is to be applied.

    Returns:
        The card.

    Raises:
        StoreError: If `out` is not empty.
        CheckpointError: If `model` is not the one that the classifier was trained with.
    """
    if out.exists() and any(out.iterdir()):
        raise StoreError(f"{out} is not empty; name a new folder for the deployment")
    classifier, source = load(trained), model_folder(model)
    predictor = Predictor.load(source, backend="onnx", threads=1)
    if classifier.model_id != predictor.model_id:
        raise CheckpointError(
            f"{trained} was trained with model {classifier.model_id}, {model} is "
            f"{predictor.model_id}; name the model it was trained with"
        )
    rules.for_categories(classifier.categories)
    shutil.copytree(source, out / ENCODER, ignore=shutil.ignore_patterns("__*", "*.py"))
    shutil.copytree(trained, out / CLASSIFIER, ignore=shutil.ignore_patterns(RULES))
    write_rules(out / RULES, rules)
    (out / CLIENT).write_bytes(resources.files("maskmill").joinpath("client.py").read_bytes())
    card = {
        "kind": "maskmill deployment",
        "version": VERSION,
        "maskmill": __version__,
        "categories": list(classifier.categories),
        "model_id": classifier.model_id,
        "files": _hashes(out),
    }
    # Last: a folder without a card is one that was not finished.
    write_atomically(out / CARD, json.dumps(card, indent=1).encode() + b"\n")
    return card


def load_deployment(folder: Path, *, threads: int | None = None) -> Deployment:
    """Load a deployed folder, after a look at every file's hash.

    Raises:
        NotFound: If it is none.
        CheckpointError: If a file is missing or another than was deployed.
    """
    if not (folder / CARD).is_file():
        raise NotFound(f"{folder} holds no {CARD}; write one with `maskmill deploy`")
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
        expected, version = dict(card["files"]), card["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / CARD} is damaged ({error!r}); deploy again") from error
    if version != VERSION:
        raise CheckpointError(f"{folder} is of version {version}, not {VERSION}; deploy again")
    differing = sorted(set(expected.items()) ^ set(_hashes(folder).items()))
    if differing:
        raise CheckpointError(
            f"{folder / differing[0][0]} is not the file that was deployed; deploy again"
        )
    predictor = Predictor.load(folder / ENCODER, backend="onnx", threads=threads)
    return Deployment(
        card=card,
        source=Source(predictor),
        model=load(folder / CLASSIFIER, threads=threads or 1),
        rules=read_rules(folder / RULES),
    )


def _hashes(folder: Path) -> dict[str, str]:
    """Hash every file of a deployment but its card and what Python leaves behind."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != CARD and "__pycache__" not in name:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
