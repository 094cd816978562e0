import json

import pytest

from maskmill.config import MODEL_CONFIGS, TINY, VIT_B
from maskmill.errors import CheckpointError
from maskmill.weights.architecture import config_from_json, config_to_json


@pytest.mark.parametrize("config", MODEL_CONFIGS.values(), ids=MODEL_CONFIGS)
def test_a_configuration_survives_its_file_exactly(config):
    again = config_from_json(json.loads(json.dumps(config_to_json(config))))
    assert again == config
    assert repr(again) == repr(config)  # 4 equals 4.0, and a tuple is not a list


def test_a_field_added_later_takes_its_default():
    settings = config_to_json(VIT_B)
    del settings["mask_threshold"], settings["decoder"], settings["encoder"]["window_size"]
    assert config_from_json(settings) == VIT_B


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("input_side",), "384", "config.input_side is '384'"),
        (("input_side",), True, "config.input_side is True"),
        (("input_side",), -1, "config.input_side is -1"),
        (("input_side",), 10**9, "config.input_side is 1000000000"),
        (("pixel_mean",), [1.0, 2.0], "config.pixel_mean is"),
        (("pixel_mean",), [1.0, 2.0, "3"], "config.pixel_mean is '3'"),
        (("name",), None, "config.name is None"),
        (("colour",), 1, "config has unknown fields colour"),
        (("decoder",), [], "config.decoder is"),
        (("decoder", "high_res"), 1, "config.decoder.high_res is 1"),
        (("encoder",), "vit", "config.encoder is 'vit'"),
        (("encoder", "kind"), "mamba", "config.encoder.kind is 'mamba'; known: vit, tiny"),
        (("encoder", "kind"), [], "config.encoder.kind is"),
        (("encoder", "widths"), [1, 2, 3], "config.encoder.widths is"),
    ],
)
def test_a_wrong_value_is_named(path, value, message):
    settings = json.loads(json.dumps(config_to_json(TINY)))
    place = settings
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(CheckpointError) as caught:
        config_from_json(settings)
    assert message in str(caught.value)


def test_a_field_without_default_must_be_there():
    settings = config_to_json(VIT_B)
    del settings["encoder"]["depth"]
    with pytest.raises(CheckpointError, match=r"config.encoder lacks depth"):
        config_from_json(settings)
