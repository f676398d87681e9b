"""JSON Schema (draft 2020-12) as a grammar: what it allows can be written, and nothing else.

Properties are written in the schema's order. Where a schema does not say whether others may stand
beside them, none do. What cannot be told while a text is being written (`not`, `uniqueItems`, …) is
refused, and so is a schema that no value fits; annotations are passed over.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from groundup.core.errors import InputError
from groundup.infer.grammar import json_text as text
from groundup.infer.grammar.expression import (
    EMPTY,
    NEVER,
    Expression,
    Grammar,
    Repeat,
    Rule,
    concat,
    either,
    literal,
    productive,
)
from groundup.infer.grammar.formats import format_of
from groundup.infer.grammar.numbers import INTEGER, NUMBER, Bound, integers, numbers
from groundup.infer.grammar.regex import parse_regex

Schema = Mapping[str, Any] | bool

_REFUSED = {
    *("not", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies"),
    *("patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems"),
    *("contains", "minContains", "maxContains", "uniqueItems", "multipleOf"),
    *("minProperties", "maxProperties", "additionalItems"),
    *("$dynamicRef", "$recursiveRef"),
}
_OF_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
}
_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_RULES = {
    "type",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    *set().union(*_OF_TYPE.values()),
}
_DEEPEST = 64
_MOST = 1 << 16


def json_grammar(schema: Schema) -> Grammar:
    """The texts of the values that a schema allows, or some of them.

    Raises `InputError` for what is no schema, what cannot be kept to, and where no value fits.
    """
    grammar = productive(_Reader(schema).grammar())
    if grammar is None:
        raise InputError("no value fits the schema: its rules contradict each other.")
    return grammar


def object_grammar() -> Grammar:
    """The texts of all objects."""
    return Grammar(text.OBJECT, text.RULES)


class _Reader:
    """at: where in the schema something stands, as a JSON pointer."""

    def __init__(self, schema: Schema):
        self._whole = schema
        self._rules: dict[str, Expression] = dict(text.RULES)
        self._parts = 0

    def grammar(self) -> Grammar:
        root = self._any(self._whole, "#", 0)
        return Grammar(root, self._rules)

    def _any(self, schema: Any, at: str, depth: int) -> Expression:
        """The values of one schema."""
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST:
            raise InputError(f"the schema is too large or too deep at {at}: make it simpler.")
        if isinstance(schema, bool):
            return text.VALUE if schema else NEVER
        if not isinstance(schema, dict):
            raise InputError(f"{at} is no schema: give an object, or true or false.")
        for keyword in sorted(_REFUSED & schema.keys()):
            if schema[keyword] not in (False, None):
                raise InputError(f"{at}/{keyword} cannot be kept to: leave it out.")
        rules = _RULES & schema.keys()
        if "$ref" in rules:
            self._alone("$ref", rules, at)
            return self._reference(schema["$ref"], at)
        if "const" in rules:
            self._alone("const", rules - {"type"}, at)
            return self._constants([schema["const"]], schema, at)
        if "enum" in rules:
            self._alone("enum", rules - {"type"}, at)
            return self._constants(_list(schema["enum"], f"{at}/enum"), schema, at)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in rules:
                self._alone(keyword, rules - {"type"}, at)
                return self._several(keyword, schema, at, depth)
        types = self._types(schema, at)
        return either(self._of_type(name, schema, at, depth) for name in types)

    def _alone(self, keyword: str, rules: Iterable[str], at: str) -> None:
        for other in sorted(set(rules) - {keyword}):
            raise InputError(f"{at}: {keyword} and {other} cannot be kept to together: leave one.")

    def _types(self, schema: Mapping[str, Any], at: str) -> list[str]:
        given = schema.get("type")
        if given is None:
            meant = [name for name, words in _OF_TYPE.items() if words & schema.keys()]
            return meant or ["object", "array", "string", "number", "boolean", "null"]
        types = given if isinstance(given, list) else [given]
        for name in types:
            if name not in _TYPES:
                raise InputError(f"{at}/type: {name!r} is no type: use one of {', '.join(_TYPES)}.")
        return types

    def _of_type(self, name: str, schema: Mapping[str, Any], at: str, depth: int) -> Expression:
        match name:
            case "object":
                return self._object(schema, at, depth)
            case "array":
                return self._array(schema, at, depth)
            case "string":
                return self._string(schema, at)
            case "integer":
                bounds = _bounds(schema, at)
                return INTEGER if bounds == (None, None) else integers(*bounds)
            case "number":
                bounds = _bounds(schema, at)
                return NUMBER if bounds == (None, None) else numbers(*bounds)
            case "boolean":
                return either([literal("true"), literal("false")])
            case _:
                return literal("null")

    def _reference(self, reference: Any, at: str) -> Expression:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise InputError(f"{at}/$ref: only what stands in the schema itself is known: #/….")
        name = f"$ref {reference}"
        if name not in self._rules:
            self._rules[name] = NEVER  # known from here on, if it calls itself
            self._rules[name] = self._any(self._found(reference, at), reference, 0)
        return Rule(name)

    def _found(self, reference: str, at: str) -> Any:
        """What a JSON pointer (RFC 6901) points to."""
        found: Any = self._whole
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                raise InputError(f"{at}/$ref: there is no {reference}.")
        return found

    def _constants(self, values: list[Any], schema: Mapping[str, Any], at: str) -> Expression:
        types = self._types(schema, at) if "type" in schema else None
        kept = [v for v in values if types is None or any(_is(v, name) for name in types)]
        return text.constants(kept)

    def _several(self, keyword: str, schema: Mapping[str, Any], at: str, depth: int) -> Expression:
        """One of several schemas, or, where there is only one, that."""
        schemas = _list(schema[keyword], f"{at}/{keyword}")
        if keyword == "allOf" and len(schemas) > 1:
            raise InputError(f"{at}/allOf: several cannot be kept to together: write one schema.")
        if "type" in schema:
            schemas = [_with_type(one, schema["type"]) for one in schemas]
        if keyword == "oneOf":
            self._apart(schemas, at)
        return either(
            self._any(one, f"{at}/{keyword}/{i}", depth + 1) for i, one in enumerate(schemas)
        )

    def _apart(self, schemas: list[Any], at: str) -> None:
        """`oneOf` is `anyOf` where no value fits two of the schemas."""
        resolved = [self._resolved(one, at) for one in schemas]
        for i, one in enumerate(resolved):
            if not all(_disjoint(one, other) for other in resolved[:i]):
                raise InputError(
                    f"{at}/oneOf: a value may fit two of the schemas: give them different types, "
                    "or a required property with different constants; or write anyOf."
                )

    def _resolved(self, schema: Any, at: str) -> Any:
        steps = 0
        while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and steps < _DEEPEST:
            schema, steps = self._found(schema["$ref"], at), steps + 1
        return schema

    def _string(self, schema: Mapping[str, Any], at: str) -> Expression:
        least, most = _count(schema, "minLength", at) or 0, _count(schema, "maxLength", at)
        pattern, form = schema.get("pattern"), None
        if isinstance(schema.get("format"), str):
            form = format_of(schema["format"])
        if (pattern is not None) + (form is not None) + bool(least or most is not None) > 1:
            raise InputError(
                f"{at}: of pattern, format and lengths only one can be kept to: leave the others."
            )
        if pattern is not None:
            if not isinstance(pattern, str):
                raise InputError(f"{at}/pattern is no string.")
            return text.quoted(parse_regex(pattern, text.spelled, inside=True))
        if form is not None:
            return form
        if most is not None and most < least:
            return NEVER
        return text.quoted(Repeat(text.CHARACTER, least, most))

    def _array(self, schema: Mapping[str, Any], at: str, depth: int) -> Expression:
        least, most = _count(schema, "minItems", at) or 0, _count(schema, "maxItems", at)
        first = _list(schema.get("prefixItems", []), f"{at}/prefixItems")
        first = [self._any(one, f"{at}/prefixItems/{i}", depth + 1) for i, one in enumerate(first)]
        rest = self._any(schema.get("items", True), f"{at}/items", depth + 1)
        if most is not None and most < least:
            return NEVER
        if not first:
            return text.repeated("[", rest, "]", least, most)
        # Those that are named come first; an array may end after each, if it is long enough.
        more = None if most is None else max(0, most - len(first))
        ending = Repeat(concat(text.COMMA, rest), max(0, least - len(first)), more)
        for i in range(len(first) - 1, -1, -1):
            if most is not None and i >= most:
                ending = EMPTY
                continue
            follows = concat(text.COMMA if i else EMPTY, first[i], ending)
            ending = follows if least > i else either([EMPTY, follows])
        return concat(literal("["), text.SPACE, ending, text.SPACE, literal("]"))

    def _object(self, schema: Mapping[str, Any], at: str, depth: int) -> Expression:
        properties = schema.get("properties", {})
        required = _list(schema.get("required", []), f"{at}/required")
        if not isinstance(properties, dict):
            raise InputError(f"{at}/properties is no object.")
        others = schema.get("additionalProperties", not properties)
        members = {
            name: self._any(one, f"{at}/properties/{name}", depth + 1)
            for name, one in properties.items()
        }
        other = NEVER
        if others is not False or set(required) - members.keys():
            allowed = schema.get("additionalProperties", True)
            other = self._any(allowed, f"{at}/additionalProperties", depth + 1)
        for name in required:
            if not isinstance(name, str):
                raise InputError(f"{at}/required: {name!r} is no name of a property.")
            members.setdefault(name, other)
        more = NEVER
        if others is not False:
            more = concat(text.other_string([*members]), text.SPACE_COLON, other)
        return _members(members, set(required), more)


def _members(members: Mapping[str, Expression], required: set[str], more: Expression) -> Expression:
    """An object: members in order, those that are required; then any number of other ones."""
    begun: Expression = Repeat(concat(text.COMMA, more), 0, None)  # when a member stands before
    fresh: Expression = either([EMPTY, concat(more, begun)])
    for name, value in reversed(list(members.items())):
        member = concat(text.constants([name]), text.SPACE_COLON, value)
        with_it = concat(member, begun)
        comma_with_it = concat(text.COMMA, with_it)
        if name in required:
            begun, fresh = comma_with_it, with_it
        else:
            begun, fresh = either([comma_with_it, begun]), either([with_it, fresh])
    return concat(literal("{"), text.SPACE, fresh, text.SPACE, literal("}"))


def _bounds(schema: Mapping[str, Any], at: str) -> tuple[Bound | None, Bound | None]:
    """The lower and the upper one, and whether they are meant, too."""
    found: dict[str, Decimal] = {}
    for name in _OF_TYPE["number"] & schema.keys():
        value = schema[name]
        if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e15:
            raise InputError(f"{at}/{name} is no number between -10^15 and 10^15.")
        found[name] = Decimal(str(value))
    lows = [(found[k], k == "minimum") for k in ("minimum", "exclusiveMinimum") if k in found]
    highs = [(found[k], k == "maximum") for k in ("maximum", "exclusiveMaximum") if k in found]
    low = max(lows, key=lambda bound: (bound[0], not bound[1]), default=None)
    high = min(highs, key=lambda bound: (bound[0], bound[1]), default=None)
    return low, high


def _count(schema: Mapping[str, Any], name: str, at: str) -> int | None:
    value = schema.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or value != int(value) or not 0 <= value <= _MOST:
        raise InputError(f"{at}/{name} is no whole number between 0 and {_MOST:,}.")
    return int(value)


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{at} is no list.")
    return value


def _with_type(schema: Any, types: Any) -> Any:
    """A schema of several, where the type stands beside them."""
    return (
        {"type": types, **schema} if isinstance(schema, dict) and "$ref" not in schema else schema
    )


def _is(value: Any, name: str) -> bool:
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
            return isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _disjoint(one: Any, other: Any) -> bool:
    """Whether it is plain that no value fits both."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return one is False or other is False
    values, more = _values(one), _values(other)
    if values is not None and more is not None:
        return not any(_same(a, b) for a in values for b in more)
    types, others = _type_set(one), _type_set(other)
    if types and others and not types & others:
        return True
    both = set(one.get("required", [])) & set(other.get("required", []))
    properties, rest = one.get("properties", {}), other.get("properties", {})
    return (types, others) == ({"object"}, {"object"}) and any(
        _disjoint(properties[name], rest[name]) for name in both & properties.keys() & rest.keys()
    )


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema["enum"] if isinstance(schema.get("enum"), list) else None


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _type_set(schema: Mapping[str, Any]) -> set[str]:
    """Types that a value may have; every whole number is a number."""
    given = schema.get("type")
    if given is None:
        values = _values(schema)
        return {next(n for n in _TYPES if _is(v, n) and n != "integer") for v in values or []}
    types = given if isinstance(given, list) else [given]
    return {"number" if name == "integer" else str(name) for name in types}
