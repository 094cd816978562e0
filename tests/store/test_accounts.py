"""Accounts and sessions: names are one's own, an admin is always left, sessions end."""

import pytest

from maskmill.errors import NotFound, StoreError
from maskmill.store import Project
from maskmill.store import accounts as module


def test_an_account_is_kept_and_changed(project: Project) -> None:
    made = project.accounts.add("ann", "admin", "hash")
    assert project.accounts.find("ann") == made
    assert (made.role, made.password_hash, made.disabled) == ("admin", "hash", False)
    project.accounts.add("Bob", "annotator", "other")
    changed = project.accounts.change("Bob", role="reviewer", disabled=True)
    assert (changed.role, changed.disabled, changed.password_hash) == ("reviewer", True, "other")
    assert {each.name for each in project.accounts.all()} == {"ann", "Bob"}
    assert project.accounts.find("nobody") is None


def test_what_cannot_be_an_account_is_refused(project: Project) -> None:
    project.accounts.add("ann", "admin", "hash")
    for name, role in (("ann", "admin"), ("", "admin"), ("x" * 65, "admin"), ("bob", "owner")):
        with pytest.raises(StoreError):
            project.accounts.add(name, role, "hash")
    with pytest.raises(NotFound):
        project.accounts.change("nobody", disabled=True)
    assert len(project.accounts.all()) == 1


@pytest.mark.parametrize("change", [{"role": "reviewer"}, {"disabled": True}])
def test_the_last_admin_stays(project: Project, change: dict[str, object]) -> None:
    project.accounts.add("ann", "admin", "hash")
    project.accounts.add("bob", "admin", "hash")
    project.accounts.change("bob", **change)
    with pytest.raises(StoreError, match="last admin"):
        project.accounts.change("ann", **change)
    found = project.accounts.find("ann")
    assert found is not None
    assert (found.role, found.disabled) == ("admin", False)


def test_sessions_end_by_time_by_wish_and_with_their_account(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "now", lambda: 1000.0)
    account = project.accounts.add("ann", "admin", "hash")
    project.accounts.begin_session("a", "ann", 1100, account_id=account.id)
    project.accounts.begin_session("b", "me", 1200)
    session = project.accounts.session("a")
    assert session is not None
    assert (session.name, session.account) == ("ann", account)
    local = project.accounts.session("b")
    assert local is not None
    assert local.account is None
    assert project.accounts.session("c") is None
    monkeypatch.setattr(module, "now", lambda: 1150.0)
    assert project.accounts.session("a") is None
    project.accounts.end_session("b")
    assert project.accounts.session("b") is None
    project.accounts.begin_session("d", "ann", 2000, account_id=account.id)
    project.accounts.change("ann", password_hash="new")
    assert project.accounts.session("d") is None


def test_projects_do_not_share_accounts_or_sessions(create: object) -> None:
    one, two = create("one"), create("two")  # type: ignore[operator]
    one.accounts.add("ann", "admin", "hash")
    one.accounts.begin_session("a", "ann", 10**10)
    assert two.accounts.find("ann") is None
    assert two.accounts.session("a") is None
    two.accounts.add("ann", "annotator", "hash")


def test_no_person_has_the_programs_own_name(project: Project) -> None:
    with pytest.raises(StoreError, match="stands for the program"):
        project.accounts.add("redrawing", "annotator", "hash")
