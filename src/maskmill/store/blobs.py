"""Files named by their content, behind one small interface over any storage that fsspec knows.

A blob is written whole under another name and renamed, so that whoever sees it sees all of it;
writing the same content twice is one file. Reading checks the hash.
"""

import hashlib
import secrets
from pathlib import Path

import fsspec

from maskmill.durable import sync_folder, write_atomically
from maskmill.errors import NotFound, StoreError


class Blobs:
    """A folder of blobs, local or on object storage.

    Args:
        root: A local folder, or fsspec's URL: `s3://bucket/prefix`, `memory://` ...
    """

    def __init__(self, root: Path | str) -> None:
        url = str(root.absolute()) if isinstance(root, Path) else root
        self._files, self._root = fsspec.core.url_to_fs(url)
        self._local = isinstance(root, Path)

    def put(self, content: bytes) -> str:
        """Keep some bytes, durably; returns their SHA-256, by which they are found again.

        Raises:
            StoreError: If they cannot be written; nothing of them is seen then.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        try:
            if self._files.exists(path):
                return digest
            if self._local:
                _put_local(Path(path), content)
                return digest
            staged = f"{path}.{secrets.token_hex(4)}.part"
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(staged, content)
            self._files.mv(staged, path)
        except OSError as error:
            raise StoreError(
                f"a blob cannot be written to {self._root} ({error.strerror or error}); check the "
                "folder's permissions and the room on its disk"
            ) from error
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes of a blob.

        Raises:
            NotFound: If there is none of that name.
            StoreError: If it is damaged.
        """
        try:
            content: bytes = self._files.cat_file(self._path(digest))
        except FileNotFoundError as error:
            raise NotFound(f"blob {digest} is missing; restore it from a backup") from error
        except OSError as error:
            raise StoreError(f"blob {digest} cannot be read: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise StoreError(f"blob {digest} is damaged; restore it from a backup")
        return content

    def has(self, digest: str) -> bool:
        """Tell whether a blob is there; its content is not looked at."""
        return bool(self._files.exists(self._path(digest)))

    def all(self) -> list[str]:
        """Return the names of all blobs, sorted."""
        if not self._files.exists(self._root):
            return []
        names = (path.rsplit("/", 1)[-1] for path in self._files.find(self._root))
        return sorted(name for name in names if len(name) == 64)

    def remove(self, digest: str) -> None:
        """Remove a blob; one that is not there is gone already."""
        path = self._path(digest)
        if self._files.exists(path):
            self._files.rm_file(path)

    def _path(self, digest: str) -> str:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise NotFound(f"{digest!r} names no blob; a name is 64 hexadecimal digits")
        return f"{self._root}/{digest[:2]}/{digest}"


def _put_local(path: Path, content: bytes) -> None:
    """Write a file whole: several threads may put the same content at once."""
    for folder in (path.parent.parent, path.parent):
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
    write_atomically(path, content)
