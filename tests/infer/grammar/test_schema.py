"""JSON Schema: what is written is valid, and what is valid can be written."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.infer.grammar import automaton as automata
from groundup.infer.grammar.automaton import DEAD, Automaton
from groundup.infer.grammar.expression import Grammar, literal
from groundup.infer.grammar.json_text import RULES, VALUE
from groundup.infer.grammar.numbers import integers, numbers
from groundup.infer.grammar.schema import json_grammar, object_grammar


def accepts(automaton: Automaton, text: str) -> bool:
    state = automaton.read(automaton.start, text.encode())
    return state != DEAD and automaton.accepts(state)


def walked(automaton: Automaton, random: Any, longest: int = 400) -> str | None:
    """A text that the grammar allows; its bytes are drawn, mostly such as come to an end."""
    state, text = automaton.start, b""
    while automaton.goes_on(state) and not (automaton.accepts(state) and random.random() < 0.2):
        after = {b: automaton.read(state, bytes([b])) for b in range(256)}
        open_ = [b for b, to in after.items() if to != DEAD]
        ending = [b for b in open_ if b in b'"}]0']
        byte = random.choice(ending if ending and random.random() < 0.5 else open_)
        state, text = after[byte], text + bytes([byte])
        if len(text) > longest:
            return None
    return text.decode()


POINT = {
    "type": "object",
    "properties": {"x": {"type": "number"}, "y": {"type": "integer"}, "label": {"type": "string"}},
    "required": ["x", "y"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"enum": ["é", 'a"b', 3, None, [1, {"k": "v"}]]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
            },
            "required": ["children"],
        }
    },
    "$ref": "#/$defs/node",
}
SCHEMAS: list[Any] = [
    True,
    {},
    POINT,
    TREE,
    {"type": "object"},
    {"type": "object", "required": ["a"]},
    {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
    {"properties": {"only": {"const": None}}},
    {"type": ["integer", "null"], "minimum": -3},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 1},
    {"type": "array", "prefixItems": [{"type": "null"}] * 2, "items": False},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
    {"type": "string", "minLength": 2, "maxLength": 4},
    {"type": "string", "pattern": "^[A-Z]{2}\\d+$"},
    {"type": "string", "pattern": 'b"|\\n'},
    {"type": "string", "pattern": "^[^a-z]{1,5}$"},
    {"type": "number", "minimum": 0.25, "exclusiveMaximum": 12.5},
    {"anyOf": [{"type": "integer", "maximum": 9}, POINT]},
    {"oneOf": [{"type": "string"}, {"type": "number"}]},
    {
        "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}],
        "$defs": {
            "cat": {
                "type": "object",
                "properties": {"is": {"const": "cat"}, "lives": {"type": "integer"}},
                "required": ["is"],
            },
            "dog": {"type": "object", "properties": {"is": {"const": "dog"}}, "required": ["is"]},
        },
    },
    {"type": "string", "anyOf": [{"maxLength": 1}, {"const": "long"}]},
    {"allOf": [{"$ref": "#/$defs/p"}], "$defs": {"p": POINT}, "description": "as pydantic writes"},
    *(
        {"type": "string", "format": name}
        for name in [
            "date",
            "time",
            "date-time",
            "uuid",
            "email",
            "hostname",
            "ipv4",
            "ipv6",
            "duration",
            "uri",
        ]
    ),
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
@settings(max_examples=30)
@given(random=st.randoms(use_true_random=False))
def test_what_is_written_is_valid(schema: Any, random: Any) -> None:
    text = walked(Automaton(json_grammar(schema)), random)
    if text is not None:
        validator = jsonschema_rs.validator_for(schema, validate_formats=True)
        assert validator.is_valid(json.loads(text)), text


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 10**15, 10**15 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e14, max_value=1e14).map(
        lambda x: float(f"{x:.6f}")
    )
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("aé\n", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(VALUES, st.sampled_from([None, 1, 4]), st.booleans())
def test_every_value_can_be_written(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    if "\\ud8" in text or "\\ud9" in text or "\\uda" in text or "\\udb" in text:
        return  # pairs of escapes are not written: the character itself is
    assert accepts(Automaton(Grammar(VALUE, RULES)), text)
    assert accepts(Automaton(object_grammar()), text) == isinstance(value, dict)


@given(VALUES, VALUES)
def test_a_constant_is_itself_and_nothing_else(value: Any, other: Any) -> None:
    automaton = Automaton(json_grammar({"const": value}))
    assert accepts(automaton, json.dumps(value, ensure_ascii=False))
    same = json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)
    if not same:
        assert not accepts(automaton, json.dumps(other, ensure_ascii=False))


@given(VALUES, st.sampled_from([POINT, TREE, *SCHEMAS[4:9], *SCHEMAS[9:13], SCHEMAS[16]]))
def test_nothing_that_is_not_valid_can_be_written(value: Any, schema: Any) -> None:
    if accepts(Automaton(json_grammar(schema)), json.dumps(value, ensure_ascii=False)):
        assert jsonschema_rs.is_valid(schema, value)


@pytest.mark.parametrize(
    "value",
    [
        {"children": []},
        {"value": "é", "children": [{"children": []}, {"value": None, "children": []}]},
        {"value": [1, {"k": "v"}], "children": []},
    ],
)
def test_rules_may_call_themselves(value: Any) -> None:
    assert accepts(Automaton(json_grammar(TREE)), json.dumps(value, ensure_ascii=False))
    assert accepts(Automaton(json_grammar(TREE)), json.dumps(value, ensure_ascii=False, indent=2))


BOUND = (
    st.tuples(st.decimals(-1200, 1200, places=2).map(lambda d: d.normalize()), st.booleans())
    | st.none()
)


@given(BOUND, BOUND, st.lists(st.integers(-1500, 1500), min_size=1, max_size=20))
def test_whole_numbers_between_bounds(low: Any, high: Any, tried: list[int]) -> None:
    automaton = Automaton(Grammar(integers(low, high), {}))
    for bound in filter(None, (low, high)):
        tried += [int(bound[0]) + d for d in (-1, 0, 1)]
    for number in tried:
        assert accepts(automaton, str(number)) == between(number, low, high), number


@given(BOUND, BOUND, st.lists(st.decimals(-1500, 1500, places=3), min_size=1, max_size=20))
def test_numbers_between_bounds(low: Any, high: Any, tried: list[Any]) -> None:
    automaton = Automaton(Grammar(numbers(low, high), {}))
    for bound in filter(None, (low, high)):
        tried += [bound[0], bound[0] + 1, bound[0] - 1]
    for number in tried:
        text = f"{number:f}"
        if number == 0 and text.startswith("-"):
            continue
        assert accepts(automaton, text) == between(number, low, high), text
        if "." in text:
            assert accepts(automaton, text + "00") == between(number, low, high), text


def between(number: Any, low: Any, high: Any) -> bool:
    above = low is None or number > low[0] or (low[1] and number == low[0])
    below = high is None or number < high[0] or (high[1] and number == high[0])
    return bool(above and below)


def test_numbers_have_no_zeros_before_them() -> None:
    automaton = Automaton(json_grammar({"type": "number", "minimum": 0}))
    for text in ["01", "00", "1.", ".5", "+1", "--1", "0x1"]:
        assert not accepts(automaton, text)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"not": {}}, "#/not cannot be kept to"),
        ({"type": "array", "uniqueItems": True}, "#/uniqueItems cannot be kept to"),
        ({"properties": {"a": {"multipleOf": 2}}}, "#/properties/a/multipleOf cannot"),
        ({"type": "text"}, "'text' is no type"),
        ({"properties": {"a": 3}}, "#/properties/a is no schema"),
        ({"$ref": "#/$defs/none"}, "there is no #/\\$defs/none"),
        ({"$ref": "https://example.org/schema"}, "only what stands in the schema itself"),
        ({"enum": []}, "no value fits"),
        ({"enum": [1, 2], "type": "string"}, "no value fits"),
        (False, "no value fits"),
        ({"$ref": "#"}, "no value fits"),
        (
            {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
            "no value fits",
        ),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no value fits"),
        ({"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 3}, "no value fits"),
        ({"type": "number", "minimum": 3, "exclusiveMaximum": 3}, "no value fits"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "no value fits"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "no value fits"),
        ({"type": "string", "minLength": -1}, "#/minLength is no whole number"),
        ({"type": "string", "pattern": "("}, "a group is not closed"),
        ({"type": "string", "pattern": "a", "maxLength": 3}, "only one can be kept to"),
        ({"const": float("nan")}, "nan is no value of JSON"),
        ({"allOf": [{}, {}]}, "several cannot be kept to together"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "a value may fit two"),
        ({"anyOf": [{}], "enum": [1]}, "enum and anyOf cannot be kept to together"),
        ({"maxProperties": 0}, "#/maxProperties cannot be kept to"),
        ({"type": "object", "propertyNames": False}, "#/propertyNames cannot be kept to"),
        ({"type": "object", "unevaluatedProperties": False}, "#/unevaluatedProperties cannot"),
        ({"contains": False}, "#/contains cannot be kept to"),
        ({"type": "string", "anyOf": [{"type": "integer"}]}, "no value fits"),
        ({"$ref": "#anchor"}, "only what stands in the schema itself"),
        ({"$ref": "#/anyOf/" + "9" * 5000, "anyOf": []}, "cannot be kept to together"),
        ({"type": "string", "minLength": "x"}, "#/minLength is no whole number"),
        ({"type": "array", "maxItems": float("inf")}, "#/maxItems is no whole number"),
        ({"type": "number", "minimum": float("nan")}, "#/minimum is no number"),
        ({"type": "number", "minimum": 1e-300}, "more than 12 digits"),
        ({"oneOf": [{"type": "object", "required": 3}] * 2}, "a value may fit two"),
        ({"oneOf": [{"type": "object", "properties": []}] * 2}, "a value may fit two"),
        ({"type": "string", "pattern": "[" + "ab" * 4000 + "]"}, "more than 4,096 characters"),
        ({"type": "string", "pattern": "\ud800"}, "no character"),
    ],
    ids=lambda part: None if isinstance(part, str) else repr(part),
)
def test_what_cannot_be_kept_to_is_one_sentence(schema: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        json_grammar(schema)


def test_a_schema_as_deep_as_can_be_sent_is_one_sentence() -> None:
    schema: Any = {"type": "integer"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    with pytest.raises(InputError, match="too large or too deep"):
        json_grammar(schema)


def test_properties_come_in_the_schema_s_order_and_once() -> None:
    automaton = Automaton(json_grammar(POINT))
    assert accepts(automaton, '{"x": 1.5, "y": 2}')
    assert accepts(automaton, '{"x":1e3,"y":-2,"label":"\\n"}')
    for text in ['{"y": 2, "x": 1}', '{"x": 1}', '{"x": 1, "y": 2, "y": 3}', '{"x": 1, "y": 2,}']:
        assert not accepts(automaton, text)


def test_other_properties_are_none_of_the_schema_s() -> None:
    schema = {"properties": {"ab": {}, "a": {}}, "additionalProperties": {"type": "integer"}}
    automaton = Automaton(json_grammar(schema))
    for name, there in {"b": True, "abc": True, "": True, "aa": True, "ab": False}.items():
        assert accepts(automaton, json.dumps({"a": "", name: 1})) == there, name


def test_literals_are_bytes() -> None:
    assert accepts(Automaton(Grammar(literal("é🙂"), {})), "é🙂")


def test_many_optional_properties_take_no_longer_than_they_are_many() -> None:
    schema = {"properties": {f"p{i}": {"type": "integer"} for i in range(300)}}
    for more in ({}, {"additionalProperties": {"type": "null"}}):
        automaton = Automaton(json_grammar({**schema, **more}))
        assert accepts(automaton, '{"p7": 1, "p120": 2, "p299": 3}')
        assert not accepts(automaton, '{"p120": 1, "p7": 2}')


def test_long_chains_of_references_are_read() -> None:
    count = 2000
    rules = {str(i): {"$ref": f"#/$defs/{i - 1}"} for i in range(1, count)}
    schema = {"$ref": f"#/$defs/{count - 1}", "$defs": {"0": {"const": "end"}, **rules}}
    assert accepts(Automaton(json_grammar(schema)), '"end"')


@pytest.mark.parametrize(
    ("schema", "value", "allowed"),
    [
        ({"type": "integer", "anyOf": [{"type": "number", "minimum": 0}]}, "0.5", False),
        ({"type": "integer", "anyOf": [{"type": "number", "minimum": 0}]}, "5", True),
        ({"type": "number", "anyOf": [{"type": "integer"}, {"type": "string"}]}, "5", True),
        ({"type": "number", "anyOf": [{"type": "integer"}, {"type": "string"}]}, '"a"', False),
        ({"type": "string", "anyOf": [True]}, "3", False),
        (
            {
                "allOf": [{"$ref": "#/$defs/n"}],
                "type": "integer",
                "$defs": {"n": {"type": "number"}},
            },
            "0.5",
            False,
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/a%20b"}}, "$defs": {"a b": {"const": 1}}},
            '{"a": 1}',
            True,
        ),
        ({"type": "number", "exclusiveMaximum": 100}, "99.9999999999999999", False),
    ],
    ids=str,
)
def test_what_stands_beside_each_other_is_kept_to(schema: Any, value: str, allowed: bool) -> None:
    assert accepts(Automaton(json_grammar(schema)), value) == allowed


def test_long_texts_and_many_texts_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been worked out is forgotten now and then, and no text notices."""
    monkeypatch.setattr(automata, "_KEPT_STATES", 40)
    schema = {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 200}
    automaton = Automaton(json_grammar(schema))
    text = json.dumps(["é" * (i % 9) for i in range(200)], ensure_ascii=False)
    states = [automaton.start] * 3
    for byte in text.encode():  # three texts, in turns
        states = [automaton.read(state, bytes([byte])) for state in states]
        assert DEAD not in states
    assert all(automaton.accepts(state) for state in states)
    assert len(automaton._members) < 100
