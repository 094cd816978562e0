"""Where a project's engine stands, and what comes next and why: advice, decided by people.

Everything is read off what happened. The stage is that of the work going on: pre-filled masks make
it semi-automatic, whatever was planned. How long a round should be follows from what a model learns
from more data: each further mask is worth less, so a round pays once the data have grown by a good
part. When to advance follows from the same: once rounds stop making people faster, more of the same
work will not.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from maskmill.engine.lineage import current_model, holdout_share, learned
from maskmill.engine.proposals import LEAST
from maskmill.engine.rounds import verdict_of
from maskmill.store import ImageFilter, Project
from maskmill.store.models import Round
from maskmill.store.round_work import Work, answered_masks, work_between
from maskmill.store.snapshots import SnapshotConfig

What = Literal["label", "train", "install", "wait", "resume", "decide", "semi", "automatic", "done"]
FIRST_MASKS = 40
"""New masks from which a first fine-tuning is worth its minutes (benchmarks/finetune.py)."""
GROWTH = 0.5
"""Share by which the data should have grown before a model is trained again."""
PATIENCE = 4.0
"""The most that rounds which brought nothing may stretch the next one."""
FASTER = 0.10
"""People should get faster by this share from round to round; else the next stage is due."""
PACKAGES = ("torch", "safetensors", "matplotlib", "skimage", "onnx", "onnxscript")
"""What rounds need beside what serving needs."""


@dataclass(frozen=True, kw_only=True)
class RoundStanding:
    """One round: what was collected for it, and what the gate measured."""

    round: Round
    work: Work
    gate: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What to do next, and the numbers that say why."""

    what: What
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the engine stands.

    Attributes:
        stage: Of the work going on.
        rounds: Those that froze data, the first one first.
        collecting: What was made since the last of them.
        open_round: The round that has not ended.
        new_masks: Masks that people answer for, which the model has not learned from.
        new_images: Images on which they are.
        all_masks: Masks that could teach, learned from or not.
        needed_masks: New masks from which the next round is worth its time.
        holdout_images: Images of the hold-out with masks that people answer for.
        holdout_masks: Those masks.
        waiting_images: Images without any mask that nobody has finished as empty.
        missing: Packages that training needs and that are not installed.
        suggestion: What comes next.
    """

    stage: str
    rounds: tuple[RoundStanding, ...]
    collecting: Work
    open_round: Round | None
    new_masks: int
    new_images: int
    all_masks: int
    needed_masks: int
    holdout_images: int
    holdout_masks: int
    waiting_images: int
    missing: tuple[str, ...]
    suggestion: Suggestion


def standing(project: Project, *, working: bool = False) -> Standing:
    """Look where a project's engine stands.

    Args:
        project: Open for reading or writing.
        working: Whether a round is being run just now.
    """
    every = project.models.rounds()
    frozen = [r for r in every if r.snapshot_id is not None and r.status != "failed"]
    work = work_between(project.database, project.id, [r.started_at for r in frozen])
    rounds = tuple(
        RoundStanding(round=r, work=w, gate=verdict_of(project, r))
        for r, w in zip(frozen, work, strict=False)
    )
    splits = project.snapshots.splits_now(SnapshotConfig(val_share=holdout_share(project)))
    model = current_model(project)
    known = learned(project, None if model is None else model.id)
    masks = answered_masks(project.database, project.id)
    held = [m for m in masks if splits.get(m[2]) == "val"]
    free = [m for m in masks if splits.get(m[2]) == "train"]
    new = [m for m in free if m[:2] not in known]
    going = next((r for r in every if r.ended_at is None), None)
    needed = needed_masks(len(free) - len(new), [r.round for r in rounds])
    facts: dict[str, Any] = {
        "stage": _stage(rounds, work[-1]),
        "rounds": rounds,
        "collecting": work[-1],
        "open_round": going,
        "new_masks": len(new),
        "new_images": len({m[2] for m in new}),
        "all_masks": len(free),
        "needed_masks": needed,
        "holdout_images": len({m[2] for m in held}),
        "holdout_masks": len(held),
        "waiting_images": sum(
            project.images.count(ImageFilter(has_masks=False, state=state))
            for state in ("open", "returned")
        ),
        "missing": missing_packages(),
    }
    return Standing(**facts, suggestion=suggest(facts, working=working))


def needed_masks(learned_masks: int, rounds: Sequence[Round]) -> int:
    """Say how many new masks the next round should have.

    Args:
        learned_masks: Masks that the model has learned from.
        rounds: Those so far; each at the end that was kept back doubles what is needed.
    """
    stretched = 1.0
    for round_ in reversed(rounds):
        if round_.status != "kept":
            break
        stretched *= 2
    return round(max(FIRST_MASKS, GROWTH * learned_masks) * min(stretched, PATIENCE))


def suggest(facts: Mapping[str, Any], *, working: bool = False) -> Suggestion:
    """Say what comes next, from the facts of a `Standing`."""
    going: Round | None = facts["open_round"]
    if going is not None:
        what: What = "resume"
        if working:
            what = "wait"
        elif going.status == "gating" and going.reason:
            what = "decide"
        return Suggestion(what=what, numbers={"round": going.number})
    new, needed = facts["new_masks"], facts["needed_masks"]
    if new >= needed:
        numbers = {"new": new, "needed": needed, "learned": facts["all_masks"] - new}
        return Suggestion(what="install" if facts["missing"] else "train", numbers=numbers)
    slower = _no_longer_faster(facts["rounds"], facts["stage"])
    can_calibrate = facts["holdout_masks"] >= 2 * LEAST
    if slower is not None and facts["stage"] == "assisted" and can_calibrate:
        return Suggestion(what="semi", numbers=slower)
    if slower is not None and facts["stage"] == "semi":
        return Suggestion(what="automatic", numbers=slower)
    if not facts["waiting_images"]:
        return Suggestion(what="done", numbers={"new": new})
    return Suggestion(
        what="label",
        numbers={"new": new, "needed": needed, "missing": needed - new},
    )


def in_words(suggestion: Suggestion) -> str:
    """Say a suggestion in a sentence, for a terminal."""
    return WORDS[suggestion.what].format(**suggestion.numbers)


WORDS: Mapping[What, str] = {
    "label": "label on: {new:.0f} new masks so far, and the next round is worth its time from "
    "{needed:.0f}",
    "train": "train: {new:.0f} masks are new to the model, which has learned from {learned:.0f}",
    "install": "train: {new:.0f} masks are new to the model; first run "
    "`pip install 'maskmill[train,export]'`",
    "wait": "wait: round {round:.0f} is going on",
    "resume": "resume: round {round:.0f} rests, and goes on where it was",
    "decide": "decide: round {round:.0f} has a new model, and too few hold-out images to judge it",
    "semi": "pre-fill: a mask took {before:.1f} s two rounds ago and takes {now:.1f} s now; more "
    "rounds of the same kind will not make people much faster",
    "automatic": "label the rest alone: a mask took {before:.1f} s two rounds ago and takes "
    "{now:.1f} s now",
    "done": "every image has masks; review them, export, or train once more",
}


def seconds_per_mask(work: Work) -> float | None:
    """Return people's time for each mask that came of it, kept pre-filled ones among them."""
    if not work.timed_masks:
        return None
    return work.seconds / (work.timed_masks + work.kept)


def acceptance(work: Work) -> float | None:
    """Return which share of the pre-filled masks that a person saw was let stand."""
    seen = work.kept + work.rejected
    return work.kept / seen if seen else None


def missing_packages() -> tuple[str, ...]:
    """Return what training needs and this machine does not have."""
    return tuple(name for name in PACKAGES if importlib.util.find_spec(name) is None)


def _stage(rounds: Sequence[RoundStanding], collecting: Work) -> str:
    if collecting.kept or collecting.rejected or collecting.unseen:
        return "semi"
    return rounds[-1].round.stage if rounds else "assisted"


def _no_longer_faster(rounds: Sequence[RoundStanding], stage: str) -> Mapping[str, float] | None:
    """Compare the last three rounds of a stage; None while people still get faster."""
    found = [seconds_per_mask(r.work) for r in rounds if r.round.stage == stage]
    last = [each for each in found if each is not None][-3:]
    if len(last) < 3:
        return None
    gains = [1 - b / a for a, b in pairwise(last) if a > 0]
    if all(gain < FASTER for gain in gains):
        return {"before": last[0], "now": last[-1], "share": 1 - last[-1] / last[0]}
    return None
