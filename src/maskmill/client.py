"""Ask a served model about images: needs Python and nothing else.

Usage:
    python client.py http://127.0.0.1:8000 part1.jpg part2.jpg

This file is copied into every deployment; change it as you like.
"""

import http.client
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def ask(url: str, image: bytes, timeout: float = 60) -> dict[str, Any]:
    """Return what the model says of one image.

    Args:
        url: Where `maskmill serve-model` listens.
        image: The bytes of an image file.
        timeout: Seconds to wait.

    Returns:
        `masks` (category, certainty, area, COCO run lengths), `passed` (null where nothing is to be
        decided), `findings`, `doubt`, `seconds`.

    Raises:
        RuntimeError: If the server refuses, with its reason, or does not answer.
    """
    try:
        request = urllib.request.Request(url.rstrip("/") + "/predict", data=image, method="POST")
        with urllib.request.urlopen(request, timeout=timeout) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise RuntimeError(_reason(error)) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RuntimeError(f"{url} does not answer: {error}") from error


def _reason(error: urllib.error.HTTPError) -> str:
    """Return the server's reason; a proxy before it answers with a page of its own."""
    try:
        return str(json.load(error)["error"])
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return str(error)


def mask_pixels(segmentation: dict[str, Any]) -> list[list[int]]:
    """Return a mask as rows of 0 and 1, from its COCO run lengths (down the columns)."""
    height, width = segmentation["size"]
    runs: list[int] = []
    number = shift = 0
    for character in segmentation["counts"]:
        value = ord(character) - 48
        number |= (value & 31) << shift
        shift += 5
        if not value & 32:
            number -= (1 << shift) if value & 16 else 0
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    flat = [value for i, run in enumerate(runs) for value in [i % 2] * run]
    return [flat[row::height] for row in range(height)] if width else []


def main() -> int:
    """Print a line per image; 1 if one was not answered."""
    if len(sys.argv) < 3:
        sys.exit("usage: python client.py http://HOST:PORT IMAGE [IMAGE ...]")
    url, *names = sys.argv[1:]
    failed = False
    for name in names:
        try:
            found = ask(url, Path(name).read_bytes())
        except (RuntimeError, OSError) as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr)
            continue
        verdict = {True: "passed", False: "failed", None: "no verdict"}[found["passed"]]
        print(f"{name}: {len(found['masks'])} regions, {verdict}, {found['seconds']:.3f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
