"""A project's folder: made, opened, held by one writer, and refused with a reason."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest
from sqlalchemy import select, update

from maskmill.errors import ConfigError, NotFound, StoreError
from maskmill.store import Project, is_project, migrations
from maskmill.store.project import DATABASE_VARIABLE
from maskmill.store.schema import projects, schema_version

from .conftest import Creator
from .masks import a_mask, add_image, new_image


def test_a_project_is_opened_again_with_all_that_was_in_it(create: Creator) -> None:
    project = create(name="p")
    image = add_image(project)
    made = project.annotations.apply("one", [a_mask(image.id)], by="ann")
    project.close()
    with Project(project.folder) as again:
        assert (again.name, again.uid, again.id) == (project.name, project.uid, project.id)
        assert again.annotations.of_image(image.id) == made
        assert again.annotations.apply("one", [a_mask(image.id)], by="ann") == made


def test_a_project_is_called_as_its_folder_or_as_one_says(tmp_path: Path) -> None:
    with Project.create(tmp_path / "meadow") as project:
        assert project.name == "meadow"
    with Project.create(tmp_path / "other", name="Wiese 数") as project:
        assert project.name == "Wiese 数"
    for bad in ("a\0", "\ud800"):
        with pytest.raises(StoreError, match="name"):
            Project.create(tmp_path / "bad", name=bad)
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("name", ["a?b", "a#b", "100%", "a b", "å数", "'\";--", "a\nb", "%3F"])
def test_any_folder_name_leads_to_its_own_database(tmp_path: Path, name: str) -> None:
    """A question mark begins the options of a database's address, and must not here."""
    with Project.create(tmp_path / name) as first, Project.create(tmp_path / f"{name}x") as second:
        add_image(first)
        assert second.images.count() == 0
        assert (tmp_path / name / "maskmill.db").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}x"}


def test_only_a_new_or_empty_folder_becomes_a_project(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Project.create(tmp_path / "empty").close()
    with pytest.raises(StoreError, match="is a project already"):
        Project.create(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(StoreError, match="not empty"):
        Project.create(tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["holiday.jpg"]
    with pytest.raises(StoreError, match="not empty"):
        Project.create(tmp_path / "full" / "holiday.jpg")


def test_a_creation_that_fails_leaves_a_folder_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("maskmill.store.project.write_atomically", fail)
        with pytest.raises(StoreError, match="No space left"):
            Project.create(tmp_path / "p")
    assert not is_project(tmp_path / "p")
    Project.create(tmp_path / "p").close()


def test_of_two_that_create_in_one_folder_at_once_one_is_refused(tmp_path: Path) -> None:
    """The loser must not put its own name over the winner's, who is at work already."""
    made: list[Project] = []
    refused: list[StoreError] = []
    start = threading.Barrier(6)

    def create() -> None:
        start.wait()
        try:
            made.append(Project.create(tmp_path / "p"))
        except StoreError as error:
            refused.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) <= 1
    assert len(refused) == 6 - len(made)
    for project in made:
        add_image(project)
        project.close()
    with Project(tmp_path / "p") as again:
        assert again.images.count() == len(made)


def test_a_folder_that_is_no_project_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="maskmill init"):
        Project(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"format": 1}', "\xff", '{"format": "x", "uid": 1, "name": 2}', "null"],
)
def test_a_damaged_card_is_said_to_be_damaged(sqlite_project: Project, content: str) -> None:
    sqlite_project.close()
    (sqlite_project.folder / "project.json").write_text(content, "latin-1")
    with pytest.raises(StoreError, match=r"project\.json is damaged"):
        Project(sqlite_project.folder)


def test_a_card_from_the_future_or_for_an_unknown_database_is_refused(
    sqlite_project: Project,
) -> None:
    sqlite_project.close()
    path = sqlite_project.folder / "project.json"
    card = json.loads(path.read_text())
    for fault, said in (({"format": 2}, "newer maskmill"), ({"database": "oracle"}, "oracle")):
        path.write_text(json.dumps({**card, **fault}))
        with pytest.raises(StoreError, match=said):
            Project(sqlite_project.folder)
    path.write_text(json.dumps(card))
    Project(sqlite_project.folder).close()


