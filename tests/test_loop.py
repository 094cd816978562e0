"""A training run: it saves a model, and a kill at any step changes nothing in it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from labelled_scene import SMALL, offer_small_model, write_scenes

from maskmill.config import MODEL_CONFIGS, TrainConfig, VitConfig
from maskmill.errors import CheckpointError, ConfigError
from maskmill.model.checkpoint import load_model, save_model
from maskmill.train import loop
from maskmill.train.loop import first_weights, train
from maskmill.train.report import Report, read_metrics

offer_small_model()
CONFIG = TrainConfig(
    model="small",
    steps=16,
    batch_images=2,
    masks_per_image=2,
    input_side=64,
    late_input_side=96,
    late_share=0.25,
    click_iterations=1,
    iterations_without_point=0,
    warmup_steps=2,
    checkpoint_every=2,
    threads=1,
)

CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from labelled_scene import write_scenes
from test_loop import CONFIG
from maskmill.train.loop import train
train(write_scenes(Path(sys.argv[1]), 4), Path(sys.argv[2]), CONFIG)
"""


def start_child(scenes: Path, run: Path) -> subprocess.Popen[bytes]:
    """Train in a process of its own, which can be killed; what it says goes to a file."""
    command = [sys.executable, "-c", CHILD, str(scenes), str(run), str(Path(__file__).parent)]
    with (scenes.parent / "child.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    child = start_child(folder / "scenes", folder / "run")
    assert child.wait() == 0, (folder / "child.log").read_text()
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoint.pt", weights_only=True)["average"]
    return state


def test_a_run_leaves_a_model_lines_and_a_picture(unbroken: Path) -> None:
    run = unbroken / "run"
    sam, card = load_model(run / "model")
    assert card["training"]["steps"] == 16
    assert card["images_seen"] == 32
    assert card["training_seconds"] >= 0
    averaged = weights(run)
    for name, value in sam.state_dict().items():
        torch.testing.assert_close(value, averaged[name], check_dtype=False)
    lines = read_metrics(run / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(16))
    assert [line["side"] for line in lines] == [64] * 12 + [96] * 4
    assert (run / "loss.png").exists()


def killed(unbroken: Path, run: Path) -> bool:
    """Kill a run at the checkpoints of two steps; tells whether it had not ended before."""
    for wanted in (2, 8):
        child = start_child(unbroken / "scenes", run)
        deadline = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < deadline and last_step(run) < wanted:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert wanted <= last_step(run)
        if last_step(run) >= 16:
            return False
    return True


def test_killed_at_any_moment_it_resumes_to_the_same_weights(
    unbroken: Path, tmp_path: Path
) -> None:
    # On a busy machine a kill may come when all is done: then once more, from the beginning.
    run = next(
        (run for run in (tmp_path / f"run-{i}" for i in range(4)) if killed(unbroken, run)), None
    )
    assert run is not None, "the kills came before the end"
    child = start_child(unbroken / "scenes", run)
    assert child.wait() == 0
    expected = weights(unbroken / "run")
    for name, value in weights(run).items():
        assert torch.equal(value, expected[name]), name
    assert [line["step"] for line in read_metrics(run / "metrics.jsonl")] == list(range(16))


def last_step(run: Path) -> int:
    """Step of the last complete checkpoint; a half-written one must never be seen here."""
    path = run / "checkpoint.pt"
    return int(torch.load(path, weights_only=True)["step"]) if path.exists() else 0


def test_other_settings_are_refused_in_a_used_folder_and_named(
    unbroken: Path, tmp_path: Path
) -> None:
    scenes = write_scenes(tmp_path, 4)
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.0008, is 0\.1.*new folder"):
        train(scenes, unbroken / "run", replace(CONFIG, learning_rate=0.1))


def test_a_damaged_checkpoint_is_refused_with_the_next_step(tmp_path: Path) -> None:
    scenes = write_scenes(tmp_path / "scenes", 2)
    run = tmp_path / "run"
    train(scenes, run, replace(CONFIG, steps=1, late_share=0.0))
    (run / "checkpoint.pt").write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="remove it to start the run anew"):
        train(scenes, run, replace(CONFIG, steps=1, late_share=0.0))


def test_a_start_that_holds_no_weights_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "sam.pth").touch()
    scenes = write_scenes(tmp_path / "scenes", 1)
    with pytest.raises(CheckpointError, match=r"sam\.pth is empty \(0 bytes\)"):
        train(scenes, tmp_path / "run", replace(CONFIG, start_from=str(tmp_path / "sam.pth")))
    assert not (tmp_path / "run").exists()


