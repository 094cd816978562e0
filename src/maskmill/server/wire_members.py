"""What travels between server and browser about people: sessions, members, their work."""

from typing import Annotated, Any, Literal

from pydantic import Field

from maskmill.server.wire import In, Out

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s\x00-\x1f](.*[^\s])?$")]
Password = Annotated[str, Field(min_length=1, max_length=1000)]
NewPassword = Annotated[str, Field(min_length=10, max_length=1000)]
RoleName = Literal["admin", "reviewer", "annotator"]


class TokenRequest(In):
    """What stood in the address that `maskmill up` printed; good for one exchange."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class PasswordRequest(In):
    """A name and its password."""

    name: Name
    password: Password


class SessionOut(Out):
    """Who is asking, and where they are."""

    name: str
    role: RoleName
    project: str
    project_uid: str
    """Names the project for ever, whatever it is called."""
    accounts: bool
    """Whether people come in with passwords; false on one's own machine."""
    images: int
    embedded: int
    """Images that were found embedded since the server was started."""


class MemberOut(Out):
    """A person who may come in."""

    name: str
    role: RoleName
    disabled: bool


class MembersOut(Out):
    """All accounts."""

    members: list[MemberOut]


class MemberRequest(In):
    """A new account."""

    name: Name
    role: RoleName
    password: NewPassword


class MemberChange(In):
    """What changes in an account; what is left out stays."""

    role: RoleName | None = None
    password: NewPassword | None = None
    disabled: bool | None = None


class OwnPasswordRequest(In):
    """One's own new password, and the old one."""

    old: Password
    new: NewPassword


class EntryOut(Out):
    """One thing that somebody did."""

    id: int
    name: str
    action: str
    subject: str | None
    detail: Any
    at: float
    """Seconds since 1970."""


class AuditOut(Out):
    """A page of the audit log, the latest first."""

    entries: list[EntryOut]


class EffortOut(Out):
    """What went into the masks of one day, person or model."""

    key: str
    """The day as 2026-01-31, the person's name, or the model's id; empty for no model."""
    masks: int
    images: int
    """Images that these masks are on."""
    timed_masks: int
    """Masks of which the time is known."""
    seconds: float
    """Active time on those, in all."""
    clicks: int
    edits: int


class StatisticsOut(Out):
    """How far the project is, and how fast people are; only masks that people made are timed."""

    images: int
    images_with_masks: int
    masks: int
    states: dict[str, int]
    """Images by state."""
    by_day: list[EffortOut]
    by_person: list[EffortOut]
    by_model: list[EffortOut]
    by_day_and_person: list[EffortOut]
    """`key` is the day, a space and the name."""
    by_day_and_model: list[EffortOut]
    """`key` is the day, a space and the model's id."""


class ExportRequest(In):
    """Which masks leave the project, and in which form."""

    format: Annotated[str, Field(min_length=1, max_length=40)]
    stage: Annotated[str, Field(max_length=40)] | None = None
    source: Annotated[str, Field(max_length=1000)] | None = None
    review: Annotated[str, Field(max_length=40)] | None = None
    category: Annotated[str, Field(max_length=200)] | None = None
    copy_images: bool = False


class ExportOut(Out):
    """An export that can be fetched."""

    name: str
    url: str
    bytes: int
    images: int | None
    """Null for one that was made before the server was started."""
    masks: int | None
    notes: list[str]
    """What the form could not hold."""


class ExportsOut(Out):
    """The exports that can be fetched, the latest first, and the forms there are."""

    exports: list[ExportOut]
    formats: list[str]
