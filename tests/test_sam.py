import pytest
import torch
from paper_model import (
    SMALL,
    hugging_face_model,
    hugging_face_state,
    reference_model,
    relative_error,
    small_sam,
)

from maskmill.config import TINY
from maskmill.errors import ConfigError
from maskmill.model.sam import build

TOLERANCE = 1e-5
PROMPTS = ["points", "one point", "box", "points and box"]


@pytest.fixture(scope="module")
def sam():
    return small_sam()


@pytest.fixture(scope="module")
def image():
    return torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def embedding(sam, image):
    with torch.inference_mode():
        return sam.encode(image)[0].clone()


@pytest.fixture(scope="module")
def reference_sam(reference, sam):
    model = reference_model(reference, SMALL)
    model.load_state_dict(sam.state_dict())
    return model


@pytest.fixture(scope="module")
def hugging_face_sam(sam):
    model = hugging_face_model(SMALL)
    model.load_state_dict(hugging_face_state(sam.state_dict()))
    return model


def prompt(kind, n, *, with_mask):
    """Points, labels, boxes and masks of `n` prompts, in the input frame; None where absent."""
    generator = torch.Generator().manual_seed(2)
    points = labels = boxes = masks = None
    if kind in ("points", "points and box"):
        points = 256 * torch.rand(n, 3, 2, generator=generator)
        labels = torch.tensor([[1, 0, 1]]).repeat(n, 1)
    if kind == "one point":
        points = 256 * torch.rand(n, 1, 2, generator=generator)
        labels = torch.ones(n, 1, dtype=torch.int64)
    if kind in ("box", "points and box"):
        low = 100 * torch.rand(n, 2, generator=generator)
        boxes = torch.cat([low, low + 20 + 100 * torch.rand(n, 2, generator=generator)], dim=1)
    if with_mask:
        masks = 8 * torch.randn(n, 1, 64, 64, generator=generator)
    return points, labels, boxes, masks


def as_points(points, labels, boxes):
    """What the caller of `decode` does: boxes as corners 2 and 3, else one padding point."""
    n = len(boxes if points is None else points)
    coords = [] if points is None else [points]
    marks = [] if labels is None else [labels]
    if boxes is None:
        coords.append(torch.zeros(n, 1, 2))
        marks.append(-torch.ones(n, 1, dtype=torch.int64))
    else:
        coords.append(boxes.reshape(n, 2, 2))
        marks.append(torch.tensor([[2, 3]]).repeat(n, 1))
    return torch.cat(coords, dim=1), torch.cat(marks, dim=1)


@pytest.mark.reference
def test_encode_is_the_references(sam, reference_sam, image, embedding):
    with torch.inference_mode():
        expected = reference_sam.image_encoder(image)
    assert relative_error(embedding, expected) < TOLERANCE


def test_encode_is_hugging_faces(hugging_face_sam, image, embedding):
    with torch.inference_mode():
        expected = hugging_face_sam.get_image_embeddings(image)
    assert relative_error(embedding, expected) < TOLERANCE


@pytest.mark.reference
@pytest.mark.parametrize("multimask_output", [True, False])
@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("kind", PROMPTS)
def test_decode_is_the_references(
    sam, reference_sam, embedding, kind, n, with_mask, multimask_output
):
    points, labels, boxes, masks = prompt(kind, n, with_mask=with_mask)
    coords, marks = as_points(points, labels, boxes)
    with torch.inference_mode():
        logits, iou = sam.decode(
            embedding, (), coords, marks, masks, multimask_output=multimask_output
        )
        sparse, dense = reference_sam.prompt_encoder(
            points=None if points is None else (points, labels), boxes=boxes, masks=masks
        )
        expected_logits, expected_iou = reference_sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=reference_sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )
    assert logits.shape == (n, 3 if multimask_output else 1, 64, 64)
    assert relative_error(logits, expected_logits) < TOLERANCE
    assert (iou - expected_iou).abs().max() < TOLERANCE * expected_iou.abs().max()


