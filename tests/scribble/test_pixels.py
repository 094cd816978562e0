"""Vectors: where they lie, what is marked, and that fine and coarse speak of the same place."""

import numpy as np
import pytest
from scribble_scene import scene

from maskmill.predict import Predictor
from maskmill.scribble.describing import DESCRIPTORS
from maskmill.scribble.features import extract
from maskmill.scribble.pixels import (
    CLASSICAL,
    DESCRIBED,
    LOCAL,
    PARTS,
    at_grid,
    at_pixels,
    fit_projections,
    marked_cells,
    priors_of,
)


def test_cells_are_marked_by_the_category_that_covers_most():
    labels = np.full((512, 512), -1, np.int16)
    labels[100:104, 200:240] = 1
    labels[100:104, 236:240] = 0
    cells = marked_cells(labels, 2)
    assert cells.shape == (128, 128)
    assert cells[25, 50:60].tolist() == [1] * 9 + [0]
    assert (cells >= 0).sum() == 10


def test_one_pixel_marks_its_cell_and_a_brushed_edge_does_not():
    labels = np.full((512, 512), -1, np.int16)
    labels[7, 9] = 0
    labels[40:44, 40:200] = 1
    labels[44, 40:200] = 1  # a quarter of the next row of cells
    cells = marked_cells(labels, 2)
    assert cells[1, 2] == 0
    assert (cells[10, 10:50] == 1).all()
    assert (cells[11] == -1).all()


def test_a_dot_on_a_broad_or_thin_stroke_keeps_its_cell():
    for width in (20, 3):
        labels = np.full((2048, 2048), -1, np.int16)
        labels[1000 : 1000 + width, 300:1700] = 0
        labels[1000:1003, 900:903] = 1
        cells = marked_cells(labels, 2)
        assert np.argwhere(cells == 1).tolist() == [[62, 56]]
        assert (cells == 0).sum() > 80


@pytest.mark.parametrize("size", [(200, 260), (90, 40)])
def test_model_maps_lie_where_the_image_shows_it(size: tuple[int, int]):
    predictor = Predictor.load("tiny", backend="onnx", threads=1)
    image = np.full((*size, 3), 90, np.uint8)
    top, left = size[0] // 5, size[1] // 5
    image[top : 2 * top, left : 2 * left] = (230, 60, 40)
    features = extract(image, predictor.embed(image))
    projections = fit_projections([features])
    grid = at_grid(features, projections)
    assert grid.shape[0] == LOCAL + 24 + DESCRIPTORS
    assert features.classical.levels.shape[0] == CLASSICAL
    finest = grid[-8 - DESCRIPTORS]  # the strongest direction of the finest map
    inside = np.zeros(grid.shape[1:], bool)
    rows, columns = grid.shape[1] / size[0], grid.shape[2] / size[1]
    inside[round(top * rows) : round(2 * top * rows),
           round(left * columns) : round(2 * left * columns)] = True  # fmt: skip
    away = np.abs(finest - np.median(finest))
    assert away[inside].mean() > 3 * away[~inside].mean()


def test_every_pixel_agrees_with_its_cell():
    predictor = Predictor.load("tiny", backend="onnx", threads=1)
    image, _ = scene(0)
    embedding = predictor.embed(image)
    features = extract(image, embedding)
    projections = fit_projections([features])
    coarse = at_grid(features, projections)
    fine = at_pixels(image, embedding, features, projections)
    assert fine.shape == (coarse.shape[0], 200, 260)
    stride = 200 / coarse.shape[1]
    rows = (np.arange(coarse.shape[1]) * stride + stride / 2).astype(int)
    columns = (np.arange(coarse.shape[2]) * 260 / coarse.shape[2] + 1).astype(int)
    sampled = fine[:, rows][:, :, np.minimum(columns, 259)]
    smooth = [*range(23, 26), *range(128, 152 + DESCRIPTORS)]  # sigma 4, and all learned ones
    for channel in smooth:
        together = np.corrcoef(sampled[channel].ravel(), coarse[channel].ravel())[0, 1]
        assert together > 0.95, channel


def test_projections_are_the_same_every_time():
    predictor = Predictor.load("tiny", backend="onnx", threads=1)
    features = [extract(scene(i)[0], predictor.embed(scene(i)[0])) for i in range(2)]
    first, second = fit_projections(features), fit_projections(features)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.directions, other.directions)
        unit = one.directions.T @ one.directions
        assert np.allclose(unit, np.eye(len(unit)), atol=1e-5)


def test_a_third_of_the_trees_sees_filters_alone_and_background_is_a_little_likelier():
    assert PARTS[0] == slice(0, CLASSICAL)
    assert PARTS[1] == slice(0, LOCAL)
    assert PARTS[2] == slice(0, -DESCRIPTORS), "descriptors are the probe's"
    assert slice(-DESCRIPTORS, None) == DESCRIBED
    assert priors_of(["background", "crack", "stone"]) == (1.1, 1.0, 1.0)
