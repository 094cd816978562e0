"""Who may come in: accounts with a role, and the sessions that their browsers hold.

Nothing here hashes a password or draws a secret: the server does, and only hashes come down.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from maskmill.errors import NotFound, StoreError
from maskmill.store.changes import REDRAWING
from maskmill.store.database import Database, next_sequence, now
from maskmill.store.rows import checked, checked_text
from maskmill.store.team_tables import accounts, sessions

Role = Literal["admin", "reviewer", "annotator"]


@dataclass(frozen=True, kw_only=True)
class Account:
    """A person who may work in a project."""

    id: int
    name: str
    role: Role
    password_hash: str
    disabled: bool
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Session:
    """A browser that came in; `account` is None on one's own machine."""

    name: str
    account: Account | None
    expires_at: float


class Accounts:
    """The accounts and sessions of a project.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def add(self, name: str, role: str, password_hash: str) -> Account:
        """Let a person in.

        Raises:
            StoreError: If the name is taken, the program's own or no text, or there is no such
                role.
        """
        checked_text("the name of an account", name)
        if name == REDRAWING:
            raise StoreError(
                f"{name!r} stands for the program in the masks' history; choose another"
            )
        _refuse_unknown(role)
        row = checked(
            accounts,
            {"name": name, "role": role, "password_hash": password_hash, "disabled": False},
        )
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            if self._find(connection, name) is not None:
                raise StoreError(f"an account {name!r} exists already; choose another name")
            new = insert(accounts).values(project_id=self._project, created_at=now(), **row)
            return _account(connection.execute(new.returning(accounts)).one())

    def change(
        self,
        name: str,
        *,
        role: str | None = None,
        password_hash: str | None = None,
        disabled: bool | None = None,
    ) -> Account:
        """Change a role or a password, or shut an account; all its sessions end.

        Raises:
            NotFound: If there is no such account.
            StoreError: If there is no such role, or no admin would be left.
        """
        given = {"role": role, "password_hash": password_hash, "disabled": disabled}
        values = {key: value for key, value in given.items() if value is not None}
        if role is not None:
            _refuse_unknown(role)
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            account = self._require(connection, name)
            if values:
                this = update(accounts).where(accounts.c.id == account.id)
                row = connection.execute(this.values(**values).returning(accounts)).one()
                account = _account(row)
            if not self._admins(connection):
                raise StoreError(f"{name!r} is the last admin; make another one first")
            connection.execute(delete(sessions).where(sessions.c.account_id == account.id))
            return account

    def all(self) -> list[Account]:
        """Return the accounts in the order of their names, shut ones included."""
        statement = select(accounts).where(accounts.c.project_id == self._project)
        with self._database.read() as connection:
            return [_account(row) for row in connection.execute(statement.order_by("name"))]

    def find(self, name: str) -> Account | None:
        """Return the account of that name, a shut one too."""
        with self._database.read() as connection:
            return self._find(connection, name)

    def begin_session(
        self, digest: str, name: str, expires_at: float, *, account_id: int | None = None
    ) -> None:
        """Remember a browser by the hash of what its cookie holds; outdated ones are forgotten."""
        row = checked(sessions, {"digest": digest, "name": name, "expires_at": expires_at})
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            old = (sessions.c.project_id == self._project, sessions.c.expires_at < now())
            connection.execute(delete(sessions).where(*old))
            new = {**row, "project_id": self._project, "account_id": account_id, "at": now()}
            connection.execute(insert(sessions).values(new))

    def session(self, digest: str) -> Session | None:
        """Return a session that is neither outdated nor of a shut account."""
        statement = select(sessions).where(
            sessions.c.project_id == self._project,
            sessions.c.digest == digest,
            sessions.c.expires_at > now(),
        )
        with self._database.read() as connection:
            row = connection.execute(statement).first()
            if row is None:
                return None
            account = None
            if row.account_id is not None:
                this = select(accounts).where(accounts.c.id == row.account_id)
                account = _account(connection.execute(this).one())
        if account is not None and account.disabled:
            return None
        return Session(name=row.name, account=account, expires_at=row.expires_at)

    def end_session(self, digest: str) -> None:
        """Forget a browser."""
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            these = (sessions.c.project_id == self._project, sessions.c.digest == digest)
            connection.execute(delete(sessions).where(*these))

    def _find(self, connection: Connection, name: str) -> Account | None:
        these = (accounts.c.project_id == self._project, accounts.c.name == name)
        row = connection.execute(select(accounts).where(*these)).first()
        return None if row is None else _account(row)

    def _require(self, connection: Connection, name: str) -> Account:
        account = self._find(connection, name)
        if account is None:
            raise NotFound(f"no account {name[:64]!r}; list the accounts")
        return account

    def _admins(self, connection: Connection) -> int:
        statement = select(func.count(accounts.c.id)).where(
            accounts.c.project_id == self._project,
            accounts.c.role == "admin",
            ~accounts.c.disabled,
        )
        found: int = connection.execute(statement).scalar_one()
        return found


def _refuse_unknown(role: str) -> None:
    if role not in get_args(Role):
        raise StoreError(f"role {role!r} is unknown; give one of {', '.join(get_args(Role))}")


def _account(row: Row[Any]) -> Account:
    return Account(**{f.name: row._mapping[f.name] for f in fields(Account)})
