"""The audit log: added to, read from its end."""

from maskmill.store import Project


def test_entries_are_read_from_the_latest_on_in_pages(project: Project) -> None:
    for number in range(5):
        project.audit.record("ann", "exported", f"file {number}", {"number": number})
    first = project.audit.page(limit=2)
    assert [entry.subject for entry in first] == ["file 4", "file 3"]
    assert (first[0].name, first[0].action, first[0].detail) == ("ann", "exported", {"number": 4})
    rest = project.audit.page(before=first[-1].id)
    assert [entry.subject for entry in rest] == ["file 2", "file 1", "file 0"]


def test_projects_do_not_share_a_log(create: object) -> None:
    one, two = create("one"), create("two")  # type: ignore[operator]
    one.audit.record("ann", "signed in")
    assert len(one.audit.page()) == 1
    assert two.audit.page() == []
