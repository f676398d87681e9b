"""Directories in Hugging Face's format: `config.json` and safetensors, of every family that has a
class there.

A model is read tensor by tensor, so that it is in memory once. Nothing is guessed: a tensor that is
missing, left over or of another shape is an error that names it. Pickle files are refused, since to
read one is to run it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from groundup.checkpoint.checkpoint import own_tensors
from groundup.core.config import from_dict, to_dict
from groundup.core.errors import ConfigError, InputError
from groundup.core.files import read_json, write_json
from groundup.core.tensors import write_tensors
from groundup.models import Decoder, DecoderModel
from groundup.models.decoder import in_turn
from groundup.models.families import FAMILIES, Architecture, Model, module_of
from groundup.models.huggingface import Family, InexpressibleError, check_sizes

CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_COPIES = ("lm_head.weight", "embed_tokens.weight", "predictions.decoder.weight")
_SHARD_BYTES = 5_000_000_000


def read_config(directory: Path) -> tuple[Family, Architecture]:
    """The family and the config of a Hugging Face directory.

    Raises `InputError` where there is none, or one of an architecture or with a setting that is not
    supported.
    """
    path = directory / CONFIG
    if not path.is_file():
        raise InputError(f"{directory} holds no {CONFIG}: give a model's folder.")
    settings = read_json(path)
    kind = settings.get("model_type") if isinstance(settings, dict) else None
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise InputError(
            f"{path}: the architecture {kind!r} is not supported; there are {', '.join(FAMILIES)}."
        )
    if settings.get("quantization_config"):
        raise InputError(
            f"{path}: its weights are quantised: convert them to bfloat16 or float32 first."
        )
    family = FAMILIES[kind]
    try:
        check_sizes(settings)
        config = family.read(settings)
        from_dict(family.config, to_dict(config))  # of the types that its fields have
        with torch.device("meta"):
            module_of(config)
    except KeyError as error:
        raise InputError(f"{path} lacks the setting {error}.") from error
    except (ValueError, InputError, ConfigError) as error:
        raise InputError(f"{path}: {str(error).rstrip('.')}.") from error
    except (TypeError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{path} does not hold the settings of a {kind} ({error}).") from error
    return family, config


def read_model(directory: Path) -> Model:
    """The model in a Hugging Face directory, in float32.

    Raises `InputError` as `read_config` does, and where the tensors are not those of the config.
    """
    family, config = read_config(directory)
    files = _tensor_files(directory, family)
    with torch.device("meta"):
        model = module_of(config)
    model.to_empty(device="cpu")
    model.tie()  # of one matrix `to_empty` makes two
    wanted = own_tensors(model)
    tied, embedding = "readout.head.weight" not in wanted, wanted["embedding.weight"]
    used: set[str] = set()
    for link in family.links(config):
        if not all(name in wanted for name in link.ours):
            continue
        if missing := [name for name in link.theirs if name not in files]:
            raise InputError(f"{directory} lacks the tensor {missing[0]}.")
        theirs = [_read(*files[name]) for name in link.theirs]
        try:
            ours = link.to_ours(theirs)
        except RuntimeError:  # they do not fit each other
            ours = []
        for name, tensor in zip(link.ours, ours or [None] * len(link.ours), strict=True):
            if tensor is None or tensor.shape != wanted[name].shape:
                found = tuple(theirs[0].shape if tensor is None else tensor.shape)
                raise InputError(
                    f"{directory}: {link.theirs[0]} has the shape {found}, and the config says "
                    f"{tuple(wanted[name].shape)}."
                )
            with torch.no_grad():
                wanted.pop(name).copy_(tensor)
        used.update(link.theirs)
    if wanted:
        raise InputError(f"{directory} lacks the tensor for {next(iter(wanted))}.")
    left = files.keys() - used
    for name in sorted(left):
        if name.endswith(_COPIES) and not torch.equal(_read(*files[name]).float(), embedding):
            raise InputError(
                f"{directory}: {name} is not the embedding, which the config says it shares: set "
                "tie_word_embeddings to false if the model has both."
            )
    left = [name for name in left if not name.endswith(family.ignored)]
    left = [name for name in left if not (tied and name == "lm_head.weight")]
    left = [name for name in left if not family.beyond(config, name)]
    if left:
        raise InputError(
            f"{directory} has the tensor {min(left)}, which a {family.model_type} of its config "
            "does not have."
        )
    return model


def left_out(directory: Path) -> list[str]:
    """The tensors that hold something learned which the model of this config has no use for."""
    family, config = read_config(directory)
    return sorted(n for n in _tensor_files(directory, family) if family.beyond(config, n))


def write_model(
    directory: Path,
    model: Model,
    *,
    settings: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
    shard_bytes: int = _SHARD_BYTES,
) -> Family:
    """Write `config.json` and the weights; returns the family whose class reads them.

    settings: of `config.json`, beside those that the model has. Raises `NoClassError` where no
    class has all parts of the model, naming what the nearest one lacks.
    """
    if isinstance(model, DecoderModel) and model.config.embedding_in_head:
        model = model.with_plain_head()
    family, own = family_of(model.config)
    directory.mkdir(parents=True, exist_ok=True)
    name = str(dtype).removeprefix("torch.")
    write_json(
        directory / CONFIG,
        {
            "architectures": [family.architecture],
            "model_type": family.model_type,
            **own,
            "dtype": name,
            "torch_dtype": name,
            **settings,
        },
    )
    ours = own_tensors(model)
    theirs = {
        name: tensor
        for link in family.links(model.config)
        if all(name in ours for name in link.ours)
        for name, tensor in zip(
            link.theirs, link.to_theirs([ours[name].detach() for name in link.ours]), strict=True
        )
    }
    _write_shards(directory, theirs, dtype, shard_bytes)
    return family


class NoClassError(InputError):
    """No Hugging Face class has all parts of a model.

    changes: with what values in its config the nearest would have them, as `attention.shift=false`;
    empty where it takes more than plain values.
    """

    def __init__(self, reason: str, changes: Sequence[str] = ()):
        super().__init__(f"no Hugging Face class has all parts of this model; {reason}.")
        self.changes = changes


def family_of(config: Architecture) -> tuple[Family, dict[str, Any]]:
    """The family whose class has all parts of the config, and its settings.

    Raises `NoClassError` where there is none.
    """
    wanted = _canonical(config)
    nearest: tuple[str, dict[str, Any]] | None = None
    refusals: Counter[str] = Counter()
    for family in FAMILIES.values():
        if not isinstance(config, family.config):
            continue
        try:
            settings = family.write(config)
            found = _canonical(family.read({"model_type": family.model_type, **settings}))
        except (InexpressibleError, InputError, ValueError, KeyError) as error:
            refusals[str(error)] += 1
            continue
        if found == wanted:
            return family, settings
        odd = _differences(to_dict(wanted), to_dict(found))
        if nearest is None or len(odd) < len(nearest[1]):
            nearest = (family.model_type, odd)
    if nearest is None:
        reasons = [f"it has {reason}" for reason, _ in refusals.most_common(1)]
        raise NoClassError(*(reasons or [f"it is a {type(config).__name__}"]))
    kind, odd = nearest
    plain = not any(isinstance(value, dict | list) for value in odd.values())
    changes = [f"{name}={json.dumps(value)}" for name, value in odd.items()] if plain else []
    raise NoClassError(f"the nearest, {kind}, differs in {', '.join(odd)}", changes)


def _canonical(config: Architecture) -> Architecture:
    """The same model, said in one way; `residual` is how it is computed, not what."""
    if not isinstance(config, Decoder):
        return config
    layers = range(config.depth)
    return replace(
        config,
        attention=in_turn([config.attention_of(i) for i in layers]),
        mlp=in_turn([config.mlp_of(i) for i in layers]),
        position=in_turn([config.position_of(i) for i in layers]),
        residual="compute",
    )


def _differences(a: Any, b: Any, where: str = "") -> dict[str, Any]:
    """The dotted names of the settings in which two configs differ, with the values of `b`; and
    with [] where layers differ from each other."""
    odd: dict[str, Any] = {}
    if isinstance(a, dict) and isinstance(b, dict) and a.get("type") == b.get("type"):
        for key in a:
            odd |= _differences(a[key], b.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(a, list) or isinstance(b, list):  # of layers, or one for them all
        for x, y in zip(_list(a, b), _list(b, a), strict=False):
            odd |= {name: [] for name in _differences(x, y, where)}
    elif a != b:
        odd[where] = b
    return odd


def _list(value: Any, other: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] * len(other)


def _tensor_files(directory: Path, family: Family) -> dict[str, tuple[Path, str]]:
    """Where each tensor is: its name as the family has it → the file, and the name in there."""
    files = _files(directory)
    bare = not any(name.startswith(family.prefix) for name in files)
    named = {}
    for stored, path in files.items():
        name = stored
        for old, new in family.older.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        if bare and not name.startswith("lm_head."):
            name = family.prefix + name
        named[name] = (path, stored)
    return named


def _files(directory: Path) -> dict[str, Path]:
    """The file that holds each tensor."""
    index = directory / _INDEX
    if index.is_file():
        try:
            names = read_json(index)["weight_map"]
            return {name: directory / Path(file).name for name, file in names.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{index} is not an index of safetensors files.") from error
    path = directory / _WEIGHTS
    if path.is_file():
        with _opened(path) as file:
            return dict.fromkeys(file.keys(), path)
    if pickles := [p for pattern in _PICKLES for p in directory.glob(pattern)]:
        raise InputError(
            f"{pickles[0]} is a pickle file, and to read it is to run what is in it: convert it to "
            "safetensors where you trust it."
        )
    raise InputError(f"{directory} holds no {_WEIGHTS} and no {_INDEX}.")


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist, though the index names it.") from error
    except SafetensorError as error:
        raise InputError(f"{path} is not a readable safetensors file ({error}).") from error


def _read(path: Path, name: str) -> Tensor:
    with _opened(path) as file:
        if name in set(file.keys()):
            return file.get_tensor(name)
    raise InputError(f"{path} lacks the tensor {name}, though the index names it.")


def _write_shards(
    directory: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype, most: int
) -> None:
    """In files of at most `most` bytes, with an index where there are several."""
    shards = list(_shards(tensors, dtype, most))
    several = len(shards) > 1
    names: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors" if several else _WEIGHTS
        written = {key: tensors[key].to(dtype) for key in shard}
        write_tensors(directory / name, written, metadata={"format": "pt"})
        names.update(dict.fromkeys(shard, name))
    if several:
        size = sum(t.numel() for t in tensors.values()) * dtype.itemsize
        index = {"metadata": {"total_size": size}, "weight_map": names}
        write_json(directory / _INDEX, index)


def _shards(tensors: Mapping[str, Tensor], dtype: torch.dtype, most: int) -> Iterator[list[str]]:
    shard: list[str] = []
    size = 0
    for name, tensor in tensors.items():
        added = tensor.numel() * dtype.itemsize
        if shard and size + added > most:
            yield shard
            shard, size = [], 0
        shard.append(name)
        size += added
    yield shard
