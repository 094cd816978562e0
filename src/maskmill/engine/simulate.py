"""The whole engine, played on a labelled dataset: the labelling bill before anyone is hired.

A real project is made; simulated people label what the real queue hands them, into the real store;
real rounds train and judge; real proposals are pre-filled; the real job of stage 3 labels the rest
and the real audit speaks at the end. Only the people are played (see `people`), and only they see
the labels. A simulation takes as long as its rounds train: killed, the same call goes on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from maskmill import rle
from maskmill.config import AutomaskConfig
from maskmill.durable import write_atomically
from maskmill.engine import auditing, labelling, proposals, queue
from maskmill.engine.calibration import calibrate_ways, holdout, in_words, stage_three
from maskmill.engine.heads import Heads, heads_of
from maskmill.engine.lineage import current_model, model_path
from maskmill.engine.offering import offers
from maskmill.engine.oracle import HandMade, OracleConfig, Sitting
from maskmill.engine.people import ORACLE, Oracle, Person, Recorded, correct_sample, sit
from maskmill.engine.rounds import Judge, RoundConfig, run_round, verdict_of
from maskmill.engine.starting import settled_start
from maskmill.engine.time_model import TimeModel
from maskmill.errors import ConfigError
from maskmill.exchange.importing import import_labelled
from maskmill.formats import LabelledImage
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.store import Project
from maskmill.store.changes import Stage
from maskmill.store.models import Round
from maskmill.store.project import is_project
from maskmill.store.snapshots import SnapshotConfig

STATE = "played.json"
"""How far a simulation is, beside its project."""


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
    crop_n_layers: int = 0
    """Layers of crops in stage 3; the data engine's two take twenty-one times as long."""
    precision: float = proposals.PRECISION
    """Share of pre-filled masks that has to be right, on the hold-out."""
    automatic_precision: float = proposals.PRECISION
    """The same of stage 3's masks, which nobody looks at."""
    queue_by: Literal["doubt", "random"] = "doubt"
    """How images are chosen."""
    follows: bool = True
    """Whether pre-filled masks and offered regions follow what people do on their image."""
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
    """A running simulation: the project, the people, and what was counted so far."""

    project: Project
    person: Person
    config: SimulateConfig
    state: Path
    rounds: list[dict[str, Any]] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    """Images of the round that is being played."""
    sat: list[dict[str, Any]] = field(default_factory=list)
    """What came of those that were labelled."""
    calibration: proposals.Calibration | None = None
    """What the round pre-fills by; measured before its own images were labelled."""

    def keep(self) -> None:
        """Write down how far it is."""
        told = {
            "config": json.loads(json.dumps(asdict(self.config))),
            "rounds": self.rounds,
            "chosen": self.chosen,
            "sat": self.sat,
            "calibration": None if self.calibration is None else asdict(self.calibration),
        }
        write_atomically(self.state, json.dumps(told).encode())


