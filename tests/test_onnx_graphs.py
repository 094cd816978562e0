"""The graphs are those the backend looks for, free in prompts and points."""

import pytest
from random_model import SMALL_TINY, random_sam

from maskmill.onnx_backend import ATTEND_FILE, DRAW_FILE, ENCODER_FILE, GRID_FILES, ONNX_FILES
from maskmill.onnx_graphs import graphs


@pytest.fixture(scope="module")
def traced() -> dict[str, set[tuple[str, tuple[bool, ...]]]]:
    """Each file's inputs: name, and which dimensions are free."""
    found = {}
    for name, model in graphs(random_sam(SMALL_TINY)):
        found[name] = {
            (i.name, tuple(bool(d.dim_param) for d in i.type.tensor_type.shape.dim))
            for i in model.graph.input
        }
    return found


def test_every_file_has_its_graph(traced: dict[str, object]) -> None:
    assert tuple(traced) == (*ONNX_FILES, *GRID_FILES)


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
