"""The values that JSON has, and which schemas have none in common."""

from collections.abc import Mapping
from typing import Any

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")


def is_of(value: Any, name: str) -> bool:
    """Whether a value is of a type."""
    match name:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return is_of(value, "number") and value % 1 == 0  # of infinity that is no number
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def disjoint(one: Any, other: Any) -> bool:
    """Whether it is plain that no value fits both schemas."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return one is False or other is False
    values, more = _values(one), _values(other)
    if values is not None and more is not None:
        return not any(same(a, b) for a in values for b in more)
    types, others = _types_of(one), _types_of(other)
    if types and others and not types & others:
        return True
    lists = [schema.get("required", []) for schema in (one, other)]
    properties, rest = one.get("properties", {}), other.get("properties", {})
    if not all(isinstance(part, list) for part in lists):
        return False
    if not (isinstance(properties, dict) and isinstance(rest, dict)):
        return False
    both = {name for name in lists[0] if isinstance(name, str) and name in lists[1]}
    return (types, others) == ({"object"}, {"object"}) and any(
        disjoint(properties[name], rest[name]) for name in both & properties.keys() & rest.keys()
    )


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema["enum"] if isinstance(schema.get("enum"), list) else None


def same(one: Any, other: Any) -> bool:
    """Whether two values are one; true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _types_of(schema: Mapping[str, Any]) -> set[str]:
    """Types that a value may have; every whole number is a number."""
    given = schema.get("type")
    if given is None:
        values = _values(schema)
        return {next(n for n in TYPES if is_of(v, n) and n != "integer") for v in values or []}
    types = given if isinstance(given, list) else [given]
    return {"number" if name == "integer" else str(name) for name in types}
