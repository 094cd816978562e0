"""The description: complete, in words, and the page made of it is up to date."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

from maskmill.server.openapi import described

ROOT = Path(__file__).parents[2]


def test_it_is_printed_without_a_server() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "maskmill.server.openapi"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(described()))


def test_every_route_and_every_schema_says_what_it_is() -> None:
    told = described()
    names = set()
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            names.add(operation["operationId"])
    assert len(names) == sum(map(len, told["paths"].values()))


def test_the_page_of_the_interface_is_up_to_date() -> None:
    page = ROOT / "docs" / "http.md"
    written = runpy.run_path(str(ROOT / "docs" / "write_http.py"))["page"](described())
    assert page.read_text("utf-8") == written, "run `python docs/write_http.py`"
