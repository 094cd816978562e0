"""The pixel classifier: strokes on a few images in, probabilities for every image out.

`train` takes cached features and drawn strokes and returns a `PixelModel`, a value; `predict` asks
it about one image at its working grid, `predict_pixels` at full resolution. A model is saved as a
folder of JSON, NumPy and ONNX files, none of which can hold code.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Int16, UInt8

from maskmill.durable import write_atomically
from maskmill.errors import CheckpointError, NotFound, PromptError
from maskmill.scribble.edges import settle
from maskmill.scribble.features import VERSION, Features, Map, lightness, working_image
from maskmill.scribble.forest import Forest, grow
from maskmill.scribble.pixels import (
    DESCRIBED,
    PARTS,
    Projection,
    at_grid,
    at_pixels,
    fit_projections,
    marked_cells,
    priors_of,
)
from maskmill.scribble.probe import share_of
from maskmill.scribble.strokes import UNLABELLED, problems
from maskmill.values import Embedding

CARD, FOREST, PROJECTIONS = "scribble.json", "classifier.onnx", "projections.npz"
MOST_CELLS = 2000
"""Marked cells of one category that are used; more are thinned evenly."""
ALIKE = 0.4
"""Share of a category's marked cells that look like another one, from which it is said."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PixelModel:
    """What was learned from strokes.

    Attributes:
        categories: Names of those that were marked, in the order of the probabilities.
        forest: Tells them apart, with the linear probe.
        projections: How the promptable model's maps are reduced; none without it.
        model_id: The promptable model whose maps it takes; empty for none.
        warnings: What about the strokes makes it poor, a sentence each.
    """

    categories: tuple[str, ...]
    forest: Forest
    projections: tuple[Projection, ...]
    model_id: str
    warnings: tuple[str, ...] = ()


def train(
    images: Mapping[str, Features],
    labels: Mapping[str, Int16[np.ndarray, "_h _w"]],
    categories: Sequence[str],
    *,
    threads: int = 1,
) -> PixelModel:
    """Learn categories from strokes.

    Args:
        images: Features of each image that has strokes, by name; all of one promptable model.
        labels: Label maps of the same images, as `draw` makes them.
        categories: Names; a label is a place in here.
        threads: Threads that the model will predict with.

    Raises:
        PromptError: If fewer than two categories are marked, also in cells of the working grid, or
            an image has another size than its strokes.
    """
    marked = {n: drawn for n, drawn in labels.items() if (drawn != UNLABELLED).any()}
    for name, drawn in marked.items():
        if drawn.shape != images[name].size:
            raise PromptError(
                f"{name} has features of {images[name].size} pixels and strokes of {drawn.shape}; "
                "compute its features again"
            )
    _refuse_one_category(marked, categories)
    projections = fit_projections([images[name] for name in marked])
    vectors, places = _marked_vectors(images, marked, categories, projections)
    seen = sorted(set(places.tolist()))
    names = tuple(categories[k] for k in seen)
    lost = [name for name in _drawn(marked, categories) if name not in names]
    if len(names) == 1:
        raise PromptError(_covered(", ".join(lost)))
    of = np.searchsorted(seen, places)
    content, unseen = grow(
        vectors, of, parts=PARTS, probe=DESCRIBED, probe_share=share_of(len(marked)),
        priors=priors_of(names),
    )  # fmt: skip
    return PixelModel(
        categories=names,
        forest=Forest(content, threads=threads),
        projections=projections,
        model_id=next(iter(images.values())).model_id,
        warnings=(
            *problems(marked, categories),
            *(_covered(name) for name in lost),
            *_alike(of, unseen, names),
        ),
    )


def predict(model: PixelModel, features: Features) -> Float32[np.ndarray, "k rows columns"]:
    """Return the probability of each category at each cell of an image's working grid.

    They agree with their surroundings up to the image's edges (`edges.py`).

    Raises:
        PromptError: If the features are of another promptable model.
    """
    _refuse_foreign(model, features.model_id)
    found = _ask(model, at_grid(features, model.projections))
    return settle(found, features.classical.values()[0])


def predict_pixels(
    model: PixelModel,
    image: UInt8[np.ndarray, "h w 3"],
    embedding: Embedding | None,
    features: Features,
) -> Float32[np.ndarray, "k h w"]:
    """Return the probability of each category at each pixel, for an image that is looked at.

    Of a large image they are those of its working image, brought to its size.

    Args:
        model: What was trained.
        image: RGB pixels.
        embedding: By the promptable model that `model` takes; None for classical features only.
        features: The image's features at the working grid.

    Raises:
        PromptError: If the features are of another promptable model.
    """
    _refuse_foreign(model, features.model_id)
    seen = working_image(image)
    found = _ask(model, at_pixels(seen, embedding, features, model.projections))
    settled = settle(found, lightness(seen), cell=features.stride)
    size = (image.shape[0], image.shape[1])
    return settled if seen.shape == image.shape else at_size(settled, size)


def at_size(
    probabilities: Float32[np.ndarray, "k rows columns"], size: tuple[int, int]
) -> Float32[np.ndarray, "k h w"]:
    """Bring probabilities of the working grid to an image's size, bilinear."""
    height, width = size
    return np.stack(
        [cv2.resize(p, (width, height), interpolation=cv2.INTER_LINEAR) for p in probabilities]
    )


