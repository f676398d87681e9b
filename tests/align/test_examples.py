"""The user's own examples."""

import json
from pathlib import Path

import pytest

from groundup.align.examples import read_examples, split_examples
from groundup.align.pairs import Pair
from groundup.core.errors import InputError


def write(path: Path, *records: object) -> Path:
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n\n")
    return path


def test_both_forms(tmp_path: Path) -> None:
    plain = {"prompt": "2 + 2?", "completion": "4", "answer": 4}
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    pairs = read_examples(write(tmp_path / "a.jsonl", plain, {"messages": turns}))
    assert [(pair.prompt, pair.completion) for pair in pairs] == [("2 + 2?", "4"), ("hi", "hello")]
    assert pairs[0].problem["answer"] == 4


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"prompt": "a", "completion": "b"}\n{"prompt": ', "line 2 is not JSON"),
        ('{"prompt": "a"}', "line 1 has neither"),
        ("[1]", "not a JSON object"),
        ('{"prompt": "a", "completion": ""}', "empty"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "one of a user and one of"),
        ('{"prompt": "a", "completion": "b"}', "two are needed"),
        ("", "holds 0 examples"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=sentence):
        read_examples(path)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_examples(tmp_path / "none.jsonl")


def test_equal_prompts_stay_on_one_side() -> None:
    pairs = [Pair(f"p{i % 10}", f"c{i}", {}) for i in range(40)]
    train, held_out = split_examples(pairs, 0.2)
    assert len({pair.prompt for pair in held_out}) == 2
    assert not {pair.prompt for pair in held_out} & {pair.prompt for pair in train}
    assert len(train) + len(held_out) == 40


def test_one_prompt_cannot_be_split() -> None:
    with pytest.raises(InputError, match="same prompt"):
        split_examples([Pair("p", "a", {}), Pair("p", "b", {})], 0.1)
