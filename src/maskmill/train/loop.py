"""The training run: one story from images to a saved model, resumable at any step.

A run is a folder: `settings.json`, `metrics.jsonl`, `loss.png`, `checkpoint.pt` (weights, their
average, optimiser, step) and, at the end, `model/`. Batches and clicks are functions of (seed,
step), so what has to be stored to resume is small, and on a CPU a resumed run reaches the same
weights bit for bit. Started by `torchrun`, the same code trains on many devices.
"""

import json
import os
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from maskmill.config import MODEL_CONFIGS, ModelConfig, TrainConfig
from maskmill.durable import write_atomically
from maskmill.errors import CheckpointError, ConfigError, MaskmillError
from maskmill.formats.labelled import LabelledImage, even_sample
from maskmill.model.checkpoint import load_model, save_model
from maskmill.model.sam import Sam, build
from maskmill.train.data import Batch, StepDataset, usable_images
from maskmill.train.fit_grid_iou import fit_grid_iou
from maskmill.train.interactive import InteractiveLoss
from maskmill.train.limits import refuse_nonsense
from maskmill.train.optim import WeightAverage, learning_rate, parameter_groups
from maskmill.train.report import Report
from maskmill.train.watching import Watch


@dataclass(frozen=True)
class Place:
    """Where this process trains: its device and its rank among the processes."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0


class Paused(MaskmillError):
    """Somebody asked the run to stop; a checkpoint of its last step is kept."""


def train(
    images: Sequence[LabelledImage],
    run: Path,
    config: TrainConfig,
    *,
    watched: Sequence[LabelledImage] = (),
    pause: threading.Event | None = None,
) -> Path:
    """Train a model interactively and save the average of its weights.

    Args:
        images: Labelled images; those that cannot teach are left out.
        run: Folder of the run; one that holds an unfinished run of the same settings is resumed.
        config: Settings.
        watched: Labelled images on which the loss is measured now and then, and nothing learned.
        pause: Set when the run is to end after its next step, to be resumed later.

    Returns:
        The folder of the finished model.

    Raises:
        Paused: If `pause` was set.
        ConfigError: If the folder holds a run with other settings, or a setting cannot be met.
        DatasetError: If no image can teach.
        CheckpointError: If `start_from` is not a model.
    """
    refuse_nonsense(config)
    place = join_processes(config)
    if config.threads and place.device.type == "cpu":
        torch.set_num_threads(config.threads)
    images = even_sample(usable_images(images, config), config.max_images)
    sam = first_weights(config).to(place.device)
    # Sides that the model cannot take are refused before the folder is claimed.
    if config.late_share:
        sam.resize_input(config.late_input_side)
    sam.resize_input(config.input_side)
    settings = claim_folder(run, config, images, place)
    if place.device.type == "cpu":
        sam = sam.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    session = InteractiveLoss(sam, config).train()
    optimizer = torch.optim.AdamW(
        parameter_groups(sam, config), lr=config.learning_rate, betas=(0.9, 0.98)
    )
    average = WeightAverage(sam, config.ema_decay)
    start = resume(run, sam, average, optimizer, place)
    dataset = StepDataset(images, sam.config, config, rank=place.rank, world=place.world)
    batches = DataLoader(
        Subset(dataset, range(start, config.steps)),
        batch_size=None,
        num_workers=config.data_workers,
        prefetch_factor=4 if config.data_workers else None,
    )
    wrapped = distribute(session, place)
    watch = Watch(watched, sam.config, replace(config, scale_jitter=(1.0, 1.0), colour_jitter=0.0))
    ended = time.monotonic()
    with Report(run, config.steps, start=start) if place.leads else nullcontext() as report:
        for step, batch in enumerate(batches, start):
            side = dataset.input_side(step)
            sam.resize_input(side)
            rate = set_rate(optimizer, learning_rate(step, config))
            metrics = take_step(wrapped, optimizer, batch, step, config, place)
            average.update(sam, step)
            if report is None:
                continue
            if watch.due(step, config.steps):
                metrics |= watch.measure(session, place.device)
            began, ended = ended, time.monotonic()
            report.step(step, {"rate": rate, "side": side, "seconds": ended - began, **metrics})
            paused = pause is not None and pause.is_set() and step + 1 < config.steps
            if paused or (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
                report.flush()
                save_checkpoint(run, sam, average, optimizer, step + 1)
            if paused:
                raise Paused(f"paused after step {step + 1} of {config.steps}")
    if report is not None:
        if config.start_share:
            average.mix(first_weights(config), config.start_share)
        write_model(run, sam, average, settings, report.lines, images, config)
    if dist.is_initialized():
        dist.barrier()
    return run / "model"


def take_step(
    session: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    step: int,
    config: TrainConfig,
    place: Place,
) -> dict[str, float]:
    """Play one session on a batch and move the weights; returns what was measured."""
    generator = torch.Generator().manual_seed(
        (config.seed * 1_000_003 + step) * place.world + place.rank
    )
    images = batch.images.to(place.device, non_blocking=True)
    if place.device.type == "cpu":
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(
        place.device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16"
    ):
        result = session(images, batch.masks.to(place.device, non_blocking=True), generator)
    optimizer.zero_grad(set_to_none=True)
    result.loss.backward()
    norm = nn.utils.clip_grad_norm_(session.parameters(), config.clip_grad_norm)
    optimizer.step()
    measured: dict[str, Tensor] = {"loss": result.loss.detach(), "grad_norm": norm}
    measured |= result.metrics
    return {name: float(value) for name, value in measured.items()}


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> float:
    """Set every group's learning rate to its share of `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]
    return rate


