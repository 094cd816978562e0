"""Teaching the pixel encoder: it learns, goes on where it was, and is the product's own probe."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scribble_scene import labelled

from maskmill.errors import ConfigError
from maskmill.formats import write_sa1b_folder
from maskmill.model.pixel_encoder import PixelEncoder
from maskmill.scribble.describing import open_encoder
from maskmill.scribble.pretrain.episodes import Pool, fill_pool, some_episode
from maskmill.scribble.pretrain.learn import LearnConfig, episode_loss, learn, probe_of
from maskmill.scribble.probe import fit_probe


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    folder = tmp_path_factory.mktemp("photographs")
    return fill_pool([labelled(folder, i) for i in range(5)], [])


def test_its_probe_is_the_products():
    random = np.random.default_rng(0)
    descriptors = random.normal(size=(80, 24)).astype(np.float32)
    labels = random.integers(0, 3, 80)
    taught = probe_of(torch.from_numpy(descriptors), torch.from_numpy(labels), 3).numpy()
    assert np.abs(taught - fit_probe(descriptors, labels)).max() < 1e-3


def test_a_few_steps_teach_something(pool: Pool, tmp_path: Path):
    config = LearnConfig(steps=20, episodes=1, save_every=10)
    taught = learn(pool, config, tmp_path / "run")
    assert not taught.training
    torch.manual_seed(config.seed)
    before = PixelEncoder().eval()
    asked = [some_episode(np.random.default_rng([9, i]), pool) for i in range(8)]
    with torch.no_grad():
        first, last = (
            np.mean([float(episode_loss(encoder, e)[0]) for e in asked])
            for encoder in (before, taught)
        )
    assert last < first
    lines = (tmp_path / "run" / "curve.txt").read_text().splitlines()
    assert [int(line.split()[0]) for line in lines] == [10, 20]


def test_a_run_that_was_stopped_ends_where_it_would_have(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = LearnConfig(steps=4, episodes=1, save_every=2)
    whole = learn(pool, config, tmp_path / "whole")
    from maskmill.scribble.pretrain import learn as module

    saved, real = [], module._save

    def save(*args: object) -> None:
        real(*args)
        saved.append(args)
        if len(saved) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_save", save)
    with pytest.raises(KeyboardInterrupt):
        learn(pool, config, tmp_path / "cut")
    cut = learn(pool, config, tmp_path / "cut")
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    with pytest.raises(ConfigError, match="another folder"):
        learn(pool, LearnConfig(steps=5, episodes=1, save_every=2), tmp_path / "cut")


@pytest.mark.slow
def test_the_command_writes_what_ships(tmp_path: Path):
    photos = tmp_path / "set"
    photos.mkdir()
    write_sa1b_folder(photos, [labelled(photos, number) for number in range(4)], copy_images=False)
    out = tmp_path / "out"
    subprocess.run(
        [sys.executable, "-m", "maskmill.scribble.pretrain", photos, "--textures", photos,
         "--run", tmp_path / "run", "--out", out, "--steps", "1"],
        check=True,
    )  # fmt: skip
    about = json.loads((out / "about.json").read_text())
    assert about["textures"] == 4
    assert about["settings"]["steps"] == 1
    encoder = open_encoder((out / "encoder.onnx").read_bytes())
    found = encoder.run(None, {"image": np.zeros((1, 3, 8, 12), np.float32)})[0]
    assert found.shape == (1, 24, 2, 3)
