"""Takes one project out of a database that others share; its folder is deleted by hand after it.

Rows go in the order that foreign keys ask for, in one transaction: all of them or none.
"""

from sqlalchemy import delete, select

from maskmill.store.database import next_sequence
from maskmill.store.project import Project
from maskmill.store.schema import metadata, projects, snapshots


def remove_rows(project: Project) -> int:
    """Delete every row of a project, for good; only a backup brings them back.

    Args:
        project: Open for writing, and by nobody else. It can only be closed afterwards.

    Returns:
        The number of rows.

    Raises:
        StoreError: If the database cannot be written; nothing is deleted then.
    """
    removed = 0
    with project.database.write() as connection:
        next_sequence(connection, project.id)  # others who write to it come before or find nothing
        taken = select(snapshots.c.id).where(snapshots.c.project_id == project.id)
        for table in reversed(metadata.sorted_tables):
            if "project_id" in table.c:
                which = table.c.project_id == project.id
            elif "snapshot_id" in table.c:
                which = table.c.snapshot_id.in_(taken)
            elif table is projects:
                which = table.c.id == project.id
            else:
                continue  # the schema's version is everyone's
            removed += connection.execute(delete(table).where(which)).rowcount
    return removed
