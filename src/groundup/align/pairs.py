"""Instruction pairs from Python source: a request in words, and the function that answers it.

A function with a docstring is a question with its answer. The request names the function and its
parameters and quotes the docstring's summary; the answer is the function without docstring,
decorators and comments, in the one format of `ast.unparse`: a small model should spend its
capacity on what the function does, not on ways to lay it out.
"""

import ast
import json
import re
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from groundup.core.files import write_jsonl
from groundup.core.native import cpu_threads
from groundup.curate.document import Document
from groundup.verifiers.function_check import signature
from groundup.verifiers.python_function import PythonFunction
from groundup.verifiers.verifier import Problem

_SUMMARY_CHARACTERS = 160  # 95 % of the standard library's first paragraphs are shorter than 175
_BATCH = 256  # candidates verified together


@dataclass(frozen=True, slots=True)
class Pair:
    """One example for fine-tuning; `prompt` and `problem` alone serve reinforcement learning.

    prompt: the user's words.
    completion: a module that holds one function, ended by a newline.
    problem: what `PythonFunction` judges a completion against.
    """

    prompt: str
    completion: str
    problem: Problem


def extract_pairs(
    documents: Iterable[Document],
    *,
    max_characters: int = 600,
    methods: bool = True,
    undocumented: bool = False,
) -> Iterator[Pair]:
    """The pairs that the documents hold, in order, each once.

    A document that is not Python source gives none. Every completion passes `PythonFunction`.

    max_characters: of the completion; longer functions are left out.
    methods: take the methods of classes too, `self` being a parameter like another.
    undocumented: take functions without a docstring too; their prompt is the signature alone.
    """
    candidates = _without_repeats(
        pair
        for document in documents
        for pair in _document_pairs(document.text, methods, undocumented)
        if len(pair.completion) <= max_characters
    )
    verifier = PythonFunction()

    def verified(batch: Sequence[Pair]) -> list[Pair]:
        verdicts = verifier.verify_batch([(pair.problem, pair.completion) for pair in batch])
        return [p for p, verdict in zip(batch, verdicts, strict=True) if verdict.score == 1.0]

    # A batch is judged in a process of its own, so threads that wait for them use all processors.
    threads = cpu_threads(None)
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[list[Pair]]] = deque()
    try:
        for batch in iter(lambda: list(islice(candidates, _BATCH)), []):
            waiting.append(pool.submit(verified, batch))
            if len(waiting) > threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def held_out_pairs(pairs: Iterable[Pair], training: Iterable[Pair]) -> list[Pair]:
    """The pairs that training does not give away: neither the prompt nor the completion is in it.

    Of pairs with the same prompt (name, parameters and summary) the first is kept.
    """
    training = list(training)
    prompts = {pair.prompt for pair in training}
    completions = {pair.completion for pair in training}
    kept: dict[str, Pair] = {}
    for pair in pairs:
        if pair.prompt not in prompts and pair.completion not in completions:
            kept.setdefault(pair.prompt, pair)
    return list(kept.values())


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs as JSON lines, atomically."""
    write_jsonl(path, map(asdict, pairs))


def read_pairs(path: Path) -> Iterator[Pair]:
    """The pairs of a file that `write_pairs` wrote."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield Pair(**json.loads(line))


def function_prompt(name: str, parameters: Sequence[str], summary: str = "") -> str:
    """The request for a function, in the words that the pairs use.

    The name follows a space, as it does after `def`, so that it is the same tokens in both places:
    between quotes it would be others, and could not be copied token by token.

    >>> function_prompt("clamp", ["value", "low", "high"], "Limit value to a range.")
    'Write the function clamp(value, low, high): Limit value to a range.'
    """
    request = f"Write the function {name}({', '.join(parameters)})"
    return f"{request}: {summary}" if summary else f"{request}."


def _without_repeats(pairs: Iterable[Pair]) -> Iterator[Pair]:
    seen: set[tuple[str, str]] = set()
    for pair in pairs:
        if (key := (pair.prompt, pair.completion)) not in seen:
            seen.add(key)
            yield pair


def _document_pairs(source: str, methods: bool, undocumented: bool) -> list[Pair]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)  # invalid escapes, before 3.12
            tree = ast.parse(source)
        pairs = [_pair(function, undocumented) for function in _functions(tree, methods)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [pair for pair in pairs if pair is not None]


def _functions(node: ast.Module | ast.ClassDef, methods: bool) -> Iterator[ast.FunctionDef]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement
        elif isinstance(statement, ast.ClassDef) and methods:
            yield from _functions(statement, methods)


def _pair(function: ast.FunctionDef, undocumented: bool) -> Pair | None:
    docstring = ast.get_docstring(function)
    body = function.body if docstring is None else function.body[1:]
    summary = _summary(docstring or "")
    if not body or not (summary or undocumented):
        return None
    bare = ast.FunctionDef(
        name=function.name,
        args=function.args,
        body=body,
        decorator_list=[],
        returns=function.returns,
        lineno=function.lineno,
    )
    parameters = signature(function.args)
    return Pair(
        prompt=function_prompt(function.name, parameters, summary),
        completion=ast.unparse(bare) + "\n",
        problem={"name": function.name, "parameters": parameters},
    )


def _summary(docstring: str) -> str:
    """The first paragraph on one line, or its first sentence; empty where that is long as well."""
    paragraph = " ".join(re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)[0].split())
    if len(paragraph) > _SUMMARY_CHARACTERS:
        paragraph = re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]
    return paragraph if len(paragraph) <= _SUMMARY_CHARACTERS else ""
