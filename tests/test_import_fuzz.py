"""Damaged datasets of every form: read as far as they are sound, refused in words otherwise.

The fuzz runs a fixed number of cases; MASKMILL_FUZZ_SECONDS=60 makes it run that long instead.
"""

import itertools
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from import_damage import copied, damage, read_damaged, write_every_form

from maskmill.errors import MaskmillError
from maskmill.exchange import import_dataset
from maskmill.store import Project
from maskmill.store.verify import verify

CASES = 1000
IMPORTED = 10
"""Every so many cases, what can be read is brought into a project too."""


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged photographs, rightly
def test_damaged_datasets_come_in_as_far_as_they_are_sound(tmp_path: Path) -> None:
    seconds = float(os.environ.get("MASKMILL_FUZZ_SECONDS", "0"))
    forms = write_every_form(tmp_path / "whole")
    rng, begin, slowest, read, case = random.Random(4), time.monotonic(), 0.0, 0, 0
    with Project.create(tmp_path / "project") as project:
        for case in itertools.count(1):
            name = rng.choice(list(forms))
            source = copied(forms[name], tmp_path / "case" / str(case))
            done = damage(source if source.is_dir() else source.parent, rng)
            start = time.process_time()
            try:
                read += bool(read_damaged(source, tmp_path / "room" / str(case))[0])
                if case % IMPORTED == 0:
                    import_damaged(project, source)
            except Exception as error:
                error.add_note(f"case {case}, {name}, {done}")
                raise
            slowest = max(slowest, time.process_time() - start)
            if case % IMPORTED:
                shutil.rmtree(source if source.is_dir() else source.parent)
            if time.monotonic() - begin > seconds if seconds else case == CASES:
                break
        assert not list(verify(project, files=False))
    # Both sides of the gate must have been tried, or the fuzz says nothing.
    assert min(read, case - read) > case / 10
    print(f"{case} cases, {read} of them read, slowest {slowest * 1e3:.0f} ms")


def import_damaged(project: Project, source: Path) -> None:
    before = project.images.count()
    try:
        report = import_dataset(project, source, by="fuzz")
    except MaskmillError:
        return
    assert report.images == project.images.count() - before


@pytest.mark.parametrize("name", ["coco", "sa1b", "yolo", "labelme", "voc_png", "parquet", "tar",
                                  "webdataset", "zip", "cvat", "datumaro"])  # fmt: skip
def test_undamaged_they_all_come_in(name: str, tmp_path: Path) -> None:
    """Negative control: what the fuzz damages is sound, so refusals come from the damage."""
    source = write_every_form(tmp_path / "whole")[name]
    images, why = read_damaged(source, tmp_path / "room")
    assert (images >= 1, why) == (True, "")
