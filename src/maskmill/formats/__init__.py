"""Datasets on disk: files to records and back; knows no model and no store.

`read_dataset` recognises the form; `labelled` holds the records that every form is read into.
"""

from maskmill.formats.coco import read_coco, stream_coco
from maskmill.formats.labelled import (
    Dataset,
    LabelledImage,
    LabelledMask,
    Refused,
    even_sample,
    read_pixels,
)
from maskmill.formats.recognise import read_dataset
from maskmill.formats.sa1b import read_sa1b, stream_sa1b, write_sa1b

__all__ = [
    "Dataset",
    "LabelledImage",
    "LabelledMask",
    "Refused",
    "even_sample",
    "read_coco",
    "read_dataset",
    "read_pixels",
    "read_sa1b",
    "stream_coco",
    "stream_sa1b",
    "write_sa1b",
]
