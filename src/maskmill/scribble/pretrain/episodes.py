"""Episodes: a few images of one project, strokes on the first of them, and the answer for all.

A made-up project shows categories of made-up shapes and looks; a real one is a category of labelled
photographs of one source, of which other photographs show the same. Strokes are those of a
simulated person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, Int16
from numpy.random import Generator

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage, even_sample, read_pixels
from maskmill.model.pixel_encoder import STRIDE
from maskmill.scribble.pretrain.looks import (
    Camera,
    Look,
    Photo,
    Picture,
    lay,
    paint,
    some_camera,
    some_ground,
    some_look,
    take,
)
from maskmill.scribble.pretrain.shapes import (
    Labelled,
    Shapes,
    cut_square,
    draw_shapes,
    some_shapes,
)
from maskmill.scribble.simulate import simulate_strokes
from maskmill.scribble.strokes import UNLABELLED, draw

SIDE = 192
"""Of an image of an episode, pixels."""
IMAGES = 4
"""Of an episode."""
STROKED = (0.5, 0.3, 0.2)
"""Chances that strokes lie on one image, two, or three."""
REAL = 0.35
"""Chance that the project is a real one."""
PER_SOURCE = 160
"""Most labelled photographs of a source that are kept in memory."""
MARKED = 0.3
"""A cell is marked if a stroke covers this share of it."""
TRIES = 20
"""Draws of a real project before another is made up."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Shown:
    """A labelled photograph.

    Attributes:
        photo: It, and the number of each pixel's category: 1 the first of `names`.
        names: Its categories.
    """

    photo: Labelled
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """What episodes are made of.

    Attributes:
        photos: Whose textures are used; those of one source side by side.
        sources: Labelled photographs by source.
    """

    photos: Sequence[Photo]
    sources: Mapping[str, Sequence[Shown]]

    def labelled(self) -> list[Labelled]:
        """Return all labelled photographs."""
        return [one.photo for shown in self.sources.values() for one in shown]


@dataclass(frozen=True, eq=False, kw_only=True)
class Episode:
    """A question and its answer.

    Attributes:
        images: RGB from 0 to 1.
        labels: Category of each cell of each image; `UNLABELLED` where that is a category which no
            stroke marks, so that nobody could know it.
        marks: Category of each marked cell of the first images, `UNLABELLED` elsewhere.
        categories: How many there are.
    """

    images: Float32[np.ndarray, "n side side 3"]
    labels: Int16[np.ndarray, "n rows columns"]
    marks: Int16[np.ndarray, "m rows columns"]
    categories: int


Scene = tuple[Picture, Int16[np.ndarray, "n n"]]
"""A picture, and the category of each pixel; 0 is background."""


def fill_pool(
    labelled: Sequence[LabelledImage], textures: Sequence[Photo], sources: Sequence[str] = ()
) -> Pool:
    """Read labelled photographs, at most `PER_SOURCE` of a source.

    Args:
        labelled: Of any sources; masks without a category say nothing here.
        textures: More photographs, unlabelled.
        sources: The ones to take; by default all.

    Raises:
        DatasetError: If no photograph has a category.
    """
    by_source: dict[str, list[LabelledImage]] = {}
    for image in labelled:
        if not sources or image.source in sources:
            by_source.setdefault(image.source, []).append(image)
    shown = {
        source: [_shown(image) for image in even_sample(images, PER_SOURCE)]
        for source, images in by_source.items()
    }
    shown = {source: [one for one in some if one.names] for source, some in shown.items()}
    shown = {source: some for source, some in shown.items() if some}
    if not shown:
        raise DatasetError("no labelled photograph names a category; give some that do")
    photos = [*textures, *(one.photo[0] for some in shown.values() for one in some)]
    return Pool(photos=photos, sources=shown)


def _shown(image: LabelledImage) -> Shown:
    labels = np.zeros(image.size, np.int16)
    names: list[str] = []
    for mask in sorted(image.annotations, key=lambda m: -rle.area(m.rle)):
        if mask.category is None or mask.is_crowd:
            continue
        if mask.category not in names:
            names.append(mask.category)
        labels[rle.decode(mask.rle)] = names.index(mask.category) + 1
    return Shown(photo=(read_pixels(image), labels), names=tuple(names))


def some_episode(rng: Generator, pool: Pool) -> Episode:
    """Draw an episode in which strokes mark at least two categories."""
    while True:
        scenes = real_project(rng, pool) if rng.random() < REAL else made_up_project(rng, pool)
        stroked = 1 + int(rng.choice(len(STROKED), p=STROKED))
        categories = 1 + max(int(labels.max()) for _, labels in scenes)
        marks = [mark_cells(labels, categories, rng) for _, labels in scenes[:stroked]]
        seen = np.unique(np.stack(marks))
        seen = seen[seen != UNLABELLED]
        if len(seen) > 1:
            return Episode(
                images=np.stack([picture for picture, _ in scenes]),
                labels=_among(np.stack([in_cells(labels) for _, labels in scenes]), seen),
                marks=_among(np.stack(marks), seen),
                categories=len(seen),
            )


