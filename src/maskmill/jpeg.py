"""The size of a plain JPEG off its first bytes, in a tenth of the time that opening it takes."""

HEAD = 4096
"""Bytes in which the tables of a JPEG without a thumbnail end."""


def plain_jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Read the size of a JPEG that holds nothing which could turn it or its colours.

    Args:
        head: The file's first `HEAD` bytes, or more.

    Returns:
        (H, W), pixels; None for a JPEG with EXIF, XMP or a colour profile, for one whose tables
        do not end within `head`, and for all that is no JPEG: those are left to Pillow.
    """
    at, size = 2, None
    while head[:2] == b"\xff\xd8" and at + 9 <= len(head) and head[at] == 0xFF:
        kind = head[at + 1]
        if kind == 0xDA:  # here the pixels begin
            return size if size and min(size) > 0 else None
        if kind < 0xC0 or kind in (0xE1, 0xE2) or 0xD0 <= kind <= 0xD9:
            return None
        if kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            size = (int.from_bytes(head[at + 5 : at + 7]), int.from_bytes(head[at + 7 : at + 9]))
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None
