"""Configs are frozen dataclasses: typed, compared by value, saved as JSON, changed by `replace`.

A config is plain Python (`Adam(lr=3e-4)`), so an editor completes it and a typo is an error. The
same config comes from three places and must mean the same in each: code, a saved `config.json`,
and dotted overrides on the command line (`--set optim.lr=3e-4`).

Field types may be bool, int, float, str, `Literal`, `X | None`, `tuple[X, ...]`, another config,
or a union of configs; a union is told apart in JSON by a `"type"` key that holds the class name.
"""

import copy
import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from groundup.core.errors import ConfigError
from groundup.core.files import read_json, write_json

Config = TypeVar("Config")
TYPE = "type"


def to_dict(config: Any) -> Any:
    """The JSON value of a config, with a `"type"` key for every nested config."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = {f.name: to_dict(getattr(config, f.name)) for f in dataclasses.fields(config)}
        return {TYPE: type(config).__name__, **fields}
    if isinstance(config, tuple | list):
        return [to_dict(value) for value in config]
    return config


def from_dict(kind: type[Config], data: Any, where: str = "") -> Config:
    """The config of class `kind` that `to_dict` turned into `data`.

    A missing key takes the field's default; an unknown key, a missing value without default, or a
    value of the wrong type raises `ConfigError` with the key's dotted path in the sentence.
    """
    return _parse(kind, data, where)


def save_config(path: Path, config: Any) -> None:
    """Write the config as JSON, atomically."""
    write_json(path, to_dict(config))


def load_config(kind: type[Config], path: Path) -> Config:
    """Read a config that `save_config` wrote."""
    return from_dict(kind, read_json(path))


def apply_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """A copy of `config` with `dotted.key=value` changes applied in order, and judged when all are:
    settings that must fit each other can be changed together.

    The value is parsed by the field's type: `3e-4`, `true`, `none`, a bare word for a string, JSON
    for a tuple or a nested config; where configs of several classes fit, the name of one, in any
    case, is that class with its defaults. `key.0.name` is in the first config of a tuple.

    Raises `ConfigError` for a malformed override, for a key that does not exist (and names the
    nearest that does) and for a value of the wrong type.
    """
    keys = []
    for override in overrides:
        key, separator, text = (part.strip() for part in override.partition("="))
        if not separator or not key:
            raise ConfigError(f"'{override}' is not an override: write key=value.")
        config = _override(config, key.split("."), text, key, config)
        keys.append(key)
    for key in reversed(keys):  # a refusal names the last change of what it refuses
        config = _rebuilt(config, key.split("."), key)
    return config


def dotted_keys(config: Any, prefix: str = "") -> list[str]:
    """Every key that an override of this config may name."""
    keys = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        keys.append(prefix + field.name)
        items = enumerate(value) if isinstance(value, tuple) else []
        nested = {f"{field.name}.": value, **{f"{field.name}.{i}.": item for i, item in items}}
        for name, item in nested.items():
            if dataclasses.is_dataclass(item):
                keys += dotted_keys(item, prefix + name)
    return keys


def _override(node: Any, path: list[str], text: str, key: str, root: Any) -> Any:
    head, *rest = path
    if isinstance(node, tuple) and rest and head.isdecimal() and int(head) < len(node):
        item = _override(node[int(head)], rest, text, key, root)
        return (*node[: int(head)], item, *node[int(head) + 1 :])
    if not dataclasses.is_dataclass(node) or head not in {f.name for f in dataclasses.fields(node)}:
        raise ConfigError(f"there is no setting '{key}'{_nearest(key, dotted_keys(root))}.")
    if rest:
        value = _override(getattr(node, head), rest, text, key, root)
    else:
        hint = _hints(type(node))[head]
        value = _parse(hint, _from_text(text, hint), key)
    changed = copy.copy(node)
    object.__setattr__(changed, head, value)  # as another override may make it fit
    return changed


def _rebuilt(node: Any, path: Sequence[str], key: str) -> Any:
    """The same, with the configs along a path made anew, from within. Raises `ConfigError` where
    one is refused by its own `__post_init__`."""
    head, *rest = path or ("",)
    if isinstance(node, tuple) and head.isdecimal() and int(head) < len(node):
        item = _rebuilt(node[int(head)], rest, key)
        return (*node[: int(head)], item, *node[int(head) + 1 :])
    if not dataclasses.is_dataclass(node) or isinstance(node, type):
        return node
    inner = {head: _rebuilt(getattr(node, head), rest, key)} if hasattr(node, head) else {}
    try:
        return dataclasses.replace(node, **inner)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from error


def _from_text(text: str, hint: Any) -> Any:
    """JSON where it is JSON, else Python-like `none`/`true`/`false`, else the bare word; a string's
    setting takes numbers as they are written."""
    if hint is str and not text.startswith('"'):
        return text
    words = {"none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return float(text)  # 1e-4 is JSON, but .5 and 1_000 are not
    except ValueError:
        return text


def _parse(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _parse_union(get_args(hint), value, where)
    if origin is Literal:
        if value not in get_args(hint):
            choices = ", ".join(str(choice) for choice in get_args(hint))
            raise ConfigError(f"{where} is {value!r}: choose one of {choices}.")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} is {value!r}: it must be a list.")
        item = get_args(hint)[0]
        return tuple(_parse(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin in (dict, Mapping) or getattr(origin, "__name__", "") == "Mapping":
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} is {value!r}: it must be an object.")
        return dict(value)
    if dataclasses.is_dataclass(hint):
        return _parse_dataclass(typing.cast(type, hint), value, where)
    return _parse_scalar(hint, value, where)


def _parse_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if (hint in (int, float) and isinstance(value, bool)) or not isinstance(value, hint):
        raise ConfigError(f"{where} is {value!r}: it must be of type {hint.__name__}.")
    return value


def _parse_union(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    kinds = [c for c in choices if isinstance(c, type) and dataclasses.is_dataclass(c)]
    configs = {kind.__name__: kind for kind in kinds}
    if isinstance(value, Mapping) and configs:
        name = value.get(TYPE)
        if name is None and len(configs) == 1:
            name = next(iter(configs))
        if name not in configs:
            raise ConfigError(f"{where}.{TYPE} is {name!r}: choose one of {', '.join(configs)}.")
        return _parse(configs[name], value, where)
    if isinstance(value, str) and str not in choices:
        named = [kind for kind in kinds if kind.__name__.lower() == value.lower()]
        if named:
            return _parse_dataclass(named[0], {}, where)
    errors = []
    for choice in choices:
        if choice is type(None) or dataclasses.is_dataclass(choice):
            continue
        try:
            return _parse(choice, value, where)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    raise ConfigError(f"{where} is {value!r}: it must be one of {', '.join(configs)}.")


def _parse_dataclass(kind: type, value: Any, where: str) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where or kind.__name__} is {value!r}: it must be an object.")
    hints = _hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    prefix = f"{where}." if where else ""
    for key in value:
        if key != TYPE and key not in fields:
            raise ConfigError(f"there is no setting '{prefix}{key}'{_nearest(key, list(fields))}.")
    if value.get(TYPE, kind.__name__) != kind.__name__:
        raise ConfigError(f"{prefix}{TYPE} is {value[TYPE]!r}, not {kind.__name__}.")
    parsed = {k: _parse(hints[k], v, prefix + k) for k, v in value.items() if k != TYPE}
    required = {
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - parsed.keys()):
        raise ConfigError(f"{where or kind.__name__} lacks the setting '{missing[0]}'.")
    try:
        return kind(**parsed)
    except ValueError as error:
        raise ConfigError(f"{where or kind.__name__}: {error}") from error


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _nearest(key: str, known: list[str]) -> str:
    """`; did you mean 'x'?` for the known key that is closest in spelling or in its last part."""
    matches = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    last = key.rpartition(".")[2]
    if not matches:
        tails = {k.rpartition(".")[2]: k for k in reversed(known)}
        matches = [tails[t] for t in difflib.get_close_matches(last, list(tails), n=1, cutoff=0.6)]
    if matches:
        return f"; did you mean '{matches[0]}'"
    return f"; there are {', '.join(known)}" if len(known) <= 12 else ""