def made_up_project(rng: Generator, pool: Pool) -> list[Scene]:
    """Make up the images of a project."""
    ground, camera = some_ground(rng, pool.photos), some_camera(rng)

    def several(chances: Sequence[float]) -> list[tuple[Shapes, Look]]:
        number = int(rng.choice(len(chances), p=chances))
        return [(some_shapes(rng), some_look(rng, pool.photos)) for _ in range(number)]

    categories = several([0, 0.7, 0.3])
    strangers = several([0.45, 0.40, 0.15])  # they stand out too, and are background
    host = several([0.85, 0.15])  # what categories lie on, and nothing outside it
    labelled, scenes = pool.labelled(), []
    for _ in range(IMAGES):
        picture, labels = lay(ground, rng, SIDE), np.zeros((SIDE, SIDE), np.int16)
        within = np.ones((SIDE, SIDE), bool)
        for shapes, look in [*strangers, *host]:
            within = draw_shapes(shapes, rng, SIDE, labelled)
            picture = paint(look, picture, within, rng)
        for number, (shapes, look) in enumerate(categories, 1):
            shape = draw_shapes(shapes, rng, SIDE, labelled)
            shape = shape & within if host else shape
            picture = paint(look, picture, shape, rng)
            labels[shape] = number
        scenes.append((take(camera, picture, rng), labels))
    return scenes


def real_project(rng: Generator, pool: Pool) -> list[Scene]:
    """Cut the images of a project out of photographs of one source that show one category.

    A second category of the first photograph is a category too in three of ten, and in a quarter
    all images are cut out of one photograph.
    """
    sources = list(pool.sources.values())
    for _ in range(TRIES):
        shown = sources[int(rng.integers(len(sources)))]
        first = shown[int(rng.integers(len(shown)))]
        wanted = rng.permutation(first.names)[: 2 if rng.random() < 0.3 else 1].tolist()
        others = [one for one in shown if one is not first and set(wanted) & set(one.names)]
        alone = rng.random() < 0.25
        if not alone and len(others) < IMAGES - 1:
            continue
        some = [first] * IMAGES
        if not alone:
            places = rng.choice(len(others), IMAGES - 1, replace=False)
            some = [first, *(others[i] for i in places)]
        camera = some_camera(rng, real=True)
        return [_photographed(one, wanted, rng, camera) for one in some]
    return made_up_project(rng, pool)


def _photographed(one: Shown, wanted: Sequence[str], rng: Generator, camera: Camera) -> Scene:
    pixels, told = one.photo
    labels = np.zeros_like(told)
    for number, name in enumerate(wanted, 1):
        if name in one.names:
            labels[told == one.names.index(name) + 1] = number
    seen, labels = cut_square((pixels, labels), rng, SIDE, (0.35, 1.1))
    return take(camera, seen.astype(np.float32) / 255, rng), labels


def mark_cells(
    labels: Int16[np.ndarray, "n n"], categories: int, rng: Generator
) -> Int16[np.ndarray, "rows columns"]:
    """Draw a stroke of every category that an image shows, and return the cells it marks."""
    masks = {str(k): labels == k for k in range(categories)}
    drawn = simulate_strokes("", masks, int(rng.integers(1 << 31)))
    strokes = draw(drawn, list(masks), (SIDE, SIDE))
    cells = _cells(strokes)
    counts = np.stack([(cells == k).sum(axis=-1) for k in range(categories)])
    most = counts.max(axis=0)
    found = np.where(most >= MARKED * STRIDE**2, counts.argmax(axis=0), UNLABELLED)
    return np.asarray(found, np.int16)


def in_cells(labels: Int16[np.ndarray, "n n"]) -> Int16[np.ndarray, "rows columns"]:
    """Return the category in the middle of each cell."""
    return np.ascontiguousarray(labels[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE])


def _cells(labels: Int16[np.ndarray, "n n"]) -> Int16[np.ndarray, "rows columns cell"]:
    rows = len(labels) // STRIDE
    parts = labels.reshape(rows, STRIDE, rows, STRIDE).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(parts.reshape(rows, rows, STRIDE**2))


def _among(labels: Int16[np.ndarray, "*shape"], seen: Int[np.ndarray, " k"]) -> np.ndarray:
    """Number categories by their place in `seen`; others are `UNLABELLED`."""
    place = np.full(int(max(seen.max(), labels.max())) + 2, UNLABELLED, np.int16)
    place[seen] = np.arange(len(seen))
    return np.asarray(place[labels])  # UNLABELLED is the last place
