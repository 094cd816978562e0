"""Options that several verbs share, and the one way a verb prints its result."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

from cyclopts import App, ArgumentCollection, CoercionError, Parameter

from maskmill.config import Backend
from maskmill.errors import ConfigError

if TYPE_CHECKING:
    from maskmill.formats import Refused

T = TypeVar("T")

REFUSED_SHOWN = 20
"""Things left out that a verb names in its text; `--json` names all."""

JsonFlag = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        help="Print exactly one JSON object on standard output instead of text.",
    ),
]
"""`--json`, alike in every verb."""

OutFolder = Annotated[
    Path, Parameter(name=["--out", "-o"], help="Folder to write to; it is made if it is missing.")
]
"""`-o`, where a verb writes a folder."""

ModelName = Annotated[
    str, Parameter(name="--model", help="A name that `maskmill model list` shows, or a folder.")
]
"""`--model`, where a verb runs one."""

ProjectModel = Annotated[
    str | None,
    Parameter(
        name="--model",
        help="A name or a model's folder; by default what the project's last round promoted.",
    ),
]
"""`--model`, where a verb works in a project."""

BackendName = Annotated[
    Backend,
    Parameter(
        name="--backend", help="Runtime; auto takes ONNX Runtime where the model has ONNX files."
    ),
]
"""`--backend`, beside `--model`."""

Threads = Annotated[
    int | None,
    Parameter(name="--threads", help="Threads per model call; by default the runtime's."),
]
"""`--threads`, beside `--model`."""

ConfigFile = Annotated[
    Path | None,
    Parameter(
        name="--config",
        help="TOML file of settings, or of tables named like commands, or the name of a shipped "
        "recipe (`finetune`, for train); options given here win.",
    ),
]
"""`--config`, where a verb has settings; `settings.merge_settings` reads it."""


Workers = Annotated[
    int | None,
    Parameter(
        name="--workers",
        help="Photographs worked on at once, each in a process; by default one per core.",
    ),
]
"""`--workers`, where a verb works on many photographs."""


def refuse_fractions(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse a number with a fraction where a whole one is asked for; cyclopts would round it.

    cyclopts calls this for every verb, after it has split the command line and before it converts
    values.

    Args:
        app: The application.
        commands: The verb.
        arguments: All options of the verb; those that the command line gave carry tokens.

    Raises:
        CoercionError: If a whole number is given as 2.5, as 2.0 or as 1e3.
    """
    for argument in arguments:
        if int in (argument.hint, *get_args(argument.hint)):
            for token in argument.tokens:
                if _is_fraction(token.value):
                    raise CoercionError(
                        msg=f'"{token.value}" is not a whole number', token=token, argument=argument
                    )


def processes(workers: int | None) -> int:
    """Return how many processes to run.

    Raises:
        ConfigError: If fewer than one is asked for.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers}; it must be at least 1")
    if workers is None and hasattr(os, "sched_getaffinity"):
        # Cores that this process may use: in a container fewer than there are. Linux only.
        return len(os.sched_getaffinity(0))
    return workers or os.cpu_count() or 1


def with_numbers(config: T, given: Sequence[str], option: str) -> T:
    """Return settings that are all numbers, some of them as the command line gives them.

    Args:
        config: A dataclass of numbers.
        given: NAME=NUMBER, each.
        option: Which option gave them, for errors.

    Raises:
        ConfigError: If a name or a number is not allowed; the line lists the names.
    """
    names = [f.name for f in fields(config)]  # type: ignore[arg-type]
    allowed = f"write NAME=NUMBER with one of {', '.join(names)}"
    for word in given:
        name, _, number = word.partition("=")
        if name not in names:
            raise ConfigError(f"{option} {word} is not known; {allowed}")
        kind = type(getattr(config, name))
        try:
            config = replace(config, **{name: kind(number)})  # type: ignore[type-var]
        except ValueError:
            what = "whole number" if kind is int else "number"
            raise ConfigError(f"{option} {word}: {number!r} is no {what}; {allowed}") from None
        except ConfigError as problem:
            raise ConfigError(f"{option} {word}: {problem}; {allowed}") from None
    return config


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Show a bar with rate and time left on standard error, where that is a terminal.

    Args:
        what: What is counted.
        total: How many there are; None if nobody knows.

    Yields:
        A function to call after each, or with the number of them after some.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeftColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeLeftColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done=1: progress.advance(task, done)


def counted(number: int, what: str) -> str:
    """Say how many there are of something.

    Example:
        >>> counted(1, "mask"), counted(0, "mask")
        ('1 mask', '0 masks')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def print_result(result: dict[str, Any], *, as_json: bool, text: str) -> None:
    """Print what a verb has to say, once.

    Args:
        result: The whole result; NaN becomes null, because NaN is no JSON.
        as_json: Print `result` instead of `text`.
        text: The same for people.
    """
    print(json.dumps(_plain(result), allow_nan=False) if as_json else text)


def require(extra: str, *modules: str) -> None:
    """Refuse what needs more than plain inference does, where it is not installed.

    Args:
        extra: The extra of the package that brings it.
        modules: What must be importable.

    Raises:
        ConfigError: Says how to install it.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} not installed; run `pip install 'maskmill[{extra}]'`"
        )


def warn(line: str) -> None:
    """Print one line on standard error, for what does not stop the command."""
    print(f"maskmill: {line}", file=sys.stderr)


def warn_refused(refused: "Sequence[Refused]") -> None:
    """Name the first few things that were left out, and count the rest."""
    for each in refused[:REFUSED_SHOWN]:
        named = str(each.path) in each.reason
        warn(f"left out: {each.reason}" if named else f"left out: {each.path}: {each.reason}")
    if len(refused) > REFUSED_SHOWN:
        warn(f"left out: {len(refused) - REFUSED_SHOWN} more; --json names all")


def _is_fraction(text: str) -> bool:
    """Tell whether Python reads a number in the text, but no whole one."""
    for kind in (int, float):
        try:
            kind(text)
        except ValueError:
            continue
        return kind is float
    return False


def _plain(value: Any) -> Any:
    """Return a value in which only JSON's own kinds are left."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    return None if isinstance(value, float) and value != value else value
