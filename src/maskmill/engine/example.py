"""An example of some rounds, for projects that have none: the short record of a real simulation.

    python -m maskmill.engine.example SIMULATION.json NAME

writes the record anew from what `maskmill simulate` left.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("example.json")
NUMBERS = (
    "round", "stage", "status", "images", "masks", "prefilled_kept", "prefilled_rejected",
    "seconds_per_mask", "clicks_per_mask", "strokes_per_mask", "masks_per_image",
)  # fmt: skip
"""What is kept of each round, beside what the gate measured."""
PLACES = 4


def read_example() -> Mapping[str, Any]:
    """Return the record: `name` of the dataset, and `rounds` as `simulate` tells them."""
    told: Mapping[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return told


def shortened(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Keep of a simulation what charts show.

    Args:
        told: What `simulate` returned.
        name: What the dataset is called.
    """
    rounds = []
    for each in told["rounds"]:
        gate = each["gate"] or {"promoted": None, "images": 0, "comparisons": []}
        kept = {key: _rounded(each[key]) for key in NUMBERS}
        kept["gate"] = {
            "promoted": gate["promoted"],
            "images": gate["images"],
            "comparisons": [
                {key: _rounded(value) for key, value in one.items()} for one in gate["comparisons"]
            ],
        }
        rounds.append(kept)
    return {"name": name, "rounds": rounds}


def _rounded(value: Any) -> Any:
    return round(value, PLACES) if isinstance(value, float) else value


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    RECORD.write_text(json.dumps(shortened(read, sys.argv[2]), indent=1) + "\n", "utf-8")
