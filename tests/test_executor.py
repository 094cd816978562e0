"""Work in processes: order does not matter, deaths do, and nothing is lost or done twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from maskmill.errors import ImageError, MaskmillError
from maskmill.executor import run


def start_tripling(journal: Path | None = None) -> Callable[[int], int]:
    return partial(triple, journal)


def triple(journal: Path | None, number: int) -> int:
    if number == 13:
        raise ImageError("13 cannot be tripled")
    if number == 17:
        return 1 // 0
    if journal is not None:
        with journal.open("a") as file:
            file.write(f"{number}\n")
        died = journal.with_suffix(f".{number}")
        # 5 kills its worker once, 7 always.
        if number == 7 or (number == 5 and not died.exists()):
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return 3 * number


def start_badly() -> Callable[[int], int]:
    raise MaskmillError("the model is missing")


def start_dead() -> Callable[[int], int]:
    os._exit(3)


def start_threads() -> Callable[[str], str | None]:
    return os.environ.get


def start_sleeping(folder: Path) -> Callable[[int], int]:
    (folder / str(os.getpid())).touch()
    return sleep


def sleep(number: int) -> int:
    time.sleep(60)
    return number


@pytest.mark.parametrize("workers", [0, 2])
def test_every_item_has_one_outcome_and_a_bad_one_its_reason(workers: int) -> None:
    outcomes = {o.item: o for o in run(start_tripling, [4, 13, 17, 1, 2], workers=workers)}
    assert {item: o.result for item, o in outcomes.items()} == {
        4: 12,
        13: None,
        17: None,
        1: 3,
        2: 6,
    }
    assert outcomes[13].error == "13 cannot be tripled"
    assert outcomes[17].error is not None
    assert outcomes[17].error.startswith("ZeroDivisionError")
    assert outcomes[4].error is None


def test_a_dead_worker_is_replaced_and_its_item_tried_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    outcomes = list(run(partial(start_tripling, journal), range(10), workers=2))
    assert sorted(o.item for o in outcomes) == list(range(10))
    assert {o.item: o.result for o in outcomes if o.error is None} == {
        n: 3 * n for n in range(10) if n != 7
    }
    (failed,) = (o for o in outcomes if o.error is not None)
    assert failed.item == 7
    assert failed.error == "2 workers died of it (SIGKILL)"
    done = [int(line) for line in journal.read_text().split()]
    assert sorted(done) == sorted([*range(10), 5, 7])


def test_workers_that_cannot_start_are_one_error() -> None:
    with pytest.raises(MaskmillError, match="cannot start: the model is missing"):
        list(run(start_badly, [1], workers=1))
    with pytest.raises(MaskmillError, match=r"die while they start \(exit code 3\)"):
        list(run(start_dead, [1], workers=1))


def test_a_worker_has_one_thread_and_the_parent_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    assert {o.result for o in run(start_threads, names, workers=1)} == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ


def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import sys, test_executor as t; from functools import partial; from pathlib import Path\n"
        "from maskmill.executor import run\n"
        "if __name__ == '__main__':\n"
        "    list(run(partial(t.start_sleeping, Path(sys.argv[1])), [1, 2], workers=2))"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    folder = tmp_path / "pids"
    folder.mkdir()
    parent = subprocess.Popen(
        [sys.executable, script, folder], env={**os.environ, "PYTHONPATH": path}
    )
    try:
        wait_until(lambda: len(list(folder.iterdir())) == 2)
    finally:
        parent.kill()
        parent.wait()
    workers = [int(file.name) for file in folder.iterdir()]
    wait_until(lambda: not any(alive(pid) for pid in workers))


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    for _ in range(int(seconds * 20)):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that waits for a reaper does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
