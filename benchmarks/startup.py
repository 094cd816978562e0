"""How long `maskmill --help` and `import maskmill` take beside `import numpy`, in new processes.

The claim: at most three times a bare interpreter that imports NumPy. Processes take turns, so that
other work on the machine weighs on all alike; the median of the ratios within a turn is judged.

    python benchmarks/startup.py [--turns 15]
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

LIMIT = 3.0
CASES = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import maskmill": ["-c", "import maskmill"],
    "maskmill --help": ["-m", "maskmill", "--help"],
    "maskmill automask --help": ["-m", "maskmill", "automask", "--help"],
}
RESULT = Path(__file__).parent / "results" / "startup.json"


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(turns: int) -> dict[str, list[float]]:
    for arguments in CASES.values():
        seconds(arguments)  # bytecode and the disk's cache are warm for all
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(turns):
        for name, arguments in CASES.items():
            taken[name].append(seconds(arguments))
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15, help="processes per case")
    taken = measure(parser.parse_args().turns)
    rows = {}
    for name, times in taken.items():
        ratios = [t / base for t, base in zip(times, taken["import numpy"], strict=True)]
        rows[name] = {
            "median_ms": round(statistics.median(times) * 1000, 1),
            "ratio_to_numpy": round(statistics.median(ratios), 2),
        }
        print(f"{name:26} {rows[name]['median_ms']:7.1f} ms  {rows[name]['ratio_to_numpy']:5.2f} x")
    holds = all(rows[name]["ratio_to_numpy"] <= LIMIT for name in rows)
    print(f"at most {LIMIT:g} x: {'holds' if holds else 'MISSED'}")
    RESULT.parent.mkdir(exist_ok=True)
    result = {"limit": LIMIT, "holds": holds, "python": platform.python_version(), "cases": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
