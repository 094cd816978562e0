"""Prints the description of the interface: `python -m maskmill.server.openapi > openapi.json`."""

import json
from typing import Any

from maskmill.server.app import create_app


def described() -> dict[str, Any]:
    """Return the OpenAPI description of all routes, without a project."""
    return create_app(None).openapi()


if __name__ == "__main__":
    print(json.dumps(described(), indent=1))
