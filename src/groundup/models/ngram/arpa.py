"""The ARPA format: an n-gram model as text, read by kenlm, SRILM and others.

Each line is log10 p, a tab, the tokens' names with spaces between them and, for a context, a tab
and the log10 of its back-off weight. −99 stands for log10 of zero. The begin token is `<s>`, the
end token `</s>`.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundup.core.errors import InputError
from groundup.core.files import atomic_file
from groundup.models.ngram.keys import contexts_of, find, pack, tokens_of
from groundup.models.ngram.model import NGramModel

Array = np.ndarray[Any, Any]

_BEGIN, _END = "<s>", "</s>"
_ZERO = -99.0
_BLOCK = 1 << 16  # lines that are put together at a time


def write_arpa(model: NGramModel, path: Path, tokens: Sequence[str]) -> None:
    """Write the model, atomically. tokens: the name of each id of the vocabulary, without spaces.

    A tokenizer's pieces may contain white space: give them other names, such as their numbers.
    Raises `InputError` for names that are too few, not distinct, or not one word each.
    """
    names = [*tokens, *([_END, _BEGIN] if model.boundaries else [])]
    _check_names(names, model)
    with atomic_file(path, "w") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={size}\n" for n, size in enumerate(model.sizes, 1))
        before = [""]
        for i, size in enumerate(model.sizes):
            file.write(f"\n\\{i + 1}-grams:\n")
            contexts = contexts_of(model.keys[i - 1]) if i else np.zeros(size, dtype=np.int64)
            last = tokens_of(model.keys[i - 1]) if i else np.arange(size)
            pairs = zip(contexts.tolist(), last.tolist(), strict=True)
            texts = [before[c] + names[token] for c, token in pairs]
            for start in range(0, size, _BLOCK):
                part = slice(start, start + _BLOCK)
                lines = map(
                    "{:.9g}\t{}".format, _log10(model.log_probabilities[i][part]), texts[part]
                )
                if i + 1 < model.order:
                    weights = _log10(model.backoffs[i][part])
                    lines = map("{}\t{:.9g}".format, lines, weights)
                file.write("\n".join(lines) + "\n")
            before = [text + " " for text in texts] if i + 1 < model.order else []
        file.write("\n\\end\\\n")


def read_arpa(path: Path) -> tuple[NGramModel, list[str]]:
    """The model in an ARPA file, and the name of each id of its vocabulary.

    The ids are in the order of the file's unigrams, without `<s>` and `</s>`; with these two the
    model has boundaries. Raises `InputError` where the file is not as its header says.
    """
    with open(path, encoding="utf-8") as file:
        lines = (line.rstrip("\r\n") for line in file)
        sizes = _read_header(lines, path)
        model, names = _read_model(lines, sizes, path)
        if next(lines, "") != "\\end\\":
            raise InputError(f"{path} does not end with \\end\\: it is cut off or damaged.")
    return model, names


def _check_names(names: Sequence[str], model: NGramModel) -> None:
    if len(names) != model.sizes[0]:
        raise InputError(f"{len(names)} names are given for {model.sizes[0]} unigrams.")
    if len(set(names)) != len(names):
        raise InputError("the names of the tokens are not distinct: give each id its own.")
    for name in names:
        if name.split() != [name]:
            raise InputError(f"the token name {name!r} is not one word: give it another name.")


def _log10(natural: Array) -> list[float]:
    return np.maximum(natural.astype(np.float64) / math.log(10), _ZERO).tolist()


def _natural(log10: list[float]) -> Array:
    values = np.array(log10, dtype=np.float64)
    return np.where(values <= _ZERO, -np.inf, values * math.log(10)).astype(np.float32)


def _read_header(lines: Iterator[str], path: Path) -> list[int]:
    for line in lines:
        if line == "\\data\\":
            break
    sizes = []
    for line in lines:
        if not line:
            break
        order, _, size = line.removeprefix("ngram ").partition("=")
        if not (order.strip() == str(len(sizes) + 1) and size.strip().isdigit()):
            raise InputError(f"{path} has the line {line!r} in its header, which is not ARPA.")
        sizes.append(int(size))
    if not sizes:
        raise InputError(f"{path} has no \\data\\ header: it is not an ARPA file.")
    return sizes


def _read_model(lines: Iterator[str], sizes: list[int], path: Path) -> tuple[NGramModel, list[str]]:
    keys: list[Array] = []
    logprobs: list[Array] = []
    backoffs: list[Array] = []
    names, ids, boundaries = [], {}, False
    for i, size in enumerate(sizes):
        words, probabilities, weights = _read_section(lines, i + 1, size, path)
        if i == 0:
            names = [word for (word,) in words if word not in (_BEGIN, _END)]
            found = {word for (word,) in words}
            boundaries = found >= {_BEGIN, _END}
            if len(found) != size or (not boundaries and found & {_BEGIN, _END}):
                raise InputError(f"{path} has a unigram twice, or only one of <s> and </s>.")
            ids = {name: at for at, name in enumerate([*names, _END, _BEGIN])}
            place = np.argsort([ids[word] for (word,) in words])
        else:
            try:
                table = np.array([[ids[word] for word in ngram] for ngram in words], dtype=np.int64)
            except KeyError as error:
                raise InputError(f"{path} has no unigram for the word {error}.") from error
            table = table.reshape(-1, i + 1)
            at = table[:, 0]
            for j in range(1, i):
                at = find(keys[j - 1], pack(at, table[:, j]))
                if (at < 0).any():
                    ngram = " ".join(words[int(np.argmin(at))])
                    raise InputError(f"{path} has '{ngram}' without its first {j + 1} words.")
            packed = pack(at, table[:, i])
            place = np.argsort(packed)
            keys.append(packed[place])
        logprobs.append(_natural(probabilities)[place])
        backoffs.append(_natural(weights)[place])
    model = NGramModel(
        order=len(sizes),
        vocab_size=len(names),
        boundaries=boundaries,
        keys=keys,
        logprobs=logprobs,
        backoffs=backoffs[:-1],
    )
    return model, names


def _read_section(
    lines: Iterator[str], order: int, size: int, path: Path
) -> tuple[list[list[str]], list[float], list[float]]:
    """The words, the log10 probabilities and the log10 back-off weights of one order's n-grams."""
    title = f"\\{order}-grams:"
    if next((line for line in lines if line), "") != title:
        raise InputError(f"{path} has no line {title} where it should be: it is damaged.")
    words, probabilities, weights = [], [], []
    for line in lines:
        if not line:
            break
        fields = line.split()
        if len(fields) not in (order + 1, order + 2):
            raise InputError(f"{path} has the line {line!r} among its {order}-grams.")
        words.append(fields[1 : order + 1])
        try:
            probabilities.append(float(fields[0]))
            weights.append(float(fields[order + 1]) if len(fields) > order + 1 else 0.0)
        except ValueError as error:
            raise InputError(f"{path} has the line {line!r}: {error}.") from error
    if len(words) != size:
        raise InputError(f"{path} has {len(words)} {order}-grams where its header says {size}.")
    return words, probabilities, weights
