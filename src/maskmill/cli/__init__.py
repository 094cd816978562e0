"""The command line: thin verbs over the library, one file per verb.

Here the verbs are put together and every way a command can end is turned into an exit code and at
most one line on standard error: 0 done, 1 refused with a reason, 2 misuse, 130 interrupted. With
`--json` the same line stands in one object on standard output. The verb modules import what they
need inside their functions, so that `maskmill --help` loads neither a runtime nor a framework.
"""

import errno
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from maskmill import __version__
from maskmill.cli.account import account_app
from maskmill.cli.audit import audit_app
from maskmill.cli.automask import automask
from maskmill.cli.demo import demo
from maskmill.cli.deploy import deploy, serve_model
from maskmill.cli.embed import embed
from maskmill.cli.evaluate import evaluate
from maskmill.cli.exchange import export, import_
from maskmill.cli.label import label
from maskmill.cli.model import model_app
from maskmill.cli.options import refuse_fractions
from maskmill.cli.project import init, snapshot, status, verify
from maskmill.cli.round import round_
from maskmill.cli.rules import rules_app
from maskmill.cli.scribble import scribble_app
from maskmill.cli.segment import segment
from maskmill.cli.settings import merge_settings
from maskmill.cli.simulate import simulate
from maskmill.cli.train import train
from maskmill.cli.up import up
from maskmill.errors import MaskmillError

DONE, REFUSED, MISUSE, INTERRUPTED = 0, 1, 2, 130

NEXT_STEPS = {
    errno.EACCES: "allow it for this user, or choose another path",
    errno.EPERM: "allow it for this user, or choose another path",
    errno.EROFS: "choose a path on a disk that can be written",
    errno.ENOSPC: "free some space, then run the same command again",
    errno.EISDIR: "a folder is where a file should be; choose another path",
    errno.ENOTDIR: "a file is where a folder should be; choose another path",
    errno.EEXIST: "a file is where a folder should be; choose another path",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EMFILE: "allow more open files (`ulimit -n`), or use fewer --workers",
}
"""What a person can do about what the system refuses, by its error number."""


def build_app() -> App:
    """Put the verbs together.

    Returns:
        The application; calling it parses the command line and runs a verb.
    """
    app = App(
        name="maskmill",
        help="Turn photographs into masks, train the model that does it, and measure both.",
        version=__version__,
        help_format="plaintext",  # Markdown would cost another 100 ms of imports
        config=(refuse_fractions, merge_settings),
        default_parameter=Parameter(negative_iterable=()),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    of_projects = (up, init, export, status, verify, snapshot, embed, label)
    for verb in (segment, automask, *of_projects, train, evaluate, simulate):
        app.command(verb)
    app.command(import_, name="import")
    app.command(round_, name="round")
    app.command(model_app())
    app.command(scribble_app())
    app.command(rules_app())
    app.command(deploy)
    app.command(serve_model)
    app.command(account_app())
    app.command(audit_app())
    app.command(demo)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after the program's name; by default those it was started with.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    code, line = _run(words)
    if line is not None:
        print(f"maskmill: {line}", file=sys.stderr)
        if "--json" in words:  # whoever reads JSON gets an object, however the command ends
            print(json.dumps({"error": line}))
    return code


def _run(words: list[str]) -> tuple[int, str | None]:
    """Run one command and return the exit code and, unless it is done, why not in one line."""
    try:
        result: Any = build_app()(words, exit_on_error=False, print_error=False)
        return result if isinstance(result, int) else DONE, None
    except CycloptsError as error:
        # Only the words that are verbs: help on a verb that does not exist helps nobody.
        help_on = " ".join(["maskmill", *(error.command_chain or ()), "--help"])
        return MISUSE, f"{_one_line(error)}; see `{help_on}`"
    except MaskmillError as error:
        return REFUSED, _one_line(error)
    except BrokenPipeError:
        # Whoever read our output has left (`| head`); Python must not try to flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED, None
    except OSError as error:
        return REFUSED, _of_the_system(error)
    except Exception as error:  # a mistake of ours: still one line, and where to tell of it
        what = f"{type(error).__name__}: {_one_line(error)}"
        return REFUSED, f"unexpected {what}; please report it with the command"
    except KeyboardInterrupt:
        return INTERRUPTED, "interrupted; the same command goes on or starts again"


def _of_the_system(error: OSError) -> str:
    """Say what the system would not do, to which file, and what to do about it."""
    where = "" if error.filename is None else f"{error.filename}: "
    what = error.strerror or _one_line(error) or type(error).__name__
    step = NEXT_STEPS.get(error.errno or 0, "check the path and the disk, then run the same again")
    return f"{where}{what}; {step}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