@pytest.mark.parametrize("multimask_output", [True, False])
@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("kind", PROMPTS)
def test_decode_is_hugging_faces(
    sam, hugging_face_sam, embedding, kind, n, with_mask, multimask_output
):
    points, labels, boxes, masks = prompt(kind, n, with_mask=with_mask)
    coords, marks = as_points(points, labels, boxes)
    # The port takes one mask per image, so there each prompt gets an image of its own.
    with torch.inference_mode():
        logits, iou = sam.decode(
            embedding, (), coords, marks, masks, multimask_output=multimask_output
        )
        answer = hugging_face_sam(
            image_embeddings=embedding.repeat(n, 1, 1, 1),
            input_points=None if points is None else points[:, None],
            input_labels=None if labels is None else labels[:, None],
            input_boxes=None if boxes is None else boxes[:, None],
            input_masks=masks,
            multimask_output=multimask_output,
        )
    assert relative_error(logits, answer.pred_masks[:, 0]) < TOLERANCE
    expected_iou = answer.iou_scores[:, 0]
    assert (iou - expected_iou).abs().max() < TOLERANCE * expected_iou.abs().max()


def test_an_image_per_prompt_is_each_prompt_by_itself(sam):
    embedding = torch.randn(3, 256, 16, 16, generator=torch.Generator().manual_seed(3))
    coords, marks = as_points(*prompt("points", 3, with_mask=False)[:3])
    with torch.inference_mode():
        together, iou = sam.decode(embedding, (), coords, marks, multimask_output=True)
        for i in range(3):
            alone, alone_iou = sam.decode(
                embedding[i : i + 1],
                (),
                coords[i : i + 1],
                marks[i : i + 1],
                multimask_output=True,
            )
            assert relative_error(together[i : i + 1], alone) < TOLERANCE
            assert relative_error(iou[i : i + 1], alone_iou) < TOLERANCE


@pytest.mark.reference
def test_gradients_are_the_references(reference, sam, image):
    model = reference_model(reference, SMALL)
    model.load_state_dict(sam.state_dict())
    points, labels, _, _ = prompt("points", 2, with_mask=False)
    coords, marks = as_points(points, labels, None)
    sam.zero_grad()
    embedding, high_res = sam.encode(image)
    logits, iou = sam.decode(embedding, high_res, coords, marks, multimask_output=True)
    (logits.square().mean() + iou.square().mean()).backward()
    sparse, dense = model.prompt_encoder(points=(points, labels), boxes=None, masks=None)
    expected, expected_iou = model.mask_decoder(
        image_embeddings=model.image_encoder(image),
        image_pe=model.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    (expected.square().mean() + expected_iou.square().mean()).backward()
    theirs = {name: p.grad for name, p in model.named_parameters()}
    compared = 0
    for name, parameter in sam.named_parameters():
        if theirs[name] is None or not theirs[name].any():
            continue
        difference = (parameter.grad - theirs[name]).norm() / theirs[name].norm()
        # A key's bias shifts all scores alike, so its true gradient is zero and ours is noise.
        if not name.endswith("k_proj.bias"):
            assert difference < 1e-3, name
        compared += 1
    assert compared > 150
    sam.zero_grad()


def test_build_draws_the_same_weights_for_the_same_seed():
    first, again, other = build(TINY, seed=1), build(TINY, seed=1), build(TINY, seed=2)
    name = "mask_decoder.iou_token.weight"
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


def test_a_vit_refuses_another_input_side(sam):
    with pytest.raises(ConfigError, match="input side 128 is not allowed for small"):
        sam.resize_input(128)


def test_tiny_takes_another_input_side():
    tiny = build(TINY).eval()
    tiny.resize_input(96)
    with torch.inference_mode():
        embedding, high_res = tiny.encode(torch.randn(1, 3, 96, 96))
        coords, marks = torch.zeros(2, 1, 2), torch.ones(2, 1, dtype=torch.int64)
        logits, iou = tiny.decode(embedding, high_res, coords, marks, multimask_output=True)
    assert logits.shape == (2, 3, 24, 24)
    assert iou.shape == (2, 3)
    with pytest.raises(ConfigError, match="100"):
        tiny.resize_input(100)
