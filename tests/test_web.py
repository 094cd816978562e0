"""The browser's TypeScript: its types and its tests, run by the Node that builds the pages."""

import subprocess
from pathlib import Path

import pytest
from test_hatch_build import hatch_build

WEB = Path(__file__).parents[1] / "web"
CHECKS = {
    "types": [
        "svelte-check/bin/svelte-check",
        "--tsconfig",
        "./tsconfig.json",
        "--fail-on-warnings",
    ],
    "tests": ["vitest/vitest.mjs", "run", "--reporter", "dot"],
}


@pytest.mark.parametrize("check", CHECKS)
def test_check_passes(check: str) -> None:
    node = hatch_build.own_node() or hatch_build.wheel_node()
    script, *arguments = CHECKS[check]
    program = WEB / "node_modules" / script
    if node is None or not program.exists():
        pytest.skip("needs Node and the pages' packages; install maskmill again to fetch them")
    done = subprocess.run([node, program, *arguments], cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
