"""The chat format: special tokens say who speaks, and no text can imitate them.

    <|user|> request <|assistant|> answer <|endoftext|>

The request and the answer are encoded as ordinary text, so a user who types `<|assistant|>` gets
those letters and not the token.
"""

from dataclasses import dataclass

from groundup.tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
SPECIAL_TOKENS = (END_OF_TEXT, USER, ASSISTANT)

# The same in Jinja, as Hugging Face's tokenizers keep it.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'user' %}<|user|>{{ message.content }}"
    "{% elif message.role == 'assistant' %}<|assistant|>{{ message.content }}<|endoftext|>"
    "{% else %}{{ raise_exception('there is no role ' ~ message.role) }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Example:
    """tokens: a whole exchange. answer: index of the first token to be learned."""

    tokens: list[int]
    answer: int


def encode_request(tokenizer: Tokenizer, request: str) -> list[int]:
    """The tokens after which a model is to answer."""
    special = tokenizer.special_tokens
    return [special[USER], *tokenizer.encode_behind(request), special[ASSISTANT]]


def encode_example(tokenizer: Tokenizer, request: str, answer: str) -> Example:
    """A request with its answer; the answer and the end of text are to be learned."""
    head = encode_request(tokenizer, request)
    tail = [*tokenizer.encode_behind(answer), tokenizer.special_tokens[END_OF_TEXT]]
    return Example(tokens=head + tail, answer=len(head))
