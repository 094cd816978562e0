"""Brings a folder into the project while people already work in it; the first image at once."""

import getpass
import logging
import threading
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from maskmill.exchange import import_labelled
from maskmill.formats import LabelledImage, Refused
from maskmill.formats.recognise import stream_dataset
from maskmill.server.service import Service

FIRST = 1
"""Images that are written and embedded before the others are looked at."""
AT_ONCE = 50
"""Images between two words to the browsers, and between two looks whether to stop."""
log = logging.getLogger("maskmill.server")


def ingest(service: Service, folder: Path, stop: threading.Event) -> None:
    """Add the images of a folder, with their masks where they have some.

    Run again, it adds what is missing. The images stay where they are.

    Args:
        service: Whose project.
        folder: A folder of images, or a dataset in a known form.
        stop: Set to end early; the rest comes the next time.

    Raises:
        DatasetError: If the folder holds no image.
    """
    items = stream_dataset(folder, None, None, unpack_into=service.project.folder / "imports")
    for some in chain([list(islice(items, FIRST))], _parts(items)):
        if stop.is_set():
            return
        report = import_labelled(
            service.project, some, name=str(folder.absolute()), by=getpass.getuser()
        )
        for each in report.refused:
            log.warning("left out: %s: %s", each.path, each.reason)
        service.embedder.more()
        service.scribbler.more()
        service.events.tell("progress", images=service.project.images.count(), embedded=None)


def _parts(items: Iterator[LabelledImage | Refused]) -> Iterator[list[LabelledImage | Refused]]:
    while some := list(islice(items, AT_ONCE)):
        yield some
