"""Kill a writing process many times, and count what it had acknowledged and is not there.

Power cuts are another matter: a dead process loses no write, only a dead machine does; see
`tests/store/test_power_cuts.py`.

    python benchmarks/kill.py [--kills 200] [--imports 100]
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from import_killing import kill_imports
from store.killing import THREADS, kill
from store.masks import add_image

from maskmill.store import Project


def killed_imports(kills: int, seed: int) -> int:
    """Kill imports at points spread over their length; returns how many were not made whole."""
    with tempfile.TemporaryDirectory() as name:
        whole = list(kill_imports(Path(name), kills, seed=seed))
    print(f"{kills} imports killed and run again: {whole.count(False)} differ from a whole one")
    return whole.count(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how often; about 0.4 s each")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--imports", type=int, default=0, help="how many imports to kill as well")
    options = parser.parse_args()
    found: dict[str, object] = {"kills": options.kills, "imports": options.imports}
    failed = killed_imports(options.imports, options.seed) if options.imports else 0
    found["imports_that_differ"] = failed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        with Project.create(folder) as project:
            add_image(project)
        tally = kill(folder, options.kills, seed=options.seed)
    slowest = statistics.quantiles(tally.reopened_s, n=20)[-1]
    print(
        f"{options.kills} kills, {THREADS} threads: {tally.acknowledged} acknowledged, "
        f"{tally.lost} lost, {tally.corrupt} corrupt; reopened in "
        f"{statistics.median(tally.reopened_s):.2f} s, 95 % in {slowest:.2f} s"
    )
    found |= {
        "threads": THREADS,
        "acknowledged": tally.acknowledged,
        "lost": tally.lost,
        "corrupt": tally.corrupt,
        "reopened_s": {"median": statistics.median(tally.reopened_s), "p95": slowest},
    }
    out = Path(__file__).parent / "results" / "kill.json"
    out.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(bool(tally.lost or tally.corrupt or failed))


if __name__ == "__main__":
    main()
