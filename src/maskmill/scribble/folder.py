"""Visual Prompting over files: strokes and images in, label maps, regions and verdicts out.

What the command line and scripts use. Features are cached by content, so that the second time only
the classifier runs. An image that cannot be used is named and left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from maskmill import rle
from maskmill.drawn import photographs
from maskmill.errors import MaskmillError, NotFound, PromptError
from maskmill.exchange.provenance import PROVENANCE
from maskmill.formats import LabelledImage, LabelledMask, Refused
from maskmill.images import OpenedImage, open_image
from maskmill.predict import Predictor
from maskmill.scribble.classifier import (
    PixelModel,
    at_size,
    predict,
    predict_pixels,
    train,
    uncertainty,
)
from maskmill.scribble.features import FeatureCache, Features, extract
from maskmill.scribble.refining import refine
from maskmill.scribble.rules import RuleSet
from maskmill.scribble.shaping import Shaped, shape
from maskmill.scribble.strokes import Scribbles, draw, read_png
from maskmill.scribble.verdict import Finding, decide
from maskmill.values import Embedding

AUTHOR = "scribble"
"""Who is said to have made a mask."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Predicted:
    """What is known of one image after the classifier and the rules.

    Attributes:
        path: The image.
        pixels: It, RGB.
        categories: Names of the probabilities' channels.
        probabilities: At the image's size.
        shaped: Regions after the rules, and what each rule did.
        findings: What each decision says; the image passes if all passed.
        doubt: Mean uncertainty, 0 to 1; the image worth the next stroke has the greatest.
    """

    path: Path
    pixels: UInt8[np.ndarray, "h w 3"]
    categories: tuple[str, ...]
    probabilities: Float32[np.ndarray, "k h w"]
    shaped: Shaped
    findings: tuple[Finding, ...]
    doubt: float

    @property
    def passed(self) -> bool | None:
        """The verdict; None where nothing is to be decided."""
        return all(f.passed for f in self.findings) if self.findings else None

    def labels(self) -> Int16[np.ndarray, "h w"]:
        """Return the label map after the rules: places in `categories`."""
        return np.asarray(self.shaped.labels(self.categories), np.int16)


class Source:
    """Images and their features, computed once and kept.

    Args:
        predictor: The promptable model whose maps are features too.
        cache: Where features are kept; None computes them each time.
    """

    def __init__(self, predictor: Predictor, cache: FeatureCache | None = None) -> None:
        self.predictor = predictor
        self.cache = cache

    def read(self, path: Path | bytes) -> tuple[OpenedImage, Features]:
        """Open an image and return its features.

        Raises:
            ImageError: If it cannot be used.
        """
        opened = open_image(path)
        found = self.cache and self.cache.get(opened.sha256, self.predictor.model_id)
        if not found:
            found = extract(opened.array, self.predictor.embed(opened.array))
            if self.cache:
                self.cache.put(opened.sha256, found)
        return opened, found

    def embed(self, pixels: UInt8[np.ndarray, "h w 3"]) -> Embedding:
        """Embed an image that is looked at closely."""
        return self.predictor.embed(pixels)


def train_on_scribbles(
    source: Source, folder: Path, scribbles: Scribbles, *, threads: int = 1
) -> PixelModel:
    """Train on strokes as JSON.

    Args:
        source: Where features come from.
        folder: The images that strokes name.
        scribbles: Categories and strokes.
        threads: Threads that the model will predict with.

    Raises:
        PromptError: If strokes do not fit their image, or mark fewer than two categories.
        NotFound: If an image is missing.
    """
    labels: dict[str, Int16[np.ndarray, "_h _w"]] = {}
    features: dict[str, Features] = {}
    for name in scribbles.images():
        opened, features[name] = source.read(_inside(folder, name))
        mine = [stroke for stroke in scribbles.strokes if stroke.image == name]
        size = (opened.array.shape[0], opened.array.shape[1])
        labels[name] = draw(mine, scribbles.categories, size)
    return train(features, labels, scribbles.categories, threads=threads)


def train_on_pngs(
    source: Source, folder: Path, pngs: Path, categories: Sequence[str], *, threads: int = 1
) -> PixelModel:
    """Train on PNGs of scribbles, named like their images: 0 nothing, k the k-th category.

    They may lie beside their images, and other files too.

    Raises:
        PromptError: If a PNG does not fit its image, two images could be meant, or fewer than two
            categories are marked.
        NotFound: If a PNG's image is missing, or there is no PNG.
    """
    drawn = {path.stem: path for path in sorted(pngs.glob("*.png"))}
    if not drawn:
        raise NotFound(f"{pngs} holds no PNG; draw scribbles and save them there as <image>.png")
    images = _images_of(folder, drawn)
    labels: dict[str, Int16[np.ndarray, "_h _w"]] = {}
    features: dict[str, Features] = {}
    for stem, path in drawn.items():
        opened, features[stem] = source.read(images[stem])
        size = (opened.array.shape[0], opened.array.shape[1])
        labels[stem] = read_png(path, size, len(categories))
    return train(features, labels, categories, threads=threads)


