"""What a simulation says for people: hours for more images, and other people's seconds beside."""

from typing import Any

import numpy as np
import pytest

from maskmill.engine.report import forecast_in_words, foretell, write_report


def a_round(number: int, stage: str, seconds: list[float]) -> dict[str, Any]:
    return {
        "round": number, "stage": stage, "status": "promoted", "reason": "better", "gate": None,
        "images": len(seconds), "image_seconds": seconds, "seconds": sum(seconds),
        "masks": 10 * len(seconds), "seconds_per_mask": sum(seconds) / len(seconds) / 10,
        "seconds_per_hand_made_mask": 9.0, "prefilled_kept": 0, "prefilled_mended": 0,
        "prefilled_rejected": 0, "clicks_per_mask": 1.0, "strokes_per_mask": 1.0,
        "masks_per_image": 10.0,
    }  # fmt: skip


def rounds(spread: float = 20.0) -> list[dict[str, Any]]:
    """Three rounds; images of the last two, which are of one stage, took 100 s on average."""
    late = 100 + spread * np.array([-2, -1, 0, 1, 2, -2, -1, 0, 1, 2])
    return [
        a_round(1, "assisted", [900.0, 900.0]),
        a_round(2, "semi", list(late[:5])),
        a_round(3, "semi", list(late[5:])),
    ]


def test_hours_are_foretold_from_the_last_stage_alone() -> None:
    told = foretell(rounds(), 3600)
    assert told["images"] == 3600
    assert told["hours"] == pytest.approx(100.0)
    # The mean of ten images that spread by 28 s is known to 9 s; twice that lies on either side.
    assert 78 < told["low"] < 87
    assert 113 < told["high"] < 122
    assert told == foretell(rounds(), 3600), "no dice: the same simulation foretells the same"


def test_an_interval_is_wider_where_images_differ_more_or_few_are_to_come() -> None:
    def relative(told: dict[str, Any]) -> float:
        return float((told["high"] - told["low"]) / told["hours"])

    assert relative(foretell(rounds(40), 1000)) > 1.5 * relative(foretell(rounds(20), 1000))
    assert relative(foretell(rounds(), 5)) > 1.5 * relative(foretell(rounds(), 5000))
    alike = foretell(rounds(0), 36)
    assert (alike["low"], alike["high"]) == pytest.approx((1.0, 1.0))


def test_rounds_of_an_older_version_foretell_without_an_interval() -> None:
    old = rounds()
    del old[1]["image_seconds"]  # one round was played before its images' seconds were kept
    told = foretell(old, 3600)
    assert told["hours"] == pytest.approx(100.0)
    assert told["low"] is told["high"] is None
    assert "too few single images are known for an interval" in forecast_in_words(told)
    one = foretell([a_round(1, "semi", [50.0])], 10)
    assert one["low"] is None, "one image says nothing of how images differ"


def test_the_page_foretells_what_was_asked_and_shows_others_seconds(tmp_path: Any) -> None:
    overall = {
        "masks": 120, "hours": 1.0, "hours_by_polygons": 3.0,
        "faster_from_first_to_last_round": 9.0,
    }  # fmt: skip
    told = {"rounds": rounds(), "automatic": None, "overall": overall}
    write_report(tmp_path / "report.html", "Cells", told, forecast=7200)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert (
        "7,200 more images like the last stage&#x27;s would take people 200.0 hours (95 %" in page
    )
    for row in (
        "<td>a mask in the first round here</td><td>90.0</td>",
        "<td>a mask in the last round here</td><td>10.0</td>",
        "<td>a mask in SAM&#x27;s stage 1, at first</td><td>34.0</td>",
        "<td>a mask in SAM&#x27;s stage 1, in the end</td><td>14.0</td>",
        "<td>a box by extreme clicking</td><td>7.0</td><td>Papadopoulos et al. 2017",
    ):
        assert row in page
