import pytest
import torch
from paper_model import SMALL, reference_model, relative_error, small_sam

from maskmill.model.prompt_encoder import PromptEncoder

SIDE = 16  # of the embedding, cells


@pytest.fixture(scope="module")
def encoder():
    return small_sam().prompt_encoder


@pytest.fixture(scope="module")
def peer(reference, encoder):
    model = reference_model(reference, SMALL).prompt_encoder
    model.load_state_dict(encoder.state_dict())
    return model


@pytest.fixture
def points():
    return 256 * torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.reference
def test_points_of_every_label(encoder, peer, points):
    labels = torch.tensor([[1, 0, -1, 1], [0, 0, 0, 0], [-1, -1, 1, 0]])
    expected = peer(points=(points, labels), boxes=None, masks=None)[0][:, :4]  # drops its padding
    assert relative_error(encoder.embed_points(points, labels), expected) < 1e-5


@pytest.mark.reference
def test_a_box_is_two_corners(encoder, peer, points):
    expected, _ = peer(points=None, boxes=points[:, :2].reshape(3, 4), masks=None)
    found = encoder.embed_points(points[:, :2], torch.tensor([[2, 3]]).repeat(3, 1))
    assert relative_error(found, expected) < 1e-5


def test_a_padding_point_is_the_same_wherever_it_is(encoder, points):
    padding = encoder.embed_points(points, torch.full((3, 4), -1))
    assert torch.equal(padding, encoder.not_a_point_embed.weight.expand(3, 4, -1))


def test_x_and_y_are_not_swapped(encoder):
    label = torch.ones(1, 1, dtype=torch.int64)
    first = encoder.embed_points(torch.tensor([[[10.0, 200.0]]]), label)
    second = encoder.embed_points(torch.tensor([[[200.0, 10.0]]]), label)
    assert (first - second).abs().max() > 0.1


@pytest.mark.reference
def test_masks(encoder, peer):
    masks = 5 * torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    _, expected = peer(points=None, boxes=None, masks=masks)  # n c h w
    found = encoder.embed_masks(masks).transpose(1, 2).reshape(3, 256, SIDE, SIDE)
    assert relative_error(found, expected) < 1e-5


@pytest.mark.reference
def test_without_a_mask_one_row_stands_for_all_cells(encoder, peer):
    _, expected = peer(points=None, boxes=torch.tensor([[1.0, 2.0, 30.0, 40.0]]), masks=None)
    found = encoder.embed_masks(None)
    assert found.shape == (1, 1, 256)
    assert torch.equal(found.expand(1, SIDE * SIDE, 256), expected.flatten(2).transpose(1, 2))


@pytest.mark.reference
def test_the_position_of_every_cell(encoder, peer):
    expected = peer.get_dense_pe().flatten(2).transpose(1, 2)
    assert relative_error(encoder.dense_pe(), expected) < 1e-5


def test_a_cell_and_a_point_on_its_centre_have_one_position(encoder):
    # Cell (row 3, column 5) has its centre at (5.5, 3.5) cells of 16 pixels; an index is 0.5 less.
    pixel = torch.tensor([[[5.5 * 16 - 0.5, 3.5 * 16 - 0.5]]])
    point = encoder.embed_points(pixel, torch.ones(1, 1, dtype=torch.int64))
    position = point - encoder.point_embeddings[1].weight
    cell = encoder.dense_pe()[:, 3 * SIDE + 5 : 3 * SIDE + 6]
    assert torch.allclose(position, cell, atol=1e-5)


def looking() -> PromptEncoder:
    """A prompt encoder whose points look at two maps: three channels, then two twice as fine."""
    return PromptEncoder(8, input_side=64, embedding_side=4, mask_in_chans=4, look_chans=5)


@pytest.mark.parametrize("images", [1, 2])
def test_a_point_looks_at_the_cells_that_it_lies_in(images):
    encoder = looking()
    assert encoder.look is not None
    maps = torch.randn(images, 3, 4, 4), torch.randn(images, 2, 8, 8)
    points = torch.tensor([[[40.0, 10.0], [0.0, 63.0]], [[-3.0, 70.0], [15.5, 31.5]]])  # x, y
    cells = [[((0, 2), (1, 5)), ((3, 0), (7, 0))], [((3, 0), (7, 0)), ((2, 1), (4, 2))]]
    found = encoder.embed_looks(maps, points, torch.ones(2, 2, dtype=torch.int64))
    for i, (prompt, row) in enumerate(zip(cells, found, strict=True)):
        image = i if images == 2 else 0
        for (coarse, fine), token in zip(prompt, row, strict=True):
            seen = torch.cat([maps[0][image, :, *coarse], maps[1][image, :, *fine]])
            torch.testing.assert_close(token, encoder.look(seen)[8:])


def test_box_corners_and_padding_look_at_nothing_and_background_not_as_foreground():
    encoder, maps = looking(), (torch.randn(1, 3, 4, 4), torch.randn(1, 2, 8, 8))
    points = torch.full((1, 5, 2), 30.0)
    looks = encoder.embed_looks(maps, points, torch.tensor([[1, 0, 2, 3, -1]]))[0]
    assert not looks[2:].any()
    assert (looks[0] - looks[1]).abs().max() > 0.01
