"""A round: collect, train, evaluate, gate, promote. Killed anywhere, the same call goes on.

What a round has reached stands in its row and in its folder: the snapshot's number once the data
are frozen, a checkpoint while it trains, the candidate's model folder once that is whole, a verdict
once the gate has spoken. Every step looks first whether it was done before.
"""

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from maskmill.engine.children import Interrupted, Killed, run_child
from maskmill.engine.gate import TARGET
from maskmill.engine.heads import missing_heads
from maskmill.engine.judging import read_verdict
from maskmill.engine.lineage import (
    DEFAULT,
    VAL_SHARE,
    current_model,
    fixed_share,
    holdout_share,
    model_path,
    rounds_that_made,
    run_folder,
)
from maskmill.engine.starting import KNOWN, settled_start
from maskmill.errors import MaskmillError, StoreError
from maskmill.store import Project
from maskmill.store.changes import Stage
from maskmill.store.models import Model, Round
from maskmill.store.snapshots import SnapshotConfig
from maskmill.weights import model_folder, model_id_of, read_card, write_card

HEADS_FAILED = "the heads that propose masks could not be trained, and the next round tries again"
"""What a round's reason says then; masks are proposed by what is left."""
NO_HEADS = "heads failed"
"""What is recorded of such a round."""


@dataclass(frozen=True, kw_only=True)
class RoundConfig:
    """How a round is run."""

    stage: Stage = "assisted"
    """The stage of the data engine that the round closes."""
    masks: Literal["new", "all"] = "new"
    """Train on masks made since the last promotion, as the paper does, or on all."""
    start: str = "current"
    """Go on from the project's model (`current`), start again from the embedded default
    (`default`), or start from another model: the path of its folder or published checkpoint."""
    recipe: str = "finetune"
    """Name or file of the training settings."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Training settings that differ from the recipe's."""
    val_share: float = VAL_SHARE
    """Share of the image groups that are held out: labelled, never trained on. Frozen by group, and
    by the project's first round for all that follow."""
    holdout_limit: int = 200
    """Most hold-out images that the gate measures; more only narrow the intervals."""
    target: str = TARGET
    """What has to get better."""
    detector: bool = True
    """Train what proposes masks for the model that comes out of the round: a box detector and a
    region head."""
    detector_training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the detector's training that differ from `DetectorConfig`'s."""
    regions_training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the region head's training that differ from `RegionConfig`'s."""
    export: bool = True
    """Write the candidate's ONNX files, which browsers need, and judge those; else PyTorch's."""


class Judge(NamedTuple):
    """Somebody who decides at once where too few images can; see `gate`."""

    name: str
    promote: Callable[[Mapping[str, Any]], bool]
    """Told the gate's verdict."""


def run_round(
    project: Project,
    config: RoundConfig | None = None,
    *,
    say: Callable[[str], None] = print,
    stop: threading.Event | None = None,
    judge: Judge | None = None,
) -> Round:
    """Run a round, or go on with the one that is open.

    Args:
        project: Open for writing.
        config: How; an open round keeps the settings that it began with. By default the usual, with
            the project's own hold-out.
        say: Told what happens, a line each.
        stop: Set when the round is to rest; what it reached is kept.
        judge: Asked where a person has to decide.

    Returns:
        The round: promoted, kept, or `gating` where a person has to decide (see `decide`) and
        nobody is there to be asked.

    Raises:
        Interrupted: If it was stopped; the next call goes on.
        StoreError: If it asks for another share of held-out images than the project's first round.
        NotFound: If it is to start from a model that is not there; no round is opened.
        Killed: If the system ended a child process; the next call goes on.
        MaskmillError: If it cannot be run; the round ends as failed and says why.
    """
    _make_up_heads(project, say, stop)
    round_ = _open(project, config or RoundConfig(val_share=holdout_share(project)))
    try:
        round_ = _collect(project, round_, say)
        candidate = _train(project, round_, say, stop)
        round_ = _register(project, round_, candidate)
        verdict = _gate(project, round_, say, stop)
        promoted, reason = verdict["promoted"], verdict["reason"]
        if promoted is None and judge is not None:
            promoted = judge.promote(verdict)
            reason = _decided(promoted, judge.name, reason)
    except (Interrupted, Killed):
        raise
    except MaskmillError as error:
        project.models.change_round(round_.id, status="failed", reason=str(error))
        raise
    if why := _train_heads(project, round_, promoted, say, stop):
        project.models.record({NO_HEADS: 1.0}, round_id=round_.id, detail=why)
        reason = f"{reason}; {HEADS_FAILED}: {why}"
    if promoted is None:
        return project.models.change_round(round_.id, status="gating", reason=reason)
    return _close(project, round_, promote=promoted, reason=reason)


