"""Everything mode finds what the reference generator finds, on scenes and with real decoders."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from automask_scene import ReferenceSam, SceneOverTorch, scene_predictor

from maskmill import rle
from maskmill.automask import AutoMask, automask
from maskmill.config import TINY, AutomaskConfig
from maskmill.errors import ConfigError
from maskmill.model import torch_backend
from maskmill.model.sam import build
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.values import Embedding

SMALL = replace(TINY, input_side=128, pred_iou_thresh=0.88, stability_score_thresh=0.95)


def of_reference(
    reference: ModuleType, driven: Any, image: np.ndarray, **settings: Any
) -> list[dict[str, Any]]:
    generator = reference.SamAutomaticMaskGenerator(
        driven, output_mode="uncompressed_rle", points_per_batch=16, **settings
    )
    records: list[dict[str, Any]] = generator.generate(image)
    for record in records:
        coded = record["segmentation"]
        record["rle"] = rle.from_run_lengths(tuple(coded["size"]), coded["counts"])
    return records


def shares(a: list[Rle], b: list[Rle], least: float = 0.95) -> tuple[float, float]:
    """Return the share of each list's masks that have a twin in the other."""
    overlap = rle.iou(a, b)
    return float((overlap.max(1) >= least).mean()), float((overlap.max(0) >= least).mean())


@pytest.mark.reference
@pytest.mark.parametrize(
    "settings",
    [
        {"points_per_side": 12},
        {"points_per_side": 6, "crop_n_layers": 1},
        {"points_per_side": 8, "crop_n_layers": 1, "crop_n_points_downscale_factor": 2,
         "crop_overlap_ratio": 0.2, "crop_nms_thresh": 0.5},
        {"points_per_side": 10, "min_mask_region_area": 60, "box_nms_thresh": 0.4},
        {"points_per_side": 10, "pred_iou_thresh": 0.95, "stability_score_thresh": 0.9},
        {"points_per_side": 8, "pred_iou_thresh": 0.9, "stability_score_thresh": 0.0},
    ],
    ids=lambda settings: " ".join(sorted(settings)[:2]),
)  # fmt: skip
def test_a_scene_gives_the_masks_of_the_reference(
    reference: ModuleType, photographs: dict[str, np.ndarray], settings: dict[str, Any]
) -> None:
    image = photographs["rocket"][::2, ::2]  # 214 high, 320 wide
    ours = automask(scene_predictor(SMALL), image, AutomaskConfig(**settings))
    theirs = of_reference(reference, ReferenceSam(reference, None, {}, SMALL), image, **settings)
    assert len(theirs) >= 5, "the scene must leave something to compare"
    assert shares([r["rle"] for r in theirs], [m.rle for m in ours]) == (1.0, 1.0)
    assert len(ours) == len(theirs)
    if settings.get("crop_n_layers", 0) == 0:
        for mask, record in zip(ours, theirs, strict=True):
            assert_same_record(mask, record)


def assert_same_record(mask: AutoMask, record: dict[str, Any]) -> None:
    assert mask.rle == record["rle"]
    assert mask.area == record["area"]
    x, y, w, h = record["bbox"]
    # The reference's boxes end on their last pixel, ours after it.
    assert mask.box == (x, y, x + w + 1, y + h + 1)
    assert mask.predicted_iou == pytest.approx(record["predicted_iou"], abs=1e-6)
    assert mask.stability_score == pytest.approx(record["stability_score"], abs=1e-6)
    assert mask.point == pytest.approx(tuple(record["point_coords"][0]))
    x, y, w, h = record["crop_box"]
    assert mask.crop_box == (x, y, x + w, y + h)


