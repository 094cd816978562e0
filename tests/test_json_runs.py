"""Runs of objects: the same places and keys as walking from element to element gives."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskmill.formats import json_stream
from maskmill.formats.json_runs import Run, find_run
from maskmill.formats.json_stream import scan

TEXTS = st.text(st.sampled_from('ab"\\{}[]:,/ \n'), max_size=8)
VALUES = st.recursive(
    st.none() | st.integers(-5, 5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.fixed_dictionaries(
    {"id": st.integers()}, optional={"image_id": VALUES, "more": VALUES, "segmentation": VALUES}
)


def keys_of(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(keys_of, value.values()))
    return sum(map(keys_of, value)) if isinstance(value, list) else 0


@given(st.lists(OBJECTS, min_size=3, max_size=9), st.sampled_from([None, 1]), st.integers(0, 30))
def test_objects_are_found_as_python_reads_them(
    objects: list[Any], indent: int | None, cut: int
) -> None:
    text = json.dumps(objects, indent=indent)[1:].lstrip()
    run = find_run(text[: len(text) - cut].encode())
    if run is None:
        assert cut
        return
    found = [json.loads(text[a:b]) for a, b in zip(run.starts, run.stops, strict=True)]
    assert found == objects[: len(found)]
    assert cut or len(found) == len(objects) - 1
    assert [head.id for head in run.heads] == [one["id"] for one in found]
    assert [head.image_id for head in run.heads] == [one.get("image_id") for one in found]
    assert run.keys.tolist() == [keys_of(one) for one in found]
    assert text[run.end :].startswith("{")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "{}, {}]", "{}, 5, {}, {}, {}]", "{}, [1], {}, {}]", "{} {} {} {}]", "{},, {}, {}]",
     '{"a": NaN}, {}, {}, {}]', "{]}, {}, {}, {}]", "{}}, {}, {}, {}]",
     '{"\\ud800": 1}, {}, {}, {}]', "[" * 5000 + "]" * 5000 + ", {}, {}, {}]"],
)  # fmt: skip
def test_what_does_not_fit_is_left_to_the_other_reader(text: str) -> None:
    assert find_run(text.encode()) is None


def test_a_key_named_twice_is_counted_twice() -> None:
    run = find_run(b'{"a": 1, "a": 2}, {}, {}]')
    assert run is not None
    assert run.keys.tolist() == [2, 0]


def test_a_scan_gives_runs_and_elements_that_together_are_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "RUN", 400)
    notes: list[Any] = [{"id": i, "image_id": i % 7, "text": '"}' * (i % 3)} for i in range(200)]
    notes[60:60] = [7, {"id": "ü"}, {"id": float("nan")}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"annotations": notes, "images": []}, ensure_ascii=False))
    data, found, runs = path.read_bytes(), [], 0
    for key, value, start, stop in scan(path, runs_of="annotations"):
        if isinstance(value, Run):
            runs += 1
            places = zip(
                (value.starts + start).tolist(), (value.stops + start).tolist(), strict=True
            )
            found += [json.loads(data[a:b]) for a, b in places]
        elif key == "annotations" and start >= 0:
            found.append(json.loads(data[start:stop]))
    assert json.dumps(found) == json.dumps(notes)
    assert runs > 5
