"""What must not be loaded: measured in new processes, because this one has loaded everything."""

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "onnxruntime", "cv2", "onnx", "transformers", "skimage", "matplotlib", "scipy")


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a program has loaded when it is done."""
    program = (
        f"import sys, json\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import maskmill",
        "import maskmill.cli",
        "from maskmill.cli import main; main(['--help'])",
        "from maskmill.cli import main; main(['--version'])",
        "from maskmill.cli import main; main(['train', '--help'])",
        "from maskmill.cli import main; main(['automask', '--help'])",
    ],
)
def test_import_and_help_load_nothing_heavy(code: str) -> None:
    loaded = loaded_by(code)
    assert "maskmill" in loaded
    assert loaded.isdisjoint({*HEAVY, "numpy"}), sorted(loaded & {*HEAVY, "numpy"})


@pytest.mark.parametrize(
    "code", ["import maskmill.predict", "import maskmill.automask", "import maskmill.segment"]
)
def test_inference_loads_neither_a_framework_nor_a_runtime_before_it_runs(code: str) -> None:
    loaded = loaded_by(code)
    assert loaded.isdisjoint({"torch", "onnxruntime", "onnx", "skimage", "matplotlib"})


def test_the_measurement_notices_what_is_loaded() -> None:
    assert "cv2" in loaded_by("import cv2")


def test_inference_with_the_default_model_works_where_torch_cannot_be_imported() -> None:
    program = """
import sys
for name in ("torch", "safetensors", "onnx", "skimage", "matplotlib"):
    sys.modules[name] = None  # to every way of asking, it is not installed
import numpy as np
import maskmill
from maskmill.automask import automask
predictor = maskmill.Predictor.load()
image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
masks = predictor.predict(predictor.embed(image), [maskmill.point_prompt((30, 20))]).best_masks()
settings = maskmill.AutomaskConfig(points_per_side=2, pred_iou_thresh=0, stability_score_thresh=0)
print(predictor.backend_name, masks.shape, type(automask(predictor, image, settings)).__name__)
assert sys.modules["torch"] is None
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "onnx (1, 60, 90) list"


def test_public_names_load_when_they_are_asked_for() -> None:
    import maskmill

    for name in maskmill.__all__:
        assert getattr(maskmill, name) is not None
        assert name in dir(maskmill)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        maskmill.nothing  # noqa: B018