def decide(project: Project, *, promote: bool, by: str) -> Round:
    """End a round that waits for a person's decision.

    Raises:
        StoreError: If none does.
    """
    waiting = [r for r in project.models.rounds() if r.status == "gating" and r.reason]
    if not waiting:
        raise StoreError("no round waits for a decision; run one with `maskmill round`")
    reason = _decided(promote, by, waiting[-1].reason or "")
    return _close(project, waiting[-1], promote=promote, reason=reason)


def _decided(promote: bool, by: str, reason: str) -> str:
    what = "promoted" if promote else "kept the old model"
    return f"{what}: decided by {by}. {reason}"


def cancel(project: Project, *, by: str) -> Round:
    """Give up the round that is open; nothing is promoted, and its masks stay new.

    Raises:
        StoreError: If none is open.
    """
    going = [r for r in project.models.rounds() if r.ended_at is None]
    if not going:
        raise StoreError("no round is open; there is nothing to cancel")
    (run_folder(project, going[0]) / "checkpoint.pt").unlink(missing_ok=True)
    return project.models.change_round(going[0].id, status="failed", reason=f"cancelled by {by}")


def roll_back(project: Project, *, by: str) -> Round:
    """Go back to the model before the current one; its round stays in the history.

    Raises:
        StoreError: If the embedded default is in use, or a round is still going on.
    """
    model = current_model(project)
    if model is None:
        raise StoreError("the project uses the embedded default; there is nothing to roll back to")
    made = rounds_that_made(project).get(model.id)
    if made is None:
        raise StoreError(f"{model.name} was made by no round; there is nothing to roll back to")
    round_ = project.models.open_round("assisted", incumbent_id=model.id)
    return project.models.change_round(
        round_.id,
        status="promoted",
        candidate_id=made.incumbent_id,
        reason=f"rolled back from round {made.number} by {by}",
    )


def verdict_of(project: Project, round_: Round) -> Mapping[str, Any] | None:
    """Return what the gate said of a round, as JSON; None if it has not spoken."""
    said = [m for m in project.models.metrics("gate") if m.round_id == round_.id]
    return said[-1].detail if said else None


def _open(project: Project, config: RoundConfig) -> Round:
    going = [r for r in project.models.rounds() if r.ended_at is None]
    if going:
        if going[0].status == "gating" and going[0].reason:
            raise StoreError(
                f"round {going[0].number} waits for a decision; end it with "
                "`maskmill round PROJECT --decide promote` or `--decide keep`"
            )
        return going[0]
    _refuse_other_holdout(project, config.val_share)
    config = replace(config, start=settled_start(config.start))
    # The default becomes a row like any other, so that going back to it is nothing special.
    incumbent = current_model(project)
    if incumbent is None:
        card = read_card(model_folder(DEFAULT))
        incumbent = project.models.add(model_id_of(card), name=DEFAULT, card=card)
    return project.models.open_round(
        config.stage, incumbent_id=incumbent.id, settings=asdict(config)
    )


def _refuse_other_holdout(project: Project, val_share: float) -> None:
    share = fixed_share(project)
    if share not in (None, val_share):
        raise StoreError(
            f"the project's first round held out a share of {share:g}, and this one asks for "
            f"{val_share:g}: images that taught the model would judge it; use {share:g}"
        )


def _settings(round_: Round) -> RoundConfig:
    return RoundConfig(**dict(round_.settings or {}))


def _collect(project: Project, round_: Round, say: Callable[[str], None]) -> Round:
    """Freeze the data; what people make from now on is the next round's."""
    if round_.snapshot_id is not None:
        return round_
    name = f"round-{round_.number:03d}"
    known = {snapshot.name: snapshot for snapshot in project.snapshots.all()}
    config = SnapshotConfig(val_share=_settings(round_).val_share)
    snapshot = known.get(name) or project.snapshots.take(name, config)
    say(f"round {round_.number}: snapshot {name}, {snapshot.statistics['masks']} masks")
    return project.models.change_round(round_.id, status="training", snapshot_id=snapshot.id)


def _train(
    project: Project, round_: Round, say: Callable[[str], None], stop: threading.Event | None
) -> Path:
    """Train the candidate in a child process, and export what it made; returns its folder."""
    run = run_folder(project, round_)
    settings = _settings(round_)
    if not (run / "model").is_dir():
        say(f"round {round_.number}: training, see {run}")
        arguments = (str(project.folder), str(round_.number), _start(project, round_))
        run_child("maskmill.engine.training", *arguments, stop=stop)
    if not settings.export:
        return run / "model"
    exported = run / "exported"
    if not exported.is_dir():
        say(f"round {round_.number}: exporting")
        run_child("maskmill.engine.exporting", str(run / "model"), str(exported), stop=stop)
    return exported


