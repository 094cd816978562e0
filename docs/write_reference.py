"""Bring the option tables of cli.md up to date with the commands themselves.

    python docs/write_reference.py

The words around the tables are written by hand. A test fails while a table is out of date.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import App

from maskmill.cli import build_app

PAGE = Path(__file__).parent / "cli.md"
TABLE = re.compile(r"<!-- options: (?P<command>[a-z -]+) -->\n.*?<!-- end -->", re.DOTALL)


def commands(app: App, above: str = "") -> Iterator[tuple[str, App]]:
    """Yield every command that does something, with its full name without `maskmill`."""
    for name in app:
        if name.startswith("-"):
            continue
        child = app[name]
        full = f"{above} {name}".strip()
        if child.default_command is not None:
            yield full, child
        else:
            yield from commands(child, full)


def table(command: App) -> str:
    """Return one command's arguments and options as a Markdown table."""
    rows = ["| option | default | what it does |", "| --- | --- | --- |"]
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if argument.show:
            names = " ".join(f"`{name}`" for name in argument.names)
            help_text = " ".join((argument.parameter.help or "").split()).replace("|", "\\|")
            rows.append(f"| {names} | {_default(argument)} | {help_text} |")
    return "\n".join(rows)


def _default(argument: Any) -> str:
    if argument.required:
        return "required"
    default = argument.field_info.default
    if default is None or default == () or default == "" or default is False:
        return ""
    if isinstance(default, tuple):
        return "`" + " ".join(str(v) for v in default) + "`"
    return f"`{round(default, 4) if isinstance(default, float) else default}`"


def updated(page: str) -> str:
    """Return the page with every table written anew."""
    known = dict(commands(build_app()))

    def replace(match: re.Match[str]) -> str:
        name = match["command"]
        return f"<!-- options: {name} -->\n{table(known[name])}\n<!-- end -->"

    return TABLE.sub(replace, page)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text("utf-8")), "utf-8")
