"""The graphs are those the backend looks for, free in prompts and points."""

import onnx
import pytest
from random_model import exported_folder

from maskmill.onnx_backend import ATTEND_FILE, DRAW_FILE, ENCODER_FILE, GRID_FILES, ONNX_FILES


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, set[tuple[str, tuple[bool, ...]]]]:
    """Each file's inputs: name, and which dimensions are free."""
    found = {}
    for path in exported_folder(tmp_path_factory).glob("*.onnx"):
        found[path.name] = {
            (i.name, tuple(bool(d.dim_param) for d in i.type.tensor_type.shape.dim))
            for i in onnx.load(path).graph.input
        }
    return found


def test_every_file_has_its_graph(traced: dict[str, object]) -> None:
    assert set(traced) == {*ONNX_FILES, *GRID_FILES}


def test_prompts_and_points_are_free_and_the_frame_is_not(
    traced: dict[str, set[tuple[str, tuple[bool, ...]]]],
) -> None:
    for name, inputs in traced.items():
        if name == ENCODER_FILE:
            assert inputs == {("image", (False,) * 4)}
            continue
        if name in GRID_FILES:
            continue
        assert ("embedding", (False,) * 4) in inputs, name
        assert ("point_coords", (True, True, False)) in inputs, name
        assert ("point_labels", (True, True)) in inputs, name


def test_points_of_a_grid_are_free_and_what_they_share_is_not(
    traced: dict[str, set[tuple[str, tuple[bool, ...]]]],
) -> None:
    assert ("points", (True, False)) in traced[ATTEND_FILE]
    assert {name.split(".")[0] for name, _ in traced[DRAW_FILE]} == {"canvas", "seen"}
    for name, free in traced[ATTEND_FILE] | traced[DRAW_FILE]:
        begins = name.startswith(("points", "seen"))
        assert free == (begins, *(False,) * (len(free) - 1)), name
