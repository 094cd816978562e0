"""Rules are data: what must hold of the regions of a category, and when an image passes.

A rule set is a small JSON file of a declared, versioned form, saved with a project and carried into
what is deployed. Rules of a category are applied in their order (`shaping.py`); decisions are asked
of the result (`verdict.py`). Lengths and areas are pixels of the original image. Nothing here
touches pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from maskmill.durable import write_atomically
from maskmill.errors import ConfigError
from maskmill.scribble.strokes import BACKGROUND

VERSION = 1
BORDER = "border"
"""Named where a category could be: the image's own border."""

Pixels = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Radius = Annotated[int, Meta(ge=1, le=200)]
Share = Annotated[float, Meta(ge=0, le=1)]
Ratio = Annotated[float, Meta(ge=1)]


class _Rule(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="rule", forbid_unknown_fields=True
):
    """What all rules share: their tag, and whether they change shapes or choose regions."""

    shapes: ClassVar[bool] = False
    """Whether it works on the category's pixels; such rules stand before those that split."""


class Confidence(_Rule, frozen=True, kw_only=True, tag="confidence"):
    """Take away pixels of which the classifier is less sure than this."""

    shapes: ClassVar[bool] = True
    threshold: Share


class FillHoles(_Rule, frozen=True, kw_only=True, tag="fill_holes"):
    """Fill holes of up to this area."""

    shapes: ClassVar[bool] = True
    area: Pixels


class Close(_Rule, frozen=True, kw_only=True, tag="close"):
    """Close gaps narrower than twice this radius."""

    shapes: ClassVar[bool] = True
    radius: Radius


class Open(_Rule, frozen=True, kw_only=True, tag="open"):
    """Take away what is narrower than twice this radius."""

    shapes: ClassVar[bool] = True
    radius: Radius


class Smooth(_Rule, frozen=True, kw_only=True, tag="smooth"):
    """Smooth outlines over this radius; areas stay about the same."""

    shapes: ClassVar[bool] = True
    radius: Radius


class Split(_Rule, frozen=True, kw_only=True, tag="split"):
    """Split touching objects, midway between their centres or where the classifier is unsure.

    `distance` looks at shapes alone; `watershed` at the classifier's certainty too.
    """

    method: Literal["distance", "watershed"] = "distance"
    apart: Radius = 5
    """Centres nearer to each other than this belong to one object."""


class Merge(_Rule, frozen=True, kw_only=True, tag="merge"):
    """Make one region of fragments that lie nearer to each other than this."""

    nearer: Radius


class MinArea(_Rule, frozen=True, kw_only=True, tag="min_area"):
    """Take away smaller regions."""

    area: Pixels


class MaxArea(_Rule, frozen=True, kw_only=True, tag="max_area"):
    """Take away larger regions."""

    area: Pixels


class KeepLargest(_Rule, frozen=True, kw_only=True, tag="keep_largest"):
    """Keep only so many regions, the largest."""

    number: Annotated[int, Meta(ge=1)]


class Elongation(_Rule, frozen=True, kw_only=True, tag="elongation"):
    """Keep regions whose length over width lies within these bounds; 1 is round."""

    least: Ratio = 1.0
    most: Ratio | None = None


class Solidity(_Rule, frozen=True, kw_only=True, tag="solidity"):
    """Keep regions that fill so much of their convex hull; 1 has no dents."""

    least: Share = 0.0
    most: Share = 1.0


class Place(_Rule, frozen=True, kw_only=True, tag="place"):
    """Keep or take away regions by what they lie in or touch: a category, or `border`."""

    relation: Literal["inside", "outside", "touching"]
    of: str
    keep: bool = True
    """Whether regions of which this holds are kept, or those of which it does not."""


Rule = (
    Confidence | FillHoles | Close | Open | Smooth | Split | Merge | MinArea | MaxArea | KeepLargest
    | Elongation | Solidity | Place
)  # fmt: skip


class Count(_Rule, frozen=True, kw_only=True, tag="count"):
    """So many regions of a category."""

    category: str
    least: Annotated[int, Meta(ge=0)] = 0
    most: Annotated[int, Meta(ge=0)] | None = None


class AreaShare(_Rule, frozen=True, kw_only=True, tag="area_share"):
    """So much of the image covered by a category."""

    category: str
    least: Share = 0.0
    most: Share = 1.0


