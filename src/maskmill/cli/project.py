"""`maskmill init`, `status`, `verify` and `snapshot`: a project and what can be said of it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from maskmill.cli.options import JsonFlag, print_result
from maskmill.errors import StoreError

if TYPE_CHECKING:
    from maskmill.store.snapshots import Snapshot

ProjectFolder = Annotated[
    Path,
    Parameter(name=["--project", "-p"], help="The project's folder; see `maskmill init`."),
]
"""`--project`, alike in every verb that works in one."""


def init(project: Path, /, *, name: str | None = None, as_json: JsonFlag = False) -> None:
    """Make a project: a folder that keeps masks with their history.

    The images stay where they are. Set MASKMILL_DATABASE_URL to keep the rows in PostgreSQL.

    Args:
        project: A new or empty folder.
        name: What to call it; by default as its folder.
    """
    from maskmill.store import Project

    with Project.create(project, name=name) as made:
        result = {"project": project, "name": made.name, "database": made.database.kind}
    text = f"Project in {project}; next: maskmill import FOLDER --project {project}"
    print_result(result, as_json=as_json, text=text)


def status(
    *, project: ProjectFolder = Path("."), html: Path | None = None, as_json: JsonFlag = False
) -> None:
    """Say what a project holds: counts, and how large the masks are and where they lie.

    Args:
        html: Also write a page of plots to this file.
    """
    from maskmill.status import status_text, write_status_page
    from maskmill.store import Project
    from maskmill.store.statistics import near_duplicates, statistics

    with Project(project, writes=False) as opened:
        found = statistics(opened.database, opened.id)
        alike = near_duplicates(opened.database, opened.id)
        text = status_text(opened.name, found)
        if alike:
            text += f"\n  alike      {alike:,} images look like another one"
        if html is not None:
            html.parent.mkdir(parents=True, exist_ok=True)
            write_status_page(html, opened.name, found)
            text += f"\n  plots in {html}"
        result = {"project": project, "name": opened.name, **asdict(found)}
        result |= {"near_duplicates": alike, "html": html}
    print_result(result, as_json=as_json, text=text)


def verify(
    *,
    project: ProjectFolder = Path("."),
    files: Annotated[bool, Parameter(negative="--no-files")] = True,
    as_json: JsonFlag = False,
) -> int:
    """Prove that a project is whole: its rows, masks, histories, snapshots and files.

    Args:
        files: Also read every image and compare its hash.
    """
    from maskmill.store import Project
    from maskmill.store.verify import verify as look

    with Project(project, writes=False) as opened:
        found = list(look(opened, files=files))
    text = "\n".join(found) if found else f"{project} is whole"
    print_result({"project": project, "problems": found}, as_json=as_json, text=text)
    return 1 if found else 0


def snapshot(
    name: str | None = None,
    /,
    *,
    project: ProjectFolder = Path("."),
    val_share: float = 0.1,
    seed: int = 0,
    compare: str | None = None,
    as_json: JsonFlag = False,
) -> None:
    """Freeze the dataset under a name, list what was frozen, or compare two.

    Images of one group, and copies of one photograph, always stay in one split.

    Args:
        name: What to call the new snapshot, or which one to compare; without it, all are listed.
        val_share: Share of the groups without a split that become `val`, [0, 1).
        seed: Another seed, another division.
        compare: An earlier snapshot: say what happened from it to NAME.
    """
    from maskmill.store import Project
    from maskmill.store.snapshots import SnapshotConfig

    if compare is not None and name is None:
        raise StoreError("--compare needs two snapshots; name the later one before it")
    with Project(project, writes=name is not None and compare is None) as opened:
        snapshots = opened.snapshots
        if name is None:
            listed = snapshots.all()
        elif compare is None:
            listed = [snapshots.take(name, SnapshotConfig(val_share=val_share, seed=seed))]
        else:
            found = snapshots.difference(snapshots.get(compare), snapshots.get(name))
            text = ", ".join(f"{k.replace('_', ' ')}: {n}" for k, n in asdict(found).items())
            print_result(asdict(found), as_json=as_json, text=text)
            return
    text = "\n".join(map(_line, listed)) or "no snapshot yet; `maskmill snapshot NAME` takes one"
    print_result({"snapshots": [asdict(s) for s in listed]}, as_json=as_json, text=text)


def _line(snapshot: "Snapshot") -> str:
    found = snapshot.statistics
    splits = ", ".join(f"{name}: {n:,}" for name, n in sorted(found["splits"].items()))
    counts = f"{found['images']:,} images ({splits}), {found['masks']:,} masks"
    return f"{snapshot.name}  {snapshot.digest[:12]}  {counts}"
