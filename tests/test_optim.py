"""Groups, rates and the average of the weights."""

import pytest
import torch
from torch import nn

from maskmill.config import TINY, VIT_B, DecoderConfig, ModelConfig, TrainConfig, VitConfig
from maskmill.model.sam import build
from maskmill.train.optim import WeightAverage, learning_rate, parameter_groups

SMALL_VIT = ModelConfig(
    name="small",
    encoder=VitConfig(embed_dim=32, depth=4, num_heads=2, global_attn_indexes=(3,), window_size=3),
    decoder=DecoderConfig(transformer_dim=32, num_heads=2, mlp_dim=64, iou_head_hidden_dim=32),
    input_side=64,
)


def rates_by_name(model: nn.Module, config: TrainConfig) -> dict[str, tuple[float, float]]:
    names = {id(p): n for n, p in model.named_parameters()}
    return {
        names[id(p)]: (group["rate"], group["weight_decay"])
        for group in parameter_groups(model, config)
        for p in group["params"]  # type: ignore[attr-defined]
    }


@pytest.mark.parametrize("model", [TINY, SMALL_VIT], ids=["tiny", "vit"])
def test_every_parameter_is_in_one_group(model: ModelConfig) -> None:
    sam = build(model)
    grouped = [p for group in parameter_groups(sam, TrainConfig()) for p in group["params"]]  # type: ignore[attr-defined]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(sam.parameters()))


def test_norms_biases_and_embeddings_are_not_decayed() -> None:
    rates = rates_by_name(build(SMALL_VIT), TrainConfig(weight_decay=0.1))
    assert rates["image_encoder.blocks.0.norm1.weight"][1] == 0
    assert rates["image_encoder.blocks.0.attn.qkv.bias"][1] == 0
    assert rates["image_encoder.pos_embed"][1] == 0
    assert rates["mask_decoder.mask_tokens.weight"][1] == 0
    assert rates["image_encoder.blocks.0.attn.qkv.weight"][1] == 0.1


def test_layer_decay_slows_lower_layers_only() -> None:
    rates = rates_by_name(build(SMALL_VIT), TrainConfig(layer_decay=0.8))
    block = [rates[f"image_encoder.blocks.{i}.mlp.lin1.weight"][0] for i in range(4)]
    assert block == sorted(block)
    assert block[1] == pytest.approx(block[0] / 0.8)
    assert rates["image_encoder.patch_embed.proj.weight"][0] < block[0]
    assert rates["mask_decoder.iou_token.weight"][0] == 1.0


def test_layer_decay_follows_the_tiny_encoder_from_input_to_neck() -> None:
    rates = rates_by_name(build(TINY), TrainConfig(layer_decay=0.5))
    names = [
        "stem.0.0",
        "stage4.0.expand.0",
        "stage8.0.expand.0",
        "stage16.0.expand.0",
        "stage32.0.lin1",
        "neck",
    ]
    ordered = [rates[f"image_encoder.{name}.weight"][0] for name in names]
    assert ordered == sorted(ordered)
    assert len(set(ordered)) == len(ordered)


def test_rate_rises_then_falls_and_never_reaches_zero() -> None:
    config = TrainConfig(steps=50, warmup_steps=5, learning_rate=2.0)
    rates = [learning_rate(step, config) for step in range(50)]
    assert rates[4] == 2.0
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] > 0


def test_average_follows_weights_and_statistics_but_lags() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = WeightAverage(module, decay=0.9)
    with torch.no_grad():
        module[0].weight.add_(1.0)
        before = average.state["0.weight"].clone()
        for step in range(1000, 1003):
            average.update(module, step)
    moved = (average.state["0.weight"] - before) / 1.0
    torch.testing.assert_close(moved, torch.full_like(moved, 1 - 0.9**3))
    assert average.state["1.num_batches_tracked"].dtype == torch.int64


def test_an_average_is_mixed_with_the_start() -> None:
    start, ended = (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(2))
    with torch.no_grad():
        start[0].weight.fill_(0.0)
        ended[0].weight.fill_(1.0)
        ended[1].running_mean.fill_(4.0)
    average = WeightAverage(ended, decay=0.0)
    average.mix(start, 0.25)
    torch.testing.assert_close(average.state["0.weight"], torch.full((2, 2), 0.75))
    torch.testing.assert_close(average.state["1.running_mean"], torch.full((2,), 3.0))
    assert average.state["1.num_batches_tracked"].dtype == torch.int64


def test_full_size_models_have_a_group_for_every_parameter_name() -> None:
    with torch.device("meta"):
        from maskmill.model.sam import Sam

        sam = Sam(VIT_B)
    groups = parameter_groups(sam, TrainConfig(layer_decay=0.8))
    # 12 blocks, and what lies outside them: below, and the decoder; decayed or not.
    assert len({group["rate"] for group in groups}) == 14
