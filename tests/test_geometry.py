import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskmill import geometry as g

SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
BOXES = hnp.arrays(np.int64, st.tuples(st.integers(0, 6), st.just(4)), elements=st.integers(0, 9))


@pytest.mark.reference
@given(size=SIZES, side=st.sampled_from([384, 1024, 37]))
def test_preprocess_size_is_the_references(reference, size, side):
    expected = reference.utils.transforms.ResizeLongestSide.get_preprocess_shape(*size, side)
    assume(min(expected) > 0)
    assert g.preprocess_size(size, side) == expected


def test_a_very_long_image_keeps_one_pixel_across():
    assert g.preprocess_size((1, 60_000), 1024) == (1, 1024)
    assert g.preprocess_size((60_000, 1), 1024) == (1024, 1) != (1, 1024)


@pytest.mark.parametrize("size", [(0, 5), (5, -1)])
def test_preprocess_size_refuses_no_pixels(size):
    with pytest.raises(ValueError, match="positive"):
        g.preprocess_size(size, 384)


@pytest.mark.reference
@given(size=SIZES, points=hnp.arrays(np.float64, (3, 2), elements=st.floats(0, 3000)))
def test_points_and_boxes_go_to_the_input_frame_as_in_the_reference(reference, size, points):
    input_size = g.preprocess_size(size, 1024)
    transform = reference.utils.transforms.ResizeLongestSide(1024)
    assume(min(transform.get_preprocess_shape(*size, 1024)) > 0)
    moved = g.to_input_frame(points, size, input_size)
    np.testing.assert_allclose(moved, transform.apply_coords(points, size), rtol=1e-6, atol=1e-6)
    boxes = np.hstack([points, points + 1])
    moved = g.boxes_to_input_frame(boxes, size, input_size)
    np.testing.assert_allclose(moved, transform.apply_boxes(boxes, size), rtol=1e-6, atol=1e-6)


def test_no_points_stay_no_points():
    assert g.to_input_frame(np.zeros((0, 2)), (4, 6), (8, 12)).shape == (0, 2)


@pytest.mark.parametrize(
    ("low_side", "input_side", "original_size"),
    [
        (96, 384, (480, 640)),  # tiny: padded below
        (96, 384, (101, 37)),  # padded at the right, and smaller than the input frame
        (256, 1024, (333, 1500)),  # the paper's, upsampled twice
        (256, 1024, (1024, 1024)),  # nothing to do in the second step
        (48, 100, (61, 40)),  # not a whole factor
        (96, 384, (3, 700)),  # all but a row is padding
    ],
)
def test_upsampling_equals_torchs_two_bilinear_steps(low_side, input_side, original_size):
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(low_side)
    low_res = rng.normal(0, 5, (low_side, low_side)).astype(np.float32)
    input_size = g.preprocess_size(original_size, input_side)
    # Sam.postprocess_masks of segment-anything, written out; in float64, since in float32 torch's
    # own sampling positions are off by up to 3e-4 in these logits, and ours by 2e-6.
    x = torch.from_numpy(low_res)[None, None].double()
    x = functional.interpolate(x, (input_side,) * 2, mode="bilinear", align_corners=False)
    x = x[..., : input_size[0], : input_size[1]]
    x = functional.interpolate(x, original_size, mode="bilinear", align_corners=False)
    ours = g.low_res_to_original(
        low_res, input_side=input_side, input_size=input_size, original_size=original_size
    )
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, x[0, 0].numpy(), rtol=0, atol=1e-5)


def test_upsampling_takes_half_precision_and_views():
    low_res = np.arange(96 * 96, dtype=np.float16).reshape(96, 96).T
    sizes = {"input_side": 384, "input_size": (384, 192), "original_size": (50, 25)}
    full = g.low_res_to_original(low_res, **sizes)
    same = g.low_res_to_original(np.array(low_res, np.float32), **sizes)
    assert np.array_equal(full, same)


@given(BOXES, BOXES)
def test_iou_is_that_of_the_painted_boxes(a, b):
    def paint(boxes):
        masks = np.zeros((len(boxes), 9, 10), bool)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
            mask[y0:y1, x0:x1] = True
        return masks

    a, b = np.minimum(a, (9, 8, 10, 9)), np.minimum(b, (9, 8, 10, 9))
    painted_a, painted_b = paint(a)[:, None], paint(b)[None]
    shared = (painted_a & painted_b).sum((2, 3))
    union = (painted_a | painted_b).sum((2, 3))
    assert g.box_area(a).tolist() == painted_a.sum((1, 2, 3)).tolist()
    assert np.array_equal(g.box_iou(a, b), shared / np.maximum(union, 1))


