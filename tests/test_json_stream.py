"""Large JSON element by element: the same values as `json.load`, wherever the window cuts it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskmill.errors import DatasetError
from maskmill.formats import json_stream
from maskmill.formats.json_stream import Broken, Repeated, decode_element, decode_run, scan

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def rebuilt(path: Path) -> dict[str, Any]:
    """Put what was scanned together again, from the file's bytes."""
    data, out = path.read_bytes(), {}
    for key, _, start, stop in scan(path):
        key = key.encode("latin-1", "replace").decode("utf-8", "replace")
        if start < 0:
            out[key] = []
        elif isinstance(out.get(key), list):
            out[key].append(json.loads(data[start:stop]))
        else:
            out[key] = json.loads(data[start:stop])
    return out


@given(
    record=st.dictionaries(st.text("abc", min_size=1, max_size=3), VALUES, max_size=4),
    block=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    escape=st.booleans(),
)
def test_every_element_is_found_wherever_the_window_ends(
    record: dict[str, Any],
    block: int,
    indent: int | None,
    escape: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_bytes(
        json.dumps(record, indent=indent, ensure_ascii=escape).encode("utf-8", "replace")
    )
    expected = json.loads(path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "BLOCK", block)
        assert rebuilt(path) == expected


def elements(tmp_path: Path, text: str | bytes) -> list[Any]:
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [value for _, value, start, _ in scan(path) if start >= 0]


@pytest.mark.parametrize("block", [1, 7, 1 << 22])
def test_damage_stays_in_its_element(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "BLOCK", block)
    deep = "[" * 100_000 + "]" * 100_000 if block > 100 else "[" * 3000 + "]" * 3000
    bad = [deep, "9" * 5000, '{"a": nil}', '{"a": 1,}', "nope", '{"a": "]}\\""}', '{"a" 1}']
    text = '{"x": [1, ' + ", ".join(f'{one}, "good"' for one in bad) + "]}"
    found = elements(tmp_path, text)
    assert found[0] == 1
    assert found[2::2] == ["good"] * len(bad)
    assert [isinstance(one, Broken) for one in found[1::2]] == [True] * 5 + [False, True]


@pytest.mark.parametrize(
    "text",
    ['{"x": [1, 2', '{"x": [{"a": "', '{"x": [1}', '{"x": [1,, 2]}', '{"x": [1 2]}', '{"x" 1}',
     '{"x": 1} {', '{"x": 1', '{"x": }', "{1: 2}", '{"x": [1,]}', '{"x": 1,}', '{"x": 1, "x": 2}',
     '{"x": [[[[[[[[[['],
)  # fmt: skip
def test_a_file_that_is_damaged_as_a_whole_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.json is not JSON: byte \d+"):
        elements(tmp_path, text)


@pytest.mark.parametrize("text", ["", "[]", "4", "\xff\xfe{"])
def test_what_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no JSON object"):
        elements(tmp_path, text.encode("latin-1"))


def test_brackets_that_never_close_do_not_draw_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "MAX_ELEMENT", 1000)
    monkeypatch.setattr(json_stream, "BLOCK", 100)
    with pytest.raises(DatasetError, match="brackets never close"):
        elements(tmp_path, '{"x": [{"a": [' + "1, " * 3000)


def test_a_mark_at_the_beginning_is_passed_over_and_a_missing_file_said(tmp_path: Path) -> None:
    assert elements(tmp_path, b'\xef\xbb\xbf{"x": [3]}') == [3]
    with pytest.raises(DatasetError, match="cannot read"):
        list(scan(tmp_path / "gone.json"))


def test_a_key_named_twice_is_noticed(tmp_path: Path) -> None:
    (found,) = elements(tmp_path, '{"x": [{"a": 1, "a": 2}]}')
    assert isinstance(found, Repeated)
    with pytest.raises(DatasetError, match="one key twice"):
        decode_element(b'{"a": 1, "a": 2}')


@pytest.mark.parametrize("text", [b"{", b'"\xff"', b"[" * 100_000 + b"]" * 100_000])
def test_decoding_says_what_is_wrong(text: bytes) -> None:
    with pytest.raises(DatasetError, match="it is not"):
        decode_element(text)
    with pytest.raises(DatasetError, match="it is not"):
        decode_run(text)
    assert decode_run(b'1, "\xc3\xa9"') == [1, "é"]