def uncertainty(probabilities: Float32[np.ndarray, "k h w"]) -> Float32[np.ndarray, "h w"]:
    """Return the entropy of each pixel over that of knowing nothing: 0 sure, 1 no idea."""
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-7))).sum(axis=0)
    return np.asarray(entropy / np.log(len(probabilities)), np.float32)


def save(model: PixelModel, folder: Path) -> None:
    """Write a model's folder; it holds no code and can be carried anywhere."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {
        "kind": "scribble",
        "features": VERSION,
        "categories": list(model.categories),
        "model_id": model.model_id,
        "warnings": list(model.warnings),
    }
    stream = io.BytesIO()
    arrays = {str(i): p.directions for i, p in enumerate(model.projections)}
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write_atomically(folder / PROJECTIONS, stream.getvalue())
    write_atomically(folder / FOREST, model.forest.content)
    write_atomically(folder / CARD, json.dumps(card, indent=1).encode() + b"\n")


def load(folder: Path, *, threads: int = 1) -> PixelModel:
    """Read a model's folder.

    Raises:
        NotFound: If there is none.
        CheckpointError: If it is damaged or of another version.
    """
    if not (folder / CARD).is_file():
        raise NotFound(f"{folder} holds no {CARD}; train one with `maskmill scribble train`")
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
        if card["features"] != VERSION:
            raise CheckpointError(
                f"{folder} was trained on features of version {card['features']}, this program "
                f"computes {VERSION}; train it again from its strokes"
            )
        with np.load(folder / PROJECTIONS, allow_pickle=False) as arrays:
            projections = tuple(
                Projection(directions=arrays[str(i)]) for i in range(len(arrays.files))
            )
        return PixelModel(
            categories=tuple(card["categories"]),
            forest=Forest((folder / FOREST).read_bytes(), threads=threads),
            projections=projections,
            model_id=card["model_id"],
            warnings=tuple(card["warnings"]),
        )
    except CheckpointError:
        raise
    except Exception as error:  # JSON, NumPy and zipfile throw many classes at damaged bytes
        raise CheckpointError(f"{folder} is damaged ({error!r}); train it again") from error


def _marked_vectors(
    images: Mapping[str, Features],
    marked: Mapping[str, Int16[np.ndarray, "_h _w"]],
    categories: Sequence[str],
    projections: Sequence[Projection],
) -> tuple[Float32[np.ndarray, "n c"], Int16[np.ndarray, " n"]]:
    vectors, places = [], []
    for name, drawn in marked.items():
        cells = marked_cells(drawn, len(categories))
        at = cells != UNLABELLED
        vectors.append(at_grid(images[name], projections)[:, at].T)
        places.append(cells[at])
    every, of = np.concatenate(vectors), np.concatenate(places)
    kept = np.concatenate([_thinned(np.flatnonzero(of == k)) for k in range(len(categories))])
    return np.ascontiguousarray(every[kept]), of[kept]


def _thinned(places: np.ndarray) -> np.ndarray:
    if len(places) <= MOST_CELLS:
        return places
    chosen: np.ndarray = places[np.arange(MOST_CELLS) * len(places) // MOST_CELLS]
    return chosen


def _ask(model: PixelModel, vectors: Map) -> Map:
    # OpenCV transposes in blocks that fit a cache, ten times faster than NumPy.
    flat = cv2.transpose(np.ascontiguousarray(vectors).reshape(len(vectors), -1))
    found = model.forest.probabilities(np.asarray(flat, np.float32))
    return np.ascontiguousarray(found.T).reshape(-1, *vectors.shape[1:])


def _refuse_foreign(model: PixelModel, model_id: str) -> None:
    if model.model_id != model_id:
        raise PromptError(
            f"the features are of model {model_id or 'none'!r}, the classifier was trained with "
            f"{model.model_id or 'none'!r}; compute the features again, or train again"
        )


def _refuse_one_category(
    labels: Mapping[str, Int16[np.ndarray, "_h _w"]], categories: Sequence[str]
) -> None:
    names = _drawn(labels, categories)
    if not names:
        raise PromptError("nothing is marked; draw a stroke on each of at least two categories")
    if len(names) == 1:
        raise PromptError(
            f"only {names[0]} is marked; draw a stroke on what is something else, "
            "background for example"
        )


def _drawn(
    labels: Mapping[str, Int16[np.ndarray, "_h _w"]], categories: Sequence[str]
) -> list[str]:
    places = {int(k) for drawn in labels.values() for k in np.unique(drawn)} - {UNLABELLED}
    return [categories[k] for k in sorted(places)]


def _covered(name: str) -> str:
    return (
        f"what is marked as {name} lies in cells that other strokes mark, and nothing is learned "
        "of it; draw a longer stroke away from the others"
    )


def _alike(labels: np.ndarray, unseen: np.ndarray, categories: Sequence[str]) -> list[str]:
    """Name categories whose marked cells look like those of another: contradictory strokes."""
    said = []
    for k, name in enumerate(categories):
        of = unseen[labels == k]
        other = np.bincount(of[of != k], minlength=len(categories))
        if other.sum() >= ALIKE * len(of):
            said.append(
                f"{other.sum() / len(of):.0%} of what is marked as {name} looks like "
                f"{categories[int(other.argmax())]}; check for strokes that contradict each other"
            )
    return said