def test_a_database_that_is_missing_is_not_made_anew(sqlite_project: Project) -> None:
    """An empty one in its place would look as if all masks were gone."""
    sqlite_project.close()
    database = sqlite_project.folder / "maskmill.db"
    database.rename(sqlite_project.folder / "elsewhere")
    for writes in (True, False):
        with pytest.raises(StoreError, match=r"maskmill\.db is missing"):
            Project(sqlite_project.folder, writes=writes)
    assert not database.exists()
    (sqlite_project.folder / "elsewhere").rename(database)
    Project(sqlite_project.folder).close()


def test_a_damaged_database_is_said_to_be_damaged(sqlite_project: Project) -> None:
    sqlite_project.close()
    (sqlite_project.folder / "maskmill.db").write_bytes(b"no database" * 1000)
    for writes in (True, False, True):
        with pytest.raises(StoreError, match="damaged: restore the last backup"):
            Project(sqlite_project.folder, writes=writes)


def test_a_second_writer_is_refused_and_told_who_the_first_is(sqlite_project: Project) -> None:
    with pytest.raises(StoreError, match=f"process {os.getpid()}"):
        Project(sqlite_project.folder)
    program = "import sys; from pathlib import Path; from maskmill.store import Project\n"
    opening = f"{program}Project(Path(sys.argv[1])).close()"
    command = [sys.executable, "-c", opening, str(sqlite_project.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "is writing to" in done.stderr
    sqlite_project.close()
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0


def test_closing_in_another_thread_lets_others_write(sqlite_project: Project) -> None:
    thread = threading.Thread(target=sqlite_project.close)
    thread.start()
    thread.join()
    Project(sqlite_project.folder).close()


def test_closing_twice_is_no_error_and_leaves_no_log(sqlite_project: Project) -> None:
    add_image(sqlite_project)
    assert (sqlite_project.folder / "maskmill.db-wal").exists()
    sqlite_project.close()
    sqlite_project.close()
    assert not (sqlite_project.folder / "maskmill.db-wal").exists()


def test_a_failed_opening_holds_nothing(
    sqlite_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_project.close()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "VERSION", 0)
        with pytest.raises(StoreError, match="upgrade maskmill"):
            Project(sqlite_project.folder)
    files = [os.readlink(f"/proc/self/fd/{number}") for number in _open_files()]
    assert not [name for name in files if name.startswith(str(sqlite_project.folder))]
    Project(sqlite_project.folder).close()


def _open_files() -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):
        if os.path.exists(f"/proc/self/fd/{number}"):
            yield number


def test_readers_beside_a_writer_see_what_is_committed_and_write_nothing(create: Creator) -> None:
    project = create()
    image = add_image(project)
    with Project(project.folder, writes=False) as reader:
        assert reader.images.count() == 1
        with project.database.write() as connection:
            connection.execute(update(projects).values(name="unfinished"))
            with reader.database.read() as other:  # which does not wait
                of_this = select(projects.c.name).where(projects.c.id == project.id)
                assert other.execute(of_this).scalar_one() != "unfinished"
        project.annotations.apply("one", [a_mask(image.id)], by="ann")
        assert len(reader.annotations.of_image(image.id)) == 1
        for write in (
            lambda: add_image(reader, "two.jpg"),
            lambda: reader.categories.ensure(["cat"]),
            lambda: reader.annotations.apply("two", [a_mask(image.id)], by="ann"),
        ):
            with pytest.raises(StoreError, match="opened for reading"):
                write()
    add_image(project, "two.jpg")


def test_a_read_sees_one_state_from_beginning_to_end(create: Creator) -> None:
    project = create()
    with project.database.read() as connection:
        count = select(projects.c.sequence).where(projects.c.id == project.id)
        before = connection.execute(count).scalar_one()
        add_image(project)
        assert connection.execute(count).scalar_one() == before
    with project.database.read() as connection:
        assert connection.execute(count).scalar_one() > before


def test_a_newer_schema_is_refused_by_readers_and_writers(create: Creator) -> None:
    project = create()
    with project.database.write() as connection:
        connection.execute(update(schema_version).values(version=migrations.VERSION + 1))
    project.close()
    try:
        for writes in (True, False):
            with pytest.raises(StoreError, match="upgrade maskmill"):
                Project(project.folder, writes=writes)
    finally:  # on PostgreSQL, other tests' projects lie beside
        with project.database.write() as connection:
            connection.execute(update(schema_version).values(version=migrations.VERSION))
        project.close()
    Project(project.folder).close()


def test_where_the_rows_lie_is_not_changed_by_the_environment(
    sqlite_project: Project, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_project.close()
    monkeypatch.setenv(DATABASE_VARIABLE, postgresql_url)
    with pytest.raises(StoreError, match="unset it to open this project"):
        Project(sqlite_project.folder)
    Project.create(tmp_path / "shared").close()
    assert not (tmp_path / "shared" / "maskmill.db").exists()
    monkeypatch.delenv(DATABASE_VARIABLE)
    with pytest.raises(StoreError, match=f"set {DATABASE_VARIABLE}"):
        Project(tmp_path / "shared")
    Project(sqlite_project.folder).close()


def test_another_database_does_not_know_the_project(
    create: Creator, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = create()
    project.close()
    card = project.folder / "project.json"
    told = json.loads(card.read_text())
    card.write_text(json.dumps({**told, "uid": "0" * 32}))
    with pytest.raises(StoreError, match="does not know the project"):
        Project(project.folder)
    card.write_text(json.dumps(told))
    Project(project.folder).close()


@pytest.mark.parametrize(
    "url",
    ["nonsense", "mysql://ann:secret@host/db", "sqlite:////tmp/x.db", "oracle://ann:secret@h", "%"],
)
def test_an_address_of_no_postgresql_is_refused_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    with pytest.raises(ConfigError, match="use postgresql://") as refused:
        Project.create(tmp_path / "p")
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_a_server_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, f"{scheme}://ann:secret@127.0.0.1:1/db")
    with pytest.raises(StoreError, match=r"127\.0\.0\.1.*can be reached") as refused:
        Project.create(tmp_path / "p")
    assert "secret" not in str(refused.value)
    monkeypatch.delenv(DATABASE_VARIABLE)
    Project.create(tmp_path / "p").close()


READ_ONLY = """
import os, sys
from pathlib import Path
from maskmill.errors import StoreError
from maskmill.store import NewImage, Project
if os.geteuid() == 0:
    os.setuid(65534)
folder = Path(sys.argv[1])
for what in (
    lambda: Project(folder),
    lambda: Project.create(folder / "new"),
    lambda: Project.create(folder.parent / "new"),
):
    try:
        what()
    except StoreError as error:
        print(error)
    else:
        print("opened")
"""


def test_a_read_only_folder_is_refused_in_one_sentence_and_works_afterwards(
    sqlite_project: Project,
) -> None:
    sqlite_project.close()
    folder = sqlite_project.folder
    (folder / ".lock").unlink(missing_ok=True)
    everything = [folder.parent, folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in everything}
    above = [path for path in folder.parents if path.parent.is_relative_to(gettempdir())]
    modes |= {path: path.stat().st_mode for path in above}
    try:
        for path in above:
            path.chmod(0o755)
        for path in everything:
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True
        )
        told = done.stdout.splitlines()
        assert len(told) == 3, done.stderr
        assert all("check the folder's permissions" in line for line in told), told
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    with Project(folder) as project:
        project.images.add([new_image("a")])


def test_a_project_that_was_opened_by_a_relative_path_says_where_it_lies(
    sqlite_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job's settings name its models, and may be read again from another folder."""
    sqlite_project.close()
    monkeypatch.chdir(sqlite_project.folder)
    with Project(Path(".")) as project:
        monkeypatch.chdir("/")
        assert project.folder == sqlite_project.folder
