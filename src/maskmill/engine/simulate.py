"""The whole engine, played on a labelled dataset: the labelling bill before anyone is hired.

A real project is made; simulated people label what the real queue hands them, into the real store;
real rounds train and judge; real proposals are pre-filled; the real audit speaks at the end. Only
the people are played (see `oracle`), and only they see the labels.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from maskmill import rle
from maskmill.automask import AutoMask
from maskmill.engine import audit, proposals, queue
from maskmill.engine.lineage import current_model, model_path
from maskmill.engine.oracle import OracleConfig, Sitting, label_image
from maskmill.engine.rounds import RoundConfig, decide, run_round, verdict_of
from maskmill.engine.time_model import TimeModel
from maskmill.errors import ConfigError
from maskmill.exchange.importing import import_labelled
from maskmill.formats import LabelledImage
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.store import Create, Edit, Made, Project
from maskmill.store.changes import Stage
from maskmill.store.snapshots import SnapshotConfig

ORACLE = "oracle"
AUTHOR = "everything mode"


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """What is played."""

    images_per_round: int = 10
    """Images that people label before each training."""
    assisted_rounds: int = 3
    """Rounds of stage 1, in which people label by hand."""
    semi_rounds: int = 2
    """Rounds of stage 2, in which sure masks are pre-filled."""
    automatic: bool = True
    """Whether stage 3 labels what is left, and the audit judges it."""
    audit_sample: int = 100
    """Masks of stage 3 that people correct."""
    points_per_side: int = 32
    """Everything mode's grid."""
    precision: float = proposals.PRECISION
    """Share of pre-filled masks that has to be right, on the hold-out."""
    queue_by: Literal["doubt", "random"] = "doubt"
    """How images are chosen."""
    oracle: OracleConfig = field(default_factory=OracleConfig)
    """The people."""
    times: TimeModel = field(default_factory=TimeModel)
    """What their actions cost."""
    round: RoundConfig = field(default_factory=lambda: RoundConfig(masks="all"))
    """How models are trained and judged."""
    seed: int = 0
    """Decides everything that is drawn."""


@dataclass(eq=False, kw_only=True)
class Play:
    """A running simulation: the project, the truth that only people see, and what was counted."""

    project: Project
    truths: Mapping[str, Sequence[Rle]]
    config: SimulateConfig
    rng: np.random.Generator
    rounds: list[dict[str, Any]] = field(default_factory=list)


