"""Regular expressions against Python's `re`, and beginnings of texts against `regex`."""

import re

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.infer.grammar.automaton import DEAD, Automaton
from groundup.infer.grammar.regex import regex_grammar

LETTERS = "abé🙂-"
ATOMS = st.sampled_from(
    ["a", "b", "é", "🙂", r"\-", "[ab]", "[^a]", "[a-é]", "[^🙂b]", ".", r"\w", r"\D", r"[\d🙂-]"]
)


def repeated(part: str, count: str) -> str:
    return f"(?:{part}){count}"


PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])).map(
            lambda pair: repeated(*pair)
        ),
    ),
    max_leaves=8,
)


def read(automaton: Automaton, text: str) -> int:
    return automaton.read(automaton.start, text.encode())


@given(PATTERNS, st.lists(st.text(LETTERS, max_size=8), min_size=1, max_size=8))
def test_texts_match_as_they_do_in_python(pattern: str, texts: list[str]) -> None:
    """A state that is not dead is a beginning of a text that matches."""
    automaton = Automaton(regex_grammar(pattern))
    for text in texts:
        state = read(automaton, text)
        matches = state != DEAD and automaton.accepts(state)
        assert matches == bool(re.fullmatch(pattern, text, re.ASCII)), text
        begins = regex.fullmatch(pattern, text, regex.ASCII | regex.VERSION0, partial=True)
        assert (state != DEAD) == bool(begins), text


@given(PATTERNS, st.randoms(use_true_random=False))
def test_what_is_walked_matches(pattern: str, random) -> None:
    """Any byte that is allowed leads on, to whole characters and to a text that matches."""
    automaton = Automaton(regex_grammar(pattern))
    state, text = automaton.start, b""
    while automaton.goes_on(state):
        if automaton.accepts(state) and (random.random() < 0.3 or len(text) > 40):
            break
        after = {b: automaton.read(state, bytes([b])) for b in range(256)}
        byte = random.choice([b for b, to in after.items() if to != DEAD])
        state, text = after[byte], text + bytes([byte])
        if len(text) > 200:  # a loop that is rarely left
            return
    assert re.fullmatch(pattern, text.decode(), re.ASCII)


@pytest.mark.parametrize("pattern", [r"\s", r"\S", r"\w", r"\W", r"\d", r"\D", "."])
def test_classes_are_javascript_s(pattern: str) -> None:
    """ECMA-262: of what is not ASCII only white space and ends of lines are special."""
    automaton = Automaton(regex_grammar(pattern))
    space = {*"\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"}
    space |= {chr(c) for c in range(0x2000, 0x200B)}
    for code in [*range(0x3100), *range(0xFE00, 0xFFFF), 0x1F642, 0x10FFFF]:
        if 0xD800 <= code <= 0xDFFF:
            continue
        c = chr(code)
        expected = {
            "s": c in space,
            "w": bool(re.fullmatch(r"\w", c, re.ASCII)),
            "d": c in "0123456789",
            ".": c not in "\n\r\u2028\u2029",
        }[pattern[-1].lower()]
        state = read(automaton, c)
        assert (state != DEAD) == (expected != pattern[-1].isupper()), hex(code)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a", "a group is not closed"),
        ("a)", "closes no group"),
        ("*", "nothing to repeat"),
        ("a**", "nothing to repeat"),
        ("a*+", "possessive"),
        ("a{3,1}", "empty range"),
        ("a{,3}", "begins no count"),
        ("[b-a]", "ends before it begins"),
        ("[a", "a class is not closed"),
        ("[]", "the class is empty"),
        (r"[\d-z]", "a class at its end"),
        (r"\1", r"\\1 is not known"),
        (r"\bword", r"\\b is not known"),
        ("(?=a)b", "look around"),
        ("(?i)a", "flags"),
        ("a$b", r"\$ is not at an end"),
        ("a^b", r"\^ is not at a beginning"),
        ("a}", "closes nothing"),
        ("\\", r"\\ is not known"),
        (r"\uD800", "no character"),
        ("\ud800", "no character"),
        ("[\ud800x]", "no character"),
        ("a" * 5000, "more than 4,096 characters"),
        (r"[^\s\S]", "no text matches"),
        ("(" * 100 + "a" + ")" * 100, "more than 64 groups"),
    ],
)
def test_what_is_no_pattern_is_one_sentence(pattern: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        regex_grammar(pattern)


def test_a_pattern_with_too_many_states_is_refused_while_it_is_read() -> None:
    automaton = Automaton(regex_grammar("(a|b)*a(a|b){600}"))
    with pytest.raises(InputError, match="make it simpler"):
        automaton.read(automaton.start, b"a" * 5000)


def test_anchors_stand_at_the_ends_of_each_choice() -> None:
    automaton = Automaton(regex_grammar("^ab$|^c"))
    assert automaton.accepts(read(automaton, "ab"))
    assert automaton.accepts(read(automaton, "c"))
    assert read(automaton, "cd") == DEAD


@pytest.mark.parametrize("pattern", ["a{1}?b", "a{1,1}?b", "a{1}b"])
def test_a_count_of_one_is_a_count(pattern: str) -> None:
    automaton = Automaton(regex_grammar(pattern))
    assert automaton.accepts(read(automaton, "ab"))
