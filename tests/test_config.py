import dataclasses
import re
from pathlib import Path

import pytest

from maskmill import config
from maskmill.config import (
    MODEL_CONFIGS,
    TINY,
    VIT_B,
    VIT_H,
    AutomaskConfig,
    EvaluateConfig,
    TrainConfig,
    load_toml,
    with_settings,
)
from maskmill.errors import ConfigError


def test_settings_replace_what_they_name_and_nothing_else():
    changed = with_settings(AutomaskConfig(), {"points_per_side": 16, "pred_iou_thresh": 1})
    assert changed == dataclasses.replace(AutomaskConfig(), points_per_side=16, pred_iou_thresh=1)
    assert with_settings(AutomaskConfig(), {}) == AutomaskConfig()


def test_lists_of_a_file_become_tuples():
    changed = with_settings(TINY.encoder, {"widths": [8, 16, 24, 32]})
    assert changed.widths == (8, 16, 24, 32)
    hash(changed)  # a configuration can be a key


@pytest.mark.parametrize(
    ("key", "hint"),
    [("points_per_sid", "did you mean points_per_side?"), ("zzz", "allowed: box_nms_thresh, ")],
)
def test_an_unknown_name_is_answered_with_the_nearest(key, hint):
    with pytest.raises(ConfigError, match=re.escape(f"mine.toml: unknown setting {key!r}")) as info:
        with_settings(AutomaskConfig(), {key: 1}, where="mine.toml")
    assert hint in str(info.value)


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (AutomaskConfig(), {"points_per_side": "x"}, "is 'x'; it must be int, as its default, 32"),
        (AutomaskConfig(), {"points_per_side": True}, "is True; it must be int"),
        (AutomaskConfig(), {"points_per_side": 3.5}, "is 3.5; it must be int"),
        (AutomaskConfig(), {"points_per_side": [3]}, "is [3]; it must be int"),
        (AutomaskConfig(), {"pred_iou_thresh": "0.9"}, "is '0.9'; it must be float"),
        (AutomaskConfig(), {"fast": 1}, "is 1; it must be bool, as its default, False"),
        (AutomaskConfig(), {"fast": "no"}, "is 'no'; it must be bool"),
        (VIT_B, {"name": 3}, "name is 3; it must be str, as its default, 'vit_b'"),
        (VIT_B, {"pixel_mean": [1.0, 2.0]}, "it must be tuple[float, float, float]"),
        (TINY.encoder, {"widths": 8}, "widths is 8; it must be tuple["),
        (VIT_B.encoder, {"global_attn_indexes": [1, "2"]}, "it must be tuple[int, ...]"),
        (TrainConfig(), {"mask_loss": "dice"}, "is 'dice'; it must be 'focal' or 'bce'"),
        (EvaluateConfig(), {"limit": "all"}, "is 'all'; it must be int | None"),
        (EvaluateConfig(), {"limit": True}, "is True; it must be int | None"),
    ],
)
def test_a_value_of_another_kind_is_refused(config, settings, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        with_settings(config, settings)


def test_values_of_the_right_kind_pass():
    assert with_settings(EvaluateConfig(), {"limit": 3}).limit == 3
    assert with_settings(EvaluateConfig(), {"limit": None}).limit is None
    assert with_settings(TrainConfig(), {"mask_loss": "bce"}).mask_loss == "bce"
    assert with_settings(VIT_B.encoder, {"global_attn_indexes": [1]}).global_attn_indexes == (1,)
    whole = with_settings(AutomaskConfig(), {"pred_iou_thresh": 1}).pred_iou_thresh
    assert (type(whole), whole) == (float, 1.0)


def test_toml_is_read(tmp_path: Path):
    path = tmp_path / "maskmill.toml"
    path.write_text("[automask]\npoints_per_side = 16\n")
    assert load_toml(path) == {"automask": {"points_per_side": 16}}


@pytest.mark.parametrize("content", [b"points = ", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_what_is_no_toml_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.toml is not TOML: .*run again"):
        load_toml(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"gone\.toml: No such file"):
        load_toml(tmp_path / "gone.toml")


def test_models_are_found_by_their_own_names_and_have_the_papers_sizes():
    assert all(model.name == name for name, model in MODEL_CONFIGS.items())
    assert (VIT_B.embedding_side, VIT_B.low_res_side) == (64, 256)
    assert (TINY.embedding_side, TINY.low_res_side) == (24, 96)
    assert (VIT_H.encoder.embed_dim, VIT_H.encoder.depth) == (1280, 32)


def test_every_field_is_explained_for_the_command_line():
    source = Path(config.__file__).read_text("utf-8")
    for cls in vars(config).values():
        if isinstance(cls, type) and dataclasses.is_dataclass(cls):
            for field in dataclasses.fields(cls):
                explained = rf"\n    {field.name}: [^\n]+\n    (\"\"\"|#)"
                assert re.search(explained, source), f"{cls.__name__}.{field.name}"
