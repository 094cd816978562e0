"""A model's configuration as the JSON of its card, and back; exact both ways.

A card may come from anywhere, so every value is checked against the annotation of its field in
`maskmill.config`, and what no annotation allows is refused by name.
"""

import dataclasses
import types
import typing
from typing import Any

from maskmill.config import ModelConfig, TinyConfig, VitConfig
from maskmill.errors import CheckpointError

ENCODERS = {"vit": VitConfig, "tiny": TinyConfig}
MAX_INTEGER = 65_536  # of any size in a configuration; a damaged card must not ask for the moon


def config_to_json(config: ModelConfig) -> dict[str, Any]:
    """Turn a configuration into what JSON can hold; `config_from_json` is its inverse.

    Example:
        >>> import json
        >>> from maskmill.config import TINY
        >>> config_from_json(json.loads(json.dumps(config_to_json(TINY)))) == TINY
        True
    """
    kind = next(name for name, cls in ENCODERS.items() if type(config.encoder) is cls)
    fields = dataclasses.asdict(config)
    return {**fields, "encoder": {"kind": kind, **fields["encoder"]}}


def config_from_json(settings: dict[str, Any]) -> ModelConfig:
    """Turn `config_to_json`'s answer, read back from a file, into the configuration.

    Fields that are missing take their default, so that cards written before a field existed load.

    Raises:
        CheckpointError: If a field is unknown, of the wrong kind, or missing without a default.
    """
    config: ModelConfig = _parse(ModelConfig, settings, "config")
    return config


def _parse(kind: Any, value: Any, where: str) -> Any:
    """Check a JSON value against an annotation of `maskmill.config`, and convert it."""
    if isinstance(kind, types.UnionType) and isinstance(value, dict):
        fields = dict(value)
        encoder = fields.pop("kind", None)
        if isinstance(encoder, str) and encoder in ENCODERS:
            return _parse(ENCODERS[encoder], fields, where)
        raise CheckpointError(
            f"the card's {where}.kind is {encoder!r}; known: {', '.join(ENCODERS)}"
        )
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _parse_record(kind, value, where)
    if typing.get_origin(kind) is tuple and isinstance(value, list | tuple):
        kinds = typing.get_args(kind)
        kinds = kinds[:1] * len(value) if kinds[-1] is ... else kinds
        if len(kinds) == len(value):
            return tuple(_parse(k, v, where) for k, v in zip(kinds, value, strict=True))
    if kind is float and type(value) in (int, float):
        return float(value)
    if type(value) is kind and (kind is not int or 0 <= value <= MAX_INTEGER):
        return value
    raise CheckpointError(f"the card's {where} is {value!r}; expected {kind}")


def _parse_record(kind: Any, value: dict[str, Any], where: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    if unknown := value.keys() - fields:
        raise CheckpointError(
            f"the card's {where} has unknown fields {', '.join(sorted(unknown))}; "
            "a newer maskmill may have written it: upgrade and try again"
        )
    for name, field in fields.items():
        required = (field.default, field.default_factory) == (dataclasses.MISSING,) * 2
        if required and name not in value:
            raise CheckpointError(f"the card's {where} lacks {name}")
    return kind(**{name: _parse(hints[name], v, f"{where}.{name}") for name, v in value.items()})
