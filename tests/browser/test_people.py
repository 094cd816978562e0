"""Two people and one project: masks that arrive, conflicts that ask, images that nobody shares."""

from browser.driving import Annotator, Opened, Server
from maskmill.rle import Rle, area


def _beside(person: Annotator, server: Server, browse: Opened) -> Annotator:
    """Somebody else, in the image that the first one has open."""
    other = browse(server.links[-1])
    other.until("!!window.maskmill")
    return other.open(person.page.evaluate("maskmill.session.image.id"))


def _counts(people: Annotator) -> list[str]:
    return sorted(each["counts"] for each in people.shapes().values())


def test_two_people_see_each_other(person: Annotator, server: Server, browse: Opened) -> None:
    other = _beside(person, server, browse)
    person.press("b")
    person.drag((60, 60), (200, 60))
    other.until("maskmill.session.document.annotations.length === 1")
    assert other.shapes() == person.shapes()
    other.page.evaluate("id => maskmill.session.editor.select(id)", other.masks()[0]["id"])
    other.press("Delete")
    person.until("maskmill.session.document.annotations.length === 0")


def test_what_others_did_while_one_heard_nothing_arrives_afterwards(
    person: Annotator, server: Server, browse: Opened
) -> None:
    other = _beside(person, server, browse)
    # The server ends, and only the other one's stream of events comes back.
    person.page.route("**/api/events", lambda route: route.abort())
    server.kill()
    person.until("!maskmill.session.project.connected")
    server.start()
    other.press("b")
    other.drag((60, 60), (200, 60))
    other.saved()
    assert person.masks() == []
    person.page.unroute("**/api/events")
    person.until("maskmill.session.document.annotations.length === 1")


def _conflict(person: Annotator, server: Server, browse: Opened) -> tuple[Annotator, str, str]:
    """One mask, drawn on by both at once; returns the other, and each one's run lengths."""
    person.press("b")
    person.drag((60, 60), (200, 60))
    (mask,) = person.saved().masks()
    other = _beside(person, server, browse)
    other.until("maskmill.session.document.annotations.length === 1")
    person.page.context.set_offline(True)
    person.drag((60, 160), (200, 160))
    other.press("b")
    other.page.evaluate("id => maskmill.session.editor.select(id)", mask["id"])
    other.drag((60, 300), (200, 300))
    other.saved()
    mine, theirs = (each.masks()[0]["rle"]["counts"] for each in (person, other))
    assert mine != theirs
    person.page.context.set_offline(False)
    person.page.get_by_role("dialog", name="Two versions of one mask").wait_for()
    return other, mine, theirs


def _decide(person: Annotator, answer: str) -> None:
    dialog = person.page.get_by_role("dialog", name="Two versions of one mask")
    assert dialog.locator("canvas, img").count() >= 2, "both are to be seen"
    dialog.get_by_role("button", name=answer).click()
    dialog.wait_for(state="detached")
    person.saved()


def test_a_conflict_shows_both_and_both_can_be_kept(
    person: Annotator, server: Server, browse: Opened
) -> None:
    other, mine, theirs = _conflict(person, server, browse)
    _decide(person, "Keep both")
    assert _counts(person) == sorted([mine, theirs])
    other.until("maskmill.session.document.annotations.length === 2")
    assert _counts(other) == sorted([mine, theirs])


def test_of_a_conflict_mine_can_be_kept(person: Annotator, server: Server, browse: Opened) -> None:
    other, mine, _ = _conflict(person, server, browse)
    _decide(person, "Mine")
    assert _counts(person) == [mine]
    other.until("c => maskmill.session.document.annotations[0].content.rle.counts === c", mine)


def test_of_a_conflict_theirs_can_be_kept(
    person: Annotator, server: Server, browse: Opened
) -> None:
    _, _, theirs = _conflict(person, server, browse)
    _decide(person, "Theirs")
    assert _counts(person) == [theirs]
    known = person.fetch("/api/images/1/annotations")["annotations"]
    assert [each["mask"]["counts"] for each in known] == [theirs]


def test_a_mask_that_somebody_deleted_meanwhile_is_asked_about(
    person: Annotator, server: Server, browse: Opened
) -> None:
    person.press("b")
    person.drag((60, 60), (200, 60))
    (mask,) = person.saved().masks()
    other = _beside(person, server, browse)
    other.until("maskmill.session.document.annotations.length === 1")
    person.page.context.set_offline(True)
    person.drag((60, 160), (200, 160))
    mine = person.masks()[0]["rle"]
    other.page.evaluate("id => maskmill.session.editor.select(id)", mask["id"])
    other.press("Delete")
    other.saved()
    person.page.context.set_offline(False)
    dialog = person.page.get_by_role("dialog", name="Two versions of one mask")
    dialog.get_by_role("button", name="Mine").click()
    person.saved()
    assert [each["rle"] for each in person.masks()] == [mine]
    size, counts = mine["size"], mine["counts"]
    assert area(Rle((size[0], size[1]), counts.encode())) > 0
