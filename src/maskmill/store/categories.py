"""Kinds of objects: names, colours, and what happens to them."""

import re
from dataclasses import dataclass, fields

from sqlalchemy import Connection, insert, select, update

from maskmill.errors import StoreError
from maskmill.store.database import Database, next_sequence
from maskmill.store.rows import checked_text, require
from maskmill.store.schema import annotations, categories

PALETTE = (
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45",
    "#469990", "#9a6324", "#800000", "#808000", "#000075", "#fabed4", "#ffd8b1", "#aaffc3",
)  # fmt: skip
"""Colours that stay apart on photographs; the seventeenth category begins anew."""


@dataclass(frozen=True, kw_only=True)
class Category:
    """A kind of object."""

    id: int
    name: str
    colour: str
    digit: int | None
    supercategory: str | None


class Categories:
    """The categories of a project.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def all(self) -> list[Category]:
        """Return the living categories in the order in which they were made."""
        statement = select(categories).where(
            categories.c.project_id == self._project, ~categories.c.deleted
        )
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(categories.c.id)).all()
        return [
            Category(**{f.name: row._mapping[f.name] for f in fields(Category)}) for row in rows
        ]

    def ensure(self, names: list[str]) -> dict[str, int]:
        """Make the categories that do not exist yet; returns the rows of all of them by name.

        Raises:
            StoreError: If a name is empty, or holds what is no text.
        """
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            return self.ensure_in(connection, names)

    def ensure_in(self, connection: Connection, names: list[str]) -> dict[str, int]:
        """Do as `ensure` inside a transaction that is open."""
        for name in names:
            checked_text("a category's name", name)
        statement = select(categories).where(categories.c.project_id == self._project)
        known = {row.name: row for row in connection.execute(statement)}
        for name in dict.fromkeys(names):
            if name in known and known[name].deleted:
                back = update(categories).where(categories.c.id == known[name].id)
                connection.execute(back.values(deleted=False))
            elif name not in known:
                colour = PALETTE[len(known) % len(PALETTE)]
                row = insert(categories).values(
                    project_id=self._project, name=name, colour=colour, deleted=False
                )
                known[name] = connection.execute(row.returning(categories)).one()
        return {name: known[name].id for name in names}

    def change(
        self,
        category_id: int,
        *,
        name: str | None = None,
        colour: str | None = None,
        digit: int | None = None,
    ) -> None:
        """Rename or recolour a category, or give it a key; its masks stay its own.

        A key that another category had is taken from it.

        Raises:
            NotFound: If there is no such category.
            StoreError: If another one has that name, the colour is not #rrggbb, or the digit is not
                0 to 9.
        """
        if name is not None:
            checked_text("a category's name", name)
        if colour is not None and not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            raise StoreError(f"colour {colour!r} is not of the form #rrggbb; write #e6194b, say")
        if digit is not None and digit not in range(10):
            raise StoreError(f"digit {digit} is no key; give 0 to 9")
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            require(connection, categories, self._project, [category_id], "category")
            taken = select(categories.c.id).where(
                categories.c.project_id == self._project,
                categories.c.name == name,
                categories.c.id != category_id,
            )
            if name is not None and connection.execute(taken).first():
                raise StoreError(f"a category {name!r} exists already; choose another name")
            if digit is not None:
                had = (categories.c.project_id == self._project, categories.c.digit == digit)
                connection.execute(update(categories).where(*had).values(digit=None))
            for key, value in (("name", name), ("colour", colour), ("digit", digit)):
                if value is not None:
                    this = update(categories).where(categories.c.id == category_id)
                    connection.execute(this.values(**{key: value}))

    def delete(self, category_id: int) -> None:
        """Put a category away; only one without living masks goes, so that no mask loses its kind.

        Raises:
            StoreError: If masks are of it.
        """
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            require(connection, categories, self._project, [category_id], "category")
            used = select(annotations.c.id).where(
                annotations.c.project_id == self._project,
                annotations.c.category_id == category_id,
                ~annotations.c.deleted,
            )
            if connection.execute(used.limit(1)).first():
                raise StoreError(
                    f"masks are of category {category_id}; give them another category first"
                )
            this = update(categories).where(categories.c.id == category_id)
            connection.execute(this.values(deleted=True))
