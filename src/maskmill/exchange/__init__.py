"""Datasets into a project and out of it: joins `formats`, which knows no store, and `store`."""

from maskmill.exchange.exporting import WRITERS, Chosen, export_dataset, labelled_images
from maskmill.exchange.importing import Imported, import_dataset, import_labelled

__all__ = [
    "WRITERS",
    "Chosen",
    "Imported",
    "export_dataset",
    "import_dataset",
    "import_labelled",
    "labelled_images",
]