class LargestArea(_Rule, frozen=True, kw_only=True, tag="largest_area"):
    """No region of a category larger than this."""

    category: str
    most: Pixels


class Distance(_Rule, frozen=True, kw_only=True, tag="distance"):
    """No region of one category nearer than this to another category, or to `border`."""

    category: str
    of: str
    least: Annotated[float, Meta(ge=0)]


Decision = Count | AreaShare | LargestArea | Distance


class RuleSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of a project.

    Attributes:
        version: Of this form.
        categories: Rules of each category by its name, in the order in which they are applied.
        decisions: An image passes if all of these hold.
    """

    version: int = VERSION
    categories: dict[str, tuple[Rule, ...]] = {}
    decisions: tuple[Decision, ...] = ()

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ConfigError(f"version {self.version} of rules is not known; write {VERSION}")
        for name, rules in self.categories.items():
            _refuse_late_shapes(name, rules)
        for name, rules in self.categories.items():
            for place, rule in enumerate(rules):
                _refuse_crossed(f"rule {place + 1} of {name}", rule)
        for place, decision in enumerate(self.decisions):
            _refuse_crossed(f"decision {place + 1}", decision)

    def for_categories(self, known: tuple[str, ...] | list[str]) -> "RuleSet":
        """Return itself, if all categories it speaks of are known.

        Rules may look at all of them and at `border`. Decisions are asked of regions, which
        background has none of; a distance may be to `border`.

        Raises:
            ConfigError: If one is not: deleted, renamed, misspelt, or without regions.
        """
        for name, rules in self.categories.items():
            _refuse_unknown(name, known)
            for rule in rules:
                if isinstance(rule, Place):
                    _refuse_unknown(rule.of, [*known, BORDER])
        found = [name for name in known if name != BACKGROUND]
        for decision in self.decisions:
            _refuse_unknown(decision.category, found)
            if isinstance(decision, Distance):
                _refuse_unknown(decision.of, [*found, BORDER])
        return self


def read_rules(path: Path) -> RuleSet:
    """Read a rule set from a JSON file.

    Raises:
        ConfigError: If it is missing or not of this form; the message says where in it.
    """
    try:
        return parse_rules(path.read_bytes(), where=str(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path") from error


def parse_rules(text: bytes, *, where: str = "rules") -> RuleSet:
    """Read a rule set from JSON.

    Raises:
        ConfigError: If it is not of this form.

    Example:
        >>> rules = parse_rules(b'{"categories": {"crack": [{"rule": "min_area", "area": 30}]}}')
        >>> rules.categories["crack"][0].area
        30
    """
    try:
        return msgspec.json.decode(text, type=RuleSet)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{where}: {error}; docs/visual-prompting.md lists all rules") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def to_json(rules: RuleSet) -> bytes:
    """Write a rule set as JSON that `parse_rules` reads."""
    return msgspec.json.format(msgspec.json.encode(rules), indent=1) + b"\n"


def write_rules(path: Path, rules: RuleSet) -> None:
    """Write a rule set to a file, whole or not at all."""
    write_atomically(path, to_json(rules))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of rule sets, for editors and other programs."""
    return msgspec.json.schema(RuleSet)


def _refuse_unknown(name: str, allowed: Sequence[str]) -> None:
    if name not in allowed:
        raise ConfigError(
            f"a rule speaks of category {name!r}, which is none of {list(allowed)}; "
            "rename it there or remove the rule"
        )


def _refuse_late_shapes(name: str, rules: tuple[Rule, ...]) -> None:
    parted = next((r for r in rules if isinstance(r, Split | Merge)), None)
    if parted is None:
        return
    for rule in rules[rules.index(parted) :]:
        if rule.shapes:
            raise ConfigError(
                f"{name}: {_tag(rule)} stands after {_tag(parted)}; rules that change shapes come "
                "before those that split or merge, so move it up"
            )


def _refuse_crossed(where: str, rule: Rule | Decision) -> None:
    least, most = getattr(rule, "least", None), getattr(rule, "most", None)
    if least is not None and most is not None and least > most:
        raise ConfigError(f"{where}: least {least} is above most {most}; nothing could be both")


def _tag(rule: Rule) -> str:
    return str(type(rule).__struct_config__.tag)
