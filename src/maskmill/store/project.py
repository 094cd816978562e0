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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType

from filelock import FileLock, Timeout
from sqlalchemy import URL, insert

from maskmill.durable import sync_folder, write_atomically
from maskmill.errors import NotFound, StoreError
from maskmill.store.accounts import Accounts
from maskmill.store.annotations import Annotations
from maskmill.store.audit import Audit
from maskmill.store.blobs import Blobs
from maskmill.store.categories import Categories
from maskmill.store.database import Database, now, postgresql_url, project_id_of, sqlite_url
from maskmill.store.embeddings import Embeddings
from maskmill.store.images import Images
from maskmill.store.jobs import Jobs
from maskmill.store.keys import AnnotationKeys
from maskmill.store.migrations import check_version, migrate
from maskmill.store.models import Models
from maskmill.store.reviews import Reviews
from maskmill.store.rows import checked, checked_text
from maskmill.store.schema import projects
from maskmill.store.scribbles import Scribbles
from maskmill.store.snapshots import Snapshots
from maskmill.store.work import Work

PROJECT_FILE, DATABASE_FILE = "project.json", "maskmill.db"
LOCK_FILE, HOLDER_FILE = ".lock", ".lock-holder"
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
        keys: The names that browsers gave to masks.
        models: Models, the rounds that made them, and their metrics.
        jobs: Work in the background.
        snapshots: Frozen versions of the dataset.
        blobs: Files by content.
        embeddings: What encoders made of the images.
        accounts: Who may come in.
        audit: Who did what.
        work: Who works on which image.
        reviews: What reviewers said of masks.
        scribbles: Strokes for Visual Prompting, and rules.
    """

    def __init__(
        self, folder: Path, *, writes: bool = True, driver: ModuleType | None = None
    ) -> None:
        self.folder = folder.absolute()  # what is written down of it holds from anywhere
        card = _read_card(folder)
        self.name, self.uid = card["name"], card["uid"]
        url = _database_url(folder, card["database"])
        if card["database"] == "sqlite" and not (folder / DATABASE_FILE).is_file():
            raise StoreError(f"{folder / DATABASE_FILE} is missing; restore it from a backup")
        self._lock = _hold(folder) if writes and card["database"] == "sqlite" else None
        try:
            self.database = Database(url, writes=writes, driver=driver)
            try:
                self.id = self._find()
            except BaseException:
                self.database.close()
                raise
        except BaseException:
            self._release()
            raise
        self.images = Images(self.database, self.id)
        self.categories = Categories(self.database, self.id)
        self.annotations = Annotations(self.database, self.id)
        self.keys = AnnotationKeys(self.database, self.id)
        self.models = Models(self.database, self.id)
        self.jobs = Jobs(self.database, self.id)
        self.snapshots = Snapshots(self.database, self.id)
        self.blobs = Blobs(folder / "blobs")
        self.embeddings = Embeddings(folder / "embeddings")
        self.accounts = Accounts(self.database, self.id)
        self.audit = Audit(self.database, self.id)
        self.work = Work(self.database, self.id)
        self.reviews = Reviews(self.database, self.id)
        self.scribbles = Scribbles(self.database, self.id)

    @classmethod
    def create(
        cls, folder: Path, *, name: str | None = None, driver: ModuleType | None = None
    ) -> "Project":
        """Make a project in a folder that is new or empty, and open it.

        Raises:
            StoreError: If the folder holds something, a project included, or cannot be written.
            ConfigError: If MASKMILL_DATABASE_URL names no PostgreSQL database.
        """
        kind = "postgresql" if os.environ.get(DATABASE_VARIABLE) else "sqlite"
        url = _database_url(folder, kind)
        uid, name = secrets.token_hex(16), checked_text("name", name or folder.absolute().name)
        _refuse_used(folder)
        with _in_file_words(folder):
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
        with _hold(folder):  # of two that create here at once, one finds the other's project
            _refuse_used(folder)
            try:
                _create_rows(Database(url, driver=driver), uid, name)
                card = {"format": FORMAT, "uid": uid, "name": name, "database": kind}
                # Written last: a folder without it is no project, and a kill before leaves none.
                with _in_file_words(folder):
                    content = (json.dumps(card, indent=1) + "\n").encode()
                    write_atomically(folder / PROJECT_FILE, content)
            except BaseException:
                for left in folder.glob(f"{DATABASE_FILE}*"):
                    left.unlink()
                raise
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
        if card["database"] not in ("sqlite", "postgresql"):
            raise ValueError(f"its database is {card['database']!r}")
        return {key: str(card[key]) for key in ("uid", "name", "database")}
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}); restore it from a backup") from error


def _refuse_used(folder: Path) -> None:
    if is_project(folder):
        raise StoreError(f"{folder} is a project already; open it, or name another folder")
    ours = (LOCK_FILE, HOLDER_FILE)
    if folder.exists() and (
        not folder.is_dir() or any(each.name not in ours for each in folder.iterdir())
    ):
        raise StoreError(f"{folder} is not empty; name a new folder for the project")


def _create_rows(database: Database, uid: str, name: str) -> None:
    try:
        migrate(database)
        with database.write() as connection:
            row = {"uid": uid, "name": name, "created_at": now(), "sequence": 0}
            connection.execute(insert(projects).values(checked(projects, row)))
    finally:
        database.close()


def _database_url(folder: Path, kind: str) -> URL:
    text = os.environ.get(DATABASE_VARIABLE)
    if kind == "sqlite" and not text:
        return sqlite_url(folder / DATABASE_FILE)
    if kind == "sqlite":
        raise StoreError(
            f"the rows of {folder} lie in {DATABASE_FILE}, but {DATABASE_VARIABLE} is set; unset "
            "it to open this project, or export it and import it into a new one"
        )
    if not text:
        raise StoreError(
            f"the rows of {folder} lie in PostgreSQL; set {DATABASE_VARIABLE} to open it"
        )
    return postgresql_url(text)


def _hold(folder: Path) -> FileLock:
    """Become the one process that writes to a SQLite project.

    Raises:
        StoreError: If another process holds it; the message says which.
    """
    # Servers open and close in different threads; the lock is the process's, not the thread's.
    lock = FileLock(folder / LOCK_FILE, thread_local=False)
    holder = folder / HOLDER_FILE
    with _in_file_words(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            who = holder.read_text("utf-8").strip() if holder.is_file() else "unknown"
            raise StoreError(
                f"another process ({who}) is writing to {folder}; wait for it or stop it"
            ) from error
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]).strip()
        try:
            holder.write_text(f"{command}, process {os.getpid()}", "utf-8", "backslashreplace")
        except BaseException:
            lock.release()
            raise
    return lock


@contextmanager
def _in_file_words(folder: Path) -> Iterator[None]:
    """Turn what the system says about files into what a person can do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written ({error.strerror or error}); check the folder's "
            "permissions and the room on its disk"
        ) from error
