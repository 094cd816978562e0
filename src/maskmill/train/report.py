"""What a run says of itself while it goes: a progress bar, JSON lines and a picture of the loss.

Where nobody watches, in a log or a pipe, plain lines now and then take the bar's place.
"""

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

AVERAGED_STEPS = 50
SECONDS_BETWEEN_PICTURES = 60
SECONDS_BETWEEN_LINES = 60


class Report:
    """Write a run's metrics as they come; use it in a `with`, which closes the file at any end.

    `metrics.jsonl` holds one object a step. On resuming, lines of steps that will be run again are
    dropped, so that each step stands there once.

    Args:
        run: Folder of the run.
        steps: Steps of the whole run.
        start: Step that the run goes on with.
    """

    def __init__(self, run: Path, steps: int, *, start: int = 0) -> None:
        self.run, self.steps, self.start = run, steps, start
        self.path = run / "metrics.jsonl"
        self.lines = [line for line in read_metrics(self.path) if line["step"] < start]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in self.lines), "utf-8")
        # Line by line: whoever watches the run reads each step as it is done.
        self.file: IO[str] = self.path.open("a", encoding="utf-8", buffering=1)
        console = Console(stderr=True)
        self.watched = console.is_terminal
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
            console=console,
            disable=not self.watched,
        )
        self.began = self.drawn = self.told = time.monotonic()
        self.task = self.progress.add_task("training", total=steps, completed=start, said="")
        self.progress.start()

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.progress.stop()
        self.file.close()
        # A run that failed must not wait for a picture, or fail a second time over it.
        if kind is None:
            self._draw()

    def step(self, step: int, metrics: dict[str, float]) -> None:
        """Record one step."""
        # JSON has no NaN: what was not measured in this step is left out.
        line = {"step": step, **{k: v for k, v in metrics.items() if np.isfinite(v)}}
        self.lines.append(line)
        self.file.write(json.dumps(line) + "\n")
        recent = self.lines[-AVERAGED_STEPS:]
        said = "  ".join(
            f"{name} {np.mean([x[key] for x in recent if key in x] or [np.nan]):.3f}"
            for name, key in (
                ("loss", "loss"),
                ("point", "iou_from_point"),
                ("box", "iou_from_box"),
            )
        )
        self.progress.update(self.task, completed=step + 1, said=said)
        if not self.watched:
            self._tell(step + 1, said)

    def _tell(self, done: int, said: str) -> None:
        """Print a line after the first step, then once a minute, and after the last."""
        now = time.monotonic()
        ends = done in (self.start + 1, self.steps)
        if not ends and now - self.told < SECONDS_BETWEEN_LINES:
            return
        self.told = now
        left = (now - self.began) / (done - self.start) * (self.steps - done)
        line = f"step {done} of {self.steps}  {said}  {_duration(left)} left"
        print(f"maskmill: {line}", file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Bring the lines up to date on disk, and the picture once a minute: it takes a second."""
        self.file.flush()
        if time.monotonic() - self.drawn > SECONDS_BETWEEN_PICTURES:
            self._draw()

    def _draw(self) -> None:
        draw_curves(self.lines, self.run / "loss.png")
        self.drawn = time.monotonic()


def _duration(seconds: float) -> str:
    """Write a time as hours, minutes and seconds: 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read metrics line by line; a last line cut short by a kill is left out."""
    lines: list[dict[str, float]] = []
    if not path.exists():
        return lines
    for text in path.read_text("utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def draw_curves(lines: list[dict[str, float]], path: Path) -> None:
    """Draw the loss and the IoU by prompt over the steps, averaged over neighbouring steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for key in ("loss",):
        left.plot(*_smooth(lines, key), label=key)
    for key in ("iou_from_point", "iou_best_of_three", "iou_from_box", "iou_round_2"):
        right.plot(*_smooth(lines, key), label=key.removeprefix("iou_").replace("_", " "))
    left.set(xlabel="step", title="loss")
    right.set(xlabel="step", title="IoU on training masks", ylim=(0, 1))
    right.legend(loc="lower right")
    staged = path.with_suffix(".part.png")
    figure.savefig(staged, dpi=100)
    staged.replace(path)


def _smooth(lines: list[dict[str, float]], key: str) -> tuple[list[float], list[float]]:
    points = [(line["step"], line[key]) for line in lines if key in line]
    width = max(1, len(points) // 100)
    groups = [points[i : i + width] for i in range(0, len(points), width)]
    steps, values = (
        [float(np.mean([p[axis] for p in group])) for group in groups] for axis in (0, 1)
    )
    return steps, values
