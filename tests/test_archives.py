"""Hostile zips and tars: nothing outside the target, every entry accounted for, the rest there."""

import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from maskmill.errors import DatasetError
from maskmill.formats.archives import ArchiveLimits, is_archive, unpack

BAD_NAMES = [
    "../up.txt", "a/../../up.txt", "a/../b.txt", "/etc/passwd", "C:/x.txt", "C:x.txt", "..\\up.txt",
    "a\\b.txt", "\\\\host\\x", "..", "a/..", "line\nbreak", "", ".", "x" * 300, "a/" * 3000 + "b",
]  # fmt: skip


def zipped(path: Path, entries: list[tuple[Any, bytes]], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out, pytest.MonkeyPatch.context():
        for name, data in entries:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo("placeholder")
            if info is not name:
                info.filename = name  # the constructor would mend it
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, data, **options)
    return path


def tarred(path: Path, entries: list[tuple[Any, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as out:
        for name, data in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.isreg():
                info.size = len(data)
            out.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [zipped, tarred])
def test_hostile_names_are_refused_and_the_rest_unpacked(make: Any, tmp_path: Path) -> None:
    good = [("a/b.txt", b"1"), ("./c.txt", b"2"), ("ü.txt", b"3")]
    names = [name for name in BAD_NAMES if name or make is zipped]
    archive = make(tmp_path / "x", [*good, *((name, b"bad") for name in names), ("last", b"4")])
    target = tmp_path / "deep" / "target"
    done = unpack(archive, target)
    assert files_below(target) == {"a/b.txt": b"1", "c.txt": b"2", "ü.txt": b"3", "last": b"4"}
    assert (done.files, done.size, len(done.refused)) == (4, 4, len(names))
    assert files_below(tmp_path).keys() == {"x", *(f"deep/target/{n}" for n in files_below(target))}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [zipped, tarred])
def test_the_second_of_a_name_is_refused_whatever_its_case(make: Any, tmp_path: Path) -> None:
    entries = [("a.txt", b"1"), ("A.TXT", b"2"), ("a.txt", b"3"), ("./a.txt", b"4")]
    entries += [("\u00fc", b"5"), ("u\u0308", b"6"), ("d", b"7"), ("d/e", b"8")]
    done = unpack(make(tmp_path / "x", entries), tmp_path / "t")
    assert set(files_below(tmp_path / "t").values()) == {b"1", b"5", b"7"}
    assert sum("is taken" in refused.reason for refused in done.refused) == 4
    assert len(done.refused) == 5


def test_links_devices_and_encrypted_entries_in_a_zip_are_refused(tmp_path: Path) -> None:
    entries: list[tuple[Any, bytes]] = [("ok", b"1")]
    for i, kind in enumerate((stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK)):
        info = zipfile.ZipInfo(f"kind{i}")
        info.external_attr = (kind | 0o777) << 16
        entries.append((info, b"/etc/passwd"))
    archive = zipped(tmp_path / "x.zip", [*entries, ("secret", b"2")])
    data = archive.read_bytes()
    at = data.rfind(b"PK\1\2")
    archive.write_bytes(data[: at + 8] + struct.pack("<H", 1) + data[at + 10 :])
    done = unpack(archive, tmp_path / "t")
    assert files_below(tmp_path / "t") == {"ok": b"1"}
    assert ["link or a device" in refused.reason for refused in done.refused] == [True] * 4 + [
        False
    ]
    assert "encrypted" in done.refused[-1].reason


def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path) -> None:
    entries: list[tuple[Any, bytes]] = [("ok", b"1")]
    for kind in (
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
    ):
        info = tarfile.TarInfo(f"kind{kind!r}")
        info.type, info.linkname = kind, "/etc/passwd"
        entries.append((info, b""))
    # A link that is refused cannot be written through either.
    link = tarfile.TarInfo("out")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    archive = tarred(tmp_path / "x.tar", [*entries, (link, b""), ("out/evil", b"2")])
    done = unpack(archive, tmp_path / "t")
    assert files_below(tmp_path / "t") == {"ok": b"1", "out/evil": b"2"}
    assert not (tmp_path / "evil").exists()
    assert len(done.refused) == 6


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_of_every_packing_are_read(mode: str, tmp_path: Path) -> None:
    archive = tarred(tmp_path / "x", [("a", b"1")], mode)
    assert is_archive(archive)
    assert unpack(archive, tmp_path / "t").files == 1


def test_a_bomb_is_refused_and_its_neighbours_unpacked(tmp_path: Path) -> None:
    entries = [("a", b"1"), ("bomb", bytes(30 << 20)), ("b", b"2"), ("small", bytes(1 << 19))]
    done = unpack(zipped(tmp_path / "x.zip", entries), tmp_path / "t")
    assert files_below(tmp_path / "t").keys() == {"a", "b", "small"}
    assert "100 times its size" in done.refused[0].reason