def test_training_starts_from_a_model(unbroken: Path, tmp_path: Path) -> None:
    scenes = write_scenes(tmp_path / "scenes", 2)
    config = replace(
        CONFIG,
        start_from=str(unbroken / "run" / "model"),
        steps=1,
        learning_rate=0.0,
        late_share=0.0,
        weight_decay=0.0,
    )
    model = train(scenes, tmp_path / "run", config)
    before, after = load_model(unbroken / "run" / "model")[0], load_model(model)[0]
    for (name, a), b in zip(before.named_parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_half_of_the_way_back_lies_between_start_and_end(unbroken: Path, tmp_path: Path) -> None:
    scenes = write_scenes(tmp_path / "scenes", 2)
    config = replace(CONFIG, start_from=str(unbroken / "run" / "model"), steps=2, late_share=0.0)
    ended = load_model(train(scenes, tmp_path / "whole", config))[0]
    mixed = load_model(train(scenes, tmp_path / "half", replace(config, start_share=0.5)))[0]
    start = load_model(unbroken / "run" / "model")[0]
    moved = 0.0
    for name, a in start.state_dict().items():
        if a.is_floating_point():
            b = ended.state_dict()[name]
            torch.testing.assert_close(mixed.state_dict()[name], (a + b) / 2, msg=name)
            moved = max(moved, float((a - b).abs().max()))
    assert moved > 1e-4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"start_share": 0.5}, "weights started from are random"),
        ({"device": "tpu"}, "device 'tpu' is not known"),
        ({"model": "huge"}, "model 'huge' is not known; use one of tiny"),
    ],
)
def test_impossible_settings_are_named(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    scenes = write_scenes(tmp_path / "scenes", 1)
    with pytest.raises(ConfigError, match=said):
        train(scenes, tmp_path / "run", TrainConfig(**{**asdict(CONFIG), **settings}))


def test_a_step_that_fails_closes_the_runs_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[Report] = []

    class Watched(Report):
        def __enter__(self) -> Report:
            reports.append(self)
            return self

    def fail(*args: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(loop, "Report", Watched)
    monkeypatch.setattr(loop, "take_step", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(write_scenes(tmp_path / "scenes", 1), tmp_path / "run", CONFIG)
    assert reports[0].file.closed


def test_a_batch_that_processes_cannot_share_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="use a multiple of 3"):
        train(write_scenes(tmp_path / "scenes", 1), tmp_path / "run", CONFIG)


def test_two_processes_train_one_model(unbroken: Path, tmp_path: Path) -> None:
    """Under torchrun, halves of each batch on two processes take part in the same steps."""
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    done = subprocess.run(
        [
            *[sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"],
            *["--master-addr=127.0.0.1", "--master-port=29731", str(script)],
            *[str(unbroken / "scenes"), str(tmp_path / "run"), str(Path(__file__).parent)],
        ],
        capture_output=True,
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo"},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(16))
    load_model(tmp_path / "run" / "model")


def test_a_vit_trains_at_its_own_side_and_says_so_at_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vit = replace(SMALL, name="small_vit", decoder=replace(SMALL.decoder, high_res=False))
    encoder = VitConfig(embed_dim=16, depth=1, num_heads=2, global_attn_indexes=(0,))
    monkeypatch.setitem(MODEL_CONFIGS, "small_vit", replace(vit, encoder=encoder))
    scenes = write_scenes(tmp_path / "scenes", 2)
    config = replace(CONFIG, model="small_vit", steps=1, late_input_side=64, late_share=0.0)
    train(scenes, tmp_path / "run", config)
    with pytest.raises(ConfigError, match="input side 96 is not allowed for small_vit"):
        train(scenes, tmp_path / "other", replace(config, input_side=96))


def test_a_model_grows_the_parts_that_its_start_left_out(tmp_path: Path) -> None:
    plain = first_weights(replace(CONFIG, leave_out=("likeness", "read_masks")))
    assert plain.likeness is None
    save_model(tmp_path / "plain", plain.eval(), {})
    start = {"start_from": str(tmp_path / "plain"), "seed": 5}
    assert first_weights(replace(CONFIG, **start)).likeness is None
    grown = first_weights(replace(CONFIG, **start, grow=True))
    assert grown.likeness is not None
    given, whole = plain.state_dict(), grown.state_dict()
    assert len(given) < len(whole)
    for name, tensor in given.items():
        torch.testing.assert_close(whole[name], tensor, msg=name)


def test_what_cannot_grow_or_be_left_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="leave_out names 'wings'; the parts are grid_iou, high_res, like"
    ):
        first_weights(replace(CONFIG, leave_out=("wings",)))
    save_model(tmp_path / "whole", first_weights(CONFIG).eval(), {})
    config = replace(CONFIG, start_from=str(tmp_path / "whole"), grow=True)
    with pytest.raises(ConfigError, match="cannot grow into small: likeness"):
        first_weights(replace(config, leave_out=("likeness",)))
