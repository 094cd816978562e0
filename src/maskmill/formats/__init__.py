"""Datasets on disk: files to records and back; knows no model and no store.

`stream_dataset` recognises the form of a file, folder or archive and reads it image by image;
`labelled` holds the records that every form is read into; each `write_*` writes them as one form.
"""

from maskmill.formats.archives import ArchiveLimits, Unpacked, is_archive, unpack
from maskmill.formats.coco import read_coco, stream_coco
from maskmill.formats.coco_writer import write_coco
from maskmill.formats.labelled import (
    Dataset,
    LabelledImage,
    LabelledMask,
    Refused,
    even_sample,
    read_pixels,
)
from maskmill.formats.labelme_writer import write_labelme
from maskmill.formats.parquet import write_parquet
from maskmill.formats.recognise import FORMS, read_dataset, recognise, stream_dataset
from maskmill.formats.sa1b import read_sa1b, stream_sa1b, write_sa1b
from maskmill.formats.sa1b_writer import write_sa1b_folder, write_sa1b_tar, write_webdataset
from maskmill.formats.voc_png_writer import write_voc_png
from maskmill.formats.writing import Written
from maskmill.formats.yolo_writer import write_yolo

__all__ = [
    "FORMS",
    "ArchiveLimits",
    "Dataset",
    "LabelledImage",
    "LabelledMask",
    "Refused",
    "Unpacked",
    "Written",
    "even_sample",
    "is_archive",
    "read_coco",
    "read_dataset",
    "read_pixels",
    "read_sa1b",
    "recognise",
    "stream_coco",
    "stream_dataset",
    "stream_sa1b",
    "unpack",
    "write_coco",
    "write_labelme",
    "write_parquet",
    "write_sa1b",
    "write_sa1b_folder",
    "write_sa1b_tar",
    "write_voc_png",
    "write_webdataset",
    "write_yolo",
]
