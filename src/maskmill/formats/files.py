"""Finding and opening the files of a dataset, whatever names and JSON it holds.

Names that come out of a file are untrusted: no name leads out of its dataset's folder.
"""

import json
import os
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from maskmill.errors import DatasetError
from maskmill.formats.checks import short

# A name without any folder in it, as most are: the long way costs more than reading the entry.
_PLAIN_NAME = re.compile(r"\w[\w-]*(?:\.[\w-]+)*", re.ASCII)


def path_inside(folder: Path, file_name: Any) -> Path:
    """Join a file name out of a file to its folder, refusing every way out of it.

    Links that lie in the folder are followed: whoever owns the folder put them there.

    Raises:
        DatasetError: If the name is not text, is empty, absolute or climbs with `..`.

    Example:
        >>> path_inside(Path("photos"), "a/b.jpg").as_posix()
        'photos/a/b.jpg'
        >>> path_inside(Path("photos"), "../secret.jpg")
        Traceback (most recent call last):
        maskmill.errors.DatasetError: file name '../secret.jpg' leads out of the dataset's folder
    """
    if isinstance(file_name, str) and _PLAIN_NAME.fullmatch(file_name):
        return folder / file_name
    if not isinstance(file_name, str) or not file_name or "\0" in file_name:
        raise DatasetError(f"file name {short(file_name)} is not a file's name")
    posix, windows = PurePosixPath(file_name), PureWindowsPath(file_name)
    # A Windows path is refused everywhere: a dataset must mean the same on every machine.
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise DatasetError(f"file name {short(file_name)} leads out of the dataset's folder")
    return folder / posix


def photograph_in(folder: Path, file_name: Any) -> Path:
    """Find the photograph that a file names, inside its folder.

    Raises:
        DatasetError: As `path_inside`, and if there is no such file.
    """
    path = path_inside(folder, file_name)
    if _is_file(path):
        return path
    if "\\" in file_name:  # Label Studio on Windows writes `images\\a.jpg`
        path = path_inside(folder, PureWindowsPath(file_name).as_posix())
        if _is_file(path):
            return path
    raise DatasetError(f"its photograph {short(file_name)} is missing")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def load_json(path: Path, max_bytes: int | None = None) -> Any:
    """Parse a JSON file that anybody may have written.

    Args:
        path: The file.
        max_bytes: Largest file that is read; None reads any.

    Raises:
        DatasetError: If it cannot be read, is too large or is not JSON; the message names the file.
    """
    try:
        if max_bytes is not None and path.stat().st_size > max_bytes:
            raise DatasetError(f"{path} is larger than {max_bytes} bytes; is it one image's file?")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        # ValueError is also what wrong UTF-8 and numbers of 5,000 digits raise.
        raise DatasetError(f"{path} is not JSON: {short(str(error))}") from error


def find_json(folder: Path) -> list[Path]:
    """List the JSON files below a folder, linked folders included, hidden ones not.

    Raises:
        DatasetError: If the folder does not exist.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; name the folder that holds the dataset")
    found: list[Path] = []
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        here = os.path.realpath(root)
        if here in seen:  # a link that leads back up would be walked for ever
            folders.clear()
            continue
        seen.add(here)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, f) for f in files if f.endswith(".json") and not f.startswith(".")]
    return sorted(found)


def keep_source(name: str, sources: Collection[str] | None) -> bool:
    """Tell whether a source is wanted; None wants all."""
    return sources is None or name in sources


def read_text(path: Path, max_bytes: int) -> str:
    """Read a text file that anybody may have written.

    Raises:
        DatasetError: If it cannot be read, is too large or is not UTF-8; the message names it.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise DatasetError(f"{path} is larger than {max_bytes} bytes; is it the right file?")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8; save it as such") from error
