"""`maskmill automask`: everything mode over a folder."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from maskmill.cli.options import (
    BackendName,
    ConfigFile,
    JsonFlag,
    ModelName,
    OutFolder,
    Workers,
)
from maskmill.config import AutomaskConfig


def automask(
    folder: Path,
    /,
    *,
    out: OutFolder,
    overlays: Annotated[bool, Parameter(negative="")] = False,
    workers: Workers = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    config: ConfigFile = None,
    settings: Annotated[
        AutomaskConfig, Parameter(name="*", negative_iterable=())
    ] = AutomaskConfig(),  # noqa: B008, frozen
    as_json: JsonFlag = False,
) -> None:
    """Find every mask in every photograph of a folder.

    Writes SA-1B JSON. A bad file never stops it; killed at any moment, the same command goes on
    with the photographs that are not done.

    Args:
        folder: The photographs; folders inside are searched too.
        overlays: Also write a picture of the masks per photograph.
    """
    raise SystemExit(1)
