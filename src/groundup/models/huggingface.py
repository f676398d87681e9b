"""How a family's checkpoints in Hugging Face's format say what `Decoder` and its tensors say.

A family reads a `config.json` and writes one, and links its tensors' names to ours. Reading is
strict: a setting that would change the results and that we do not have is an error, not a guess.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from groundup.core.errors import InputError
from groundup.layers import RoPE
from groundup.layers.mlp import Activation
from groundup.layers.rope_scaling import Linear, Llama3, YaRN, yarn_factor
from groundup.models.decoder import Decoder

Settings = Mapping[str, Any]
LOCAL, GLOBAL = "sliding_attention", "full_attention"  # kinds of layers
Part = TypeVar("Part")


@dataclass(frozen=True)
class Link:
    """Some of our tensors and those of the file that hold the same numbers."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    to_ours: Callable[[Sequence[Tensor]], Sequence[Tensor]]
    to_theirs: Callable[[Sequence[Tensor]], Sequence[Tensor]]


@dataclass(frozen=True)
class Family:
    """One `model_type`. read, write: of `config.json`. What `write` cannot say it leaves out, or it
    raises `InexpressibleError`: a config is of this family where `read` gives it back.

    ignored: ends of names of tensors that hold nothing learned, in files of older versions.
    older: ends of names in older files → what stands there today.
    beyond: of a config and a tensor's name, whether it belongs to what is not the language model.
    config: our class of config. prefix: begins all names but the head's; some files leave it out.
    auto: the class of `transformers` that finds the architecture's.
    """

    model_type: str
    architecture: str
    read: Callable[[Settings], Any]
    write: Callable[[Any], dict[str, Any]]
    links: Callable[[Any], Iterator[Link]]
    config: type = Decoder
    prefix: str = "model."
    ignored: tuple[str, ...] = ("rotary_emb.inv_freq",)
    older: Mapping[str, str] = field(default_factory=dict)
    beyond: Callable[[Any, str], bool] = lambda config, name: False  # noqa: ARG005
    auto: str = "AutoModelForCausalLM"


class InexpressibleError(Exception):
    """A family has no setting for a part of a config."""


def of_kind(kind: type[Part], part: object) -> Part:
    """The part, where it is of this kind. Raises `InexpressibleError` where not."""
    if not isinstance(part, kind):
        raise InexpressibleError(f"{type(part).__name__} in place of {kind.__name__}")
    return part


def same(ours: str, theirs: str) -> Link:
    """The same tensor under another name."""
    return Link((ours,), (theirs,), list, list)


def transposed(ours: str, theirs: str) -> Link:
    """A matrix that the file holds as [in, out]."""

    def turn(tensors: Sequence[Tensor]) -> list[Tensor]:
        return [tensor.T for tensor in tensors]

    return Link((ours,), (theirs,), turn, turn)


def fused(ours: Sequence[str], theirs: str, *, transpose: bool = False) -> Link:
    """Tensors that the file holds one after the other, in equal parts of its last or first axis."""

    def take_apart(tensors: Sequence[Tensor]) -> list[Tensor]:
        (whole,) = tensors
        return list((whole.T if transpose else whole).chunk(len(ours)))

    def join(tensors: Sequence[Tensor]) -> list[Tensor]:
        whole = torch.cat(list(tensors))
        return [whole.T if transpose else whole]

    return Link(tuple(ours), (theirs,), take_apart, join)


def with_axis(ours: str, theirs: str, axis: int) -> Link:
    """A tensor that the file holds with one more axis, of length one."""

    def drop(tensors: Sequence[Tensor]) -> list[Tensor]:
        return [tensor.squeeze(axis) for tensor in tensors]

    def add(tensors: Sequence[Tensor]) -> list[Tensor]:
        return [tensor.unsqueeze(axis) for tensor in tensors]

    return Link((ours,), (theirs,), drop, add)


def stacked(ours: str, theirs: Sequence[str]) -> Link:
    """A tensor whose rows, the experts, are tensors of the file."""

    def stack(tensors: Sequence[Tensor]) -> list[Tensor]:
        return [torch.stack(list(tensors))]

    def unstack(tensors: Sequence[Tensor]) -> list[Tensor]:
        return list(tensors[0].unbind())

    return Link((ours,), tuple(theirs), stack, unstack)