def predict_image(
    source: Source,
    model: PixelModel,
    path: Path,
    rules: RuleSet,
    *,
    full: bool = False,
    refined: bool = False,
) -> Predicted:
    """Predict one image and apply the rules.

    Args:
        source: Where features come from.
        model: What was trained.
        path: The image.
        rules: What to apply; of this model's categories.
        full: At every pixel instead of on the working grid; some seconds per image.
        refined: Let the promptable model draw the regions again.

    Raises:
        ImageError: If the image cannot be used.
    """
    return _predicted(source, model, path, *source.read(path), rules, full=full, refined=refined)


def predict_bytes(source: Source, model: PixelModel, image: bytes, rules: RuleSet) -> Predicted:
    """Predict an image that is not a file, as `predict_image` would.

    Raises:
        ImageError: If the bytes cannot be used as an image.
    """
    return _predicted(source, model, Path("image"), *source.read(image), rules)


def predict_images(
    source: Source,
    model: PixelModel,
    paths: Iterable[Path],
    rules: RuleSet,
    *,
    full: bool = False,
    refined: bool = False,
) -> Iterator[Predicted | Refused]:
    """Predict many images; one that cannot be used is answered with the reason."""
    for path in paths:
        try:
            yield predict_image(source, model, path, rules, full=full, refined=refined)
        except MaskmillError as error:
            yield Refused(path, str(error))


def as_labelled(predicted: Predicted, author: str = AUTHOR) -> LabelledImage:
    """Return an image's regions as masks that any export takes, with their origin.

    Args:
        predicted: What `predict_image` returned.
        author: What made them; the model's folder, say.
    """
    masks = []
    for name, regions in predicted.shaped.regions.items():
        probability = predicted.probabilities[predicted.categories.index(name)]
        for number in range(1, int(regions.max(initial=0)) + 1):
            mask = regions == number
            if mask.any():
                masks.append(_mask(mask, name, float(probability[mask].mean()), author))
    return LabelledImage(
        image_id=predicted.path.stem,
        path=predicted.path,
        size=(predicted.pixels.shape[0], predicted.pixels.shape[1]),
        source=predicted.path.parent.name,
        annotations=tuple(masks),
    )


def _predicted(
    source: Source,
    model: PixelModel,
    path: Path,
    opened: OpenedImage,
    features: Features,
    rules: RuleSet,
    *,
    full: bool = False,
    refined: bool = False,
) -> Predicted:
    embedding = source.embed(opened.array) if full or refined else None
    coarse = predict(model, features)
    if full:
        probabilities = predict_pixels(model, opened.array, embedding, features)
    else:
        probabilities = at_size(coarse, features.size)
    shaped = shape(probabilities, model.categories, rules)
    if refined and embedding is not None:
        regions = {
            name: refine(source.predictor, embedding, found)[0]
            for name, found in shaped.regions.items()
        }
        shaped = Shaped(regions=regions, steps=shaped.steps, warnings=shaped.warnings)
    return Predicted(
        path=path,
        pixels=opened.array,
        categories=model.categories,
        probabilities=probabilities,
        shaped=shaped,
        findings=tuple(decide(shaped.regions, rules.decisions)),
        doubt=float(uncertainty(coarse).mean()),
    )


def _mask(mask: np.ndarray, category: str, certainty: float, author: str) -> LabelledMask:
    made: Mapping[str, object] = {"made_by": "model", "author": author, "stage": "automatic"}
    return LabelledMask(
        rle=rle.encode(mask),
        category=category,
        attributes={PROVENANCE: made, "certainty": certainty},
    )


def _images_of(folder: Path, drawn: Mapping[str, Path]) -> dict[str, Path]:
    """Find the image that each PNG of scribbles was drawn on, by its stem."""
    scribbles = {path.resolve() for path in drawn.values()}
    found: dict[str, Path] = {}
    for path in photographs(folder):
        if path.parent != folder or path.stem not in drawn or path.resolve() in scribbles:
            continue
        if path.stem in found:
            raise PromptError(
                f"{drawn[path.stem]} is named like {found[path.stem]} and {path}; rename one of "
                "these images and its scribbles"
            )
        found[path.stem] = path
    for stem, path in drawn.items():
        if stem not in found:
            raise NotFound(f"{path} belongs to no image of {folder}; name it like its image")
    return found


def _inside(folder: Path, name: str) -> Path:
    """Return an image's path; strokes of strangers may name files of this folder only."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise PromptError(f"strokes name {name!r}, which is not in {folder}; name files of it")
    if not path.is_file():
        raise NotFound(f"{path} does not exist, but strokes were drawn on it; put it back")
    return path
