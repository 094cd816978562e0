"""Zips and tars from anywhere, unpacked into one folder and nowhere else.

What could write elsewhere, overwrite or fill the disk is refused entry by entry and never repaired:
`../a.jpg` does not become `a.jpg`. The rest is unpacked. Sizes that an archive claims are not
believed; bytes are counted as they come. An archive inside an archive stays a file.
"""

import lzma
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, Protocol, runtime_checkable

from maskmill.errors import DatasetError
from maskmill.formats.checks import short
from maskmill.formats.labelled import Refused

_BLOCK = 1 << 20
_DAMAGE = (
    EOFError, OSError, NotImplementedError, RuntimeError, ValueError, struct.error,
    lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """What an archive may ask for; the first entry beyond a limit on all ends the unpacking."""

    max_entries: int = 500_000
    """Entries, refused ones and folders included."""
    max_bytes: int = 1 << 38
    """Bytes that are written in all."""
    max_ratio: int = 100
    """How many times its packed size an entry, and all together, may grow."""
    free_bytes: int = 1 << 20
    """An entry, or an archive, below this size may grow by any ratio: an empty map is 1:1000."""


@dataclass(frozen=True)
class Unpacked:
    """What came of an archive."""

    files: int
    """Files that were written."""
    size: int
    """Their size together."""
    refused: tuple[Refused, ...]
    """Entries that were not, each with its name and reason."""


@runtime_checkable
class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _TooMuchError(DatasetError):
    """A limit on the whole archive is reached."""


def is_archive(path: Path) -> bool:
    """Tell by its content whether a file is a zip or a tar, packed or not."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
        # `zipfile.is_zipfile` also takes photographs that have a zip behind them.
        return head in (b"PK\3\4", b"PK\5\6") or tarfile.is_tarfile(path)
    except _DAMAGE:
        return False


def unpack(archive: Path, target: Path, limits: ArchiveLimits | None = None) -> Unpacked:
    """Unpack a zip or a tar.

    Args:
        archive: The file.
        target: A folder that is empty or not there yet, so that nothing in it can lead out of it.
        limits: What it may ask for; the defaults if not given.

    Returns:
        How much was written, and what was refused: names that are absolute, climb, hold a
        backslash, a drive or what is not UTF-8, and names that differ from an earlier one in case
        only; links, devices, encrypted entries, bombs, and damaged entries.

    Raises:
        DatasetError: If it is no archive, is damaged as a whole, or `target` is not empty.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise DatasetError(f"{target} is not empty; unpack into a new folder")
    try:
        with archive.open("rb") as file:
            head = file.read(4)
            size = archive.stat().st_size
            job = _Unpacking(archive, target, limits or ArchiveLimits(), size)
            target.mkdir(parents=True, exist_ok=True)
            if head in (b"PK\3\4", b"PK\5\6"):
                job.zip(file)
            else:
                file.seek(0)
                job.tar(file)
    except tarfile.ReadError as error:
        raise DatasetError(f"{archive} is no zip and no tar ({short(str(error))})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{archive} says of a name that it is UTF-8, but it is not") from error
    except _DAMAGE as error:
        raise DatasetError(f"{archive} is damaged: {short(str(error))}") from error
    return Unpacked(job.files, job.written, tuple(job.refused))


@dataclass
class _Unpacking:
    archive: Path
    target: Path
    limits: ArchiveLimits
    size: int
    files: int = 0
    written: int = 0
    entries: int = 0
    refused: list[Refused] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def zip(self, file: BinaryIO) -> None:
        self.check_directory(file)
        with zipfile.ZipFile(file) as packed:
            for info in packed.infolist():
                if not self.entry(info.orig_filename, partial(self.zipped, packed, info)):
                    return

    def tar(self, file: BinaryIO) -> None:
        # Read as a stream: no seeking, so no two entries can share their bytes.
        with tarfile.open(fileobj=file, mode="r|*", errorlevel=1) as packed:
            while True:
                try:
                    member = packed.next()
                except _DAMAGE as error:
                    if not self.entries:
                        raise
                    self.refuse(
                        f"after entry {self.entries}", f"damaged or cut short: {short(str(error))}"
                    )
                    return
                if member is None:
                    return
                vars(packed)["members"] = []  # else a million headers stay in memory
                if not self.entry(member.name, partial(self.tarred, packed, member)):
                    return

    def entry(self, name: str, unpack_it: Callable[[], None]) -> bool:
        """Unpack one entry or refuse it; False when the archive has had its share."""
        self.entries += 1
        try:
            if self.entries > self.limits.max_entries:
                raise _TooMuchError(f"more than {self.limits.max_entries} entries; it ends here")
            unpack_it()
        except _TooMuchError as error:
            self.refuse(name, str(error))
            return False
        except DatasetError as error:
            self.refuse(name, str(error))
        except _DAMAGE as error:  # zipfile shows whole kilobytes of what it did not expect
            self.refuse(name, short(str(error)) if str(error) else type(error).__name__)
        return True

    def refuse(self, name: str, reason: str) -> None:
        self.refused.append(Refused(self.archive, f"{short(name)}: {reason}"))

    def zipped(self, packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.orig_filename.endswith("/") or kind == stat.S_IFDIR:
            return
        if kind not in (0, stat.S_IFREG):
            raise DatasetError("a link or a device, no file")
        if info.flag_bits & 1:
            raise DatasetError("encrypted; unpack it with its password first")
        path = self.place(_zip_name(info))
        self.check_growth(info.file_size, info.compress_size, "it")
        with packed.open(info) as source:
            self.write(path, source, info.compress_size)

    def tarred(self, packed: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if member.isdir():
            return
        if not member.isreg() or member.issparse():
            raise DatasetError("a link, a device or a file with gaps, no plain file")
        path = self.place(member.name)
        source = packed.extractfile(member)
        if source is None:
            raise DatasetError("nothing in it")
        self.write(path, source, None)

    def place(self, name: str) -> Path:
        """Check a name and return where it goes."""
        if "\0" in name or any(ord(c) < 32 for c in name):
            raise DatasetError("its name holds control characters")
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DatasetError("its name is not UTF-8") from error
        if "\\" in name or name.startswith("/") or PureWindowsPath(name).drive:
            raise DatasetError("its name is absolute, or holds a backslash or a drive")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts or not parts:
            raise DatasetError("its name leads out of the folder")
        # On other file systems `A.jpg` would overwrite `a.jpg`, and both spellings of an umlaut.
        key = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if key in self.seen:
            raise DatasetError("its name is taken by an earlier entry")
        self.seen.add(key)
        return self.target.joinpath(*parts)

    def write(self, path: Path, source: _Readable, packed_size: int | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        try:
            with path.open("xb") as out:
                while block := source.read(_BLOCK):
                    written += len(block)
                    if self.written + written > self.limits.max_bytes:
                        raise _TooMuchError(
                            f"more than {self.limits.max_bytes} bytes; it ends here"
                        )
                    if packed_size is not None:
                        self.check_growth(written, packed_size, "it")
                    try:
                        self.check_growth(self.written + written, self.size, "the archive")
                    except DatasetError as error:
                        raise _TooMuchError(f"{error}; it ends here") from error
                    out.write(block)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self.files, self.written = self.files + 1, self.written + written

    def check_growth(self, unpacked: int, packed: int, what: str) -> None:
        limit = max(self.limits.free_bytes, packed * self.limits.max_ratio)
        if unpacked > limit:
            raise DatasetError(f"{what} grows to more than {self.limits.max_ratio} times its size")

    def check_directory(self, file: BinaryIO) -> None:
        """Refuse a zip whose list of contents would fill memory before anything can be refused."""
        tail_at = max(0, self.size - (1 << 16) - 22)
        file.seek(tail_at)
        tail = file.read()
        end = tail.rfind(b"PK\5\6")
        if end < 0 or len(tail) - end < 22:
            raise DatasetError(f"{self.archive} is damaged: a zip without its end")
        length = struct.unpack_from("<L", tail, end + 12)[0]
        big = tail.rfind(b"PK\6\6", 0, end)
        if length == 0xFFFFFFFF and big >= 0 and end - big >= 56:
            length = struct.unpack_from("<Q", tail, big + 40)[0]
        most = 128 * self.limits.max_entries
        if length > most:
            raise DatasetError(f"{self.archive} lists {length} bytes of names; {most} are allowed")
        file.seek(0)


def _zip_name(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x800 or info.orig_filename.isascii():
        return info.orig_filename
    # Without the mark for UTF-8 `zipfile` reads cp437; tools forget the mark more often than not.
    try:
        return info.orig_filename.encode("cp437").decode()
    except UnicodeError as error:
        raise DatasetError("its name is not UTF-8") from error
