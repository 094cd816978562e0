"""What was trained as a folder that can be carried away: models, rules, card, client.

The folder holds data and one script; whoever has it needs `pip install maskmill` and nothing of the
project. Two things are deployed: a classifier of strokes, which answers what `maskmill scribble
predict` says of the file, and a project's model with its heads, which answers what `maskmill label`
would store. It is the same code on the same files; their hashes make sure that they are the same.

    python -m maskmill.deploy PROJECT OUT PRECISION

is the child process in which a server deploys a project's model: the hold-out takes minutes.
"""

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from maskmill import __version__, rle
from maskmill.automask.folder import Find
from maskmill.config import AutomaskConfig
from maskmill.durable import write_atomically
from maskmill.engine.calibration import stage_three
from maskmill.engine.categories import Categoriser
from maskmill.engine.children import as_child
from maskmill.engine.head_files import FOLDERS
from maskmill.engine.heads import Heads, open_heads
from maskmill.engine.labelling import DATA_ENGINE, LabelSettings, find_masks
from maskmill.engine.lineage import current_model, model_path
from maskmill.engine.proposals import PRECISION
from maskmill.errors import CheckpointError, ConfigError, NotFound, StoreError
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.scribble.classifier import PixelModel, load
from maskmill.scribble.folder import Source, as_labelled, predict_bytes
from maskmill.scribble.rules import RuleSet, Split, read_rules, write_rules
from maskmill.store import Project
from maskmill.weights import model_folder, model_id_of, read_card

CARD, CLASSIFIER, ENCODER, RULES, CLIENT = (
    "deployment.json", "classifier", "encoder", "rules.json", "client.py",
)  # fmt: skip
HEADS, SETTINGS = "heads", "labelling.json"
FLOODING = "maskmill[regions]"
"""What is installed where regions are flooded with scikit-image, which few need otherwise."""
NOT_CARRIED = ("__*", "*.py")
"""Of a model's folder: what makes an embedded one a Python package."""
VERSION = 1
"""Of the form of the folder."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DeployedClassifier:
    """A deployed classifier of strokes, loaded; safe to ask from several threads.

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
            _mask(mask.rle, mask.category, mask.attributes["certainty"])
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


@dataclass(frozen=True, eq=False, kw_only=True)
class DeployedModel:
    """A project's deployed model with its heads, loaded; safe to ask from several threads.

    Attributes:
        card: What stands on it.
        predictor: The promptable model.
        heads: What proposes and names masks.
        settings: Which ways propose, and from which score their masks are kept.
    """

    card: dict[str, Any]
    predictor: Predictor
    heads: Heads
    settings: LabelSettings

    def answer(self, image: bytes) -> dict[str, Any]:
        """Return masks and timing of one image; see `DeployedClassifier.answer`."""
        began = time.perf_counter()
        pixels = read_image(image)
        found = find_masks(self.predictor, pixels, self.settings, self.heads)
        return {
            "size": list(pixels.shape[:2]),
            "masks": [_mask(mask.rle, mask.category, mask.score) for mask in found],
            "doubt": None,
            "passed": None,
            "findings": [],
            "warnings": [],
            "seconds": time.perf_counter() - began,
        }


Deployment = DeployedClassifier | DeployedModel


@dataclass(frozen=True)
class DeployedFinder:
    """A deployed model of a project, as `maskmill.automask.label_folder` takes it.

    Attributes:
        folder: What `deploy_project` wrote.
    """

    folder: Path

    def plan(self) -> dict[str, Any]:
        """Return which deployment it is: its card holds the hash of every file."""
        self.load()  # what is missing or damaged is one error here, and not one per worker
        return {"deployment": _hash(self.folder / CARD)}

    def load(self) -> Find:
        """Load the model and its heads.

        Raises:
            ConfigError: If it is a classifier of strokes.
        """
        deployed = load_deployment(self.folder, threads=1)
        if not isinstance(deployed, DeployedModel):
            raise ConfigError(
                f"{self.folder} is a classifier of strokes, which tells pixels apart; ask it with "
                "`maskmill scribble predict` or `maskmill serve-model`"
            )
        return partial(
            find_masks, deployed.predictor, settings=deployed.settings, heads=deployed.heads
        )


def _mask(mask: Rle, category: str | None, certainty: float) -> dict[str, Any]:
    return {
        "category": category,
        "certainty": float(certainty),
        "area": rle.area(mask),
        "segmentation": {"size": list(mask.size), "counts": mask.counts.decode("ascii")},
    }


