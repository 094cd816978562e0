"""Write http.md from the interface's own description.

    python docs/write_http.py

A test fails while the page is out of date.
"""

from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "http.md"
HEAD = """# HTTP interface

Written by `docs/write_http.py` from the interface's own description. As JSON it is at
`/api/openapi.json`, and `python -m maskmill.server.openapi` prints it without a server.
[operations.md](operations.md) says how to start one.

- **Coming in.** `POST /api/session` with the token of the link that `maskmill up` printed, or with
  a name and a password, sets a cookie; all other routes want it. "For" says which roles.
- **Changing something** needs the header `Origin` with the server's own address, as browsers send
  it, and bodies are JSON.
- **2xx means that it is on the disk.** A change of a mask carries an `op_id`, and is done once
  however often it is sent; and the version it is based on: if somebody was faster, 409 answers with
  both versions.
- **Errors** are `{"error": "one sentence", "where": ["fields"]}`: 401 not signed in, 403 not with
  this role or not from our page, 404, 409, 413 too large, 421 under another name, 422 not allowed,
  429 and 503 with `Retry-After`, 507 disk full.

"""


def page(told: dict[str, Any]) -> str:
    """Return the whole page."""
    parts = [HEAD]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            parts.append(_route(method.upper(), path, operation))
    parts.append("## Values\n\n")
    parts += [_schema(name, schema) for name, schema in told["components"]["schemas"].items()]
    return "".join(parts).rstrip() + "\n"


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"## {method} {path}", "", operation["description"].strip(), ""]
    lines.append(f"For: {', '.join(operation['x-roles'])}.")
    for each in operation.get("parameters", []):
        need = "required" if each["required"] else "optional"
        lines.append(f"- `{each['name']}` ({each['in']}, {need}): {_type(each['schema'])}")
    body = operation.get("requestBody", {}).get("content", {})
    for kind, content in body.items():
        lines.append(f"- body: {_type(content['schema'])} as {kind}")
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            lines.append(f"- answers {status}{_answer(answer)}")
    return "\n".join(lines) + "\n\n"


def _answer(answer: dict[str, Any]) -> str:
    found = [
        _type(content["schema"]) if content.get("schema") else kind
        for kind, content in answer.get("content", {}).items()
    ]
    return ": " + " or ".join(found) if found else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}", "", schema.get("description", "").strip(), ""]
    required = schema.get("required", [])
    for field, kind in schema.get("properties", {}).items():
        need = "" if field in required else ", optional"
        lines.append(f"- `{field}`: {_type(kind)}{need}")
    return "\n".join(lines) + "\n\n"


def _type(schema: dict[str, Any]) -> str:
    """Say in some words what a value may be."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type(each) for each in schema[key])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    kind = str(schema.get("type", "any JSON"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
        "maxLength": "characters at most",
        "minLength": "characters at least",
    }
    said = [f"{words} {schema[key]:g}" for key, words in bounds.items() if key in schema]
    return kind + (f" ({', '.join(said)})" if said else "")


if __name__ == "__main__":
    from maskmill.server.openapi import described

    PAGE.write_text(page(described()), "utf-8")
