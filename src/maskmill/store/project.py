"""A project: a folder with a database, blobs and embeddings; the images stay where they are.

project.json    what the folder is, and the name under which a database knows it
maskmill.db     the rows, unless MASKMILL_DATABASE_URL puts them into PostgreSQL
blobs/          files named by their SHA-256
embeddings/     one folder per model
"""

import json
import os
import secrets
import sys
from pathlib import Path
from types import ModuleType, TracebackType

from filelock import FileLock, Timeout
from sqlalchemy import insert

from maskmill.errors import NotFound, StoreError
from maskmill.store.annotations import Annotations
from maskmill.store.blobs import Blobs
from maskmill.store.categories import Categories
from maskmill.store.database import Database, now, project_id_of, sqlite_url
from maskmill.store.embeddings import Embeddings
from maskmill.store.images import Images
from maskmill.store.jobs import Jobs
from maskmill.store.migrations import check_version, migrate
from maskmill.store.models import Models
from maskmill.store.schema import projects
from maskmill.store.snapshots import Snapshots
from maskmill.weights import write_atomically

PROJECT_FILE, DATABASE_FILE, LOCK_FILE = "project.json", "maskmill.db", ".lock"
DATABASE_VARIABLE = "MASKMILL_DATABASE_URL"
FORMAT = 1


class Project:
    """An open project; `with` closes it.

    Attributes:
        folder: Where it lies.
        name: What people call it.
        database: Its rows.
        images: Its images.
        categories: Kinds of objects.
        annotations: Masks and their history.
        models: Models, the rounds that made them, and their metrics.
        jobs: Work in the background.
        snapshots: Frozen versions of the dataset.
        blobs: Files by content.
        embeddings: What encoders made of the images.
    """

    def __init__(
        self, folder: Path, *, writes: bool = True, driver: ModuleType | None = None
    ) -> None:
        self.folder = folder
        card = _read_card(folder)
        self.name, self.uid = card["name"], card["uid"]
        url = _database_url(folder, card["database"])
        self._lock = _hold(folder) if writes and card["database"] == "sqlite" else None
        try:
            self.database = Database(url, writes=writes, driver=driver)
            self.id = self._find()
        except BaseException:
            self._release()
            raise
        self.images = Images(self.database, self.id)
        self.categories = Categories(self.database, self.id)
        self.annotations = Annotations(self.database, self.id)
        self.models = Models(self.database, self.id)
        self.jobs = Jobs(self.database, self.id)
        self.snapshots = Snapshots(self.database, self.id)
        self.blobs = Blobs(folder / "blobs")
        self.embeddings = Embeddings(folder / "embeddings")

    @classmethod
    def create(
        cls, folder: Path, *, name: str | None = None, driver: ModuleType | None = None
    ) -> "Project":
        """Make a project in a folder that is new or empty, and open it.

        Raises:
            StoreError: If the folder holds something, a project included.
        """
        if (folder / PROJECT_FILE).exists():
            raise StoreError(f"{folder} is a project already; open it, or name another folder")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(f"{folder} is not empty; name a new folder for the project")
        folder.mkdir(parents=True, exist_ok=True)
        kind = "postgresql" if os.environ.get(DATABASE_VARIABLE) else "sqlite"
        uid, name = secrets.token_hex(16), name or folder.absolute().name
        database = Database(_database_url(folder, kind), driver=driver)
        migrate(database)
        with database.write() as connection:
            connection.execute(
                insert(projects).values(uid=uid, name=name, created_at=now(), sequence=0)
            )
        database.close()
        card = {"format": FORMAT, "uid": uid, "name": name, "database": kind}
        # Written last: a folder without it is no project, and a kill before it leaves none.
        write_atomically(folder / PROJECT_FILE, (json.dumps(card, indent=1) + "\n").encode())
        return cls(folder, driver=driver)

    def _find(self) -> int:
        if self.database.writes:
            migrate(self.database)
        with self.database.read() as connection:
            check_version(connection)
            found = project_id_of(connection, self.uid)
        if found is None:
            raise StoreError(
                f"the database does not know the project of {self.folder} ({self.uid}); "
                f"set {DATABASE_VARIABLE} to the database that it was made in"
            )
        return found

    def close(self) -> None:
        """Close the database and let others write."""
        self.database.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Project":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def is_project(folder: Path) -> bool:
    """Tell whether a folder is a project."""
    return (folder / PROJECT_FILE).is_file()


def _read_card(folder: Path) -> dict[str, str]:
    path = folder / PROJECT_FILE
    if not path.is_file():
        raise NotFound(f"{folder} is not a project; make one with `maskmill init {folder}`")
    try:
        card = json.loads(path.read_text("utf-8"))
        if card["format"] > FORMAT:
            raise StoreError(f"{path} was written by a newer maskmill; upgrade it to open this")
        return {key: str(card[key]) for key in ("uid", "name", "database")}
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}); restore it from a backup") from error


def _database_url(folder: Path, kind: str) -> str:
    url = os.environ.get(DATABASE_VARIABLE)
    if kind == "sqlite" and not url:
        return sqlite_url(folder / DATABASE_FILE)
    if kind == "sqlite":
        raise StoreError(
            f"the rows of {folder} lie in {DATABASE_FILE}, but {DATABASE_VARIABLE} is set; unset "
            "it to open this project, or export it and import it into a new one"
        )
    if not url:
        raise StoreError(
            f"the rows of {folder} lie in PostgreSQL; set {DATABASE_VARIABLE} to open it"
        )
    # People write what their host gives them; SQLAlchemy wants the driver's name in it.
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def _hold(folder: Path) -> FileLock:
    """Become the one process that writes to a SQLite project.

    Raises:
        StoreError: If another process holds it; the message says which.
    """
    lock = FileLock(folder / LOCK_FILE)
    holder = folder / f"{LOCK_FILE}-holder"
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        who = holder.read_text("utf-8").strip() if holder.is_file() else "unknown"
        raise StoreError(
            f"another process ({who}) is writing to {folder}; wait for it or stop it"
        ) from error
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]).strip()
    holder.write_text(f"{command}, process {os.getpid()}", "utf-8")
    return lock
