"""Deployments that pages make: archives to fetch, and the project's model made ready to be tried.

The model's thresholds are measured on the hold-out, which takes minutes: a child process does it.
What is tried on an image afterwards is the deployed folder itself, so that the page says what the
folder will say elsewhere; another child process answers from it, which may die of an image.
"""

import json
import logging
import secrets
import shutil
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskmill.deploy import CARD, Deployment, load_deployment
from maskmill.durable import write_atomically
from maskmill.engine.children import Interrupted, run_child
from maskmill.errors import MaskmillError, NotFound, StoreError
from maskmill.server.child import Child
from maskmill.server.events import Events
from maskmill.store import Project

KEPT = 3
"""Archives that are kept: a link that somebody still has open goes on."""
FOLDER, READY, PART = "deployments", "model.json", ".model"
"""Beside the project's database; which deployment of the model is there; where one is written."""
STOP_SECONDS = 15
log = logging.getLogger("maskmill.server")


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A deployment of the project's model that is ready.

    Attributes:
        name: Its archive.
        bytes: Size of that.
        folder: The same, unpacked.
        card: What stands on it.
    """

    name: str
    bytes: int
    folder: Path
    card: dict[str, Any]


class Packer:
    """The deployments of one project, as a server makes them.

    Args:
        project: Open for reading or writing.
        events: Told when there is something new to show.
    """

    def __init__(self, project: Project, events: Events) -> None:
        self.folder = project.folder / FOLDER
        self._project, self._events = project, events
        self._child = Child(_start, name="deployed model")
        self._asking = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = None
        """Why the last attempt came to nothing."""
        if (self.folder / PART).exists():  # a killed server's
            shutil.rmtree(self.folder / PART, ignore_errors=True)
            self.trouble = "the server ended while the model was being made ready; do it again"

    @property
    def working(self) -> bool:
        """Whether the model is being made ready."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, *, precision: float) -> None:
        """Begin to deploy the current model; returns at once.

        Args:
            precision: Share of its masks that has to be right, on the hold-out.

        Raises:
            StoreError: If that is going on.
        """
        if self.working:
            raise StoreError("the model is being made ready; wait until it is")
        self._stop.clear()
        self.trouble = None
        self._thread = threading.Thread(
            target=self._run, args=(precision,), name="packer", daemon=True
        )
        self._thread.start()
        self._events.tell("engine")

    def stop(self) -> None:
        """End with the server; of a deployment that is half written nothing stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        self._child.close()

    def ready(self) -> Packed | None:
        """Return the model's deployment, if one was made."""
        try:
            told = json.loads((self.folder / READY).read_text("utf-8"))
            folder, archive = self.folder / told["folder"], self.folder / told["archive"]
            card = json.loads((folder / CARD).read_text("utf-8"))
            size = archive.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Packed(name=archive.name, bytes=size, folder=folder, card=card)

    def answer(self, image: bytes) -> dict[str, Any]:
        """Return what the deployed model says of an image; see `DeployedModel.answer`.

        Raises:
            NotFound: If none was made.
            ImageError: If the bytes cannot be used as an image.
        """
        packed = self.ready()
        if packed is None:
            raise NotFound("the model was not made ready yet; do that first")
        with self._asking:  # a child answers one at a time
            told: dict[str, Any] = self._child.ask(packed.folder, image)
        return told

    def _run(self, precision: float) -> None:
        part = self.folder / PART
        try:
            shutil.rmtree(part, ignore_errors=True)  # what a killed server left
            told = map(str, (self._project.folder, part / "deployed", precision))
            run_child("maskmill.deploy", *told, stop=self._stop)
            name = keep_archive(self.folder, part / "deployed")
            folder = self.folder / f"model-{secrets.token_hex(6)}"
            (part / "deployed").rename(folder)
            now = {"folder": folder.name, "archive": name}
            write_atomically(self.folder / READY, json.dumps(now).encode())
            for old in self.folder.glob("model-*"):
                if old != folder:
                    shutil.rmtree(old, ignore_errors=True)
        except Interrupted:
            pass  # the server ends
        except MaskmillError as error:
            self.trouble = str(error)
        except Exception:
            log.exception("the model was not deployed")
            self.trouble = "an error; see the server's output"
        finally:
            shutil.rmtree(part, ignore_errors=True)
            self._thread = None
            self._events.tell("engine")


def keep_archive(folder: Path, deployed: Path) -> str:
    """Put a deployed folder into an archive beside the last ones; returns its name.

    Args:
        folder: Where archives are kept.
        deployed: The folder, complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"deployment-{secrets.token_hex(6)}.zip"
    part = deployed.with_name(f"{deployed.name}.zip")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for each in sorted(file for file in deployed.rglob("*") if file.is_file()):
            archive.write(each, f"deployed/{each.relative_to(deployed).as_posix()}")
    part.replace(folder / name)
    archives = [path for path in folder.glob("*.zip") if path.name != _archive_of_model(folder)]
    for old in sorted(archives, key=lambda path: -path.stat().st_mtime)[KEPT:]:
        old.unlink(missing_ok=True)
    return name


def _archive_of_model(folder: Path) -> str | None:
    """Return which archive is the model's: it took minutes to make, and stays until the next."""
    try:
        name: str = json.loads((folder / READY).read_text("utf-8"))["archive"]
        return name
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _start() -> Callable[[Path, bytes], dict[str, Any]]:
    """Make ready; what the child process does first."""
    loaded: tuple[Path | None, Deployment | None] = (None, None)

    def answer(folder: Path, image: bytes) -> dict[str, Any]:
        nonlocal loaded
        if loaded[1] is None or loaded[0] != folder:
            loaded = (folder, load_deployment(folder, threads=1))
        assert loaded[1] is not None
        return loaded[1].answer(image)

    return answer
