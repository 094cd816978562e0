"""`maskmill account`: who may come into a project that is served to others."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from maskmill.cli.options import JsonFlag, print_result, require
from maskmill.cli.project import ProjectFolder
from maskmill.errors import ConfigError

Role = Literal["admin", "reviewer", "annotator"]
FromStdin = Annotated[
    bool,
    Parameter(negative="", help="Read the password from standard input instead of asking for it."),
]
SHORTEST = 10
"""Characters of a password."""


def account_app() -> App:
    """Put the verbs of accounts together."""
    app = App(name="account", help="Accounts of a project that is served to others.")
    app.command(add)
    app.command(change)
    app.command(list_, name="list")
    return app


def add(
    name: str,
    /,
    *,
    role: Role,
    project: ProjectFolder = Path("."),
    password_stdin: FromStdin = False,
    as_json: JsonFlag = False,
) -> None:
    """Let a person into a project, with a password.

    An annotator makes masks, a reviewer also judges, assigns and exports, an admin also lets people
    in.

    Args:
        name: What the person is called; stands beside their masks.
        role: What they may do.
    """
    require("server", "argon2")
    from maskmill.server.access import hash_password
    from maskmill.store import Project

    password = _password(name, from_stdin=password_stdin)
    with Project(project) as opened:
        made = opened.accounts.add(name, role, hash_password(password))
        opened.audit.record(getpass.getuser(), "member added", name, {"role": role})
    result = {"name": made.name, "role": made.role}
    print_result(result, as_json=as_json, text=f"{made.name} may come in as {made.role}")


def change(
    name: str,
    /,
    *,
    role: Role | None = None,
    password: Annotated[bool, Parameter(negative="")] = False,
    shut: bool | None = None,
    project: ProjectFolder = Path("."),
    password_stdin: FromStdin = False,
    as_json: JsonFlag = False,
) -> None:
    """Change a role or a password, or shut an account; all its sessions end.

    Args:
        name: Whose account.
        role: What they may do from now on.
        password: Ask for a new password.
        shut: Keep the person out; `--no-shut` lets them in again.
    """
    require("server", "argon2")
    from maskmill.server.access import hash_password
    from maskmill.store import Project

    new = None
    if password or password_stdin:
        new = hash_password(_password(name, from_stdin=password_stdin))
    with Project(project) as opened:
        made = opened.accounts.change(name, role=role, password_hash=new, disabled=shut)
        said = {"role": role, "password": new is not None, "disabled": shut}
        opened.audit.record(getpass.getuser(), "member changed", name, said)
    result = {"name": made.name, "role": made.role, "shut": made.disabled}
    text = f"{made.name} is {made.role}{', and shut out' if made.disabled else ''}"
    print_result(result, as_json=as_json, text=text)


def list_(*, project: ProjectFolder = Path("."), as_json: JsonFlag = False) -> None:
    """List who may come into a project, and as what."""
    from maskmill.store import Project

    with Project(project, writes=False) as opened:
        found = opened.accounts.all()
    rows = [{"name": each.name, "role": each.role, "shut": each.disabled} for each in found]
    lines = [f"{each.name}  {each.role}{'  shut' if each.disabled else ''}" for each in found]
    text = "\n".join(lines) or "no accounts; the project is served on this machine only"
    print_result({"accounts": rows}, as_json=as_json, text=text)


def _password(name: str, *, from_stdin: bool) -> str:
    """Ask for a password, twice; or read one line.

    Raises:
        ConfigError: If it is too short, or the two differ.
    """
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise ConfigError("there is no terminal to ask for a password; use --password-stdin")
    else:
        password = getpass.getpass(f"password for {name}: ")
        if getpass.getpass("the same again: ") != password:
            raise ConfigError("the two passwords differ; try again")
    if len(password) < SHORTEST:
        raise ConfigError(f"a password needs at least {SHORTEST} characters; choose a longer one")
    return password