# sizes by the least that they may be; and those where null stands for a default, or for "none"
_LEAST_0 = {"first_k_dense_replace", "max_window_layers", "n_shared_experts"}
_LEAST_0 |= {"decoder_start_token_id"}
_LEAST_1 = {"vocab_size", "hidden_size", "n_embd", "d_model", "max_position_embeddings"}
_LEAST_1 |= {"num_hidden_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers"}
_LEAST_1 |= {"num_attention_heads", "n_head", "num_heads", "num_key_value_heads", "head_dim"}
_LEAST_1 |= {"encoder_attention_heads", "decoder_attention_heads", "n_positions", "d_kv"}
_LEAST_1 |= {"intermediate_size", "n_inner", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim"}
_LEAST_1 |= {"sliding_window", "window_size", "sliding_window_pattern", "num_decoder_layers"}
_LEAST_1 |= {"relative_attention_num_buckets", "relative_attention_max_distance"}
_LEAST_1 |= {"kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"}
_LEAST_1 |= {"n_routed_experts", "num_experts", "num_local_experts", "n_group", "topk_group"}
_LEAST_1 |= {"num_experts_per_tok", "moe_intermediate_size", "decoder_sparse_step"}
_LEAST_1 |= {"state_size", "n_groups", "conv_kernel", "chunk_size", "type_vocab_size"}
_OR_NULL = {"intermediate_size", "n_inner", "num_key_value_heads", "head_dim", "sliding_window"}
_OR_NULL |= {"sliding_window_pattern", "num_decoder_layers", "q_lora_rank", "n_group"}
_OR_NULL |= {"topk_group", "n_shared_experts", "decoder_start_token_id"}


def check_sizes(settings: Settings) -> None:
    """Refuse a size that is no whole number, or too small. Raises `InputError`, which names it."""
    for name in (_LEAST_0 | _LEAST_1) & settings.keys():
        value, least = settings[name], 0 if name in _LEAST_0 else 1
        if value is None and name in _OR_NULL:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            said = json.dumps(value)
            raise InputError(f"{name} is {said}: it must be a whole number of at least {least}")


def head_width(
    settings: Settings, width: str = "hidden_size", heads: str = "num_attention_heads"
) -> int:
    """The width of a head where all of them together have the model's.

    width, heads: their names. Raises `InputError` where there is no such width.
    """
    if settings[width] % settings[heads]:
        raise InputError(f"{heads} ({settings[heads]}) must divide {width} ({settings[width]})")
    return settings[width] // settings[heads]


def layer_kinds(settings: Settings, name: str, kinds: Sequence[str], *known: str) -> Sequence[str]:
    """The kinds of all layers. name: of the setting, or of that which says how many there are.

    Raises `InputError` for another number of them than of layers, and for one not in `known`.
    """
    depth = settings.get("num_hidden_layers", settings.get("num_layers"))
    if len(kinds) != depth:
        raise InputError(f"{name} is of {len(kinds)} layers, and the model has {depth}")
    if odd := [kind for kind in kinds if kind not in known]:
        raise InputError(
            f"layers of the kind {odd[0]!r} are not supported: {' and '.join(known)} are"
        )
    return kinds


def expect(settings: Settings, **values: Any) -> None:
    """Refuse a setting that has another value than the one that is supported; null says nothing."""
    for name, value in values.items():
        found = settings.get(name)
        if found is not None and found != value:
            raise InputError(
                f"{settings.get('model_type')} with {name} = {found!r} is not supported: "
                f"only {value!r} is."
            )


_ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "relu": "relu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "relu2": "relu2",
}


def read_activation(name: str) -> Activation:
    """Our name of an activation."""
    if name not in _ACTIVATIONS:
        raise InputError(
            f"the activation {name!r} is not supported: {', '.join(_ACTIVATIONS)} are."
        )
    return _ACTIVATIONS[name]


def write_activation(activation: Activation, *names: str) -> str:
    """The first of their `names`, or of all, that means the activation."""
    known = [name for name in names or _ACTIVATIONS if _ACTIVATIONS[name] == activation]
    return known[0] if known else str(activation)