def test_a_packed_tar_that_grows_too_much_ends_there(tmp_path: Path) -> None:
    archive = tarred(
        tmp_path / "x.tgz", [("a", b"1"), ("bomb", bytes(30 << 20)), ("b", b"2")], "w:gz"
    )
    done = unpack(archive, tmp_path / "t")
    assert files_below(tmp_path / "t") == {"a": b"1"}
    assert "it ends here" in done.refused[0].reason


def test_entries_that_share_their_bytes_are_stopped_by_the_whole(tmp_path: Path) -> None:
    """As in the bombs whose every entry is harmless and which share one body."""
    archive = zipped(tmp_path / "x.zip", [("a", bytes(range(256)) * 400)])
    data = archive.read_bytes()
    at = data.rfind(b"PK\1\2")
    end = data.rfind(b"PK\5\6")
    record = data[at:end]
    many = b"".join(record[:-1] + bytes([97 + i % 26]) + b"" for i in range(26))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 26, 26, len(many), at, 0)
    archive.write_bytes(data[:at] + many + tail)
    limits = ArchiveLimits(free_bytes=1000)
    done = unpack(archive, tmp_path / "t", limits)
    assert done.size <= 100 * archive.stat().st_size
    assert done.refused


def test_sizes_that_lie_are_noticed(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", [("a", b"x" * 5000), ("b", b"1")])
    data = bytearray(archive.read_bytes())
    at = data.find(b"PK\1\2")
    struct.pack_into("<L", data, at + 24, 10)  # says 10 bytes, holds 5000
    archive.write_bytes(data)
    done = unpack(archive, tmp_path / "t")
    assert files_below(tmp_path / "t") == {"b": b"1"}
    assert len(done.refused) == 1


def test_limits_on_entries_and_bytes_end_the_unpacking(tmp_path: Path) -> None:
    entries = [(f"{i}", b"12345") for i in range(10)]
    for make in (zipped, tarred):
        archive = make(tmp_path / make.__name__, entries)
        few = unpack(archive, tmp_path / f"few{make.__name__}", ArchiveLimits(max_entries=4))
        assert (few.files, len(few.refused)) == (4, 1)
        small = unpack(archive, tmp_path / f"small{make.__name__}", ArchiveLimits(max_bytes=12))
        assert (small.files, small.size, len(small.refused)) == (2, 10, 1)
    with pytest.raises(DatasetError, match="bytes of names"):
        unpack(tmp_path / "zipped", tmp_path / "t", ArchiveLimits(max_entries=1))


def test_names_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", [("ok", b"1"), ("xy", b"2"), ("zw", b"3")])
    data = archive.read_bytes().replace(b"xy", b"\xff\xfe").replace(b"zw", "ü".encode())
    archive.write_bytes(data)
    done = unpack(archive, tmp_path / "t")
    assert files_below(tmp_path / "t").keys() == {"ok", "ü"}
    assert "not UTF-8" in done.refused[0].reason
    tar = tarred(tmp_path / "x.tar", [("ok", b"1"), ("\udcff\udcfe", b"2")])
    done = unpack(tar, tmp_path / "t2")
    assert files_below(tmp_path / "t2").keys() == {"ok"}
    assert "not UTF-8" in done.refused[0].reason


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"PK\3\4" + b"x" * 99, b"\x1f\x8b\x08 no", b"no"])
def test_what_is_no_archive_is_refused_as_a_whole(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(DatasetError):
        unpack(path, tmp_path / "t")
    assert not is_archive(tmp_path / "gone")


def test_a_tar_that_is_cut_short_keeps_what_was_whole(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "x.tar", [("a", b"1" * 2000), ("b", b"2" * 5000)])
    archive.write_bytes(archive.read_bytes()[:6000])
    done = unpack(archive, tmp_path / "t")
    assert files_below(tmp_path / "t").keys() == {"a"}
    assert len(done.refused) >= 1


def test_archives_inside_stay_files_and_photographs_are_no_archives(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "in.zip", [("x", b"1")])
    outer = zipped(tmp_path / "out.zip", [("in.zip", inner.read_bytes())])
    unpack(outer, tmp_path / "t")
    assert files_below(tmp_path / "t").keys() == {"in.zip"}
    photograph = tmp_path / "a.jpg"
    photograph.write_bytes(b"\xff\xd8\xff" + inner.read_bytes())
    assert is_archive(inner)
    assert not is_archive(photograph)


def test_the_target_must_be_empty(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", [("a", b"1")])
    (tmp_path / "t").mkdir()
    assert unpack(archive, tmp_path / "t").files == 1
    with pytest.raises(DatasetError, match="not empty"):
        unpack(archive, tmp_path / "t")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(DatasetError, match="not empty"):
        unpack(archive, tmp_path / "link")


def test_no_code_of_ours_unpacks_in_another_way() -> None:
    source = Path(__file__).parents[1] / "src"
    for path in source.rglob("*.py"):
        text = path.read_text("utf-8")
        assert "extractall" not in text, path
        if path.name != "archives.py":
            assert ".extract(" not in text, path
            assert "unpack_archive" not in text, path
