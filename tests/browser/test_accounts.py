"""A project with accounts: signing in, sessions that end with work open, roles, and the review."""

from pathlib import Path

import pytest

from browser.driving import Annotator, Opened, Server, Started
from maskmill.server.access import hash_password
from maskmill.store import Project

PASSWORD = "correct horse battery"
ROLES = {"ada": "admin", "rev": "reviewer", "ann": "annotator", "bob": "annotator"}


def _let_in(project: Path) -> None:
    hashed = hash_password(PASSWORD)
    with Project(project) as opened:
        for name, role in ROLES.items():
            opened.accounts.add(name, role, hashed)


@pytest.fixture
def team(start: Started) -> Server:
    return start(_let_in, with_accounts=True)


def _sign_in(person: Annotator, name: str, password: str = PASSWORD) -> None:
    dialog = person.page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Password").fill(password)
    person.press("Enter")


def _as(browse: Opened, team: Server, name: str) -> Annotator:
    person = browse(team.address)
    _sign_in(person, name)
    return person.ready()


def test_a_wrong_password_is_refused_and_the_right_one_lets_in(
    team: Server, browse: Opened
) -> None:
    person = browse(team.address)
    _sign_in(person, "ann", "not the password")
    person.page.get_by_text("the name or the password is wrong").wait_for()
    assert person.page.locator("canvas").count() == 0
    _sign_in(person, "ann")
    person.ready()
    assert person.page.get_by_role("link", name="Members").count() == 0
    person.page.get_by_role("button", name="Sign out").click()
    person.page.get_by_role("dialog", name="Sign in").wait_for()
    assert person.fetch("/api/images")["error"]


def test_strokes_survive_a_session_that_ends(team: Server, browse: Opened) -> None:
    person = _as(browse, team, "ann")
    person.press("b")
    person.drag((60, 60), (200, 60))
    person.saved()
    person.page.context.clear_cookies()
    person.press("Escape")
    person.drag((60, 160), (200, 160))
    person.page.get_by_role("dialog", name="Sign in").wait_for()
    drawn = person.shapes()
    assert len(drawn) == 2
    assert person.page.get_by_test_id("saving").inner_text().strip().startswith("Signed out")
    _sign_in(person, "ann")
    person.page.get_by_role("dialog", name="Sign in").wait_for(state="detached")
    # Where one was: what comes now is saved too, and others' masks arrive again.
    person.press("Escape")
    person.drag((60, 260), (200, 260))
    drawn = person.saved().shapes()
    assert len(drawn) == 3
    known = person.fetch("/api/images/1/annotations")["annotations"]
    assert {each["id"]: each["mask"] for each in known} == drawn
    person.until("maskmill.session.project.connected")


def test_who_is_signed_out_is_asked_wherever_they_are_and_goes_on(
    team: Server, browse: Opened
) -> None:
    person = _as(browse, team, "ann")
    person.page.context.clear_cookies()
    person.page.evaluate("location.hash = '#/annotate/2'")
    _sign_in(person, "ann")
    person.page.get_by_role("dialog", name="Sign in").wait_for(state="detached")
    person.until("window.maskmill.session.image.id === 2")
    person.ready()


def test_strokes_survive_also_if_the_page_dies_before_one_signs_in(
    team: Server, browse: Opened
) -> None:
    person = _as(browse, team, "ann")
    person.page.context.clear_cookies()
    person.press("b")
    person.drag((60, 160), (200, 160))
    person.page.get_by_role("dialog", name="Sign in").wait_for()
    drawn = person.shapes()
    person.page.reload()
    _sign_in(person, "ann")
    assert person.ready().saved().shapes() == drawn


def test_two_people_get_different_images(team: Server, browse: Opened) -> None:
    ann, bob = _as(browse, team, "ann"), _as(browse, team, "bob")
    names = [each.page.evaluate("maskmill.session.image.name") for each in (ann, bob)]
    assert len(set(names)) == 2
    bob.page.evaluate("location.hash = '#/annotate/1'")
    bob.page.get_by_text("ann is working on this image").wait_for()


def test_a_review_is_two_questions_and_brings_the_image_back(team: Server, browse: Opened) -> None:
    ann = _as(browse, team, "ann")
    first = ann.page.evaluate("maskmill.session.image.id")
    ann.press("b")
    ann.drag((60, 60), (200, 60))
    ann.press("Escape")
    ann.drag((60, 160), (200, 160))
    ann.saved().press("n")
    ann.until("id => maskmill.session.image.id !== id", first)

    rev = browse(f"{team.address}/#/review")
    _sign_in(rev, "rev")
    question = rev.page.get_by_test_id("question")
    question.get_by_text("Good mask?").wait_for()
    rev.press("q")
    rev.page.get_by_text("Mask 2 of 2").wait_for()
    rev.press("r")
    rev.page.get_by_label("What is wrong?").fill("the handle is missing")
    rev.press("Enter")
    question.get_by_text("All objects found?").wait_for()
    rev.press("q")
    rev.page.get_by_text("Nothing waits for review.").wait_for()
    image = rev.fetch(f"/api/images/{first}")
    assert (image["state"], image["note"]) == ("returned", "the handle is missing")
    reviews = [
        each["review"] for each in rev.fetch(f"/api/images/{first}/annotations")["annotations"]
    ]
    assert reviews == ["accepted", "rejected"]

    # The queue gives it to whoever comes next, with the reviewer's words.
    ann.press("n")
    ann.until("id => maskmill.session.image.id === id", first)
    ann.ready().page.get_by_text("the handle is missing").first.wait_for()


def test_not_all_found_returns_an_image_and_all_found_completes_it(
    team: Server, browse: Opened
) -> None:
    rev = _as(browse, team, "rev")
    first = rev.page.evaluate("maskmill.session.image.id")
    rev.fetch(f"/api/images/{first}/finish", "POST", {})
    rev.page.goto(f"{team.address}/#/review")
    question = rev.page.get_by_test_id("question")
    question.get_by_text("All objects found?").wait_for()
    rev.press("r")
    rev.page.get_by_label("What is wrong?").fill("a cup is missing")
    rev.press("Enter")
    rev.page.get_by_text("Nothing waits for review.").wait_for()
    image = rev.fetch(f"/api/images/{first}")
    assert (image["state"], image["note"]) == ("returned", "a cup is missing")
    rev.fetch(f"/api/images/{first}/finish", "POST", {})
    rev.page.goto(f"{team.address}/#/images")
    rev.page.goto(f"{team.address}/#/review")
    question.get_by_text("All objects found?").wait_for()
    rev.press("q")
    rev.page.get_by_text("Nothing waits for review.").wait_for()
    assert rev.fetch(f"/api/images/{first}")["state"] == "complete"


def test_an_admin_lets_somebody_in_and_out(team: Server, browse: Opened) -> None:
    ada = _as(browse, team, "ada")
    made = {"name": "eve", "role": "annotator", "password": PASSWORD}
    ada.page.goto(f"{team.address}/#/members")
    ada.page.get_by_text("bob").first.wait_for()
    assert "error" not in ada.fetch("/api/members", "POST", made)
    eve = _as(browse, team, "eve")
    assert "error" not in ada.fetch("/api/members/eve", "PATCH", {"disabled": True})
    eve.press("b")
    eve.drag((60, 60), (200, 60))
    eve.page.get_by_role("dialog", name="Sign in").wait_for()
