"""Children pause when asked, end with whoever started them, and say what went wrong."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from maskmill.engine.children import LOWER, Interrupted, Killed, run_child
from maskmill.errors import StoreError

CHILD = """
import os, signal, sys, threading, time
from pathlib import Path
from maskmill.engine.children import as_child
from maskmill.errors import StoreError

here, kind = Path(sys.argv[1]), sys.argv[2]
pause = threading.Event()

def work():
    if kind == "fail":
        raise StoreError("no room is left")
    if kind in ("killed", "terminated"):
        os.kill(os.getpid(), signal.SIGKILL if kind == "killed" else signal.SIGTERM)
    if kind == "waiting":
        return here.write_text(os.environ["OMP_WAIT_POLICY"])
    for i in range(600):
        here.write_text(str(i))
        if pause.wait(0.05):
            here.write_text("paused")
            sys.exit(1)

sys.exit(as_child(work, pause=pause if kind == "pausing" else None))
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that works until it is asked to pause, and writes down how far it is."""
    (tmp_path / "waiting_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return tmp_path / "progress"


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def interrupted(child: Path, kind: str) -> None:
    """Run one that is asked to stop as soon as it has begun."""
    stop = threading.Event()

    def ask() -> None:
        wait_for(child)
        stop.set()

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(Interrupted, match="run the round again"):
        run_child("waiting_child", str(child), kind, stop=stop)
    asking.join()


def test_a_child_that_is_asked_to_pause_keeps_what_it_did(child: Path) -> None:
    interrupted(child, "pausing")
    assert child.read_text() == "paused"


def test_a_child_with_nothing_to_keep_ends_at_once(child: Path) -> None:
    interrupted(child, "working")
    assert int(child.read_text()) < 600, "it went on to its end, thirty seconds later"


def test_a_child_ends_when_whoever_started_it_is_killed(child: Path, tmp_path: Path) -> None:
    work = f"run_child('waiting_child', {str(child)!r}, 'working')"
    code = f"from maskmill.engine.children import run_child; {work}"
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_for(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    time.sleep(0.5)
    before = child.read_text()
    time.sleep(0.5)
    assert child.read_text() == before, "it goes on alone"
    assert before != "paused"


def test_a_child_that_the_system_kills_says_that_memory_is_short(
    child: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOWER, "waiting_child", ", or lower `batch_images`")
    with pytest.raises(Killed, match="want of memory: free some, or lower `batch_images`; run it"):
        run_child("waiting_child", str(child), "killed")
    with pytest.raises(Interrupted):
        run_child("waiting_child", str(child), "terminated")


def test_what_went_wrong_is_the_last_line(child: Path) -> None:
    with pytest.raises(StoreError, match=r"^no room is left$"):
        run_child("waiting_child", str(child), "fail")


def test_threads_of_a_child_sleep_while_they_wait_unless_somebody_said_otherwise(
    child: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    run_child("waiting_child", str(child), "waiting")
    assert child.read_text() == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    run_child("waiting_child", str(child), "waiting")
    assert child.read_text() == "ACTIVE"
