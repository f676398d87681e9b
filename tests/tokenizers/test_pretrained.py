"""A tokenizer's folder: what we save AutoTokenizer loads, and what it saves we load."""

import json
from pathlib import Path

import pytest

from groundup.core.errors import ArtifactError
from groundup.tokenizers import BPE, Pretrained, load_pretrained, save_pretrained, train_bpe
from groundup.tokenizers.huggingface import TokenizerFile

TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ROLES = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
SPECIAL = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"]
CHAT = [{"role": "user", "content": "naïve\n 北京?"}, {"role": "assistant", "content": "yes"}]


@pytest.fixture(scope="module")
def pretrained(source_files: list[str]) -> Pretrained:
    tokenizer = train_bpe(source_files[:4], vocab_size=500, special_tokens=SPECIAL)
    begin = tokenizer.special_tokens["<|begin|>"]
    return Pretrained(TokenizerFile(tokenizer, before=(begin,)), ROLES, TEMPLATE)


def test_transformers_loads_the_folder(
    pretrained: Pretrained, source_files: list[str], tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    save_pretrained(tmp_path, pretrained)
    peer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer = pretrained.tokenizer
    for text in [*source_files[:3], "a<|user|>b"]:
        ids = tokenizer.encode(text, allowed_special="all")
        assert peer(text)["input_ids"] == [*pretrained.file.before, *ids]
        assert peer.decode(ids, skip_special_tokens=True) == text.replace("<|user|>", "")
    assert {role: getattr(peer, role) for role in ROLES} == ROLES
    written = peer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert written == "<|user|>naïve\n 北京?<|end|><|assistant|>yes<|end|><|assistant|>"


def test_we_load_what_transformers_saves_again(pretrained: Pretrained, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save_pretrained(tmp_path / "ours", pretrained)
    peer = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    peer.save_pretrained(tmp_path / "theirs")
    loaded = load_pretrained(tmp_path / "theirs")
    assert loaded.tokenizer.fingerprint == pretrained.tokenizer.fingerprint
    assert loaded.file.before == pretrained.file.before
    assert loaded.roles == ROLES
    assert loaded.chat_template == TEMPLATE


def test_roles_and_templates_are_found_where_they_may_be(
    pretrained: Pretrained, tmp_path: Path
) -> None:
    save_pretrained(tmp_path, pretrained)
    config = tmp_path / "tokenizer_config.json"
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "y"}]
    config.write_text(json.dumps({"eos_token": {"content": "<|end|>"}, "chat_template": named}))
    loaded = load_pretrained(tmp_path)
    assert (loaded.roles, loaded.chat_template) == ({"eos_token": "<|end|>"}, "y")
    (tmp_path / "chat_template.jinja").write_text("z")
    assert load_pretrained(tmp_path).chat_template == "z"
    config.unlink()
    assert load_pretrained(tmp_path).roles == {}


def test_bad_input_is_one_sentence(pretrained: Pretrained, tmp_path: Path) -> None:
    plain = TokenizerFile(BPE.learned([], "gpt2"))
    with pytest.raises(ArtifactError, match="cannot be the eos_token"):
        save_pretrained(tmp_path, Pretrained(plain, {"eos_token": "<|end|>"}))
    with pytest.raises(ArtifactError, match="cannot be the king"):
        save_pretrained(tmp_path, Pretrained(pretrained.file, {"king": "<|end|>"}))
    with pytest.raises(ArtifactError, match="tokenizer.json"):
        load_pretrained(tmp_path)
    save_pretrained(tmp_path, pretrained)
    for content, sentence in [("[]", "settings"), ('{"chat_template": 3}', "no text")]:
        (tmp_path / "tokenizer_config.json").write_text(content)
        with pytest.raises(ArtifactError, match=sentence):
            load_pretrained(tmp_path)