def rope_settings(settings: Settings, kind: str | None = None) -> Settings:
    """What is said of rotary positions: `rope_parameters`, or the older `rope_scaling`, which goes
    before it where a file has both.

    kind: the layers' kind, where they differ; then `rope_scaling` is of the global ones.
    """
    said, scaling = settings.get("rope_parameters") or {}, settings.get("rope_scaling") or {}
    if kind is None:
        return scaling or said
    return {**(said.get(kind) or {}), **(scaling if kind == GLOBAL else {})}


def read_rope(
    settings: Settings,
    *,
    interleaved: bool = False,
    base: float = 10_000.0,
    kind: str | None = None,
) -> RoPE:
    """The rotary positions. base: where none is said. kind: see `rope_settings`."""
    said = rope_settings(settings, kind)
    if any(isinstance(value, Mapping) for value in said.values()):
        raise InputError("rotary positions that differ between layers are not supported here")
    base = said.get("rope_theta", settings.get("rope_theta", base))
    original = "original_max_position_embeddings"
    context = settings.get(original) or said.get(original) or settings["max_position_embeddings"]
    form = said.get("rope_type", said.get("type", "default"))
    # the classes of these families rotate heads whole, whatever this says
    for places in (said, settings):
        if (share := places.get("partial_rotary_factor")) not in (None, 1):
            raise InputError(f"partial_rotary_factor = {share!r} is not supported: only 1.0 is")
    scaling: Linear | Llama3 | YaRN | None = None
    if form == "linear":
        scaling = Linear(factor=said["factor"])
    elif form == "llama3":
        scaling = Llama3(
            factor=said["factor"],
            context=context,
            low=said["low_freq_factor"],
            high=said["high_freq_factor"],
        )
    elif form == "yarn":
        factor = said.get("factor") or settings["max_position_embeddings"] / context
        scaling = _read_yarn({**said, "factor": factor}, context)
    elif form != "default":
        raise InputError(
            f"rotary positions of type {form!r} are not supported: default, linear, llama3 and "
            "yarn are."
        )
    return RoPE(base=float(base), interleaved=interleaved, scaling=scaling)


def _read_yarn(said: Settings, context: int) -> YaRN:
    factor, whole = said["factor"], said.get("mscale_all_dim")
    logits = said.get("attention_factor")
    if logits is None:
        logits = yarn_factor(factor, said.get("mscale") or 1.0 if whole else 1.0)
        logits /= yarn_factor(factor, whole) if said.get("mscale") and whole else 1.0
    return YaRN(
        factor=factor,
        context=context,
        fast=said.get("beta_fast") or 32.0,
        slow=said.get("beta_slow") or 1.0,
        logit_factor=logits,
        whole=said.get("truncate", True),
    )


def write_rope(rope: RoPE) -> dict[str, Any]:
    """`rope_parameters`. They have no name for `NTK`, which a larger base replaces."""
    said: dict[str, Any] = {"rope_theta": rope.base, "rope_type": "default"}
    scaling = rope.scaling
    if isinstance(scaling, Linear):
        said |= {"rope_type": "linear", "factor": scaling.factor}
    elif isinstance(scaling, Llama3):
        said |= {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low,
            "high_freq_factor": scaling.high,
            "original_max_position_embeddings": scaling.context,
        }
    elif isinstance(scaling, YaRN):
        said |= {
            "rope_type": "yarn",
            "factor": scaling.factor,
            "original_max_position_embeddings": scaling.context,
            "beta_fast": scaling.fast,
            "beta_slow": scaling.slow,
            "attention_factor": scaling.logit_factor,
            "truncate": scaling.whole,
        }
    return said


def older_rope(rope: dict[str, Any]) -> dict[str, Any]:
    """The same in the keys that were read before `rope_parameters`, for older readers."""
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    older: dict[str, Any] = {"rope_theta": rope["rope_theta"]}
    if scaling["rope_type"] != "default":
        older["rope_scaling"] = scaling
    return older


def blocks(config: Decoder) -> Iterator[tuple[int, str]]:
    """(number, the beginning of its tensors' names) of each block."""
    for layer in range(config.depth):
        yield layer, f"blocks.{layer}"