def deploy(trained: Path, out: Path, *, model: str | Path, rules: RuleSet) -> dict[str, Any]:
    """Write a classifier's deployment.

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
    _refuse_full(out)
    classifier, source = load(trained), model_folder(model)
    predictor = Predictor.load(source, backend="onnx", threads=1)
    if classifier.model_id != predictor.model_id:
        raise CheckpointError(
            f"{trained} was trained with model {classifier.model_id}, {model} is "
            f"{predictor.model_id}; name the model it was trained with"
        )
    rules.for_categories(classifier.categories)
    shutil.copytree(source, out / ENCODER, ignore=shutil.ignore_patterns(*NOT_CARRIED))
    shutil.copytree(trained, out / CLASSIFIER, ignore=shutil.ignore_patterns(RULES))
    write_rules(out / RULES, rules)
    needed = FLOODING if _splits(rules) else "maskmill"
    return _finish(out, "classifier", classifier.categories, classifier.model_id, install=needed)


def deploy_project(
    project: Project,
    out: Path,
    *,
    precision: float = PRECISION,
    grid: AutomaskConfig = DATA_ENGINE,
) -> dict[str, Any]:
    """Write a deployment of a project's model, with what labels images in stage 3.

    Args:
        project: Open for reading or writing.
        out: A new or empty folder.
        precision: Share of the masks that has to be right, on the hold-out; where it cannot be had,
            the card says what is, in words.
        grid: Everything mode's settings, where that way is one of those that are kept.

    Returns:
        The card.

    Raises:
        StoreError: If `out` is not empty, or the model was not exported as ONNX.
    """
    _refuse_full(out)
    model = current_model(project)
    source = model_path(project, model)
    if not list(source.glob("*.onnx")):
        raise StoreError(
            f"{source} holds no ONNX files; run `maskmill model export` on it, or a round that "
            "exports"
        )
    settings, words = stage_three(project, precision=precision, grid=grid)
    shutil.copytree(source, out / ENCODER, ignore=shutil.ignore_patterns(*NOT_CARRIED))
    heads = {"detector": settings.detector, "regions": settings.regions,
             "categories": settings.categories}  # fmt: skip
    for kind, folder in heads.items():
        if folder is not None:
            shutil.copytree(folder, out / HEADS / kind)
    carried = {kind: None if at is None else f"{HEADS}/{kind}" for kind, at in heads.items()}
    told = {**asdict(settings), **carried, "model": ENCODER, "model_id": None, "round_id": None}
    write_atomically(out / SETTINGS, json.dumps(told, indent=1).encode() + b"\n")
    names = [] if settings.categories is None else Categoriser(Path(settings.categories)).names
    model_id = model_id_of(read_card(source))
    needed = "maskmill" if settings.regions is None else FLOODING
    return _finish(out, "model", names, model_id, rests_on=words, install=needed)


def _refuse_full(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise StoreError(f"{out} is not empty; name a new folder for the deployment")


def _finish(
    out: Path, of: str, categories: Sequence[str], model_id: str, **more: Any
) -> dict[str, Any]:
    """Add the client and, last, the card: a folder without one is one that was not finished."""
    (out / CLIENT).write_bytes(resources.files("maskmill").joinpath("client.py").read_bytes())
    card = {
        "kind": "maskmill deployment",
        "of": of,
        "version": VERSION,
        "maskmill": __version__,
        "categories": list(categories),
        "model_id": model_id,
        **more,
        "files": _hashes(out),
    }
    write_atomically(out / CARD, json.dumps(card, indent=1).encode() + b"\n")
    return card


def load_deployment(folder: Path, *, threads: int | None = None) -> Deployment:
    """Load a deployed folder, after a look at the hash of every file but the client's.

    What else lies in the folder, a log for example, is neither looked at nor used.

    Raises:
        NotFound: If it is none.
        CheckpointError: If a file is missing or another than was deployed.
        ConfigError: If it needs a package that is not installed.
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
    for name, content_hash in sorted(expected.items()):
        # The client is its owner's to change; older cards name it too.
        if name != CLIENT and _hash(folder / name) != content_hash:
            raise CheckpointError(
                f"{folder / name} is not the file that was deployed; deploy again"
            )
    predictor = Predictor.load(folder / ENCODER, backend="onnx", threads=threads)
    if card.get("of") == "model":
        settings = LabelSettings.from_json(json.loads((folder / SETTINGS).read_text("utf-8")))
        kinds = {name.split("/")[1] for name in expected if name.startswith(f"{HEADS}/")}
        heads = open_heads({kind: folder / HEADS / kind for kind in FOLDERS if kind in kinds})
        return DeployedModel(card=card, predictor=predictor, heads=heads, settings=settings)
    rules = read_rules(folder / RULES)
    if _splits(rules) and find_spec("skimage") is None:
        raise ConfigError(
            f"the rules of {folder} split regions, which needs scikit-image; run "
            f"`pip install '{FLOODING}'`"
        )
    return DeployedClassifier(
        card=card,
        source=Source(predictor),
        model=load(folder / CLASSIFIER, threads=threads or 1),
        rules=rules,
    )


def _splits(rules: RuleSet) -> bool:
    return any(isinstance(rule, Split) for each in rules.categories.values() for rule in each)


def _hashes(folder: Path) -> dict[str, str]:
    """Hash every file of a deployment but its card and its client."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {name: _hash(folder / name) for name in names if name not in (CARD, CLIENT)}


def _hash(path: Path) -> str:
    if not path.is_file():
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """Deploy what the command line names; what went wrong is the last line of stderr."""
    folder, out, precision = sys.argv[1:]

    def work() -> None:
        with Project(Path(folder), writes=False) as project:
            # Without crops: somebody waits for an answer.
            plain = AutomaskConfig()
            deploy_project(project, Path(out), precision=float(precision), grid=plain)

    return as_child(work)


if __name__ == "__main__":
    sys.exit(main())
