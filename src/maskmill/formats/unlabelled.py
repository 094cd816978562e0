"""A folder of photographs without labels: what a labelling project begins with."""

from collections.abc import Iterator
from pathlib import Path

from maskmill.drawn import photographs
from maskmill.errors import DatasetError
from maskmill.formats.labelled import Dataset, LabelledImage, Refused, collected
from maskmill.formats.photograph import require_header


def read_folder(folder: Path) -> Dataset:
    """Read a folder of photographs; `stream_folder` as a whole."""
    return collected(stream_folder(folder))


def stream_folder(folder: Path, images: Path | None = None) -> Iterator[LabelledImage | Refused]:
    """Read a folder of photographs, subfolders included, in the order of their names.

    Pictures that maskmill drew of photographs are passed over.

    Args:
        folder: The folder.
        images: Look here instead; all forms can be told so.

    Yields:
        The images, without a mask, and files that have a photograph's ending but are none.

    Raises:
        NotFound: If there is no such folder.
        DatasetError: If it holds no photograph.
    """
    folder = images or folder
    found = photographs(folder)
    if not found:
        raise DatasetError(f"{folder} holds no photograph")
    for path in found:
        try:
            header = require_header(path)
        except DatasetError as error:
            yield Refused(path, str(error))
            continue
        yield LabelledImage(
            image_id=path.relative_to(folder).as_posix(),
            path=path,
            size=header.size,
            source=path.absolute().parent.name,
        )
