"""Settings out of a TOML file, below the command line and above the defaults.

A file holds the settings of one command, or of several in tables named like them:

    [automask]
    points_per_side = 16
"""

import difflib
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict

from maskmill.config import AutomaskConfig, EvaluateConfig, TrainConfig, load_toml, with_settings
from maskmill.errors import ConfigError
from maskmill.recipes import recipe

TABLES: dict[str, type[Any]] = {
    "automask": AutomaskConfig,
    "evaluate": EvaluateConfig,
    "train": TrainConfig,
}
"""Which settings a table holds; tables are named like their command."""


def merge_settings(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill in, from the file that `--config` names, the options that were not given.

    cyclopts calls this after it has split the command line and before it converts values.

    Args:
        app: The application.
        commands: The verb.
        arguments: All options of the verb; those that the command line gave carry tokens.

    Raises:
        ConfigError: If the file is not TOML, or a table or setting has an unknown name or kind.
    """
    given = [a for a in arguments if "--config" in a.names and a.tokens]
    if not given or not commands:
        return
    path = recipe(Path(given[0].tokens[-1].value))
    table = read_table(path, commands[-1])
    Dict(table, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def read_table(path: Path, verb: str) -> dict[str, Any]:
    """Return the settings that a TOML file holds for one verb, names and kinds checked.

    Raises:
        ConfigError: If the file is not TOML, or a table or setting has an unknown name or kind.
    """
    content = load_toml(path)
    tables = {name for name, value in content.items() if isinstance(value, dict)}
    if not tables:
        with_settings(TABLES[verb](), content, where=str(path))
        return content
    for name in content:
        if name not in TABLES:
            near = difflib.get_close_matches(name, TABLES, n=1)
            hint = f"did you mean [{near[0]}]?" if near else f"allowed: {', '.join(TABLES)}"
            raise ConfigError(f"{path}: unknown table [{name}]; {hint}")
        if name not in tables:
            raise ConfigError(f"{path}: {name} is a value; write a table, [{name}]")
    table: dict[str, Any] = content.get(verb, {})
    with_settings(TABLES[verb](), table, where=f"{path} [{verb}]")
    return table
