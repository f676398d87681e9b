"""JSON Schema (draft 2020-12) as a grammar: what it allows can be written, and nothing else.

Properties are written in the schema's order. Where a schema does not say whether others may stand
beside them, none do. What cannot be told while a text is being written (`not`, `uniqueItems`, …) is
refused, and so is a schema that no value fits; annotations are passed over.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

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
    optional,
    productive,
)
from groundup.infer.grammar.formats import format_of
from groundup.infer.grammar.numbers import INTEGER, NUMBER, Bound, integers, numbers
from groundup.infer.grammar.regex import parse_regex
from groundup.infer.grammar.values import TYPES, disjoint, is_of, same

Schema = Mapping[str, Any] | bool

# What cannot be kept to, and what it may be all the same, as that means nothing.
_REFUSED: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("not",), (False,)),
    **dict.fromkeys(("if", "then", "else", "$dynamicRef", "$recursiveRef"), ()),
    **dict.fromkeys(("dependentSchemas", "dependentRequired", "dependencies"), ({},)),
    **dict.fromkeys(("patternProperties",), ({},)),
    **dict.fromkeys(("propertyNames", "unevaluatedProperties", "unevaluatedItems"), (True, {})),
    **dict.fromkeys(("contains", "maxContains", "maxProperties", "additionalItems"), ()),
    **dict.fromkeys(("minContains", "minProperties"), (0,)),
    "uniqueItems": (False,),
    "multipleOf": (),
}
_OF_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
}
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
_MOST = 1 << 14  # parts of a schema, and what is counted in it
_MOST_NAMED = 1 << 13  # bytes of names from which those of other properties must differ
_LARGEST, _FINEST = 1e15, 12  # of bounds: the size, and the digits behind the point


def json_grammar(schema: Schema) -> Grammar:
    """The texts of the values that a schema allows, or some of them.

    Raises `InputError` for what is no schema, what cannot be kept to, and where no value fits.
    """
    try:
        grammar = productive(_Reader(schema).grammar())
    except RecursionError as error:
        raise InputError("the schema is nested too deeply: make it simpler.") from error
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
        self._called: list[str] = []  # references whose rules are still to be read
        self._parts = self._named = 0

    def grammar(self) -> Grammar:
        root = self._any(self._whole, "#", 0)
        while self._called:
            reference = self._called.pop()
            found = self._found(reference, reference)
            self._rules[f"$ref {reference}"] = self._any(found, reference, 0)
        return Grammar(root, self._rules)

    def _rule(self, expression: Expression) -> Expression:
        """The same by a name: what stands in several places is read once."""
        if isinstance(expression, Rule) or expression is NEVER:
            return expression
        name = f"rule {len(self._rules)}"
        self._rules[name] = expression
        return Rule(name)

    def _any(self, schema: Any, at: str, depth: int) -> Expression:
        """The values of one schema."""
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST:
            raise InputError(f"the schema is too large or too deep at {at}: make it simpler.")
        if isinstance(schema, bool):
            return text.VALUE if schema else NEVER
        if not isinstance(schema, dict):
            raise InputError(f"{at} is no schema: give an object, or true or false.")
        for keyword in sorted(_REFUSED.keys() & schema.keys()):
            if not any(same(schema[keyword], nothing) for nothing in _REFUSED[keyword]):
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
            if name not in TYPES:
                shown = str(name)[:40]
                raise InputError(f"{at}/type: {shown!r} is no type: use one of {', '.join(TYPES)}.")
        return list(dict.fromkeys(types))

    def _of_type(self, name: str, schema: Mapping[str, Any], at: str, depth: int) -> Expression:
        match name:
            case "object":
                return self._rule(self._object(schema, at, depth))
            case "array":
                return self._rule(self._array(schema, at, depth))
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
        self._found(reference, at)
        name = f"$ref {reference}"
        if name not in self._rules:
            self._rules[name] = NEVER  # until it is its turn
            self._called.append(reference)
        return Rule(name)

    def _found(self, reference: Any, at: str) -> Any:
        """What a JSON pointer (RFC 6901) in a reference points to."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise InputError(f"{at}/$ref: only what stands in the schema itself is known: #/….")
        found: Any = self._whole
        for step in unquote(reference[1:]).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            number = int(key) if key.isdecimal() and len(key) < 9 else None
            if isinstance(found, list) and number is not None and number < len(found):
                found = found[number]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                raise InputError(f"{at}/$ref: there is no {reference[:80]}.")
        return found

    def _constants(self, values: list[Any], schema: Mapping[str, Any], at: str) -> Expression:
        types = self._types(schema, at) if "type" in schema else None
        kept = [v for v in values if types is None or any(is_of(v, name) for name in types)]
        return text.constants(kept)

    def _several(self, keyword: str, schema: Mapping[str, Any], at: str, depth: int) -> Expression:
        """One of several schemas, or, where there is only one, that."""
        schemas = _list(schema[keyword], f"{at}/{keyword}")
        if keyword == "allOf" and len(schemas) > 1:
            raise InputError(f"{at}/allOf: several cannot be kept to together: write one schema.")
        if "type" in schema:
            types = self._types(schema, at)
            schemas = [self._with_types(one, types, at) for one in schemas]
        if keyword == "oneOf":
            self._apart(schemas, at)
        return either(
            self._any(one, f"{at}/{keyword}/{i}", depth + 1) for i, one in enumerate(schemas)
        )

    def _apart(self, schemas: list[Any], at: str) -> None:
        """`oneOf` is `anyOf` where no value fits two of the schemas."""
        resolved = [self._resolved(one, at) for one in schemas]
        for i, one in enumerate(resolved):
            if not all(disjoint(one, other) for other in resolved[:i]):
                raise InputError(
                    f"{at}/oneOf: a value may fit two of the schemas: give them different types, "
                    "or a required property with different constants; or write anyOf."
                )

    def _resolved(self, schema: Any, at: str) -> Any:
        """A schema that is no reference."""
        for _ in range(_DEEPEST):
            if not (isinstance(schema, dict) and "$ref" in schema):
                return schema
            schema = self._found(schema["$ref"], at)
        raise InputError(f"{at}/$ref: the references go on for too long.")

    def _with_types(self, schema: Any, types: list[str], at: str) -> Any:
        """A schema that allows values of these types alone."""
        schema = self._resolved(schema, at)
        if isinstance(schema, bool):
            return {"type": types} if schema else False
        if not isinstance(schema, dict):
            return schema  # which is said where it is read
        own = self._types(schema, at) if "type" in schema else list(TYPES)
        both = {name for name in own if name in types}
        if ("number" in own and "integer" in types) or ("integer" in own and "number" in types):
            both.add("integer")
        if "number" in both:
            both.discard("integer")
        return {**schema, "type": sorted(both)} if both else False

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
        for name in required:
            if not isinstance(name, str):
                raise InputError(f"{at}/required: {name!r} is no name of a property.")
        others = schema.get("additionalProperties", not properties)
        members = {
            name: self._any(one, f"{at}/properties/{name[:40]}", depth + 1)
            for name, one in properties.items()
        }
        other = NEVER
        if others is not False or set(required) - members.keys():
            allowed = schema.get("additionalProperties", True)
            other = self._any(allowed, f"{at}/additionalProperties", depth + 1)
        for name in required:
            members.setdefault(name, other)
        more = NEVER
        if others is not False:
            more = concat(self._other_name([*members], at), text.SPACE_COLON, other)
        return self._members(members, set(required), more)

    def _other_name(self, names: list[str], at: str) -> Expression:
        """Of a property that is none of these. Each character of theirs is a choice, where others
        may be as long."""
        names = [name for name in names if len(name) <= text.LONGEST_NAME]
        self._named += sum(len(name.encode("utf-8", "surrogatepass")) for name in names)
        if self._named > _MOST_NAMED:
            raise InputError(
                f"{at}: names of properties have more than {_MOST_NAMED:,} bytes where others are "
                "allowed: set additionalProperties to false."
            )
        return text.other_string(names)

    def _members(
        self, members: Mapping[str, Expression], required: set[str], more: Expression
    ) -> Expression:
        """An object: members in order, those that are required; then any number of others."""
        # From each member on: one of them at least; what may follow the one before; and whether
        # that may be nothing.
        more_of_them = Repeat(concat(text.COMMA, more), 0, None)
        some, after, maybe_none = concat(more, more_of_them), more_of_them, True
        for name, value in reversed(list(members.items())):
            member = concat(text.constants([name]), text.SPACE_COLON, value, after)
            needed = name in required
            some = self._rule(member if needed else either([member, some]))
            maybe_none = maybe_none and not needed
            after = concat(text.COMMA, some)
            after = self._rule(optional(after) if maybe_none else after)
        inside = optional(some) if maybe_none else some
        return concat(literal("{"), text.SPACE, inside, text.SPACE, literal("}"))