@pytest.mark.reference
def test_our_decoder_drives_the_reference_and_both_agree(
    reference: ModuleType, photographs: dict[str, np.ndarray]
) -> None:
    sam = build(SMALL, seed=4).eval()
    # Random weights draw faint noise; louder, they draw masks with edges.
    for mlp in sam.mask_decoder.output_hypernetworks_mlps:
        mlp.layers[-1].weight.data *= 300
    settings: dict[str, Any] = {
        "points_per_side": 8, "pred_iou_thresh": -1.0, "stability_score_thresh": 0.6,
        "box_nms_thresh": 1.0,  # random masks fill the image, their boxes are all one
    }  # fmt: skip
    image = photographs["coffee"][::3, ::3]
    ours = automask(Predictor.from_sam(sam), image, AutomaskConfig(**settings))
    driven = ReferenceSam(reference, sam, None, SMALL)
    theirs = of_reference(reference, driven, image, **settings)
    assert len(theirs) >= 3
    recall, precision = shares([r["rle"] for r in theirs], [m.rle for m in ours])
    assert min(recall, precision) >= 0.97


def test_threads_change_nothing(photographs: dict[str, np.ndarray]) -> None:
    image, config = photographs["chelsea"][:200:2, ::2], AutomaskConfig(points_per_side=9)
    config = replace(config, points_per_batch=7)
    predictor = Predictor(
        SceneOverTorch(build(SMALL).eval(), {}), SMALL, model_id="scene", backend_name="torch"
    )
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(automask(predictor, image, config))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(found[0]) >= 5
    assert [m.rle for m in found[0]] == [m.rle for m in found[1]]


def test_the_fast_mode_asks_less_and_finds_no_mask_that_is_not_there(
    photographs: dict[str, np.ndarray],
) -> None:
    image = photographs["rocket"][::2, ::2]
    config = AutomaskConfig(points_per_side=16)
    whole, fast = scene_predictor(SMALL), scene_predictor(SMALL)
    all_masks = automask(whole, image, config)
    fewer = automask(fast, image, replace(config, fast=True))
    assert whole.backend.calls == 256  # type: ignore[attr-defined]
    assert fast.backend.calls < 250  # type: ignore[attr-defined]
    recall, precision = shares([m.rle for m in all_masks], [m.rle for m in fewer], least=0.8)
    assert precision >= 0.95
    assert recall >= 0.6


def test_bf16_is_used_by_the_fast_mode_alone_and_only_where_the_processor_has_it(
    photographs: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    sam = build(SMALL).eval()
    predictor = Predictor.from_sam(sam)
    seen: list[bool] = []
    embed = predictor.embed

    def spy(image: np.ndarray) -> Embedding:
        embedding = embed(image)
        seen.append(torch.is_autocast_enabled("cpu"))
        return embedding

    monkeypatch.setattr(predictor, "embed", spy)
    image = photographs["rocket"][::8, ::8]
    for fast in (False, True):
        for has_it in (False, True):
            monkeypatch.setattr(torch_backend, "computes_bf16", lambda has_it=has_it: has_it)
            automask(predictor, image, AutomaskConfig(points_per_side=2, fast=fast))
    assert seen == [False, False, False, True]
    monkeypatch.undo()
    assert torch_backend.computes_bf16() == cpu_flag("avx512_bf16", "amx_bf16", "bf16")


def cpu_flag(*names: str) -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        pytest.skip("this system does not list its processor's instructions")
    return any(name in cpuinfo.read_text().split() for name in names)


def test_nothing_sure_means_no_masks() -> None:
    config = AutomaskConfig(points_per_side=4, pred_iou_thresh=1.0)
    assert automask(scene_predictor(SMALL), np.ones((50, 70, 3), np.uint8), config) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 200)])
def test_the_smallest_images_are_images(shape: tuple[int, int]) -> None:
    config = AutomaskConfig(points_per_side=3, crop_n_layers=1)
    masks = automask(scene_predictor(SMALL), np.ones((*shape, 3), np.uint8), config)
    for mask in masks:
        assert mask.rle.size == shape


def test_nonsense_is_refused_before_any_work() -> None:
    config = AutomaskConfig(box_nms_thresh=-0.1)
    with pytest.raises(ConfigError, match=r"box_nms_thresh is -0\.1; it must be between 0 and 1"):
        automask(scene_predictor(SMALL), np.ones((8, 8, 3), np.uint8), config)
