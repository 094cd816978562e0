"""Nothing is lost: server killed, no network, slow network, page killed."""

from browser.driving import Annotator, Server

KILLS = 20


def _stroke(person: Annotator, n: int) -> None:
    """One stroke on nothing: a mask of its own."""
    y = 20 + 22 * (n % 20)
    person.press("Escape")
    person.drag((40, y), (400, y), steps=3)


def test_a_server_that_is_killed_twenty_times_loses_nothing(
    person: Annotator, server: Server
) -> None:
    person.page.evaluate("maskmill.session.editor.brushRadius = 4")
    person.press("b")
    for n in range(KILLS):
        _stroke(person, n)
        server.kill()
        _stroke(person, n)
        server.start()
    drawn = person.saved().shapes()
    assert len(drawn) == 2 * KILLS
    person.page.reload()
    assert person.ready().shapes() == drawn


def test_offline_work_is_there_after_a_reload_and_sent_when_the_network_is_back(
    person: Annotator, server: Server
) -> None:
    context = person.page.context
    context.set_offline(True)
    person.press("b")
    for n in range(3):
        _stroke(person, n)
    person.page.get_by_test_id("saving").get_by_text("Offline: 3 kept here").wait_for()
    drawn = person.shapes()
    assert len(drawn) == 3
    # The page dies before anything was sent, and comes back when the network has.
    server.kill()
    context.set_offline(False)
    address = person.page.url
    person.page.goto("about:blank")
    server.start()
    person.page.goto(address)
    assert person.ready().saved().shapes() == drawn
    known = person.fetch("/api/images/1/annotations")["annotations"]
    assert {mask["id"]: mask["mask"] for mask in known} == drawn


def test_a_slow_network_keeps_the_order(person: Annotator) -> None:
    session = person.page.context.new_cdp_session(person.page)
    slow = {"offline": False, "latency": 400, "downloadThroughput": 4e4, "uploadThroughput": 4e4}
    session.send("Network.emulateNetworkConditions", slow)
    person.press("b")
    person.drag((60, 60), (200, 60))
    for n in range(4):
        person.drag((60, 80 + 30 * n), (200, 80 + 30 * n))
    person.press("Control+z")
    drawn = person.saved().masks()
    assert [mask["version"] for mask in drawn] == [6]
    answer = person.fetch("/api/images/1/annotations")
    assert answer["annotations"][0]["mask"] == drawn[0]["rle"]


def test_a_stroke_of_a_page_that_dies_is_finished_by_the_next(
    person: Annotator, server: Server
) -> None:
    person.press("b")
    person.move(60, 60)
    person.page.mouse.down()
    person.page.mouse.move(*person.screen(200, 60), steps=4)
    person.page.wait_for_timeout(2_000)
    context = person.page.context
    person.page.close(run_before_unload=False)
    page = context.new_page()
    page.goto(f"{server.address}/#/annotate/1")
    again = Annotator(page).ready()
    again.until("maskmill.session.document.annotations.length === 1")
    assert len(again.saved().masks()) == 1