def _register(project: Project, round_: Round, exported: Path) -> Round:
    """Give the candidate a row, and its files a place in the project."""
    card = read_card(exported)
    model_id = model_id_of(card)
    folder = project.folder / "models" / model_id
    if not folder.is_dir():
        part = folder.with_name(f"{model_id}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(exported, part)
        part.rename(folder)
    made = {**card, "round": round_.number, "round_settings": dict(round_.settings or {})}
    row = project.models.add(model_id, name=f"round-{round_.number:03d}", card=made)
    return project.models.change_round(round_.id, status="gating", candidate_id=row.id)


def _train_heads(
    project: Project,
    round_: Round,
    promoted: bool | None,
    say: Callable[[str], None],
    stop: threading.Event | None,
) -> str | None:
    """Train the heads of the model that goes on; of both, where a person has still to decide.

    Returns:
        Why they could not be trained, if so: what the gate said of the model stands all the same.
    """
    if not _settings(round_).detector:
        return None
    known = {model.id: model for model in project.models.all()}
    kept, made = known[round_.incumbent_id or 0], known[round_.candidate_id or 0]
    going_on = {True: [made], False: [kept], None: [made, kept]}[promoted]
    for model in going_on:
        if missing_heads(project, round_, model.model_id):
            say(f"round {round_.number}: heads that propose masks, for {model.model_id}")
            told = map(str, (project.folder, round_.number, model_path(project, model)))
            try:
                run_child("maskmill.engine.detecting", *told, stop=stop)
            except Interrupted:
                raise
            except MaskmillError as error:
                say(f"round {round_.number}: {HEADS_FAILED}: {error}")
                return str(error)
    return None


def _make_up_heads(
    project: Project, say: Callable[[str], None], stop: threading.Event | None
) -> None:
    """Train the heads that the last round could not: what was in the way may be gone."""
    every = project.models.rounds()
    ended = [r for r in every if r.snapshot_id is not None and r.status in ("promoted", "kept")]
    open_ = any(r.ended_at is None for r in every)
    failed = {metric.round_id for metric in project.models.metrics(NO_HEADS)}
    if not open_ and ended and ended[-1].id in failed:
        _train_heads(project, ended[-1], ended[-1].status == "promoted", say, stop)


def _start(project: Project, round_: Round) -> str:
    """Return the model that a round starts from; a path may have gone since it was opened."""
    start = _settings(round_).start
    if start not in KNOWN:
        return settled_start(start)
    return str(model_path(project, _incumbent(project, round_) if start == "current" else None))


def _incumbent(project: Project, round_: Round) -> Model | None:
    return next((m for m in project.models.all() if m.id == round_.incumbent_id), None)


def _gate(
    project: Project, round_: Round, say: Callable[[str], None], stop: threading.Event | None
) -> Mapping[str, Any]:
    """Measure both models in a child process, and keep what the gate says."""
    run = run_folder(project, round_)
    verdict = read_verdict(run)
    if verdict is None:
        say(f"round {round_.number}: gate")
        run_child("maskmill.engine.judging", str(project.folder), str(round_.number), stop=stop)
        verdict = read_verdict(run)
    assert verdict is not None  # the child ended well
    if verdict_of(project, round_) is None:
        numbers = {f"holdout, {c['name']}": c["candidate"] for c in verdict["comparisons"]}
        project.models.record(numbers, round_id=round_.id, model_id=round_.candidate_id)
        said = None if verdict["promoted"] is None else float(verdict["promoted"])
        project.models.record({"gate": said}, round_id=round_.id, detail=verdict)
    return verdict


def _close(project: Project, round_: Round, *, promote: bool, reason: str) -> Round:
    _write_on_card(project, round_, promote=promote, reason=reason)
    status = "promoted" if promote else "kept"
    return project.models.change_round(round_.id, status=status, reason=reason)


def _write_on_card(project: Project, round_: Round, *, promote: bool, reason: str) -> None:
    """Say on the candidate's own card which snapshot, round, settings and gate made it."""
    row = next((m for m in project.models.all() if m.id == round_.candidate_id), None)
    if row is None:
        return
    names = [s.name for s in project.snapshots.all() if s.id == round_.snapshot_id]
    made = {
        "round": round_.number,
        "snapshot": names[0] if names else None,
        "round_settings": dict(round_.settings or {}),
        "gate": {"promoted": promote, "reason": reason, "said": verdict_of(project, round_)},
    }
    folder = project.folder / "models" / row.model_id
    if folder.is_dir():
        write_card(folder, {**read_card(folder), **made})
    project.models.describe(row.id, {**dict(row.card or {}), **made})