def join_processes(config: TrainConfig) -> Place:
    """Find the device and, under `torchrun`, the other processes.

    Raises:
        ConfigError: If the device is not there, or the batch cannot be shared evenly.
    """
    if config.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device {config.device!r} is not known; use auto, cpu or cuda")
    cuda = torch.cuda.is_available()
    if config.device == "cuda" and not cuda:
        raise ConfigError("device cuda was asked for, but PyTorch sees none; use --device cpu")
    kind = "cuda" if cuda and config.device != "cpu" else "cpu"
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if config.batch_images % world:
        raise ConfigError(
            f"batch_images {config.batch_images} cannot be shared by {world} processes; "
            f"use a multiple of {world}"
        )
    if world == 1:
        return Place(torch.device(kind))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    return Place(device, dist.get_rank(), world)


def distribute(session: InteractiveLoss, place: Place) -> nn.Module:
    """Wrap a session so that gradients, and batch norm where possible, are shared by processes."""
    if place.world == 1:
        return session
    if place.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(session)  # type: ignore[no-untyped-call]
    ids = [place.device.index] if place.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(session, device_ids=ids, find_unused_parameters=True)


def first_weights(config: TrainConfig) -> Sam:
    """Build the model with random weights, or with those it is to start from."""
    if config.start_from and not config.grow:
        return load_model(config.start_from)[0].train()
    if config.model not in MODEL_CONFIGS:
        raise ConfigError(
            f"model {config.model!r} is not known; use one of {', '.join(MODEL_CONFIGS)}"
        )
    sam = build(without(MODEL_CONFIGS[config.model], config.leave_out), seed=config.seed)
    if config.start_from:
        grow(sam, load_model(config.start_from)[0], config)
    return sam.train()


def without(model: ModelConfig, parts: Sequence[str]) -> ModelConfig:
    """Switch off parts of a model's decoder.

    Raises:
        ConfigError: If a name is not that of a part which can be switched off.
    """
    switches = {f.name for f in fields(model.decoder) if f.type is bool or f.type == "bool"}
    if unknown := [part for part in parts if part not in switches]:
        raise ConfigError(
            f"leave_out names {unknown[0]!r}; the parts are {', '.join(sorted(switches))}"
        )
    return replace(model, decoder=replace(model.decoder, **dict.fromkeys(parts, False)))


def grow(sam: Sam, smaller: Sam, config: TrainConfig) -> None:
    """Give a fresh model the weights of one that lacks some of its parts.

    Raises:
        ConfigError: If the smaller model has a tensor that the larger one does not hold alike.
    """
    wanted, given = sam.state_dict(), smaller.state_dict()
    for name, tensor in given.items():
        if name not in wanted or wanted[name].shape != tensor.shape:
            raise ConfigError(
                f"{config.start_from} cannot grow into {config.model}: {name} "
                f"{tuple(tensor.shape)} has no place there; set grow = false to keep its shape"
            )
    sam.load_state_dict({**wanted, **given})


def claim_folder(
    run: Path, config: TrainConfig, images: Sequence[LabelledImage], place: Place
) -> dict[str, Any]:
    """Write the run's settings, or hold them against those of the run to be resumed."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    settings["images"] = len(images)
    path = run / "settings.json"
    if path.exists():
        try:
            earlier = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path} is damaged; remove the folder or use a new one") from error
        changed = [k for k in settings if settings[k] != earlier.get(k)]
        free = {"checkpoint_every", "data_workers", "device", "threads"}
        if changed := [k for k in changed if k not in free]:
            what = ", ".join(f"{k} was {earlier.get(k)!r}, is {settings[k]!r}" for k in changed)
            raise ConfigError(f"{run} holds a run with other settings ({what}); use a new folder")
    elif place.leads:
        run.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(settings, indent=1) + "\n").encode())
    return settings


def save_checkpoint(
    run: Path, sam: Sam, average: WeightAverage, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Write all that a resumed run needs; a kill leaves the old file or the new one, never half."""
    path, staged = run / "checkpoint.pt", run / "checkpoint.pt.part"
    with staged.open("wb") as file:
        torch.save(
            {
                "step": step,
                "sam": sam.state_dict(),
                "average": average.state,
                "optimizer": optimizer.state_dict(),
            },
            file,
        )
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)


def resume(
    run: Path, sam: Sam, average: WeightAverage, optimizer: torch.optim.Optimizer, place: Place
) -> int:
    """Load the last checkpoint, if there is one, and give the step to go on with."""
    path = run / "checkpoint.pt"
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location=place.device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}); remove it to start the run anew"
        ) from error
    sam.load_state_dict(state["sam"])
    average.state = state["average"]
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def write_model(
    run: Path,
    sam: Sam,
    average: WeightAverage,
    settings: dict[str, Any],
    metrics: Sequence[dict[str, float]],
    images: Sequence[LabelledImage],
    config: TrainConfig,
) -> None:
    """Save the averaged weights as a model folder, with a card that says how they came to be."""
    final = build(sam.config)
    final.load_state_dict(average.state)
    began = time.monotonic()
    fit_grid_iou(final.eval(), images, config)
    seconds = sum(line.get("seconds", 0.0) for line in metrics) + time.monotonic() - began
    card = {
        "training": settings,
        "training_seconds": round(seconds),
        "images_seen": settings["steps"] * settings["batch_images"],
    }
    save_model(run / "model", final, card)
