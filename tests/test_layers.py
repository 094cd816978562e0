"""The checks that need no data: imports go down the floors only, style, types, spelling.

They are tests, so that one command says whether a change may land.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKS = {
    "floors": ["lint-imports", "--no-cache"],
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "--diff", "."],
    "types": ["mypy", "--strict"],
    "spelling": ["codespell", "src", "tests", "docs", "benchmarks", "README.md", "CHANGELOG.md"],
}


@pytest.mark.parametrize("check", CHECKS)
def test_check_passes(check: str) -> None:
    name, *arguments = CHECKS[check]
    program = shutil.which(name, path=str(Path(sys.executable).parent))
    assert program, f"{name} is not installed beside Python; run `make test`"
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{name} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"


def test_a_planted_upward_import_is_reported(tmp_path: Path) -> None:
    """The contract itself could be broken: show that it bites."""
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    geometry = tmp_path / "src" / "maskmill" / "geometry.py"
    geometry.write_text(geometry.read_text("utf-8") + "\nimport maskmill.predict\n", "utf-8")
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [program, "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "maskmill.geometry -> maskmill.predict" in done.stdout


def test_source_files_are_one_sitting_long() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= 400, (
            f"{path.relative_to(ROOT)} has {lines} lines; split it by what it tells"
        )


def test_every_source_file_has_a_test_file() -> None:
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    stems = {p.stem for p in (ROOT / "src").rglob("*.py") if not p.stem.startswith("__")}
    assert not stems - tests, f"no tests/test_NAME.py for: {', '.join(sorted(stems - tests))}"
