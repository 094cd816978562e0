"""Who may call what: roles, sessions in cookies, one-time tokens and passwords.

Every route names the roles that may call it with one of `Allow`'s makings; `app.create_app` refuses
to start with a route that names none. Secrets are random, kept as hashes only, and never written
into an address that a server sees: the token of one's own machine stands in the fragment.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from maskmill.errors import MaskmillError
from maskmill.store import Project
from maskmill.store.accounts import Account, Role

SESSION_SECONDS = 14 * 24 * 3600
LOCAL_ROLE: Role = "admin"
"""What somebody is on their own machine."""
TRIES, TRIES_SECONDS = 10, 300
"""Wrong passwords for one name before it must wait, and how long they count."""


class NotSignedIn(MaskmillError):
    """Nobody is known to be asking."""


class Forbidden(MaskmillError):
    """The role of whoever asks does not allow it."""


class Busy(MaskmillError):
    """It can be done, but not now; `retry_after` says in how many seconds to ask again."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooMany(Busy):
    """Too many wrong passwords."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """Who is asking."""

    name: str
    role: Role
    digest: str


@dataclass(frozen=True)
class Allow:
    """A dependency that lets in members of some roles; with none, everybody."""

    roles: tuple[str, ...]

    def __call__(self, request: Request) -> Member | None:
        """Return who asks.

        Raises:
            NotSignedIn: If nobody is known, and the route is not for everybody.
            Forbidden: If the role is another.
        """
        door: Door = request.app.state.service.door
        member = door.member(request.cookies.get(door.cookie, ""))
        if not self.roles:
            return member
        if member is None:
            raise NotSignedIn("you are not signed in; sign in, or open a new link")
        if member.role not in self.roles:
            allowed = " or ".join(self.roles)
            raise Forbidden(f"this needs the role {allowed}, and {member.name} is {member.role}")
        return member


EVERYBODY = Allow(())
MEMBERS = Allow(("admin", "reviewer", "annotator"))
REVIEWERS = Allow(("admin", "reviewer"))
ADMINS = Allow(("admin",))

AnyMember = Annotated[Member, Depends(MEMBERS)]
AnyReviewer = Annotated[Member, Depends(REVIEWERS)]
AnyAdmin = Annotated[Member, Depends(ADMINS)]
Anybody = Annotated[Member | None, Depends(EVERYBODY)]


@dataclass(kw_only=True)
class Door:
    """Lets people in and knows them again.

    Attributes:
        project: Whose accounts and sessions count.
        with_accounts: Whether people come in with passwords; otherwise with a one-time token.
        secure: Whether the cookie travels over HTTPS only.
        announce: Called with each new token, the first and one after each that was used.
    """

    project: Project
    with_accounts: bool
    secure: bool = False
    announce: Callable[[str], None] = field(default=lambda token: None)
    _tokens: set[str] = field(default_factory=set)
    _wrong: dict[str, list[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cookie(self) -> str:
        """Its own name for each project: cookies do not tell ports apart."""
        return f"maskmill_{self.project.uid[:12]}"

    def new_token(self) -> str:
        """Return a token that is good for one exchange, and announce it."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._tokens.add(digest_of(token))
        self.announce(token)
        return token

    def exchange(self, token: str, name: str) -> str:
        """Turn a one-time token into a session; returns what the cookie holds.

        Raises:
            NotSignedIn: If it is unknown or was used.
        """
        with self._lock:
            known = digest_of(token) in self._tokens and not self.with_accounts
            self._tokens.discard(digest_of(token))
        if not known:
            raise NotSignedIn("this link was used or is too old; take the one printed last")
        self.new_token()
        return self._begin(name, None)

    def sign_in(self, name: str, password: str) -> str:
        """Turn a name and a password into a session; returns what the cookie holds.

        Raises:
            NotSignedIn: If they do not fit; it does not say which.
            TooMany: If that happened too often.
        """
        self._refuse_too_many(name)
        account = self.project.accounts.find(name) if self.with_accounts else None
        if not is_password(account, password):
            with self._lock:
                self._wrong.setdefault(name, []).append(time.monotonic())
            self.project.audit.record(name, "sign-in refused")
            raise NotSignedIn("the name or the password is wrong")
        assert account is not None
        with self._lock:
            self._wrong.pop(name, None)
        return self._begin(name, account)

    def member(self, secret: str) -> Member | None:
        """Return whose session a cookie stands for."""
        if not secret:
            return None
        digest = digest_of(secret)
        session = self.project.accounts.session(digest)
        if session is None or (session.account is None) == self.with_accounts:
            return None
        role: Role = LOCAL_ROLE if session.account is None else session.account.role
        return Member(name=session.name, role=role, digest=digest)

    def set_cookie(self, response: Response, secret: str) -> None:
        """Hand a session to the browser."""
        response.set_cookie(
            self.cookie,
            secret,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=self.secure,
        )

    def _begin(self, name: str, account: Account | None) -> str:
        secret = secrets.token_urlsafe(32)
        account_id = None if account is None else account.id
        self.project.accounts.begin_session(
            digest_of(secret), name, time.time() + SESSION_SECONDS, account_id=account_id
        )
        self.project.audit.record(name, "signed in")
        return secret

    def _refuse_too_many(self, name: str) -> None:
        since = time.monotonic() - TRIES_SECONDS
        with self._lock:
            for each in [n for n, times in self._wrong.items() if times[-1] < since]:
                del self._wrong[each]
            recent = [at for at in self._wrong.get(name, []) if at > since]
        if len(recent) >= TRIES:
            wait = int(recent[0] - since) + 1
            raise TooMany(f"too many wrong passwords; try again in {wait} s", retry_after=wait)


def digest_of(secret: str) -> str:
    """Return what is kept of a random secret; it is long, so it needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def hash_password(password: str) -> str:
    """Return what is kept of a password: Argon2id with its salt."""
    return str(_hasher().hash(password))


def is_password(account: Account | None, password: str) -> bool:
    """Tell whether a password is an account's; takes as long where there is none."""
    import argon2

    known = _NOBODY if account is None else account.password_hash
    with _ONE_AT_A_TIME:  # each takes 64 MiB
        try:
            right = _hasher().verify(known, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            right = False
    return right and account is not None and not account.disabled


_ONE_AT_A_TIME = threading.Lock()
_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$"
    "JHm7iGd3bMyJxpyNNaN3zfP5wzOZJJWhyjPWoTM7JQE"
)  # fits no password


def _hasher() -> Any:
    import argon2

    return argon2.PasswordHasher()