def simulate(
    images: Sequence[LabelledImage],
    out: Path,
    config: SimulateConfig | None = None,
    *,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Play the engine on labelled images.

    Args:
        images: With all their objects; crowds are ignored. Given splits are forgotten: the project
            draws its own hold-out.
        out: A new folder; `project` in it stays for looking at.
        config: What is played.
        say: Told what happens, a line each.

    Returns:
        What was measured, as JSON: `rounds`, `automatic` and `overall`.

    Raises:
        ConfigError: If there are too few images for the rounds asked for.
    """
    config = config or SimulateConfig()
    needed = config.images_per_round * (config.assisted_rounds + config.semi_rounds)
    if needed > len(images):
        raise ConfigError(
            f"{config.assisted_rounds + config.semi_rounds} rounds of {config.images_per_round} "
            f"images need {needed}, the dataset has {len(images)}; play fewer or smaller rounds"
        )
    bare = [replace(i, annotations=(), split=None) for i in images]
    truths = {
        str(i.path.absolute()): [m.rle for m in i.annotations if not m.is_crowd] for i in images
    }
    with Project.create(out / "project", name="simulation") as project:
        import_labelled(project, bare, name="simulation", by="simulate")
        play = Play(
            project=project, truths=truths, config=config, rng=np.random.default_rng(config.seed)
        )
        stages: list[Stage] = ["assisted"] * config.assisted_rounds
        stages += ["semi"] * config.semi_rounds
        for stage in stages:
            _play_round(play, stage, say)
        automatic = _play_automatic(play, say) if config.automatic else None
    return {"rounds": play.rounds, "automatic": automatic, "overall": _overall(play)}


def _play_round(play: Play, stage: Stage, say: Callable[[str], None]) -> None:
    """Label a batch with the current model, then train on it and let the gate speak."""
    predictor = _predictor(play)
    calibration = _calibration(play, predictor) if stage == "semi" else None
    sittings = []
    for choice in _choose(play, predictor):
        sittings.append(_sit(play, predictor, choice.image_id, stage, calibration))
    round_ = run_round(play.project, replace(play.config.round, stage=stage), say=say)
    if round_.status == "gating":  # too few hold-out images: people look at the target alone
        gate = verdict_of(play.project, round_) or {"comparisons": []}
        aim = [c for c in gate["comparisons"] if c["name"] == play.config.round.target]
        better = bool(aim) and aim[0]["candidate"] > aim[0]["incumbent"]
        round_ = decide(play.project, promote=better or not aim, by=ORACLE)
    told = _counted(sittings) | {
        "round": round_.number,
        "stage": stage,
        "status": round_.status,
        "reason": round_.reason,
        "gate": verdict_of(play.project, round_),
        "calibration": None if calibration is None else asdict(calibration),
    }
    play.rounds.append(told)
    say(
        f"round {round_.number}, {stage}: {told['seconds_per_mask']:.1f} s a mask, "
        f"{told['masks']} masks on {told['images']} images; {round_.reason}"
    )


def _predictor(play: Play) -> Predictor:
    return Predictor.load(model_path(play.project, current_model(play.project)))


def _waiting(play: Play) -> list[queue.Waiting]:
    splits = play.project.snapshots.splits_now(
        SnapshotConfig(val_share=play.config.round.val_share)
    )
    seen = {image_id for told in play.rounds for image_id in told["image_ids"]}
    return [
        queue.Waiting(image_id=image_id, split=split)
        for image_id, split in splits.items()
        if image_id not in seen
    ]


def _choose(play: Play, predictor: Predictor) -> list[queue.Choice]:
    waiting = _waiting(play)
    config = play.config
    features = []
    if config.queue_by == "doubt":
        described = []
        for one in waiting:
            embedding = predictor.embed(_pixels(play, one.image_id))
            described.append(
                replace(
                    one,
                    doubt=queue.doubt(predictor, embedding),
                    feature=queue.feature(embedding),
                )
            )
        waiting = described
        done = [image_id for told in play.rounds for image_id in told["image_ids"]]
        features = [queue.feature(predictor.embed(_pixels(play, i))) for i in done]
    return queue.choose(
        waiting, config.images_per_round, play.rng, holdout_share=config.round.val_share,
        labelled=features, by=config.queue_by,
    )  # fmt: skip


def _pixels(play: Play, image_id: int) -> Any:
    return read_image(Path(play.project.images.get(image_id).path))


def _truths(play: Play, image_id: int) -> Sequence[Rle]:
    return play.truths[play.project.images.get(image_id).path]


def _calibration(play: Play, predictor: Predictor) -> proposals.Calibration:
    """Hold everything mode against the hold-out images that people have labelled."""
    splits = play.project.snapshots.splits_now(
        SnapshotConfig(val_share=play.config.round.val_share)
    )
    done = [i for told in play.rounds for i in told["image_ids"] if splits[i] == "val"]
    found = [_found(play, predictor, image_id) for image_id in done]
    masks = play.project.annotations.of_images(done)
    labelled = [[m.rle for m in masks.get(image_id, ())] for image_id in done]
    return proposals.calibrate(found, labelled, precision=play.config.precision)


def _found(play: Play, predictor: Predictor, image_id: int) -> list[AutoMask]:
    return proposals.candidates(
        predictor, _pixels(play, image_id), points_per_side=play.config.points_per_side
    )


def _sit(
    play: Play,
    predictor: Predictor,
    image_id: int,
    stage: Stage,
    calibration: proposals.Calibration | None,
) -> tuple[int, Sitting]:
    """Let the oracle label one image, and write what it does as a person's masks are written."""
    chosen: list[AutoMask] = []
    if calibration is not None and calibration.threshold is not None:
        chosen = proposals.propose(_found(play, predictor, image_id), calibration)
    written = prefill(play.project, image_id, chosen, stage)
    sitting = label_image(
        predictor,
        predictor.embed(_pixels(play, image_id)),
        _truths(play, image_id),
        play.rng,
        prefilled=[mask.rle for mask in chosen],
        config=play.config.oracle,
        times=play.config.times,
    )
    changes: list[Any] = [
        Edit(annotation_id=key, based_on=1, review="accepted" if i in sitting.kept else "rejected")
        for i, key in enumerate(written)
    ]
    changes += [
        Create(
            image_id=image_id,
            rle=mask.rle,
            made=Made(
                made_by="person", author=ORACLE, stage=stage, seconds=mask.seconds,
                clicks=mask.clicks, edits=mask.strokes, predicted_iou=mask.predicted_iou,
                prompts=mask.prompts,
            ),
        )
        for mask in sitting.made
        if rle.area(mask.rle)
    ]  # fmt: skip
    if changes:
        play.project.annotations.apply(uuid.uuid4().hex, changes, by=ORACLE)
    return image_id, sitting


def prefill(project: Project, image_id: int, masks: Sequence[AutoMask], stage: Stage) -> list[int]:
    """Write a model's masks into a project as such: nobody has looked at them yet.

    Returns:
        Their rows.
    """
    if not masks:
        return []
    made = [
        Create(
            image_id=image_id,
            rle=mask.rle,
            made=Made(
                made_by="model", author=AUTHOR, stage=stage, predicted_iou=mask.predicted_iou,
                stability_score=mask.stability_score, prompts=[{"points": [list(mask.point)]}],
            ),
        )
        for mask in masks
    ]  # fmt: skip
    return [each.id for each in project.annotations.apply(uuid.uuid4().hex, made, by=AUTHOR)]


def _counted(sittings: Sequence[tuple[int, Sitting]]) -> dict[str, Any]:
    made = [mask for _, sitting in sittings for mask in sitting.made]
    kept = sum(len(sitting.kept) for _, sitting in sittings)
    seconds = sum(sitting.seconds for _, sitting in sittings)
    masks = len(made) + kept
    return {
        "image_ids": [image_id for image_id, _ in sittings],
        "images": len(sittings),
        "masks": masks,
        "prefilled_kept": kept,
        "prefilled_rejected": sum(len(sitting.rejected) for _, sitting in sittings),
        "missed": sum(sitting.missed for _, sitting in sittings),
        "seconds": seconds,
        "seconds_per_mask": seconds / max(1, masks),
        "seconds_per_hand_made_mask": sum(m.seconds for m in made) / max(1, len(made)),
        "clicks_per_mask": sum(m.clicks for m in made) / max(1, len(made)),
        "strokes_per_mask": sum(m.strokes for m in made) / max(1, len(made)),
        "masks_per_image": masks / max(1, len(sittings)),
        "iou_of_hand_made": float(np.mean([m.iou for m in made])) if made else None,
    }


def _play_automatic(play: Play, say: Callable[[str], None]) -> dict[str, Any]:
    """Stage 3: label what nobody has seen, and let people correct a sample."""
    predictor = _predictor(play)
    calibration = _calibration(play, predictor)
    iou: list[float] = []
    areas: list[int] = []
    objects = recalled = 0
    for one in _waiting(play):
        found = proposals.propose(_found(play, predictor, one.image_id), calibration)
        prefill(play.project, one.image_id, found, "automatic")
        truths = _truths(play, one.image_id)
        overlap = rle.iou([m.rle for m in found], truths) if found and truths else None
        best = np.zeros(len(found)) if overlap is None else overlap.max(1)
        iou += best.tolist()
        areas += [mask.area for mask in found]
        objects += len(truths)
        recalled += 0 if overlap is None else int((overlap.max(0) >= proposals.AT_IOU).sum())
    sample = audit.draw_sample(np.array(areas, int), play.config.audit_sample, play.rng)
    judged, sizes = np.array(iou)[sample], np.array(areas, int)[sample]
    told = {
        "images": len(_waiting(play)),
        "masks": len(areas),
        "calibration": asdict(calibration),
        "audit": [asdict(share) for share in audit.shares(judged)],
        "audit_by_size": {
            name: [asdict(s) for s in found] for name, found in audit.by_size(judged, sizes).items()
        },
        "recall": recalled / max(1, objects),
    }
    say(f"automatic: {told['masks']} masks on {told['images']} images, recall {told['recall']:.2f}")
    return told


def _overall(play: Play) -> dict[str, Any]:
    seconds = sum(told["seconds"] for told in play.rounds)
    masks = sum(told["masks"] for told in play.rounds)
    first, last = play.rounds[0], play.rounds[-1]
    return {
        "seconds": seconds,
        "masks": masks,
        "hours": seconds / 3600,
        "hours_by_polygons": masks * play.config.times.polygon / 3600,
        "faster_from_first_to_last_round": first["seconds_per_mask"] / last["seconds_per_mask"],
    }