def _bounds(schema: Mapping[str, Any], at: str) -> tuple[Bound | None, Bound | None]:
    """The lower and the upper one, and whether they are meant, too."""
    found: dict[str, Decimal] = {}
    for name in _OF_TYPE["number"] & schema.keys():
        value = schema[name]
        if not is_of(value, "number") or not abs(value) <= _LARGEST:
            raise InputError(f"{at}/{name} is no number between -10^15 and 10^15.")
        found[name] = Decimal(str(value))
        if found[name] != round(found[name], _FINEST):
            raise InputError(f"{at}/{name} has more than {_FINEST} digits behind the point.")
    lows = [(found[k], k == "minimum") for k in ("minimum", "exclusiveMinimum") if k in found]
    highs = [(found[k], k == "maximum") for k in ("maximum", "exclusiveMaximum") if k in found]
    low = max(lows, key=lambda bound: (bound[0], not bound[1]), default=None)
    high = min(highs, key=lambda bound: (bound[0], bound[1]), default=None)
    return low, high


def _count(schema: Mapping[str, Any], name: str, at: str) -> int | None:
    value = schema.get(name)
    if value is None:
        return None
    if not is_of(value, "integer") or not 0 <= value <= _MOST:
        raise InputError(f"{at}/{name} is no whole number between 0 and {_MOST:,}.")
    return int(value)


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{at} is no list.")
    return value
