"""`maskmill round`: train on what people made, and let the gate say whether it is better."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from maskmill.cli.options import JsonFlag, print_result, require, warn
from maskmill.cli.project import ProjectFolder

if TYPE_CHECKING:
    from maskmill.store import Project
    from maskmill.store.models import Round


def round_(
    *,
    project: ProjectFolder = Path("."),
    stage: Literal["assisted", "semi", "automatic"] = "assisted",
    masks: Literal["new", "all"] = "new",
    start: str = "current",
    recipe: str = "finetune",
    steps: int | None = None,
    head_steps: int | None = None,
    val_share: float | None = None,
    decide: Literal["promote", "keep"] | None = None,
    roll_back: Annotated[bool, Parameter(negative="")] = False,
    history: Annotated[bool, Parameter(name="--history", negative="")] = False,
    advice: Annotated[bool, Parameter(negative="")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a round of the data engine: freeze, train, measure, promote if nothing got worse.

    Killed at any moment, the same command goes on. With fewer than 20 hold-out images of different
    groups a person decides, with --decide.

    Args:
        stage: The stage that the round belongs to.
        masks: Train on masks made since the last promotion, or on all.
        start: Go on from the project's model (current), start again from the embedded default
            (default), or start from another model, of a larger encoder perhaps: the path of its
            folder or of a published checkpoint. The gate does not refuse it for encoding slower.
        recipe: Name or file of the training settings.
        steps: Optimiser steps of the model; by default the recipe's.
        head_steps: The same of the box detector and of the region head; by default 600 each.
        val_share: Share of the image groups that are held out and never trained on: 0.2, unless the
            project's first round names another, which holds for all that follow.
        decide: End the round that waits for a decision.
        roll_back: Go back to the model before the current one.
        history: List the rounds and run none.
        advice: Say where the engine stands and what comes next, and run nothing.
    """
    if advice:
        return _advise(project, as_json=as_json)
    require("export", "torch", "safetensors", "matplotlib", "skimage", "onnx", "onnxscript")
    from maskmill.engine import rounds
    from maskmill.engine.lineage import holdout_share
    from maskmill.store import Project

    config = rounds.RoundConfig(stage=stage, masks=masks, start=start, recipe=recipe)
    if steps is not None:
        config = replace(config, training={"steps": steps})
    if head_steps is not None:
        told = {"steps": head_steps}
        config = replace(config, detector_training=told, regions_training=told)
    with Project(project, writes=not history) as opened:
        if history:
            found = opened.models.rounds()
        elif roll_back:
            found = [rounds.roll_back(opened, by=_me())]
        elif decide is not None:
            found = [rounds.decide(opened, promote=decide == "promote", by=_me())]
        else:
            share = holdout_share(opened) if val_share is None else val_share
            config = replace(config, val_share=share)
            found = [rounds.run_round(opened, config, say=warn)]
        result = [_told(opened, each) for each in found]
        text = "\n".join(_text(each) for each in result) or "no round yet"
    print_result({"rounds": result}, as_json=as_json, text=text)


def _advise(project: Path, *, as_json: bool) -> None:
    """Say in a terminal what the engine's page says; `maskmill up` may be running."""
    from maskmill.engine.standing import in_words, standing
    from maskmill.store import Project

    with Project(project, writes=False) as opened:
        found = standing(opened)
    lines = [
        f"stage {found.stage}: {found.all_masks} masks can teach, {found.new_masks} of them are "
        "new to the model",
        f"{found.holdout_images} hold-out images are labelled; {found.waiting_images} images wait",
        in_words(found.suggestion),
    ]
    told = {
        "stage": found.stage,
        "new_masks": found.new_masks,
        "all_masks": found.all_masks,
        "needed_masks": found.needed_masks,
        "holdout_images": found.holdout_images,
        "waiting_images": found.waiting_images,
        "advice": {"what": found.suggestion.what, **found.suggestion.numbers},
    }
    print_result(told, as_json=as_json, text="\n".join(lines))


def _told(project: "Project", round_: "Round") -> dict[str, object]:
    from maskmill.engine.rounds import verdict_of

    return {**asdict(round_), "gate": verdict_of(project, round_)}


def _text(told: dict[str, object]) -> str:
    lines = [f"round {told['number']}  {told['stage']}  {told['status']}: {told['reason'] or ''}"]
    gate = told["gate"]
    if isinstance(gate, dict):
        lines += [
            f"  {c['name']:36s} {c['incumbent']:8.3f} {c['candidate']:8.3f}"
            f"  {c['low']:+.3f} to {c['high']:+.3f}  {c['outcome']}"
            for c in gate["comparisons"]
        ]
    return "\n".join(lines)


def _me() -> str:
    import getpass

    return getpass.getuser()
