import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
import hatch_build  # noqa: E402


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with pages of one line."""
    source = tmp_path / "web" / "src"
    source.mkdir(parents=True)
    (tmp_path / "web" / "package.json").write_text("{}")
    (source / "main.ts").write_text("export {};")
    return tmp_path


def _pretend_built(tree: Path) -> None:
    output = tree / hatch_build.OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    (output / hatch_build.STAMP).write_text(hatch_build.digest(tree) + "\n")


def test_pages_are_built_once_and_again_when_a_source_changes(tree: Path) -> None:
    assert hatch_build.needs_build(tree)
    _pretend_built(tree)
    assert not hatch_build.needs_build(tree)
    assert not hatch_build.build_pages(tree)
    (tree / "web" / "src" / "main.ts").write_text("export const changed = 1;")
    assert hatch_build.needs_build(tree)


def test_a_renamed_source_is_a_change(tree: Path) -> None:
    _pretend_built(tree)
    source = tree / "web" / "src"
    (source / "main.ts").rename(source / "other.ts")
    assert hatch_build.needs_build(tree)


def test_pages_can_be_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hatch_build.SKIP, "1")
    assert not hatch_build.needs_build(tree)


def test_a_tree_without_sources_has_nothing_to_build(tmp_path: Path) -> None:
    assert not hatch_build.needs_build(tmp_path)


def test_without_node_it_says_what_to_do(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "own_node", lambda: None)
    monkeypatch.setattr(hatch_build, "wheel_node", lambda: None)
    with pytest.raises(RuntimeError, match=r"needs Node 20\.19 or newer.*MASKMILL_SKIP_WEB=1"):
        hatch_build.build_pages(tree)


def test_without_network_it_says_what_failed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tree / "bin" / "node"
    node.parent.mkdir()
    node.write_text("#!/bin/sh\necho 'getaddrinfo ENOTFOUND' >&2\nexit 1\n")
    node.chmod(0o755)
    npm = tree / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm.parent.mkdir(parents=True)
    npm.write_text("")
    monkeypatch.setattr(hatch_build, "own_node", lambda: node)
    with pytest.raises(RuntimeError, match=r"could not fetch the pages' packages(.|\n)*ENOTFOUND"):
        hatch_build.build_pages(tree)


def test_no_address_of_a_registry_is_committed() -> None:
    lock = (ROOT / "web" / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock


def test_the_types_are_those_of_the_server(tmp_path: Path) -> None:
    """`web/src/api/types.ts` names every route that the server has, and no other."""
    import re

    from maskmill.server.openapi import described

    text = (ROOT / "web" / "src" / "api" / "types.ts").read_text("utf-8")
    written = set(re.findall(r'^    "(/api[^"]*)": \{', text, re.MULTILINE))
    assert written == set(described()["paths"]), "run npm run types in web/, see docs/decisions/web.md"
    schemas = set(described()["components"]["schemas"])
    missing = [name for name in schemas if f"        {name}: " not in text]
    assert missing == [], "run npm run types in web/, see docs/decisions/web.md"