def simulate(
    images: Sequence[LabelledImage],
    out: Path,
    config: SimulateConfig | None = None,
    *,
    recorded: Mapping[str, Sequence[HandMade]] | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Play the engine on labelled images, or go on with a simulation that was killed.

    Args:
        images: With all their objects; crowds are ignored. Given splits are forgotten: the project
            draws its own hold-out.
        out: A new folder, or that of the same simulation; `project` in it stays for looking at.
        config: What is played.
        recorded: What real people made, by absolute path of the image (see `people.record_of`);
            then they are played instead of the oracle.
        say: Told what happens, a line each.

    Returns:
        What was measured, as JSON: `rounds`, `automatic` and `overall`.

    Raises:
        ConfigError: If there are too few images for the rounds asked for, or the folder holds
            another simulation.
        NotFound: If rounds are to start from a model that is not there.
    """
    config = config or SimulateConfig()
    # A path is kept absolute, or the same call from another folder would be another simulation.
    start = settled_start(config.round.start)
    config = replace(config, round=replace(config.round, start=start))
    needed = config.images_per_round * (config.assisted_rounds + config.semi_rounds)
    if needed > len(images):
        raise ConfigError(
            f"{config.assisted_rounds + config.semi_rounds} rounds of {config.images_per_round} "
            f"images need {needed}, the dataset has {len(images)}; play fewer or smaller rounds"
        )
    person: Person
    if recorded is None:
        labels = {
            str(i.path.absolute()): [m.rle for m in i.annotations if not m.is_crowd] for i in images
        }
        person = Oracle(labels, config.oracle, config.times)
    else:
        person = Recorded(recorded, config.oracle, config.times)
    folder = out / "project"
    with (
        Project(folder)
        if is_project(folder)
        else Project.create(folder, name="simulation") as project
    ):
        bare = [replace(i, annotations=(), split=None) for i in images]
        import_labelled(project, bare, name="simulation", by="simulate")
        play = Play(project=project, person=person, config=config, state=out / STATE)
        _go_on(play)
        stages: list[Stage] = ["assisted"] * config.assisted_rounds
        stages += ["semi"] * config.semi_rounds
        for stage in stages[len(play.rounds) :]:
            _play_round(play, stage, say)
        automatic = _play_automatic(play, say) if config.automatic else None
    return {"rounds": play.rounds, "automatic": automatic, "overall": _overall(play)}


def _go_on(play: Play) -> None:
    """Take up what a killed simulation wrote down."""
    if not play.state.is_file():
        play.keep()
        return
    told = json.loads(play.state.read_text("utf-8"))
    if told["config"] != json.loads(json.dumps(asdict(play.config))):
        raise ConfigError(
            f"{play.state.parent} holds a simulation with other settings; repeat those, or name a "
            "new folder"
        )
    play.rounds, play.chosen, play.sat = told["rounds"], told["chosen"], told["sat"]
    if told.get("calibration"):
        play.calibration = proposals.Calibration.from_json(told["calibration"])


def _play_round(play: Play, stage: Stage, say: Callable[[str], None]) -> None:
    """Label a batch with the current model, then train on it and let the gate speak."""
    number = len(play.rounds) + 1
    model = current_model(play.project)
    predictor = Predictor.load(model_path(play.project, model), threads=1)
    heads = heads_of(play.project, model)
    if not play.chosen:
        play.calibration = _calibrate(play, predictor, heads, say) if stage == "semi" else None
        play.chosen = [choice.image_id for choice in _choose(play, predictor, number)]
        play.keep()
    calibration = play.calibration
    for image_id in play.chosen[len(play.sat) :]:
        pixels = _pixels(play, image_id)
        found = []
        if calibration is not None and calibration.threshold is not None:
            every = proposals.found_by(calibration.way, predictor, pixels, heads, _grid(play))
            found = proposals.propose(every, calibration)
        offered = offers(heads.regions, pixels, predictor.embed(pixels))
        sitting = sit(
            play.project, play.person, predictor, image_id, found,
            pixels=pixels, stage=stage, rng=np.random.default_rng([play.config.seed, image_id]),
            offered=[region.rle for region in offered], follows=play.config.follows,
        )  # fmt: skip
        play.sat.append({"image_id": image_id, **_numbers(sitting)})
        play.keep()
    round_ = _train_and_judge(play, stage, number, say)
    told = _counted(play.sat) | {
        "round": round_.number,
        "stage": stage,
        "status": round_.status,
        "reason": round_.reason,
        "gate": verdict_of(play.project, round_),
        "calibration": None if calibration is None else asdict(calibration),
    }
    play.rounds.append(told)
    play.chosen, play.sat, play.calibration = [], [], None
    play.keep()
    say(
        f"round {round_.number}, {stage}: {told['seconds_per_mask']:.1f} s a mask, "
        f"{told['masks']} masks on {told['images']} images; {round_.reason}"
    )


def _calibrate(
    play: Play, predictor: Predictor, heads: Heads, say: Callable[[str], None]
) -> proposals.Calibration:
    """Choose what a round of stage 2 pre-fills by, on the hold-out as it is labelled by now."""
    config = play.config
    labelled = holdout(play.project, val_share=config.round.val_share)
    (ways,) = calibrate_ways(predictor, heads, labelled, _grid(play), precisions=[config.precision])
    for each in ways.values():
        say(f"round {len(play.rounds) + 1}: {in_words(each, len(labelled), config.precision)}")
    return proposals.best_way(ways)


def _train_and_judge(play: Play, stage: Stage, number: int, say: Callable[[str], None]) -> Round:
    """Run the round, or go on with it; where too few images can judge, the target alone does."""
    ended = [r for r in play.project.models.rounds() if r.ended_at is not None]
    if len(ended) >= number:
        return ended[number - 1]

    def better(verdict: Mapping[str, Any]) -> bool:
        aim = [c for c in verdict["comparisons"] if c["name"] == play.config.round.target]
        return not aim or aim[0]["candidate"] > aim[0]["incumbent"]

    config = replace(play.config.round, stage=stage)
    return run_round(play.project, config, say=say, judge=Judge(ORACLE, better))


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


def _choose(play: Play, predictor: Predictor, number: int) -> list[queue.Choice]:
    if isinstance(play.person, Recorded):  # in the order in which people worked
        order = {path: place for place, path in enumerate(play.person.work)}
        left = [(order[play.project.images.get(w.image_id).path], w) for w in _waiting(play)]
        first = sorted(left, key=lambda one: one[0])[: play.config.images_per_round]
        return [queue.Choice(image_id=w.image_id, reason="random") for _, w in first]
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
        waiting, config.images_per_round, np.random.default_rng([config.seed, 0, number]),
        holdout_share=config.round.val_share, labelled=features, by=config.queue_by,
    )  # fmt: skip


def _pixels(play: Play, image_id: int) -> Any:
    return read_image(Path(play.project.images.get(image_id).path))


def _grid(play: Play) -> AutomaskConfig:
    """Return everything mode's settings in stage 2."""
    return proposals.nearly_open(AutomaskConfig(points_per_side=play.config.points_per_side))


def _numbers(sitting: Sitting) -> dict[str, float]:
    """Return what a sitting came to, in numbers."""
    ious = [mask.iou for mask in sitting.made if mask.iou is not None]
    return {
        "made": len(sitting.made),
        "kept": len(sitting.kept),
        "mended": len(sitting.mended),
        "rejected": len(sitting.rejected),
        "missed": sitting.missed,
        "seconds": sitting.seconds,
        "hand_seconds": sum(mask.seconds for mask in sitting.made),
        "clicks": sum(mask.clicks for mask in sitting.made),
        "strokes": sum(mask.strokes for mask in sitting.made),
        "iou": float(np.sum(ious)),
    }


def _counted(sat: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = {key: sum(each[key] for each in sat) for key in sat[0] if key != "image_id"}
    masks = total["made"] + total["kept"] + total["mended"]
    made = max(1, total["made"])
    return {
        "image_ids": [each["image_id"] for each in sat],
        "image_seconds": [each["seconds"] for each in sat],
        "images": len(sat),
        "masks": masks,
        "prefilled_kept": total["kept"],
        "prefilled_mended": total["mended"],
        "prefilled_rejected": total["rejected"],
        "missed": total["missed"],
        "seconds": total["seconds"],
        "seconds_per_mask": total["seconds"] / max(1, masks),
        "seconds_per_hand_made_mask": total["hand_seconds"] / made,
        "clicks_per_mask": total["clicks"] / made,
        "strokes_per_mask": total["strokes"] / made,
        "masks_per_image": masks / max(1, len(sat)),
        "iou_of_hand_made": total["iou"] / made if total["made"] else None,
    }


def _play_automatic(play: Play, say: Callable[[str], None]) -> dict[str, Any]:
    """Stage 3: the job labels what nobody has seen, and people correct a sample."""
    project, config = play.project, play.config
    grid = AutomaskConfig(
        points_per_side=config.points_per_side,
        crop_n_layers=config.crop_n_layers,
        crop_n_points_downscale_factor=2,
    )
    settings, why = stage_three(project, precision=config.automatic_precision, grid=grid)
    for line in why:
        say(f"automatic: {line}")
    report = labelling.label_project(project, settings, workers=0)
    waiting = [w.image_id for w in _waiting(play)]
    made = project.annotations.of_images(waiting, stage="automatic")
    found = objects = 0
    for image_id in waiting:
        truths = play.person.truths(project.images.get(image_id).path)
        objects += len(truths)
        if truths and image_id in made:
            overlap = rle.iou([m.rle for m in made[image_id]], list(truths))
            found += int((overlap.max(0) >= proposals.AT_IOU).sum())
    masks = sum(len(each) for each in made.values())
    told: dict[str, Any] = {
        "images": len(waiting),
        "masks": masks,
        "thresholds": dict(settings.thresholds),
        "why": why,
        "recall": found / max(1, objects),
        "images_per_second": report.images_per_second,
        "audit": [],
        "audit_by_size": {},
    }
    if masks:
        drawn = auditing.audits(project) or [
            auditing.draw_audit(project, size=config.audit_sample, seed=config.seed, by=ORACLE)
        ]
        correct_sample(project, play.person, drawn[-1])
        said = auditing.report(project, drawn[-1]).to_json()
        told |= {"audit": said["shares"], "audit_by_size": said["by_size"], "audit_report": said}
    say(f"automatic: {masks} masks on {told['images']} images, recall {told['recall']:.2f}")
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
