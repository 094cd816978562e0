"""What every test file may ask for: photographs, the labelled data, and the reference package.

In CI (environment variable CI=true) a skipped test is a failed one: what the machine of a reader
may lack must not go unnoticed on ours.
"""

import os
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# Other work may hold both cores, so an example's duration says nothing about the code.
settings.register_profile("maskmill", deadline=None, print_blob=True)
settings.load_profile("maskmill")

TOGETHER = {"tests/test_onnx_graphs.py": "tests/test_onnx_export.py"}
"""Files that look at what takes minutes to make: the same worker makes it once for both."""
IN_CI = os.environ.get("CI", "").lower() == "true"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole files: what a file's tests share is made once.

    xdist's marks for groups (3.8) are not seen with pytest 9.2, which keeps names elsewhere.
    """
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return TOGETHER.get(file, file)

    return ByFile(config, log)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with labelled photographs; it holds `natural`, `unlabelled` and `verticals`."""
    named = os.environ.get("MASKMILL_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "natural").is_dir():
        pytest.skip(f"no labelled photographs in {folder}; set MASKMILL_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def photographs() -> dict[str, np.ndarray]:
    """A few photographs that ship inside scikit-image, uint8 RGB `h w 3`, by name; read-only."""
    from skimage import data

    images = {name: getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
    for image in images.values():
        image.setflags(write=False)
    return images


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The reference package, `segment_anything`; see `reference_sam`."""
    return reference_sam()


def reference_sam() -> ModuleType:
    """Import the reference package with stand-ins for the four torchvision functions it uses.

    torchvision's wheels do not load beside every PyTorch, so the tests do without. Submodules are
    at hand: `reference_sam().utils.amg`, `.utils.transforms`, `.automatic_mask_generator`.
    """
    for name, functions in _torchvision_functions().items():
        parent, _, leaf = name.rpartition(".")
        module = ModuleType(name)
        module.__dict__.update(functions)
        if sys.modules.setdefault(name, module) is module and parent:
            setattr(sys.modules[parent], leaf, module)
    return pytest.importorskip("segment_anything", reason="needs the segment-anything package")


def _torchvision_functions() -> dict[str, dict[str, Any]]:
    """The stand-ins by module, parents first."""
    import torch

    def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
        return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)

    def box_area(boxes: torch.Tensor) -> torch.Tensor:
        return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    def batched_nms(
        boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, iou_threshold: float
    ) -> torch.Tensor:
        areas, kept = box_area(boxes), []
        left = scores.argsort(descending=True, stable=True)
        while len(left):
            best, left = left[0], left[1:]
            kept.append(best)
            low = torch.maximum(boxes[best, :2], boxes[left, :2])
            high = torch.minimum(boxes[best, 2:], boxes[left, 2:])
            shared = (high - low).clamp(min=0).prod(dim=1)
            iou = shared / (areas[best] + areas[left] - shared)
            left = left[(iou <= iou_threshold) | (idxs[left] != idxs[best])]
        return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64)

    return {
        "torchvision": {},
        "torchvision.transforms": {},
        "torchvision.transforms.functional": {"resize": resize, "to_pil_image": Image.fromarray},
        "torchvision.ops": {},
        "torchvision.ops.boxes": {"batched_nms": batched_nms, "box_area": box_area},
    }


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI a skip is a failure: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
