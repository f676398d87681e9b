"""What a client may ask for: the fields of OpenAI's API that there are here, and their bounds.

Fields that change nothing here (`user`, `store`, `metadata` …) are passed over, as clients send
them; all others that are not there are refused, as they would change the answer.
"""

from collections.abc import Set
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from groundup.infer import Sampling
from groundup.infer.grammar import Grammars, TokenGrammar

MOST_TEXTS = 128
MOST_STOPS = 16
MOST_BIASES = 1024
MOST_MESSAGES = 4096
# Of who asks, of what is kept of it, and of how it is worked at: no text hangs on them.
_HARMLESS = {
    "metadata",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
}
_ABOUT = {"annotations", "name"}  # of a message

Stop = Annotated[str, Field(min_length=1, max_length=256)]
Bias = Annotated[float, Field(ge=-100, le=100)]
TokenId = Annotated[int, Field(ge=0)]
# The first mistake of a long list is enough.
Ids = Annotated[list[TokenId], Field(fail_fast=True)]
Texts = Annotated[list[str], Field(fail_fast=True)]
Lists = Annotated[list[Ids], Field(fail_fast=True)]


class _Form(BaseModel):
    """A part of a request. Fields that are not there are refused; nulls are fields that were not
    given. harmless: fields that change nothing here, and are passed over."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")
    harmless: ClassVar[Set[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _that_counts(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            key: value
            for key, value in data.items()
            if value is not None and key not in cls.harmless
        }


class AnyText(_Form):
    """Whatever the model writes."""

    type: Literal["text"]

    def grammar(self, _: Grammars) -> TokenGrammar | None:
        return None


class JsonObject(_Form):
    """Some object of JSON."""

    type: Literal["json_object"]

    def grammar(self, known: Grammars) -> TokenGrammar | None:
        return known.objects()


class NamedSchema(_Form):
    """A JSON Schema; it is always kept to, `strict` or not."""

    name: str = Field("", max_length=64)
    description: str | None = None
    schema_: dict[str, Any] | bool = Field(True, alias="schema")
    strict: bool | None = None


class JsonSchema(_Form):
    """A value of JSON that a schema allows."""

    type: Literal["json_schema"]
    json_schema: NamedSchema

    def grammar(self, known: Grammars) -> TokenGrammar | None:
        return known.schema(self.json_schema.schema_)


class Regex(_Form):
    """A text that a regular expression matches as a whole."""

    type: Literal["regex"]
    pattern: str = Field(..., min_length=1, max_length=4096)

    def grammar(self, known: Grammars) -> TokenGrammar | None:
        return known.regex(self.pattern)


ResponseFormat = Annotated[AnyText | JsonObject | JsonSchema | Regex, Field(discriminator="type")]


def _wrong(field: str, sentence: str) -> PydanticCustomError:
    """A mistake that is seen when all fields are there."""
    return PydanticCustomError("field", "{sentence}", {"param": field, "sentence": sentence})


class _Asked(_Form):
    """What both ways of asking share."""

    harmless = _HARMLESS

    model: str
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int | None = Field(None, ge=1)
    min_p: float = Field(0.0, ge=0, le=1)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    repetition_penalty: float = Field(1.0, ge=0.01, le=10)
    logit_bias: dict[str, Bias] | None = Field(None, max_length=MOST_BIASES)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    n: int = Field(1, ge=1, le=MOST_TEXTS)
    stop: Stop | list[Stop] | None = None
    stream: bool = False
    stream_options: "StreamOptions | None" = None
    response_format: ResponseFormat | None = None

    @model_validator(mode="after")
    def _fits(self) -> "_Asked":
        if self.stream_options is not None and not self.stream:
            raise _wrong("stream_options", "only a stream has them: set stream to true.")
        if isinstance(self.stop, list) and len(self.stop) > MOST_STOPS:
            raise _wrong("stop", f"at most {MOST_STOPS} stop strings can be given.")
        for token in self.logit_bias or ():
            if not (token.isdecimal() and token.isascii() and len(token) <= 10):
                raise _wrong("logit_bias", f"{token!r} is not the id of a token.")
        return self

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    def sampling(self, most: int, seed: int, logprobs: int | None, grammars: Grammars) -> Sampling:
        """The engine's form. most: tokens where no number is given. seed: where none is given.

        Raises `InputError` for a form of answers that cannot be kept to.
        """
        form = self.response_format
        biases = sorted((int(token), bias) for token, bias in (self.logit_bias or {}).items())
        return Sampling(
            max_tokens=self.limit or most,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=self.repetition_penalty,
            logit_bias=tuple(biases),
            seed=seed if self.seed is None else self.seed,
            grammar=None if form is None else form.grammar(grammars),
            logprobs=logprobs,
        )

    @property
    def has_form(self) -> bool:
        """Whether there is a form to be made, which may take its time."""
        return not isinstance(self.response_format, AnyText | None)

    @property
    def limit(self) -> int | None:
        """The most tokens of a text, where one is given."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def texts(self) -> int:
        """How many are to be written."""
        return self.n

    @property
    def tells_usage(self) -> bool:
        """Whether a stream's last chunk tells how many tokens there were."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def no_usage(self) -> dict[str, None]:
        """What the chunks before that one have of it."""
        return {"usage": None} if self.tells_usage else {}


class StreamOptions(_Form):
    """include_usage: a last chunk tells how many tokens there were."""

    harmless = {"include_obfuscation"}

    include_usage: bool = False


class CompletionRequest(_Asked):
    """`/v1/completions`: a text, several, or their tokens, to be continued."""

    prompt: str | Texts | Ids | Lists = Field(..., union_mode="left_to_right")
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool = False
    best_of: int | None = Field(None, ge=1, le=MOST_TEXTS)
    suffix: str | None = None

    @model_validator(mode="after")
    def _is_there(self) -> "CompletionRequest":
        if self.suffix is not None:
            raise _wrong("suffix", "models here write to the end of a text, and not into it.")
        if self.best_of is not None and self.best_of != self.n:
            raise _wrong("best_of", "give n alone, and choose among the texts yourself.")
        if self.echo and self.logprobs is not None:
            raise _wrong("echo", "log-probabilities of prompts are not told.")
        if isinstance(self.prompt, list) and not self.prompt:
            raise _wrong("prompt", "the list is empty.")
        if self.texts > MOST_TEXTS:
            raise _wrong("prompt", f"at most {MOST_TEXTS} texts in a request, n of each counted.")
        return self

    @property
    def texts(self) -> int:
        return len(self.prompts) * self.n

    @property
    def prompts(self) -> list[str] | list[list[int]]:
        """One each."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [self.prompt]  # pyright: ignore[reportReturnType]
        return self.prompt  # pyright: ignore[reportReturnType]


class TextPart(_Form):
    """A part of a message; only text can be read."""

    type: Literal["text"]
    text: str


class Message(_Form):
    """What was said, and by whom: no template here knows a name."""

    harmless = _ABOUT

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        parts = self.content
        return parts if isinstance(parts, str) else "".join(part.text for part in parts)


class ChatRequest(_Asked):
    """`/v1/chat/completions`: a conversation, to be answered."""

    messages: list[Message] = Field(..., min_length=1, max_length=MOST_MESSAGES)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    modalities: list[Literal["text"]] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    functions: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    function_call: Literal["none", "auto"] | None = None

    @model_validator(mode="after")
    def _belongs(self) -> "ChatRequest":
        if self.top_logprobs is not None and not self.logprobs:
            raise _wrong("top_logprobs", "set logprobs to true.")
        return self


class TokenizeRequest(_Form):
    """`/tokenize`: text, in which special tokens are read where `special` says so. detail: tell the
    bytes of each token, too, in hexadecimal."""

    model: str | None = None
    text: str
    special: bool = False
    detail: bool = False


class DetokenizeRequest(_Form):
    """`/detokenize`."""

    model: str | None = None
    tokens: Ids