@given(BOXES)
def test_xywh_and_back(boxes):
    assert np.array_equal(g.xywh_to_xyxy(g.xyxy_to_xywh(boxes)), boxes)


def test_clipping_leaves_what_is_inside():
    boxes = np.array([[-3.0, -2, 5, 99], [1, 2, 3, 4], [70, 2, 90, 4]])
    expected = [[0, 0, 5, 40], [1, 2, 3, 4], [60, 2, 60, 4]]
    assert g.clip_boxes(boxes, (40, 60)).tolist() == expected


@pytest.mark.reference
@pytest.mark.parametrize(("n", "layers", "factor"), [(32, 2, 2), (7, 1, 3), (1, 0, 1)])
def test_grids_are_the_references(reference, n, layers, factor):
    expected = reference.utils.amg.build_all_layer_point_grids(n, layers, factor)
    ours = g.point_grids(n, layers, factor)
    assert len(ours) == len(expected) == layers + 1
    for grid, wanted in zip(ours, expected, strict=True):
        assert np.array_equal(grid, wanted)


def test_a_grid_never_runs_out_of_points():
    assert g.point_grids(2, 3, 2)[3].tolist() == [[0.5, 0.5]]
    with pytest.raises(ValueError, match="at least 1"):
        g.point_grid(0)


@pytest.mark.reference
@given(
    size=st.tuples(st.integers(40, 2000), st.integers(40, 2000)),
    layers=st.integers(0, 3),
    overlap=st.sampled_from([0.0, 512 / 1500, 0.5]),
)
def test_crops_are_the_references(reference, size, layers, overlap):
    boxes, layer_of = reference.utils.amg.generate_crop_boxes(size, layers, overlap)
    expected = [(tuple(box), i) for box, i in zip(boxes, layer_of, strict=True)]
    # At some sizes, 40 x 41 in three layers say, the reference lists windows beyond the image.
    expected = [(box, i) for box, i in expected if box[0] < box[2] and box[1] < box[3]]
    assert g.crop_boxes(size, layers, overlap) == expected


@given(st.tuples(st.integers(1, 9), st.integers(1, 12)), st.integers(0, 3))
def test_crops_of_tiny_images_cover_them_and_are_never_empty(size, layers):
    covered = np.zeros((layers + 1, *size), bool)
    for (x0, y0, x1, y1), layer in g.crop_boxes(size, layers, 0.3):
        assert 0 <= x0 < x1 <= size[1]
        assert 0 <= y0 < y1 <= size[0]
        covered[layer, y0:y1, x0:x1] = True
    assert covered.all()


@pytest.mark.reference
@given(
    corners=hnp.arrays(np.int64, (8, 2), elements=st.integers(0, 120)),
    sides=hnp.arrays(np.int64, (8, 2), elements=st.integers(1, 180)),
)
def test_edges_of_crops_are_touched_as_in_the_reference(reference, corners, sides):
    import torch

    size, crop = (200, 300), (100, 0, 300, 140)
    boxes = g.boxes_from_crop(np.hstack([corners, corners + sides]), crop)
    inclusive = torch.from_numpy(boxes - (100, 0, 100, 0) - (0, 0, 1, 1))
    expected = reference.utils.amg.is_box_near_crop_edge(inclusive, list(crop), [0, 0, 300, 200])
    assert g.touches_crop_edge(boxes, crop, size).tolist() == expected.tolist()


def test_an_edge_of_the_image_is_no_edge_of_a_crop():
    size, crop = (200, 300), (100, 0, 300, 140)
    boxes = np.array([[150, 0, 200, 50], [150, 0, 200, 138], [101, 50, 140, 60]])
    assert g.touches_crop_edge(boxes, crop, size).tolist() == [False, True, True]
    assert g.touches_crop_edge(boxes, crop, size, atol=0.5).tolist() == [False, False, False]


def test_what_a_crop_holds_comes_back_to_its_place():
    crop, size = (3, 1, 8, 4), (6, 11)
    image = np.arange(66).reshape(size)
    back = g.mask_from_crop(image[1:4, 3:8], crop, size)
    assert np.array_equal(back[1:4, 3:8], image[1:4, 3:8])
    assert back.sum() == image[1:4, 3:8].sum()
    points = np.array([[0.5, 2.5]])
    assert g.points_from_crop(points, crop).tolist() == [[3.5, 3.5]]
    assert g.boxes_from_crop(np.array([[0, 1, 2, 3]]), crop).tolist() == [[3, 2, 5, 4]]
    whole = np.ones(size, bool)
    assert g.mask_from_crop(whole, (0, 0, 11, 6), size) is whole
    with pytest.raises(ValueError, match="crop"):
        g.mask_from_crop(whole, crop, size)
