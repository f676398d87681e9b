"""A tokenizer's folder as `transformers.AutoTokenizer` reads and writes it: tokenizer.json, the
special tokens by their roles, and the chat template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundup.core.errors import ArtifactError
from groundup.core.files import read_json, read_text, write_json
from groundup.tokenizers.huggingface import (
    AnyTokenizer,
    TokenizerFile,
    load_tokenizer_file,
    save_tokenizer_file,
)

ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
_CONFIG, _TOKENIZER, _TEMPLATE = "tokenizer_config.json", "tokenizer.json", "chat_template.jinja"


@dataclass(frozen=True)
class Pretrained:
    """file: tokenizer.json. roles: special tokens by `ROLES`. chat_template: in Jinja, or None."""

    file: TokenizerFile
    roles: Mapping[str, str] = field(default_factory=dict)
    chat_template: str | None = None

    @property
    def tokenizer(self) -> AnyTokenizer:
        return self.file.tokenizer


def save_pretrained(directory: Path, pretrained: Pretrained) -> None:
    """Write the folder, each file atomically.

    Raises `ArtifactError` for a role that there is not, or whose token is not a special one.
    """
    special = pretrained.tokenizer.special_tokens
    for role, text in pretrained.roles.items():
        if role not in ROLES or text not in special:
            raise ArtifactError(
                f"{text!r} cannot be the {role}: roles are {list(ROLES)}, and their tokens special."
            )
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **pretrained.roles,
    }
    if pretrained.chat_template is not None:
        config["chat_template"] = pretrained.chat_template
    save_tokenizer_file(directory / _TOKENIZER, pretrained.file)
    write_json(directory / _CONFIG, config)


def load_pretrained(directory: Path) -> Pretrained:
    """Read the folder; only tokenizer.json must be there.

    Raises `ArtifactError` as `load_tokenizer_file` does, and for settings that are damaged.
    """
    file = load_tokenizer_file(directory / _TOKENIZER)
    path = directory / _CONFIG
    config = read_json(path) if path.exists() else {}
    if not isinstance(config, dict):
        raise ArtifactError(f"{path} does not hold the settings of a tokenizer.")
    roles = {role: text for role in ROLES if (text := _content(config.get(role))) is not None}
    template = directory / _TEMPLATE
    if template.exists():
        return Pretrained(file, roles, read_text(template))
    return Pretrained(file, roles, _template(config.get("chat_template"), path))


def _content(token: Any) -> str | None:
    """A token's text, which may stand alone or among its settings."""
    return token.get("content") if isinstance(token, dict) else token


def _template(template: Any, path: Path) -> str | None:
    """The template, or of several with names the default one."""
    if isinstance(template, list):
        entries = [entry for entry in template if isinstance(entry, dict)]
        named = {entry.get("name"): entry.get("template") for entry in entries}
        template = named.get("default")
    if template is not None and not isinstance(template, str):
        raise ArtifactError(f"{path}: its chat_template is no text.")
    return template
