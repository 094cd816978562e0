"""The example is a real simulation's record, short enough to ship."""

from maskmill.engine.example import NUMBERS, RECORD, read_example, shortened


def test_the_shipped_record_is_small_whole_and_shows_the_loop() -> None:
    told = read_example()
    assert RECORD.stat().st_size < 50_000
    assert told["name"]
    assert len(told["rounds"]) >= 3
    for each in told["rounds"]:
        assert set(NUMBERS) < set(each)
        assert each["seconds_per_mask"] > 0
    assert any(each["status"] == "promoted" for each in told["rounds"])


def test_what_charts_do_not_show_is_left_out() -> None:
    each = dict.fromkeys(NUMBERS, 1.23456789) | {"image_ids": [1, 2], "gate": None}
    found = shortened({"rounds": [each]}, "nuclei")
    assert found["name"] == "nuclei"
    (kept,) = found["rounds"]
    assert set(kept) == {*NUMBERS, "gate"}
    assert kept["seconds_per_mask"] == 1.2346
    assert kept["gate"]["comparisons"] == []
