"""Rules are data: they round-trip, and what makes no sense in them is said."""

from pathlib import Path

import pytest

from maskmill.errors import ConfigError
from maskmill.scribble.rules import json_schema, parse_rules, read_rules, to_json, write_rules

GOOD = b"""{"version": 1, "categories": {"crack": [
 {"rule": "confidence", "threshold": 0.7}, {"rule": "fill_holes", "area": 20},
 {"rule": "close", "radius": 2}, {"rule": "open", "radius": 1}, {"rule": "smooth", "radius": 2},
 {"rule": "split", "method": "watershed", "apart": 9}, {"rule": "merge", "nearer": 4},
 {"rule": "min_area", "area": 30}, {"rule": "max_area", "area": 9000},
 {"rule": "keep_largest", "number": 3}, {"rule": "elongation", "least": 3},
 {"rule": "solidity", "most": 0.6}, {"rule": "place", "relation": "inside", "of": "tile"}]},
 "decisions": [{"rule": "count", "category": "crack", "most": 0},
 {"rule": "area_share", "category": "crack", "most": 0.01},
 {"rule": "largest_area", "category": "crack", "most": 50},
 {"rule": "distance", "category": "crack", "of": "border", "least": 10}]}"""


def test_every_rule_round_trips(tmp_path: Path):
    rules = parse_rules(GOOD)
    assert len(rules.categories["crack"]) == 13
    write_rules(tmp_path / "rules.json", rules)
    assert read_rules(tmp_path / "rules.json") == rules
    assert parse_rules(to_json(rules)) == rules


def test_schema_names_every_rule():
    text = str(json_schema())
    for tag in ("confidence", "keep_largest", "elongation", "largest_area", "distance"):
        assert tag in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[", "rules: "),
        (b'{"version": 2}', "version 2 of rules"),
        (b'{"categories": {"a": [{"rule": "shrink"}]}}', "shrink"),
        (b'{"categories": {"a": [{"rule": "min_area", "area": -1}]}}', ">= 0"),
        (b'{"categories": {"a": [{"rule": "min_area", "areas": 1}]}}', "area"),
        (b'{"categories": {"a": [{"rule": "merge", "nearer": 3}, {"rule": "open", "radius": 1}]}}',
         "open stands after merge"),
        (b'{"categories": {"a": [{"rule": "solidity", "least": 0.9, "most": 0.1}]}}',
         "rule 1 of a: least 0.9 is above most 0.1"),
        (b'{"decisions": [{"rule": "count", "category": "a", "least": 3, "most": 2}]}',
         "decision 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: bytes, reason: str):
    with pytest.raises(ConfigError, match=reason):
        parse_rules(text)


def test_category_that_is_gone_is_said():
    rules = parse_rules(GOOD)
    assert rules.for_categories(["crack", "tile"]) is rules
    with pytest.raises(ConfigError, match=r"speaks of category 'tile', which is none of"):
        rules.for_categories(["crack"])


@pytest.mark.parametrize(
    "decision",
    [
        b'{"rule": "count", "category": "border"}',
        b'{"rule": "area_share", "category": "background", "most": 0.5}',
        b'{"rule": "distance", "category": "background", "of": "crack", "least": 2}',
        b'{"rule": "distance", "category": "crack", "of": "background", "least": 2}',
    ],
)
def test_decisions_about_what_has_no_regions_are_refused(decision: bytes):
    rules = parse_rules(b'{"decisions": [' + decision + b"]}")
    with pytest.raises(ConfigError, match=r"a rule speaks of .* which is none of \['crack'"):
        rules.for_categories(["background", "crack"])


def test_rules_may_look_at_background_and_border():
    looked = parse_rules(
        b'{"categories": {"crack": [{"rule": "place", "relation": "inside", "of": "background"}, '
        b'{"rule": "place", "relation": "touching", "of": "border"}]}}'
    )
    assert looked.for_categories(["background", "crack"]) is looked
    with pytest.raises(ConfigError, match="a rule speaks of category 'border'"):
        parse_rules(b'{"categories": {"border": []}}').for_categories(["crack"])


def test_missing_file_is_said(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_rules(tmp_path / "none.json")
