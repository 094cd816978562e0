"""The validation curve moves with the weights only, and leaves the run as it was."""

from pathlib import Path

import torch
from labelled_scene import SMALL, write_scene

from maskmill.config import TrainConfig
from maskmill.model.sam import build
from maskmill.train.interactive import InteractiveLoss
from maskmill.train.watching import Watch

CONFIG = TrainConfig(batch_images=2, masks_per_image=2, input_side=64, steps=25)


def test_the_same_weights_give_the_same_loss_and_other_weights_another(tmp_path: Path) -> None:
    scenes = [write_scene(tmp_path, f"{i}", seed=i) for i in range(2)]
    sam = build(SMALL).train()
    sam.resize_input(64)
    session = InteractiveLoss(sam, CONFIG)
    watch = Watch(scenes, sam.config, CONFIG)
    place = torch.device("cpu")
    before = {name: tensor.clone() for name, tensor in sam.state_dict().items()}
    first = watch.measure(session, place)
    assert first["val_loss"] > 0
    assert watch.measure(session, place) == first
    assert session.training
    assert all(torch.equal(t, before[n]) for n, t in sam.state_dict().items())
    with torch.no_grad():
        for each in sam.mask_decoder.parameters():
            each += 0.1
    assert watch.measure(session, place) != first


def test_it_looks_first_now_and_then_and_last_and_never_without_images(tmp_path: Path) -> None:
    scene = write_scene(tmp_path, "one", seed=1)
    watch = Watch([scene], build(SMALL).config, CONFIG)
    assert [step for step in range(25) if watch.due(step, 25)] == [0, 10, 20, 24]
    assert not Watch([], build(SMALL).config, CONFIG).due(0, 25)
