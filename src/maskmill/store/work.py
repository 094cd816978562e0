"""Who works on which image: states, assignments, leases, and which image comes next and why.

An image is open, in review, returned by a reviewer, or complete. A lease keeps two people out of
one image for some minutes; it is a courtesy, not a lock: changes of masks carry versions, so a
clock that jumps costs nobody's work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, select, update

from maskmill.errors import Conflict, StoreError
from maskmill.store.counts import UNREVIEWED
from maskmill.store.database import Database, next_sequence, now
from maskmill.store.rows import checked, checked_text, chunks, in_project, require
from maskmill.store.schema import ANY, images, mask_groups
from maskmill.store.team_tables import assignments, image_states, leases

ImageState = Literal["open", "in_review", "returned", "complete"]
Reason = Literal[
    "assigned",
    "returned",
    "prefilled",
    "hold-out",
    "unsure",
    "random",
    "unlabelled",
    "begun",
    "in_review",
]
LEASE_SECONDS = 120
"""How long a lease holds without a word from its holder."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where an image stands.

    Attributes:
        state: Open, in review, returned or complete.
        note: What was said when it got there.
        assigned_to: Whose it is.
        leased_by: Who works on it now.
    """

    state: ImageState = "open"
    note: str | None = None
    assigned_to: str | None = None
    leased_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Next:
    """The image that comes next, and why.

    Hold-out, unsure and random are the engine's reasons; unlabelled is that of an image that the
    engine has not looked at, prefilled of one on which a model's masks wait for an answer.
    """

    image_id: int
    reason: Reason


class Work:
    """States, assignments and leases of a project's images.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def of(self, image_ids: Sequence[int]) -> dict[int, Standing]:
        """Return where some images stand."""
        parts: dict[int, dict[str, Any]] = {image_id: {} for image_id in image_ids}
        with self._database.read() as connection:
            for some in chunks(image_ids):
                for row in connection.execute(self._rows(image_states, some)):
                    parts[row.image_id] |= {"state": row.state, "note": row.note}
                for row in connection.execute(self._rows(assignments, some)):
                    parts[row.image_id]["assigned_to"] = row.name
                living = self._rows(leases, some).where(leases.c.expires_at > now())
                for row in connection.execute(living):
                    parts[row.image_id]["leased_by"] = row.name
        return {image_id: Standing(**found) for image_id, found in parts.items()}

    def set_state(self, image_id: int, state: str, *, name: str, note: str | None = None) -> None:
        """Move an image to another state.

        Raises:
            NotFound: If there is no such image.
            StoreError: If there is no such state.
        """
        if state not in get_args(ImageState):
            allowed = ", ".join(get_args(ImageState))
            raise StoreError(f"state {state!r} is unknown; give one of {allowed}")
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            require(connection, images, self._project, [image_id], "image")
            self.set_state_in(connection, image_id, state, name=name, note=note)

    def set_state_in(
        self, connection: Connection, image_id: int, state: str, *, name: str, note: str | None
    ) -> None:
        """Do as `set_state` in an open transaction, on an image that is there."""
        connection.execute(delete(image_states).where(image_states.c.image_id == image_id))
        if state != "open":
            row = {"image_id": image_id, "state": state, "note": note, "name": name, "at": now()}
            values = {"project_id": self._project, **checked(image_states, row)}
            connection.execute(insert(image_states).values(values))

    def assign(self, image_ids: Sequence[int], name: str | None) -> None:
        """Give images to a person, or to nobody in particular.

        Raises:
            NotFound: If one of the images does not exist; none is given away then.
        """
        if name is not None:
            checked_text("the name of who gets the images", name)
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            require(connection, images, self._project, image_ids, "image")
            for some in chunks(image_ids):
                connection.execute(delete(assignments).where(assignments.c.image_id.in_(some)))
                if name is not None:
                    row = {"project_id": self._project, "name": name}
                    rows = [{**row, "image_id": image_id} for image_id in some]
                    connection.execute(insert(assignments), rows)

    def lease(self, image_id: int, name: str) -> float:
        """Take an image for some minutes, or keep it for some more.

        Returns:
            When the lease ends, seconds since 1970.

        Raises:
            Conflict: If somebody else holds it; the message says who.
            NotFound: If there is no such image.
        """
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            require(connection, images, self._project, [image_id], "image")
            row = connection.execute(self._rows(leases, [image_id])).first()
            if row is not None and row.name != name and row.expires_at > now():
                raise Conflict(f"{row.name} works on image {image_id}; take another one")
            return self._take(connection, image_id, name)

    def release(self, image_id: int, name: str) -> None:
        """Give a lease back; one that is somebody else's stays."""
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            these = (*self._of(leases, [image_id]), leases.c.name == name)
            connection.execute(delete(leases).where(*these))

    def next(
        self,
        name: str,
        *,
        review: bool = False,
        after: int = 0,
        order: Sequence[tuple[int, Reason]] = (),
    ) -> Next | None:
        """Choose the image that a person should work on now, and lease it.

        One's own come first, then what reviewers returned, then images with pre-filled masks that
        nobody has answered, then images without a mask, then those that were begun. Nobody gets an
        image that another holds or was given.

        Args:
            name: Who asks.
            review: Whether to review instead: images in review, the first one first.
            after: Prefer images with a larger id: the one that was just done or passed over.
            order: Images that the engine wants labelled first, and why; among those without a mask
                they come in this order, and `after` says nothing.

        Returns:
            None if nothing is left.
        """
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            found = self._choose(connection, name, after, review=review, order=order)
            if found is not None:
                self._take(connection, found.image_id, name)
        return found

    def peek(
        self, name: str, *, after: int = 0, order: Sequence[tuple[int, Reason]] = ()
    ) -> Next | None:
        """Say which image `next` would choose for labelling, and leave it to whoever comes."""
        with self._database.read() as connection:
            return self._choose(connection, name, after, review=False, order=order)

    def untouched(self, image_ids: Sequence[int]) -> set[int]:
        """Return those images that no person has taken up: living, open, bare, held by nobody."""
        with self._database.read() as connection:
            return self.untouched_in(connection, image_ids)

    def untouched_in(self, connection: Connection, image_ids: Sequence[int]) -> set[int]:
        """Do as `untouched` in an open transaction."""
        bare = [image_states.c.state.is_(None), images.c.mask_count == 0]
        found: set[int] = set()
        for some in chunks(image_ids):  # nobody is called "", so every lease counts
            found |= self._free(connection, "", [*bare, images.c.id.in_(some)])
        return found

    def _choose(
        self,
        connection: Connection,
        name: str,
        after: int,
        *,
        review: bool,
        order: Sequence[tuple[int, Reason]] = (),
    ) -> Next | None:
        for reason, chosen in self._reasons(name, review=review):
            if reason == "unlabelled" and order:
                found = self._ordered(connection, name, chosen, after, order)
                if found is not None:
                    return found
            image_id = self._first(connection, name, chosen, after)
            if image_id is not None:
                return Next(image_id=image_id, reason=reason)
        return None

    def _reasons(
        self, name: str, *, review: bool
    ) -> list[tuple[Reason, list[ColumnElement[bool]]]]:
        state, mine = image_states.c.state, assignments.c.name == name
        if review:
            return [("in_review", [state == "in_review"])]
        to_do = state.is_(None) | (state == "returned")
        free = assignments.c.name.is_(None)
        return [
            ("assigned", [mine, to_do]),
            ("returned", [free, state == "returned"]),
            ("prefilled", [free, state.is_(None), images.c.id.in_(self._prefilled())]),
            ("unlabelled", [free, state.is_(None), images.c.mask_count == 0]),
            ("begun", [free, state.is_(None), images.c.mask_count > 0]),
        ]

    def _prefilled(self) -> Select[Any]:
        """Select the images with living masks that a model pre-filled and nobody has answered."""
        groups = mask_groups.c
        return select(groups.image_id).where(
            groups.project_id == self._project,
            groups.category_id == ANY,
            groups.stage == "semi",
            groups.review == UNREVIEWED,
        )

    def _ordered(
        self,
        connection: Connection,
        name: str,
        chosen: list[ColumnElement[bool]],
        after: int,
        order: Sequence[tuple[int, Reason]],
    ) -> Next | None:
        """Return the first free one of the engine's images; the one just passed over is last."""
        free = self._free(connection, name, [*chosen, images.c.id.in_([i for i, _ in order])])
        there = [(i, reason) for i, reason in order if i in free]
        for image_id, reason in sorted(there, key=lambda each: each[0] == after):
            return Next(image_id=image_id, reason=reason)
        return None

    def _free(
        self, connection: Connection, name: str, chosen: list[ColumnElement[bool]]
    ) -> set[int]:
        return set(connection.execute(self._candidates(name, chosen)).scalars())

    def _first(
        self, connection: Connection, name: str, chosen: list[ColumnElement[bool]], after: int
    ) -> int | None:
        statement = self._candidates(name, chosen)
        statement = statement.order_by(images.c.id <= after, images.c.id).limit(1)
        found: int | None = connection.execute(statement).scalar()
        return found

    def _candidates(self, name: str, chosen: list[ColumnElement[bool]]) -> Select[Any]:
        """Select the images that a person may have, under some conditions."""
        held = select(leases.c.image_id).where(
            leases.c.project_id == self._project,
            leases.c.name != name,
            leases.c.expires_at > now(),
        )
        return (
            select(images.c.id)
            .outerjoin(image_states, image_states.c.image_id == images.c.id)
            .outerjoin(assignments, assignments.c.image_id == images.c.id)
            .where(images.c.project_id == self._project, ~images.c.deleted)
            .where(images.c.id.not_in(held), *chosen)
        )

    def _take(self, connection: Connection, image_id: int, name: str) -> float:
        until = now() + LEASE_SECONDS
        row = {"name": name, "expires_at": until}
        done = connection.execute(update(leases).where(*self._of(leases, [image_id])).values(row))
        if not done.rowcount:
            values = {**row, "image_id": image_id, "project_id": self._project}
            connection.execute(insert(leases).values(values))
        return until

    def _of(self, table: Any, image_ids: Sequence[int]) -> tuple[ColumnElement[bool], ...]:
        return in_project(table, self._project), table.c.image_id.in_(image_ids)

    def _rows(self, table: Any, image_ids: Sequence[int]) -> Any:
        return select(table).where(*self._of(table, image_ids))
