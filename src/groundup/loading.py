"""A model that writes text, with all that belongs to it: from a run, or from a directory of Hugging
Face."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from groundup.align.chat import CHAT_TEMPLATE, END_OF_TEXT
from groundup.align.conversation import Messages, encode_conversation
from groundup.checkpoint import load_decoder
from groundup.checkpoint.huggingface import read_model
from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.manifest import MANIFEST
from groundup.infer.draft import Drafter, DraftModel, PromptLookup
from groundup.infer.load import STAGES, TOKENIZER, document_ends, ends_of, load_run
from groundup.models import DecoderModel
from groundup.tokenizers import Tokenizer, load_pretrained, load_tokenizer


@dataclass(frozen=True)
class Served:
    """name: by which it is asked for. begin: tokens that stand before a text. ends: those that
    end one. template: of conversations, in Jinja; None where the model was not taught any. roles:
    special tokens that the template knows by name."""

    name: str
    model: DecoderModel
    tokenizer: Tokenizer
    begin: list[int]
    ends: list[int]
    template: str | None
    roles: Mapping[str, str] = field(default_factory=dict)

    @property
    def silent(self) -> list[int]:
        """Ids of the model that its tokenizer does not know, and that must never be drawn."""
        return self.tokenizer.vocabulary.silent(self.model.config.vocab_size)

    def prompt(self, text: str) -> list[int]:
        """The tokens of a text that is to be continued."""
        return [*self.begin, *self.tokenizer.encode_ordinary(text)]

    def conversation(self, messages: Messages) -> list[int]:
        """The tokens after which an answer is to be written. Raises `InputError` for a model that
        was not taught to converse, and where its template refuses the messages."""
        if self.template is None:
            raise InputError(
                f"{self.name} was not taught to converse: ask /v1/completions to continue a text."
            )
        return encode_conversation(self.tokenizer, self.template, messages, self.roles)


LOOKUP = "lookup"


def load_drafter(what: str, served: Served, device: Device, rows: int) -> Drafter:
    """What guesses the next tokens of a model: `lookup` searches the text itself; anything else is
    a smaller model with the same tokenizer, named as `split_stage` reads it. rows: the engine's."""
    if what == LOOKUP:
        return PromptLookup()
    smaller = load_served(*split_stage(what))
    vocabularies = (served.model.config.vocab_size, smaller.model.config.vocab_size)
    same = smaller.tokenizer.fingerprint == served.tokenizer.fingerprint
    if not same or len(set(vocabularies)) > 1:
        raise InputError(
            f"{what} has another tokenizer than {served.name}: it cannot draft for it."
        )
    return DraftModel(smaller.model, device, rows=rows)


def split_stage(model: str) -> tuple[Path, str | None]:
    """A path, and the stage behind the colon, as in `runs/quickstart:sft`."""
    path, _, stage = model.rpartition(":")
    if stage in STAGES and path and not Path(model).exists():
        return Path(path), stage
    return Path(model), None


def load_served(path: Path, stage: str | None = None) -> Served:
    """The model of a run's stage, by default the last one; of one of its checkpoints, such as
    `runs/quickstart/pretrain/checkpoints/step-00000200`; or of a directory as Hugging Face's
    transformers write it. Raises `InputError` where there is none that writes text."""
    name = path.resolve().name if stage is None else f"{path.resolve().name}:{stage}"
    if (path / MANIFEST).is_file() and any(path.glob("model*.safetensors")):
        if stage is not None:
            raise InputError(f"{path} is a checkpoint, and has no stage {stage!r}.")
        return _of_checkpoint(path)
    if (path / "config.json").is_file() and not (path / TOKENIZER).exists():
        if stage not in (None, "base"):
            raise InputError(f"{path} is a model of Hugging Face, and has no stage {stage!r}.")
        return _of_huggingface(path)
    model, tokenizer, stage = load_run(path, stage)
    return _of_run(name, path, model, tokenizer, base=stage == "base")


def _of_run(
    name: str, run: Path, model: DecoderModel, tokenizer: Tokenizer, *, base: bool
) -> Served:
    """With what a run says of its texts. base: the model was not taught to converse here."""
    begin, ends = document_ends(run, tokenizer.special_tokens.get(END_OF_TEXT))
    template, roles = (None if base else CHAT_TEMPLATE), {}
    if (run / TOKENIZER / "tokenizer_config.json").is_file():
        pretrained = load_pretrained(run / TOKENIZER)
        template, roles = pretrained.chat_template, pretrained.roles
    return Served(name, model, tokenizer, begin, ends, template, roles)


def _of_checkpoint(path: Path) -> Served:
    """One that a training has written, in the folder of its run, whose tokenizer it has."""
    path = path.resolve()
    known = (one for one in path.parents if (one / TOKENIZER / "tokenizer.json").is_file())
    run = next(known, None)
    if run is None:
        raise InputError(f"{path} is in no run's folder, which would have its tokenizer.")
    tokenizer = load_tokenizer(run / TOKENIZER / "tokenizer.json")
    inside = path.relative_to(run).parts
    base = inside[0] not in (STAGES["sft"], STAGES["grpo"])
    name = ":".join((run.name, *dict.fromkeys((inside[0], inside[-1]))))
    return _of_run(name, run, load_decoder(path), tokenizer, base=base)


def _of_huggingface(path: Path) -> Served:
    model = read_model(path)
    if not isinstance(model, DecoderModel):
        raise InputError(f"{path} holds a {type(model).__name__}, which continues no text.")
    pretrained = load_pretrained(path)
    begin, ends = list(pretrained.file.before), ends_of(path)
    named = pretrained.tokenizer.special_tokens.get(pretrained.roles.get("eos_token", ""))
    ends = ends or ([] if named is None else [named])
    return Served(
        path.resolve().name,
        model,
        pretrained.tokenizer,
        begin,
        ends,
        pretrained.chat_template,
        pretrained.roles,
    )
